//! Activations and gates.
//!
//! Singles come from the exponential of `real`: the largest error of GELU and SiLU is 3e-7 of
//! `max(1, |x|)` (tested).

use candle_core::{Result, Tensor};

use super::buffers::Buffer;
use super::node::{in_precision, read, record, same_dtype, tensor};
use super::real::Real;
use super::rows::{
    GateBackward, activation_backward, activation_forward, gate_backward, gate_forward,
};
use super::threads::each;
use crate::config::Activation;

/// Elements that one task works on.
const CHUNK: usize = 1 << 14;

/// `x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³)))` (Hendrycks and Gimpel 2016, section 2).
///
/// # Errors
/// `x` is neither f32 nor f64.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::GeluTanh)
}

/// `x · σ(x)`.
///
/// # Errors
/// `x` is neither f32 nor f64.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::Silu)
}

/// `silu(gate) ⊙ up`.
///
/// # Errors
/// Shapes or element types differ, or are neither f32 nor f64.
pub fn silu_gate(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gated(gate, up, Activation::Silu)
}

/// `gelu_tanh(gate) ⊙ up`.
///
/// # Errors
/// Shapes or element types differ, or are neither f32 nor f64.
pub fn gelu_gate(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gated(gate, up, Activation::GeluTanh)
}

fn activation(x: &Tensor, kind: Activation) -> Result<Tensor> {
    in_precision!(x.dtype(), "activation", T => {
        let y = read([x], |[x]| {
            let mut y = vec![T::ZERO; x.len()];
            let tasks = y.chunks_mut(CHUNK).zip(x.chunks(CHUNK)).collect();
            each(tasks, |(y, x)| activation_forward(kind, x, y));
            Ok(y)
        })?;
        let kept = x.detach();
        record("activation", &[x], y, x.shape(), move |_, g| {
            Ok(vec![Some(activation_gradient::<T>(&kept, g, kind)?)])
        })
    })
}

fn activation_gradient<T: Real>(x: &Tensor, g: &Tensor, kind: Activation) -> Result<Tensor> {
    let gx = read([x, g], |[x, g]| {
        let mut gx = vec![T::ZERO; g.len()];
        let slices = gx
            .chunks_mut(CHUNK)
            .zip(x.chunks(CHUNK))
            .zip(g.chunks(CHUNK));
        each(slices.collect(), |((gx, x), g): ((&mut [T], _), _)| {
            gx.copy_from_slice(g);
            activation_backward(kind, x, gx, &mut Buffer::of_length(x.len()));
        });
        Ok(gx)
    })?;
    tensor(gx, x.shape())
}

fn gated(gate: &Tensor, up: &Tensor, kind: Activation) -> Result<Tensor> {
    let dtype = same_dtype("gate", &[gate, up])?;
    if gate.dims() != up.dims() {
        candle_core::bail!("gate: {gate:?} and {up:?} differ in shape");
    }
    in_precision!(dtype, "gate", T => {
        let y = read([gate, up], |[gate, up]| {
            let mut y = vec![T::ZERO; gate.len()];
            let slices = y.chunks_mut(CHUNK).zip(gate.chunks(CHUNK)).zip(up.chunks(CHUNK));
            each(slices.collect(), |((y, gate), up)| gate_forward(kind, gate, up, y));
            Ok(y)
        })?;
        let (kept_gate, kept_up) = (gate.detach(), up.detach());
        record("gate", &[gate, up], y, gate.shape(), move |_, g| {
            gate_gradients::<T>(&kept_gate, &kept_up, g, kind)
        })
    })
}

fn gate_gradients<T: Real>(
    gate: &Tensor,
    up: &Tensor,
    g: &Tensor,
    kind: Activation,
) -> Result<Vec<Option<Tensor>>> {
    let (g_gate, g_up) = read([gate, up, g], |[gate, up, g]| {
        let mut g_gate = vec![T::ZERO; g.len()];
        let mut g_up = vec![T::ZERO; g.len()];
        let outputs = g_gate.chunks_mut(CHUNK).zip(g_up.chunks_mut(CHUNK));
        let inputs = gate
            .chunks(CHUNK)
            .zip(up.chunks(CHUNK))
            .zip(g.chunks(CHUNK));
        let tasks = outputs.zip(inputs).collect();
        each(
            tasks,
            |((g_gate, g_up), ((gate, up), g)): ((&mut [T], &mut [T]), _)| {
                let g: &[T] = g;
                g_up.copy_from_slice(g);
                let y = &mut Buffer::of_length(g.len());
                gate_backward(
                    kind,
                    &mut GateBackward {
                        gate,
                        up,
                        g: g_up,
                        g_gate,
                        y,
                    },
                );
            },
        );
        Ok((g_gate, g_up))
    })?;
    let (g_gate, g_up) = (tensor(g_gate, gate.shape())?, tensor(g_up, up.shape())?);
    Ok(vec![Some(g_gate), Some(g_up)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::real::{Level, with_level};
    use candle_core::Device;

    fn inputs() -> Vec<f32> {
        (-4000..4000).map(|i| i as f32 * 0.005).collect()
    }

    #[test]
    fn singles_are_within_the_stated_error() {
        for (kind, exact) in [
            (
                Activation::Silu,
                (|x| x / (1.0 + (-x).exp())) as fn(f64) -> f64,
            ),
            (Activation::GeluTanh, |x: f64| {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                0.5 * x * (1.0 + u.tanh())
            }),
        ] {
            let x = inputs();
            let mut y = vec![0.0f32; x.len()];
            activation_forward(kind, &x, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let x = f64::from(*x);
                let error = (f64::from(*y) - exact(x)).abs() / x.abs().max(1.0);
                assert!(error < 3e-7, "{kind:?}({x}) is off by {error}");
            }
        }
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        let x = Tensor::new(inputs(), &Device::Cpu).unwrap();
        let x = candle_core::Var::from_tensor(&x).unwrap();
        let run = |level| {
            with_level(level, || {
                let y = gelu_gate(&silu(&x).unwrap(), &gelu_tanh(&x).unwrap()).unwrap();
                let g = y.sum_all().unwrap().backward().unwrap();
                let g = g.get(&x).unwrap().to_vec1::<f32>().unwrap();
                let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect::<Vec<_>>();
                (bits(y.to_vec1().unwrap()), bits(g))
            })
        };
        let plain = run(Level::Plain);
        assert_eq!(plain, run(Level::Avx2));
        assert_eq!(plain, run(Level::Avx512));
    }
}
