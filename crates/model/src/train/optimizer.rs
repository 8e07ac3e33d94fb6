//! AdamW with parameter groups, whose state can be saved and restored to the bit.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor};
use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::gradients::Gradients;
use super::names::Role;
use super::parameters::Parameters;
use super::tensor::{OrFail, Precision, Values, with_values};
use crate::ops::{self, AdamWStep};

/// Settings of AdamW (Loshchilov and Hutter 2019, algorithm 2, decay times learning rate as in
/// PyTorch).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Which parameters decay.
    pub decay_on: DecayOn,
}

impl Default for AdamWConfig {
    /// PyTorch's defaults: β = (0.9, 0.999), ε = 10⁻⁸, decay 0.01 on everything.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            decay_on: DecayOn::All,
        }
    }
}

/// Which parameters decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayOn {
    /// All of them.
    All,
    /// All but norms and biases.
    Matrices,
    /// All but norms, biases, embeddings, and an untied head.
    Projections,
}

impl DecayOn {
    fn includes(self, name: &str) -> bool {
        match Role::of(name) {
            Role::Norm | Role::Bias => self == Self::All,
            Role::Embedding => self != Self::Projections,
            Role::Projection | Role::Residual => true,
        }
    }
}

/// What differs between groups of parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupSettings {
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The learning rate is multiplied by this.
    pub rate_factor: f64,
}

/// The optimiser and its moments.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
    n_steps: u64,
    slots: BTreeMap<String, Slot>,
}

#[derive(Clone, Debug)]
struct Slot {
    settings: GroupSettings,
    shape: Vec<usize>,
    moments: Moments,
}

#[derive(Clone, Debug, PartialEq)]
enum Moments {
    F32(Vec<f32>, Vec<f32>),
    F64(Vec<f64>, Vec<f64>),
}

/// Name, shape, and both moments of a parameter.
pub(super) type StoredMoments<'a> = (String, Vec<usize>, [&'a Vec<f32>; 2]);

impl AdamW {
    /// For the trainable parameters, which decay as `config.decay_on` says.
    ///
    /// # Errors
    /// A setting makes no sense.
    pub fn new(config: AdamWConfig, parameters: &Parameters) -> Result<Self> {
        Self::with_groups(config, parameters, |name| GroupSettings {
            weight_decay: if config.decay_on.includes(name) {
                config.weight_decay
            } else {
                0.0
            },
            rate_factor: 1.0,
        })
    }

    /// For the trainable parameters, each with the settings that `group` gives its name.
    ///
    /// # Errors
    /// A setting makes no sense.
    pub fn with_groups(
        config: AdamWConfig,
        parameters: &Parameters,
        group: impl Fn(&str) -> GroupSettings,
    ) -> Result<Self> {
        let unit = |beta: f64| (0.0..1.0).contains(&beta);
        let sane = |value: f64| value.is_finite() && value >= 0.0;
        if !unit(config.beta1) || !unit(config.beta2) || !sane(config.eps) {
            return Err(Error::usage(format!("AdamW with {config:?}")));
        }
        let mut slots = BTreeMap::new();
        for (name, variable) in parameters.trainable() {
            let settings = group(name);
            if !sane(settings.weight_decay) || !sane(settings.rate_factor) {
                return Err(Error::usage(format!(
                    "AdamW with {settings:?} for `{name}`"
                )));
            }
            let n = variable.elem_count();
            let moments = match parameters.precision() {
                Precision::F32 => Moments::F32(vec![0.0; n], vec![0.0; n]),
                Precision::F64 => Moments::F64(vec![0.0; n], vec![0.0; n]),
            };
            let shape = variable.dims().to_vec();
            let slot = Slot {
                settings,
                shape,
                moments,
            };
            slots.insert(name.to_owned(), slot);
        }
        Ok(Self {
            config,
            n_steps: 0,
            slots,
        })
    }

    /// Settings.
    #[must_use]
    pub fn config(&self) -> &AdamWConfig {
        &self.config
    }

    /// Updates made so far.
    #[must_use]
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }

    /// Updates the parameters in place.
    ///
    /// # Errors
    /// The gradients are not of the parameters this optimiser was made for, or the rate is negative
    /// or not finite.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &Gradients,
        rate: f64,
    ) -> Result<()> {
        if !rate.is_finite() || rate < 0.0 {
            return Err(Error::usage(format!("a learning rate of {rate}")));
        }
        if !gradients.names().eq(self.slots.keys().map(String::as_str))
            || !parameters
                .trainable()
                .map(|(name, _)| name)
                .eq(gradients.names())
        {
            return Err(Error::usage(
                "the optimiser, the parameters, and the gradients are not of one model",
            ));
        }
        self.n_steps += 1;
        for (name, variable) in parameters.trainable() {
            let (Some(slot), Some((gradient, factor))) =
                (self.slots.get_mut(name), gradients.raw(name))
            else {
                return Err(Error::internal(format!("no moments for `{name}`")));
            };
            let step = AdamWStep {
                learning_rate: rate * slot.settings.rate_factor,
                beta1: self.config.beta1,
                beta2: self.config.beta2,
                eps: self.config.eps,
                weight_decay: slot.settings.weight_decay,
                grad_scale: factor,
                step: self.n_steps,
            };
            let update = Update {
                gradient,
                moments: RefCell::new(&mut slot.moments),
                step,
            };
            variable
                .as_tensor()
                .inplace_op1(&update)
                .or_fail(&format!("update the parameter `{name}`"))?;
        }
        Ok(())
    }

    /// Both moments of every parameter, in their fixed order.
    ///
    /// # Errors
    /// The optimiser works in double precision, which is for gradient checks and not stored.
    pub(super) fn moments(&self) -> Result<Vec<StoredMoments<'_>>> {
        let mut list = Vec::with_capacity(self.slots.len());
        for (name, slot) in &self.slots {
            let Moments::F32(first, second) = &slot.moments else {
                return Err(Error::usage(format!(
                    "moments of `{name}` are in double precision, which is not stored"
                )));
            };
            list.push((name.clone(), slot.shape.clone(), [first, second]));
        }
        Ok(list)
    }

    /// Puts stored moments back.
    ///
    /// # Errors
    /// There is no such parameter, or the shape differs.
    pub(super) fn restore(
        &mut self,
        name: &str,
        shape: &[usize],
        (first, second): (Vec<f32>, Vec<f32>),
    ) -> Result<()> {
        let Some(slot) = self.slots.get_mut(name) else {
            return Err(Error::inputs(format!(
                "stored moments are of `{name}`, which is not trained here"
            )));
        };
        if slot.shape != shape || first.len() != second.len() {
            return Err(Error::inputs(format!(
                "stored moments of `{name}` have shape {shape:?}, the parameter {:?}",
                slot.shape
            )));
        }
        slot.moments = Moments::F32(first, second);
        Ok(())
    }

    /// Parameters that have moments.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    pub(super) fn set_n_steps(&mut self, n_steps: u64) {
        self.n_steps = n_steps;
    }
}

/// One parameter's update as an in-place operation of candle, which alone hands out its storage.
struct Update<'a> {
    gradient: &'a Tensor,
    moments: RefCell<&'a mut Moments>,
    step: AdamWStep,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let start = layout.start_offset();
        let range = start..start + layout.shape().elem_count();
        let mut moments = self.moments.borrow_mut();
        with_values(self.gradient, |gradient| {
            match (storage, gradient, &mut **moments) {
                (CpuStorage::F32(values), Values::F32(gradient), Moments::F32(first, second)) => {
                    ops::adamw_step(&mut values[range], gradient, first, second, &self.step)
                }
                (CpuStorage::F64(values), Values::F64(gradient), Moments::F64(first, second)) => {
                    step_f64(&mut values[range], gradient, (first, second), &self.step);
                    Ok(())
                }
                _ => candle_core::bail!("adamw: parameter and gradient differ in precision"),
            }
        })?
    }
}

/// The update in double precision, for checks.
fn step_f64(
    values: &mut [f64],
    gradient: &[f64],
    (first, second): (&mut [f64], &mut [f64]),
    step: &AdamWStep,
) {
    let correction = |beta: f64| 1.0 - beta.powf(step.step as f64);
    let (correction1, correction2) = (correction(step.beta1), correction(step.beta2));
    for (i, value) in values.iter_mut().enumerate() {
        let gradient = gradient[i] * step.grad_scale;
        first[i] = step.beta1 * first[i] + (1.0 - step.beta1) * gradient;
        second[i] = step.beta2 * second[i] + (1.0 - step.beta2) * gradient * gradient;
        let change = first[i] / correction1 / ((second[i] / correction2).sqrt() + step.eps);
        *value -= step.learning_rate * (step.weight_decay * *value + change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_follows_the_role_of_a_parameter() {
        let names = [
            "model.norm.weight",
            "model.layers.0.self_attn.q_proj.bias",
            "model.embed_tokens.weight",
            "lm_head.weight",
            "model.layers.0.mlp.down_proj.weight",
        ];
        for (on, expected) in [
            (DecayOn::All, [true; 5]),
            (DecayOn::Matrices, [false, false, true, true, true]),
            (DecayOn::Projections, [false, false, false, false, true]),
        ] {
            assert_eq!(names.map(|name| on.includes(name)), expected, "{on:?}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let parameters = Parameters::new(Precision::F32);
        let config = AdamWConfig {
            beta1: 1.0,
            ..AdamWConfig::default()
        };
        assert!(AdamW::new(config, &parameters).is_err());
    }
}
