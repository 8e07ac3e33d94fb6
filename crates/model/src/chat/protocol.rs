//! OpenAI's chat protocol: a request as JSON, an answer out of JSON. No input or output here.

use std::collections::BTreeMap;

use eval::digest::Hasher;
use eval::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::interface::{ChatAnswer, ChatChoice, ChatRequest, ChatUsage, Message, Role};
use super::quote::{QUOTED_CHARS_MAX, Quoter};
use super::settings::{
    EndpointSettings, HistoryReasoning, SampleCalls, SamplerFields, TokenLimitField,
};
use crate::generate::{Finish, Sampling};

pub(super) const CHAT_PATH: &str = "chat/completions";

/// How a request's seed and limits are spelled; shared by both kinds of completion.
#[derive(Serialize)]
pub(super) struct WireSampling<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<usize>,
    temperature: f32,
    top_p: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f32>,
    seed: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    stream: bool,
}

impl<'a> WireSampling<'a> {
    pub(super) fn new(
        settings: &EndpointSettings,
        sampling: &Sampling,
        n_tokens_max: usize,
        stop: &'a [String],
    ) -> Self {
        let always = settings.sampler_fields == SamplerFields::Always;
        let newer = settings.token_limit == TokenLimitField::MaxCompletionTokens;
        Self {
            max_tokens: (!newer).then_some(n_tokens_max),
            max_completion_tokens: newer.then_some(n_tokens_max),
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: (always || sampling.top_k > 0).then_some(sampling.top_k),
            min_p: (always || sampling.min_p > 0.0).then_some(sampling.min_p),
            seed: seed_31_bits(sampling.seed, 0),
            stop,
            stream: false,
        }
    }
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    n: usize,
    #[serde(flatten)]
    sampling: WireSampling<'a>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Value>,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: Role,
    content: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<&'a str>,
}

/// The requests that are sent for one request: itself, or one per sample.
pub(super) fn units(request: &ChatRequest, samples: SampleCalls) -> Vec<ChatRequest> {
    match samples {
        SampleCalls::Together => vec![request.clone()],
        SampleCalls::Separate => (0..request.n_samples)
            .map(|sample_idx| {
                let mut unit = request.clone();
                unit.n_samples = 1;
                unit.sampling.seed = seed_31_bits(request.sampling.seed, sample_idx);
                unit
            })
            .collect(),
    }
}

/// The seed of one sample, in 31 bits, which is what every server understands (some read a signed
/// or unsigned 32-bit number, and one keeps 2³² − 1 for "random").
///
/// The first sample of a seed that fits has that seed itself; all others are hashed, so that the
/// second sample of one seed is not the first of the next.
pub(super) fn seed_31_bits(seed: u64, sample_idx: usize) -> u64 {
    const MASK: u64 = 0x7fff_ffff;
    if sample_idx == 0 && seed <= MASK {
        return seed;
    }
    let mut hasher = Hasher::new();
    hasher.update(b"chat sample seed");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(sample_idx as u64).to_le_bytes());
    let bytes = hasher.finish().to_bytes();
    let first = bytes[..8].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    first & MASK
}

/// The body to send.
pub(super) fn encode(settings: &EndpointSettings, request: &ChatRequest) -> Result<Vec<u8>> {
    let messages = request
        .messages
        .iter()
        .map(|message| encode_message(settings.history_reasoning, message))
        .collect::<Result<_>>()?;
    let body = WireRequest {
        model: &settings.model,
        messages,
        n: request.n_samples,
        sampling: WireSampling::new(
            settings,
            &request.sampling,
            request.n_tokens_max,
            &request.stop,
        ),
        extra: &settings.extra,
    };
    serde_json::to_vec(&body)
        .map_err(|cause| Error::internal("cannot encode a chat request").caused_by(cause))
}

fn encode_message(history: HistoryReasoning, message: &Message) -> Result<WireMessage<'_>> {
    let mut wire = WireMessage {
        role: message.role,
        content: message.content.as_str().into(),
        reasoning_content: None,
        reasoning: None,
    };
    let Some(thought) = message.reasoning.as_deref() else {
        return Ok(wire);
    };
    match history {
        HistoryReasoning::Refuse => {
            return Err(Error::usage(
                "a message carries a trace of thought, and nobody said how this endpoint takes it",
            )
            .hint("set `history_reasoning` of the endpoint, or clear `reasoning` of the message"));
        }
        HistoryReasoning::Omit => {}
        HistoryReasoning::ReasoningContent => wire.reasoning_content = Some(thought),
        HistoryReasoning::Reasoning => wire.reasoning = Some(thought),
        HistoryReasoning::ThinkTags => {
            wire.content = format!("<think>\n{thought}\n</think>\n\n{}", message.content).into();
        }
    }
    Ok(wire)
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
    index: Option<u64>,
    message: Option<RawMessage>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct RawMessage {
    content: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
}

/// Token counts; every field is optional in the protocol.
#[derive(Deserialize)]
pub(super) struct RawUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

impl RawUsage {
    /// Both counts, or none: half a count would make a cost that looks whole.
    pub(super) fn count(this: Option<&Self>) -> Option<ChatUsage> {
        let this = this?;
        Some(ChatUsage {
            n_prompt: this.prompt_tokens?,
            n_generated: this.completion_tokens?,
            cost_usd: None,
        })
    }
}

/// What an answer's JSON holds.
pub(super) struct Decoded<A> {
    pub(super) answer: A,
    /// The server's count, where it gave one.
    pub(super) usage: Option<ChatUsage>,
}

/// An error about the content of an answer.
pub(super) fn bad_answer(what: impl std::fmt::Display) -> Error {
    Error::incomplete(format!("the endpoint's answer cannot be used: {what}")).hint(
        "answers are never asked for again because of their content; ask the server's operator, or \
         check `base_url` and `model`",
    )
}

/// JSON of the shape expected, or an error that names what is wrong. serde_json stops at 128 levels
/// of nesting in what is read and skips the rest without recursion, so no input drives the stack.
pub(super) fn parse<T: serde::de::DeserializeOwned>(body: &[u8], quoter: Quoter<'_>) -> Result<T> {
    let text = std::str::from_utf8(body).map_err(|cause| {
        let n_bytes = cause.valid_up_to();
        bad_answer(format!("invalid UTF-8 after {n_bytes} bytes"))
    })?;
    serde_json::from_str(text).map_err(|cause| {
        // serde_json's own message can quote a string of the server.
        let cause = quoter.quote(&cause.to_string(), QUOTED_CHARS_MAX);
        bad_answer(format!("malformed JSON: {cause}"))
    })
}

/// Reads the answer to a request for `n_samples` samples.
pub(super) fn decode(
    body: &[u8],
    n_samples: usize,
    quoter: Quoter<'_>,
) -> Result<Decoded<ChatAnswer>> {
    let raw: RawAnswer = parse(body, quoter)?;
    let choices = match (raw.choices, raw.error) {
        (Some(choices), _) if !choices.is_empty() => choices,
        (_, Some(error)) => return Err(bad_answer(said(&error, quoter))),
        (Some(_), None) => return Err(bad_answer("`choices` is empty")),
        (None, None) => return Err(bad_answer("`choices` is missing")),
    };
    if choices.len() != n_samples {
        let n_choices = choices.len();
        return Err(bad_answer(format!(
            "{n_samples} samples were asked for and {n_choices} came"
        ))
        .hint("set `samples = \"separate\"` for servers that do not know `n`"));
    }
    let choices = in_order(choices)
        .into_iter()
        .map(|choice| decode_choice(choice, quoter))
        .collect::<Result<_>>()?;
    let usage = RawUsage::count(raw.usage.as_ref());
    let answer = ChatAnswer {
        model: quoter.scrub(raw.model.unwrap_or_default()),
        choices,
        usage: usage.unwrap_or_default(),
        attempts: 0,
    };
    Ok(Decoded { answer, usage })
}

/// Choices by `index`, where every one has its own; else as they came, so that none is lost.
fn in_order(mut choices: Vec<RawChoice>) -> Vec<RawChoice> {
    let mut seen: Vec<u64> = choices.iter().filter_map(|choice| choice.index).collect();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() == choices.len() {
        choices.sort_by_key(|choice| choice.index);
    }
    choices
}

fn decode_choice(choice: RawChoice, quoter: Quoter<'_>) -> Result<ChatChoice> {
    let message = choice
        .message
        .ok_or_else(|| bad_answer("a choice has no `message`"))?;
    let finish = finish(choice.finish_reason.as_deref(), quoter)?;
    // Some servers send both fields, one of them empty.
    let thought = [message.reasoning_content, message.reasoning]
        .into_iter()
        .flatten()
        .find(|thought| !thought.is_empty());
    Ok(ChatChoice {
        // `content` is null where a model said nothing but its trace or a call of a tool.
        text: quoter.scrub(message.content.unwrap_or_default()),
        reasoning: thought.map(|thought| quoter.scrub(thought)),
        finish,
    })
}

/// Why an answer ended. A filter that cut it off counts as somebody else's decision.
pub(super) fn finish(reason: Option<&str>, quoter: Quoter<'_>) -> Result<Finish> {
    match reason {
        Some("stop" | "eos" | "end_turn" | "stop_sequence" | "tool_calls" | "function_call") => {
            Ok(Finish::Stop)
        }
        Some("length" | "max_tokens") => Ok(Finish::Length),
        Some("content_filter" | "abort" | "cancelled") => Ok(Finish::Cancelled),
        Some(other) => Err(bad_answer(format!(
            "`finish_reason` is `{}`, which the protocol does not know",
            quoter.quote(other, 40)
        ))),
        None => Err(bad_answer("a choice has no `finish_reason`")),
    }
}

/// A server's explanation of an error, in one short line.
pub(super) fn said(error: &Value, quoter: Quoter<'_>) -> String {
    let text = match error {
        Value::String(text) => text.clone(),
        Value::Object(fields) => match fields.get("message").or_else(|| fields.get("detail")) {
            Some(Value::String(text)) => text.clone(),
            _ => error.to_string(),
        },
        other => other.to_string(),
    };
    format!(
        "the server says `{}`",
        quoter.quote(&text, QUOTED_CHARS_MAX)
    )
}

/// The explanation in the body of a refusal, whatever its form.
pub(super) fn said_in(body: &[u8], quoter: Quoter<'_>) -> String {
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return "the server says nothing".to_owned();
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(mut fields)) => match fields.remove("error") {
            Some(error) => said(&error, quoter),
            None => said(&Value::Object(fields), quoter),
        },
        _ => said(&Value::String(text.into_owned()), quoter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTER: Quoter<'_> = Quoter(None);

    fn request() -> ChatRequest {
        ChatRequest {
            messages: vec![
                Message::new(Role::System, "be brief"),
                Message::new(Role::User, "1 + 1?"),
            ],
            n_samples: 2,
            n_tokens_max: 16,
            sampling: Sampling {
                temperature: 0.7,
                top_k: 0,
                top_p: 1.0,
                min_p: 0.0,
                seed: 5,
            },
            stop: vec!["\n\n".to_owned()],
        }
    }

    fn body(change: impl FnOnce(&mut EndpointSettings)) -> Value {
        let mut settings = EndpointSettings::new("http://h/v1", "m");
        change(&mut settings);
        serde_json::from_slice(&encode(&settings, &request()).unwrap()).unwrap()
    }

    #[test]
    fn a_request_is_spelled_as_the_protocol_wants_it() {
        let expected = serde_json::json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "1 + 1?"},
            ],
            "n": 2, "max_tokens": 16, "temperature": 0.7, "top_p": 1.0, "seed": 5,
            "stop": ["\n\n"], "stream": false,
        });
        assert_eq!(body(|_| ()), expected);
    }

    #[test]
    fn settings_change_the_spelling_they_name() {
        let body = body(|settings| {
            settings.token_limit = TokenLimitField::MaxCompletionTokens;
            settings.sampler_fields = SamplerFields::Always;
            settings
                .extra
                .insert("reasoning_effort".into(), "low".into());
        });
        assert_eq!(body["max_completion_tokens"], 16);
        assert_eq!(body.get("max_tokens"), None);
        assert_eq!((&body["top_k"], &body["min_p"]), (&0.into(), &0.0.into()));
        assert_eq!(body["reasoning_effort"], "low");
    }

    #[test]
    fn no_trace_of_thought_is_dropped_unless_told_so() {
        let mut message = Message::new(Role::Assistant, "2");
        message.reasoning = Some("hm".to_owned());
        let wire = |history| {
            serde_json::to_value(encode_message(history, &message)?)
                .map_err(|e| Error::internal(e.to_string()))
        };
        assert!(wire(HistoryReasoning::Refuse).is_err());
        let plain = serde_json::json!({"role": "assistant", "content": "2"});
        assert_eq!(wire(HistoryReasoning::Omit).unwrap(), plain);
        assert_eq!(
            wire(HistoryReasoning::Reasoning).unwrap()["reasoning"],
            "hm"
        );
        let field = wire(HistoryReasoning::ReasoningContent).unwrap();
        assert_eq!(field["reasoning_content"], "hm");
        let tags = wire(HistoryReasoning::ThinkTags).unwrap();
        assert_eq!(tags["content"], "<think>\nhm\n</think>\n\n2");
    }

    #[test]
    fn seeds_of_samples_are_small_and_distinct() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in [0, 1, 2, 0x7fff_ffff, 0x8000_0000, u64::MAX] {
            for sample_idx in 0..50 {
                let folded = seed_31_bits(seed, sample_idx);
                assert!(folded <= 0x7fff_ffff);
                assert!(seen.insert(folded), "seed {seed}, sample {sample_idx}");
            }
        }
        assert_eq!(seed_31_bits(3, 0), 3);
        let separate = units(&request(), SampleCalls::Separate);
        assert_eq!(separate.len(), 2);
        assert!(separate.iter().all(|unit| unit.n_samples == 1));
        assert_eq!(units(&request(), SampleCalls::Together), [request()]);
    }

    fn refusal(body: &str) -> String {
        match decode(body.as_bytes(), 1, QUOTER) {
            Ok(_) => panic!("accepted: {body}"),
            Err(error) => error.report(),
        }
    }

    #[test]
    fn an_answer_needs_only_what_the_protocol_demands() {
        let body = r#"{"choices": [{"message": {}, "finish_reason": "stop"}]}"#;
        let decoded = decode(body.as_bytes(), 1, QUOTER).unwrap();
        assert_eq!(decoded.answer.choices[0].text, "");
        assert!(decoded.usage.is_none());
        let body = r#"{"id": 7, "id": 8, "object": "x", "model": "m", "new": {"deep": [1]},
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            "choices": [
                {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
                {"index": 0, "message": {"content": "a", "reasoning": "r", "reasoning_content": ""},
                 "finish_reason": "stop", "logprobs": null}]}"#;
        let decoded = decode(body.as_bytes(), 2, QUOTER).unwrap();
        let texts: Vec<&str> = decoded
            .answer
            .choices
            .iter()
            .map(|c| c.text.as_str())
            .collect();
        assert_eq!(texts, ["a", "b"]);
        assert_eq!(decoded.answer.choices[0].reasoning.as_deref(), Some("r"));
        assert_eq!(decoded.answer.choices[1].finish, Finish::Length);
        assert_eq!(
            decoded.usage.map(|u| (u.n_prompt, u.n_generated)),
            Some((3, 4))
        );
    }

    #[test]
    fn choices_without_their_own_index_keep_their_order() {
        let body = r#"{"choices": [
            {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
            {"index": 0, "message": {"content": "b"}, "finish_reason": "stop"}]}"#;
        let decoded = decode(body.as_bytes(), 2, QUOTER).unwrap();
        assert_eq!(decoded.answer.choices[1].text, "b");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (body, named) in [
            ("{}", "`choices` is missing"),
            (r#"{"choices": []}"#, "`choices` is empty"),
            (
                r#"{"choices": [{"finish_reason": "stop"}]}"#,
                "no `message`",
            ),
            (
                r#"{"choices": [{"message": {"content": "a"}}]}"#,
                "no `finish_reason`",
            ),
            (
                r#"{"choices": [{"message": {}, "finish_reason": "new\u001b"}]}"#,
                "`new\\u{1b}`",
            ),
            (r#"{"error": {"message": "no\nroom"}}"#, "no\\u{a}room"),
            (r#"{"error": "plain"}"#, "`plain`"),
            (r#"{"choices": [{}, {}]}"#, "separate"),
            ("[]", "malformed JSON"),
            ("{\"choices\": [", "malformed JSON"),
            ("", "malformed JSON"),
        ] {
            let report = refusal(body);
            assert!(report.contains(named), "{body}: {report}");
        }
    }

    #[test]
    fn deep_nesting_and_invalid_text_are_refused() {
        let deep = format!(
            r#"{{"error": {}1{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(refusal(&deep).contains("recursion"), "{}", refusal(&deep));
        let error = decode(b"{\"choices\": \"\xff\"}", 1, QUOTER).err().unwrap();
        assert!(
            error.to_string().contains("invalid UTF-8 after 13 bytes"),
            "{error}"
        );
    }

    #[test]
    fn a_refusal_is_quoted_whatever_its_form() {
        for (body, expected) in [
            (r#"{"error": {"message": "a", "code": 1}}"#, "`a`"),
            (r#"{"detail": "b"}"#, "`b`"),
            ("<html>c</html>", "`<html>c</html>`"),
            ("  ", "nothing"),
            ("\u{1b}[31mred", "`\\u{1b}[31mred`"),
        ] {
            let said = said_in(body.as_bytes(), QUOTER);
            assert!(said.contains(expected), "{said}");
        }
        assert!(said_in(&[b'x'; 5000], QUOTER).chars().count() < 400);
    }
}
