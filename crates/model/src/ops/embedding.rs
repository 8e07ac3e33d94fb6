//! Rows of a table, and rotary positions.

use candle_core::{Result, Tensor};

use super::buffers::Buffer;
use super::node::{Gradients, in_precision, read, read_ids, record, same_dtype, tensor};
use super::real::{Real, vectorised};
use super::rows::add_scaled;
use super::threads::each;
use super::types::Rotary;

/// Rows `ids` (u32, any shape) of `weight` `[n_vocab, n_hidden]`: shape of `ids`, then `n_hidden`.
///
/// # Errors
/// An id is not below `n_vocab`.
pub fn embedding(weight: &Tensor, ids: &Tensor) -> Result<Tensor> {
    embed(weight, None, ids)
}

/// [`embedding`] of `ids` `[.., n_tokens]` plus row `t` of `positions` `[n_positions, n_hidden]`
/// for the token at place `t`.
///
/// # Errors
/// An id is not below `n_vocab`, or there are more tokens than positions.
pub fn embedding_with_positions(
    weight: &Tensor,
    positions: &Tensor,
    ids: &Tensor,
) -> Result<Tensor> {
    embed(weight, Some(positions), ids)
}

fn embed(weight: &Tensor, positions: Option<&Tensor>, ids: &Tensor) -> Result<Tensor> {
    let (n_vocab, n_hidden) = weight.dims2()?;
    let mut dims = ids.dims().to_vec();
    let n_tokens = dims.last().copied().unwrap_or(1);
    dims.push(n_hidden);
    let ids = read_ids(ids)?;
    if let Some(id) = ids.iter().find(|id| **id as usize >= n_vocab) {
        candle_core::bail!("embedding: token {id} is outside of a vocabulary of {n_vocab}");
    }
    let mut inputs = vec![weight];
    if let Some(positions) = positions {
        let (n_positions, width) = positions.dims2()?;
        if width != n_hidden || n_tokens > n_positions {
            candle_core::bail!("embedding: {n_tokens} tokens of {n_hidden}, table {positions:?}");
        }
        inputs.push(positions);
    }
    let dtype = same_dtype("embedding", &inputs)?;
    in_precision!(dtype, "embedding", T => {
        let y = read([weight, positions.unwrap_or(weight)], |[weight, table]| {
            let mut y: Vec<T> = Vec::with_capacity(ids.len() * n_hidden);
            for (place, id) in ids.iter().enumerate() {
                let start = y.len();
                y.extend_from_slice(&weight[*id as usize * n_hidden..][..n_hidden]);
                if positions.is_some() {
                    let row = &table[place % n_tokens * n_hidden..][..n_hidden];
                    y[start..].iter_mut().zip(row).for_each(|(y, row)| *y += *row);
                }
            }
            Ok(y)
        })?;
        let n_positions = match positions {
            Some(positions) => Some(positions.dim(0)?),
            None => None,
        };
        record("embedding", &inputs, y, dims, move |_, g| {
            embed_backward::<T>([n_vocab, n_hidden, n_tokens], n_positions, &ids, g)
        })
    })
}

/// Adds the rows up in the order of the tokens, so that the sums are always the same.
fn embed_backward<T: Real>(
    [n_vocab, n_hidden, n_tokens]: [usize; 3],
    n_positions: Option<usize>,
    ids: &[u32],
    g: &Tensor,
) -> Result<Gradients> {
    let mut of_weight = Buffer::zeros(n_vocab * n_hidden);
    let mut of_table = Buffer::zeros(n_positions.unwrap_or(0) * n_hidden);
    read([g], |[g]| {
        if n_hidden == 0 {
            return Ok(());
        }
        for (place, (id, g)) in ids.iter().zip(g.chunks_exact(n_hidden)).enumerate() {
            add_scaled(
                T::ONE,
                g,
                &mut of_weight[*id as usize * n_hidden..][..n_hidden],
            );
            if n_positions.is_some() {
                let row = &mut of_table[place % n_tokens * n_hidden..][..n_hidden];
                add_scaled(T::ONE, g, row);
            }
        }
        Ok(())
    })?;
    let mut gradients = vec![Some(tensor(of_weight.into_vec(), (n_vocab, n_hidden))?)];
    if let Some(n_positions) = n_positions {
        let shape = (n_positions, n_hidden);
        gradients.push(Some(tensor(of_table.into_vec(), shape)?));
    }
    Ok(gradients)
}

/// Sines and cosines in the precision of the tensors they turn.
#[derive(Clone, Debug)]
pub(crate) struct Turn<T> {
    /// Half of a head.
    pub(crate) n_half: usize,
    cos: Vec<T>,
    sin: Vec<T>,
}

impl<T: Real> Turn<T> {
    /// The tables for the first `n_tokens` positions of heads of width `n_head`.
    ///
    /// # Errors
    /// The head's width is not the tables', or there are more tokens than positions.
    pub(crate) fn new(tables: &Rotary, n_tokens: usize, n_head: usize) -> Result<Self> {
        if n_head != 2 * tables.n_half || n_tokens > tables.n_positions() {
            let (held, width) = (tables.n_positions(), 2 * tables.n_half);
            candle_core::bail!(
                "rotary: {n_tokens} tokens with heads of {n_head}, but tables for {held} positions \
                 and heads of {width}"
            );
        }
        let cast = |values: &[f64]| {
            let values = &values[..n_tokens * tables.n_half];
            values.iter().map(|value| T::from_f64(*value)).collect()
        };
        Ok(Self {
            n_half: tables.n_half,
            cos: cast(&tables.cos),
            sin: cast(&tables.sin),
        })
    }

    /// Turns the first `n_heads` heads of each row of `x` in place; row `r` stands at position
    /// `r mod n_tokens`. `back` turns the other way, which is the gradient.
    pub(crate) fn rows(&self, x: &mut [T], stride: usize, n_heads: usize, back: bool) {
        let sign = if back { -T::ONE } else { T::ONE };
        turn_rows(self, sign, n_heads, stride, x);
    }
}

vectorised! {
    /// See [`Turn::rows`].
    fn turn_rows<T: Real>(turn: &Turn<T>, sign: T, n_heads: usize, stride: usize, x: &mut [T]) {
        let n_half = turn.n_half;
        let tables = turn.cos.chunks_exact(n_half).zip(turn.sin.chunks_exact(n_half)).cycle();
        for (row, (cos, sin)) in x.chunks_mut(stride).zip(tables) {
            for head in row.chunks_exact_mut(2 * n_half).take(n_heads) {
                let (low, high) = head.split_at_mut(n_half);
                for ((low, high), (cos, sin)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
                    let (a, b) = (*low, *high);
                    *low = a * *cos - b * (sign * *sin);
                    *high = b * *cos + a * (sign * *sin);
                }
            }
        }
    }
}

/// Rotates `x` `[n_batch, n_tokens, n_heads, n_head]` by halves; token `t` stands at position `t`
/// (Su et al., RoFormer, eq. 34, with element `i` paired with `i + n_head/2`).
///
/// # Errors
/// The head's width is not the tables', or there are more tokens than positions.
pub fn rotary(x: &Tensor, tables: &Rotary) -> Result<Tensor> {
    let (_, n_tokens, n_heads, n_head) = x.dims4()?;
    in_precision!(x.dtype(), "rotary", T => {
        let turn = Turn::<T>::new(tables, n_tokens, n_head)?;
        let size = (n_tokens * n_heads * n_head).max(1);
        let stride = (n_heads * n_head).max(1);
        let turned = move |x: &Tensor, back: bool| {
            read([x], |[x]| {
                let mut y = x.to_vec();
                let tasks = y.chunks_mut(size).collect();
                each(tasks, |y| turn.rows(y, stride, n_heads, back));
                Ok(y)
            })
        };
        let y = turned(x, false)?;
        record("rotary", &[x], y, x.shape(), move |y, g| {
            Ok(vec![Some(tensor(turned(g, true)?, y.shape())?)])
        })
    })
}
