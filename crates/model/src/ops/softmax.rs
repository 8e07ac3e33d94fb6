//! Softmax, its logarithm, and log-probabilities of tokens.

use candle_core::{DType, Device, Result, Tensor, WithDType};

use super::buffers::Buffer;
use super::linear::{AffineGradient, CHUNK_ROWS, Wanted, map, map_back, summed};
use super::matrix::Onto;
use super::node::{Gradients, in_precision, read, read_ids, record, same_dtype, tensor};
use super::real::{Real, exponentials, largest, reduce, vectorised};
use super::rows::fill_rows;
use super::threads::{chunks, each, groups};
use super::types::Affine;

vectorised! {
    /// Softmax of every row, in place.
    fn softmax_rows<T: Real>(width: usize, x: &mut [T]) {
        for row in x.chunks_exact_mut(width) {
            let top = largest(row);
            let inverse = T::ONE / exponentials(row, top);
            for x in row {
                *x *= inverse;
            }
        }
    }
}

vectorised! {
    /// Per row: maximum plus logarithm of the summed exponentials of what is above it.
    fn log_sums<T: Real>(width: usize, x: &[T], sums: &mut [T]) {
        for (row, sum) in x.chunks_exact(width).zip(sums) {
            let top = largest(row);
            *sum = top + reduce(row, row, |x, _| (x - top).exponential()).logarithm();
        }
    }
}

vectorised! {
    /// `gx = y ⊙ (g − Σ g y)` per row of softmax results `y`.
    fn softmax_rows_backward<T: Real>(width: usize, y: &[T], g: &[T], gx: &mut [T]) {
        let rows = y.chunks_exact(width).zip(g.chunks_exact(width));
        for ((y, g), gx) in rows.zip(gx.chunks_exact_mut(width)) {
            let sum = reduce(y, g, |y, g| y * g);
            for ((gx, y), g) in gx.iter_mut().zip(y).zip(g) {
                *gx = *y * (*g - sum);
            }
        }
    }
}

vectorised! {
    /// `gx = g − eʸ Σ g` per row of log-softmax results `y`.
    fn log_softmax_rows_backward<T: Real>(width: usize, y: &[T], g: &[T], gx: &mut [T]) {
        let rows = y.chunks_exact(width).zip(g.chunks_exact(width));
        for ((y, g), gx) in rows.zip(gx.chunks_exact_mut(width)) {
            let sum = reduce(g, g, |g, _| g);
            for ((gx, y), g) in gx.iter_mut().zip(y).zip(g) {
                *gx = *g - y.exponential() * sum;
            }
        }
    }
}

vectorised! {
    /// `x ← −g · e^(x − sum)` per row: the gradient of a log-probability but for its own target.
    fn logprob_rows_backward<T: Real>(width: usize, sums: &[T], g: &[T], x: &mut [T]) {
        for ((row, sum), g) in x.chunks_exact_mut(width).zip(sums).zip(g) {
            // Copies: a loop that reads them through references is not vectorised.
            let (sum, g) = (*sum, *g);
            for x in row {
                *x = -g * (*x - sum).exponential();
            }
        }
    }
}

fn width_of(name: &str, x: &Tensor) -> Result<usize> {
    match x.dims().last() {
        Some(width) if *width > 0 => Ok(*width),
        _ => candle_core::bail!("{name}: {x:?} has no last dimension"),
    }
}

/// Softmax over the last dimension.
///
/// # Errors
/// `x` has no last dimension, or is neither f32 nor f64.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let width = width_of("softmax", x)?;
    in_precision!(x.dtype(), "softmax", T => {
        let y = read([x], |[x]| {
            let mut y: Vec<T> = x.to_vec();
            let tasks = y.chunks_mut(CHUNK_ROWS * width).collect();
            each(tasks, |y| softmax_rows(width, y));
            Ok(y)
        })?;
        record("softmax", &[x], y, x.shape(), move |y, g| {
            by_rows::<T>(width, y, g, softmax_rows_backward)
        })
    })
}

/// Logarithm of the softmax over the last dimension, in nats.
///
/// # Errors
/// As [`softmax`].
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let width = width_of("log_softmax", x)?;
    in_precision!(x.dtype(), "log_softmax", T => {
        let y = read([x], |[x]| {
            let mut y: Vec<T> = x.to_vec();
            let tasks = y.chunks_mut(CHUNK_ROWS * width).collect();
            each(tasks, |y: &mut [T]| {
                let mut sums = Buffer::of_length(y.len() / width);
                log_sums(width, y, &mut sums);
                for (row, sum) in y.chunks_exact_mut(width).zip(sums.iter()) {
                    row.iter_mut().for_each(|y| *y -= *sum);
                }
            });
            Ok(y)
        })?;
        record("log_softmax", &[x], y, x.shape(), move |y, g| {
            by_rows::<T>(width, y, g, log_softmax_rows_backward)
        })
    })
}

fn by_rows<T: Real>(
    width: usize,
    y: &Tensor,
    g: &Tensor,
    work: fn(usize, &[T], &[T], &mut [T]),
) -> Result<Gradients> {
    let gx = read([y, g], |[y, g]| {
        let mut gx = vec![T::ZERO; y.len()];
        let size = CHUNK_ROWS * width;
        let tasks = gx.chunks_mut(size).zip(y.chunks(size)).zip(g.chunks(size));
        each(tasks.collect(), |((gx, y), g)| work(width, y, g, gx));
        Ok(gx)
    })?;
    Ok(vec![Some(tensor(gx, y.shape())?)])
}

/// The ids of targets, each below `n_vocab`.
fn checked_targets(n_rows: usize, n_vocab: usize, targets: &Tensor) -> Result<Vec<u32>> {
    let ids = read_ids(targets)?;
    if ids.len() != n_rows {
        candle_core::bail!("{n_rows} rows of logits, but {} targets", ids.len());
    }
    if let Some(id) = ids.iter().find(|id| **id as usize >= n_vocab) {
        candle_core::bail!("target {id} is outside of a vocabulary of {n_vocab}");
    }
    Ok(ids)
}

/// Log-probability of each target, in nats: `logits` `[.., n_vocab]`, `targets` u32 of the leading
/// shape; the result has the shape of `targets`. Negate it for the cross-entropy per token.
///
/// # Errors
/// Shapes do not fit, or a target is not below `n_vocab`.
pub fn token_logprobs(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let width = width_of("token_logprobs", logits)?;
    let ids = checked_targets(logits.elem_count() / width, width, targets)?;
    in_precision!(logits.dtype(), "token_logprobs", T => {
        let mut sums = Buffer::<T>::of_length(ids.len());
        let logprobs = read([logits], |[logits]| {
            let tasks = logits.chunks(CHUNK_ROWS * width).zip(sums.chunks_mut(CHUNK_ROWS));
            each(tasks.collect(), |(logits, sums)| log_sums(width, logits, sums));
            let of = |(row, id): (usize, &u32)| logits[row * width + *id as usize] - sums[row];
            Ok(ids.iter().enumerate().map(of).collect::<Vec<T>>())
        })?;
        let kept = logits.detach();
        record("token_logprobs", &[logits], logprobs, targets.shape(), move |_, g| {
            let gx = read([&kept, g], |[logits, g]| {
                let mut gx = logits.to_vec();
                let slices = gx.chunks_mut(CHUNK_ROWS * width).zip(sums.chunks(CHUNK_ROWS));
                let slices = slices.zip(g.chunks(CHUNK_ROWS)).zip(ids.chunks(CHUNK_ROWS));
                each(slices.collect(), |(((gx, sums), g), ids)| {
                    logprobs_gradient(width, sums, g, ids, gx);
                });
                Ok(gx)
            })?;
            Ok(vec![Some(tensor(gx, kept.shape())?)])
        })
    })
}

/// Logits become their gradient, in place.
fn logprobs_gradient<T: Real>(width: usize, sums: &[T], g: &[T], ids: &[u32], x: &mut [T]) {
    logprob_rows_backward(width, sums, g, x);
    for ((row, g), id) in x.chunks_exact_mut(width).zip(g).zip(ids) {
        row[*id as usize] += *g;
    }
}

/// Logits that are kept for the way back at most; more than that are computed again there.
const KEPT_LOGITS_BYTES: usize = 64 << 20;

/// [`token_logprobs`] of `linear(x, weight, bias)`: the head and its loss in one, without ever
/// holding many logits.
///
/// # Errors
/// As [`super::linear`] and [`token_logprobs`].
pub fn linear_token_logprobs(x: &Tensor, head: Affine<'_>, targets: &Tensor) -> Result<Tensor> {
    let mut inputs = vec![x, head.weight];
    inputs.extend(head.bias);
    let dtype = same_dtype("linear_token_logprobs", &inputs)?;
    let (n_vocab, n_hidden) = head.weight.dims2()?;
    let dims = [n_hidden, n_vocab];
    let fits =
        x.dims().last() == Some(&n_hidden) && head.bias.is_none_or(|bias| bias.dims() == [n_vocab]);
    if !fits || n_hidden == 0 || n_vocab == 0 {
        let (weight, bias) = (head.weight, head.bias.map(Tensor::dims));
        candle_core::bail!("head: x {x:?}, weight {weight:?}, bias {bias:?} do not fit");
    }
    let ids = checked_targets(x.elem_count() / n_hidden, n_vocab, targets)?;
    in_precision!(dtype, "linear_token_logprobs", T => {
        let bias = match head.bias {
            Some(bias) => bias.detach(),
            None => Tensor::zeros(0, dtype, &Device::Cpu)?,
        };
        let (kept, wanted) = ([x.detach(), head.weight.detach(), bias], Wanted::of(&head));
        let mut saved = HeadSaved::<T>::of_size(ids.len(), n_vocab);
        let logprobs = read([&kept[0], &kept[1], &kept[2]], |slices| {
            Ok(head_forward(dims, slices, &ids, &mut saved))
        })?;
        record("linear_token_logprobs", &inputs, logprobs, targets.shape(), move |_, g| {
            head_backward(dims, (&kept, wanted), &ids, &saved, g)
        })
    })
}

/// Kept between the two ways.
#[derive(Debug)]
struct HeadSaved<T: Real> {
    /// Per row, as [`log_sums`].
    sums: Buffer<T>,
    /// `[n_rows, n_vocab]`, or empty where they are too many.
    logits: Buffer<T>,
}

impl<T: Real> HeadSaved<T> {
    fn of_size(n_rows: usize, n_vocab: usize) -> Self {
        let n = n_rows * n_vocab;
        let is_kept = n * size_of::<T>() <= KEPT_LOGITS_BYTES;
        Self {
            sums: Buffer::of_length(n_rows),
            logits: Buffer::of_length(if is_kept { n } else { 0 }),
        }
    }
}

fn logits_of<T: Real>(dims: [usize; 2], [x, weight, bias]: [&[T]; 3], logits: &mut [T]) {
    fill_rows(bias, dims[1], logits);
    map(x, weight, dims, logits, Onto::Held);
}

fn head_forward<T: Real>(
    dims: [usize; 2],
    [x, weight, bias]: [&[T]; 3],
    ids: &[u32],
    saved: &mut HeadSaved<T>,
) -> Vec<T> {
    let [n_hidden, n_vocab] = dims;
    let mut logprobs = vec![T::ZERO; ids.len()];
    let outputs = saved
        .sums
        .chunks_mut(CHUNK_ROWS)
        .zip(logprobs.chunks_mut(CHUNK_ROWS));
    let inputs = x.chunks(CHUNK_ROWS * n_hidden).zip(ids.chunks(CHUNK_ROWS));
    let mut kept = saved.logits.chunks_mut(CHUNK_ROWS * n_vocab);
    let tasks = outputs
        .zip(inputs)
        .map(|(outputs, inputs)| (outputs, inputs, kept.next()))
        .collect();
    each(tasks, |((sums, logprobs), (x, ids), kept)| {
        let mut passing = Buffer::of_length(if kept.is_some() {
            0
        } else {
            ids.len() * n_vocab
        });
        let logits = kept.unwrap_or(&mut passing);
        logits_of(dims, [x, weight, bias], logits);
        log_sums(n_vocab, logits, sums);
        let rows = logits.chunks_exact(n_vocab).zip(sums.iter()).zip(ids);
        for (logprob, ((row, sum), id)) in logprobs.iter_mut().zip(rows) {
            *logprob = row[*id as usize] - *sum;
        }
    });
    logprobs
}

fn head_backward<T: Real>(
    dims: [usize; 2],
    ([x, weight, bias], wanted): (&[Tensor; 3], Wanted),
    ids: &[u32],
    saved: &HeadSaved<T>,
    g: &Tensor,
) -> Result<Gradients> {
    let [n_hidden, n_vocab] = dims;
    let (gx, sum) = read([x, weight, bias, g], |[x, weight, bias, g]| {
        let mut gx = vec![T::ZERO; x.len()];
        let mut tasks = Vec::new();
        let mut rest = &mut gx[..];
        for range in groups(ids.len(), CHUNK_ROWS) {
            let (mine, others) = rest.split_at_mut(range.len() * n_hidden);
            rest = others;
            tasks.push((range, mine));
        }
        let sum = summed(
            tasks,
            || AffineGradient::zeros(dims, wanted),
            |sum, (range, gx)| {
                let pieces = chunks(range.len(), CHUNK_ROWS);
                for (rows, gx) in pieces.into_iter().zip(gx.chunks_mut(CHUNK_ROWS * n_hidden)) {
                    let rows = range.start + rows.start..range.start + rows.end;
                    let x = &x[rows.start * n_hidden..rows.end * n_hidden];
                    let mut logits = Buffer::of_length(rows.len() * n_vocab);
                    if saved.logits.is_empty() {
                        logits_of(dims, [x, weight, bias], &mut logits);
                    } else {
                        let kept = rows.start * n_vocab..rows.end * n_vocab;
                        logits.copy_from_slice(&saved.logits[kept]);
                    }
                    let (sums, g) = (&saved.sums[rows.clone()], &g[rows.clone()]);
                    logprobs_gradient(n_vocab, sums, g, &ids[rows], &mut logits);
                    map_back(&logits, weight, dims, gx, Onto::Nothing);
                    sum.add_rows(x, &logits, dims);
                }
            },
            AffineGradient::add,
        );
        Ok((gx, sum))
    })?;
    let [weight, bias] = sum.into_tensors(dims)?;
    Ok(vec![Some(tensor(gx, x.shape())?), weight, bias])
}

/// Mean negative log-probability in nats: `−Σ wᵢ lᵢ / Σ wᵢ`. Without weights all are 1; a weight
/// of 0 masks its token out.
///
/// # Errors
/// The weights' count differs from the log-probabilities', one is negative or not finite, or all
/// are zero.
pub fn mean_nll(logprobs: &Tensor, weights: Option<&[f64]>) -> Result<Tensor> {
    let n = logprobs.elem_count();
    let total = weights.map_or(n as f64, |weights| weights.iter().sum());
    let sane = |weight: &f64| weight.is_finite() && *weight >= 0.0;
    if weights.is_some_and(|weights| weights.len() != n || !weights.iter().all(sane)) {
        candle_core::bail!("mean_nll: {n} tokens need as many weights, none of them negative");
    }
    if total <= 0.0 {
        candle_core::bail!("mean_nll: every token is masked out");
    }
    let shares: Vec<f64> = match weights {
        Some(weights) => weights.iter().map(|weight| -weight / total).collect(),
        None => vec![-1.0 / total; n],
    };
    in_precision!(logprobs.dtype(), "mean_nll", T => {
        let sum = read([logprobs], |[logprobs]: [&[T]; 1]| {
            // A masked token has no say even where its log-probability is infinite.
            let terms = logprobs.iter().zip(&shares).filter(|(_, share)| **share != 0.0);
            Ok(terms.map(|(logprob, share)| logprob.to_f64() * share).sum::<f64>())
        })?;
        let dims = logprobs.dims().to_vec();
        record("mean_nll", &[logprobs], vec![T::from_f64(sum)], (), move |_, g| {
            let g = g.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            let shares = shares.iter().map(|share| T::from_f64(share * g));
            Ok(vec![Some(tensor(shares.collect::<Vec<T>>(), dims.as_slice())?)])
        })
    })
}
