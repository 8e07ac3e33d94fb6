//! Exact evaluation in both modes: expected reward, win rate, accuracy, divergence.

use super::network::Network;
use super::policy::joint_table;
use super::task::{Answer, N_ANSWERS, Prompt, Reward, Trace};

/// What one policy does on one prompt: all probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// The prompt.
    pub prompt: Prompt,
    /// `log π(r,y|x)`, traces by answers.
    joint: Vec<f64>,
    /// `π(y|x)`.
    pub thinking: [f64; N_ANSWERS],
    /// `π(y|x,∅)`.
    pub silent: [f64; N_ANSWERS],
}

/// Numbers about a policy in one mode, averaged over prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// Expected reward.
    pub reward: f64,
    /// Probability that its answer has the higher reward than the reference policy's in the same
    /// mode; ties count half.
    pub win_rate: f64,
    /// Probability of the correct value.
    pub accuracy: f64,
    /// `KL(π(y|x) ‖ π_ref(y|x))`, in nats.
    pub divergence: f64,
}

impl Behaviour {
    /// Runs the network on every trace and answer of a prompt.
    #[must_use]
    pub fn of(network: &Network, prompt: Prompt) -> Self {
        let joint = joint_table(network, prompt);
        let mut thinking = [0.0; N_ANSWERS];
        for row in joint.chunks_exact(N_ANSWERS) {
            for (sum, log) in thinking.iter_mut().zip(row) {
                *sum += log.exp();
            }
        }
        let mut silent = [0.0; N_ANSWERS];
        for (share, log) in silent.iter_mut().zip(&joint) {
            *share = log.exp();
        }
        let total: f64 = silent.iter().sum();
        silent.iter_mut().for_each(|share| *share /= total);
        Self {
            prompt,
            joint,
            thinking,
            silent,
        }
    }

    /// `Σ_r,y π(r,y|x)`, which must be 1.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.thinking.iter().sum()
    }

    /// The entropy of `π(r|x)`, in nats.
    #[must_use]
    pub fn trace_entropy(&self) -> f64 {
        let shares = self
            .joint
            .chunks_exact(N_ANSWERS)
            .map(|row| -> f64 { row.iter().map(|log| log.exp()).sum() });
        shares
            .filter(|share| *share > 0.0)
            .map(|share| -share * share.ln())
            .sum()
    }

    /// Variances under the policy itself of `log π(r,y|x)` and of the number of scored tokens, with
    /// thinking; and of `log π(y|x,∅)`, without. The length without thinking never varies.
    #[must_use]
    pub fn variances(&self) -> [f64; 3] {
        let length = |index: usize| Trace { index }.scored_tokens() as f64;
        let pairs = || {
            self.joint
                .iter()
                .enumerate()
                .map(|(i, log)| (i / N_ANSWERS, *log))
        };
        let with_trace = variance(pairs().map(|(_, log)| (log.exp(), log)));
        let lengths = variance(pairs().map(|(trace, log)| (log.exp(), length(trace))));
        let without = variance(self.silent.iter().map(|share| (*share, share.ln())));
        [with_trace, lengths, without]
    }

    /// `KL(π(y|x,∅) ‖ π(y|x))`, in nats.
    #[must_use]
    pub fn mode_divergence(&self) -> f64 {
        divergence(&self.silent, &self.thinking)
    }

    fn quality(
        &self,
        before: &Self,
        reward: Reward,
        mode: fn(&Self) -> &[f64; N_ANSWERS],
    ) -> Quality {
        let (now, then) = (mode(self), mode(before));
        let rewards: Vec<f64> = (0..N_ANSWERS)
            .map(|index| reward.of(self.prompt, Answer { index }))
            .collect();
        let correct =
            |index: &usize| Answer { index: *index }.value() == self.prompt.correct_value();
        let mut win_rate = 0.0;
        for (a, p) in rewards.iter().zip(now) {
            for (b, q) in rewards.iter().zip(then) {
                let won = match a.total_cmp(b) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
                win_rate += p * q * won;
            }
        }
        Quality {
            reward: rewards.iter().zip(now).map(|(r, p)| r * p).sum(),
            win_rate,
            accuracy: (0..N_ANSWERS).filter(correct).map(|index| now[index]).sum(),
            divergence: divergence(now, then),
        }
    }
}

fn variance(weighted: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let present = weighted.filter(|(share, _)| *share > 0.0);
    let mean: f64 = present.clone().map(|(share, value)| share * value).sum();
    present
        .map(|(share, value)| share * (value - mean) * (value - mean))
        .sum()
}

fn divergence(p: &[f64; N_ANSWERS], q: &[f64; N_ANSWERS]) -> f64 {
    let terms = p.iter().zip(q).filter(|(p, _)| **p > 0.0);
    terms.map(|(p, q)| p * (p / q).ln()).sum()
}

/// The reference policy's behaviour on some prompts.
#[derive(Clone, Debug)]
pub struct Evaluator {
    before: Vec<Behaviour>,
    reward: Reward,
}

impl Evaluator {
    /// Runs the reference policy.
    #[must_use]
    pub fn new(reference: &Network, prompts: &[Prompt], reward: Reward) -> Self {
        Self {
            before: prompts
                .iter()
                .map(|prompt| Behaviour::of(reference, *prompt))
                .collect(),
            reward,
        }
    }

    /// The reference policy's behaviour.
    #[must_use]
    pub fn before(&self) -> &[Behaviour] {
        &self.before
    }

    /// The quality of a policy with thinking, and without; means over prompts.
    #[must_use]
    pub fn of(&self, network: &Network) -> [Quality; 2] {
        let now: Vec<Behaviour> = self
            .before
            .iter()
            .map(|before| Behaviour::of(network, before.prompt))
            .collect();
        self.qualities(&now)
    }

    /// The quality of the reference policy itself.
    #[must_use]
    pub fn of_reference(&self) -> [Quality; 2] {
        self.qualities(&self.before)
    }

    fn qualities(&self, now: &[Behaviour]) -> [Quality; 2] {
        let modes: [fn(&Behaviour) -> &[f64; N_ANSWERS]; 2] = [
            |behaviour| &behaviour.thinking,
            |behaviour| &behaviour.silent,
        ];
        modes.map(|mode| {
            let mut mean = Quality::default();
            let share = 1.0 / self.before.len().max(1) as f64;
            for (now, before) in now.iter().zip(&self.before) {
                let quality = now.quality(before, self.reward, mode);
                mean.reward += share * quality.reward;
                mean.win_rate += share * quality.win_rate;
                mean.accuracy += share * quality.accuracy;
                mean.divergence += share * quality.divergence;
            }
            mean
        })
    }
}

/// Training, validation, and test prompts: 80, 20, and 25, spread over all digits.
#[must_use]
pub fn split() -> [Vec<Prompt>; 3] {
    const PARTS: [usize; 2] = [80, 100];
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for prompt in Prompt::all() {
        // A fixed permutation; 58 shares no factor with 125.
        let place = (prompt.index * 58 + 31) % super::task::N_PROMPTS;
        parts[PARTS.iter().filter(|end| place >= **end).count()].push(prompt);
    }
    parts
}

/// The values of a mode by name.
pub const MODES: [&str; 2] = ["thinking", "no-thinking"];

#[cfg(test)]
mod tests {
    use super::super::pretrain::initial;
    use super::*;

    #[test]
    fn a_policy_against_itself_wins_half_and_diverges_nowhere() {
        let network = Network::new(initial(3));
        let prompts = [Prompt { index: 5 }, Prompt { index: 99 }];
        let evaluator = Evaluator::new(&network, &prompts, Reward::Full);
        assert_eq!(evaluator.of_reference(), evaluator.of(&network));
        for quality in evaluator.of(&network) {
            assert!((quality.win_rate - 0.5).abs() < 1e-9);
            assert!(quality.divergence.abs() < 1e-9);
            assert!((0.0..=1.0).contains(&quality.accuracy));
        }
        for behaviour in evaluator.before() {
            assert!((behaviour.total() - 1.0).abs() < 1e-9);
            assert!(behaviour.trace_entropy() > 0.0);
            assert!(behaviour.mode_divergence() >= 0.0);
            assert!(
                behaviour
                    .variances()
                    .iter()
                    .all(|variance| *variance >= 0.0)
            );
        }
    }

    #[test]
    fn the_split_is_a_partition() {
        let [train, validation, test] = split();
        assert_eq!([train.len(), validation.len(), test.len()], [80, 20, 25]);
        let mut all: Vec<Prompt> = [train, validation, test].concat();
        all.sort();
        assert!(all.into_iter().eq(Prompt::all()));
    }

    #[test]
    fn variance_and_divergence_of_known_distributions() {
        let coin = [(0.5, 1.0), (0.5, 3.0), (0.0, f64::NEG_INFINITY)];
        assert!((variance(coin.into_iter()) - 1.0).abs() < 1e-12);
        let mut p = [0.0; N_ANSWERS];
        (p[0], p[1]) = (0.5, 0.5);
        let mut q = p;
        (q[0], q[1]) = (0.25, 0.75);
        let expected = 0.5 * 2.0_f64.ln() + 0.5 * (2.0_f64 / 3.0).ln();
        assert!((divergence(&p, &q) - expected).abs() < 1e-12);
    }
}
