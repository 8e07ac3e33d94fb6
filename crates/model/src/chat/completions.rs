//! The older protocol that continues a text (`/v1/completions`), with log-probabilities.

use std::collections::BTreeMap;

use eval::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::budget::Tokens;
use super::endpoint::{Endpoint, Job};
use super::interface::ChatUsage;
use super::protocol::{Decoded, RawUsage, WireSampling, bad_answer, finish, parse, said};
use super::quote::Quoter;
use crate::generate::{Finish, Sampling};

const PATH: &str = "completions";

/// A text to continue once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRequest {
    /// The text.
    pub prompt: String,
    /// Tokens at most.
    pub n_tokens_max: usize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Texts that end the continuation.
    pub stop: Vec<String>,
    /// Alternatives to report with each token; 0 asks for no log-probabilities.
    pub n_alternatives: usize,
    /// Repeat the prompt in the answer, so that its tokens are scored too; not every server can.
    pub echo: bool,
}

/// A continuation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextAnswer {
    /// The model, as it names itself.
    pub model: String,
    /// The text, after the prompt if that was to be repeated.
    pub text: String,
    /// Its tokens, where log-probabilities were asked for.
    pub tokens: Vec<TextToken>,
    /// Why it ended.
    pub finish: Finish,
    /// What it took.
    pub usage: ChatUsage,
    /// As [`super::ChatAnswer::attempts`].
    pub attempts: u32,
}

/// A token as the server spells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextToken {
    /// Its text; bytes that are no text alone are spelled as the server likes.
    pub text: String,
    /// Natural logarithm of its probability, in nats; none for the first token of a prompt.
    pub logprob: Option<f64>,
    /// Likely tokens at this place, most likely first; equal ones by their text.
    pub alternatives: Vec<(String, f64)>,
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    prompt: &'a str,
    n: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<usize>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    echo: bool,
    #[serde(flatten)]
    sampling: WireSampling<'a>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct RawAnswer {
    model: Option<String>,
    choices: Option<Vec<RawChoice>>,
    usage: Option<RawUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct RawChoice {
    text: Option<String>,
    finish_reason: Option<String>,
    logprobs: Option<RawLogprobs>,
}

/// The older protocol's parallel arrays, or (llama.cpp) the list of the chat protocol.
#[derive(Deserialize)]
struct RawLogprobs {
    tokens: Option<Vec<String>>,
    token_logprobs: Option<Vec<Option<f64>>>,
    top_logprobs: Option<Vec<Option<BTreeMap<String, f64>>>>,
    content: Option<Vec<RawToken>>,
}

#[derive(Deserialize)]
struct RawToken {
    token: String,
    logprob: Option<f64>,
    top_logprobs: Option<Vec<RawAlternative>>,
}

#[derive(Deserialize)]
struct RawAlternative {
    token: String,
    logprob: Option<f64>,
}

impl Endpoint {
    /// Continues a text. Limits, repetition, cache, and account are those of chats.
    ///
    /// # Errors
    /// As [`super::ChatModel::chat`]; log-probabilities were asked for and did not come.
    pub async fn complete_text(&self, request: &TextRequest) -> Result<TextAnswer> {
        if request.n_tokens_max == 0 && !request.echo {
            return Err(Error::usage(
                "the text request makes no sense: n_tokens_max = 0 without `echo`",
            ));
        }
        let settings = self.settings();
        let TextRequest {
            sampling,
            n_tokens_max,
            stop,
            ..
        } = request;
        let body = WireRequest {
            model: &settings.model,
            prompt: &request.prompt,
            n: 1,
            logprobs: (request.n_alternatives > 0).then_some(request.n_alternatives),
            echo: request.echo,
            sampling: WireSampling::new(settings, sampling, *n_tokens_max, stop),
            extra: &settings.extra,
        };
        let body = serde_json::to_vec(&body)
            .map_err(|cause| Error::internal("cannot encode a request").caused_by(cause))?;
        let wants_tokens = request.n_alternatives > 0;
        let job = Job {
            path: PATH,
            body,
            request,
            tokens: Tokens::of(request.prompt.len() as u64 + 1, 1, request.n_tokens_max),
            decode: &|body, quoter| decode(body, wants_tokens, quoter),
        };
        let mut attempts = Vec::new();
        let (mut answer, is_cached) = self.run(&job, &mut attempts).await?;
        let usage = &mut answer.usage;
        usage.cost_usd = self.account.cost_usd(Tokens {
            n_prompt: usage.n_prompt,
            n_generated: usage.n_generated,
        });
        answer.attempts = if is_cached { 0 } else { attempts.len() as u32 };
        Ok(answer)
    }
}

fn decode(body: &[u8], wants_tokens: bool, quoter: Quoter<'_>) -> Result<Decoded<TextAnswer>> {
    let raw: RawAnswer = parse(body, quoter)?;
    let choice = match (raw.choices.map(|mut choices| choices.pop()), raw.error) {
        (Some(Some(choice)), _) => choice,
        (_, Some(error)) => return Err(bad_answer(said(&error, quoter))),
        (Some(None), None) => return Err(bad_answer("`choices` is empty")),
        (None, None) => return Err(bad_answer("`choices` is missing")),
    };
    let text = choice
        .text
        .ok_or_else(|| bad_answer("a choice has no `text`"))?;
    let tokens = match choice.logprobs {
        Some(logprobs) if wants_tokens => decode_tokens(logprobs, quoter)?,
        None if wants_tokens => {
            return Err(bad_answer(
                "log-probabilities were asked for and did not come",
            ));
        }
        Some(_) | None => Vec::new(),
    };
    let usage = RawUsage::count(raw.usage.as_ref());
    let answer = TextAnswer {
        model: quoter.scrub(raw.model.unwrap_or_default()),
        text: quoter.scrub(text),
        tokens,
        finish: finish(choice.finish_reason.as_deref(), quoter)?,
        usage: usage.unwrap_or_default(),
        attempts: 0,
    };
    Ok(Decoded { answer, usage })
}

fn decode_tokens(raw: RawLogprobs, quoter: Quoter<'_>) -> Result<Vec<TextToken>> {
    if let Some(content) = raw.content {
        let token = |raw: RawToken| TextToken {
            text: quoter.scrub(raw.token),
            logprob: raw.logprob,
            alternatives: sorted(
                raw.top_logprobs
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|other| Some((quoter.scrub(other.token), other.logprob?))),
            ),
        };
        return Ok(content.into_iter().map(token).collect());
    }
    let (Some(texts), Some(logprobs)) = (raw.tokens, raw.token_logprobs) else {
        return Err(bad_answer("`logprobs` has neither `tokens` nor `content`"));
    };
    let top = raw.top_logprobs.unwrap_or_default();
    if texts.len() != logprobs.len() || !(top.is_empty() || top.len() == texts.len()) {
        return Err(bad_answer(format!(
            "`logprobs` has {} tokens, {} log-probabilities, and {} lists of alternatives",
            texts.len(),
            logprobs.len(),
            top.len()
        )));
    }
    let mut top = top.into_iter();
    let token = |(text, logprob)| TextToken {
        text: quoter.scrub(text),
        logprob,
        alternatives: sorted(
            top.next()
                .flatten()
                .unwrap_or_default()
                .into_iter()
                .map(|(text, logprob)| (quoter.scrub(text), logprob)),
        ),
    };
    Ok(texts.into_iter().zip(logprobs).map(token).collect())
}

fn sorted(alternatives: impl Iterator<Item = (String, f64)>) -> Vec<(String, f64)> {
    let mut alternatives: Vec<_> = alternatives.collect();
    alternatives.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    alternatives
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<TextAnswer> {
        decode(body.as_bytes(), true, Quoter(None)).map(|decoded| decoded.answer)
    }

    #[test]
    fn both_spellings_of_log_probabilities_read_the_same() {
        let arrays = r#"{"choices": [{"text": "ab", "finish_reason": "length", "logprobs":
            {"tokens": ["a", "b"], "token_logprobs": [null, -0.5],
             "top_logprobs": [null, {"c": -2.0, "b": -0.5}], "text_offset": [0, 1]}}]}"#;
        let list = r#"{"choices": [{"text": "ab", "finish_reason": "length",
            "logprobs": {"content": [
            {"token": "a", "id": 1, "logprob": null},
            {"token": "b", "id": 2, "logprob": -0.5, "bytes": [98], "top_logprobs":
                [{"token": "c", "logprob": -2.0}, {"token": "b", "logprob": -0.5}]}]}}]}"#;
        let answer = read(arrays).unwrap();
        assert_eq!(answer, read(list).unwrap());
        assert_eq!(answer.tokens[0].logprob, None);
        let expected = [("b".to_owned(), -0.5), ("c".to_owned(), -2.0)];
        assert_eq!(answer.tokens[1].alternatives, expected);
    }

    #[test]
    fn log_probabilities_that_do_not_fit_are_refused() {
        for (logprobs, named) in [
            ("null", "did not come"),
            ("{}", "neither"),
            (r#"{"tokens": ["a"], "token_logprobs": []}"#, "1 tokens, 0"),
        ] {
            let body = format!(
                r#"{{"choices": [{{"text": "a", "finish_reason": "stop",
                    "logprobs": {logprobs}}}]}}"#
            );
            let report = read(&body).unwrap_err().report();
            assert!(report.contains(named), "{report}");
        }
    }
}
