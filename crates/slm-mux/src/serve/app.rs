//! What the router routes to, and within which limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eval::{Error, Result};
use model::chat::ChatModel;
use model::serve::{Access, ApiError, Service};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::router;
use crate::protocols::AnswerKind;
use crate::rule::{Policy, Ranking};

/// One model behind the router.
#[derive(Clone)]
pub struct Member {
    /// Its name in votes.
    pub name: String,
    /// Who answers.
    pub model: Arc<dyn ChatModel>,
}

/// How the router answers.
#[derive(Clone, Debug)]
pub struct MuxSettings {
    /// The name that requests give in `model`.
    pub model_id: String,
    /// The open points of Algorithm 1, `early_exit` among them.
    pub policy: Policy,
    /// Validation accuracies of the members, for ties; empty: list order.
    pub accuracies: Vec<f64>,
    /// Samples of each member, unless the request says otherwise.
    pub k: usize,
    /// Samples of each member that a request may ask for.
    pub k_max: usize,
    /// How answers are read, unless the request says otherwise.
    pub answer: AnswerKind,
    /// Temperature, unless the request says otherwise. Paper: 0.3.
    pub temperature: f32,
    /// Tokens of an answer at most; a request may ask for fewer.
    pub n_tokens_max: usize,
    /// Seed of requests that give none: the same question then has the same answer.
    pub seed: u64,
    /// Who may ask.
    pub access: Access,
    /// Requests being answered; one more is refused with 429.
    pub n_requests_max: usize,
    /// Open connections; further ones wait to be accepted.
    pub n_connections_max: usize,
    /// Bytes of a body.
    pub n_body_bytes_max: usize,
    /// For a body to arrive.
    pub body_wait: Duration,
    /// For all members to answer.
    pub answer_wait: Duration,
    /// For running answers to end after the router was asked to stop.
    pub stop_wait: Duration,
}

impl Default for MuxSettings {
    fn default() -> Self {
        Self {
            model_id: "slm-mux".to_owned(),
            policy: Policy::reproduction(),
            accuracies: Vec::new(),
            k: 3,
            k_max: 32,
            answer: AnswerKind::Line,
            temperature: 0.3,
            n_tokens_max: 512,
            seed: 0,
            access: Access::default(),
            n_requests_max: 64,
            n_connections_max: 256,
            n_body_bytes_max: 4 << 20,
            body_wait: Duration::from_secs(20),
            answer_wait: Duration::from_secs(600),
            stop_wait: Duration::from_secs(10),
        }
    }
}

/// A router ready to serve. Clones share everything.
#[derive(Clone)]
pub struct MuxApp(Arc<Inner>);

struct Inner {
    members: Vec<Member>,
    settings: MuxSettings,
    ranking: Ranking,
    places: Arc<Semaphore>,
    started_s: u64,
    n_answers: AtomicU64,
    cut: watch::Sender<bool>,
}

impl MuxApp {
    /// Checks the settings.
    ///
    /// # Errors
    /// There are no members, two have one name, accuracies are not one per member, or a limit is 0.
    pub fn new(members: Vec<Member>, settings: MuxSettings) -> Result<Self> {
        if members.is_empty() {
            return Err(Error::usage("there is no model to route to").hint("give `--model`"));
        }
        for (idx, member) in members.iter().enumerate() {
            if members[..idx].iter().any(|other| other.name == member.name) {
                return Err(Error::usage(format!(
                    "two members are called `{}`",
                    member.name.escape_debug()
                ))
                .hint("name each model once"));
            }
        }
        let (n_accuracies, n_members) = (settings.accuracies.len(), members.len());
        if n_accuracies != 0 && n_accuracies != n_members {
            return Err(Error::usage(format!(
                "{n_accuracies} accuracies do not belong to {n_members} models"
            ))
            .hint("give one `--accuracy` per `--model`, in the same order"));
        }
        if let Some(odd) = settings
            .accuracies
            .iter()
            .find(|accuracy| !(0.0..=1.0).contains(*accuracy))
        {
            return Err(Error::usage(format!("the accuracy {odd} is no share"))
                .hint("give a number from 0 to 1"));
        }
        let limits = [settings.k, settings.k_max, settings.n_tokens_max];
        if limits.contains(&0) || settings.k > settings.k_max {
            return Err(Error::usage(format!(
                "k = {} and {} tokens of an answer must be at least 1, and k at most {}",
                settings.k, settings.n_tokens_max, settings.k_max
            )));
        }
        let ranking = Ranking::of_policy(&settings.policy, &settings.accuracies, n_members);
        Ok(Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(settings.n_requests_max)),
            started_s: now_s(),
            n_answers: AtomicU64::new(0),
            cut: watch::Sender::new(false),
            members,
            settings,
            ranking,
        })))
    }

    /// The members in list order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.0.members
    }

    /// How it answers.
    #[must_use]
    pub fn settings(&self) -> &MuxSettings {
        &self.0.settings
    }

    /// Who wins ties.
    #[must_use]
    pub fn ranking(&self) -> &Ranking {
        &self.0.ranking
    }

    /// When the router started, in seconds since 1970.
    pub(super) fn started_s(&self) -> u64 {
        self.0.started_s
    }

    /// A place among the requests being answered; it is free again when the permit is dropped.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        const RETRY_AFTER_S: u64 = 1;
        let permit = Arc::clone(&self.0.places).try_acquire_owned();
        permit.map_err(|_| ApiError::busy(self.0.settings.n_requests_max, RETRY_AFTER_S))
    }

    /// Ends once running answers are to be cut off.
    pub(super) async fn is_cut(&self) {
        let mut cut = self.0.cut.subscribe();
        // The sender lives as long as this app.
        let _ = cut.wait_for(|is_cut| *is_cut).await;
    }

    /// An identity unique within the router's life, and the time, in seconds since 1970.
    pub(super) fn new_answer(&self) -> (String, u64) {
        let number = self.0.n_answers.fetch_add(1, Ordering::Relaxed);
        let id = format!("chatcmpl-{:08x}{number:08x}", self.0.started_s);
        (id, now_s())
    }
}

impl From<MuxApp> for Service {
    fn from(app: MuxApp) -> Self {
        let settings = app.settings();
        Self {
            n_connections_max: settings.n_connections_max,
            stop_wait: settings.stop_wait,
            routes: router(app.clone()),
            cut: Box::new(move || _ = app.0.cut.send_replace(true)),
        }
    }
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
