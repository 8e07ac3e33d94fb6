//! The configuration of a run: the paper's defaults with `--set key=value` laid over them.

use serde_json::Value;

use super::Paper;
use crate::error::{Error, Result};
use crate::suggest::nearest;

/// The paper's configuration with every `key=value` of `settings` applied.
///
/// # Errors
/// A setting has no `=`, names no knob, or gives it a value of the wrong type.
pub fn configure<P: Paper>(settings: &[String]) -> Result<(P::Config, Value)> {
    let mut config = serde_json::to_value(P::Config::default())
        .map_err(|e| Error::internal("the default configuration is no JSON").caused_by(e))?;
    for setting in settings {
        set(&mut config, setting)?;
    }
    let resolved = serde_json::from_value(config.clone()).map_err(|cause| {
        let given = settings.join("`, `--set ");
        Error::usage(format!("the configuration refuses `--set {given}`")).caused_by(cause)
    })?;
    Ok((resolved, config))
}

fn set(config: &mut Value, setting: &str) -> Result<()> {
    let Some((key, text)) = setting.split_once('=') else {
        return Err(Error::usage(format!("`--set {setting}` has no `=`"))
            .hint("write `--set key=value`; a nested key is written `outer.inner`"));
    };
    let mut here = config;
    for part in key.split('.') {
        let known: Vec<String> = here
            .as_object()
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default();
        here = here
            .get_mut(part)
            .ok_or_else(|| unknown_knob(key, part, &known))?;
    }
    *here = parse(text);
    Ok(())
}

fn unknown_knob(key: &str, part: &str, known: &[String]) -> Error {
    let error = Error::usage(format!(
        "`--set {key}=…` names no knob of the configuration"
    ));
    match nearest(part, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => error.hint("this paper has no knobs here"),
        None => error.hint(format!("the knobs are {}", known.join(", "))),
    }
}

/// A value in TOML's syntax; anything else is taken as a string.
fn parse(text: &str) -> Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .and_then(|value| serde_json::to_value(value).ok())
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_reach_nested_knobs_with_their_types() {
        let mut config = json!({"solver": {"reg": 1e-7, "name": "thin"}, "sizes": [1]});
        for setting in ["solver.reg=1e-9", "solver.name=tilde", "sizes=[2, 4]"] {
            set(&mut config, setting).unwrap();
        }
        let wanted = json!({"solver": {"reg": 1e-9, "name": "tilde"}, "sizes": [2, 4]});
        assert_eq!(config, wanted);
    }

    #[test]
    fn an_unknown_knob_is_refused_with_the_nearest_one() {
        let mut config = json!({"n_items": 3});
        let error = set(&mut config, "n_itens=4").unwrap_err();
        assert_eq!(error.next_step(), Some("did you mean `n_items`?"));
        assert!(set(&mut config, "n_items").is_err());
    }
}
