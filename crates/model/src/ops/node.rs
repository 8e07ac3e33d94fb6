//! One operation in candle's graph, with any number of inputs.
//!
//! candle's custom operations take at most three inputs and compute inside the call. Here the
//! result is computed first, over slices; then a node is recorded that holds it and a closure
//! for the way back. With more than three inputs the others hang on *tokens*: scalar nodes that
//! the main node has as inputs. The main node's backward pass leaves their gradients with the
//! tokens, which come later in candle's order and hand them on.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Device, Layout, Result, Shape, Storage,
    Tensor,
};

use super::real::Real;

/// Gradients in the order of the inputs; none where an input needs none.
pub(crate) type Gradients = Vec<Option<Tensor>>;

type BackwardFn = dyn Fn(&Tensor, &Tensor) -> Result<Gradients> + Send + Sync;

/// Runs `$body` with `$T` as the element type that `$dtype` names.
macro_rules! in_precision {
    ($dtype:expr, $name:expr, $T:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => candle_core::bail!("{}: needs f32 or f64, not {other:?}", $name),
        }
    };
}
pub(crate) use in_precision;

/// Calls `work` with the elements of each tensor in row-major order.
///
/// # Errors
/// A tensor is not on the processor or not of type `T`.
pub(crate) fn read<T: Real, const N: usize, R>(
    tensors: [&Tensor; N],
    work: impl FnOnce([&[T]; N]) -> Result<R>,
) -> Result<R> {
    let mut whole = Vec::with_capacity(N);
    for tensor in tensors {
        whole.push(tensor.contiguous()?);
    }
    let held: Vec<_> = whole.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = [&[][..]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&held) {
        let Storage::Cpu(storage) = &**storage else {
            candle_core::bail!("fused operations run on the processor only");
        };
        let start = layout.start_offset();
        *slice = &storage.as_slice::<T>()?[start..start + layout.shape().elem_count()];
    }
    work(slices)
}

/// The elements of a tensor of whole numbers.
///
/// # Errors
/// The tensor is not of type u32.
pub(crate) fn read_ids(tensor: &Tensor) -> Result<Vec<u32>> {
    tensor.flatten_all()?.to_vec1::<u32>()
}

/// A fresh tensor on the processor.
pub(crate) fn tensor<T: Real>(values: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

/// Refuses inputs that are not all of the first one's element type.
pub(crate) fn same_dtype(name: &str, tensors: &[&Tensor]) -> Result<DType> {
    let dtype = tensors.first().map_or(DType::F32, |first| first.dtype());
    for other in tensors {
        if other.dtype() != dtype {
            candle_core::bail!("{name}: inputs of type {dtype:?} and {:?}", other.dtype());
        }
    }
    Ok(dtype)
}

/// Puts a computed result into the graph. `backward` gets the result and its gradient and returns
/// one gradient (or none) per input, in their order and of their shapes.
pub(crate) fn record<T: Real>(
    name: &'static str,
    inputs: &[&Tensor],
    output: Vec<T>,
    shape: impl Into<Shape>,
    backward: impl Fn(&Tensor, &Tensor) -> Result<Gradients> + Send + Sync + 'static,
) -> Result<Tensor> {
    let tracked: Vec<(usize, &Tensor)> = inputs
        .iter()
        .enumerate()
        .filter(|(_, input)| input.track_op())
        .map(|(index, input)| (index, *input))
        .collect();
    if tracked.is_empty() {
        return tensor(output, shape);
    }
    let left = Arc::new(Mutex::new(Vec::new()));
    let mut arms: Vec<(Arm, Tensor)> = tracked
        .into_iter()
        .map(|(index, input)| (Arm::Input(index), input.clone()))
        .collect();
    while arms.len() > 3 {
        let taken = arms.split_off(arms.len() - 3);
        let token = Node {
            name,
            result: result_of(vec![T::ZERO], Shape::from(())),
            arms: taken.iter().map(|(arm, _)| *arm).collect(),
            left: left.clone(),
            backward: None,
        };
        let token = token.join(taken.iter().map(|(_, tensor)| tensor))?;
        arms.push((Arm::Token, token));
    }
    let node = Node {
        name,
        result: result_of(output, shape.into()),
        arms: arms.iter().map(|(arm, _)| *arm).collect(),
        left,
        backward: Some(Box::new(backward)),
    };
    node.join(arms.iter().map(|(_, tensor)| tensor))
}

/// What a node's input stands for.
#[derive(Clone, Copy, Debug)]
enum Arm {
    /// Input of the operation, by position.
    Input(usize),
    /// A token.
    Token,
}

struct Node {
    name: &'static str,
    /// Computed already; candle takes it once.
    result: Mutex<Option<(CpuStorage, Shape)>>,
    arms: Vec<Arm>,
    /// Gradients of the whole operation, left by the main node for its tokens.
    left: Arc<Mutex<Gradients>>,
    /// Absent in tokens.
    backward: Option<Box<BackwardFn>>,
}

fn result_of<T: Real>(values: Vec<T>, shape: Shape) -> Mutex<Option<(CpuStorage, Shape)>> {
    Mutex::new(Some((T::to_cpu_storage_owned(values), shape)))
}

impl Node {
    fn join<'a>(self, inputs: impl Iterator<Item = &'a Tensor>) -> Result<Tensor> {
        let inputs: Vec<&Tensor> = inputs.collect();
        match inputs[..] {
            [a] => a.apply_op1(self),
            [a, b] => a.apply_op2(b, self),
            [a, b, c] => a.apply_op3(b, c, self),
            _ => candle_core::bail!("{}: a node of {} inputs", self.name, inputs.len()),
        }
    }

    fn take(&self) -> Result<(CpuStorage, Shape)> {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        match result.take() {
            Some(result) => Ok(result),
            None => candle_core::bail!("{}: its result was taken already", self.name),
        }
    }

    fn gradients(&self, result: &Tensor, gradient: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(backward) = &self.backward {
            *left = backward(result, gradient)?;
        }
        let mut of_arms = [None, None, None];
        for (slot, arm) in of_arms.iter_mut().zip(&self.arms) {
            *slot = match arm {
                Arm::Input(index) => left.get_mut(*index).and_then(Option::take),
                Arm::Token => Some(Tensor::zeros((), gradient.dtype(), &Device::Cpu)?),
            };
        }
        Ok(of_arms)
    }
}

impl CustomOp1 for Node {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.take()
    }

    fn bwd(&self, _: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [first, ..] = self.gradients(result, gradient)?;
        Ok(first)
    }
}

impl CustomOp2 for Node {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.take()
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [first, second, _] = self.gradients(result, gradient)?;
        Ok((first, second))
    }
}

impl CustomOp3 for Node {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.take()
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [first, second, third] = self.gradients(result, gradient)?;
        Ok((first, second, third))
    }
}
