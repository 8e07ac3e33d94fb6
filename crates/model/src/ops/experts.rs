//! Mixture of experts: one product per expert over its tokens, with gradients for everything.

use std::ops::Range;

use candle_core::{Result, Tensor};

use super::buffers::Buffer;
use super::linear::{CHUNK_ROWS, map, map_back};
use super::matrix::{Mat, MatMut, Onto, product};
use super::node::{Gradients, in_precision, read, read_ids, record, same_dtype, tensor};
use super::real::{Real, reduce, vectorised};
use super::rows::{GateBackward, add_scaled, gate_backward, gate_forward};
use super::threads::{chunks, each};
use super::types::Experts;
use crate::config::Activation;

/// Which tokens go where: pairs of token and slot, sorted by expert, in the tokens' order.
#[derive(Debug)]
struct Routes {
    n_hidden: usize,
    n_inner: usize,
    n_active: usize,
    activation: Activation,
    /// Pair (`token · n_active + slot`) at each sorted place.
    pairs: Vec<usize>,
    /// Sorted place of each pair.
    places: Vec<usize>,
    /// Sorted places of each expert.
    ranges: Vec<Range<usize>>,
}

impl Routes {
    /// Sorts by counting, so that equal experts keep the tokens' order.
    fn sort(&mut self, chosen: &[u32], n_experts: usize) {
        let mut counts = vec![0; n_experts];
        for expert in chosen {
            counts[*expert as usize] += 1;
        }
        let mut start = 0;
        for count in &counts {
            self.ranges.push(start..start + count);
            start += count;
        }
        let mut next: Vec<usize> = self.ranges.iter().map(|range| range.start).collect();
        self.pairs = vec![0; chosen.len()];
        self.places = vec![0; chosen.len()];
        for (pair, expert) in chosen.iter().enumerate() {
            let place = &mut next[*expert as usize];
            self.pairs[*place] = pair;
            self.places[pair] = *place;
            *place += 1;
        }
    }

    fn token(&self, place: usize) -> usize {
        self.pairs[place] / self.n_active
    }

    fn inward(&self) -> [usize; 2] {
        [self.n_hidden, self.n_inner]
    }

    fn outward(&self) -> [usize; 2] {
        [self.n_inner, self.n_hidden]
    }

    /// The tokens' rows of `x` at sorted `places`, one below the other.
    fn gather<T: Real>(&self, places: Range<usize>, x: &[T]) -> Buffer<T> {
        let width = self.n_hidden;
        let mut rows = Buffer::of_length(places.len() * width);
        for (place, row) in places.zip(rows.chunks_exact_mut(width)) {
            row.copy_from_slice(&x[self.token(place) * width..][..width]);
        }
        rows
    }

    /// Per token, the rows of its slots weighted and added in the slots' order.
    fn combine<T: Real>(&self, rows: &[T], share: impl Fn(usize) -> T + Sync, y: &mut [T]) {
        let (width, size) = (self.n_hidden, CHUNK_ROWS);
        let tasks: Vec<_> = y.chunks_mut(size * width).enumerate().collect();
        each(tasks, |(chunk, y)| {
            for (index, y) in y.chunks_exact_mut(width).enumerate() {
                let first = (chunk * size + index) * self.n_active;
                for pair in first..first + self.n_active {
                    let row = &rows[self.places[pair] * width..][..width];
                    add_scaled(share(pair), row, y);
                }
            }
        });
    }
}

/// Mixture of experts: `yᵢ = Σₖ weights[i, k] · expert(chosen[i, k])(xᵢ)` for `x`
/// `[n_tokens, n_hidden]`, `weights` `[n_tokens, n_active]`, `chosen` u32 of the same shape, with
/// `expert(x) = down(activation(gate x) ⊙ up x)`. Gradients go to `x`, to every expert's weights,
/// and to the routing weights. An expert may be chosen by nobody.
///
/// # Errors
/// Shapes or element types do not fit, or an index is not below `n_experts`.
pub fn moe_feed_forward(
    x: &Tensor,
    weights: &Tensor,
    chosen: &Tensor,
    experts: &Experts<'_>,
) -> Result<Tensor> {
    let Experts { gate, up, down, .. } = *experts;
    let inputs = [x, weights, gate, up, down];
    let dtype = same_dtype("moe_feed_forward", &inputs)?;
    let (n_tokens, n_hidden) = x.dims2()?;
    let (n_experts, n_inner, _) = gate.dims3()?;
    let (_, n_active) = weights.dims2()?;
    let fits = weights.dims() == [n_tokens, n_active]
        && chosen.dims() == weights.dims()
        && gate.dims() == [n_experts, n_inner, n_hidden]
        && up.dims() == gate.dims()
        && down.dims() == [n_experts, n_hidden, n_inner];
    if !fits || n_hidden == 0 || n_inner == 0 || n_active == 0 {
        candle_core::bail!("experts: x {x:?}, weights {weights:?}, {experts:?} do not fit");
    }
    let chosen = read_ids(chosen)?;
    if let Some(expert) = chosen.iter().find(|expert| **expert as usize >= n_experts) {
        candle_core::bail!("experts: expert {expert} was chosen, but there are {n_experts}");
    }
    let mut routes = Routes {
        n_hidden,
        n_inner,
        n_active,
        activation: experts.activation,
        pairs: Vec::new(),
        places: Vec::new(),
        ranges: Vec::new(),
    };
    routes.sort(&chosen, n_experts);
    in_precision!(dtype, "moe_feed_forward", T => {
        let (y, saved) = read(inputs, |slices| Ok(forward::<T>(&routes, slices)))?;
        let kept = inputs.map(Tensor::detach);
        let wanted = [gate, up, down].map(Tensor::track_op);
        record("moe_feed_forward", &inputs, y, x.shape(), move |_, g| {
            backward(&routes, (&kept, wanted), &saved, g)
        })
    })
}

/// Kept between the two ways, by sorted place.
#[derive(Debug)]
struct Saved<T: Real> {
    gate: Buffer<T>,
    up: Buffer<T>,
    /// Results of the experts, unweighted.
    out: Buffer<T>,
}

fn forward<T: Real>(
    routes: &Routes,
    [x, weights, gates, ups, downs]: [&[T]; 5],
) -> (Vec<T>, Saved<T>) {
    let (n_hidden, n_inner) = (routes.n_hidden, routes.n_inner);
    let n_pairs = routes.pairs.len();
    let mut saved = Saved {
        gate: Buffer::of_length(n_pairs * n_inner),
        up: Buffer::of_length(n_pairs * n_inner),
        out: Buffer::of_length(n_pairs * n_hidden),
    };
    let (mut gate, mut up, mut out) = (&mut saved.gate[..], &mut saved.up[..], &mut saved.out[..]);
    let mut tasks = Vec::new();
    for (expert, range) in routes.ranges.iter().enumerate() {
        for rows in chunks(range.len(), CHUNK_ROWS) {
            let n_rows = rows.len();
            let (my_gate, rest_gate) = gate.split_at_mut(n_rows * n_inner);
            let (my_up, rest_up) = up.split_at_mut(n_rows * n_inner);
            let (my_out, rest_out) = out.split_at_mut(n_rows * n_hidden);
            (gate, up, out) = (rest_gate, rest_up, rest_out);
            let places = range.start + rows.start..range.start + rows.end;
            tasks.push((expert, places, my_gate, my_up, my_out));
        }
    }
    each(tasks, |(expert, places, gate, up, out)| {
        let of = |all| expert_of(all, expert, n_hidden * n_inner);
        let rows = routes.gather(places, x);
        map(&rows, of(gates), routes.inward(), gate, Onto::Nothing);
        map(&rows, of(ups), routes.inward(), up, Onto::Nothing);
        let mut inner = Buffer::of_length(up.len());
        gate_forward(routes.activation, gate, up, &mut inner);
        map(&inner, of(downs), routes.outward(), out, Onto::Nothing);
    });
    let mut y = vec![T::ZERO; x.len()];
    routes.combine(&saved.out, |pair| weights[pair], &mut y);
    (y, saved)
}

fn expert_of<T>(all: &[T], expert: usize, size: usize) -> &[T] {
    &all[expert * size..][..size]
}

/// What one expert's way back writes.
struct Task<'a, T> {
    expert: usize,
    places: Range<usize>,
    /// Gradients of the tokens' rows and of the routing weights, by sorted place.
    rows: &'a mut [T],
    shares: &'a mut [T],
    /// Gradients of the expert's weights; empty where they are frozen.
    gate: &'a mut [T],
    up: &'a mut [T],
    down: &'a mut [T],
}

fn backward<T: Real>(
    routes: &Routes,
    ([x, weights, gates, ups, downs], wanted): (&[Tensor; 5], [bool; 3]),
    saved: &Saved<T>,
    g: &Tensor,
) -> Result<Gradients> {
    let tensors = [x, weights, gates, ups, downs, g];
    let gradients = read(tensors, |[x, weights, gates, ups, downs, g]| {
        let size = routes.n_hidden * routes.n_inner;
        let mut rows = Buffer::of_length(routes.pairs.len() * routes.n_hidden);
        let mut shares = Buffer::of_length(routes.pairs.len());
        let mut of_experts = wanted.map(|wanted| match wanted {
            true => Buffer::zeros(gates.len()).into_vec(),
            false => Vec::new(),
        });
        let mut by_expert = of_experts.each_mut().map(|all| all.chunks_mut(size));
        let (mut rest_rows, mut rest_shares) = (&mut rows[..], &mut shares[..]);
        let mut tasks = Vec::new();
        for (expert, range) in routes.ranges.iter().enumerate() {
            let (rows, others) = rest_rows.split_at_mut(range.len() * routes.n_hidden);
            let (shares, other_shares) = rest_shares.split_at_mut(range.len());
            (rest_rows, rest_shares) = (others, other_shares);
            let places = range.clone();
            let [gate, up, down] = by_expert
                .each_mut()
                .map(|slices| slices.next().unwrap_or_default());
            tasks.push(Task {
                expert,
                places,
                rows,
                shares,
                gate,
                up,
                down,
            });
        }
        each(tasks, |task| {
            expert_back(routes, saved, [x, weights, gates, ups, downs, g], task);
        });
        let mut gx = vec![T::ZERO; x.len()];
        routes.combine(&rows, |_| T::ONE, &mut gx);
        let of_weights: Vec<T> = routes.places.iter().map(|place| shares[*place]).collect();
        let [gate, up, down] = of_experts;
        Ok([gx, of_weights, gate, up, down])
    })?;
    let [of_gate, of_up, of_down] = wanted;
    let slots = [x, weights, gates, ups, downs]
        .into_iter()
        .zip([true, true, of_gate, of_up, of_down]);
    gradients
        .into_iter()
        .zip(slots)
        .map(|(values, (input, wanted))| match wanted {
            true => Ok(Some(tensor(values, input.shape())?)),
            false => Ok(None),
        })
        .collect()
}

vectorised! {
    /// Per row: `share = Σ g out`, and the row of `g` scaled by its routing weight.
    fn weigh<T: Real>(width: usize, out: &[T], weights: &[T], g: &mut [T], shares: &mut [T]) {
        let rows = g.chunks_exact_mut(width).zip(out.chunks_exact(width));
        for ((g, out), (weight, share)) in rows.zip(weights.iter().zip(shares)) {
            *share = reduce(g, out, |g, out| g * out);
            let weight = *weight;
            for g in g {
                *g *= weight;
            }
        }
    }
}

fn expert_back<T: Real>(
    routes: &Routes,
    saved: &Saved<T>,
    [x, weights, gates, ups, downs, g]: [&[T]; 6],
    task: Task<'_, T>,
) {
    let (n_hidden, n_inner) = (routes.n_hidden, routes.n_inner);
    let of = |all| expert_of(all, task.expert, n_hidden * n_inner);
    for rows in chunks(task.places.len(), CHUNK_ROWS) {
        let places = task.places.start + rows.start..task.places.start + rows.end;
        let times = |width: usize| places.start * width..places.end * width;
        let mut g_out = routes.gather(places.clone(), g);
        let shares: Vec<T> = places
            .clone()
            .map(|place| weights[routes.pairs[place]])
            .collect();
        let out = &saved.out[times(n_hidden)];
        weigh(
            n_hidden,
            out,
            &shares,
            &mut g_out,
            &mut task.shares[rows.clone()],
        );
        let (gate, up) = (&saved.gate[times(n_inner)], &saved.up[times(n_inner)]);
        let mut g_up = Buffer::of_length(up.len());
        let mut g_gate = Buffer::of_length(up.len());
        let mut inner = Buffer::of_length(up.len());
        map_back(
            &g_out,
            of(downs),
            routes.outward(),
            &mut g_up,
            Onto::Nothing,
        );
        let (g, g_gate_rows, y) = (&mut g_up[..], &mut g_gate[..], &mut inner[..]);
        gate_backward(
            routes.activation,
            &mut GateBackward {
                gate,
                up,
                g,
                g_gate: g_gate_rows,
                y,
            },
        );
        add_outer(&inner, &g_out, routes.outward(), task.down);
        let input = routes.gather(places.clone(), x);
        add_outer(&input, &g_up, routes.inward(), task.up);
        add_outer(&input, &g_gate, routes.inward(), task.gate);
        let gx = &mut task.rows[rows.start * n_hidden..rows.end * n_hidden];
        map_back(&g_up, of(ups), routes.inward(), gx, Onto::Nothing);
        map_back(&g_gate, of(gates), routes.inward(), gx, Onto::Held);
    }
}

/// `sum += gᵀ · x`, if there is a sum.
fn add_outer<T: Real>(x: &[T], g: &[T], [n_in, n_out]: [usize; 2], sum: &mut [T]) {
    if sum.is_empty() {
        return;
    }
    let sizes = [n_out, n_in, x.len() / n_in];
    let (g, x) = (Mat::rows(g, n_out).t(), Mat::rows(x, n_in));
    let dst = MatMut {
        data: sum,
        stride: n_in,
    };
    product(sizes, dst, Onto::Held, T::ONE, g, x);
}
