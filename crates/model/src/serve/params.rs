//! The parameters that chats and completions share.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::fields::{Fields, wrong};
use super::{ApiError, App};
use crate::generate::{CompletionRequest, Sampling};

/// Stop strings of one request, at most.
const N_STOPS_MAX: usize = 16;
/// Bytes of one stop string, at most.
const N_STOP_BYTES_MAX: usize = 1024;
/// Alternatives per token, at most; OpenAI's own limit for chats.
pub const N_ALTERNATIVES_MAX: usize = 20;

/// How answers are drawn and sent.
#[derive(Debug)]
pub struct Params {
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Answers per prompt.
    pub n_samples: usize,
    /// Texts that end an answer.
    pub stop: Vec<String>,
    /// Send the answer while it is written.
    pub is_stream: bool,
    /// Send the numbers of tokens at the end of a stream.
    pub has_usage: bool,
    /// When the client gets an error instead.
    pub deadline: Instant,
}

impl Params {
    /// Takes the shared parameters.
    ///
    /// # Errors
    /// One has a value that makes no sense or is not supported, or the model is another one.
    pub fn take(app: &App, fields: &mut Fields) -> Result<Self, ApiError> {
        let deadline = Instant::now() + app.limits().answer_wait;
        let model = fields.text("model")?;
        let model = model.ok_or_else(|| ApiError::parameter("model", "`model` is missing"))?;
        check_model(app, &model)?;
        let sampling = Sampling {
            temperature: fields.number("temperature", 0.0, 2.0)?.unwrap_or(1.0),
            top_k: fields.count("top_k", 0, usize::MAX)?.unwrap_or(0),
            top_p: positive(fields, "top_p")?.unwrap_or(1.0),
            min_p: fields.number("min_p", 0.0, 1.0)?.unwrap_or(0.0),
            seed: fields.seed("seed")?.unwrap_or(app.settings().seed),
        };
        let n_max = app.limits().n_samples_max;
        let n_samples = fields.count("n", 1, n_max)?.unwrap_or(1);
        let stop = stops(fields)?;
        let is_stream = fields.flag("stream")?.unwrap_or(false);
        let has_usage = usage_wanted(fields, is_stream)?;
        for key in ["frequency_penalty", "presence_penalty"] {
            fields.only(key, &[json!(0)])?;
        }
        fields.only("logit_bias", &[json!({})])?;
        // Who asks has no bearing on the answer.
        fields.ignore(&["user"]);
        Ok(Self {
            sampling,
            n_samples,
            stop,
            is_stream,
            has_usage,
            deadline,
        })
    }

    /// What the engine is asked for one prompt.
    pub fn request(&self, app: &App, prompt: Vec<u32>, more: More) -> CompletionRequest {
        let n_room = app.n_context().saturating_sub(prompt.len());
        CompletionRequest {
            n_samples: self.n_samples,
            n_tokens_max: more.n_tokens_max.map_or(n_room, |n| n.min(n_room)),
            sampling: self.sampling.clone(),
            stop: self.stop.clone(),
            stop_tokens: app.codec().stop_tokens(),
            n_alternatives: more.n_alternatives,
            prompt,
        }
    }
}

/// What differs between the two kinds of request.
#[derive(Clone, Copy, Debug)]
pub struct More {
    /// Tokens of an answer, at most; none: what the context has room for.
    pub n_tokens_max: Option<usize>,
    /// Alternatives to report with each token.
    pub n_alternatives: usize,
}

/// Refuses another model's name as OpenAI does, with 404.
pub fn check_model(app: &App, model: &str) -> Result<(), ApiError> {
    let ours = &app.settings().model_id;
    if model == ours {
        return Ok(());
    }
    let message = format!(
        "the model `{}` does not exist; this server has `{ours}`",
        model.chars().take(200).collect::<String>().escape_debug()
    );
    let status = axum::http::StatusCode::NOT_FOUND;
    Err(ApiError::refused(status, "model_not_found", message).about("model"))
}

/// Refuses a prompt that is empty or too long.
pub fn check_prompt(app: &App, prompt: &[u32], param: &str) -> Result<(), ApiError> {
    let n_max = app.limits().n_prompt_tokens_max.min(app.n_context() - 1);
    if prompt.is_empty() {
        return Err(ApiError::parameter(param, format!("`{param}` is empty")));
    }
    if prompt.len() > n_max {
        let message = format!(
            "`{param}` has {} tokens, at most {n_max} are allowed (the context has {})",
            prompt.len(),
            app.n_context()
        );
        let error = ApiError::parameter(param, message);
        return Err(error.with_code("context_length_exceeded"));
    }
    Ok(())
}

/// Above 0 and at most 1: a set of probability 0 holds no token.
fn positive(fields: &mut Fields, key: &str) -> Result<Option<f32>, ApiError> {
    match fields.number(key, 0.0, 1.0)? {
        Some(number) if number <= 0.0 => {
            let message = format!("`{key}` must be above 0 and at most 1");
            Err(ApiError::parameter(key, message))
        }
        number => Ok(number),
    }
}

/// The texts that end an answer: the member `stop`, a text or a list of texts.
///
/// # Errors
/// They are too many, too long, empty, or no texts.
pub fn stops(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let values = match fields.value("stop") {
        None => Vec::new(),
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
    };
    if values.len() > N_STOPS_MAX {
        let message = format!("`stop` has {} texts, at most {N_STOPS_MAX}", values.len());
        return Err(ApiError::parameter("stop", message));
    }
    let text = |value: Value| match value {
        Value::String(text) if (1..=N_STOP_BYTES_MAX).contains(&text.len()) => Ok(text),
        Value::String(text) => Err(ApiError::parameter(
            "stop",
            format!(
                "a text of `stop` has {} bytes, not 1 to {N_STOP_BYTES_MAX}",
                text.len()
            ),
        )),
        other => Err(wrong("stop", "a string or an array of strings", &other)),
    };
    values.into_iter().map(text).collect()
}

/// Whether a stream is to end with the numbers of tokens: the member `stream_options`.
///
/// # Errors
/// There is no stream, or an option is not understood.
pub fn usage_wanted(fields: &mut Fields, is_stream: bool) -> Result<bool, ApiError> {
    const KEY: &str = "stream_options";
    let Some(value) = fields.value(KEY) else {
        return Ok(false);
    };
    if !is_stream {
        let message = "`stream_options` goes with `stream: true`";
        return Err(ApiError::parameter(KEY, message));
    }
    let mut options = Fields::of_value(KEY, value)?;
    let has_usage = options.flag("include_usage")?.unwrap_or(false);
    // Padding against listeners on the network has no use on the loopback interface.
    options.only("include_obfuscation", &[json!(false)])?;
    options.finish()?;
    Ok(has_usage)
}
