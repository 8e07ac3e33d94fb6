//! What a request asks for. Every member is understood or refused by name.

use axum::http::StatusCode;
use model::chat::ChatRequest;
use model::serve::{ApiError, Fields, messages, stops, usage_wanted};
use serde_json::{Value, json};

use super::MuxApp;
use crate::protocols::{AnswerKind, sampling};

/// Parameters of the protocol that would change answers here and are not supported: null alone is
/// taken.
const UNSUPPORTED: [&str; 8] = [
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "logprobs",
    "top_logprobs",
    "logit_bias",
];

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
    /// Whether the answer is sent as events.
    pub is_stream: bool,
    /// Whether the events end with the numbers of tokens.
    pub has_usage: bool,
}

impl Asked {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// It is no JSON, or a member is missing, wrong, or unknown.
    pub fn read(app: &MuxApp, body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::of_body(body)?;
        let settings = app.settings();
        let missing = || ApiError::parameter("model", "`model` is missing");
        check_model(app, &fields.text("model")?.ok_or_else(missing)?)?;
        let messages = messages(&mut fields)?;
        if messages.iter().any(|message| message.reasoning.is_some()) {
            let message = "the router passes on no traces of thought (`reasoning_content`)";
            return Err(ApiError::unsupported("messages", message));
        }
        let n_max = settings.n_tokens_max;
        let new_name = fields.count("max_completion_tokens", 1, usize::MAX)?;
        let n_tokens = new_name.or(fields.count("max_tokens", 1, usize::MAX)?);
        let temperature = fields.number("temperature", 0.0, 2.0)?;
        let top_p = fields.number("top_p", 0.0, 1.0)?;
        if top_p == Some(0.0) {
            return Err(ApiError::parameter("top_p", "`top_p` must be above 0"));
        }
        let seed = fields.count("seed", 0, usize::MAX)?;
        let seed = seed.map_or(settings.seed, |seed| seed as u64);
        let mut sampling = sampling(temperature.unwrap_or(settings.temperature), seed);
        sampling.top_p = top_p.unwrap_or(1.0);
        let stop = stops(&mut fields)?;
        fields.count("n", 1, 1)?;
        let is_stream = fields.flag("stream")?.unwrap_or(false);
        let has_usage = usage_wanted(&mut fields, is_stream)?;
        let mut asked = Self {
            request: ChatRequest {
                messages,
                n_samples: 1,
                n_tokens_max: n_tokens.unwrap_or(n_max).min(n_max),
                sampling,
                stop,
            },
            k: settings.k,
            early_exit: settings.policy.early_exit,
            answer: settings.answer,
            is_stream,
            has_usage,
        };
        if let Some(mux) = fields.value("mux") {
            asked.options(mux, settings.k_max)?;
        }
        finish(fields)?;
        Ok(asked)
    }

    fn options(&mut self, mux: Value, k_max: usize) -> Result<(), ApiError> {
        let mut fields = Fields::of_value("mux", mux)?;
        if let Some(k) = fields.count("k", 1, k_max)? {
            self.k = k;
        }
        if let Some(early_exit) = fields.flag("early_exit")? {
            self.early_exit = early_exit;
        }
        if let Some(text) = fields.text("answer")? {
            self.answer = text.parse().map_err(|error: eval::Error| {
                ApiError::parameter("mux.answer", error.to_string())
            })?;
        }
        fields.finish()
    }
}

/// Refuses what is left over.
fn finish(mut fields: Fields) -> Result<(), ApiError> {
    for key in ["frequency_penalty", "presence_penalty"] {
        fields.only(key, &[json!(0)])?;
    }
    for key in UNSUPPORTED {
        fields.only(key, &[])?;
    }
    // Who asks has no bearing on the answer; the others are the client's own notes.
    fields.ignore(&["user", "metadata", "safety_identifier"]);
    fields.finish()
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
