//! `POST /v1/completions`.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::answer::{Answer, Step, finish_reason};
use super::app::AnswerId;
use super::assemble::Piece;
use super::fields::{Fields, wrong};
use super::logprobs::{CompletionLogprobs, Listed};
use super::params::{More, N_ALTERNATIVES_MAX, Params, check_prompt};
use super::sse::{self, Shape, usage};
use super::{ApiError, App, Codec, Encoded};
use crate::generate::{Finish, Score, ScoreRequest, TokenLogprob};

/// Tokens of an answer, unless the request says otherwise; OpenAI's own number.
const N_TOKENS_MAX: usize = 16;

/// A request that was understood.
struct Body {
    params: Params,
    prompts: Vec<Prompt>,
    more: More,
    is_echo: bool,
    n_logprobs: Option<usize>,
}

/// A prompt as it was given.
#[derive(Debug)]
enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
}

/// Continues texts.
pub async fn answer(app: App, body: &[u8]) -> Result<Response, ApiError> {
    let body = parse(&app, Fields::of_body(body)?)?;
    let prompts = encode(&app, body.prompts).await?;
    for prompt in &prompts {
        check_prompt(&app, &prompt.ids, "prompt")?;
    }
    let requests = match body.more.n_tokens_max {
        Some(0) => Vec::new(),
        _ => prompts
            .iter()
            .map(|prompt| body.params.request(&app, prompt.ids.clone(), body.more))
            .collect(),
    };
    let is_scored = body.is_echo && body.n_logprobs.is_some();
    let scores: Vec<ScoreRequest> = match is_scored {
        true => prompts.iter().filter_map(score_of).collect(),
        false => Vec::new(),
    };
    let n_choices = prompts.len() * body.params.n_samples;
    let is_echo_at_start = body.is_echo && scores.is_empty();
    let answer = Answer::start(&app, requests, scores, body.params.deadline)?;
    let shape = CompletionShape {
        id: app.new_answer("cmpl"),
        codec: Arc::clone(app.codec()),
        is_echo_at_start,
        is_echo_only: body.more.n_tokens_max == Some(0),
        is_scored,
        n_samples: body.params.n_samples,
        n_logprobs: body.n_logprobs,
        has_usage: body.params.has_usage,
        counters: (0..n_choices)
            .map(|_| CompletionLogprobs::default())
            .collect(),
        prompts,
    };
    match body.params.is_stream {
        true => sse::stream(answer, Box::new(shape)).await,
        false => whole(answer, shape, body.is_echo).await,
    }
}

fn parse(app: &App, mut fields: Fields) -> Result<Body, ApiError> {
    let params = Params::take(app, &mut fields)?;
    let prompts = match fields.value("prompt") {
        Some(value) => prompts(value)?,
        None => return Err(ApiError::parameter("prompt", "`prompt` is missing")),
    };
    let (n_all, n_max) = (prompts.len() * params.n_samples, app.limits().n_samples_max);
    if n_all > n_max {
        let message = format!("{n_all} answers are asked for (prompts times `n`), at most {n_max}");
        return Err(ApiError::parameter("n", message));
    }
    let n_tokens_max = fields.count("max_tokens", 0, usize::MAX)?;
    let n_tokens_max = n_tokens_max.unwrap_or(N_TOKENS_MAX);
    let is_echo = fields.flag("echo")?.unwrap_or(false);
    if n_tokens_max == 0 && !is_echo {
        let message = "`max_tokens: 0` goes with `echo: true` only";
        return Err(ApiError::parameter("max_tokens", message));
    }
    let n_logprobs = fields.count("logprobs", 0, N_ALTERNATIVES_MAX)?;
    if is_echo && n_logprobs.is_some_and(|n| n > 0) {
        let message = "with `echo`, only `logprobs: 0` is supported: the alternatives to the \
                       tokens of a prompt are not computed";
        return Err(ApiError::unsupported("logprobs", message));
    }
    fields.only("best_of", &[json!(params.n_samples)])?;
    fields.only("suffix", &[json!("")])?;
    fields.finish()?;
    Ok(Body {
        params,
        prompts,
        more: More {
            n_tokens_max: Some(n_tokens_max),
            n_alternatives: n_logprobs.unwrap_or(0),
        },
        is_echo,
        n_logprobs,
    })
}

/// A text, token ids, or a list of either.
fn prompts(value: Value) -> Result<Vec<Prompt>, ApiError> {
    const EXPECTED: &str = "a string, an array of strings, or one or more arrays of token ids";
    match value {
        Value::String(text) => Ok(vec![Prompt::Text(text)]),
        Value::Array(values) if values.is_empty() => {
            Err(ApiError::parameter("prompt", "`prompt` is empty"))
        }
        Value::Array(values) if values.iter().all(Value::is_number) => Ok(vec![tokens(&values)?]),
        Value::Array(values) => values
            .into_iter()
            .map(|value| match value {
                Value::String(text) => Ok(Prompt::Text(text)),
                Value::Array(ids) => tokens(&ids),
                other => Err(wrong("prompt", EXPECTED, &other)),
            })
            .collect(),
        other => Err(wrong("prompt", EXPECTED, &other)),
    }
}

fn tokens(values: &[Value]) -> Result<Prompt, ApiError> {
    let id = |value: &Value| {
        value
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| wrong("prompt", "made of token ids", value))
    };
    values
        .iter()
        .map(id)
        .collect::<Result<_, _>>()
        .map(Prompt::Tokens)
}

/// Token ids of the prompts. Long texts take a while: not on the server's threads.
async fn encode(app: &App, prompts: Vec<Prompt>) -> Result<Vec<Encoded>, ApiError> {
    let codec = Arc::clone(app.codec());
    let encode = move |prompt| match prompt {
        Prompt::Text(text) => codec
            .encode(&text)
            .map_err(|error| ApiError::parameter("prompt", error.to_string())),
        Prompt::Tokens(ids) => match ids.iter().find(|id| codec.token_bytes(**id).is_none()) {
            Some(id) => {
                let message = format!("the model has no token {id}");
                Err(ApiError::parameter("prompt", message))
            }
            None => Ok(Encoded { ids, n_added: 0 }),
        },
    };
    tokio::task::spawn_blocking(move || prompts.into_iter().map(encode).collect())
        .await
        .map_err(|_| ApiError::internal("the tokenizer failed unexpectedly"))?
}

/// Where the tokens of a prompt begin that have a log-probability: something must stand before.
fn scored_from(prompt: &Encoded) -> usize {
    prompt.n_added.max(1)
}

fn score_of(prompt: &Encoded) -> Option<ScoreRequest> {
    let (before, after) = prompt.ids.split_at_checked(scored_from(prompt))?;
    (!after.is_empty()).then(|| ScoreRequest {
        prompt: before.to_vec(),
        continuations: vec![after.to_vec()],
    })
}

/// The documents of one answer.
struct CompletionShape {
    id: AnswerId,
    codec: Arc<dyn Codec>,
    prompts: Vec<Encoded>,
    n_samples: usize,
    n_logprobs: Option<usize>,
    has_usage: bool,
    /// The prompts stand in the answer, and nothing has to be scored for that.
    is_echo_at_start: bool,
    /// Nothing is drawn.
    is_echo_only: bool,
    is_scored: bool,
    counters: Vec<CompletionLogprobs>,
}

impl CompletionShape {
    fn document(&self, choices: &[Value]) -> Value {
        json!({
            "id": self.id.id,
            "object": "text_completion",
            "created": self.id.created_s,
            "model": self.id.model,
            "choices": choices,
        })
    }

    fn chunk(&self, choice: Value) -> Value {
        let mut chunk = self.document(&[choice]);
        if self.has_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn n_prompt(&self) -> usize {
        self.prompts.iter().map(|prompt| prompt.ids.len()).sum()
    }

    fn logprobs(&mut self, index: usize, tokens: &[TokenLogprob]) -> Value {
        let Some(n_logprobs) = self.n_logprobs else {
            return Value::Null;
        };
        let listed: Vec<Listed<'_>> = tokens
            .iter()
            .map(|token| {
                let alternatives = (n_logprobs > 0).then_some(token.alternatives.as_slice());
                (token.id, Some(token.logprob), alternatives)
            })
            .collect();
        self.counters[index].of(self.codec.as_ref(), &listed)
    }

    /// Text and log-probabilities of each choice's prompt, choice by choice.
    fn echoes(&mut self, scores: &[Score]) -> Vec<(String, Value)> {
        let mut scores = scores.iter();
        let mut echoes = Vec::new();
        for (prompt_idx, prompt) in self.prompts.iter().enumerate() {
            let shown = &prompt.ids[prompt.n_added..];
            let bytes = shown.iter().filter_map(|id| self.codec.token_bytes(*id));
            let bytes: Vec<u8> = bytes.flatten().collect();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let score = score_of(prompt)
                .filter(|_| self.is_scored)
                .and_then(|_| scores.next());
            let known = score.and_then(|score| score.logprobs.first());
            let mut known = known.into_iter().flatten().copied();
            let listed: Vec<Listed<'_>> = (prompt.n_added..)
                .zip(shown)
                .map(|(place, id)| {
                    let is_scored = place >= scored_from(prompt);
                    (*id, is_scored.then(|| known.next()).flatten(), None)
                })
                .collect();
            for sample in 0..self.n_samples {
                let counter = &mut self.counters[prompt_idx * self.n_samples + sample];
                let logprobs = match self.n_logprobs {
                    Some(_) => counter.of(self.codec.as_ref(), &listed),
                    None => Value::Null,
                };
                echoes.push((text.clone(), logprobs));
            }
        }
        echoes
    }

    fn echo_chunks(&mut self, scores: &[Score]) -> Vec<Value> {
        let finish = self.is_echo_only.then(|| finish_reason(Finish::Length));
        let echoes = self.echoes(scores).into_iter().enumerate();
        echoes
            .map(|(index, (text, logprobs))| {
                self.chunk(json!({
                    "index": index,
                    "text": text,
                    "logprobs": logprobs,
                    "finish_reason": finish,
                }))
            })
            .collect()
    }
}

impl Shape for CompletionShape {
    fn start(&mut self) -> Vec<Value> {
        match self.is_echo_at_start {
            true => self.echo_chunks(&[]),
            false => Vec::new(),
        }
    }

    fn scored(&mut self, scores: &[Score]) -> Vec<Value> {
        self.echo_chunks(scores)
    }

    fn piece(&mut self, index: usize, piece: &Piece) -> Value {
        let logprobs = self.logprobs(index, &piece.tokens);
        self.chunk(json!({
            "index": index,
            "text": piece.text,
            "logprobs": logprobs,
            "finish_reason": null,
        }))
    }

    fn finished(&mut self, index: usize, finish: Finish) -> Value {
        self.chunk(json!({
            "index": index,
            "text": "",
            "logprobs": null,
            "finish_reason": finish_reason(finish),
        }))
    }

    fn end(&mut self, n_generated: usize) -> Option<Value> {
        self.has_usage.then(|| {
            let mut chunk = self.document(&[]);
            chunk["usage"] = usage(self.n_prompt(), n_generated);
            chunk
        })
    }
}

/// One choice while it is gathered.
#[derive(Clone)]
struct Choice {
    text: String,
    echo_logprobs: Value,
    tokens: Vec<TokenLogprob>,
    finish: Finish,
}

async fn whole(
    mut answer: Answer,
    mut shape: CompletionShape,
    is_echo: bool,
) -> Result<Response, ApiError> {
    let empty = Choice {
        text: String::new(),
        echo_logprobs: Value::Null,
        tokens: Vec::new(),
        finish: Finish::Length,
    };
    let mut choices = vec![empty; shape.counters.len()];
    let mut scores = Vec::new();
    let n_generated = loop {
        match answer.next().await? {
            Step::Scores(of_prompts) => scores = of_prompts,
            Step::Piece(index, piece) => {
                choices[index].text.push_str(&piece.text);
                choices[index].tokens.extend(piece.tokens);
            }
            Step::Finished(index, finish) => choices[index].finish = finish,
            Step::End(n_generated) => break n_generated,
        }
    };
    if is_echo {
        let echoes = shape.echoes(&scores);
        for (choice, (text, logprobs)) in choices.iter_mut().zip(echoes) {
            choice.text.insert_str(0, &text);
            choice.echo_logprobs = logprobs;
        }
    }
    let choices: Vec<Value> = choices
        .into_iter()
        .enumerate()
        .map(|(index, choice)| {
            let logprobs = shape.logprobs(index, &choice.tokens);
            json!({
                "index": index,
                "text": choice.text,
                "logprobs": joined(choice.echo_logprobs, logprobs),
                "finish_reason": finish_reason(choice.finish),
            })
        })
        .collect();
    let mut document = shape.document(&choices);
    document["usage"] = usage(shape.n_prompt(), n_generated);
    Ok(sse::json_response(&document))
}

/// The log-probabilities of a prompt followed by those of its continuation, list by list.
fn joined(mut first: Value, second: Value) -> Value {
    let Value::Object(lists) = &mut first else {
        return second;
    };
    if let Value::Object(more) = second {
        for (key, list) in more {
            if let (Some(Value::Array(all)), Value::Array(list)) = (lists.get_mut(&key), list) {
                all.extend(list);
            }
        }
    }
    first
}
