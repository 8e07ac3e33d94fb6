//! The residual attention block as one operation.
//!
//! A few sequences at a time go through normalisation, projections, attention, and back to the
//! residual while they are in the second-level cache. Kept for the way back: queries, keys, values
//! (rotated), the heads' results, and two sums; the rest is computed again.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};

use super::attention::{Attention, Back, Heads, attend, attend_back};
use super::buffers::Buffer;
use super::embedding::Turn;
use super::linear::{AffineGradient, CHUNK_ROWS, Wanted, map, map_back, summed};
use super::matrix::Onto;
use super::node::{Gradients, in_precision, read, record, same_dtype, tensor};
use super::norm::{NormGradient, shape_of};
use super::real::Real;
use super::rows::{
    NormSaved, NormShape, add_row, fill_rows, norm_again, norm_backward, norm_forward,
};
use super::threads::{chunks, each, groups};
use super::types::{Affine, AttentionBlock};

/// Sizes and choices, checked.
#[derive(Clone, Debug)]
struct Plan<T> {
    norm: NormShape,
    attention: Attention,
    turn: Option<Turn<T>>,
    n_hidden: usize,
    /// Widths of queries and of keys (and values) in a joined row.
    widths: [usize; 2],
    /// The norm has a bias.
    norm_bias: bool,
    /// Gradients of query, key, value, out.
    wanted: [Wanted; 4],
    /// Rows of a chunk: whole sequences.
    chunk_rows: usize,
}

impl<T> Plan<T> {
    fn joined(&self) -> usize {
        self.widths[0] + 2 * self.widths[1]
    }

    fn inward(&self) -> [usize; 2] {
        [self.n_hidden, self.joined()]
    }

    fn outward(&self) -> [usize; 2] {
        [self.widths[0], self.n_hidden]
    }

    /// Queries, keys, and values of rows that hold them one after the other.
    fn heads<'a>(&self, rows: &'a [T]) -> [Heads<'a, T>; 3] {
        let [of_q, of_k] = self.widths;
        [0, of_q, of_q + of_k].map(|start| Heads {
            data: &rows[start..],
            stride: self.joined(),
        })
    }
}

/// [`AttentionBlock`] of `x` `[n_batch, n_tokens, n_hidden]`.
///
/// # Errors
/// Shapes, element types, or options do not fit.
pub fn attention_block(x: &Tensor, block: &AttentionBlock<'_>) -> Result<Tensor> {
    let projections = [block.query, block.key, block.value];
    let mut inputs = vec![x, block.norm.weight];
    inputs.extend(block.norm.bias);
    for of in projections.iter().chain([&block.out]) {
        inputs.push(of.weight);
        inputs.extend(of.bias);
    }
    let dtype = same_dtype("attention_block", &inputs)?;
    in_precision!(dtype, "attention_block", T => {
        let plan = plan::<T>(x, block)?;
        if x.elem_count() == 0 {
            return Ok(x.clone());
        }
        let joined = Joined::of(&plan, &projections)?;
        let empty = Tensor::zeros(0, dtype, &Device::Cpu)?;
        let kept = [
            x.detach(),
            block.norm.weight.detach(),
            block.norm.bias.unwrap_or(&empty).detach(),
            block.out.weight.detach(),
            block.out.bias.unwrap_or(&empty).detach(),
        ];
        let [a, b, c, d, e] = &kept;
        let (y, saved) = read([a, b, c, d, e], |[x, norm, norm_bias, out, out_bias]| {
            let weights = Weights { norm, norm_bias, joined: &joined, out, out_bias };
            Ok(forward(&plan, x, &weights))
        })?;
        record("attention_block", &inputs, y, x.shape(), move |_, g| {
            backward(&plan, &kept, &joined, &saved, g)
        })
    })
}

fn plan<T: Real>(x: &Tensor, block: &AttentionBlock<'_>) -> Result<Plan<T>> {
    let (n_batch, n_tokens, n_hidden) = x.dims3()?;
    let n_head = block.n_head.max(1);
    let widths = [block.query.weight.dim(0)?, block.key.weight.dim(0)?];
    let [of_q, of_k] = widths;
    let fits = |of: &Affine<'_>, n_out: usize, n_in: usize| {
        of.weight.dims() == [n_out, n_in] && of.bias.is_none_or(|bias| bias.dims() == [n_out])
    };
    let all_fit = fits(&block.query, of_q, n_hidden)
        && fits(&block.key, of_k, n_hidden)
        && fits(&block.value, of_k, n_hidden)
        && fits(&block.out, n_hidden, of_q)
        && of_q.is_multiple_of(n_head)
        && of_k.is_multiple_of(n_head);
    if !all_fit || block.n_head == 0 {
        candle_core::bail!("attention block: x {x:?} and weights {block:?} do not fit");
    }
    let sizes = [n_batch, n_tokens, of_q / n_head, of_k / n_head, n_head];
    Ok(Plan {
        norm: shape_of(&block.norm, n_hidden)?,
        attention: Attention::new(sizes, &block.options)?,
        turn: match block.rotary {
            Some(tables) => Some(Turn::new(tables, n_tokens, n_head)?),
            None => None,
        },
        n_hidden,
        widths,
        norm_bias: block.norm.bias.is_some(),
        wanted: [block.query, block.key, block.value, block.out].map(|map| Wanted::of(&map)),
        chunk_rows: (CHUNK_ROWS / n_tokens.max(1)).max(1) * n_tokens.max(1),
    })
}

/// Query, key, and value projections as one.
#[derive(Debug)]
struct Joined<T: Real> {
    weight: Buffer<T>,
    /// Empty where none of the three has one.
    bias: Buffer<T>,
}

impl<T: Real> Joined<T> {
    fn of(plan: &Plan<T>, parts: &[Affine<'_>; 3]) -> Result<Self> {
        let [q, k, v] = parts.map(|part| part.weight);
        let mut weight = Buffer::of_length(plan.joined() * plan.n_hidden);
        read([q, k, v], |parts| {
            let mut rest = &mut weight[..];
            for part in parts {
                let (mine, others) = rest.split_at_mut(part.len());
                mine.copy_from_slice(part);
                rest = others;
            }
            Ok(())
        })?;
        let with_bias = parts.iter().any(|part| part.bias.is_some());
        let mut bias = Buffer::zeros(if with_bias { plan.joined() } else { 0 });
        let mut start = 0;
        for part in parts {
            if let Some(values) = part.bias {
                read([values], |[values]| {
                    bias[start..][..values.len()].copy_from_slice(values);
                    Ok(())
                })?;
            }
            start += part.weight.dim(0)?;
        }
        Ok(Self { weight, bias })
    }
}

#[derive(Clone, Copy, Debug)]
struct Weights<'a, T: Real> {
    norm: &'a [T],
    norm_bias: &'a [T],
    joined: &'a Joined<T>,
    out: &'a [T],
    out_bias: &'a [T],
}

/// Kept between the two ways.
#[derive(Debug)]
struct Saved<T: Real> {
    stats: Buffer<T>,
    /// Rows of queries, keys, and values.
    joined: Buffer<T>,
    /// Rows of the heads' results.
    seen: Buffer<T>,
    /// `[n_batch, n_heads, n_tokens]`.
    sums: Buffer<T>,
}

fn forward<T: Real>(plan: &Plan<T>, x: &[T], weights: &Weights<'_, T>) -> (Vec<T>, Saved<T>) {
    let n_rows = x.len() / plan.n_hidden;
    let n_heads = plan.attention.n_heads;
    let mut y = vec![T::ZERO; x.len()];
    let mut saved = Saved {
        stats: Buffer::of_length(n_rows * 2),
        joined: Buffer::of_length(n_rows * plan.joined()),
        seen: Buffer::of_length(n_rows * plan.widths[0]),
        sums: Buffer::of_length(n_rows * n_heads),
    };
    let size = plan.chunk_rows;
    let inputs = x
        .chunks(size * plan.n_hidden)
        .zip(y.chunks_mut(size * plan.n_hidden));
    let rows = saved.joined.chunks_mut(size * plan.joined());
    let rows = rows.zip(saved.seen.chunks_mut(size * plan.widths[0]));
    let small = saved
        .stats
        .chunks_mut(size * 2)
        .zip(saved.sums.chunks_mut(size * n_heads));
    let tasks: Vec<_> = inputs.zip(rows.zip(small)).enumerate().collect();
    each(
        tasks,
        |(chunk, ((x, y), ((joined, seen), (stats, sums))))| {
            let mut normed = Buffer::of_length(x.len());
            norm_forward(
                &plan.norm,
                x,
                weights.norm,
                weights.norm_bias,
                &mut normed,
                stats,
            );
            fill_rows(&weights.joined.bias, plan.joined(), joined);
            map(
                &normed,
                &weights.joined.weight,
                plan.inward(),
                joined,
                Onto::Held,
            );
            turn(plan, joined, false);
            let n_tokens = plan.attention.n_tokens;
            let sequences = joined.chunks(n_tokens * plan.joined());
            let results = seen.chunks_mut(n_tokens * plan.widths[0]);
            let results = results.zip(sums.chunks_mut(n_tokens * n_heads));
            for (index, (rows, (seen, sums))) in sequences.zip(results).enumerate() {
                let sequence = chunk * (size / n_tokens) + index;
                attend(&plan.attention, sequence, plan.heads(rows), seen, sums);
            }
            add_row(weights.out_bias, x, y);
            map(seen, weights.out, plan.outward(), y, Onto::Held);
        },
    );
    (y, saved)
}

/// Turns queries and keys of joined rows to their positions, or their gradients back.
fn turn<T: Real>(plan: &Plan<T>, joined: &mut [T], back: bool) {
    let Some(turn) = &plan.turn else {
        return;
    };
    let of = &plan.attention;
    turn.rows(joined, plan.joined(), of.n_heads + of.n_kv_heads, back);
}

/// Weights' gradients of one group.
#[derive(Debug)]
struct Sums<T: Real> {
    norm: NormGradient<T>,
    joined: AffineGradient<T>,
    out: AffineGradient<T>,
}

impl<T: Real> Sums<T> {
    fn zeros(plan: &Plan<T>) -> Self {
        let [query, key, value, out] = plan.wanted;
        let joined = Wanted {
            weight: query.weight || key.weight || value.weight,
            bias: query.bias || key.bias || value.bias,
        };
        Self {
            norm: NormGradient::zeros(plan.n_hidden, plan.norm_bias),
            joined: AffineGradient::zeros(plan.inward(), joined),
            out: AffineGradient::zeros(plan.outward(), out),
        }
    }

    fn add(&mut self, other: &Self) {
        self.norm.add(&other.norm);
        self.joined.add(&other.joined);
        self.out.add(&other.out);
    }

    /// Weight's gradient of one of the joined projections, if wanted, and the bias's, if there is
    /// one.
    fn part(&self, plan: &Plan<T>, index: usize) -> Result<Gradients> {
        let [of_q, of_k] = plan.widths;
        let start = [0, of_q, of_q + of_k][index];
        let width = [of_q, of_k, of_k][index];
        let n_hidden = plan.n_hidden;
        let mut gradients = vec![None];
        if plan.wanted[index].weight {
            let rows = &self.joined.weight[start * n_hidden..(start + width) * n_hidden];
            let mut weight = Buffer::of_length(rows.len());
            weight.copy_from_slice(rows);
            gradients = vec![Some(tensor(weight.into_vec(), (width, n_hidden))?)];
        }
        if plan.wanted[index].bias {
            let bias = &self.joined.bias[start..start + width];
            gradients.push(Some(tensor(bias.to_vec(), width)?));
        }
        Ok(gradients)
    }
}

fn backward<T: Real>(
    plan: &Plan<T>,
    [x, norm, norm_bias, out, out_bias]: &[Tensor; 5],
    joined: &Joined<T>,
    saved: &Saved<T>,
    g: &Tensor,
) -> Result<Gradients> {
    let n_hidden = plan.n_hidden;
    let tensors = [x, norm, norm_bias, out, out_bias, g];
    let (gx, mut sums) = read(tensors, |[x, norm, norm_bias, out, out_bias, g]| {
        let weights = Weights {
            norm,
            norm_bias,
            joined,
            out,
            out_bias,
        };
        let mut gx = vec![T::ZERO; g.len()];
        let mut tasks = Vec::new();
        let mut rest = &mut gx[..];
        for range in groups(x.len() / n_hidden, plan.chunk_rows) {
            let (mine, others) = rest.split_at_mut(range.len() * n_hidden);
            rest = others;
            tasks.push((range, mine));
        }
        let sums = summed(
            tasks,
            || Sums::zeros(plan),
            |sums, (range, gx)| {
                let pieces = chunks(range.len(), plan.chunk_rows);
                let gx = gx.chunks_mut(plan.chunk_rows * n_hidden);
                for (rows, gx) in pieces.into_iter().zip(gx) {
                    let rows = range.start + rows.start..range.start + rows.end;
                    let elements = rows.start * n_hidden..rows.end * n_hidden;
                    let (x, g) = (&x[elements.clone()], &g[elements]);
                    piece_back(plan, &weights, saved, (rows, x, g), (gx, sums));
                }
            },
            Sums::add,
        );
        Ok((gx, sums))
    })?;
    let mut gradients = vec![Some(tensor(gx, x.shape())?)];
    sums.joined = sums.joined.ended();
    let joined_parts = [
        sums.part(plan, 0)?,
        sums.part(plan, 1)?,
        sums.part(plan, 2)?,
    ];
    let [weight, bias] = sums.norm.into_tensors()?;
    gradients.push(weight);
    gradients.extend(bias.map(Some));
    gradients.extend(joined_parts.into_iter().flatten());
    let [weight, bias] = sums.out.into_tensors(plan.outward())?;
    gradients.push(weight);
    gradients.extend(bias.map(Some));
    Ok(gradients)
}

/// One chunk's way back.
fn piece_back<T: Real>(
    plan: &Plan<T>,
    weights: &Weights<'_, T>,
    saved: &Saved<T>,
    (rows, x, g): (Range<usize>, &[T], &[T]),
    (gx, sums): (&mut [T], &mut Sums<T>),
) {
    // The residual's share; the rest is added last.
    gx.copy_from_slice(g);
    let times = |width: usize| rows.start * width..rows.end * width;
    let stats = &saved.stats[times(2)];
    let joined = &saved.joined[times(plan.joined())];
    let seen = &saved.seen[times(plan.widths[0])];
    let mut g_seen = Buffer::of_length(seen.len());
    map_back(g, weights.out, plan.outward(), &mut g_seen, Onto::Nothing);
    sums.out.add_rows(seen, g, plan.outward());

    let of = &plan.attention;
    let [of_q, of_k] = plan.widths;
    let mut g_joined = Buffer::zeros(joined.len());
    let per_sequence = |width: usize| of.n_tokens * width;
    let inputs = joined
        .chunks(per_sequence(plan.joined()))
        .zip(seen.chunks(per_sequence(of_q)));
    let sums_of = saved.sums[times(of.n_heads)].chunks(per_sequence(of.n_heads));
    let inputs = inputs.zip(sums_of).zip(g_seen.chunks(per_sequence(of_q)));
    let outputs = g_joined.chunks_mut(per_sequence(plan.joined()));
    for (index, ((((joined, out), sums), g), g_joined)) in inputs.zip(outputs).enumerate() {
        // Gradients of one sequence in rows of their own, so that the three do not alias.
        let mut parts = [of_q, of_k, of_k].map(|width| Buffer::zeros(per_sequence(width)));
        let [gq, gk, gv] = &mut parts;
        let strides = [of_q, of_k, of_k];
        let mut back = Back {
            out,
            sums,
            g,
            gq,
            gk,
            gv,
            strides,
        };
        let sequence = rows.start / of.n_tokens + index;
        attend_back(of, sequence, plan.heads(joined), &mut back);
        for (row, g_joined) in g_joined.chunks_exact_mut(plan.joined()).enumerate() {
            let mut start = 0;
            for (part, width) in parts.iter().zip(strides) {
                g_joined[start..start + width].copy_from_slice(&part[row * width..][..width]);
                start += width;
            }
        }
    }
    turn(plan, &mut g_joined, true);

    let mut normed = Buffer::of_length(x.len());
    norm_again(weights.norm, weights.norm_bias, stats, x, &mut normed);
    sums.joined.add_rows(&normed, &g_joined, plan.inward());
    // The normalised rows are done with; their gradient takes their place.
    map_back(
        &g_joined,
        &weights.joined.weight,
        plan.inward(),
        &mut normed,
        Onto::Nothing,
    );
    let before = NormSaved {
        shape: plan.norm,
        x,
        weight: weights.norm,
        stats,
    };
    let NormGradient { weight, bias } = &mut sums.norm;
    norm_backward(&before, &normed, gx, weight, bias);
}
