//! Pre-training data and the training of TinyThink from scratch.

use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use super::network::{N_LAYERS, N_PARAMETERS, Network, WIDTH, offset};
use super::optimizer::{Adam, linear};
use super::policy::{AFTER_CLOSE, AFTER_SYMBOL, AFTER_VALUE, add_legal_gradient, legal_logprobs};
use super::task::{
    Answer, CLOSE, N_DIGITS, N_STYLES, N_SYMBOLS, N_VOCAB, Prompt, TRACE_LEN_MAX, Trace,
};
use super::tree::Tree;

/// How the base model is made. All of it is part of the cache's key.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pretraining {
    /// Steps.
    pub n_steps: usize,
    /// Sequences per step.
    pub n_batch: usize,
    /// Peak learning rate.
    pub rate: f64,
    /// Steps of warm-up.
    pub n_warmup: usize,
    /// Share of sequences without a trace.
    pub no_think_share: f64,
    /// Share of the prompts that ever occur without a trace.
    pub no_think_prompts: f64,
    /// Probability that the intermediate value in a trace is replaced by a uniform digit.
    pub slip: f64,
}

impl Default for Pretraining {
    fn default() -> Self {
        Self {
            n_steps: 2500,
            n_batch: 64,
            rate: 3e-3,
            n_warmup: 100,
            no_think_share: 0.2,
            no_think_prompts: 0.4,
            slip: 0.07,
        }
    }
}

/// One pre-training sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The prompt.
    pub prompt: Prompt,
    /// The trace; empty where thinking is off, and then not scored.
    pub trace: Trace,
    /// The answer.
    pub answer: Answer,
}

/// Seeded initial parameters: normal with deviation 0.2 (0.2/√(2·layers) where a matrix writes into
/// the residual stream, 0.1 for positions), norms at one.
#[must_use]
pub fn initial(seed: u64) -> Vec<f64> {
    const SPREAD: f64 = 0.2;
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut theta: Vec<f64> = (0..N_PARAMETERS)
        .map(|_| {
            let normal: f64 = StandardNormal.sample(&mut rng);
            SPREAD * normal
        })
        .collect();
    let residual = 1.0 / (2.0 * N_LAYERS as f64).sqrt();
    for layer in 0..N_LAYERS {
        let start = offset::LAYERS + layer * offset::LAYER;
        for (from, to) in [(offset::DOWN, offset::UP), (offset::O, offset::Q)] {
            theta[start + from..start + to]
                .iter_mut()
                .for_each(|x| *x *= residual);
        }
        for norm in [offset::NORM_IN, offset::NORM_AFTER] {
            theta[start + norm..start + norm + WIDTH].fill(1.0);
        }
    }
    theta[offset::NORM..offset::NORM + WIDTH].fill(1.0);
    theta[offset::POSITIONS..]
        .iter_mut()
        .for_each(|x| *x *= 0.5);
    theta
}

impl Pretraining {
    /// Whether the prompt ever occurs without a trace: a fixed share, spread over all prompts.
    #[must_use]
    pub fn knows_without_trace(&self, prompt: Prompt) -> bool {
        // 125 has no factor but 5, so multiples of 47 visit every residue once.
        let place = prompt.index * 47 % super::task::N_PROMPTS;
        (place as f64) < self.no_think_prompts * super::task::N_PROMPTS as f64
    }

    /// Draws one sequence.
    pub fn draw(&self, rng: &mut impl Rng) -> Sequence {
        if rng.random::<f64>() < self.no_think_share && self.no_think_prompts > 0.0 {
            return self.draw_without_trace(rng);
        }
        let prompt = any_prompt(rng);
        let n_symbols = rng.random_range(1..=TRACE_LEN_MAX);
        let place = rng.random_range(0..n_symbols);
        let written = if rng.random::<f64>() < self.slip {
            rng.random_range(0..N_DIGITS)
        } else {
            prompt.intermediate()
        };
        let mut fillers = [0.0; N_SYMBOLS - N_DIGITS];
        let mut trace = Trace::EMPTY;
        for i in 0..n_symbols {
            let filler = rng.random_range(0..fillers.len());
            if i == place {
                trace = trace.push(written);
            } else {
                fillers[filler] += 1.0;
                trace = trace.push(N_DIGITS + filler);
            }
        }
        let value = (written + prompt.digits()[2]) % N_DIGITS;
        let style = choose([1.0, 0.5 + fillers[1], 0.5 + fillers[0]], rng);
        Sequence {
            prompt,
            trace,
            answer: Answer::new(value, style),
        }
    }

    fn draw_without_trace(&self, rng: &mut impl Rng) -> Sequence {
        let mut prompt = any_prompt(rng);
        while !self.knows_without_trace(prompt) {
            prompt = any_prompt(rng);
        }
        Sequence {
            prompt,
            trace: Trace::EMPTY,
            answer: Answer::new(prompt.correct_value(), choose([0.5, 0.25, 0.25], rng)),
        }
    }

    /// Trains from scratch. `go_on` is asked before every step and sees the mean loss of the last.
    pub fn train(&self, seed: u64, mut go_on: impl FnMut(usize, f64) -> bool) -> Vec<f64> {
        let mut theta = initial(seed);
        let mut rng = Pcg64Mcg::seed_from_u64(seed ^ 0x7261_6e64);
        let mut adam = Adam::new(N_PARAMETERS, 0.0);
        let mut gradient = vec![0.0; N_PARAMETERS];
        let mut loss = f64::NAN;
        for step in 0..self.n_steps {
            if !go_on(step, loss) {
                break;
            }
            let network = Network::new(theta);
            gradient.fill(0.0);
            loss = 0.0;
            for _ in 0..self.n_batch {
                let sequence = self.draw(&mut rng);
                // The empty trace of a sequence without thinking is given, not learned.
                let scores_trace = sequence.trace != Trace::EMPTY;
                let weight = -1.0 / self.n_batch as f64;
                let logprob =
                    add_sequence(&network, sequence, scores_trace, |_| weight, &mut gradient);
                loss += weight * logprob;
            }
            theta = network.theta().to_vec();
            let rate = self.rate * linear(step, self.n_warmup, self.n_steps, 0.05);
            adam.step(&mut theta, &gradient, rate);
        }
        theta
    }
}

fn any_prompt(rng: &mut impl Rng) -> Prompt {
    Prompt {
        index: rng.random_range(0..super::task::N_PROMPTS),
    }
}

fn choose(weights: [f64; N_STYLES], rng: &mut impl Rng) -> usize {
    let total: f64 = weights.iter().sum();
    let mut left = total * rng.random::<f64>();
    for (i, weight) in weights.into_iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return i;
        }
    }
    N_STYLES - 1
}

/// `log π(r,y|x)` of one sequence, or `log π(y|x,r)` where the trace is not scored; adds its
/// gradient times `weight(log-probability)` to `gradient`. A weight of 0 costs no backward pass.
pub fn add_sequence(
    network: &Network,
    sequence: Sequence,
    scores_trace: bool,
    weight: impl FnOnce(f64) -> f64,
    gradient: &mut [f64],
) -> f64 {
    let pass = SequencePass::new(network, sequence, scores_trace);
    let weight = weight(pass.logprob);
    pass.add_score(network, weight, gradient);
    pass.logprob
}

/// The forward pass of one sequence, kept for its backward pass.
pub struct SequencePass {
    tree: Tree,
    activations: super::network::Activations,
    /// Derivatives of the log-probability with respect to the logits.
    dlogits: Vec<f64>,
    /// `log π(r,y|x)` or `log π(y|x,r)`.
    pub logprob: f64,
}

impl SequencePass {
    /// Runs the network on one sequence.
    #[must_use]
    pub fn new(network: &Network, sequence: Sequence, scores_trace: bool) -> Self {
        let symbols = sequence.trace.symbols();
        let mut tokens = sequence.prompt.tokens().to_vec();
        tokens.extend(symbols.iter().map(|symbol| *symbol as u8));
        tokens.extend([CLOSE, sequence.answer.value() as u8]);
        let tree = Tree::sequence(&tokens);
        let activations = network.forward(&tree);
        let mut pass = Self {
            dlogits: vec![0.0; tree.len() * N_VOCAB],
            tree,
            activations,
            logprob: 0.0,
        };
        let last = pass.tree.len() - 1;
        if scores_trace {
            let start = last - symbols.len() - 2;
            for (t, symbol) in symbols.iter().enumerate() {
                pass.score(start + t, AFTER_SYMBOL, *symbol);
            }
            if symbols.len() < TRACE_LEN_MAX {
                pass.score(last - 2, AFTER_SYMBOL, N_SYMBOLS);
            }
        }
        pass.score(last - 1, AFTER_CLOSE, sequence.answer.value());
        pass.score(last, AFTER_VALUE, sequence.answer.style());
        pass
    }

    fn score<const N: usize>(&mut self, node: usize, legal: [u8; N], choice: usize) {
        let at = node * N_VOCAB..(node + 1) * N_VOCAB;
        let logprobs = legal_logprobs(&self.activations.logits[at.clone()], legal);
        self.logprob += logprobs[choice];
        add_legal_gradient(&mut self.dlogits[at], (&logprobs, legal), choice, 1.0);
    }

    /// Adds `weight · ∇ log π` to `gradient`; a weight of 0 costs nothing.
    pub fn add_score(&self, network: &Network, weight: f64, gradient: &mut [f64]) {
        if weight == 0.0 {
            return;
        }
        let rows: Vec<usize> = (0..self.tree.len()).collect();
        let dlogits: Vec<f64> = self.dlogits.iter().map(|d| weight * d).collect();
        network.backward((&self.tree, &self.activations), &rows, &dlogits, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::PromptPolicy;
    use super::*;

    #[test]
    fn sequences_follow_the_recipe() {
        let recipe = Pretraining::default();
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        let (mut n_empty, mut n_right) = (0, 0);
        for _ in 0..4000 {
            let sequence = recipe.draw(&mut rng);
            if sequence.trace == Trace::EMPTY {
                n_empty += 1;
                assert!(recipe.knows_without_trace(sequence.prompt));
                assert_eq!(sequence.answer.value(), sequence.prompt.correct_value());
                continue;
            }
            let digits: Vec<usize> = sequence
                .trace
                .symbols()
                .into_iter()
                .filter(|s| *s < N_DIGITS)
                .collect();
            assert_eq!(digits.len(), 1);
            let expected = (digits[0] + sequence.prompt.digits()[2]) % N_DIGITS;
            assert_eq!(sequence.answer.value(), expected);
            n_right += usize::from(digits[0] == sequence.prompt.intermediate());
        }
        assert!(
            (f64::from(n_empty) / 4000.0 - 0.2).abs() < 0.03,
            "{n_empty}"
        );
        // Of the slips one in five is right by chance.
        let share = n_right as f64 / f64::from(4000 - n_empty);
        assert!((share - (1.0 - 0.07 * 0.8)).abs() < 0.02, "{share}");
        let known = Prompt::all()
            .filter(|prompt| recipe.knows_without_trace(*prompt))
            .count();
        assert_eq!(known, 50);
    }

    #[test]
    fn a_sequence_scores_as_its_place_in_the_tree() {
        let network = Network::new(initial(5));
        for index in [0, 3, 40, 398] {
            let sequence = Sequence {
                prompt: Prompt { index: 77 },
                trace: Trace { index },
                answer: Answer::new(3, 2),
            };
            let policy = PromptPolicy::new(&network, sequence.prompt, &[3]);
            let (mut single, mut tree) = (vec![0.0; N_PARAMETERS], vec![0.0; N_PARAMETERS]);
            let logprob = add_sequence(&network, sequence, true, |_| 1.0, &mut single);
            policy.add_score(sequence.trace, sequence.answer, &mut tree);
            assert!((logprob - policy.log_joint(sequence.trace, sequence.answer)).abs() < 1e-12);
            assert!(single.iter().zip(&tree).all(|(a, b)| (a - b).abs() < 1e-11));
            let answer = add_sequence(&network, sequence, false, |_| 0.0, &mut single);
            assert!((answer - policy.log_answer(sequence.trace, sequence.answer)).abs() < 1e-12);
        }
    }

    #[test]
    fn training_lowers_the_loss_and_is_the_same_again() {
        let recipe = Pretraining {
            n_steps: 40,
            n_batch: 8,
            n_warmup: 5,
            ..Pretraining::default()
        };
        let run = || {
            let mut losses = Vec::new();
            let theta = recipe.train(2, |_, loss| {
                losses.push(loss);
                true
            });
            (theta, losses)
        };
        let (theta, losses) = run();
        let early: f64 = losses[1..6].iter().sum();
        let late: f64 = losses[35..40].iter().sum();
        assert!(late < early, "{early} {late}");
        assert_eq!(theta, run().0);
    }
}
