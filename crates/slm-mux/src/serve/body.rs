//! What a request asks for. Every member is understood or refused by name.

use axum::http::StatusCode;
use model::chat::{ChatRequest, Message, Role};
use model::serve::ApiError;
use serde_json::{Map, Value};

use super::MuxApp;
use crate::protocols::{AnswerKind, sampling};

/// Texts that may end an answer, as OpenAI limits them.
const N_STOPS_MAX: usize = 4;

/// A request as it is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What every member is asked, for one sample.
    pub request: ChatRequest,
    /// Samples of each member.
    pub k: usize,
    /// Whether agreement on the first sample ends it.
    pub early_exit: bool,
    /// How answers are read.
    pub answer: AnswerKind,
}

impl Asked {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// It is no JSON, or a member is missing, wrong, or unknown.
    pub fn read(app: &MuxApp, body: &[u8]) -> Result<Self, ApiError> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|cause| ApiError::invalid(format!("the body is not JSON: {cause}")))?;
        let Value::Object(members) = value else {
            return Err(ApiError::invalid("the body must be a JSON object"));
        };
        let mut fields = Fields { path: "", members };
        let settings = app.settings();
        check_model(app, &fields.text("model")?.ok_or_else(|| missing("model"))?)?;
        let messages = messages(&mut fields)?;
        let n_max = settings.n_tokens_max as u64;
        let new_name = fields.count("max_completion_tokens", 1, u64::MAX)?;
        let n_tokens = new_name.or(fields.count("max_tokens", 1, u64::MAX)?);
        let temperature = fields.number("temperature", 2.0)?;
        let top_p = fields.number("top_p", 1.0)?;
        if top_p == Some(0.0) {
            return Err(ApiError::parameter("top_p", "`top_p` must be above 0"));
        }
        let seed = fields.count("seed", 0, u64::MAX)?.unwrap_or(settings.seed);
        let mut sampling = sampling(
            temperature.unwrap_or(f64::from(settings.temperature)) as f32,
            seed,
        );
        sampling.top_p = top_p.unwrap_or(1.0) as f32;
        let stop = stops(&mut fields)?;
        fields.count("n", 1, 1)?;
        if fields.flag("stream")? == Some(true) {
            return Err(ApiError::unsupported(
                "stream",
                "an answer is known only when all votes are in: `stream` must be false",
            ));
        }
        // Who asks has no bearing on the answer.
        fields.members.remove("user");
        let mux = fields.take("mux");
        fields.end()?;
        let mut asked = Self {
            request: ChatRequest {
                messages,
                n_samples: 1,
                n_tokens_max: n_tokens.unwrap_or(n_max).min(n_max) as usize,
                sampling,
                stop,
            },
            k: settings.k,
            early_exit: settings.policy.early_exit,
            answer: settings.answer,
        };
        asked.options(mux, settings.k_max)?;
        Ok(asked)
    }

    fn options(&mut self, mux: Option<Value>, k_max: usize) -> Result<(), ApiError> {
        let members = match mux {
            None => return Ok(()),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(wrong("mux", "an object")),
        };
        let mut fields = Fields {
            path: "mux.",
            members,
        };
        if let Some(k) = fields.count("k", 1, k_max as u64)? {
            self.k = k as usize;
        }
        if let Some(early_exit) = fields.flag("early_exit")? {
            self.early_exit = early_exit;
        }
        if let Some(text) = fields.text("answer")? {
            self.answer = text.parse().map_err(|error: eval::Error| {
                ApiError::parameter("mux.answer", error.to_string())
            })?;
        }
        fields.end()
    }
}

/// Refuses another model's name as OpenAI does, with 404.
pub fn check_model(app: &MuxApp, model: &str) -> Result<(), ApiError> {
    let ours = &app.settings().model_id;
    if model == ours {
        return Ok(());
    }
    let name: String = model.chars().take(200).collect();
    let message = format!(
        "the model `{}` does not exist; this router is `{ours}`",
        name.escape_debug()
    );
    let error = ApiError::refused(StatusCode::NOT_FOUND, "model_not_found", message);
    Err(error.about("model"))
}

fn missing(name: &str) -> ApiError {
    ApiError::parameter(name, format!("`{name}` is missing"))
}

fn wrong(name: &str, expected: &str) -> ApiError {
    ApiError::parameter(name, format!("`{name}` must be {expected}"))
}

/// Members of an object, taken one by one. A member that is null counts as absent.
struct Fields {
    path: &'static str,
    members: Map<String, Value>,
}

impl Fields {
    fn take(&mut self, key: &str) -> Option<Value> {
        self.members.remove(key).filter(|value| !value.is_null())
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(&self.name(key), "a string")),
        }
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(&self.name(key), "a boolean")),
        }
    }

    fn count(&mut self, key: &str, min: u64, max: u64) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let count = value.as_u64().filter(|count| (min..=max).contains(count));
        match count {
            Some(count) => Ok(Some(count)),
            None => {
                let expected = format!("a whole number from {min} to {max}");
                Err(wrong(&self.name(key), &expected))
            }
        }
    }

    /// A number from 0 to `max`.
    fn number(&mut self, key: &str, max: f64) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match value.as_f64().filter(|x| (0.0..=max).contains(x)) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(&self.name(key), &format!("a number from 0 to {max}"))),
        }
    }

    /// Refuses what is left over.
    fn end(self) -> Result<(), ApiError> {
        match self.members.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((key, _)) => {
                let key: String = key.chars().take(100).collect();
                let name = format!("{}{key}", self.path);
                let message = format!("this router has no parameter `{}`", name.escape_debug());
                Err(ApiError::unsupported(name, message))
            }
        }
    }
}

fn messages(fields: &mut Fields) -> Result<Vec<Message>, ApiError> {
    let values = match fields.take("messages") {
        None => return Err(missing("messages")),
        Some(Value::Array(values)) if !values.is_empty() => values,
        Some(_) => return Err(wrong("messages", "an array that is not empty")),
    };
    values
        .into_iter()
        .enumerate()
        .map(|(idx, value)| message(idx, value))
        .collect()
}

fn message(idx: usize, value: Value) -> Result<Message, ApiError> {
    let name = |key: &str| format!("messages[{idx}]{key}");
    let Value::Object(mut members) = value else {
        return Err(wrong(&name(""), "an object"));
    };
    let role = match members.remove("role").as_ref().and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => {
            let roles = "`system`, `developer`, `user`, or `assistant`";
            return Err(wrong(&name(".role"), roles));
        }
    };
    let expected = "a string or an array of text parts";
    let content = match members.remove("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => {
            let texts = parts.iter().map(|part| {
                let is_text = part.get("type").and_then(Value::as_str) == Some("text");
                let text = part.get("text").and_then(Value::as_str);
                text.filter(|_| is_text)
            });
            let texts: Option<String> = texts.collect();
            texts.ok_or_else(|| wrong(&name(".content"), expected))?
        }
        _ => return Err(wrong(&name(".content"), expected)),
    };
    // A name and a refusal of an earlier turn say nothing to the members.
    for key in ["name", "refusal"] {
        members.remove(key);
    }
    match members.iter().find(|(_, value)| !value.is_null()) {
        None => Ok(Message::new(role, content)),
        Some((key, _)) => {
            let param = name(&format!(".{}", key.escape_debug()));
            let message = format!("this router has no parameter `{param}`");
            Err(ApiError::unsupported(param, message))
        }
    }
}

fn stops(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let values = match fields.take("stop") {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
    };
    let expected = format!("a text, or at most {N_STOPS_MAX} texts, none of them empty");
    let texts: Option<Vec<String>> = values
        .iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect();
    texts
        .filter(|texts| texts.len() <= N_STOPS_MAX && texts.iter().all(|t| !t.is_empty()))
        .ok_or_else(|| wrong("stop", &expected))
}
