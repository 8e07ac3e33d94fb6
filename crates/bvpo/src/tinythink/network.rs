//! The decoder: 2 layers, width 24, 2 heads, feed-forward 48 (GELU), RMS norms, learned positions,
//! untied head; 10,368 parameters in double precision, with its backward pass.
//!
//! Parameters are one flat vector in byte order of their hub names, as `model::train` has them.
//! Nodes of a tree attend to their ancestors and themselves, so that all traces of a prompt are one
//! forward pass; a backward pass runs over the whole tree or over one sequence of it.

use std::cell::RefCell;

use super::kernels::{
    Work, dot_in_lanes, multiply, multiply_add, outer_add, transposed, vectorised,
};
use super::task::N_VOCAB;
use super::tree::{LEN_MAX, Tree};

/// Width of the residual stream.
pub const WIDTH: usize = 24;
/// Inner width of the feed-forward layers.
pub const INNER: usize = 48;
/// Attention heads.
pub const N_HEADS: usize = 2;
/// Width of a head.
pub const HEAD: usize = WIDTH / N_HEADS;
/// Blocks.
pub const N_LAYERS: usize = 2;
/// Positions that have a learned vector.
pub const N_POSITIONS: usize = 15;
/// Added under the root of a norm.
pub const EPS: f64 = 1e-5;

const SQUARE: usize = WIDTH * WIDTH;
const TALL: usize = WIDTH * INNER;

/// Where each parameter begins in the flat vector.
pub mod offset {
    use super::{N_LAYERS, N_VOCAB, SQUARE, TALL, WIDTH};

    /// `lm_head.weight`, `[14, 24]`.
    pub const HEAD: usize = 0;
    /// `model.embed_tokens.weight`, `[14, 24]`.
    pub const EMBEDDING: usize = HEAD + N_VOCAB * WIDTH;
    /// The first layer.
    pub const LAYERS: usize = EMBEDDING + N_VOCAB * WIDTH;
    /// `input_layernorm.weight`, `[24]`, within a layer.
    pub const NORM_IN: usize = 0;
    /// `mlp.down_proj.weight`, `[24, 48]`.
    pub const DOWN: usize = NORM_IN + WIDTH;
    /// `mlp.up_proj.weight`, `[48, 24]`.
    pub const UP: usize = DOWN + TALL;
    /// `post_attention_layernorm.weight`, `[24]`.
    pub const NORM_AFTER: usize = UP + TALL;
    /// `self_attn.k_proj.weight`, `[24, 24]`.
    pub const K: usize = NORM_AFTER + WIDTH;
    /// `self_attn.o_proj.weight`, `[24, 24]`.
    pub const O: usize = K + SQUARE;
    /// `self_attn.q_proj.weight`, `[24, 24]`.
    pub const Q: usize = O + SQUARE;
    /// `self_attn.v_proj.weight`, `[24, 24]`.
    pub const V: usize = Q + SQUARE;
    /// Parameters of a layer.
    pub const LAYER: usize = V + SQUARE;
    /// `model.norm.weight`, `[24]`.
    pub const NORM: usize = LAYERS + N_LAYERS * LAYER;
    /// `model.position_embeddings.weight`, `[15, 24]`.
    pub const POSITIONS: usize = NORM + WIDTH;
}

/// Parameters in all.
pub const N_PARAMETERS: usize = offset::POSITIONS + N_POSITIONS * WIDTH;

/// Parameters, and the transposed matrices that the forward pass reads.
#[derive(Clone, Debug)]
pub struct Network {
    theta: Vec<f64>,
    head: Vec<f64>,
    layers: Vec<Transposed>,
}

#[derive(Clone, Debug)]
struct Transposed {
    q: Vec<f64>,
    k: Vec<f64>,
    v: Vec<f64>,
    o: Vec<f64>,
    up: Vec<f64>,
    down: Vec<f64>,
}

/// What a forward pass leaves behind for the backward pass, one row per node.
#[derive(Clone, Debug, Default)]
pub struct Activations {
    layers: Vec<LayerActivations>,
    /// The residual stream before the final norm.
    last: Vec<f64>,
    normed: Vec<f64>,
    /// Logits, `[n, 14]`.
    pub logits: Vec<f64>,
}

#[derive(Clone, Debug, Default)]
struct LayerActivations {
    x: Vec<f64>,
    normed: Vec<f64>,
    q: Vec<f64>,
    k: Vec<f64>,
    v: Vec<f64>,
    /// `[n, heads, LEN_MAX]`: attention to the ancestor at each depth.
    attention: Vec<f64>,
    mixed: Vec<f64>,
    middle: Vec<f64>,
    middle_normed: Vec<f64>,
    up: Vec<f64>,
    /// The hyperbolic tangent inside GELU.
    tanh: Vec<f64>,
    activated: Vec<f64>,
}

/// A forward pass to be made.
struct Forward<'a> {
    network: &'a Network,
    tree: &'a Tree,
}

impl Work for Forward<'_> {
    type Output = Activations;

    #[inline(always)]
    fn run(self) -> Activations {
        self.network.forward_plain(self.tree)
    }
}

/// A backward pass to be made.
struct Backward<'a> {
    network: &'a Network,
    pass: (&'a Tree, &'a Activations),
    rows: &'a [usize],
    dlogits: &'a [f64],
    gradient: &'a mut [f64],
}

impl Work for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            network,
            pass,
            rows,
            dlogits,
            gradient,
        } = self;
        network.backward_plain(pass, rows, dlogits, gradient);
    }
}

/// Numbers from which on a buffer is kept for the next pass.
const N_KEPT_MIN: usize = 10_000;
/// Buffers kept at most: those of two passes.
const N_SPARE_MAX: usize = 60;

thread_local! {
    /// Buffers of earlier large passes. Fresh pages from the system cost as much time as the
    /// arithmetic of a whole tree.
    static SPARE: RefCell<Vec<Vec<f64>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of `n` numbers, whatever they are: every pass writes before it reads.
fn buffer(n: usize) -> Vec<f64> {
    let mut found = SPARE.with_borrow_mut(|spare| {
        let fits = |buffer: &Vec<f64>| (n..2 * n).contains(&buffer.capacity());
        let at = spare.iter().rposition(fits)?;
        Some(spare.swap_remove(at))
    });
    let mut buffer = found.take().unwrap_or_default();
    buffer.resize(n, 0.0);
    buffer
}

/// A buffer with these numbers.
fn copied(numbers: &[f64]) -> Vec<f64> {
    let mut copy = buffer(numbers.len());
    copy.copy_from_slice(numbers);
    copy
}

impl Drop for Activations {
    fn drop(&mut self) {
        let own = [&mut self.last, &mut self.normed, &mut self.logits];
        let layers = self.layers.iter_mut().flat_map(LayerActivations::buffers);
        SPARE.with_borrow_mut(|spare| {
            for buffer in own.into_iter().chain(layers) {
                if buffer.len() >= N_KEPT_MIN && spare.len() < N_SPARE_MAX {
                    spare.push(std::mem::take(buffer));
                }
            }
        });
    }
}

impl LayerActivations {
    fn buffers(&mut self) -> [&mut Vec<f64>; 12] {
        [
            &mut self.x,
            &mut self.normed,
            &mut self.q,
            &mut self.k,
            &mut self.v,
            &mut self.attention,
            &mut self.mixed,
            &mut self.middle,
            &mut self.middle_normed,
            &mut self.up,
            &mut self.tanh,
            &mut self.activated,
        ]
    }
}

impl Network {
    /// The network with these parameters.
    ///
    /// # Panics
    /// `theta` is not [`N_PARAMETERS`] long.
    #[must_use]
    pub fn new(theta: Vec<f64>) -> Self {
        assert_eq!(theta.len(), N_PARAMETERS, "parameters of the network");
        let layer = |index: usize| {
            let base = offset::LAYERS + index * offset::LAYER;
            let turn = |at: usize, rows: usize, columns: usize| {
                transposed(&theta[base + at..base + at + rows * columns], rows, columns)
            };
            Transposed {
                q: turn(offset::Q, WIDTH, WIDTH),
                k: turn(offset::K, WIDTH, WIDTH),
                v: turn(offset::V, WIDTH, WIDTH),
                o: turn(offset::O, WIDTH, WIDTH),
                up: turn(offset::UP, INNER, WIDTH),
                down: turn(offset::DOWN, WIDTH, INNER),
            }
        };
        Self {
            head: transposed(&theta[..N_VOCAB * WIDTH], N_VOCAB, WIDTH),
            layers: (0..N_LAYERS).map(layer).collect(),
            theta,
        }
    }

    /// The parameters.
    #[must_use]
    pub fn theta(&self) -> &[f64] {
        &self.theta
    }

    fn part(&self, layer: usize, at: usize, len: usize) -> &[f64] {
        let start = offset::LAYERS + layer * offset::LAYER + at;
        &self.theta[start..start + len]
    }

    /// Logits of every node.
    #[must_use]
    pub fn forward(&self, tree: &Tree) -> Activations {
        vectorised(Forward {
            network: self,
            tree,
        })
    }

    #[inline(always)]
    fn forward_plain(&self, tree: &Tree) -> Activations {
        let n = tree.len();
        let mut x = buffer(n * WIDTH);
        let nodes = tree.tokens.iter().zip(&tree.depths);
        for ((token, depth), x) in nodes.zip(x.chunks_exact_mut(WIDTH)) {
            let embedding = offset::EMBEDDING + usize::from(*token) * WIDTH;
            let position = offset::POSITIONS + usize::from(*depth) * WIDTH;
            for (i, x) in x.iter_mut().enumerate() {
                *x = self.theta[embedding + i] + self.theta[position + i];
            }
        }
        let mut layers = Vec::with_capacity(N_LAYERS);
        for layer in 0..N_LAYERS {
            let (out, kept) = self.layer_forward(layer, tree, x);
            layers.push(kept);
            x = out;
        }
        let mut normed = buffer(n * WIDTH);
        rms(
            &x,
            &self.theta[offset::NORM..offset::NORM + WIDTH],
            &mut normed,
        );
        let mut logits = buffer(n * N_VOCAB);
        multiply::<WIDTH, N_VOCAB>(&normed, &self.head, &mut logits);
        Activations {
            layers,
            last: x,
            normed,
            logits,
        }
    }

    #[inline(always)]
    fn layer_forward(
        &self,
        layer: usize,
        tree: &Tree,
        x: Vec<f64>,
    ) -> (Vec<f64>, LayerActivations) {
        let n = tree.len();
        let weights = &self.layers[layer];
        let wide = || buffer(n * WIDTH);
        let mut kept = LayerActivations {
            normed: wide(),
            q: wide(),
            k: wide(),
            v: wide(),
            attention: buffer(n * N_HEADS * LEN_MAX),
            mixed: wide(),
            middle: copied(&x),
            middle_normed: wide(),
            up: buffer(n * INNER),
            tanh: buffer(n * INNER),
            activated: buffer(n * INNER),
            x,
        };
        rms(
            &kept.x,
            self.part(layer, offset::NORM_IN, WIDTH),
            &mut kept.normed,
        );
        multiply::<WIDTH, WIDTH>(&kept.normed, &weights.q, &mut kept.q);
        multiply::<WIDTH, WIDTH>(&kept.normed, &weights.k, &mut kept.k);
        multiply::<WIDTH, WIDTH>(&kept.normed, &weights.v, &mut kept.v);
        attend(tree, &mut kept);
        multiply_add::<WIDTH, WIDTH>(&kept.mixed, &weights.o, &mut kept.middle);
        let norm_after = self.part(layer, offset::NORM_AFTER, WIDTH);
        rms(&kept.middle, norm_after, &mut kept.middle_normed);
        multiply::<WIDTH, INNER>(&kept.middle_normed, &weights.up, &mut kept.up);
        let activated = kept.activated.iter_mut().zip(&mut kept.tanh);
        for ((activated, tanh), u) in activated.zip(&kept.up) {
            *tanh = hyperbolic_tangent(GELU_SCALE * (u + GELU_CUBIC * u * u * u));
            *activated = 0.5 * u * (1.0 + *tanh);
        }
        let mut out = copied(&kept.middle);
        multiply_add::<INNER, WIDTH>(&kept.activated, &weights.down, &mut out);
        (out, kept)
    }

    /// Adds to `gradient` the derivative of `Σ dlogits · logits` over the nodes of `rows`, which
    /// hold every ancestor of theirs; `dlogits` has one row per entry of `rows`.
    ///
    /// `rows` is either every node in order, or one chain from root to leaf.
    pub fn backward(
        &self,
        (tree, activations): (&Tree, &Activations),
        rows: &[usize],
        dlogits: &[f64],
        gradient: &mut [f64],
    ) {
        vectorised(Backward {
            network: self,
            pass: (tree, activations),
            rows,
            dlogits,
            gradient,
        });
    }

    #[inline(always)]
    fn backward_plain(
        &self,
        (tree, activations): (&Tree, &Activations),
        rows: &[usize],
        dlogits: &[f64],
        gradient: &mut [f64],
    ) {
        let n = rows.len();
        outer_add::<N_VOCAB, WIDTH>(
            dlogits,
            &activations.normed,
            rows,
            &mut gradient[offset::HEAD..offset::HEAD + N_VOCAB * WIDTH],
        );
        let mut dnormed = vec![0.0; n * WIDTH];
        let head = &self.theta[offset::HEAD..offset::HEAD + N_VOCAB * WIDTH];
        multiply::<N_VOCAB, WIDTH>(dlogits, head, &mut dnormed);
        let mut dx = vec![0.0; n * WIDTH];
        rms_backward(
            (&activations.last, rows),
            &self.theta[offset::NORM..offset::NORM + WIDTH],
            (&dnormed, &mut dx),
            &mut gradient[offset::NORM..offset::NORM + WIDTH],
        );
        for layer in (0..N_LAYERS).rev() {
            let kept = &activations.layers[layer];
            let start = offset::LAYERS + layer * offset::LAYER;
            let into = &mut gradient[start..start + offset::LAYER];
            self.feed_forward_backward(layer, (kept, rows), &mut dx, into);
            self.attention_backward(layer, (tree, kept, rows), &mut dx, into);
        }
        for (row, dx) in rows.iter().zip(dx.chunks_exact(WIDTH)) {
            let embedding = offset::EMBEDDING + usize::from(tree.tokens[*row]) * WIDTH;
            let position = offset::POSITIONS + usize::from(tree.depths[*row]) * WIDTH;
            for at in [embedding, position] {
                for (g, d) in gradient[at..at + WIDTH].iter_mut().zip(dx) {
                    *g += d;
                }
            }
        }
    }

    #[inline(always)]
    fn feed_forward_backward(
        &self,
        layer: usize,
        (kept, rows): (&LayerActivations, &[usize]),
        dx: &mut [f64],
        into: &mut [f64],
    ) {
        let n = rows.len();
        let down = &mut into[offset::DOWN..offset::DOWN + TALL];
        outer_add::<WIDTH, INNER>(dx, &kept.activated, rows, down);
        let mut du = vec![0.0; n * INNER];
        multiply::<WIDTH, INNER>(dx, self.part(layer, offset::DOWN, TALL), &mut du);
        for (du, row) in du.chunks_exact_mut(INNER).zip(rows) {
            let at = row * INNER..(row + 1) * INNER;
            let (up, tanh) = (&kept.up[at.clone()], &kept.tanh[at]);
            for ((du, u), t) in du.iter_mut().zip(up).zip(tanh) {
                let inner = GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * u * u);
                *du *= 0.5 * (1.0 + t) + 0.5 * u * (1.0 - t * t) * inner;
            }
        }
        let up = &mut into[offset::UP..offset::UP + TALL];
        outer_add::<INNER, WIDTH>(&du, &kept.middle_normed, rows, up);
        let mut dnormed = vec![0.0; n * WIDTH];
        multiply::<INNER, WIDTH>(&du, self.part(layer, offset::UP, TALL), &mut dnormed);
        rms_backward(
            (&kept.middle, rows),
            self.part(layer, offset::NORM_AFTER, WIDTH),
            (&dnormed, dx),
            &mut into[offset::NORM_AFTER..offset::NORM_AFTER + WIDTH],
        );
    }

    #[inline(always)]
    fn attention_backward(
        &self,
        layer: usize,
        (tree, kept, rows): (&Tree, &LayerActivations, &[usize]),
        dx: &mut [f64],
        into: &mut [f64],
    ) {
        let n = rows.len();
        outer_add::<WIDTH, WIDTH>(
            dx,
            &kept.mixed,
            rows,
            &mut into[offset::O..offset::O + SQUARE],
        );
        let mut dmixed = vec![0.0; n * WIDTH];
        multiply::<WIDTH, WIDTH>(dx, self.part(layer, offset::O, SQUARE), &mut dmixed);
        let [mut dq, mut dk, mut dv] = [0; 3].map(|_| vec![0.0; n * WIDTH]);
        attend_backward((tree, kept, rows), &dmixed, [&mut dq, &mut dk, &mut dv]);
        let mut dnormed = vec![0.0; n * WIDTH];
        for (d, at) in [(&dq, offset::Q), (&dk, offset::K), (&dv, offset::V)] {
            outer_add::<WIDTH, WIDTH>(d, &kept.normed, rows, &mut into[at..at + SQUARE]);
            multiply_add::<WIDTH, WIDTH>(d, self.part(layer, at, SQUARE), &mut dnormed);
        }
        rms_backward(
            (&kept.x, rows),
            self.part(layer, offset::NORM_IN, WIDTH),
            (&dnormed, dx),
            &mut into[offset::NORM_IN..offset::NORM_IN + WIDTH],
        );
    }
}

/// `√(2/π)` of GELU's approximation (Hendrycks and Gimpel 2016, section 2).
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
/// The cubic coefficient of the same.
const GELU_CUBIC: f64 = 0.044_715;

/// `tanh x` to an absolute error of rounding, several times as fast as the library's, which is
/// accurate relative to `x` near zero as well; GELU adds 1 to it.
#[inline(always)]
fn hyperbolic_tangent(x: f64) -> f64 {
    1.0 - 2.0 / ((2.0 * x).exp() + 1.0)
}

/// `1/√n_head` in single precision, as the shared decoder description holds it.
pub const ATTENTION_SCALE: f32 = 0.288_675_13;

/// `x / √(mean x² + ε) · w` for every row.
#[inline(always)]
fn rms(x: &[f64], w: &[f64], y: &mut [f64]) {
    for (x, y) in x.chunks_exact(WIDTH).zip(y.chunks_exact_mut(WIDTH)) {
        let scale = rms_scale(x);
        for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
            *y = x * scale * w;
        }
    }
}

#[inline(always)]
fn rms_scale(x: &[f64]) -> f64 {
    let sum = dot_in_lanes::<WIDTH>(x, x);
    1.0 / (sum / WIDTH as f64 + EPS).sqrt()
}

/// Adds the derivative with respect to the norm's input to `dx`, and that of its weight to `dw`.
#[inline(always)]
fn rms_backward(
    (x, rows): (&[f64], &[usize]),
    w: &[f64],
    (dy, dx): (&[f64], &mut [f64]),
    dw: &mut [f64],
) {
    let (w, dw) = (&w[..WIDTH], &mut dw[..WIDTH]);
    for ((row, dy), dx) in rows
        .iter()
        .zip(dy.chunks_exact(WIDTH))
        .zip(dx.chunks_exact_mut(WIDTH))
    {
        let x = &x[row * WIDTH..(row + 1) * WIDTH];
        let scale = rms_scale(x);
        let mut weighted = [0.0; WIDTH];
        for i in 0..WIDTH {
            weighted[i] = w[i] * dy[i];
            dw[i] += dy[i] * x[i] * scale;
        }
        let along = dot_in_lanes::<WIDTH>(&weighted, x);
        let back = along * scale * scale * scale / WIDTH as f64;
        for i in 0..WIDTH {
            dx[i] += weighted[i] * scale - x[i] * back;
        }
    }
}

/// Attention of every node to its ancestors and itself.
#[inline(always)]
fn attend(tree: &Tree, kept: &mut LayerActivations) {
    let scale = f64::from(ATTENTION_SCALE);
    for node in 0..tree.len() {
        let chain = tree.chain(node);
        for head in 0..N_HEADS {
            let at = node * WIDTH + head * HEAD;
            let q = &kept.q[at..at + HEAD];
            let shares = (node * N_HEADS + head) * LEN_MAX;
            let shares = &mut kept.attention[shares..shares + chain.len()];
            let mut largest = f64::NEG_INFINITY;
            for (share, other) in shares.iter_mut().zip(chain) {
                let there = usize::from(*other) * WIDTH + head * HEAD;
                *share = scale * dot_in_lanes::<HEAD>(q, &kept.k[there..there + HEAD]);
                largest = largest.max(*share);
            }
            let mut total = 0.0;
            for share in shares.iter_mut() {
                *share = (*share - largest).exp();
                total += *share;
            }
            let mut mixed = [0.0; HEAD];
            for (share, other) in shares.iter_mut().zip(chain) {
                *share /= total;
                let there = usize::from(*other) * WIDTH + head * HEAD;
                for (sum, v) in mixed.iter_mut().zip(&kept.v[there..there + HEAD]) {
                    *sum += *share * v;
                }
            }
            kept.mixed[at..at + HEAD].copy_from_slice(&mixed);
        }
    }
}

/// Derivatives of [`attend`] with respect to queries, keys, and values.
#[inline(always)]
fn attend_backward(
    (tree, kept, rows): (&Tree, &LayerActivations, &[usize]),
    dmixed: &[f64],
    [dq, dk, dv]: [&mut [f64]; 3],
) {
    let scale = f64::from(ATTENTION_SCALE);
    // Where rows are all nodes, an ancestor's row is its number; on a chain it is its depth.
    let is_whole = rows.len() == tree.len();
    for (t, row) in rows.iter().enumerate() {
        let chain = tree.chain(*row);
        for head in 0..N_HEADS {
            let own = t * WIDTH + head * HEAD;
            let shares = &kept.attention[(row * N_HEADS + head) * LEN_MAX..];
            let dmixed = &dmixed[own..own + HEAD];
            let mut dshares = [0.0; LEN_MAX];
            let mut mean = 0.0;
            for (j, other) in chain.iter().enumerate() {
                let there = usize::from(*other) * WIDTH + head * HEAD;
                let v = &kept.v[there..there + HEAD];
                dshares[j] = dot_in_lanes::<HEAD>(dmixed, v);
                mean += dshares[j] * shares[j];
            }
            for (j, other) in chain.iter().enumerate() {
                let slot = if is_whole { usize::from(*other) } else { j };
                let local = slot * WIDTH + head * HEAD;
                let there = usize::from(*other) * WIDTH + head * HEAD;
                let dscore = scale * shares[j] * (dshares[j] - mean);
                let here = row * WIDTH + head * HEAD;
                for i in 0..HEAD {
                    dv[local + i] += shares[j] * dmixed[i];
                    dk[local + i] += dscore * kept.q[here + i];
                    dq[own + i] += dscore * kept.k[there + i];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        let draw = |i: usize| {
            let noise = 0.3 * ((i as f64 * 12.9898).sin() * 43758.5453).fract();
            // Norm weights start near one.
            let is_norm = [offset::NORM_IN, offset::NORM_AFTER].iter().any(|at| {
                (0..N_LAYERS).any(|layer| {
                    let start = offset::LAYERS + layer * offset::LAYER + at;
                    (start..start + WIDTH).contains(&i)
                })
            }) || (offset::NORM..offset::NORM + WIDTH).contains(&i);
            noise + f64::from(u8::from(is_norm))
        };
        Network::new((0..N_PARAMETERS).map(draw).collect())
    }

    fn objective(network: &Network, tree: &Tree, dlogits: &[f64]) -> f64 {
        network
            .forward(tree)
            .logits
            .iter()
            .zip(dlogits)
            .map(|(l, d)| l * d)
            .sum()
    }

    fn check_gradient(tree: &Tree) {
        let network = network();
        let weight = |i: usize| ((i as f64) * 0.7).cos();
        let dlogits: Vec<f64> = (0..tree.len() * N_VOCAB).map(weight).collect();
        let rows: Vec<usize> = (0..tree.len()).collect();
        let mut gradient = vec![0.0; N_PARAMETERS];
        network.backward(
            (tree, &network.forward(tree)),
            &rows,
            &dlogits,
            &mut gradient,
        );
        let step = 1e-5;
        // Some of every parameter tensor.
        for i in (0..N_PARAMETERS).step_by(61) {
            let at = |sign: f64| {
                let mut theta = network.theta().to_vec();
                theta[i] += sign * step;
                objective(&Network::new(theta), tree, &dlogits)
            };
            let difference = (at(1.0) - at(-1.0)) / (2.0 * step);
            let error = (gradient[i] - difference).abs();
            assert!(
                error <= 1e-7 * gradient[i].abs().max(1.0),
                "{i}: {} {difference}",
                gradient[i]
            );
        }
    }

    #[test]
    fn gradients_of_a_sequence_agree_with_central_differences() {
        check_gradient(&Tree::sequence(&[12, 1, 2, 3, 10, 5, 0, 11, 4]));
    }

    #[test]
    fn a_tree_computes_what_its_sequences_compute() {
        let network = network();
        let prompt = super::super::task::Prompt { index: 61 };
        let tree = Tree::of_prompt(prompt, &[2]);
        let all = network.forward(&tree);
        let trace = super::super::task::Trace { index: 131 };
        let leaf = super::super::tree::value_node(trace, 0, 1);
        let rows: Vec<usize> = tree
            .chain(leaf)
            .iter()
            .map(|node| usize::from(*node))
            .collect();
        let tokens: Vec<u8> = rows.iter().map(|row| tree.tokens[*row]).collect();
        let alone = Tree::sequence(&tokens);
        let single = network.forward(&alone);
        for (t, row) in rows.iter().enumerate() {
            for v in 0..N_VOCAB {
                let (a, b) = (
                    all.logits[row * N_VOCAB + v],
                    single.logits[t * N_VOCAB + v],
                );
                assert!((a - b).abs() < 1e-12);
            }
        }
        let dlogits: Vec<f64> = (0..rows.len() * N_VOCAB)
            .map(|i| (i as f64).sin())
            .collect();
        let (mut of_tree, mut of_single) = (vec![0.0; N_PARAMETERS], vec![0.0; N_PARAMETERS]);
        network.backward((&tree, &all), &rows, &dlogits, &mut of_tree);
        let own: Vec<usize> = (0..rows.len()).collect();
        network.backward((&alone, &single), &own, &dlogits, &mut of_single);
        for (a, b) in of_tree.iter().zip(&of_single) {
            assert!((a - b).abs() < 1e-10);
        }
        let mut whole_rows = vec![0.0; tree.len() * N_VOCAB];
        for (t, row) in rows.iter().enumerate() {
            let from = &dlogits[t * N_VOCAB..(t + 1) * N_VOCAB];
            whole_rows[row * N_VOCAB..(row + 1) * N_VOCAB].copy_from_slice(from);
        }
        let mut of_whole = vec![0.0; N_PARAMETERS];
        let every: Vec<usize> = (0..tree.len()).collect();
        network.backward((&tree, &all), &every, &whole_rows, &mut of_whole);
        for (a, b) in of_whole.iter().zip(&of_single) {
            assert!((a - b).abs() < 1e-10);
        }
    }

    #[test]
    fn the_hyperbolic_tangent_is_the_librarys() {
        for i in -4000..=4000 {
            let x = f64::from(i) * 0.2;
            assert!((hyperbolic_tangent(x) - x.tanh()).abs() < 1e-15, "{x}");
        }
        assert_eq!(hyperbolic_tangent(-1e9), -1.0);
    }

    #[test]
    fn the_size_is_that_of_the_specification() {
        assert_eq!(N_PARAMETERS, 10_368);
        assert!((f64::from(ATTENTION_SCALE) - 1.0 / (HEAD as f64).sqrt()).abs() < 1e-7);
    }
}
