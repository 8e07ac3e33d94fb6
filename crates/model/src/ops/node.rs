//! One operation in candle's graph, with any number of inputs.
//!
//! candle's custom operations take at most three inputs and compute inside the call. Here the
//! result is computed first, over slices; then scalar nodes are recorded (*tokens*), each with
//! three inputs at most, so that a tree of them has all inputs. The main one holds a closure for
//! the way back, and leaves the gradients of the others' inputs with them: they come later in
//! candle's order. Gradients between two operations of ours do not pass through candle (see
//! [`super::link`]).

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Device, Layout, Result, Shape, Storage,
    Tensor,
};

use super::link::{self, Inbox, Link};
use super::real::Real;

/// Gradients in the order of the inputs; none where an input needs none. Nobody else holds them:
/// those of variables are added up in place.
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
    let tracked = inputs.iter().enumerate();
    let mut arms: Vec<(Arm, Tensor)> = tracked
        .filter(|(_, input)| input.track_op())
        .map(|(index, input)| Arm::of(index, input))
        .collect();
    if arms.is_empty() {
        return tensor(output, shape);
    }
    let left = Arc::new(Mutex::new(Vec::new()));
    while arms.len() > 3 {
        let taken = arms.split_off(arms.len() - 3);
        let token = join::<T>(name, taken, left.clone(), None)?;
        arms.push((Arm::Token, token));
    }
    let main = Arc::new(Main {
        inbox: Inbox::default(),
        result: OnceLock::new(),
        backward: Box::new(backward),
    });
    let token = join::<T>(name, arms, left, Some(main.clone()))?;
    let link = Link::new(token, main.inbox.clone());
    let outlet = Outlet {
        name,
        result: Mutex::new(Some((T::to_cpu_storage_owned(output), shape.into()))),
        link: link.clone(),
    };
    let result = link.token.apply_op1(outlet)?;
    // Without its place in the graph, which would hold the node that holds it.
    let _ = main.result.set(result.detach());
    link::register(&result, &link);
    Ok(result)
}

/// What a node's input stands for.
#[derive(Clone, Debug)]
enum Arm {
    /// Input of the operation, by position.
    Input(usize),
    /// Input of the operation, by position, that one of our operations made.
    Linked(usize, Arc<Link>),
    /// A token of the same operation.
    Token,
}

impl Arm {
    /// And the tensor by which candle knows it.
    fn of(index: usize, input: &Tensor) -> (Self, Tensor) {
        match link::find(input) {
            Some(link) => {
                let token = link.token.clone();
                (Self::Linked(index, link), token)
            }
            None => (Self::Input(index), input.clone()),
        }
    }
}

/// The part of an operation that computes gradients.
struct Main {
    inbox: Inbox,
    result: OnceLock<Tensor>,
    backward: Box<BackwardFn>,
}

/// A scalar whose inputs are those of an operation, three at most.
struct Node {
    name: &'static str,
    dtype: DType,
    arms: Vec<Arm>,
    /// Gradients of the whole operation, left by its main node for the others.
    left: Arc<Mutex<Gradients>>,
    /// Absent in all but the main node.
    main: Option<Arc<Main>>,
}

fn join<T: Real>(
    name: &'static str,
    arms: Vec<(Arm, Tensor)>,
    left: Arc<Mutex<Gradients>>,
    main: Option<Arc<Main>>,
) -> Result<Tensor> {
    let (arms, inputs): (Vec<Arm>, Vec<Tensor>) = arms.into_iter().unzip();
    let node = Node {
        name,
        dtype: T::DTYPE,
        arms,
        left,
        main,
    };
    match &inputs[..] {
        [a] => a.apply_op1(node),
        [a, b] => a.apply_op2(b, node),
        [a, b, c] => a.apply_op3(b, c, node),
        _ => candle_core::bail!("{name}: a node of {} inputs", inputs.len()),
    }
}

impl Node {
    fn scalar(&self) -> Result<(CpuStorage, Shape)> {
        let zero = match self.dtype {
            DType::F64 => CpuStorage::F64(vec![0.0]),
            _ => CpuStorage::F32(vec![0.0]),
        };
        Ok((zero, Shape::from(())))
    }

    /// What candle is to add to the gradient of each input.
    fn gradients<const N: usize>(&self, inputs: [&Tensor; N]) -> Result<[Option<Tensor>; N]> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(main) = &self.main {
            *left = match (main.result.get(), link::take(&main.inbox)) {
                (Some(result), Some(gradient)) => (main.backward)(result, &gradient)?,
                _ => Vec::new(),
            };
        }
        let mut of_inputs = [const { None }; N];
        for ((slot, arm), input) in of_inputs.iter_mut().zip(&self.arms).zip(inputs) {
            let mut take = |index: usize| left.get_mut(index).and_then(Option::take);
            *slot = match arm {
                Arm::Token => Some(input.zeros_like()?),
                Arm::Linked(index, link) => {
                    if let Some(gradient) = take(*index) {
                        link.leave(&gradient)?;
                    }
                    Some(input.zeros_like()?)
                }
                Arm::Input(index) => match take(*index) {
                    Some(gradient) if !input.is_variable() => Some(gradient),
                    Some(gradient) => {
                        let collected = link::leave_at_leaf(input, &gradient)?;
                        (!collected).then_some(gradient)
                    }
                    None if input.is_variable() => None,
                    // candle expects one for whatever it visits later.
                    None => Some(input.zeros_like()?),
                },
            };
        }
        Ok(of_inputs)
    }
}

/// A result as operations see it that are not ours.
struct Outlet {
    name: &'static str,
    /// Computed already; candle takes it once.
    result: Mutex<Option<(CpuStorage, Shape)>>,
    link: Arc<Link>,
}

impl CustomOp1 for Outlet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        match result.take() {
            Some(result) => Ok(result),
            None => candle_core::bail!("{}: its result was taken already", self.name),
        }
    }

    fn bwd(&self, token: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.link.leave(gradient)?;
        token.zeros_like().map(Some)
    }
}

impl CustomOp1 for Node {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.scalar()
    }

    fn bwd(&self, a: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        let [a] = self.gradients([a])?;
        Ok(a)
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
        self.scalar()
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [a, b] = self.gradients([a, b])?;
        Ok((a, b))
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
        self.scalar()
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [a, b, c] = self.gradients([a, b, c])?;
        Ok((a, b, c))
    }
}
