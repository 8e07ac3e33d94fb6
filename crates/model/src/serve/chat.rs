//! `POST /v1/chat/completions`.

use axum::response::Response;
use serde_json::{Value, json};

use super::answer::{Answer, Step, finish_reason};
use super::app::AnswerId;
use super::assemble::Piece;
use super::fields::{Fields, wrong};
use super::logprobs;
use super::params::{More, N_ALTERNATIVES_MAX, Params, check_prompt};
use super::sse::{self, Shape, usage};
use super::{ApiError, App};
use crate::chat::{Message, Role};
use crate::generate::{Finish, TokenLogprob};

/// A request that was understood.
struct ChatBody {
    params: Params,
    messages: Vec<Message>,
    more: More,
    has_logprobs: bool,
}

/// Answers a conversation.
pub async fn answer(app: App, body: &[u8]) -> Result<Response, ApiError> {
    let body = parse(&app, Fields::of_body(body)?)?;
    let prompt = encode(&app, body.messages).await?;
    check_prompt(&app, &prompt, "messages")?;
    let n_prompt = prompt.len();
    let request = body.params.request(&app, prompt, body.more);
    let answer = Answer::start(&app, vec![request], Vec::new(), body.params.deadline)?;
    let shape = ChatShape {
        id: app.new_answer("chatcmpl"),
        n_choices: body.params.n_samples,
        n_prompt,
        has_logprobs: body.has_logprobs,
        has_usage: body.params.has_usage,
        app,
    };
    match body.params.is_stream {
        true => sse::stream(answer, Box::new(shape)).await,
        false => whole(answer, &shape).await,
    }
}

fn parse(app: &App, mut fields: Fields) -> Result<ChatBody, ApiError> {
    let params = Params::take(app, &mut fields)?;
    let n_tokens_max = tokens_max(&mut fields)?;
    let has_logprobs = fields.flag("logprobs")?.unwrap_or(false);
    let n_alternatives = fields.count("top_logprobs", 0, N_ALTERNATIVES_MAX)?;
    if n_alternatives.is_some() && !has_logprobs {
        let message = "`top_logprobs` goes with `logprobs: true`";
        return Err(ApiError::parameter("top_logprobs", message));
    }
    response_format(&mut fields)?;
    let messages = messages(&mut fields)?;
    for key in ["tools", "functions"] {
        fields.only(key, &[json!([])])?;
    }
    for key in ["tool_choice", "function_call"] {
        fields.only(key, &[json!("none")])?;
    }
    fields.only("store", &[json!(false)])?;
    fields.only("modalities", &[json!(["text"])])?;
    fields.only("service_tier", &[json!("auto"), json!("default")])?;
    // Without tools it changes nothing; the other two are the client's own notes.
    fields.ignore(&["parallel_tool_calls", "metadata", "safety_identifier"]);
    fields.finish()?;
    Ok(ChatBody {
        params,
        messages,
        more: More {
            n_tokens_max,
            n_alternatives: n_alternatives.unwrap_or(0),
        },
        has_logprobs,
    })
}

/// The limit on tokens under its two names.
fn tokens_max(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    let old = fields.count("max_tokens", 1, usize::MAX)?;
    let new = fields.count("max_completion_tokens", 1, usize::MAX)?;
    match (old, new) {
        (Some(old), Some(new)) if old != new => Err(ApiError::parameter(
            "max_tokens",
            "`max_tokens` and `max_completion_tokens` contradict each other",
        )),
        (old, new) => Ok(new.or(old)),
    }
}

fn response_format(fields: &mut Fields) -> Result<(), ApiError> {
    let Some(value) = fields.value("response_format") else {
        return Ok(());
    };
    let mut format = Fields::of_value("response_format", value)?;
    format.only("type", &[json!("text")])?;
    format.finish()
}

/// The conversation of a request: its member `messages`, which must be there.
///
/// # Errors
/// There is none, or a message has no role or content, or a member that is not understood.
pub fn messages(fields: &mut Fields) -> Result<Vec<Message>, ApiError> {
    let messages = fields
        .list("messages")?
        .ok_or_else(|| ApiError::parameter("messages", "`messages` is missing"))?;
    if messages.is_empty() {
        return Err(ApiError::parameter("messages", "`messages` is empty"));
    }
    let messages = messages.into_iter().enumerate();
    let messages = messages.map(|(i, value)| message(&format!("messages[{i}]"), value));
    messages.collect()
}

fn message(path: &str, value: Value) -> Result<Message, ApiError> {
    let mut fields = Fields::of_value(path, value)?;
    let role = match fields.text("role")?.as_deref() {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        _ => {
            let param = fields.name("role");
            let roles = "`system`, `developer`, `user`, `assistant`, or `tool`";
            let message = format!("`{param}` must be {roles}");
            return Err(ApiError::parameter(param, message));
        }
    };
    let name = fields.name("content");
    let content = match fields.value("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => text_of_parts(&name, parts)?,
        Some(other) => return Err(wrong(&name, "a string or an array of parts", &other)),
        None => return Err(ApiError::parameter(&name, format!("`{name}` is missing"))),
    };
    let reasoning = match role {
        Role::Assistant => fields.text("reasoning_content")?,
        Role::System | Role::User | Role::Tool => None,
    };
    if role == Role::Tool {
        // The template knows the result by its place, not by its identity.
        fields.ignore(&["tool_call_id"]);
    }
    fields.only("tool_calls", &[json!([])])?;
    for key in ["refusal", "annotations", "audio", "function_call"] {
        fields.only(key, &[json!([])])?;
    }
    fields.finish()?;
    Ok(Message {
        role,
        content,
        reasoning,
    })
}

/// The texts of content parts, one after another.
fn text_of_parts(path: &str, parts: Vec<Value>) -> Result<String, ApiError> {
    let mut whole = String::new();
    for (i, part) in parts.into_iter().enumerate() {
        let mut fields = Fields::of_value(&format!("{path}[{i}]"), part)?;
        fields.only("type", &[json!("text")])?;
        let param = fields.name("text");
        let text = fields.text("text")?;
        whole.push_str(&text.ok_or_else(|| {
            let message = format!("`{param}` is missing");
            ApiError::parameter(param, message)
        })?);
        fields.finish()?;
    }
    Ok(whole)
}

/// Rendering and tokenising take a while for a long conversation: not on the server's threads.
async fn encode(app: &App, messages: Vec<Message>) -> Result<Vec<u32>, ApiError> {
    if !app.codec().has_chat() {
        let message = format!(
            "the model `{}` has no chat template; use /v1/completions",
            app.settings().model_id
        );
        return Err(ApiError::parameter("model", message).with_code("no_chat_template"));
    }
    let codec = app.codec().clone();
    tokio::task::spawn_blocking(move || codec.encode_chat(&messages))
        .await
        .map_err(|_| ApiError::internal("the chat template failed unexpectedly"))?
        .map_err(|error| ApiError::parameter("messages", error.to_string()))
}

/// The documents of one answer.
struct ChatShape {
    app: App,
    id: AnswerId,
    n_choices: usize,
    n_prompt: usize,
    has_logprobs: bool,
    has_usage: bool,
}

impl ChatShape {
    fn logprobs(&self, tokens: &[TokenLogprob]) -> Value {
        match self.has_logprobs {
            true => logprobs::of_chat(self.app.codec().as_ref(), tokens),
            false => Value::Null,
        }
    }

    fn document(&self, object: &str, choices: &[Value]) -> Value {
        json!({
            "id": self.id.id,
            "object": object,
            "created": self.id.created_s,
            "model": self.id.model,
            "choices": choices,
        })
    }

    fn chunk(&self, choices: &[Value]) -> Value {
        let mut chunk = self.document("chat.completion.chunk", choices);
        if self.has_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}

impl Shape for ChatShape {
    fn start(&mut self) -> Vec<Value> {
        let role = |index: usize| {
            let delta = json!({ "role": "assistant", "content": "" });
            let choice = json!({
                "index": index, "delta": delta, "logprobs": null, "finish_reason": null,
            });
            self.chunk(&[choice])
        };
        (0..self.n_choices).map(role).collect()
    }

    fn piece(&mut self, index: usize, piece: &Piece) -> Value {
        self.chunk(&[json!({
            "index": index,
            "delta": { "content": piece.text },
            "logprobs": self.logprobs(&piece.tokens),
            "finish_reason": null,
        })])
    }

    fn finished(&mut self, index: usize, finish: Finish) -> Value {
        self.chunk(&[json!({
            "index": index,
            "delta": {},
            "logprobs": null,
            "finish_reason": finish_reason(finish),
        })])
    }

    fn end(&mut self, n_generated: usize) -> Option<Value> {
        self.has_usage.then(|| {
            let mut chunk = self.document("chat.completion.chunk", &[]);
            chunk["usage"] = usage(self.n_prompt, n_generated);
            chunk
        })
    }
}

async fn whole(mut answer: Answer, shape: &ChatShape) -> Result<Response, ApiError> {
    let mut pieces = vec![Piece::default(); shape.n_choices];
    let mut reasons = vec![Finish::Length; shape.n_choices];
    loop {
        match answer.next().await? {
            Step::Scores(_) => {}
            Step::Piece(index, piece) => {
                pieces[index].text.push_str(&piece.text);
                pieces[index].tokens.extend(piece.tokens);
            }
            Step::Finished(index, finish) => reasons[index] = finish,
            Step::End(n_generated) => {
                let choices = pieces.iter().zip(&reasons).enumerate();
                let choices = choices.map(|(index, (piece, finish))| {
                    let content = &piece.text;
                    json!({
                        "index": index,
                        "message": { "role": "assistant", "content": content, "refusal": null },
                        "logprobs": shape.logprobs(&piece.tokens),
                        "finish_reason": finish_reason(*finish),
                    })
                });
                let mut document = shape.document("chat.completion", &choices.collect::<Vec<_>>());
                document["usage"] = usage(shape.n_prompt, n_generated);
                return Ok(sse::json_response(&document));
            }
        }
    }
}
