//! Layers and pair loss as operations on candle: one node of the graph each.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Error, Layout, Result, Shape, Tensor};

use super::base::{PairGradient, PairLoss};
use super::layers::{Layer, Passed, Trace};

/// One layer: `(state, parameters) → state`. An operation serves one forward and one backward pass.
pub(super) struct LayerOp {
    layer: Layer,
    trace: Mutex<Option<Trace>>,
}

impl LayerOp {
    /// The layer applied to a state of shape `(dim + 1, items)`.
    pub fn apply(layer: Layer, state: &Tensor, params: &Tensor) -> Result<Tensor> {
        let trace = Mutex::new(None);
        state.apply_op2(params, Self { layer, trace })
    }
}

impl CustomOp2 for LayerOp {
    fn name(&self) -> &'static str {
        "flow-layer"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (state, params) = (slice(s1, l1)?, slice(s2, l2)?);
        let expected = (self.layer.dim() + 1, self.layer.n_params());
        if l1.dims().first() != Some(&expected.0) || params.len() != expected.1 {
            candle_core::bail!(
                "flow-layer: state {:?} and {} parameters, expected {expected:?}",
                l1.dims(),
                params.len()
            );
        }
        let (output, trace) = self.layer.forward(params, state);
        *self.trace.lock().unwrap_or_else(PoisonError::into_inner) = Some(trace);
        Ok((CpuStorage::F64(output), l1.shape().clone()))
    }

    fn bwd(
        &self,
        state: &Tensor,
        params: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let kept = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let trace = kept
            .as_ref()
            .ok_or_else(|| Error::Msg("flow-layer: backward without forward".to_owned()))?;
        let passed = Passed {
            params: &values(params)?,
            input: &values(state)?,
            output: &values(output)?,
            trace,
            grad_output: &values(grad)?,
        };
        let (grad_state, grad_params) = self.layer.backward(&passed);
        Ok((
            Some(Tensor::from_vec(
                grad_state,
                state.shape().clone(),
                &Device::Cpu,
            )?),
            Some(Tensor::from_vec(
                grad_params,
                params.shape().clone(),
                &Device::Cpu,
            )?),
        ))
    }
}

/// The pair loss: `(state of the source, state of the target, base parameters) → nats`.
pub(super) struct PairOp {
    pair: PairLoss,
    gradient: Mutex<Option<PairGradient>>,
}

impl PairOp {
    /// The loss as a scalar tensor.
    pub fn apply(pair: PairLoss, x: &Tensor, y: &Tensor, params: &Tensor) -> Result<Tensor> {
        let gradient = Mutex::new(None);
        x.apply_op3(y, params, Self { pair, gradient })
    }
}

impl CustomOp3 for PairOp {
    fn name(&self) -> &'static str {
        "flow-pair-loss"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let gradient = self
            .pair
            .evaluate(slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?)
            .map_err(Error::wrap)?;
        let loss = gradient.loss;
        *self.gradient.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
        Ok((CpuStorage::F64(vec![loss]), Shape::from(())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        params: &Tensor,
        _loss: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let kept = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        let gradient = kept
            .as_ref()
            .ok_or_else(|| Error::Msg("flow-pair-loss: backward without forward".to_owned()))?;
        let factor = grad.to_scalar::<f64>()?;
        let scaled = |values: &[f64], like: &Tensor| {
            let values: Vec<f64> = values.iter().map(|value| factor * value).collect();
            Tensor::from_vec(values, like.shape().clone(), &Device::Cpu).map(Some)
        };
        Ok((
            scaled(&gradient.state_x, x)?,
            scaled(&gradient.state_y, y)?,
            scaled(&gradient.params, params)?,
        ))
    }
}

/// The values of a contiguous tensor of double precision.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f64]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F64(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("a flow's tensors must be f64 and contiguous"),
    }
}

/// The values of a tensor, in order.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.flatten_all()?.to_vec1()
}
