//! Normalisations with full gradients (candle's fused ones hand none on).

use candle_core::{Result, Tensor};

use super::buffers::Buffer;
use super::linear::{CHUNK_ROWS, summed};
use super::node::{Gradients, in_precision, read, record, same_dtype, tensor};
use super::real::Real;
use super::rows::{NormSaved, NormShape, add_scaled, norm_backward, norm_forward};
use super::threads::{each, groups};
use super::types::NormWeights;
use crate::config::Norm;

/// `x / √(mean x² + eps) · weight` over the last dimension (Zhang and Sennrich 2019, eq. 4, with
/// eps under the root).
///
/// # Errors
/// Shapes or element types do not fit.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    norm("rms_norm", x, weight, None, false, eps)
}

/// `(x − mean) / √(var + eps) · weight + bias` over the last dimension, with the population
/// variance (Ba, Kiros and Hinton 2016, eq. 4).
///
/// # Errors
/// Shapes or element types do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    norm("layer_norm", x, weight, bias, true, eps)
}

/// A normalisation ready to be done, checked against the width it is to have.
pub(crate) fn shape_of(by: &NormWeights<'_>, width: usize) -> Result<NormShape> {
    let (centred, eps) = match by.norm {
        Norm::Rms { eps } => (false, eps),
        Norm::Layer { eps } => (true, eps),
    };
    if !centred && by.bias.is_some() {
        candle_core::bail!("an RMS normalisation has no bias");
    }
    check(by.weight, by.bias, width)?;
    Ok(NormShape {
        width,
        centred,
        eps: eps.into(),
    })
}

fn check(weight: &Tensor, bias: Option<&Tensor>, width: usize) -> Result<()> {
    let fits = weight.dims() == [width] && bias.is_none_or(|bias| bias.dims() == [width]);
    if width == 0 || !fits {
        let bias = bias.map(Tensor::dims);
        candle_core::bail!("norm of rows of {width}: weight {weight:?}, bias {bias:?} do not fit");
    }
    Ok(())
}

fn norm(
    name: &'static str,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    centred: bool,
    eps: f64,
) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(0);
    check(weight, bias, width)?;
    let mut inputs = vec![x, weight];
    inputs.extend(bias);
    let dtype = same_dtype(name, &inputs)?;
    let shape = NormShape {
        width,
        centred,
        eps,
    };
    in_precision!(dtype, name, T => {
        let empty = Tensor::zeros(0, dtype, x.device())?;
        let (y, stats) = read([x, weight, bias.unwrap_or(&empty)], |[x, weight, bias]| {
            Ok(forward::<T>(&shape, x, weight, bias))
        })?;
        let (kept_x, kept_weight, with_bias) = (x.detach(), weight.detach(), bias.is_some());
        record(name, &inputs, y, x.shape(), move |_, g| {
            backward(&shape, [&kept_x, &kept_weight, g], &stats, with_bias)
        })
    })
}

fn forward<T: Real>(shape: &NormShape, x: &[T], weight: &[T], bias: &[T]) -> (Vec<T>, Buffer<T>) {
    let mut y = vec![T::ZERO; x.len()];
    let mut stats = Buffer::of_length(x.len() / shape.width * 2);
    let size = CHUNK_ROWS * shape.width;
    let slices = x.chunks(size).zip(y.chunks_mut(size));
    let tasks = slices.zip(stats.chunks_mut(CHUNK_ROWS * 2)).collect();
    each(tasks, |((x, y), stats)| {
        norm_forward(shape, x, weight, bias, y, stats)
    });
    (y, stats)
}

/// Gradients of a normalisation's weight and bias, summed over some rows.
#[derive(Debug)]
pub(crate) struct NormGradient<T: Real> {
    pub(crate) weight: Buffer<T>,
    /// Empty without a bias.
    pub(crate) bias: Buffer<T>,
}

impl<T: Real> NormGradient<T> {
    pub(crate) fn zeros(width: usize, with_bias: bool) -> Self {
        Self {
            weight: Buffer::zeros(width),
            bias: Buffer::zeros(if with_bias { width } else { 0 }),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        add_scaled(T::ONE, &other.weight, &mut self.weight);
        add_scaled(T::ONE, &other.bias, &mut self.bias);
    }

    pub(crate) fn into_tensors(self) -> Result<[Option<Tensor>; 2]> {
        let width = self.weight.len();
        let weight = tensor(self.weight.into_vec(), width)?;
        let bias = match self.bias.len() {
            0 => None,
            n => Some(tensor(self.bias.into_vec(), n)?),
        };
        Ok([Some(weight), bias])
    }
}

fn backward<T: Real>(
    shape: &NormShape,
    [x, weight, g]: [&Tensor; 3],
    stats: &[T],
    with_bias: bool,
) -> Result<Gradients> {
    let width = shape.width;
    let (gx, sum) = read([x, weight, g], |[x, weight, g]| {
        let mut gx = vec![T::ZERO; x.len()];
        let ranges = groups(x.len() / width, CHUNK_ROWS);
        let mut tasks = Vec::with_capacity(ranges.len());
        let mut rest = &mut gx[..];
        for range in ranges {
            let (mine, others) = rest.split_at_mut(range.len() * width);
            rest = others;
            tasks.push((range, mine));
        }
        let zero = || NormGradient::zeros(width, with_bias);
        let sum = summed(
            tasks,
            zero,
            |sum, (range, gx)| {
                let elements = range.start * width..range.end * width;
                let saved = NormSaved {
                    shape: *shape,
                    x: &x[elements.clone()],
                    weight,
                    stats: &stats[range.start * 2..range.end * 2],
                };
                let NormGradient { weight, bias } = sum;
                norm_backward(&saved, &g[elements], gx, weight, bias);
            },
            NormGradient::add,
        );
        Ok((gx, sum))
    })?;
    let [weight, bias] = sum.into_tensors()?;
    Ok(vec![Some(tensor(gx, x.shape())?), weight, bias])
}
