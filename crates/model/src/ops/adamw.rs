//! AdamW in place, and the norm that clipping needs.

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Storage, Tensor};

use super::real::Real;
use super::real::{LANES, total, vectorised};
use super::threads::each;
use super::types::AdamWStep;

/// Elements that one task works on.
const CHUNK: usize = 1 << 16;

/// The step's numbers in the precision of the parameters; corrections are computed in double.
#[derive(Clone, Copy, Debug)]
struct Factors<T> {
    grad: T,
    beta1: T,
    beta2: T,
    keep: T,
    rate: T,
    correct2: T,
    eps: T,
}

vectorised! {
    /// One AdamW step over slices of one length.
    fn step_slice<T: Real>(
        by: &Factors<T>,
        params: &mut [T],
        grads: &[T],
        moment1: &mut [T],
        moment2: &mut [T],
    ) {
        let moments = moment1.iter_mut().zip(moment2);
        for ((param, grad), (first, second)) in params.iter_mut().zip(grads).zip(moments) {
            let grad = *grad * by.grad;
            *first = by.beta1 * *first + (T::ONE - by.beta1) * grad;
            *second = by.beta2 * *second + (T::ONE - by.beta2) * (grad * grad);
            let below = second.root() / by.correct2 + by.eps;
            *param = *param * by.keep - by.rate * (*first / below);
        }
    }
}

/// One AdamW step in place over parameters, gradients, and both moments, all of one length. The
/// order of operations is PyTorch's, so that single-precision results agree to rounding.
///
/// # Errors
/// Lengths differ, or the step is 0.
pub fn adamw_step(
    params: &mut [f32],
    grads: &[f32],
    moment1: &mut [f32],
    moment2: &mut [f32],
    step: &AdamWStep,
) -> Result<()> {
    let n = params.len();
    if grads.len() != n || moment1.len() != n || moment2.len() != n {
        let others = [grads.len(), moment1.len(), moment2.len()];
        candle_core::bail!("adamw: {n} parameters, but gradient and moments of {others:?}");
    }
    if step.step == 0 {
        candle_core::bail!("adamw: steps count from 1");
    }
    let passed = |beta: f64| 1.0 - beta.powf(step.step as f64);
    let factors = Factors {
        grad: step.grad_scale as f32,
        beta1: step.beta1 as f32,
        beta2: step.beta2 as f32,
        keep: (1.0 - step.learning_rate * step.weight_decay) as f32,
        rate: (step.learning_rate / passed(step.beta1)) as f32,
        correct2: passed(step.beta2).sqrt() as f32,
        eps: step.eps as f32,
    };
    let weights = params.chunks_mut(CHUNK).zip(grads.chunks(CHUNK));
    let moments = moment1.chunks_mut(CHUNK).zip(moment2.chunks_mut(CHUNK));
    each(
        weights.zip(moments).collect(),
        |((params, grads), (moment1, moment2))| {
            step_slice(&factors, params, grads, moment1, moment2);
        },
    );
    Ok(())
}

/// [`adamw_step`] on a parameter that is a tensor, in its own storage: whoever holds the tensor
/// sees the new values.
///
/// # Errors
/// As [`adamw_step`]; a tensor is not f32, not contiguous, or not on the processor.
pub fn adamw_step_tensor(
    param: &Tensor,
    grad: &Tensor,
    moment1: &mut [f32],
    moment2: &mut [f32],
    step: &AdamWStep,
) -> Result<()> {
    struct InPlace<W>(W);
    impl<W: Fn(&mut [f32]) -> Result<()>> InplaceOp1 for InPlace<W> {
        fn name(&self) -> &'static str {
            "adamw"
        }

        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            match (storage, layout.contiguous_offsets()) {
                (CpuStorage::F32(values), Some((start, end))) => self.0(&mut values[start..end]),
                _ => candle_core::bail!("adamw: parameters must be contiguous and f32"),
            }
        }
    }
    if grad.dtype() != DType::F32 || grad.dims() != param.dims() {
        candle_core::bail!("adamw: parameter {param:?} and gradient {grad:?} do not fit");
    }
    let grad = grad.contiguous()?;
    let (storage, layout) = grad.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(grads)) = &*storage else {
        candle_core::bail!("adamw: the gradient is not on the processor");
    };
    let grads = &grads[layout.start_offset()..][..grad.elem_count()];
    let moments = std::cell::RefCell::new((moment1, moment2));
    param.inplace_op1(&InPlace(|params: &mut [f32]| {
        let (moment1, moment2) = &mut *moments.borrow_mut();
        adamw_step(params, grads, moment1, moment2, step)
    }))
}

vectorised! {
    /// `sum += Σ x²` in double precision.
    fn add_squares<T: Real>(x: &[T], sum: &mut f64) {
        let mut lanes = [0.0f64; LANES];
        let (whole, rest) = x.as_chunks::<LANES>();
        for x in whole {
            for lane in 0..LANES {
                let x = x[lane].to_f64();
                lanes[lane] += x * x;
            }
        }
        for (lane, x) in rest.iter().enumerate() {
            let x = x.to_f64();
            lanes[lane] += x * x;
        }
        *sum += total(lanes);
    }
}

/// Sum of squares in double precision, for a global norm: add it up over all gradients in a fixed
/// order and take the root.
#[must_use]
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sum = 0.0;
    add_squares(values, &mut sum);
    sum
}
