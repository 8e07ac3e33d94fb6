//! The residual feed-forward block as one operation.
//!
//! A chunk of rows goes through normalisation, projections, activation, and back to the residual
//! while it is in the second-level cache. Kept for the way back: what stands in front of the
//! activation; everything else is computed again.

use candle_core::{Device, Result, Tensor};

use super::buffers::Buffer;
use super::linear::{AffineGradient, CHUNK_ROWS, Wanted, map, map_back, summed};
use super::matrix::Onto;
use super::node::{Gradients, in_precision, read, record, same_dtype, tensor};
use super::norm::{NormGradient, shape_of};
use super::real::Real;
use super::rows::{
    GateBackward, NormSaved, NormShape, activation_backward, activation_forward, add_row,
    fill_rows, gate_backward, gate_forward, norm_again, norm_backward, norm_forward,
};
use super::threads::{chunks, each, groups};
use super::types::{Affine, FeedForwardBlock};
use crate::config::Activation;

/// Sizes and choices, checked.
#[derive(Clone, Copy, Debug)]
struct Plan {
    norm: NormShape,
    n_hidden: usize,
    n_inner: usize,
    gated: bool,
    activation: Activation,
    /// The norm has a bias.
    norm_bias: bool,
    /// Gradients of gate, up, down.
    wanted: [Wanted; 3],
}

impl Plan {
    fn inward(&self) -> [usize; 2] {
        [self.n_hidden, self.n_inner]
    }

    fn outward(&self) -> [usize; 2] {
        [self.n_inner, self.n_hidden]
    }
}

/// Weight and bias of the norm, of gate, up, and down; absent ones are empty.
const N_WEIGHTS: usize = 8;

/// [`FeedForwardBlock`] of `x` `[.., n_hidden]`.
///
/// # Errors
/// Shapes or element types do not fit.
pub fn feed_forward_block(x: &Tensor, block: &FeedForwardBlock<'_>) -> Result<Tensor> {
    let (n_inner, n_hidden) = block.up.weight.dims2()?;
    let fits = |of: &Affine<'_>, n_out: usize, n_in: usize| {
        of.weight.dims() == [n_out, n_in] && of.bias.is_none_or(|bias| bias.dims() == [n_out])
    };
    let all_fit = x.dims().last() == Some(&n_hidden)
        && fits(&block.up, n_inner, n_hidden)
        && block.gate.is_none_or(|gate| fits(&gate, n_inner, n_hidden))
        && fits(&block.down, n_hidden, n_inner);
    if !all_fit || n_inner == 0 {
        candle_core::bail!("feed-forward block: x {x:?} and weights {block:?} do not fit");
    }
    let plan = Plan {
        norm: shape_of(&block.norm, n_hidden)?,
        n_hidden,
        n_inner,
        gated: block.gate.is_some(),
        activation: block.activation,
        norm_bias: block.norm.bias.is_some(),
        wanted: [block.gate.unwrap_or(block.up), block.up, block.down].map(|map| Wanted::of(&map)),
    };
    let slots: [Option<&Tensor>; N_WEIGHTS] = [
        Some(block.norm.weight),
        block.norm.bias,
        block.gate.map(|gate| gate.weight),
        block.gate.and_then(|gate| gate.bias),
        Some(block.up.weight),
        block.up.bias,
        Some(block.down.weight),
        block.down.bias,
    ];
    let mut inputs = vec![x];
    inputs.extend(slots.iter().flatten());
    let dtype = same_dtype("feed_forward_block", &inputs)?;
    in_precision!(dtype, "feed_forward_block", T => {
        let empty = Tensor::zeros(0, dtype, &Device::Cpu)?;
        let kept = slots.map(|slot| slot.unwrap_or(&empty).detach());
        let kept_x = x.detach();
        let (y, saved) = with_weights(&kept_x, &kept, &empty, |x, weights, _| {
            Ok(forward::<T>(&plan, x, &weights))
        })?;
        record("feed_forward_block", &inputs, y, x.shape(), move |_, g| {
            backward(&plan, &kept_x, &kept, &saved, g)
        })
    })
}

fn with_weights<T: Real, R>(
    x: &Tensor,
    weights: &[Tensor; N_WEIGHTS],
    g: &Tensor,
    work: impl FnOnce(&[T], [&[T]; N_WEIGHTS], &[T]) -> Result<R>,
) -> Result<R> {
    let [a, b, c, d, e, f, h, i] = weights;
    read(
        [x, a, b, c, d, e, f, h, i, g],
        |[x, a, b, c, d, e, f, h, i, g]| work(x, [a, b, c, d, e, f, h, i], g),
    )
}

/// Kept between the two ways.
#[derive(Debug)]
struct Saved<T: Real> {
    stats: Buffer<T>,
    /// In front of the activation; empty without a gate.
    gate: Buffer<T>,
    up: Buffer<T>,
}

fn forward<T: Real>(plan: &Plan, x: &[T], weights: &[&[T]; N_WEIGHTS]) -> (Vec<T>, Saved<T>) {
    let n_rows = x.len() / plan.n_hidden;
    let (n_hidden, n_inner) = (plan.n_hidden, plan.n_inner);
    let mut y = vec![T::ZERO; x.len()];
    let mut saved = Saved {
        stats: Buffer::of_length(n_rows * 2),
        gate: Buffer::of_length(if plan.gated { n_rows * n_inner } else { 0 }),
        up: Buffer::of_length(n_rows * n_inner),
    };
    let mut gates = saved.gate.chunks_mut(CHUNK_ROWS * n_inner);
    let inputs = x
        .chunks(CHUNK_ROWS * n_hidden)
        .zip(saved.stats.chunks_mut(CHUNK_ROWS * 2));
    let outputs = saved
        .up
        .chunks_mut(CHUNK_ROWS * n_inner)
        .zip(y.chunks_mut(CHUNK_ROWS * n_hidden));
    let tasks = inputs
        .zip(outputs)
        .map(|(input, output)| (input, output, gates.next().unwrap_or_default()))
        .collect();
    each(tasks, |((x, stats), (up, y), gate)| {
        let [
            norm,
            norm_bias,
            gate_weight,
            gate_bias,
            up_weight,
            up_bias,
            down,
            down_bias,
        ] = *weights;
        let mut normed = Buffer::of_length(x.len());
        norm_forward(&plan.norm, x, norm, norm_bias, &mut normed, stats);
        fill_rows(up_bias, n_inner, up);
        map(&normed, up_weight, plan.inward(), up, Onto::Held);
        let mut inner = Buffer::of_length(up.len());
        if plan.gated {
            fill_rows(gate_bias, n_inner, gate);
            map(&normed, gate_weight, plan.inward(), gate, Onto::Held);
            gate_forward(plan.activation, gate, up, &mut inner);
        } else {
            activation_forward(plan.activation, up, &mut inner);
        }
        add_row(down_bias, x, y);
        map(&inner, down, plan.outward(), y, Onto::Held);
    });
    (y, saved)
}

/// Weights' gradients of one group.
#[derive(Debug)]
struct Sums<T: Real> {
    norm: NormGradient<T>,
    gate: AffineGradient<T>,
    up: AffineGradient<T>,
    down: AffineGradient<T>,
}

impl<T: Real> Sums<T> {
    fn zeros(plan: &Plan) -> Self {
        let [gate, up, down] = plan.wanted;
        let of_gate = if plan.gated { plan.inward() } else { [0, 0] };
        Self {
            norm: NormGradient::zeros(plan.n_hidden, plan.norm_bias),
            gate: AffineGradient::zeros(of_gate, gate),
            up: AffineGradient::zeros(plan.inward(), up),
            down: AffineGradient::zeros(plan.outward(), down),
        }
    }

    fn add(&mut self, other: &Self) {
        self.norm.add(&other.norm);
        self.gate.add(&other.gate);
        self.up.add(&other.up);
        self.down.add(&other.down);
    }
}

fn backward<T: Real>(
    plan: &Plan,
    x: &Tensor,
    weights: &[Tensor; N_WEIGHTS],
    saved: &Saved<T>,
    g: &Tensor,
) -> Result<Gradients> {
    let n_hidden = plan.n_hidden;
    let (gx, sums) = with_weights(x, weights, g, |x, weights, g| {
        let mut gx = vec![T::ZERO; g.len()];
        let mut tasks = Vec::new();
        let mut rest = &mut gx[..];
        for range in groups(x.len() / n_hidden, CHUNK_ROWS) {
            let (mine, others) = rest.split_at_mut(range.len() * n_hidden);
            rest = others;
            tasks.push((range, mine));
        }
        let sums = summed(
            tasks,
            || Sums::zeros(plan),
            |sums, (range, gx)| {
                let pieces = chunks(range.len(), CHUNK_ROWS);
                for (rows, gx) in pieces.into_iter().zip(gx.chunks_mut(CHUNK_ROWS * n_hidden)) {
                    let rows = range.start + rows.start..range.start + rows.end;
                    let piece = Piece::of(plan, saved, &rows, x);
                    piece.back(plan, &weights, &g[piece.hidden.clone()], gx, sums);
                }
            },
            Sums::add,
        );
        Ok((gx, sums))
    })?;
    let mut gradients = vec![Some(tensor(gx, x.shape())?)];
    let mut push = |[weight, bias]: [Option<Tensor>; 2]| {
        gradients.push(weight);
        gradients.extend(bias.map(Some));
    };
    push(sums.norm.into_tensors()?);
    if plan.gated {
        push(sums.gate.into_tensors(plan.inward())?);
    }
    push(sums.up.into_tensors(plan.inward())?);
    push(sums.down.into_tensors(plan.outward())?);
    Ok(gradients)
}

/// The rows of one chunk.
struct Piece<'a, T> {
    hidden: std::ops::Range<usize>,
    x: &'a [T],
    stats: &'a [T],
    gate: &'a [T],
    up: &'a [T],
}

impl<'a, T: Real> Piece<'a, T> {
    fn of(plan: &Plan, saved: &'a Saved<T>, rows: &std::ops::Range<usize>, x: &'a [T]) -> Self {
        let times = |width: usize| rows.start * width..rows.end * width;
        Self {
            hidden: times(plan.n_hidden),
            x: &x[times(plan.n_hidden)],
            stats: &saved.stats[times(2)],
            gate: &saved.gate[times(if plan.gated { plan.n_inner } else { 0 })],
            up: &saved.up[times(plan.n_inner)],
        }
    }

    fn back(
        &self,
        plan: &Plan,
        weights: &[&[T]; N_WEIGHTS],
        g: &[T],
        gx: &mut [T],
        sums: &mut Sums<T>,
    ) {
        let [norm, norm_bias, gate_weight, _, up_weight, _, down, _] = *weights;
        // The residual's share; the rest is added last.
        gx.copy_from_slice(g);
        let mut g_up = Buffer::of_length(self.up.len());
        let mut g_gate = Buffer::of_length(self.gate.len());
        let mut inner = Buffer::of_length(self.up.len());
        map_back(g, down, plan.outward(), &mut g_up, Onto::Nothing);
        if plan.gated {
            let mut of = GateBackward {
                gate: self.gate,
                up: self.up,
                g: &mut g_up,
                g_gate: &mut g_gate,
                y: &mut inner,
            };
            gate_backward(plan.activation, &mut of);
        } else {
            activation_backward(plan.activation, self.up, &mut g_up, &mut inner);
        }
        sums.down.add_rows(&inner, g, plan.outward());
        let mut normed = Buffer::of_length(self.x.len());
        norm_again(norm, norm_bias, self.stats, self.x, &mut normed);
        sums.up.add_rows(&normed, &g_up, plan.inward());
        if plan.gated {
            sums.gate.add_rows(&normed, &g_gate, plan.inward());
        }
        // The normalised rows are done with; their gradient takes their place.
        map_back(&g_up, up_weight, plan.inward(), &mut normed, Onto::Nothing);
        if plan.gated {
            map_back(&g_gate, gate_weight, plan.inward(), &mut normed, Onto::Held);
        }
        let before = NormSaved {
            shape: plan.norm,
            x: self.x,
            weight: norm,
            stats: self.stats,
        };
        let NormGradient { weight, bias } = &mut sums.norm;
        norm_backward(&before, &normed, gx, weight, bias);
    }
}
