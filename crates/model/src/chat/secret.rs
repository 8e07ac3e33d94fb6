//! A key that cannot be printed.

use eval::{Error, Result};
use reqwest::header::HeaderValue;

const REDACTED: &str = "[redacted]";

/// A key of an endpoint. It comes from the environment, and every way to print it prints
/// `[redacted]`; it has no way to be read from a file.
///
/// ```
/// # use model::chat::Secret;
/// let secret = Secret::new("canary-0123456789".to_owned()).unwrap();
/// assert_eq!(format!("{secret} {secret:?}"), "[redacted] Secret([redacted])");
/// assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[redacted]\"");
/// ```
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Placeholders such as `none` are no secrets: a text this short is not searched for in what a
    /// server says, or innocent words would vanish from answers.
    const SCRUBBED_BYTES_MIN: usize = 8;
    const BYTES_MAX: usize = 4096;

    /// A key from its text.
    ///
    /// # Errors
    /// It is empty, very long, or holds characters that no HTTP header may carry. The message does
    /// not show it.
    pub fn new(text: String) -> Result<Self> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > Self::BYTES_MAX || !printable {
            return Err(Error::usage(
                "the endpoint's key is empty, too long, or has a character that no key can have",
            )
            .hint("look for spaces, quotes, or line ends around it; the key itself is not shown"));
        }
        Ok(Self(text))
    }

    /// The key in the environment variable `name`.
    ///
    /// # Errors
    /// `name` is no name of a variable, the variable is absent, or its value is no key. No message
    /// shows a value; one that shows `name` does so after its form is known to be a name.
    pub fn from_env(name: &str) -> Result<Self> {
        let is_name = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if !is_name {
            return Err(Error::usage(
                "`key_env` is not the name of an environment variable (not shown, as it could \
                 be the key)",
            )
            .hint("write the name in capitals, such as `OPENAI_API_KEY`, and export the key so"));
        }
        match std::env::var(name) {
            Ok(text) => Self::new(text).map_err(|error| {
                Error::usage(format!("the environment variable `{name}` holds no key"))
                    .caused_by(error)
            }),
            Err(_) => Err(Error::usage(format!(
                "the endpoint's key is not in the environment: `{name}` is not set"
            ))
            .hint(format!("export {name}=…"))),
        }
    }

    /// The header that carries it, marked so that the HTTP library does not print it either.
    pub(super) fn bearer(&self) -> Result<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0))
            .map_err(|_| Error::usage("the endpoint's key does not fit into a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// `text` with every occurrence of the key replaced.
    pub(super) fn scrub(&self, text: String) -> String {
        if self.0.len() < Self::SCRUBBED_BYTES_MIN || !text.contains(&self.0) {
            return text;
        }
        text.replace(&self.0, REDACTED)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({REDACTED})")
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(REDACTED)
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_given_in_place_of_a_name_is_not_shown() {
        for pasted in ["sk-canary-0123456789", "canary0123456789", "", "A=B"] {
            let report = Secret::from_env(pasted).unwrap_err().report();
            assert!(pasted.is_empty() || !report.contains(pasted), "{report}");
        }
    }

    #[test]
    fn an_absent_variable_is_named() {
        let report = Secret::from_env("MODEL_CHAT_NO_SUCH_KEY")
            .unwrap_err()
            .report();
        assert!(report.contains("`MODEL_CHAT_NO_SUCH_KEY`"), "{report}");
    }

    #[test]
    fn what_a_server_says_is_scrubbed_of_keys_but_not_of_placeholders() {
        let key = Secret::new("canary-0123456789".to_owned()).unwrap();
        let said = "wrong key canary-0123456789!".to_owned();
        assert_eq!(key.scrub(said), "wrong key [redacted]!");
        let placeholder = Secret::new("none".to_owned()).unwrap();
        assert_eq!(placeholder.scrub("none of it".to_owned()), "none of it");
    }

    #[test]
    fn keys_that_would_break_a_header_are_refused_unseen() {
        for bad in ["canary with space", "canary\r\nx: y", "", "canaryü"] {
            let report = Secret::new(bad.to_owned()).unwrap_err().report();
            assert!(!report.contains("canary"), "{report}");
        }
    }
}
