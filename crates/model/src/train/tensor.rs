//! Small bridges between candle and the workspace: precision, errors, values.

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use eval::{Error, Result};
use serde::{Deserialize, Serialize};

/// The floating-point type a decoder computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision: training.
    F32,
    /// Double precision: gradient checks.
    F64,
}

impl Precision {
    /// candle's name of it.
    #[must_use]
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }
}

/// Turns candle's errors into the workspace's: papers may mix tensor code with everything else.
///
/// ```
/// # use candle_core::{Device, Tensor};
/// use model::train::OrFail;
/// let a = Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu).or_fail("make zeros");
/// assert!(a.is_ok());
/// ```
pub trait OrFail<T> {
    /// Says what was being computed; the text reads after "cannot".
    ///
    /// # Errors
    /// Whenever the computation failed.
    fn or_fail(self, doing: &str) -> Result<T>;
}

impl<T> OrFail<T> for candle_core::Result<T> {
    fn or_fail(self, doing: &str) -> Result<T> {
        self.map_err(|cause| Error::internal(format!("cannot {doing}")).caused_by(cause))
    }
}

/// Values in the tensor's own order, widened to doubles.
pub(super) fn to_f64(tensor: &Tensor) -> candle_core::Result<Vec<f64>> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

/// Values rounded to singles.
pub(super) fn to_f32(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// A tensor of `precision` from doubles.
pub(super) fn from_f64(
    values: Vec<f64>,
    shape: &[usize],
    dtype: DType,
) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
}

/// Calls `visit` with the contiguous values of a tensor, without a copy.
pub(super) fn with_values<T>(
    tensor: &Tensor,
    visit: impl FnOnce(Values<'_>) -> T,
) -> candle_core::Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let range = layout.start_offset()..layout.start_offset() + layout.shape().elem_count();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Ok(visit(Values::F32(&values[range]))),
        Storage::Cpu(CpuStorage::F64(values)) => Ok(visit(Values::F64(&values[range]))),
        _ => candle_core::bail!("training runs on the processor in f32 or f64"),
    }
}

/// Borrowed values of a tensor.
pub(super) enum Values<'a> {
    /// Singles.
    F32(&'a [f32]),
    /// Doubles.
    F64(&'a [f64]),
}
