//! Recorded conversations in place of a model: no network, and no answer that was not recorded.

use std::collections::BTreeMap;
use std::path::Path;

use eval::fs::read_json_lines;
use eval::{Error, Result};
use serde_json::Value;

use super::cache::{Entry, read_entry};
use super::interface::{BoxFuture, ChatAnswer, ChatModel, ChatRequest, ChatUsage};
use super::protocol::{self, CHAT_PATH};
use super::quote::quote;
use super::reasoning::ThinkTags;
use super::record::{AttemptsLine, FORMAT, Record};
use super::settings::SampleCalls;

/// A larger transcript is no transcript.
const TRANSCRIPT_BYTES_MAX: u64 = 4 << 30;
/// Differences that an error about an unknown request shows, and characters of each value.
const DIFFERENCES_SHOWN: usize = 3;
const VALUE_CHARS_MAX: usize = 60;

/// Answers recorded requests, and only those. Where a request was recorded twice, the first answer
/// stands.
#[derive(Debug)]
pub struct Replay {
    name: String,
    source: String,
    /// By the request as JSON.
    answers: BTreeMap<String, ChatAnswer>,
}

impl Replay {
    /// Reads a file of [`Record`]s: a recorder's, or the transcript of a cell.
    ///
    /// A torn last line is dropped; recorded failures answer nothing.
    ///
    /// # Errors
    /// The file is absent, holds no answer, or holds something else than records.
    pub fn open(path: &Path) -> Result<Self> {
        let n_bytes = std::fs::metadata(path)
            .map_err(|cause| Error::io("read the transcript", path, cause))?
            .len();
        if n_bytes > TRANSCRIPT_BYTES_MAX {
            let message = format!("`{}` is too large for a transcript", path.display());
            return Err(Error::inputs(message));
        }
        let mut answers = BTreeMap::new();
        let mut name = None;
        let lines: Vec<Value> = read_json_lines(path)?;
        for (line_idx, line) in lines.into_iter().enumerate() {
            let Some(record) = read_record(line).map_err(|cause| {
                let (path, line) = (path.display(), line_idx + 1);
                Error::inputs(format!(
                    "`{path}`, line {line}, is no recorded conversation"
                ))
                .caused_by(cause)
            })?
            else {
                continue;
            };
            let Some(mut answer) = record.answer else {
                continue;
            };
            answer.attempts = 0;
            name.get_or_insert(record.model);
            answers.entry(identity(&record.request)?).or_insert(answer);
        }
        Self::new(name, path, answers)
    }

    /// Reads the cache of an endpoint. `think_tags` is what the endpoint's settings said, since the
    /// cache keeps answers as they came.
    ///
    /// # Errors
    /// The folder cannot be read, or holds no answer. Damaged entries are left out.
    pub fn open_cache(folder: &Path, think_tags: ThinkTags) -> Result<Self> {
        let listing = std::fs::read_dir(folder)
            .map_err(|cause| Error::io("read the cache", folder, cause))?;
        let mut paths = Vec::new();
        for file in listing {
            let path = file
                .map_err(|cause| Error::io("read the cache", folder, cause))?
                .path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                paths.push(path);
            }
        }
        // Which of two answers is first must not depend on the order of a listing.
        paths.sort();
        let mut answers = BTreeMap::new();
        let mut name = None;
        for path in paths {
            let entry: Entry<Value, Value> = match read_entry(&path) {
                Ok(Some(entry)) if entry.question.path == CHAT_PATH => entry,
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(%error, "a damaged cache entry is left out");
                    continue;
                }
            };
            let request = serde_json::from_value::<ChatRequest>(entry.request);
            let answer = serde_json::from_value::<ChatAnswer>(entry.answer);
            let (Ok(request), Ok(mut answer)) = (request, answer) else {
                tracing::warn!(path = %path.display(), "a damaged cache entry is left out");
                continue;
            };
            for choice in &mut answer.choices {
                if choice.reasoning.is_none() {
                    let text = std::mem::take(&mut choice.text);
                    (choice.text, choice.reasoning) = think_tags.divide(text);
                }
            }
            let model = entry.question.body.get("model").and_then(Value::as_str);
            name = name.or_else(|| model.map(str::to_owned));
            answers.entry(identity(&request)?).or_insert(answer);
        }
        Self::new(name, folder, answers)
    }

    fn new(
        name: Option<String>,
        source: &Path,
        answers: BTreeMap<String, ChatAnswer>,
    ) -> Result<Self> {
        let source = source.display().to_string();
        let Some(name) = name.filter(|_| !answers.is_empty()) else {
            return Err(Error::inputs(format!(
                "`{source}` holds no recorded answer"
            )));
        };
        Ok(Self {
            name,
            source,
            answers,
        })
    }

    /// Requests that can be answered.
    #[must_use]
    pub fn n_requests(&self) -> usize {
        self.answers.len()
    }

    fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer> {
        request.validate()?;
        let wanted = identity(request)?;
        if let Some(answer) = self.answers.get(&wanted) {
            return Ok(answer.clone());
        }
        // A cache that asked for each sample alone holds the samples.
        let units = protocol::units(request, SampleCalls::Separate);
        let mut whole: Option<ChatAnswer> = None;
        for unit in &units {
            let Some(part) = self.answers.get(&identity(unit)?) else {
                return Err(self.unknown(&wanted));
            };
            whole = Some(match whole {
                None => part.clone(),
                Some(mut whole) => {
                    whole.choices.extend(part.choices.iter().cloned());
                    whole.usage = sum(whole.usage, part.usage);
                    whole
                }
            });
        }
        whole.ok_or_else(|| self.unknown(&wanted))
    }

    fn unknown(&self, wanted: &str) -> Error {
        let wanted: Value = serde_json::from_str(wanted).unwrap_or_default();
        let nearest = self
            .answers
            .keys()
            .map(|recorded| {
                let recorded = serde_json::from_str(recorded).unwrap_or_default();
                let mut found = Vec::new();
                differences(String::new(), &recorded, &wanted, &mut found);
                found
            })
            .min_by_key(Vec::len)
            .unwrap_or_default();
        let n_more = nearest.len().saturating_sub(DIFFERENCES_SHOWN);
        let mut shown = nearest[..nearest.len() - n_more].join("; ");
        if n_more > 0 {
            shown.push_str(&format!("; and {n_more} more"));
        }
        Error::inputs(format!(
            "`{}` has no answer to this request; the nearest recorded one differs in {shown}",
            self.source
        ))
        .hint("record it with a model that answers, or ask what was recorded")
    }
}

impl ChatModel for Replay {
    fn name(&self) -> &str {
        &self.name
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatAnswer>> {
        Box::pin(std::future::ready(self.answer(request)))
    }
}

/// The record in a line; none in a line of the log of attempts.
fn read_record(
    line: Value,
) -> std::result::Result<Option<Record>, Box<dyn std::error::Error + Send + Sync>> {
    if line.get("attempts").is_some() {
        serde_json::from_value::<AttemptsLine>(line)?;
        return Ok(None);
    }
    let record: Record = serde_json::from_value(line)?;
    if record.format != FORMAT {
        return Err(format!("it has format {}, not {FORMAT}", record.format).into());
    }
    Ok(Some(record))
}

/// The request as text: equal texts, equal requests.
fn identity(request: &ChatRequest) -> Result<String> {
    serde_json::to_string(request)
        .map_err(|cause| Error::internal("cannot encode a chat request").caused_by(cause))
}

fn sum(a: ChatUsage, b: ChatUsage) -> ChatUsage {
    ChatUsage {
        n_prompt: a.n_prompt + b.n_prompt,
        n_generated: a.n_generated + b.n_generated,
        cost_usd: a.cost_usd.zip(b.cost_usd).map(|(a, b)| a + b),
    }
}

/// Every place where two requests differ. Both are our own structures, so depth is bounded.
fn differences(place: String, recorded: &Value, wanted: &Value, found: &mut Vec<String>) {
    match (recorded, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let dot = if place.is_empty() { "" } else { "." };
                let (a, b) = (a.get(name), b.get(name));
                let (a, b) = (a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null));
                differences(format!("{place}{dot}{name}"), a, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for (idx, (a, b)) in a.iter().zip(b).enumerate() {
                differences(format!("{place}[{idx}]"), a, b, found);
            }
            if a.len() != b.len() {
                let (n_recorded, n_wanted) = (a.len(), b.len());
                found.push(format!("{place} ({n_recorded} recorded, {n_wanted} asked)"));
            }
        }
        (a, b) if a != b => found.push(difference(&place, a, b)),
        _ => {}
    }
}

/// One differing value; long texts from where they part.
fn difference(place: &str, recorded: &Value, wanted: &Value) -> String {
    let (Value::String(a), Value::String(b)) = (recorded, wanted) else {
        return format!("{place} ({recorded} recorded, {wanted} asked)");
    };
    let n_same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let from_there = |text: &str| {
        let rest: String = text.chars().skip(n_same).collect();
        quote(&rest, VALUE_CHARS_MAX)
    };
    let (a, b) = (from_there(a), from_there(b));
    format!("{place} from character {n_same} (`{a}` recorded, `{b}` asked)")
}
