//! How an endpoint is reached: everything a user may set, checked before anything is sent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use eval::{Error, Result};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reasoning::ThinkTags;
use super::secret::Secret;

/// An endpoint that speaks OpenAI's protocol.
///
/// What is left out has the value of [`EndpointSettings::new`]. None of these values changes an
/// answer silently: where a server or a conversation would need another one, the client refuses and
/// names the setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSettings {
    /// Address up to and including the version: `http://127.0.0.1:8080/v1`. Without user name,
    /// password, or query.
    pub base_url: String,
    /// The model, as the server names it.
    pub model: String,
    /// Name of the environment variable that holds the key; none is sent without it.
    #[serde(default)]
    pub key_env: Option<String>,
    /// Lets the key travel unencrypted to another machine. Loopback needs no such consent.
    #[serde(default)]
    pub key_over_plain_http: bool,
    /// Requests under way at most, pauses between their attempts included, so that a server that
    /// asks for patience is not asked by others meanwhile.
    #[serde(default = "n_concurrent")]
    pub n_concurrent: usize,
    /// How long the client waits for what.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Bytes of one answer at most; reading stops there.
    #[serde(default = "response_bytes_max")]
    pub response_bytes_max: usize,
    /// When and how often a question is sent again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// What may be spent by one [`super::Endpoint`].
    #[serde(default)]
    pub budget: Budget,
    /// What tokens cost.
    #[serde(default)]
    pub prices: Option<Prices>,
    /// Folder of the response cache; none is kept without it.
    #[serde(default)]
    pub cache: Option<PathBuf>,
    /// How several samples of one question are asked for.
    #[serde(default)]
    pub samples: SampleCalls,
    /// Whether answers carry a trace of thought in their text.
    #[serde(default)]
    pub think_tags: ThinkTags,
    /// How traces of earlier turns are sent.
    #[serde(default)]
    pub history_reasoning: HistoryReasoning,
    /// Name of the limit on tokens.
    #[serde(default)]
    pub token_limit: TokenLimitField,
    /// Whether filters that are switched off are sent too.
    #[serde(default)]
    pub sampler_fields: SamplerFields,
    /// Further fields of the request's body, such as `reasoning_effort`.
    #[serde(default)]
    pub extra: BTreeMap<String, Value>,
}

fn n_concurrent() -> usize {
    8
}

/// A long answer of text is under 1 MiB; log-probabilities of many samples can take tens.
fn response_bytes_max() -> usize {
    16 << 20
}

/// Time limits of one attempt, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect_ms: u64,
    /// From sending until the head of the answer is there; the model computes in this time.
    pub first_byte_ms: u64,
    /// Between two pieces of the answer's body.
    pub between_bytes_ms: u64,
    /// For the whole attempt.
    pub total_ms: u64,
}

impl Default for Timeouts {
    /// Generous towards a large model that answers in one piece.
    fn default() -> Self {
        Self {
            connect_ms: 10_000,
            first_byte_ms: 600_000,
            between_bytes_ms: 60_000,
            total_ms: 900_000,
        }
    }
}

/// When a question is sent again: after transport faults and the statuses 408, 409, 425, 429, and
/// 5xx. What an answer says is never a reason.
///
/// The pause before attempt `i + 1` is drawn evenly from 0 to `min(cap, base · 2^i)` ("full
/// jitter", Brooker, *Exponential backoff and jitter*, AWS Architecture Blog, 2015), from a stream
/// keyed by the seed, the request, and the attempt. It is at least what the server's `Retry-After`
/// asks for, up to a cap of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Times a question is sent at most; 1 never repeats.
    pub n_attempts_max: u32,
    /// Upper end of the first pause.
    pub base_ms: u64,
    /// Upper end of every pause.
    pub cap_ms: u64,
    /// The longest `Retry-After` that is honoured in full; a longer one is cut to it.
    pub retry_after_max_ms: u64,
    /// Seed of the jitter. It never touches answers.
    pub seed: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            n_attempts_max: 6,
            base_ms: 500,
            cap_ms: 30_000,
            retry_after_max_ms: 120_000,
            seed: 0,
        }
    }
}

/// Limits on what is spent. A request that could pass one is refused before it is sent.
///
/// Before an answer is there, a prompt counts as one token per byte (no tokenizer makes more of it)
/// and each sample as its limit on tokens; afterwards the server's own count replaces this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// US dollars; needs [`EndpointSettings::prices`].
    #[serde(default)]
    pub cost_usd_max: Option<f64>,
    /// Tokens, of prompts and answers together.
    #[serde(default)]
    pub n_tokens_max: Option<u64>,
    /// Times anything is sent, repetitions included.
    #[serde(default)]
    pub n_requests_max: Option<u64>,
}

/// What tokens cost, in US dollars per million.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Tokens of prompts.
    pub prompt_usd_per_million: f64,
    /// Tokens generated.
    pub generated_usd_per_million: f64,
}

/// How several samples of one question are asked for; servers differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleCalls {
    /// One request with `n`. An answer with another number of choices is an error.
    #[default]
    Together,
    /// One request per sample, with seeds derived from the request's; each is cached alone.
    Separate,
}

/// How the trace of thought of an earlier turn is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryReasoning {
    /// A conversation that carries one is refused: somebody must decide.
    #[default]
    Refuse,
    /// It is left out.
    Omit,
    /// As the field `reasoning_content` of the message.
    ReasoningContent,
    /// As the field `reasoning` of the message.
    Reasoning,
    /// In front of the content, between `<think>` and `</think>`.
    ThinkTags,
}

/// Name of the limit on tokens; OpenAI's own newer models refuse the older name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimitField {
    /// `max_tokens`, which every compatible server knows.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// Whether `top_k` and `min_p`, which are not OpenAI's, are sent when they filter nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerFields {
    /// Only where they filter: OpenAI's own servers refuse fields they do not know.
    #[default]
    WhereSet,
    /// Always: llama.cpp and others filter by default unless told not to.
    Always,
}

impl EndpointSettings {
    /// The standard values for a model at an address: no key, no cache, no limits on cost, 8
    /// requests at a time, 6 attempts, 16 MiB per answer.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            model: model.into(),
            key_env: None,
            key_over_plain_http: false,
            n_concurrent: n_concurrent(),
            timeouts: Timeouts::default(),
            response_bytes_max: response_bytes_max(),
            retry: RetryPolicy::default(),
            budget: Budget::default(),
            prices: None,
            cache: None,
            samples: SampleCalls::default(),
            think_tags: ThinkTags::default(),
            history_reasoning: HistoryReasoning::default(),
            token_limit: TokenLimitField::default(),
            sampler_fields: SamplerFields::default(),
            extra: BTreeMap::new(),
        }
    }

    /// Checks every value; gives the address to which paths are added, and the key.
    pub(super) fn check(&self) -> Result<(Url, Option<Secret>)> {
        self.check_numbers()?;
        for field in BODY_FIELDS {
            if self.extra.contains_key(*field) {
                return Err(Error::usage(format!(
                    "`extra` of the endpoint sets `{field}`, which the client sets itself"
                )));
            }
        }
        if self.model.is_empty() || self.model.len() > 512 {
            return Err(Error::usage("the endpoint's `model` is empty or too long"));
        }
        let url = address(&self.base_url)?;
        let secret = self.key_env.as_deref().map(Secret::from_env).transpose()?;
        let travels_open = url.scheme() == "http" && !is_loopback(&url);
        if secret.is_some() && travels_open && !self.key_over_plain_http {
            return Err(Error::usage(format!(
                "the key would travel unencrypted to `{}`",
                url.host_str().unwrap_or_default()
            ))
            .hint("use https, or set `key_over_plain_http = true` for a network you trust"));
        }
        Ok((url, secret))
    }

    fn check_numbers(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::usage(format!("endpoint settings: {what}")));
        let Timeouts {
            connect_ms,
            first_byte_ms,
            between_bytes_ms,
            total_ms,
        } = self.timeouts;
        for (name, value) in [
            ("n_concurrent", self.n_concurrent as u64),
            ("timeouts.connect_ms", connect_ms),
            ("timeouts.first_byte_ms", first_byte_ms),
            ("timeouts.between_bytes_ms", between_bytes_ms),
            ("timeouts.total_ms", total_ms),
            ("response_bytes_max", self.response_bytes_max as u64),
            ("retry.n_attempts_max", u64::from(self.retry.n_attempts_max)),
        ] {
            if value == 0 {
                return refuse(format!("`{name}` is 0, so that nothing could ever succeed"));
            }
        }
        if self.n_concurrent > 4096 || self.retry.n_attempts_max > 100 {
            return refuse("`n_concurrent` above 4096 or `n_attempts_max` above 100".to_owned());
        }
        let (base_ms, cap_ms) = (self.retry.base_ms, self.retry.cap_ms);
        if base_ms > cap_ms {
            return refuse(format!(
                "`retry.base_ms` = {base_ms} is above `retry.cap_ms` = {cap_ms}"
            ));
        }
        if let Some(prices) = self.prices {
            let both = [
                prices.prompt_usd_per_million,
                prices.generated_usd_per_million,
            ];
            if both.iter().any(|price| !price.is_finite() || *price < 0.0) {
                return refuse(format!("`prices` are no prices: {both:?}"));
            }
        }
        match (self.budget.cost_usd_max, self.prices) {
            (Some(_), None) => refuse("`budget.cost_usd_max` needs `prices`".to_owned()),
            (Some(usd), _) if !usd.is_finite() || usd < 0.0 => {
                refuse(format!("`budget.cost_usd_max` = {usd} is no amount"))
            }
            _ => Ok(()),
        }
    }
}

/// Fields of the body that the client sets itself.
const BODY_FIELDS: &[&str] = &[
    "model",
    "messages",
    "prompt",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "stream",
    "logprobs",
    "echo",
];

/// The address with a final slash, so that paths are added below it. Messages do not show an
/// address that carries a password.
fn address(base_url: &str) -> Result<Url> {
    let hint = "an address looks like `https://api.example.org/v1`";
    let mut url = Url::parse(base_url).map_err(|cause| {
        Error::usage("the endpoint's `base_url` is no address")
            .caused_by(cause)
            .hint(hint)
    })?;
    let refuse = |what: &str| Err(Error::usage(format!("the endpoint's `base_url` {what}")));
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return refuse("is neither http nor https").map_err(|error| error.hint(hint));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("carries a user name or password; keys come from the environment");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("carries a query or fragment; keys come from the environment");
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Whether the address never leaves this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut EndpointSettings)) -> String {
        let mut settings = EndpointSettings::new("http://127.0.0.1:1/v1", "m");
        change(&mut settings);
        settings.check().unwrap_err().report()
    }

    #[test]
    fn addresses_that_carry_secrets_are_refused_unseen() {
        for url in [
            "http://user:canary-key@h/v1",
            "http://canary-key@h/v1",
            "http://h/v1?key=canary-key",
            "http://h/v1#canary-key",
            "ftp://h/canary-key",
            "canary-key",
        ] {
            let report = refusal(|settings| settings.base_url = url.to_owned());
            assert!(!report.contains("canary-key"), "{report}");
        }
    }

    #[test]
    fn paths_are_added_below_the_address() {
        for given in ["http://h/v1", "http://h/v1/"] {
            let url = address(given).unwrap().join("chat/completions").unwrap();
            assert_eq!(url.as_str(), "http://h/v1/chat/completions");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (url, expected) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost", true),
            ("http://127.0.0.1.example.org", false),
            ("http://localhost.example.org", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        type Change = fn(&mut EndpointSettings);
        let cases: [(Change, &str); 7] = [
            (|s| s.n_concurrent = 0, "n_concurrent"),
            (|s| s.timeouts.total_ms = 0, "timeouts.total_ms"),
            (|s| s.retry.n_attempts_max = 0, "retry.n_attempts_max"),
            (|s| s.retry.base_ms = u64::MAX, "retry.base_ms"),
            (|s| s.budget.cost_usd_max = Some(1.0), "prices"),
            (|s| s.model.clear(), "model"),
            (|s| _ = s.extra.insert("seed".into(), Value::Null), "seed"),
        ];
        for (change, name) in cases {
            let report = refusal(change);
            assert!(report.contains(name), "{name}: {report}");
        }
    }

    #[test]
    fn unknown_settings_are_refused_and_known_ones_read_back() {
        let settings = EndpointSettings::new("http://127.0.0.1:1/v1", "m");
        let text = serde_json::to_string(&settings).unwrap();
        let back: EndpointSettings = serde_json::from_str(&text).unwrap();
        assert_eq!(back, settings);
        let short = r#"{"base_url": "http://127.0.0.1:1/v1", "model": "m"}"#;
        let back: EndpointSettings = serde_json::from_str(short).unwrap();
        assert_eq!(back, settings);
        let typo = short.replace("}", r#", "cashe": "x"}"#);
        assert!(serde_json::from_str::<EndpointSettings>(&typo).is_err());
    }
}
