//! Scaled dot-product attention, block of queries by block of queries.
//!
//! Scores exist for one block of one head at a time (32 × 128 singles: 16 KiB) and are computed
//! again on the way back from the saved logarithm of their sum (Dao et al. 2022, FlashAttention,
//! algorithms 1 and 4, without tiling over keys: sequences here are short). Causal blocks do not
//! touch the keys behind them. Tokens stay in `[batch, token, head, width]`: nothing is copied
//! to transpose it.

use candle_core::{Result, Tensor};

use super::buffers::Buffer;
use super::matrix::{Mat, MatMut, Onto, product};
use super::node::{in_precision, read, read_ids, record, same_dtype, tensor};
use super::real::{Real, exponentials, largest, reduce, vectorised};
use super::threads::each;
use super::types::AttentionOptions;

/// Queries of a block: products of 32 rows run at 140 GFLOP/s, and a causal sequence of 128 tokens
/// needs 5/8 of the scores instead of 3/4 with 64.
const QUERY_BLOCK: usize = 32;

/// Sizes and visibility, checked.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) n_tokens: usize,
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) n_head: usize,
    causal: bool,
    window: Option<usize>,
    scale: f64,
    /// Of all sequences, one after the other.
    segments: Option<Vec<u32>>,
}

impl Attention {
    /// Checks the options against `[n_batch, n_tokens, n_heads, n_kv_heads, n_head]`.
    pub(crate) fn new(sizes: [usize; 5], options: &AttentionOptions<'_>) -> Result<Self> {
        let [n_batch, n_tokens, n_heads, n_kv_heads, n_head] = sizes;
        if n_kv_heads == 0 || !n_heads.is_multiple_of(n_kv_heads) || n_head == 0 {
            candle_core::bail!(
                "attention: {n_heads} query heads of {n_head} cannot share {n_kv_heads} key heads"
            );
        }
        if options
            .window
            .is_some_and(|window| window == 0 || !options.causal)
        {
            candle_core::bail!("attention: a window needs a token and causal order");
        }
        let segments = match options.segments {
            Some(segments) if segments.dims() != [n_batch, n_tokens] => {
                candle_core::bail!("attention: segments {segments:?} for {n_batch} × {n_tokens}")
            }
            Some(segments) => Some(read_ids(segments)?),
            None => None,
        };
        Ok(Self {
            n_tokens,
            n_heads,
            n_kv_heads,
            n_head,
            causal: options.causal,
            window: options.window,
            scale: options.scale,
            segments,
        })
    }

    /// Keys that some query of `first..end` may see.
    fn columns(&self, first: usize, end: usize) -> (usize, usize) {
        let last = if self.causal { end } else { self.n_tokens };
        (
            self.window
                .map_or(0, |window| (first + 1).saturating_sub(window)),
            last,
        )
    }

    fn segments_of(&self, sequence: usize) -> Option<&[u32]> {
        let all = self.segments.as_ref()?;
        Some(&all[sequence * self.n_tokens..][..self.n_tokens])
    }
}

/// One block of queries of one head of one sequence.
#[derive(Clone, Copy, Debug)]
struct Block<'a> {
    of: &'a Attention,
    segments: Option<&'a [u32]>,
    rows: (usize, usize),
    columns: (usize, usize),
}

impl Block<'_> {
    fn n_rows(&self) -> usize {
        self.rows.1 - self.rows.0
    }

    fn width(&self) -> usize {
        self.columns.1 - self.columns.0
    }

    /// Columns of the block that row `row` of the block sees, segments aside.
    #[inline(always)]
    fn seen(&self, row: usize) -> (usize, usize) {
        let query = self.rows.0 + row;
        let (from, to) = self.of.columns(query, query + 1);
        (from - self.columns.0, to - self.columns.0)
    }

    /// Sets what row `row` must not see to the lowest number. False: it sees nothing at all.
    #[inline(always)]
    fn hide<T: Real>(&self, row: usize, scores: &mut [T]) -> bool {
        let Some(segments) = self.segments else {
            return true;
        };
        let mine = segments[self.rows.0 + row];
        let (from, to) = self.seen(row);
        let others = &segments[self.columns.0 + from..self.columns.0 + to];
        for (score, other) in scores[from..to].iter_mut().zip(others) {
            if *other != mine {
                *score = T::LOWEST;
            }
        }
        mine != 0
    }
}

vectorised! {
    /// Scores become probabilities; `sums` keeps the logarithm of each row's sum of exponentials.
    fn probabilities<T: Real>(block: &Block<'_>, scores: &mut [T], sums: &mut [T]) {
        let rows = scores.chunks_exact_mut(block.width()).zip(sums);
        for (row, (scores, sum)) in rows.enumerate() {
            if !block.hide(row, scores) {
                scores.fill(T::ZERO);
                *sum = T::ZERO;
                continue;
            }
            let (from, to) = block.seen(row);
            scores[..from].fill(T::ZERO);
            scores[to..].fill(T::ZERO);
            let top = largest(&scores[from..to]);
            let total = exponentials(&mut scores[from..to], top);
            *sum = top + total.logarithm();
            let inverse = T::ONE / total;
            for score in &mut scores[from..to] {
                *score *= inverse;
            }
        }
    }
}

vectorised! {
    /// Scores become probabilities again, and their gradients `g` those of the unscaled scores:
    /// `p ⊙ (g − delta) · scale`.
    fn score_gradients<T: Real>(
        block: &Block<'_>,
        sums: &[T],
        deltas: &[T],
        scores: &mut [T],
        g: &mut [T],
    ) {
        let width = block.width();
        let scale = T::from_f64(block.of.scale);
        let rows = scores.chunks_exact_mut(width).zip(g.chunks_exact_mut(width));
        for (row, ((scores, g), (sum, delta))) in rows.zip(sums.iter().zip(deltas)).enumerate() {
            // Copies: a loop that reads them through references is not vectorised.
            let (sum, delta) = (*sum, *delta);
            if !block.hide(row, scores) {
                scores.fill(T::ZERO);
                g.fill(T::ZERO);
                continue;
            }
            let (from, to) = block.seen(row);
            scores[..from].fill(T::ZERO);
            scores[to..].fill(T::ZERO);
            g[..from].fill(T::ZERO);
            g[to..].fill(T::ZERO);
            for (score, g) in scores[from..to].iter_mut().zip(&mut g[from..to]) {
                *score = (*score - sum).exponential();
                *g = *score * (*g - delta) * scale;
            }
        }
    }
}

vectorised! {
    /// `deltas[i] = Σ g out` over row `i` of one head.
    fn row_products<T: Real>(
        sizes: &[usize; 3],
        g: &[T],
        out: &[T],
        deltas: &mut [T],
    ) {
        let [start, stride, n_head] = *sizes;
        for (row, delta) in deltas.iter_mut().enumerate() {
            let at = start + row * stride;
            *delta = reduce(&g[at..][..n_head], &out[at..][..n_head], |g, out| g * out);
        }
    }
}

/// Rows of one sequence, `stride` apart, each holding heads one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) stride: usize,
}

impl<'a, T> Heads<'a, T> {
    /// Rows from `first` of head `head`.
    fn of(&self, head: usize, n_head: usize, first: usize) -> Mat<'a, T> {
        Mat::rows(
            &self.data[first * self.stride + head * n_head..],
            self.stride,
        )
    }
}

/// Attention within sequence `sequence`: fills `out` (rows of `n_heads · n_head`) and `sums`
/// (`[n_heads, n_tokens]`).
pub(crate) fn attend<T: Real>(
    of: &Attention,
    sequence: usize,
    [q, k, v]: [Heads<'_, T>; 3],
    out: &mut [T],
    sums: &mut [T],
) {
    let (n_tokens, n_head) = (of.n_tokens, of.n_head);
    let stride = of.n_heads * n_head;
    let mut room = Buffer::of_length(QUERY_BLOCK * n_tokens);
    for head in 0..of.n_heads {
        let shared = head / (of.n_heads / of.n_kv_heads);
        for first in (0..n_tokens).step_by(QUERY_BLOCK) {
            let end = (first + QUERY_BLOCK).min(n_tokens);
            let block = Block {
                of,
                segments: of.segments_of(sequence),
                rows: (first, end),
                columns: of.columns(first, end),
            };
            let (rows, width, from) = (block.n_rows(), block.width(), block.columns.0);
            let scores = &mut room[..rows * width];
            let dst = MatMut {
                data: &mut *scores,
                stride: width,
            };
            let (queries, keys) = (q.of(head, n_head, first), k.of(shared, n_head, from).t());
            let scale = T::from_f64(of.scale);
            product(
                [rows, width, n_head],
                dst,
                Onto::Nothing,
                scale,
                queries,
                keys,
            );
            probabilities(&block, scores, &mut sums[head * n_tokens + first..][..rows]);
            let dst = MatMut {
                data: &mut out[first * stride + head * n_head..],
                stride,
            };
            let (scores, values) = (Mat::rows(scores, width), v.of(shared, n_head, from));
            product(
                [rows, n_head, width],
                dst,
                Onto::Nothing,
                T::ONE,
                scores,
                values,
            );
        }
    }
}

/// What the way back through one sequence reads and writes.
#[derive(Debug)]
pub(crate) struct Back<'a, T> {
    /// Results, rows of `n_heads · n_head`.
    pub(crate) out: &'a [T],
    /// `[n_heads, n_tokens]`.
    pub(crate) sums: &'a [T],
    /// Gradient of the results.
    pub(crate) g: &'a [T],
    /// Gradients to fill; each starts at its first head and has rows `stride` apart.
    pub(crate) gq: &'a mut [T],
    pub(crate) gk: &'a mut [T],
    pub(crate) gv: &'a mut [T],
    pub(crate) strides: [usize; 3],
}

/// The way back through [`attend`]. Gradients of keys and values are added to what is there.
#[expect(
    clippy::too_many_lines,
    reason = "one pass over tiles that share their buffers; its parts have no meaning alone"
)]
pub(crate) fn attend_back<T: Real>(
    of: &Attention,
    sequence: usize,
    [q, k, v]: [Heads<'_, T>; 3],
    back: &mut Back<'_, T>,
) {
    let (n_tokens, n_head) = (of.n_tokens, of.n_head);
    let stride = of.n_heads * n_head;
    let mut rooms = [0; 2].map(|_| Buffer::of_length(QUERY_BLOCK * n_tokens));
    let mut room_deltas = Buffer::of_length(QUERY_BLOCK);
    let [room, room_g] = &mut rooms;
    for head in 0..of.n_heads {
        let shared = head / (of.n_heads / of.n_kv_heads);
        for first in (0..n_tokens).step_by(QUERY_BLOCK) {
            let end = (first + QUERY_BLOCK).min(n_tokens);
            let block = Block {
                of,
                segments: of.segments_of(sequence),
                rows: (first, end),
                columns: of.columns(first, end),
            };
            let (rows, width, from) = (block.n_rows(), block.width(), block.columns.0);
            let (scores, g_scores) = (&mut room[..rows * width], &mut room_g[..rows * width]);
            let start = first * stride + head * n_head;
            let deltas = &mut room_deltas[..rows];
            row_products(&[start, stride, n_head], back.g, back.out, deltas);
            let (queries, keys) = (q.of(head, n_head, first), k.of(shared, n_head, from));
            let dst = MatMut {
                data: &mut *scores,
                stride: width,
            };
            let scale = T::from_f64(of.scale);
            product(
                [rows, width, n_head],
                dst,
                Onto::Nothing,
                scale,
                queries,
                keys.t(),
            );
            let g = Mat::rows(&back.g[start..], stride);
            let values = v.of(shared, n_head, from).t();
            let dst = MatMut {
                data: &mut *g_scores,
                stride: width,
            };
            product([rows, width, n_head], dst, Onto::Nothing, T::ONE, g, values);
            let sums = &back.sums[head * n_tokens + first..][..rows];
            score_gradients(&block, sums, deltas, scores, g_scores);
            let (scores, g_scores) = (Mat::rows(scores, width), Mat::rows(g_scores, width));
            let [of_q, of_k, of_v] = back.strides;
            let at = |stride: usize, head: usize, row: usize| row * stride + head * n_head;
            let dst = MatMut {
                data: &mut back.gq[at(of_q, head, first)..],
                stride: of_q,
            };
            product(
                [rows, n_head, width],
                dst,
                Onto::Nothing,
                T::ONE,
                g_scores,
                keys,
            );
            let dst = MatMut {
                data: &mut back.gk[at(of_k, shared, from)..],
                stride: of_k,
            };
            product(
                [width, n_head, rows],
                dst,
                Onto::Held,
                T::ONE,
                g_scores.t(),
                queries,
            );
            let dst = MatMut {
                data: &mut back.gv[at(of_v, shared, from)..],
                stride: of_v,
            };
            product(
                [width, n_head, rows],
                dst,
                Onto::Held,
                T::ONE,
                scores.t(),
                g,
            );
        }
    }
}

/// Scaled dot-product attention of `q` `[n_batch, n_tokens, n_heads, n_head]` over `k` and `v`
/// `[n_batch, n_tokens, n_kv_heads, n_head]`; query heads share key heads in equal groups. The
/// result has the shape of `q`.
///
/// # Errors
/// Shapes, element types, or options do not fit.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    options: &AttentionOptions<'_>,
) -> Result<Tensor> {
    let dtype = same_dtype("attention", &[q, k, v])?;
    let (n_batch, n_tokens, n_heads, n_head) = q.dims4()?;
    let (_, _, n_kv_heads, _) = k.dims4()?;
    if k.dims() != [n_batch, n_tokens, n_kv_heads, n_head] || v.dims() != k.dims() {
        candle_core::bail!("attention: q {q:?}, k {k:?}, v {v:?} do not fit");
    }
    let of = Attention::new([n_batch, n_tokens, n_heads, n_kv_heads, n_head], options)?;
    in_precision!(dtype, "attention", T => {
        let (out, sums) = read([q, k, v], |qkv| Ok(forward::<T>(&of, qkv)))?;
        let kept = [q.detach(), k.detach(), v.detach()];
        record("attention", &[q, k, v], out, q.shape(), move |out, g| {
            let [q, k, v] = &kept;
            let [gq, gk, gv] = read([q, k, v, out, g], |[q, k, v, out, g]| {
                Ok(backward::<T>(&of, [q, k, v], [out, &sums, g]))
            })?;
            let (gq, gk) = (tensor(gq, q.shape())?, tensor(gk, k.shape())?);
            let gradients = [gq, gk, tensor(gv, k.shape())?];
            Ok(gradients.map(Some).into())
        })
    })
}

/// Elements of one sequence of queries and of keys.
fn sequence_sizes(of: &Attention) -> [usize; 2] {
    [of.n_heads, of.n_kv_heads].map(|n_heads| (of.n_tokens * n_heads * of.n_head).max(1))
}

fn forward<T: Real>(of: &Attention, [q, k, v]: [&[T]; 3]) -> (Vec<T>, Buffer<T>) {
    let [of_q, of_k] = sequence_sizes(of);
    let mut out = vec![T::ZERO; q.len()];
    let mut sums = Buffer::of_length(q.len() / of.n_head);
    let inputs = q.chunks(of_q).zip(k.chunks(of_k)).zip(v.chunks(of_k));
    let outputs = out
        .chunks_mut(of_q)
        .zip(sums.chunks_mut((of.n_heads * of.n_tokens).max(1)));
    let tasks: Vec<_> = inputs.zip(outputs).enumerate().collect();
    each(tasks, |(sequence, (((q, k), v), (out, sums)))| {
        attend(of, sequence, heads(of, [q, k, v]), out, sums);
    });
    (out, sums)
}

fn heads<'a, T>(of: &Attention, [q, k, v]: [&'a [T]; 3]) -> [Heads<'a, T>; 3] {
    let (stride, shared) = (of.n_heads * of.n_head, of.n_kv_heads * of.n_head);
    [
        Heads { data: q, stride },
        Heads {
            data: k,
            stride: shared,
        },
        Heads {
            data: v,
            stride: shared,
        },
    ]
}

fn backward<T: Real>(of: &Attention, qkv: [&[T]; 3], [out, sums, g]: [&[T]; 3]) -> [Vec<T>; 3] {
    let [of_q, of_k] = sequence_sizes(of);
    let [q, k, v] = qkv;
    let mut gradients = qkv.map(|x| vec![T::ZERO; x.len()]);
    let [gq, gk, gv] = &mut gradients;
    let inputs = q.chunks(of_q).zip(k.chunks(of_k)).zip(v.chunks(of_k));
    let kept = out
        .chunks(of_q)
        .zip(sums.chunks((of.n_heads * of.n_tokens).max(1)));
    let outputs = gq
        .chunks_mut(of_q)
        .zip(gk.chunks_mut(of_k))
        .zip(gv.chunks_mut(of_k));
    let tasks: Vec<_> = inputs
        .zip(kept.zip(g.chunks(of_q)))
        .zip(outputs)
        .enumerate()
        .collect();
    each(
        tasks,
        |(sequence, ((((q, k), v), ((out, sums), g)), ((gq, gk), gv)))| {
            let (stride, shared) = (of.n_heads * of.n_head, of.n_kv_heads * of.n_head);
            let strides = [stride, shared, shared];
            let mut back = Back {
                out,
                sums,
                g,
                gq,
                gk,
                gv,
                strides,
            };
            attend_back(of, sequence, heads(of, [q, k, v]), &mut back);
        },
    );
    gradients
}
