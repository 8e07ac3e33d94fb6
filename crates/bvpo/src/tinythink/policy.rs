//! Constrained decoding: the network as a proper distribution over 400 traces times 15 answers.
//!
//! After `<think>` and after every symbol but the third, a symbol or `</think>` may follow; after
//! the third symbol only `</think>`; then one of five values; then one of three styles. Logits
//! outside the legal set count as minus infinity.

use super::network::{Activations, N_PARAMETERS, Network};
use super::task::{
    Answer, CLOSE, N_ANSWERS, N_DIGITS, N_STYLES, N_SYMBOLS, N_TRACES, N_VOCAB, Prompt, STYLE,
    TRACE_LEN_MAX, Trace,
};
use super::tree::{Tree, close_node, trace_node, value_node};
use crate::method::exact::Scores;

/// Tokens that may follow an unfinished trace.
pub const AFTER_SYMBOL: [u8; N_SYMBOLS + 1] = [0, 1, 2, 3, 4, 5, 6, CLOSE];
/// Tokens that may follow the closing tag.
pub const AFTER_CLOSE: [u8; N_DIGITS] = [0, 1, 2, 3, 4];
/// Tokens that may follow a value.
pub const AFTER_VALUE: [u8; N_STYLES] = [STYLE, STYLE + 1, STYLE + 2];

/// `log softmax` of the logits of the legal tokens.
pub fn legal_logprobs<const N: usize>(logits: &[f64], legal: [u8; N]) -> [f64; N] {
    let chosen = legal.map(|token| logits[usize::from(token)]);
    let largest = chosen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = chosen.iter().map(|logit| (logit - largest).exp()).sum();
    chosen.map(|logit| logit - largest - total.ln())
}

/// Adds `weight · ∇_logits log p(token)` to a row of logit derivatives.
pub fn add_legal_gradient<const N: usize>(
    row: &mut [f64],
    (logprobs, legal): (&[f64; N], [u8; N]),
    token_idx: usize,
    weight: f64,
) {
    for (logprob, token) in logprobs.iter().zip(legal) {
        row[usize::from(token)] -= weight * logprob.exp();
    }
    row[usize::from(legal[token_idx])] += weight;
}

/// Every trace of a prompt under a network, and some or all answers.
#[derive(Clone, Debug)]
pub struct PromptPolicy<'a> {
    network: &'a Network,
    tree: Tree,
    activations: Activations,
    values: Vec<usize>,
    /// `log p(symbol or end | prefix)` of every trace; a full trace ends for certain.
    steps: Vec<[f64; N_SYMBOLS + 1]>,
    /// `log p(value | trace)`.
    value_logprobs: Vec<[f64; N_DIGITS]>,
    /// `log p(style | trace, value)`, traces by `values`.
    style_logprobs: Vec<[f64; N_STYLES]>,
    /// `log π(r|x)`: symbols and end.
    trace_logprobs: Vec<f64>,
}

impl<'a> PromptPolicy<'a> {
    /// Runs the network on every trace of the prompt, followed by each of `values`.
    #[must_use]
    pub fn new(network: &'a Network, prompt: Prompt, values: &[usize]) -> Self {
        let tree = Tree::of_prompt(prompt, values);
        let activations = network.forward(&tree);
        let logits = |node: usize| &activations.logits[node * N_VOCAB..(node + 1) * N_VOCAB];
        let traces = || (0..N_TRACES).map(|index| Trace { index });
        let steps: Vec<[f64; N_SYMBOLS + 1]> = traces()
            .map(|trace| {
                if trace.n_symbols() < TRACE_LEN_MAX {
                    return legal_logprobs(logits(trace_node(trace)), AFTER_SYMBOL);
                }
                let mut forced = [f64::NEG_INFINITY; N_SYMBOLS + 1];
                forced[N_SYMBOLS] = 0.0;
                forced
            })
            .collect();
        let mut prefix = vec![0.0; N_TRACES];
        for trace in traces() {
            if let Some((parent, symbol)) = trace.split_last() {
                prefix[trace.index] = prefix[parent.index] + steps[parent.index][symbol];
            }
        }
        let ends = steps.iter().map(|step| step[N_SYMBOLS]);
        let trace_logprobs = prefix.iter().zip(ends).map(|(p, end)| p + end).collect();
        let value_logprobs = traces()
            .map(|trace| legal_logprobs(logits(close_node(trace)), AFTER_CLOSE))
            .collect();
        let style_logprobs = traces()
            .flat_map(|trace| (0..values.len()).map(move |i| value_node(trace, i, values.len())))
            .map(|node| legal_logprobs(logits(node), AFTER_VALUE))
            .collect();
        Self {
            network,
            values: values.to_vec(),
            steps,
            value_logprobs,
            style_logprobs,
            trace_logprobs,
            tree,
            activations,
        }
    }

    /// `log π(r|x)`.
    #[must_use]
    pub fn log_trace(&self, trace: Trace) -> f64 {
        self.trace_logprobs[trace.index]
    }

    /// `log π(y|x,r)`.
    ///
    /// # Panics
    /// The answer's value is not among those that the policy was asked for.
    #[must_use]
    pub fn log_answer(&self, trace: Trace, answer: Answer) -> f64 {
        let value_idx = self.value_idx(answer);
        self.value_logprobs[trace.index][answer.value()]
            + self.style_logprobs[trace.index * self.values.len() + value_idx][answer.style()]
    }

    /// `log π(r,y|x)`.
    #[must_use]
    pub fn log_joint(&self, trace: Trace, answer: Answer) -> f64 {
        self.log_trace(trace) + self.log_answer(trace, answer)
    }

    /// `log π(r,y|x)` for every trace.
    #[must_use]
    pub fn log_joints(&self, answer: Answer) -> Vec<f64> {
        (0..N_TRACES)
            .map(|index| self.log_joint(Trace { index }, answer))
            .collect()
    }

    fn value_idx(&self, answer: Answer) -> usize {
        let found = self
            .values
            .iter()
            .position(|value| *value == answer.value());
        found.expect("answers are asked for with the values that the tree was built with")
    }

    /// The rows of logit derivatives that one trace and answer touch, added with `weight`: `row(k)`
    /// gives the row of node k.
    fn add_path(
        &self,
        (trace, answer): (Trace, Answer),
        weight: f64,
        dlogits: &mut [f64],
        row_of: impl Fn(usize) -> usize,
    ) {
        let row = |node: usize| {
            let start = row_of(node) * N_VOCAB;
            start..start + N_VOCAB
        };
        let step = |trace: Trace, choice: usize, dlogits: &mut [f64]| {
            // What is forced has no gradient.
            if trace.n_symbols() < TRACE_LEN_MAX {
                let known = (&self.steps[trace.index], AFTER_SYMBOL);
                add_legal_gradient(&mut dlogits[row(trace_node(trace))], known, choice, weight);
            }
        };
        step(trace, N_SYMBOLS, dlogits);
        let mut rest = trace;
        while let Some((parent, symbol)) = rest.split_last() {
            step(parent, symbol, dlogits);
            rest = parent;
        }
        let values = (&self.value_logprobs[trace.index], AFTER_CLOSE);
        let at = row_of(close_node(trace)) * N_VOCAB;
        add_legal_gradient(
            &mut dlogits[at..at + N_VOCAB],
            values,
            answer.value(),
            weight,
        );
        let (value_idx, n_values) = (self.value_idx(answer), self.values.len());
        let styles = &self.style_logprobs[trace.index * n_values + value_idx];
        let at = row_of(value_node(trace, value_idx, n_values)) * N_VOCAB;
        let styles = (styles, AFTER_VALUE);
        add_legal_gradient(
            &mut dlogits[at..at + N_VOCAB],
            styles,
            answer.style(),
            weight,
        );
    }

    /// Adds `∇_θ log π(r,y|x)` to `gradient`.
    pub fn add_score(&self, trace: Trace, answer: Answer, gradient: &mut [f64]) {
        let leaf = value_node(trace, self.value_idx(answer), self.values.len());
        let chain = self.tree.chain(leaf);
        let rows: Vec<usize> = chain.iter().map(|node| usize::from(*node)).collect();
        let mut dlogits = vec![0.0; rows.len() * N_VOCAB];
        let row_of = |node: usize| usize::from(self.tree.depths[node]);
        self.add_path((trace, answer), 1.0, &mut dlogits, row_of);
        self.network
            .backward((&self.tree, &self.activations), &rows, &dlogits, gradient);
    }

    /// Adds `∇_θ Σ weight · log π(r,y|x)` over every trace to `gradient`, for some answers, in one
    /// backward pass over the tree.
    pub fn add_weighted(&self, weighted: &[(Answer, &[f64])], gradient: &mut [f64]) {
        let mut dlogits = vec![0.0; self.tree.len() * N_VOCAB];
        for (answer, weights) in weighted {
            for (index, weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                self.add_path((Trace { index }, *answer), *weight, &mut dlogits, |node| {
                    node
                });
            }
        }
        let rows: Vec<usize> = (0..self.tree.len()).collect();
        self.network
            .backward((&self.tree, &self.activations), &rows, &dlogits, gradient);
    }
}

/// Score vectors of one answer with every trace.
#[derive(Clone, Copy, Debug)]
pub struct AnswerScores<'a> {
    /// The policy.
    pub policy: &'a PromptPolicy<'a>,
    /// The answer.
    pub answer: Answer,
}

impl Scores for AnswerScores<'_> {
    fn n_parameters(&self) -> usize {
        N_PARAMETERS
    }

    fn visit(&self, see: &mut dyn FnMut(usize, &[f64])) {
        let mut score = vec![0.0; N_PARAMETERS];
        for index in 0..N_TRACES {
            score.fill(0.0);
            self.policy
                .add_score(Trace { index }, self.answer, &mut score);
            see(index, &score);
        }
    }
}

/// `log π(r,y|x)` of every trace and answer, traces by answers: all that evaluation needs.
#[must_use]
pub fn joint_table(network: &Network, prompt: Prompt) -> Vec<f64> {
    let policy = PromptPolicy::new(network, prompt, &super::tree::ALL_VALUES);
    let mut table = Vec::with_capacity(N_TRACES * N_ANSWERS);
    for index in 0..N_TRACES {
        let answers = (0..N_ANSWERS).map(|index| Answer { index });
        table.extend(answers.map(|answer| policy.log_joint(Trace { index }, answer)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::pretrain::initial;
    use super::*;

    #[test]
    fn the_policy_is_a_distribution_over_traces_and_answers() {
        let network = Network::new(initial(3));
        for index in [0, 57, 124] {
            let sum: f64 = joint_table(&network, Prompt { index })
                .iter()
                .map(|l| l.exp())
                .sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
    }

    #[test]
    fn scores_agree_with_central_differences_and_with_the_weighted_sum() {
        let theta = initial(3);
        let network = Network::new(theta.clone());
        let prompt = Prompt { index: 38 };
        let (trace, answer) = (Trace { index: 211 }, Answer::new(2, 1));
        let policy = PromptPolicy::new(&network, prompt, &[2]);
        let mut score = vec![0.0; N_PARAMETERS];
        policy.add_score(trace, answer, &mut score);
        let mut weights = vec![0.0; N_TRACES];
        weights[trace.index] = 1.0;
        let mut weighted = vec![0.0; N_PARAMETERS];
        policy.add_weighted(&[(answer, &weights)], &mut weighted);
        for (a, b) in score.iter().zip(&weighted) {
            assert!((a - b).abs() < 1e-12);
        }
        let step = 1e-5;
        for i in (0..N_PARAMETERS).step_by(197) {
            let at = |sign: f64| {
                let mut moved = theta.clone();
                moved[i] += sign * step;
                let network = Network::new(moved);
                PromptPolicy::new(&network, prompt, &[2]).log_joint(trace, answer)
            };
            let difference = (at(1.0) - at(-1.0)) / (2.0 * step);
            let error = (score[i] - difference).abs();
            assert!(
                error <= 1e-7 * score[i].abs().max(1e-1),
                "{i}: {} {difference}",
                score[i]
            );
        }
    }
}
