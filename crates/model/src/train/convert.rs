//! Between stored models, the fast engine, and the trainable decoder.

use candle_core::{Device, Tensor};
use eval::{Error, Result};

use super::decoder::Decoder;
use super::names::shapes;
use super::parameters::Parameters;
use super::tensor::{OrFail, Precision, to_f32};
use crate::config::DecoderConfig;
use crate::infer::{Engine, EngineOptions, NamedTensors};
use crate::weights::Checkpoint;

/// The stem and the part behind the expert of a stacked name.
fn stacked(name: &str) -> Option<(&str, &str)> {
    let (stem, rest) = name.split_once(".mlp.experts.")?;
    Some((stem, rest))
}

fn expert_name((stem, rest): (&str, &str), expert: usize) -> String {
    format!("{stem}.mlp.experts.{expert}.{rest}")
}

impl Decoder {
    /// A trainable decoder from a verified checkpoint, weights de-quantised exactly.
    ///
    /// # Errors
    /// A tensor is missing or damaged or holds NaN, or the configuration makes no sense.
    pub fn from_checkpoint(checkpoint: &Checkpoint, precision: Precision) -> Result<Self> {
        checkpoint.verify_finite()?;
        let config = checkpoint.config().clone();
        Self::from_lookup(config, precision, |name| {
            let view = checkpoint.tensor(name)?;
            Ok((view.shape.clone(), view.to_f32()?))
        })
    }

    /// A trainable decoder from tensors by hub name, experts one by one.
    ///
    /// # Errors
    /// A tensor is missing or has another shape, or the configuration makes no sense.
    pub fn from_tensors(
        config: DecoderConfig,
        tensors: &NamedTensors,
        precision: Precision,
    ) -> Result<Self> {
        Self::from_lookup(config, precision, |name| {
            let found = tensors.get(name).cloned();
            found.ok_or_else(|| Error::inputs(format!("there is no tensor `{name}`")))
        })
    }

    fn from_lookup(
        config: DecoderConfig,
        precision: Precision,
        lookup: impl Fn(&str) -> Result<(Vec<usize>, Vec<f32>)>,
    ) -> Result<Self> {
        config.validate()?;
        let mut parameters = Parameters::new(precision);
        for (name, shape) in shapes(&config) {
            let values = match stacked(&name) {
                Some(parts) => {
                    let mut values = Vec::with_capacity(shape.iter().product());
                    for expert in 0..shape[0] {
                        let name = expert_name(parts, expert);
                        let (found, one) = lookup(&name)?;
                        same_shape(&name, &found, &shape[1..])?;
                        values.extend(one);
                    }
                    values
                }
                None => {
                    let (found, values) = lookup(&name)?;
                    same_shape(&name, &found, &shape)?;
                    values
                }
            };
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu);
            parameters.insert(&name, &tensor.or_fail(&format!("read `{name}`"))?)?;
        }
        Self::with_parameters(config, parameters)
    }

    /// All tensors by hub name, experts one by one, adapters merged: what files hold and
    /// [`Engine::from_tensors`] takes.
    ///
    /// # Errors
    /// Values cannot be read.
    pub fn tensors(&self) -> Result<NamedTensors> {
        if self.adapters().is_some() {
            return self.merged()?.tensors();
        }
        let mut tensors = NamedTensors::new();
        for (name, tensor) in self.parameters().iter() {
            let values = to_f32(tensor).or_fail(&format!("read `{name}`"))?;
            let shape = tensor.dims();
            match stacked(name) {
                Some(parts) => {
                    let n_each = shape[1] * shape[2];
                    for (expert, values) in values.chunks_exact(n_each).enumerate() {
                        let one = (shape[1..].to_vec(), values.to_vec());
                        tensors.insert(expert_name(parts, expert), one);
                    }
                }
                None => {
                    tensors.insert(name.to_owned(), (shape.to_vec(), values));
                }
            }
        }
        Ok(tensors)
    }

    /// A fast engine with this decoder's weights as they are at this moment, for sampling.
    ///
    /// # Errors
    /// As [`Engine::from_tensors`].
    pub fn engine(&self, options: EngineOptions) -> Result<Engine> {
        Engine::from_tensors(self.config().clone(), self.tensors()?, options)
    }
}

fn same_shape(name: &str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::inputs(format!(
        "tensor `{name}` has shape {found:?}, the configuration says {expected:?}"
    )))
}
