//! A server that speaks OpenAI's protocol, reached over HTTP.
//!
//! `reqwest` is the client and not `async-openai` 0.43, which reads whole answers without a limit
//! on their size, demands fields that compatible servers leave out, and does not say what it
//! repeated.
//!
//! A question is looked up in the cache, waits for its turn, is sent, and is sent again only after
//! faults of transport; what an answer says is never a reason. Every attempt is recorded. Each
//! request stands alone: one that fails loses nothing of the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use eval::digest::Digest;
use eval::{Error, Result};
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use super::attempts::{Attempt, AttemptRecord, Attempts};
use super::budget::{Account, CostEstimate, Spent, Tokens};
use super::cache::{Cache, Entry, FORMAT, Question, key};
use super::interface::{BoxFuture, ChatAnswer, ChatModel, ChatRequest};
use super::protocol::{self, CHAT_PATH, Decoded, bad_answer, said_in};
use super::quote::Quoter;
use super::retry::{Fault, retry_after, status_is_retried};
use super::settings::EndpointSettings;
use super::transport::{Body, Reply, Transport};

/// A model behind an address. See [`EndpointSettings`] for everything that can be set.
///
/// Futures must run in a tokio runtime with time and input/output. A dropped future gives its turn
/// back; what it had sent counts as spent.
pub struct Endpoint {
    settings: EndpointSettings,
    pub(super) transport: Transport,
    cache: Option<Cache>,
    turns: Semaphore,
    pub(super) account: Account,
    log: Attempts,
    /// Questions under way, so that equal ones wait for the first one's answer in the cache.
    under_way: Mutex<BTreeMap<Digest, Arc<AsyncMutex<()>>>>,
}

/// The outcome of one request, with everything that was sent for it.
#[derive(Debug)]
pub struct Asked {
    /// The answer, or why there is none.
    pub answer: Result<ChatAnswer>,
    /// What was sent, sample after sample where each was sent alone; empty for a cached answer.
    pub attempts: Vec<Attempt>,
}

/// Reads an answer's JSON.
pub(super) type Decode<'a, A> = dyn Fn(&[u8], Quoter<'_>) -> Result<Decoded<A>> + Sync + 'a;

/// One thing to send: where, what, and how to read the answer.
pub(super) struct Job<'a, R, A> {
    pub(super) path: &'static str,
    pub(super) body: Vec<u8>,
    /// The request in our own words, kept in the cache beside the answer.
    pub(super) request: &'a R,
    pub(super) tokens: Tokens,
    pub(super) decode: &'a Decode<'a, A>,
}

impl Endpoint {
    /// Checks the settings, reads the key from the environment, opens the cache. Sends nothing.
    ///
    /// # Errors
    /// A setting makes no sense, the key is not in the environment, or the cache's folder cannot be
    /// written.
    pub fn new(settings: EndpointSettings) -> Result<Self> {
        let transport = Transport::new(&settings)?;
        let cache = settings.cache.as_deref().map(Cache::open).transpose()?;
        Ok(Self {
            transport,
            cache,
            turns: Semaphore::new(settings.n_concurrent),
            account: Account::new(settings.budget, settings.prices),
            log: Attempts::default(),
            under_way: Mutex::default(),
            settings,
        })
    }

    /// The settings, which hold no secret.
    #[must_use]
    pub fn settings(&self) -> &EndpointSettings {
        &self.settings
    }

    /// What was spent so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.account.spent()
    }

    /// What these requests would cost at most if they were sent now, cached answers left out.
    ///
    /// # Errors
    /// A request makes no sense.
    pub fn estimate(&self, requests: &[ChatRequest]) -> Result<CostEstimate> {
        let (mut tokens, mut n_requests, mut n_cached) = (Tokens::default(), 0, 0);
        for request in requests {
            request.validate()?;
            for unit in protocol::units(request, self.settings.samples) {
                let body = protocol::encode(&self.settings, &unit)?;
                if self.cached::<ChatAnswer>(CHAT_PATH, &body)?.is_some() {
                    n_cached += 1;
                    continue;
                }
                let unit = Tokens::at_most(&unit);
                tokens.n_prompt = tokens.n_prompt.saturating_add(unit.n_prompt);
                tokens.n_generated = tokens.n_generated.saturating_add(unit.n_generated);
                n_requests += 1;
            }
        }
        Ok(CostEstimate {
            n_requests,
            n_cached,
            n_prompt_max: tokens.n_prompt,
            n_generated_max: tokens.n_generated,
            cost_usd_max: self.account.cost_usd(tokens),
        })
    }

    /// Answers a request and tells what was sent for it, whether it was answered or not.
    pub async fn ask(&self, request: &ChatRequest) -> Asked {
        if let Err(error) = request.validate() {
            return Asked {
                answer: Err(error),
                attempts: Vec::new(),
            };
        }
        let units = protocol::units(request, self.settings.samples);
        let parts = join_all(units.iter().map(|unit| self.ask_unit(unit))).await;
        let mut attempts = Vec::new();
        let mut answer: Option<Result<ChatAnswer>> = None;
        for part in parts {
            attempts.extend(part.attempts);
            answer = Some(match (answer, part.answer) {
                (None, answer) | (Some(Ok(_)), answer @ Err(_)) => answer,
                (Some(Err(error)), _) => Err(error),
                (Some(Ok(whole)), Ok(part)) => Ok(merge(whole, part)),
            });
        }
        let answer = answer.unwrap_or_else(|| Err(Error::internal("no sample was asked for")));
        Asked { answer, attempts }
    }

    /// Names of the models that the server offers (`/v1/models`).
    ///
    /// # Errors
    /// The server does not answer, or not in the form of the protocol. It is asked once.
    pub async fn models(&self) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Model {
            id: String,
        }
        #[derive(serde::Deserialize)]
        struct Models {
            data: Vec<Model>,
        }
        let turn = self.turns.acquire().await;
        let reply = self.transport.exchange("models", None).await;
        drop(turn);
        let quoter = self.transport.quoter();
        let reply = reply.map_err(|fault| self.gave_up(fault.describe(), 1))?;
        if !(200..300).contains(&reply.status) {
            return Err(self.refused(&reply, 1));
        }
        let models: Models = protocol::parse(answer_body(reply, quoter)?.as_slice(), quoter)?;
        let names = models.data.into_iter().map(|model| quoter.scrub(model.id));
        Ok(names.collect())
    }

    async fn ask_unit(&self, unit: &ChatRequest) -> Asked {
        let body = match protocol::encode(&self.settings, unit) {
            Ok(body) => body,
            Err(error) => {
                return Asked {
                    answer: Err(error),
                    attempts: Vec::new(),
                };
            }
        };
        let n_samples = unit.n_samples;
        let job = Job {
            path: CHAT_PATH,
            body,
            request: unit,
            tokens: Tokens::at_most(unit),
            decode: &|body, quoter| protocol::decode(body, n_samples, quoter),
        };
        let mut attempts = Vec::new();
        let answer = self.run(&job, &mut attempts).await;
        let answer = answer.map(|(answer, is_cached)| self.finished(answer, is_cached, &attempts));
        Asked { answer, attempts }
    }

    /// What the caller gets: traces split off, cost and attempts filled in.
    fn finished(&self, answer: ChatAnswer, is_cached: bool, attempts: &[Attempt]) -> ChatAnswer {
        let mut answer = answer;
        for choice in &mut answer.choices {
            // A trace that the server gave apart is never looked for in the text.
            if choice.reasoning.is_none() {
                let text = std::mem::take(&mut choice.text);
                (choice.text, choice.reasoning) = self.settings.think_tags.divide(text);
            }
        }
        answer.usage.cost_usd = self.cost_of(&answer);
        answer.attempts = if is_cached { 0 } else { attempts.len() as u32 };
        answer
    }

    /// What the answer cost when it was made; unknown without prices or without a count.
    fn cost_of(&self, answer: &ChatAnswer) -> Option<f64> {
        let tokens = Tokens {
            n_prompt: answer.usage.n_prompt,
            n_generated: answer.usage.n_generated,
        };
        if tokens == Tokens::default() {
            return None;
        }
        self.account.cost_usd(tokens)
    }

    fn question(&self, path: &str, body: &[u8]) -> Result<Question> {
        let body = serde_json::from_slice(body)
            .map_err(|cause| Error::internal("cannot read our own request").caused_by(cause))?;
        Ok(Question {
            address: self.transport.address().to_owned(),
            path: path.to_owned(),
            body,
        })
    }

    fn cached<A: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<Option<A>> {
        let Some(cache) = &self.cache else {
            return Ok(None);
        };
        let key = key(self.transport.address(), path, body);
        Ok(cache.get(&key, &self.question(path, body)?))
    }

    /// The answer from the cache (`true`) or from the server, which is then kept.
    pub(super) async fn run<R, A>(
        &self,
        job: &Job<'_, R, A>,
        attempts: &mut Vec<Attempt>,
    ) -> Result<(A, bool)>
    where
        R: Serialize + Sync,
        A: Serialize + DeserializeOwned + Clone,
    {
        let key = key(self.transport.address(), job.path, &job.body);
        let Some(cache) = &self.cache else {
            return Ok((self.send(&key, job, attempts).await?, false));
        };
        let claim = self.claim(&key);
        let first = claim.lock().await;
        if let Some(answer) = self.cached(job.path, &job.body)? {
            tracing::debug!(request = key.as_hex(), "answered from the cache");
            return Ok((answer, true));
        }
        let answer = self.send(&key, job, attempts).await?;
        let entry = Entry {
            format: FORMAT,
            question: self.question(job.path, &job.body)?,
            request: job.request,
            answer: answer.clone(),
        };
        if let Err(error) = cache.put(&key, &entry) {
            // The answer is paid for; losing it to a full disk would be the greater loss.
            tracing::warn!(%error, "an answer could not be kept in the cache");
        }
        drop(first);
        self.forget(&key, claim);
        Ok((answer, false))
    }

    fn claim(&self, key: &Digest) -> Arc<AsyncMutex<()>> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Claims of requests that failed or were dropped have no other owner left.
        under_way.retain(|_, claim| Arc::strong_count(claim) > 1);
        under_way.entry(key.clone()).or_default().clone()
    }

    fn forget(&self, key: &Digest, claim: Arc<AsyncMutex<()>>) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(claim);
        if under_way
            .get(key)
            .is_some_and(|c| Arc::strong_count(c) == 1)
        {
            under_way.remove(key);
        }
    }

    /// Sends until an answer comes, a refusal is final, or the attempts are used up.
    async fn send<R, A>(
        &self,
        key: &Digest,
        job: &Job<'_, R, A>,
        attempts: &mut Vec<Attempt>,
    ) -> Result<A> {
        let turn = self
            .turns
            .acquire()
            .await
            .map_err(|_| Error::internal("the endpoint was closed"))?;
        let outcome = self.send_until_done(key, job, attempts).await;
        drop(turn);
        if !attempts.is_empty() {
            self.log.push(AttemptRecord {
                request: key.clone(),
                attempts: attempts.clone(),
            });
        }
        outcome
    }

    async fn send_until_done<R, A>(
        &self,
        key: &Digest,
        job: &Job<'_, R, A>,
        attempts: &mut Vec<Attempt>,
    ) -> Result<A> {
        let start = Instant::now();
        for attempt_idx in 0..self.settings.retry.n_attempts_max {
            let held = self.account.hold(job.tokens)?;
            let offset_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            let reply = self.transport.exchange(job.path, Some(&job.body)).await;
            attempts.push(attempt(offset_ms, &reply));
            let n_sent = attempts.len();
            let asked = match reply {
                Ok(reply) if (200..300).contains(&reply.status) => {
                    let decoded = self.read(reply, job);
                    held.settle(decoded.as_ref().ok().and_then(|decoded| decoded.usage));
                    if let (Err(_), Some(last)) = (&decoded, attempts.last_mut()) {
                        last.fault = Some("content".to_owned());
                    }
                    return decoded.map(|decoded| decoded.answer);
                }
                Ok(reply) if status_is_retried(reply.status) => {
                    held.free();
                    if attempt_idx + 1 == self.settings.retry.n_attempts_max {
                        return Err(self.refused(&reply, n_sent));
                    }
                    let value = reply.retry_after.as_deref();
                    value.and_then(|value| retry_after(value, SystemTime::now()))
                }
                Ok(reply) => {
                    held.free();
                    return Err(self.refused(&reply, n_sent));
                }
                Err(fault) => {
                    if fault.may_be_billed() {
                        drop(held);
                    } else {
                        held.free();
                    }
                    if attempt_idx + 1 == self.settings.retry.n_attempts_max {
                        return Err(self.gave_up(fault.describe(), n_sent));
                    }
                    None
                }
            };
            let wait_ms = self.settings.retry.wait_ms(key, attempt_idx, asked);
            if let Some(last) = attempts.last_mut() {
                last.wait_ms = wait_ms;
                let (status, fault) = (last.status, last.fault.as_deref());
                tracing::debug!(request = key.as_hex(), status, fault, wait_ms, "sent again");
            }
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        Err(Error::internal("an endpoint was allowed no attempt"))
    }

    fn read<R, A>(&self, reply: Reply, job: &Job<'_, R, A>) -> Result<Decoded<A>> {
        let quoter = self.transport.quoter();
        let body = answer_body(reply, quoter)?;
        (job.decode)(&body, quoter)
    }

    /// The server said no, for good or too often.
    fn refused(&self, reply: &Reply, n_attempts: usize) -> Error {
        let body = match &reply.body {
            Body::Whole(bytes) => bytes.as_slice(),
            Body::TooLarge { .. } => &[],
        };
        let (address, status) = (self.transport.address(), reply.status);
        let said = said_in(body, self.transport.quoter());
        let attempts = times(n_attempts);
        let message =
            format!("`{address}` answered with status {status} ({attempts} sent); {said}");
        let error = Error::incomplete(message);
        match (status, &self.settings.key_env) {
            (300..=399, _) => error.hint(
                "redirects are not followed, because they could carry the key elsewhere; set \
                 `base_url` to where the server really is",
            ),
            (401 | 403, Some(name)) => error.hint(format!("check the key in `{name}`")),
            (401 | 403, None) => error.hint("name the variable that holds the key in `key_env`"),
            (404, _) => error.hint("check `base_url` (it ends in `/v1`) and `model`"),
            (429, _) => {
                error.hint("lower `n_concurrent`, or raise `retry.n_attempts_max` and try later")
            }
            _ => error.hint("run it again: answers that are there already are kept"),
        }
    }

    /// No answer came.
    fn gave_up(&self, why: &str, n_attempts: usize) -> Error {
        let address = self.transport.address();
        let attempts = times(n_attempts);
        Error::incomplete(format!(
            "no answer from `{address}` ({attempts} sent); last: {why}"
        ))
        .hint("check that the server runs; run it again: answers that are there already are kept")
    }
}

impl ChatModel for Endpoint {
    fn name(&self) -> &str {
        &self.settings.model
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatAnswer>> {
        Box::pin(async move { self.ask(request).await.answer })
    }

    fn attempts(&self) -> Option<&Attempts> {
        Some(&self.log)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn attempt(offset_ms: u64, reply: &Result<Reply, Fault>) -> Attempt {
    Attempt {
        offset_ms,
        status: reply.as_ref().ok().map(|reply| reply.status),
        fault: reply.as_ref().err().map(|fault| fault.name().to_owned()),
        wait_ms: 0,
    }
}

fn times(n_attempts: usize) -> String {
    match n_attempts {
        1 => "1 request".to_owned(),
        n => format!("{n} requests"),
    }
}

/// The bytes of an answer that says it is JSON and is not too large.
fn answer_body(reply: Reply, quoter: Quoter<'_>) -> Result<Vec<u8>> {
    if let Some(kind) = &reply.content_type {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.to_ascii_lowercase().ends_with("json") {
            let kind = quoter.quote(kind, 80);
            return Err(bad_answer(format!(
                "its content type is `{kind}`, not JSON"
            )));
        }
    }
    match reply.body {
        Body::Whole(bytes) => Ok(bytes),
        Body::TooLarge { n_bytes_read } => Err(bad_answer(format!(
            "it is larger than allowed; reading stopped after {n_bytes_read} bytes"
        ))
        .hint("raise `response_bytes_max` if such answers are expected")),
    }
}

/// Two answers to the same question as one.
fn merge(mut whole: ChatAnswer, part: ChatAnswer) -> ChatAnswer {
    whole.choices.extend(part.choices);
    whole.usage.n_prompt += part.usage.n_prompt;
    whole.usage.n_generated += part.usage.n_generated;
    whole.usage.cost_usd = whole
        .usage
        .cost_usd
        .zip(part.usage.cost_usd)
        .map(|(a, b)| a + b);
    whole.attempts += part.attempts;
    whole
}
