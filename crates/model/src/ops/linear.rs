//! The linear map, and how the fused blocks do theirs.

use candle_core::{Result, Tensor};

use super::buffers::Buffer;
use super::matrix::{Mat, MatMut, Onto, product};
use super::node::{in_precision, read, record, same_dtype, tensor};
use super::real::Real;
use super::rows::{add_column_sums, add_scaled, fill_rows};
use super::threads::{chunks, each, groups};
use super::types::Affine;

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
        let (wanted, needs_x) = (Wanted::of(&Affine { weight, bias }), x.track_op());
        record("linear", &inputs, y, dims, move |_, g| {
            backward::<T>([&kept_x, &kept_weight, g], needs_x, wanted)
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

/// Which gradients of a linear map are summed. That of a frozen weight is not: it costs as much as
/// the way back to the rows, and fine-tuning by adapters freezes all but a few.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) weight: bool,
    pub(crate) bias: bool,
}

impl Wanted {
    /// The weight's if it is tracked; the bias's, which is cheap, if there is one.
    pub(crate) fn of(map: &Affine<'_>) -> Self {
        Self {
            weight: map.weight.track_op(),
            bias: map.bias.is_some(),
        }
    }
}

/// The gradients of a linear map's weight and bias, summed over some rows.
#[derive(Debug)]
pub(crate) struct AffineGradient<T: Real> {
    /// `[n_out, n_in]`, or empty.
    pub(crate) weight: Buffer<T>,
    /// `[n_out]`, or empty.
    pub(crate) bias: Buffer<T>,
    /// Rows were added; until then the weight's part holds nothing.
    is_begun: bool,
}

impl<T: Real> AffineGradient<T> {
    pub(crate) fn zeros([n_in, n_out]: [usize; 2], wanted: Wanted) -> Self {
        Self {
            weight: Buffer::of_length(if wanted.weight { n_out * n_in } else { 0 }),
            bias: Buffer::zeros(if wanted.bias { n_out } else { 0 }),
            is_begun: false,
        }
    }

    /// Adds what the rows `x` and the gradients `g` of their results give: `gᵀ · x` and `Σ g`.
    pub(crate) fn add_rows(&mut self, x: &[T], g: &[T], [n_in, n_out]: [usize; 2]) {
        if !self.weight.is_empty() {
            let sizes = [n_out, n_in, x.len() / n_in];
            let (g, x) = (Mat::rows(g, n_out).t(), Mat::rows(x, n_in));
            let dst = MatMut {
                data: &mut self.weight,
                stride: n_in,
            };
            let onto = match self.is_begun {
                true => Onto::Held,
                false => Onto::Nothing,
            };
            product(sizes, dst, onto, T::ONE, g, x);
        }
        self.is_begun = true;
        add_column_sums(g, &mut self.bias);
    }

    /// Adds another's sums.
    pub(crate) fn add(&mut self, other: &Self) {
        if !other.is_begun {
            return;
        }
        if self.is_begun {
            add_scaled(T::ONE, &other.weight, &mut self.weight);
        } else {
            self.weight.copy_from_slice(&other.weight);
        }
        self.is_begun = true;
        add_scaled(T::ONE, &other.bias, &mut self.bias);
    }

    /// The sums: of no rows they are zero.
    pub(crate) fn ended(mut self) -> Self {
        if !self.is_begun {
            self.weight.fill(T::ZERO);
        }
        self
    }

    /// As tensors of the weight's and the bias's shapes, as far as they were wanted.
    pub(crate) fn into_tensors(self, dims: [usize; 2]) -> Result<[Option<Tensor>; 2]> {
        let [n_in, n_out] = dims;
        let Self { weight, bias, .. } = self.ended();
        let weight = match weight.len() {
            0 => None,
            _ => Some(tensor(weight.into_vec(), (n_out, n_in))?),
        };
        let bias = match bias.len() {
            0 => None,
            n => Some(tensor(bias.into_vec(), n)?),
        };
        Ok([weight, bias])
    }
}

fn backward<T: Real>(
    [x, weight, g]: [&Tensor; 3],
    needs_x: bool,
    wanted: Wanted,
) -> Result<Vec<Option<Tensor>>> {
    let (n_out, n_in) = weight.dims2()?;
    let dims = [n_in, n_out];
    let (gx, sum) = read([x, weight, g], |[x, weight, g]| {
        let n_rows = g.len() / n_out.max(1);
        let mut gx = vec![T::ZERO; if needs_x { x.len() } else { 0 }];
        if n_in == 0 || n_out == 0 {
            return Ok((gx, AffineGradient::zeros(dims, wanted)));
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
            || AffineGradient::zeros(dims, wanted),
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
