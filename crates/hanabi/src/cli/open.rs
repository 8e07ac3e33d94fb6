//! From words on the command line to players and judges. Each model is opened once.

use std::collections::BTreeMap;
use std::sync::Arc;

use eval::{Error, Result};
use model::chat::{ChatModel, ChatSpec, Endpoint, EndpointSettings, weights_file};

use super::args::ModelArgs;
use crate::judges::{ChatJudge, Exact, Judge, LikelihoodJudge, Overlap};
use crate::language::Scorer;
use crate::protocol::{Bot, ChatOptions, ChatPlayer, Graded, LikelihoodPlayer, Player, PlayerSpec};

/// Everything that was opened.
pub struct Models {
    args: ModelArgs,
    /// Whether anything may be sent: then endpoints need a budget.
    sends: bool,
    scorers: BTreeMap<String, Arc<Scorer>>,
    chats: BTreeMap<String, Arc<dyn ChatModel>>,
    endpoints: BTreeMap<String, Arc<Endpoint>>,
}

impl Models {
    /// Nothing yet. Where nothing is to be sent, endpoints need no budget.
    pub fn new(args: &ModelArgs, sends: bool) -> Self {
        Self {
            args: args.clone(),
            sends,
            scorers: BTreeMap::new(),
            chats: BTreeMap::new(),
            endpoints: BTreeMap::new(),
        }
    }

    /// How chats are asked.
    pub fn options(&self, seed: u64) -> ChatOptions {
        ChatOptions {
            n_tokens_max: self.args.max_tokens,
            temperature: self.args.temperature,
            seed,
        }
    }

    /// Opens whatever a player needs.
    ///
    /// # Errors
    /// Weights or recordings are absent, or an endpoint has no address or no budget.
    pub fn open(&mut self, spec: &PlayerSpec) -> Result<()> {
        match spec {
            PlayerSpec::Policy(_) | PlayerSpec::Graded(_) => Ok(()),
            PlayerSpec::Likelihood(weights) => self.open_scorer(weights),
            PlayerSpec::Chat(chat) => self.open_chat(chat),
        }
    }

    fn open_scorer(&mut self, weights: &str) -> Result<()> {
        if !self.scorers.contains_key(weights) {
            let n_threads = self.args.reached.threads as usize;
            let scorer = Scorer::open(&weights_file(weights)?, n_threads)?;
            self.scorers.insert(weights.to_owned(), Arc::new(scorer));
        }
        Ok(())
    }

    fn open_chat(&mut self, spec: &ChatSpec) -> Result<()> {
        let name = spec.to_string();
        if self.chats.contains_key(&name) {
            return Ok(());
        }
        let chat: Arc<dyn ChatModel> = match spec {
            ChatSpec::Endpoint { name } => {
                let endpoint = Arc::new(Endpoint::new(self.endpoint(name)?)?);
                self.endpoints
                    .insert(spec.to_string(), Arc::clone(&endpoint));
                endpoint
            }
            other => self.args.reached.open(other)?,
        };
        self.chats.insert(name, chat);
        Ok(())
    }

    fn endpoint(&self, model: &str) -> Result<EndpointSettings> {
        let settings = self.args.reached.endpoint(model)?;
        if self.sends {
            self.args.reached.require_budget(model).map_err(|error| {
                error.hint(
                    "give `--budget-requests`, `--budget-tokens`, or `--budget-usd` with prices; \
                     `--estimate` says what a run would take",
                )
            })?;
        }
        Ok(settings)
    }

    /// A fresh player for one seat of one game.
    ///
    /// # Errors
    /// The player was not opened; a bug.
    pub fn seat(&self, spec: &PlayerSpec, n_seats: usize, seed: u64) -> Result<Box<dyn Player>> {
        Ok(match spec {
            PlayerSpec::Policy(rung) => Box::new(Bot::new(*rung, n_seats, seed)?),
            PlayerSpec::Graded(ability) => Box::new(Graded::new(*ability, seed)),
            PlayerSpec::Likelihood(weights) => {
                let scorer = Arc::clone(found(self.scorers.get(weights))?);
                Box::new(LikelihoodPlayer::new(spec.to_string(), scorer))
            }
            PlayerSpec::Chat(chat) => {
                let model = Arc::clone(found(self.chats.get(&chat.to_string()))?);
                Box::new(ChatPlayer::new(spec.to_string(), model, self.options(seed)))
            }
        })
    }

    /// Opens a judge.
    ///
    /// # Errors
    /// Nobody has that name, or as [`Models::open`].
    pub fn judge(&mut self, text: &str, seed: u64) -> Result<Box<dyn Judge>> {
        match text {
            "exact" => return Ok(Box::new(Exact)),
            "overlap" => return Ok(Box::new(Overlap)),
            _ => {}
        }
        let spec: PlayerSpec = text.parse().map_err(|_| unknown_judge(text))?;
        self.open(&spec)?;
        Ok(match &spec {
            PlayerSpec::Likelihood(weights) => {
                let scorer = Arc::clone(found(self.scorers.get(weights))?);
                Box::new(LikelihoodJudge::new(text, scorer))
            }
            PlayerSpec::Chat(chat) => {
                let model = Arc::clone(found(self.chats.get(&chat.to_string()))?);
                Box::new(ChatJudge::new(text, model, seed))
            }
            PlayerSpec::Policy(_) | PlayerSpec::Graded(_) => return Err(unknown_judge(text)),
        })
    }

    /// The endpoint of a player, if it is one.
    pub fn endpoint_of(&self, spec: &PlayerSpec) -> Option<&Arc<Endpoint>> {
        match spec {
            PlayerSpec::Chat(chat) => self.endpoints.get(&chat.to_string()),
            PlayerSpec::Policy(_) | PlayerSpec::Graded(_) | PlayerSpec::Likelihood(_) => None,
        }
    }

    /// All endpoints that were opened, by name.
    pub fn endpoints(&self) -> impl Iterator<Item = (&String, &Arc<Endpoint>)> {
        self.endpoints.iter()
    }
}

fn found<T>(opened: Option<T>) -> Result<T> {
    opened.ok_or_else(|| Error::internal("a player was seated before it was opened"))
}

fn unknown_judge(text: &str) -> Error {
    Error::usage(format!("`{}` names no judge", text.escape_debug())).hint(
        "write `exact`, `overlap`, `local:<weights>`, `chat:local:<weights>`, \
         `endpoint:<model>`, or `replay:<file>`",
    )
}
