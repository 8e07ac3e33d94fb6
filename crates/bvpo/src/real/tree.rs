//! A finite tree of traces of a real language model, every leaf scored.
//!
//! The legal policy: each of T trace tokens is drawn from the k tokens that the reference policy
//! finds most likely at its place, renormalised over them; then the trace is closed, which has
//! probability 1. The sets are frozen, so `π_θ(r|x)` is a proper distribution over `k^T` traces for
//! every θ, and `π_θ(y|x)` a finite sum. Answers are scored over the whole vocabulary.

use eval::{Error, Result};
use model::infer::Sequence;
use model::text::Tokenizer;

use super::body::Body;
use super::head::{Gains, Head};
use crate::method::exact::Stored;
use crate::method::loss::Scored;

/// How large a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Tokens to choose from at each place.
    pub k: usize,
    /// Tokens of a trace.
    pub depth: usize,
}

impl Shape {
    /// Traces.
    #[must_use]
    pub fn n_leaves(self) -> usize {
        self.k.pow(self.depth as u32)
    }
}

/// The ids of one prompt and what may follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The prompt up to the opening tag.
    pub prompt: Vec<u32>,
    /// What closes a trace.
    pub close: Vec<u32>,
    /// Answers, each with the token that ends it.
    pub answers: Vec<Vec<u32>>,
    /// How many of them, from the first, are told after every trace; after constants all are.
    pub n_traced: usize,
    /// Constant traces: what stands between the conversation and the answer, as whole prompts.
    pub constants: Vec<Vec<u32>>,
}

/// A prompt as the model has read it.
#[derive(Debug)]
pub struct Opened {
    /// Its keys and values.
    pub sequence: Sequence,
    /// The state that predicts what follows.
    pub state: Vec<f32>,
}

/// One choice: a state and the tokens that may follow.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    state: Vec<f32>,
    ids: Vec<u32>,
}

/// An answer after something fixed: states that predict its tokens.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    states: Vec<f32>,
    ids: Vec<u32>,
}

/// The tree of one prompt, with everything that no trained parameter touches computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    shape: Shape,
    /// Level by level, `k^t` nodes at level t; children of node i are `k·i .. k·i + k` below.
    nodes: Vec<Node>,
    /// `[leaf][answer]`.
    leaves: Vec<Vec<Told>>,
    /// `[constant][answer]`.
    constants: Vec<Vec<Told>>,
}

/// Scores of all answers at some gains.
#[derive(Clone, Debug)]
pub struct TreeScores {
    /// Per answer and trace: `log π(r,y|x)`.
    pub joint: Vec<Vec<f64>>,
    /// Per answer: score vectors in the same order.
    pub scores: Vec<Stored>,
    /// `log π(r|x)` of every trace.
    pub traces: Vec<f64>,
    /// Per constant trace and answer: `log π(y|x,r)` and its gradient.
    pub constants: Vec<Vec<(f64, Vec<f64>)>>,
    /// Scored tokens of each answer alone.
    pub answer_tokens: Vec<usize>,
}

impl Tree {
    /// Grows the tree; its sets are those of the head's reference gains.
    ///
    /// # Errors
    /// The shape makes no sense, or a sequence outgrows the context.
    pub fn grow(
        (body, head): (&Body, &Head),
        tokenizer: &Tokenizer,
        (ids, mut opened): (&Ids, Opened),
        shape: Shape,
    ) -> Result<Self> {
        if shape.k < 2 || shape.depth == 0 || shape.k.saturating_pow(shape.depth as u32) > 4096 {
            let Shape { k, depth } = shape;
            return Err(Error::usage(format!(
                "a tree of {k} choices at {depth} places: 2 to 4096 traces are possible"
            )));
        }
        let is_legal = |id: u32| !tokenizer.is_control(id);
        let is_short = ids.answers.iter().any(|answer| answer.len() < 2);
        if is_short || ids.n_traced > ids.answers.len() {
            return Err(Error::usage("an answer needs a token and one that ends it"));
        }
        // What stands before a constant trace is the same prompt, read already.
        let constants: Vec<(Sequence, &[u32])> = ids
            .constants
            .iter()
            .map(|constant| {
                let n = n_common(constant, &ids.prompt).min(constant.len() - 1);
                (opened.sequence.fork_prefix(n), &constant[n..])
            })
            .collect();
        let constants = tell(body, constants, &ids.answers)?;
        let mut level = vec![opened.sequence];
        let mut last = vec![opened.state];
        let mut nodes = Vec::new();
        for depth in 0..shape.depth {
            let flat = last.concat();
            let chosen = head.most_likely(head.reference(), &flat, shape.k, &is_legal)?;
            let mut fed: Vec<(Sequence, &[u32])> = Vec::new();
            for (sequence, ids) in level.iter_mut().zip(&chosen) {
                fed.extend(
                    ids.iter()
                        .map(|id| (sequence.fork(), std::slice::from_ref(id))),
                );
            }
            // States of the deepest tokens predict the closing tag, which is not scored; the
            // tokens are fed all the same, for what attention makes of them.
            let below = body.extend(&mut fed)?;
            let grown: Vec<Sequence> = fed.into_iter().map(|(sequence, _)| sequence).collect();
            let states = last.iter().zip(&chosen);
            nodes.extend(states.map(|(state, ids)| Node {
                state: state.clone(),
                ids: ids.clone(),
            }));
            (level, last) = (grown, below);
            debug_assert_eq!(level.len(), shape.k.pow(depth as u32 + 1));
        }
        let closed = level.into_iter().map(|s| (s, ids.close.as_slice()));
        let leaves = tell(body, closed.collect(), &ids.answers[..ids.n_traced])?;
        Ok(Self {
            shape,
            nodes,
            leaves,
            constants,
        })
    }

    /// The tokens of trace `leaf`.
    #[must_use]
    pub fn trace(&self, leaf: usize) -> Vec<u32> {
        let path = self.path(leaf);
        path.iter()
            .map(|(node, child)| self.nodes[*node].ids[*child])
            .collect()
    }

    /// Nodes and children on the way to a leaf.
    fn path(&self, leaf: usize) -> Vec<(usize, usize)> {
        let Shape { k, depth } = self.shape;
        let mut path = Vec::with_capacity(depth);
        let (mut start, mut n_nodes) = (0, 1);
        for level in 0..depth {
            let below = k.pow((depth - level) as u32);
            let node = leaf / below;
            path.push((start + node, leaf % below / (below / k)));
            (start, n_nodes) = (start + n_nodes, n_nodes * k);
        }
        path
    }

    /// Scores everything at `gains`.
    ///
    /// # Errors
    /// A computation fails.
    pub fn scores(&self, head: &Head, gains: &Gains) -> Result<TreeScores> {
        let states: Vec<f32> = self
            .nodes
            .iter()
            .flat_map(|node| node.state.repeat(node.ids.len()))
            .collect();
        let choices: Vec<(Vec<u32>, usize)> = self
            .nodes
            .iter()
            .flat_map(|node| (0..node.ids.len()).map(|child| (node.ids.clone(), child)))
            .collect();
        let tokens = head.choices(gains, &states, &choices)?;
        let k = self.shape.k;
        let mut traces = Vec::with_capacity(self.leaves.len());
        let mut of_traces = Vec::with_capacity(self.leaves.len());
        for leaf in 0..self.leaves.len() {
            let path: Vec<usize> = self.path(leaf).iter().map(|(n, c)| n * k + c).collect();
            traces.push(path.iter().map(|at| tokens.logprobs[*at]).sum::<f64>());
            of_traces.push(sum(path.iter().map(|at| tokens.gradients[*at].as_slice())));
        }
        let n_answers = self.leaves.first().map_or(0, Vec::len);
        let mut found = TreeScores {
            joint: vec![Vec::new(); n_answers],
            scores: vec![Stored::default(); n_answers],
            traces,
            constants: Vec::new(),
            answer_tokens: Vec::new(),
        };
        for answer in 0..n_answers {
            let told = self.leaves.iter().map(|leaf| &leaf[answer]);
            let scored = score_all(head, gains, &told.collect::<Vec<_>>())?;
            for (leaf, (logprob, gradient)) in scored.into_iter().enumerate() {
                found.joint[answer].push(found.traces[leaf] + logprob);
                let both = [of_traces[leaf].as_slice(), gradient.as_slice()];
                found.scores[answer].0.push(sum(both.into_iter()));
            }
        }
        let first = self.constants.first().into_iter().flatten();
        found.answer_tokens = first.map(|told| told.ids.len()).collect();
        for constant in &self.constants {
            let told: Vec<&Told> = constant.iter().collect();
            found.constants.push(score_all(head, gains, &told)?);
        }
        Ok(found)
    }
}

impl TreeScores {
    /// The sequences of one answer with every trace, against a reference.
    #[must_use]
    pub fn sequences(&self, reference: &Self, answer: usize, n_trace: usize) -> Vec<Scored> {
        let both = self.joint[answer].iter().zip(&reference.joint[answer]);
        both.map(|(logprob, reference)| Scored {
            logprob: *logprob,
            reference: *reference,
            n_tokens: n_trace + self.answer_tokens[answer],
        })
        .collect()
    }
}

/// Log-probability and gradient of each answer.
fn score_all(head: &Head, gains: &Gains, told: &[&Told]) -> Result<Vec<(f64, Vec<f64>)>> {
    let states: Vec<f32> = told.iter().flat_map(|t| t.states.clone()).collect();
    let targets: Vec<u32> = told.iter().flat_map(|t| t.ids.clone()).collect();
    let tokens = head.tokens(gains, &states, &targets)?;
    let (mut logprobs, mut gradients) = (tokens.logprobs.as_slice(), tokens.gradients.as_slice());
    let mut found = Vec::with_capacity(told.len());
    for answer in told {
        let (own, rest) = logprobs.split_at(answer.ids.len());
        let (own_gradients, rest_gradients) = gradients.split_at(answer.ids.len());
        found.push((
            own.iter().sum(),
            sum(own_gradients.iter().map(Vec::as_slice)),
        ));
        (logprobs, gradients) = (rest, rest_gradients);
    }
    Ok(found)
}

/// Feeds what comes first, then every answer after it; states that predict the answers' tokens.
fn tell(
    body: &Body,
    mut before: Vec<(Sequence, &[u32])>,
    answers: &[Vec<u32>],
) -> Result<Vec<Vec<Told>>> {
    let n_hidden = body.n_hidden();
    let states = body.extend(&mut before)?;
    let mut fed: Vec<(Sequence, &[u32])> = Vec::new();
    for (sequence, _) in &mut before {
        // The last token of an answer ends it and predicts nothing.
        let told = answers.iter().map(|ids| &ids[..ids.len() - 1]);
        fed.extend(told.map(|ids| (sequence.fork(), ids)));
    }
    let mut after = body.extend(&mut fed)?.into_iter();
    let mut told = Vec::with_capacity(states.len());
    for state in &states {
        let mut of_answers = Vec::with_capacity(answers.len());
        for answer in answers {
            let mut states = last_row(state, n_hidden);
            states.extend(after.next().unwrap_or_default());
            of_answers.push(Told {
                states,
                ids: answer.clone(),
            });
        }
        told.push(of_answers);
    }
    Ok(told)
}

/// Length of the common beginning.
fn n_common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn last_row(states: &[f32], n_hidden: usize) -> Vec<f32> {
    states[states.len() - n_hidden..].to_vec()
}

fn sum<'a>(mut vectors: impl Iterator<Item = &'a [f64]>) -> Vec<f64> {
    let mut sum = vectors.next().map(<[f64]>::to_vec).unwrap_or_default();
    for vector in vectors {
        for (sum, value) in sum.iter_mut().zip(vector) {
            *sum += value;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use candle_core::DType;
    use model::train::{Batch, Decoder, Gradients, Precision, cross_entropy};
    use model::weights::Checkpoint;

    use super::super::exact::RealPair;
    use super::super::model::RealModel;
    use super::*;
    use crate::method::loss::Dpo;
    use crate::method::theory::{distance_sq, dot};
    use crate::trainer::testing::small;

    const SHAPE: Shape = Shape { k: 3, depth: 2 };

    struct World {
        model: RealModel,
        decoder: Decoder,
        ids: Ids,
        tree: Tree,
    }

    /// A small model of the same family, its tree, and the same weights as a plain decoder.
    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        small::write_model(folder.path());
        let path = folder.path().join("model.safetensors");
        let model = RealModel::open(&path, 1).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let mut decoder = Decoder::from_checkpoint(&checkpoint, Precision::F32).unwrap();
        let gains = [
            "model.layers.1.post_attention_layernorm.weight",
            "model.norm.weight",
        ];
        decoder
            .parameters_mut()
            .train_only(|name| gains.contains(&name))
            .unwrap();
        let (ids, opened) = model.read("how much?", &["12", "7", "9"], 2).unwrap();
        let tokenizer = model.assembler.tokenizer();
        let heads = (&model.body, &model.head);
        let tree = Tree::grow(heads, tokenizer, (&ids, opened), SHAPE).unwrap();
        World {
            model,
            decoder,
            ids,
            tree,
        }
    }

    /// `log π` of the last `n` tokens and its gradient in the gains, by the plain decoder.
    fn plainly(decoder: &Decoder, ids: &[u32], n: usize) -> (f64, Vec<f64>) {
        let batch = Batch::new(&[ids]).unwrap();
        let weights = batch.targets_from(&[ids.len() - n]).unwrap();
        let logits = decoder.forward(&batch).unwrap();
        let loss = cross_entropy(&logits, &batch, &weights).unwrap();
        let mut gradients = Gradients::of(&loss, decoder.parameters()).unwrap();
        gradients.scale(-(n as f64));
        // Names sort `model.layers…` before `model.norm…`, the order of the gains.
        let flat = gradients
            .flat()
            .unwrap()
            .into_iter()
            .map(f64::from)
            .collect();
        (
            -(n as f64) * f64::from(loss.to_scalar::<f32>().unwrap()),
            flat,
        )
    }

    fn near(found: &[f64], expected: &[f64], told: &str) {
        let apart = distance_sq(found, expected).sqrt();
        let norm = dot(expected, expected).sqrt();
        assert!(apart < 2e-5 * norm.max(1.0), "{told}: {apart} of {norm}");
    }

    #[test]
    fn answers_after_every_trace_have_the_scores_of_a_plain_decoder() {
        let World {
            model,
            decoder,
            ids,
            tree,
        } = world();
        let scores = tree.scores(&model.head, model.head.reference()).unwrap();
        for leaf in [0, 4, 8] {
            for (which, answer) in ids.answers[..ids.n_traced].iter().enumerate() {
                let trace = tree.trace(leaf);
                let whole = [&ids.prompt[..], &trace, &ids.close, answer].concat();
                let (expected, _) = plainly(&decoder, &whole, answer.len());
                let found = scores.joint[which][leaf] - scores.traces[leaf];
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{leaf} {which}: {found} {expected}"
                );
            }
        }
        for (constant, told) in ids.constants.iter().zip(&scores.constants) {
            for (answer, (found, gradient)) in ids.answers.iter().zip(told) {
                let whole = [constant.as_slice(), answer].concat();
                let (expected, slopes) = plainly(&decoder, &whole, answer.len());
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
                near(gradient, &slopes, "a constant trace");
            }
        }
    }

    #[test]
    fn traces_are_a_proper_distribution_and_their_scores_derivatives() {
        let World {
            model,
            decoder,
            ids,
            tree,
        } = world();
        let head = &model.head;
        let scores = tree.scores(head, head.reference()).unwrap();
        let total: f64 = scores.traces.iter().map(|lp| lp.exp()).sum();
        assert!((total - 1.0).abs() < 1e-5, "{total}");
        // Σ_r π(r) ∇log π(r) = 0; joint scores less answers' scores are those of traces.
        let leaf = 5;
        let trace = tree.trace(leaf);
        let mut expected = 0.0;
        let batch = Batch::new(&[[&ids.prompt[..], &trace].concat()]).unwrap();
        let logits = decoder
            .forward(&batch)
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap();
        let logits: Vec<Vec<Vec<f64>>> = logits.to_vec3().unwrap();
        for (place, (node, child)) in tree.path(leaf).into_iter().enumerate() {
            let row = &logits[0][ids.prompt.len() - 1 + place];
            let few = tree.nodes[node]
                .ids
                .iter()
                .map(|id| row[*id as usize].exp());
            let few: Vec<f64> = few.collect();
            let others = row.iter().filter(|logit| logit.exp() > few[0]).count();
            assert_eq!(others, 0, "the first child is the most likely token");
            expected += (few[child] / few.iter().sum::<f64>()).ln();
        }
        let found = scores.traces[leaf];
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        // The whole score against a central difference along it.
        let joint = &scores.scores[0].0[leaf];
        let norm = dot(joint, joint).sqrt();
        let at = |step: f64| {
            let reference = &head.reference().0;
            let moved = reference
                .iter()
                .zip(joint)
                .map(|(g, d)| g + step * d / norm);
            tree.scores(head, &Gains(moved.collect())).unwrap().joint[0][leaf]
        };
        let slope = (at(0.02) - at(-0.02)) / 0.04;
        assert!((slope / norm - 1.0).abs() < 2e-3, "{slope} {norm}");
    }

    #[test]
    fn at_the_reference_the_trace_gradient_is_unbiased_and_identities_hold() {
        let World { model, tree, .. } = world();
        let head = &model.head;
        let pair = RealPair::new(head, tree, SHAPE).unwrap();
        let loss = Dpo { beta: 0.3 };
        let first = pair.measure(&loss, pair.reference());
        let (trace, marginal) = (&first.gradients.trace, &first.gradients.marginal);
        assert!(
            distance_sq(trace, marginal) < 1e-18 * dot(marginal, marginal),
            "F1"
        );
        assert!(first.theorem1_error < 1e-9, "{}", first.theorem1_error);
        assert!(first.margin.abs() < 1e-12 && first.gradients.trace_variance > 0.0);
        // Away from it there is a bias, and a step along the ideal gradient raises the margin.
        let gains = head.reference().clone();
        let (_, scores) = pair.descend(head, &gains, marginal, 0.3).unwrap();
        let moved = pair.measure(&loss, &scores);
        assert!(moved.margin > 1e-4, "{}", moved.margin);
        let bias = distance_sq(&moved.gradients.trace, &moved.gradients.marginal);
        assert!(bias > 0.0 && moved.theorem1_error < 1e-9);
    }

    #[test]
    fn trees_that_make_no_sense_are_refused() {
        let World { model, .. } = world();
        for (k, depth) in [(1, 3), (4, 0), (8, 5)] {
            let (ids, opened) = model.read("how much?", &["12", "7", "9"], 2).unwrap();
            let tokenizer = model.assembler.tokenizer();
            let heads = (&model.body, &model.head);
            let shape = Shape { k, depth };
            assert!(
                Tree::grow(heads, tokenizer, (&ids, opened), shape).is_err(),
                "{k} {depth}"
            );
        }
    }
}
