//! A poll: several models answer the same question several times each. Algorithm 1 and every pooled
//! vote are readings of it.

use std::collections::BTreeMap;

use eval::{Error, Result};
use futures_util::future::join_all;
use model::chat::{ChatModel, ChatRequest};
use rand::Rng;

use super::agent::{Agent, Asking, Reply};
use super::question::Question;
use super::tokens::Tokens;
use crate::rule::{self, Choice, ForestTie, Policy, Ranking};
use crate::samples::{Code, NO_ANSWER};

/// One model of a poll and what it is asked.
pub struct Seat<'a> {
    /// Its name.
    pub name: &'a str,
    /// Who answers.
    pub model: &'a dyn ChatModel,
    /// What it is asked; the number of samples is set by the poll.
    pub request: ChatRequest,
    /// The normalised answer in a text.
    pub read: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

/// What one model gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polled {
    /// Its name.
    pub name: String,
    /// Its samples in the order in which they were drawn; none where it failed.
    pub replies: Vec<Reply>,
    /// What they took.
    pub tokens: Tokens,
    /// Why it gave none.
    pub error: Option<String>,
}

/// What all models gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Samples wanted of each model.
    pub k: usize,
    /// The models in the order of the seats.
    pub models: Vec<Polled>,
    /// Whether the first samples agreed, so that no more were drawn.
    pub exited_early: bool,
}

/// Asks every seat for `k` answers, all at the same time. With `early_exit` one of each comes
/// first, and where all agree no more are drawn.
///
/// A model that fails is out of the poll, with its error on record.
///
/// # Errors
/// There are no seats, `k` is 0, or every model fails.
pub async fn poll(seats: &[Seat<'_>], k: usize, early_exit: bool) -> Result<Poll> {
    if seats.is_empty() || k == 0 {
        return Err(Error::usage(
            "a poll needs at least one model and one sample of each",
        ));
    }
    let first = if early_exit { 1 } else { k };
    let all = seats.iter().map(|seat| Some(seat.request.sampling.seed));
    let mut models = ask(seats, all.collect(), first).await;
    let exited_early = early_exit && agree(&models);
    if early_exit && !exited_early && k > 1 {
        // The seed moves on, so that these are further samples and not the first one again.
        let seeds = seats.iter().zip(&models).map(|(seat, model)| {
            let seed = seat.request.sampling.seed.wrapping_add(1);
            model.error.is_none().then_some(seed)
        });
        let more = ask(seats, seeds.collect(), k - 1).await;
        for (model, more) in models.iter_mut().zip(more) {
            model.tokens += more.tokens;
            match more.error {
                Some(error) => {
                    model.replies.clear();
                    model.error = Some(error);
                }
                None => model.replies.extend(more.replies),
            }
        }
    }
    if models.iter().all(|model| model.error.is_some()) {
        let errors: Vec<String> = models
            .iter()
            .filter_map(|model| Some(format!("{}: {}", model.name, model.error.as_ref()?)))
            .collect();
        return Err(
            Error::incomplete(format!("none of the {} models answered", models.len()))
                .hint(errors.join("; ")),
        );
    }
    Ok(Poll {
        k,
        models,
        exited_early,
    })
}

/// `n_samples` of every seat that has a seed; the others give nothing.
async fn ask(seats: &[Seat<'_>], seeds: Vec<Option<u64>>, n_samples: usize) -> Vec<Polled> {
    let asked = seats.iter().zip(seeds).map(|(seat, seed)| async move {
        let mut polled = Polled {
            name: seat.name.to_owned(),
            replies: Vec::new(),
            tokens: Tokens::default(),
            error: None,
        };
        let Some(seed) = seed else {
            return polled;
        };
        let mut request = seat.request.clone();
        request.n_samples = n_samples;
        request.sampling.seed = seed;
        match seat.model.chat(&request).await {
            Ok(answer) => {
                polled.tokens = Tokens::of(&answer.usage);
                let replies = answer.choices.into_iter().map(|choice| Reply {
                    answer: (seat.read)(&choice.text),
                    text: choice.text,
                });
                polled.replies = replies.collect();
            }
            Err(error) => polled.error = Some(error.to_string()),
        }
        polled
    });
    join_all(asked).await
}

/// Whether every model gave the same readable answer first.
fn agree(models: &[Polled]) -> bool {
    let mut answers = models.iter().map(|model| {
        model
            .replies
            .first()
            .and_then(|reply| reply.answer.as_ref())
    });
    match answers.next().flatten() {
        Some(first) => answers.all(|answer| answer == Some(first)),
        None => false,
    }
}

/// What was chosen from a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The model, by its place among the seats; none where nothing could be chosen.
    pub model: Option<usize>,
    /// The answer; `None` where nothing could be read.
    pub answer: Option<String>,
    /// Its first sample with that answer.
    pub reply: Option<Reply>,
    /// Samples of the model that gave it.
    pub count: usize,
    /// How many models were equally confident.
    pub n_tied: usize,
}

impl Poll {
    /// What it took, all models together.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        let mut tokens = Tokens::default();
        for model in &self.models {
            tokens += model.tokens;
        }
        tokens
    }

    /// Algorithm 1 among the models that answered. `ranking` ranks all seats. Whether to exit early
    /// was decided when the poll was taken; the policy's own switch is not looked at.
    pub fn mux(&self, policy: &Policy, ranking: &Ranking, random: &mut impl Rng) -> Chosen {
        let coded = Coded::of(self);
        let policy = Policy {
            early_exit: false,
            ..*policy
        };
        let ranking = ranking.of_models(&coded.seats);
        let choice: Choice = rule::mux(&coded.codes, coded.k, &policy, &ranking, random);
        let model = choice.model.map(|place| coded.seats[place]);
        self.chosen(&coded, model, choice.code, choice.n_tied as usize)
    }

    /// The plurality of all answers (Agent Forest).
    pub fn forest(&self, ties: ForestTie, ranking: &Ranking, random: &mut impl Rng) -> Chosen {
        let coded = Coded::of(self);
        let ranking = ranking.of_models(&coded.seats);
        let code = rule::agent_forest(&coded.codes, coded.k, ties, &ranking, random);
        let supports = |seat: &usize| self.first_with(*seat, coded.text(code)).is_some();
        let model = coded.seats.iter().copied().find(|seat| supports(seat));
        self.chosen(&coded, model, code, 1)
    }

    fn chosen(&self, coded: &Coded<'_>, model: Option<usize>, code: Code, n_tied: usize) -> Chosen {
        let text = coded.text(code);
        let reply = model.and_then(|seat| self.first_with(seat, text));
        let count = model.map_or(0, |seat| {
            let replies = self.models[seat].replies.iter();
            replies
                .filter(|r| text.is_some() && r.answer.as_deref() == text)
                .count()
        });
        Chosen {
            model,
            answer: text.map(str::to_owned),
            reply: reply.cloned(),
            count,
            n_tied,
        }
    }

    fn first_with(&self, seat: usize, answer: Option<&str>) -> Option<&Reply> {
        let mut replies = self.models[seat].replies.iter();
        replies.find(|reply| answer.is_some() && reply.answer.as_deref() == answer)
    }
}

/// The answers of a poll as codes: numbers in the order of first appearance.
struct Coded<'a> {
    /// Samples of each model that answered.
    k: usize,
    /// Places of the models that answered.
    seats: Vec<usize>,
    codes: Vec<Code>,
    texts: Vec<&'a str>,
}

impl<'a> Coded<'a> {
    fn of(poll: &'a Poll) -> Self {
        let k = if poll.exited_early { 1 } else { poll.k };
        let (mut known, mut texts) = (BTreeMap::new(), Vec::new());
        let (mut seats, mut codes) = (Vec::new(), Vec::new());
        for (seat, model) in poll.models.iter().enumerate() {
            if model.error.is_some() {
                continue;
            }
            seats.push(seat);
            // A model may give fewer answers than it was asked for; what is missing cannot be read.
            for sample in 0..k {
                let reply = model.replies.get(sample);
                let answer = reply.and_then(|reply| reply.answer.as_deref());
                codes.push(answer.map_or(NO_ANSWER, |text| {
                    *known.entry(text).or_insert_with(|| {
                        texts.push(text);
                        (texts.len() - 1) as Code
                    })
                }));
            }
        }
        Self {
            k,
            seats,
            codes,
            texts,
        }
    }

    fn text(&self, code: Code) -> Option<&'a str> {
        self.texts.get(usize::from(code)).copied()
    }
}

/// Polls agents about a question.
///
/// # Errors
/// As [`poll`].
pub async fn poll_agents(
    agents: &[Agent],
    question: &Question,
    (k, early_exit): (usize, bool),
    asking: Asking,
) -> Result<Poll> {
    let readers: Vec<_> = agents
        .iter()
        .map(|agent| |text: &str| agent.wording.read(text))
        .collect();
    let seats: Vec<Seat<'_>> = agents
        .iter()
        .zip(&readers)
        .map(|(agent, read)| Seat {
            name: &agent.name,
            model: &*agent.model,
            request: agent.request(question, asking, "poll"),
            read,
        })
        .collect();
    poll(&seats, k, early_exit).await
}
