//! The linear map, and how the fused blocks do theirs.

use candle_core::{Result, Tensor};

use super::buffers::Buffer;
use super::matrix::{Mat, MatMut, Onto, product};
use super::node::{in_precision, read, record, same_dtype, tensor};
use super::real::Real;
use super::rows::{add_column_sums, add_scaled, fill_rows};
use super::threads::{chunks, each, groups};

/// Rows that are computed at a time: enough for a product to run at full speed, few enough that
/// what is computed from them stays in the second-level cache (measured: 256 rows of 192 reach
/// 160 GFLOP/s, 128 rows 125, and 1024 no more than 256).
pub(crate) const CHUNK_ROWS: usize = 256;

/// `x · weightᵀ + bias` for `x` `[.., n_in]`, `weight` `[n_out, n_in]`, `bias` `[n_out]`.
///
/// # Errors
/// Shapes or element types do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let mut inputs = vec![x, weight];
    inputs.extend(bias);
    let dtype = same_dtype("linear", &inputs)?;
    let (n_out, n_in) = weight.dims2()?;
    let mut dims = x.dims().to_vec();
    if dims.pop() != Some(n_in) || bias.is_some_and(|bias| bias.dims() != [n_out]) {
        let bias = bias.map(Tensor::dims);
        candle_core::bail!("linear: x {x:?}, weight {weight:?}, bias {bias:?} do not fit");
    }
    dims.push(n_out);
    in_precision!(dtype, "linear", T => {
        let empty = Tensor::zeros(0, dtype, x.device())?;
        let y = read([x, weight, bias.unwrap_or(&empty)], |[x, weight, bias]| {
            Ok(forward::<T>(x, weight, bias, n_in))
        })?;
        let (kept_x, kept_weight) = (x.detach(), weight.detach());
        let (with_bias, needs_x) = (bias.is_some(), x.track_op());
        record("linear", &inputs, y, dims, move |_, g| {
            backward::<T>(&kept_x, &kept_weight, g, needs_x, with_bias)
        })
    })
}

fn forward<T: Real>(x: &[T], weight: &[T], bias: &[T], n_in: usize) -> Vec<T> {
    let n_out = weight.len() / n_in.max(1);
    let n_rows = x.len() / n_in.max(1);
    let mut y = vec![T::ZERO; n_rows * n_out];
    if y.is_empty() {
        return y;
    }
    let tasks = y
        .chunks_mut(CHUNK_ROWS * n_out)
        .zip(x.chunks(CHUNK_ROWS * n_in));
    each(tasks.collect(), |(y, x)| {
        let onto = if bias.is_empty() {
            Onto::Nothing
        } else {
            Onto::Held
        };
        fill_bias(bias, n_out, y);
        map(x, weight, [n_in, n_out], y, onto);
    });
    y
}

fn fill_bias<T: Real>(bias: &[T], n_out: usize, y: &mut [T]) {
    if !bias.is_empty() {
        fill_rows(bias, n_out, y);
    }
}

/// `y (+)= x · weightᵀ` for contiguous rows, `weight` `[n_out, n_in]`.
pub(crate) fn map<T: Real>(
    x: &[T],
    weight: &[T],
    [n_in, n_out]: [usize; 2],
    y: &mut [T],
    onto: Onto,
) {
    let sizes = [y.len() / n_out, n_out, n_in];
    let (x, weight) = (Mat::rows(x, n_in), Mat::rows(weight, n_in).t());
    let dst = MatMut {
        data: y,
        stride: n_out,
    };
    product(sizes, dst, onto, T::ONE, x, weight);
}

/// `gx (+)= g · weight`.
pub(crate) fn map_back<T: Real>(
    g: &[T],
    weight: &[T],
    [n_in, n_out]: [usize; 2],
    gx: &mut [T],
    onto: Onto,
) {
    let sizes = [gx.len() / n_in, n_in, n_out];
    let (g, weight) = (Mat::rows(g, n_out), Mat::rows(weight, n_in));
    let dst = MatMut {
        data: gx,
        stride: n_in,
    };
    product(sizes, dst, onto, T::ONE, g, weight);
}

/// The gradients of a linear map's weight and bias, summed over some rows.
#[derive(Debug)]
pub(crate) struct AffineGradient<T: Real> {
    /// `[n_out, n_in]`.
    pub(crate) weight: Buffer<T>,
    /// `[n_out]`, or empty.
    pub(crate) bias: Buffer<T>,
}

impl<T: Real> AffineGradient<T> {
    pub(crate) fn zeros([n_in, n_out]: [usize; 2], with_bias: bool) -> Self {
        Self {
            weight: Buffer::zeros(n_out * n_in),
            bias: Buffer::zeros(if with_bias { n_out } else { 0 }),
        }
    }

    /// Adds what the rows `x` and the gradients `g` of their results give: `gᵀ · x` and `Σ g`.
    pub(crate) fn add_rows(&mut self, x: &[T], g: &[T], [n_in, n_out]: [usize; 2]) {
        let sizes = [n_out, n_in, x.len() / n_in];
        let (g_mat, x) = (Mat::rows(g, n_out).t(), Mat::rows(x, n_in));
        let dst = MatMut {
            data: &mut self.weight,
            stride: n_in,
        };
        product(sizes, dst, Onto::Held, T::ONE, g_mat, x);
        add_column_sums(g, &mut self.bias);
    }

    /// Adds another's sums.
    pub(crate) fn add(&mut self, other: &Self) {
        add_scaled(T::ONE, &other.weight, &mut self.weight);
        add_scaled(T::ONE, &other.bias, &mut self.bias);
    }

    /// As tensors of the weight's and the bias's shapes.
    pub(crate) fn into_tensors(self, dims: [usize; 2]) -> Result<[Option<Tensor>; 2]> {
        let [n_in, n_out] = dims;
        let weight = tensor(self.weight.to_vec(), (n_out, n_in))?;
        let bias = match self.bias.len() {
            0 => None,
            n => Some(tensor(self.bias.to_vec(), n)?),
        };
        Ok([Some(weight), bias])
    }
}

fn backward<T: Real>(
    x: &Tensor,
    weight: &Tensor,
    g: &Tensor,
    needs_x: bool,
    with_bias: bool,
) -> Result<Vec<Option<Tensor>>> {
    let (n_out, n_in) = weight.dims2()?;
    let dims = [n_in, n_out];
    let (gx, sum) = read([x, weight, g], |[x, weight, g]| {
        let n_rows = g.len() / n_out.max(1);
        let mut gx = vec![T::ZERO; if needs_x { x.len() } else { 0 }];
        if n_in == 0 || n_out == 0 {
            return Ok((gx, AffineGradient::zeros(dims, with_bias)));
        }
        if needs_x {
            let tasks = gx
                .chunks_mut(CHUNK_ROWS * n_in)
                .zip(g.chunks(CHUNK_ROWS * n_out));
            each(tasks.collect(), |(gx, g): (&mut [T], &[T])| {
                map_back(g, weight, dims, gx, Onto::Nothing);
            });
        }
        let sum = summed(
            groups(n_rows, CHUNK_ROWS),
            || AffineGradient::zeros(dims, with_bias),
            |sum, range| {
                for rows in chunks(range.len(), CHUNK_ROWS) {
                    let rows = range.start + rows.start..range.start + rows.end;
                    let x = &x[rows.start * n_in..rows.end * n_in];
                    let g = &g[rows.start * n_out..rows.end * n_out];
                    sum.add_rows(x, g, dims);
                }
            },
            AffineGradient::add,
        );
        Ok((gx, sum))
    })?;
    let gx = if needs_x {
        Some(tensor(gx, x.shape())?)
    } else {
        None
    };
    let [weight, bias] = sum.into_tensors(dims)?;
    Ok(vec![gx, weight, bias])
}

/// Lets each group sum on its own, in parallel, and adds the sums in the groups' order.
pub(crate) fn summed<S: Send, G: Send>(
    groups: Vec<G>,
    zero: impl Fn() -> S,
    work: impl Fn(&mut S, G) + Send + Sync,
    add: impl Fn(&mut S, &S),
) -> S {
    let mut sums: Vec<S> = groups.iter().map(|_| zero()).collect();
    let tasks = sums.iter_mut().zip(groups).collect();
    each(tasks, |(sum, group)| work(sum, group));
    let mut sums = sums.into_iter();
    let mut first = sums.next().unwrap_or_else(&zero);
    for sum in sums {
        add(&mut first, &sum);
    }
    first
}
