//! Preference data, built once with the reference policy (section 2.3).

use rand::{Rng, RngExt};

use super::network::Network;
use super::policy::PromptPolicy;
use super::pretrain::Sequence;
use super::task::{ANSWER_TOKENS, Answer, N_ANSWERS, N_TRACES, Prompt, Reward, Trace};
use super::tree::ALL_VALUES;
use crate::method::loss::Scored;
use crate::tabular::world::from_cumulative;

/// What stands in for the trace where thinking is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silent {
    /// Nothing: the paper's choice.
    Empty,
    /// The likeliest trace of at most one symbol, per prompt.
    LikelyShort,
    /// The same filler for every prompt.
    Generic,
}

impl Silent {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Empty, Self::LikelyShort, Self::Generic];

    /// The word of conditions and tags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::LikelyShort => "likely-short",
            Self::Generic => "generic",
        }
    }

    fn trace(self, policy: &PromptPolicy) -> Trace {
        match self {
            Self::Empty => Trace::EMPTY,
            Self::LikelyShort => {
                let short = (0..=super::task::N_SYMBOLS).map(|index| Trace { index });
                let best =
                    short.max_by(|a, b| policy.log_trace(*a).total_cmp(&policy.log_trace(*b)));
                best.unwrap_or(Trace::EMPTY)
            }
            Self::Generic => Trace::EMPTY.push(super::task::N_DIGITS),
        }
    }
}

/// One preference pair in both modes, with everything that the reference policy says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The prompt.
    pub prompt: Prompt,
    /// `y⁺`, `y⁻`.
    pub answers: [Answer; 2],
    /// The traces with which they were written.
    pub traces: [Trace; 2],
    /// `y'⁺`, `y'⁻`.
    pub silent_answers: [Answer; 2],
    /// The trace that stands for no thinking.
    pub silent: Trace,
    /// `log π_ref(r,y±|x)` of every trace.
    pub reference: [Vec<f64>; 2],
    /// `log π_ref(∅,y'±|x)`.
    pub silent_reference: [f64; 2],
    /// Cumulative `π_ref(r|x,y±)`.
    posterior: [Vec<f64>; 2],
    /// Traces drawn once from the posterior, after the stored one: K traces of offline data.
    stored: Vec<[Trace; 2]>,
}

/// Trace pairs that offline data keeps per example.
pub const N_STORED: usize = 8;

impl Pair {
    /// `(r,y±)` of a trace under a policy that gives it `logprob`.
    #[must_use]
    pub fn scored(&self, side: usize, trace: Trace, logprob: f64) -> Scored {
        Scored {
            logprob,
            reference: self.reference[side][trace.index],
            n_tokens: trace.scored_tokens(),
        }
    }

    /// `(∅,y'±)` under a policy that gives it `logprob`.
    #[must_use]
    pub fn scored_silent(&self, side: usize, logprob: f64) -> Scored {
        Scored {
            logprob,
            reference: self.silent_reference[side],
            n_tokens: self.silent.scored_tokens(),
        }
    }

    /// The trace pairs that a visit of the example sees.
    pub fn draw(&self, mode: Mode, n_draws: usize, rng: &mut impl Rng) -> Vec<[Trace; 2]> {
        match mode {
            Mode::Offline => self.stored.iter().copied().take(n_draws).collect(),
            Mode::Resample => (0..n_draws).map(|_| self.draw_traces(rng)).collect(),
        }
    }

    fn draw_traces(&self, rng: &mut impl Rng) -> [Trace; 2] {
        [0, 1].map(|side: usize| Trace {
            index: from_cumulative(&self.posterior[side], rng.random()),
        })
    }

    /// The sequence of one side with a trace.
    #[must_use]
    pub fn sequence(&self, side: usize, trace: Trace) -> Sequence {
        Sequence {
            prompt: self.prompt,
            trace,
            answer: self.answers[side],
        }
    }

    /// The sequence of one side without thinking.
    #[must_use]
    pub fn silent_sequence(&self, side: usize) -> Sequence {
        Sequence {
            prompt: self.prompt,
            trace: self.silent,
            answer: self.silent_answers[side],
        }
    }

    /// The values that occur in any answer of the pair, each once.
    #[must_use]
    pub fn values(&self) -> Vec<usize> {
        let mut values: Vec<usize> = self
            .answers
            .iter()
            .chain(&self.silent_answers)
            .map(|answer| answer.value())
            .collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Scored tokens of one trace pair, as stored.
    #[must_use]
    pub fn trace_tokens(&self) -> usize {
        self.traces.iter().map(|trace| trace.scored_tokens()).sum()
    }

    /// Scored tokens of the pair without thinking: the answers, with the closing tag given.
    #[must_use]
    pub fn silent_tokens(&self) -> usize {
        2 * (ANSWER_TOKENS + self.silent.n_symbols())
    }

    /// The same pair whose answers without thinking are those with a trace (X7).
    #[must_use]
    pub fn with_shared_answers(&self, network: &Network) -> Self {
        let policy = PromptPolicy::new(network, self.prompt, &ALL_VALUES);
        Self {
            silent_answers: self.answers,
            silent_reference: self
                .answers
                .map(|answer| policy.log_joint(self.silent, answer)),
            ..self.clone()
        }
    }
}

/// Which traces a visit of an example sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The stored ones, always the same: as in the paper.
    Offline,
    /// Fresh ones from `π_ref(r|x,y)`: what the theory models.
    Resample,
}

impl Mode {
    /// The word of conditions and tags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Resample => "resample",
        }
    }
}

/// How pairs are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Pairs wanted.
    pub n_pairs: usize,
    /// What the reward sees.
    pub reward: Reward,
    /// What stands for no thinking.
    pub silent: Silent,
}

/// Samples per prompt and mode. Paper: 5.
const SAMPLES: usize = 5;
/// Pairs whose rewards differ by less are dropped.
const GAP_MIN: f64 = 0.3;
/// Rounds over the prompts before fewer pairs than wanted are accepted.
const ROUNDS: usize = 20;

/// Draws preference pairs: the best and the worst of five answers in each mode. Prompts are visited
/// in the given order, again and again until there are enough pairs.
pub fn draw_pairs(
    network: &Network,
    prompts: &[Prompt],
    recipe: Recipe,
    rng: &mut impl Rng,
) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(recipe.n_pairs);
    for _ in 0..ROUNDS {
        for prompt in prompts {
            if pairs.len() == recipe.n_pairs {
                return pairs;
            }
            // A policy takes 17 MB, and few prompts are visited twice: none is kept.
            let policy = PromptPolicy::new(network, *prompt, &ALL_VALUES);
            pairs.extend(draw_pair(*prompt, &policy, recipe, rng));
        }
    }
    pairs
}

fn draw_pair(
    prompt: Prompt,
    policy: &PromptPolicy,
    recipe: Recipe,
    rng: &mut impl Rng,
) -> Option<Pair> {
    let silent = recipe.silent.trace(policy);
    let thinking = (0..SAMPLES).map(|_| sample(policy, None, rng)).collect();
    let silently = (0..SAMPLES)
        .map(|_| sample(policy, Some(silent), rng))
        .collect();
    let [plus, minus] = best_and_worst(prompt, recipe.reward, thinking)?;
    let [silent_plus, silent_minus] = best_and_worst(prompt, recipe.reward, silently)?;
    let answers = [plus.1, minus.1];
    let silent_answers = [silent_plus.1, silent_minus.1];
    let reference = answers.map(|answer| policy.log_joints(answer));
    let posterior = [0, 1].map(|side: usize| cumulative(&reference[side]));
    let mut pair = Pair {
        prompt,
        traces: [plus.0, minus.0],
        silent_reference: silent_answers.map(|answer| policy.log_joint(silent, answer)),
        answers,
        silent_answers,
        silent,
        reference,
        posterior,
        stored: Vec::new(),
    };
    pair.stored.push(pair.traces);
    for _ in 1..N_STORED {
        let more = pair.draw_traces(rng);
        pair.stored.push(more);
    }
    Some(pair)
}

/// A trace and an answer, or an answer to a given trace.
fn sample(policy: &PromptPolicy, given: Option<Trace>, rng: &mut impl Rng) -> (Trace, Answer) {
    let trace = given.unwrap_or_else(|| {
        let logs = (0..N_TRACES).map(|index| policy.log_trace(Trace { index }));
        Trace {
            index: pick(logs, rng.random()),
        }
    });
    let logs = (0..N_ANSWERS).map(|index| policy.log_answer(trace, Answer { index }));
    let answer = Answer {
        index: pick(logs, rng.random()),
    };
    (trace, answer)
}

/// The index at which cumulative probability passes `uniform`.
fn pick(logs: impl ExactSizeIterator<Item = f64>, uniform: f64) -> usize {
    let last = logs.len() - 1;
    let mut left = uniform;
    for (i, log) in logs.enumerate() {
        left -= log.exp();
        if left < 0.0 {
            return i;
        }
    }
    last
}

fn cumulative(logs: &[f64]) -> Vec<f64> {
    let total = crate::method::loss::log_sum_exp(logs.iter().copied());
    let mut sum = 0.0;
    let shares = logs.iter().map(|log| {
        sum += (log - total).exp();
        sum
    });
    shares.collect()
}

fn best_and_worst(
    prompt: Prompt,
    reward: Reward,
    mut samples: Vec<(Trace, Answer)>,
) -> Option<[(Trace, Answer); 2]> {
    let of = |sample: &(Trace, Answer)| reward.of(prompt, sample.1);
    samples.sort_by(|a, b| of(b).total_cmp(&of(a)));
    let (best, worst) = (*samples.first()?, *samples.last()?);
    (of(&best) - of(&worst) >= GAP_MIN).then_some([best, worst])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    use super::super::pretrain::initial;
    use super::*;

    #[test]
    fn pairs_are_preferences_and_know_their_reference() {
        let network = Network::new(initial(4));
        let prompts = [Prompt { index: 3 }, Prompt { index: 90 }];
        for silent in Silent::ALL {
            let recipe = Recipe {
                n_pairs: 3,
                reward: Reward::Full,
                silent,
            };
            let mut rng = Pcg64Mcg::seed_from_u64(2);
            let pairs = draw_pairs(&network, &prompts, recipe, &mut rng);
            assert_eq!(pairs.len(), 3);
            for pair in &pairs {
                for [plus, minus] in [pair.answers, pair.silent_answers] {
                    let of = |answer| Reward::Full.of(pair.prompt, answer);
                    assert!(of(plus) - of(minus) >= GAP_MIN);
                }
                let policy = PromptPolicy::new(&network, pair.prompt, &pair.values());
                for side in [0, 1] {
                    let joint = policy.log_joint(pair.traces[side], pair.answers[side]);
                    assert_eq!(pair.scored(side, pair.traces[side], joint).log_ratio(), 0.0);
                    assert!((pair.posterior[side][N_TRACES - 1] - 1.0).abs() < 1e-9);
                }
                assert_eq!(pair.draw(Mode::Offline, 1, &mut rng), [pair.traces]);
                assert_eq!(pair.draw(Mode::Resample, 4, &mut rng).len(), 4);
                assert!(pair.silent.n_symbols() <= 1);
            }
        }
    }

    #[test]
    fn shared_answers_change_nothing_but_the_silent_pair() {
        let network = Network::new(initial(4));
        let recipe = Recipe {
            n_pairs: 1,
            reward: Reward::Style,
            silent: Silent::Empty,
        };
        let mut rng = Pcg64Mcg::seed_from_u64(2);
        let pair = draw_pairs(&network, &[Prompt { index: 3 }], recipe, &mut rng).remove(0);
        let shared = pair.with_shared_answers(&network);
        assert_eq!(shared.silent_answers, pair.answers);
        assert_eq!(
            (shared.answers, &shared.reference),
            (pair.answers, &pair.reference)
        );
        for side in [0, 1] {
            let expected = pair.reference[side][pair.silent.index];
            assert!((shared.silent_reference[side] - expected).abs() < 1e-12);
        }
    }
}
