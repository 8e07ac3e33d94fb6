//! Gradients by parameter name: collected, clipped, accumulated.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;
use eval::{Error, Result};

use super::parameters::Parameters;
use super::tensor::{OrFail, Values, with_values};
use crate::ops;

/// The gradient of a scalar in every trainable parameter, in the fixed order of [`Parameters`].
#[derive(Clone, Debug)]
pub struct Gradients {
    tensors: BTreeMap<String, Arc<Own>>,
    /// Every tensor stands for itself times this: clipping costs no pass over memory.
    factor: f64,
}

/// A gradient that nobody outside of [`Gradients`] holds. Its memory serves the next one: a model
/// that fills the caches spends a third of a training step on fresh pages otherwise (measured).
#[derive(Debug)]
struct Own(Tensor);

impl Drop for Own {
    fn drop(&mut self) {
        ops::recycle(&self.0);
    }
}

impl Gradients {
    /// Back-propagates `loss`.
    ///
    /// # Errors
    /// `loss` is not a scalar, or a trainable parameter receives no gradient at all: then an
    /// operation on the way cut it, or the parameter has no part in the loss and should be frozen.
    pub fn of(loss: &Tensor, parameters: &Parameters) -> Result<Self> {
        let gradients = Self::reached(loss, parameters)?;
        let missing = parameters
            .trainable()
            .find(|(name, _)| !gradients.tensors.contains_key(*name));
        match missing {
            None => Ok(gradients),
            Some((name, _)) => Err(Error::internal(format!(
                "parameter `{name}` receives no gradient"
            ))
            .hint("freeze parameters that have no part in the loss with `train_only`")),
        }
    }

    /// As [`Gradients::of`], leaving out parameters that `loss` does not reach.
    ///
    /// # Errors
    /// `loss` is not a scalar.
    pub fn reached(loss: &Tensor, parameters: &Parameters) -> Result<Self> {
        if loss.elem_count() != 1 {
            return Err(Error::usage(format!(
                "gradients of a loss with shape {:?}: it must be a scalar",
                loss.dims()
            )));
        }
        let mut found = ops::backward(loss).or_fail("back-propagate")?;
        let mut tensors = BTreeMap::new();
        for (name, variable) in parameters.trainable() {
            let gradient = found.remove(variable.as_tensor());
            if let Some(gradient) = gradient.or_fail("back-propagate")? {
                tensors.insert(name.to_owned(), Arc::new(Own(gradient)));
            }
        }
        Ok(Self {
            tensors,
            factor: 1.0,
        })
    }

    /// The gradient of one parameter.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let Some(own) = self.tensors.get(name) else {
            return Err(Error::usage(format!("no gradient for `{name}`")));
        };
        (&own.0 * self.factor).or_fail("scale a gradient")
    }

    /// Names that have a gradient, in their fixed order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The tensor as stored and what it has to be multiplied by.
    pub(super) fn raw(&self, name: &str) -> Option<(&Tensor, f64)> {
        self.tensors.get(name).map(|own| (&own.0, self.factor))
    }

    /// Euclidean norm over all parameters, in double precision.
    ///
    /// # Errors
    /// Values cannot be read.
    pub fn norm(&self) -> Result<f64> {
        let mut sum = 0.0;
        for own in self.tensors.values() {
            sum += with_values(&own.0, |values| match values {
                Values::F32(values) => ops::sum_of_squares(values),
                Values::F64(values) => values.iter().map(|value| value * value).sum(),
            })
            .or_fail("measure the gradient")?;
        }
        Ok(sum.sqrt() * self.factor.abs())
    }

    /// Scales all gradients so that their norm is at most `norm_max`, and returns the norm they had
    /// (Pascanu et al. 2013, algorithm 1; PyTorch divides by the norm plus 10⁻⁶, and so do we).
    ///
    /// # Errors
    /// `norm_max` is not positive, or the norm is not finite: training has diverged.
    pub fn clip(&mut self, norm_max: f64) -> Result<f64> {
        if norm_max.is_nan() || norm_max <= 0.0 {
            return Err(Error::usage(format!("cannot clip gradients to {norm_max}")));
        }
        let norm = self.norm()?;
        if !norm.is_finite() {
            return Err(Error::internal(format!("the gradient's norm is {norm}"))
                .hint("lower the learning rate, or look for a loss that overflows"));
        }
        self.factor *= (norm_max / (norm + 1e-6)).min(1.0);
        Ok(norm)
    }

    /// Multiplies all gradients.
    pub fn scale(&mut self, factor: f64) {
        self.factor *= factor;
    }

    /// Adds the gradients of another part of the batch.
    ///
    /// # Errors
    /// The other gradients are of other parameters.
    pub fn add(&mut self, other: &Self) -> Result<()> {
        if !self.names().eq(other.names()) {
            return Err(Error::usage("gradients of different parameters do not add"));
        }
        for (name, own) in &mut self.tensors {
            let mut add = || {
                if self.factor != 1.0 || Arc::get_mut(own).is_none() {
                    *own = Arc::new(Own((&own.0 * self.factor)?));
                }
                ops::add_in_place(&own.0, other.factor, &other.tensors[name].0)
            };
            add().or_fail(&format!("add gradients of `{name}`"))?;
        }
        self.factor = 1.0;
        Ok(())
    }

    /// All gradients behind each other in their fixed order, row-major, rounded to singles.
    ///
    /// # Errors
    /// Values cannot be read.
    pub fn flat(&self) -> Result<Vec<f32>> {
        let factor = self.factor;
        let mut flat = Vec::new();
        for own in self.tensors.values() {
            with_values(&own.0, |values| match values {
                Values::F32(values) if factor == 1.0 => flat.extend_from_slice(values),
                Values::F32(values) => {
                    let scaled = values.iter().map(|v| (f64::from(*v) * factor) as f32);
                    flat.extend(scaled);
                }
                Values::F64(values) => flat.extend(values.iter().map(|v| (v * factor) as f32)),
            })
            .or_fail("flatten the gradient")?;
        }
        Ok(flat)
    }
}
