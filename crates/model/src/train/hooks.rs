//! Taps and interventions on hidden states and router logits, in training and inference alike.
//!
//! [`Hook`] is the differentiable form of the engine's [`Tap`]: the same two places, the same site,
//! tensors instead of slices. [`Hooks`] and everything in it are both, so an experiment is written
//! once.

use std::ops::Range;

use candle_core::{Device, Tensor};
use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::tensor::{OrFail, to_f32};
use crate::infer::{Tap, TapRow, TapSite};

/// Listens to, and may change, what flows through a [`super::Decoder`].
///
/// Called once per layer with all rows of the padded batch; a row is padding when its position is
/// at or beyond its sequence's length. Whatever a hook returns takes part in the computation and in
/// the gradients.
pub trait Hook {
    /// Whether the hook never does anything, so that it need not be called.
    fn is_idle(&self) -> bool {
        false
    }

    /// Hidden states after layer `site.layer` (0 is the embedding, `n_layers` the last block before
    /// the final norm): `[n_rows, n_hidden]`, one row per entry of `site.rows`.
    ///
    /// # Errors
    /// The hook cannot do what it is meant to; the forward pass fails with it.
    fn hidden(&mut self, site: TapSite<'_>, states: Tensor) -> Result<Tensor> {
        let _ = site;
        Ok(states)
    }

    /// Router logits of block `site.layer` (from 0), before the softmax and the choice of experts:
    /// `[n_rows, n_experts]`.
    ///
    /// # Errors
    /// As [`Hook::hidden`].
    fn router(&mut self, site: TapSite<'_>, logits: Tensor) -> Result<Tensor> {
        let _ = site;
        Ok(logits)
    }
}

/// No hook at all.
impl Hook for () {
    fn is_idle(&self) -> bool {
        true
    }
}

/// A place in the computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Site {
    /// Hidden states after this layer; 0 is the embedding.
    Hidden(usize),
    /// Router logits of this block, from 0.
    Router(usize),
}

/// A change at some tokens of one place, as a description that can be stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervention {
    /// Where.
    pub site: Site,
    /// Token positions that it touches; all if absent.
    pub positions: Option<Range<usize>>,
    /// What happens there.
    pub action: Action,
}

/// What an intervention does to the values of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Adds this vector.
    Add(Vec<f32>),
    /// Puts this vector in its place.
    Replace(Vec<f32>),
    /// Multiplies all values by this.
    Scale(f32),
    /// These experts cannot be chosen and get probability 0.
    MaskExperts(Vec<u32>),
    /// Only these experts can be chosen: with as many as the router picks, they are forced. The
    /// router's softmax runs over them alone.
    ForceExperts(Vec<u32>),
}

/// A logit whose probability is exactly 0 beside any ordinary one, in single and in double
/// precision, and whose arithmetic stays finite.
const IMPOSSIBLE: f32 = -1e30;

impl Intervention {
    fn touches(&self, row: &TapRow) -> bool {
        let all = self.positions.as_ref();
        all.is_none_or(|positions| positions.contains(&row.position))
    }

    /// Per value of a row, factor and summand: every action is `value · factor + summand`.
    ///
    /// # Errors
    /// A vector has another width, or an expert does not exist.
    fn affine(&self, width: usize) -> Result<Vec<(f32, f32)>> {
        let vector = |values: &[f32], factor: f32| {
            if values.len() != width {
                return Err(Error::usage(format!(
                    "an intervention at {:?} has {} values for rows of {width}",
                    self.site,
                    values.len()
                )));
            }
            Ok(values.iter().map(|value| (factor, *value)).collect())
        };
        let experts = |listed: &[u32], masked_when_listed: bool| {
            if !matches!(self.site, Site::Router(_)) {
                let site = self.site;
                return Err(Error::usage(format!("there are no experts at {site:?}")));
            }
            if let Some(expert) = listed.iter().find(|expert| **expert as usize >= width) {
                return Err(Error::usage(format!("expert {expert} of {width}")));
            }
            let change = |expert: usize| {
                if listed.contains(&(expert as u32)) == masked_when_listed {
                    (0.0, IMPOSSIBLE)
                } else {
                    (1.0, 0.0)
                }
            };
            Ok((0..width).map(change).collect())
        };
        match &self.action {
            Action::Add(values) => vector(values, 1.0),
            Action::Replace(values) => vector(values, 0.0),
            Action::Scale(factor) => Ok(vec![(*factor, 0.0); width]),
            Action::MaskExperts(listed) => experts(listed, true),
            Action::ForceExperts(listed) => experts(listed, false),
        }
    }

    fn on_slice(&self, site: TapSite<'_>, values: &mut [f32]) -> Result<()> {
        let width = values.len() / site.rows.len().max(1);
        let affine = self.affine(width)?;
        for (row, values) in site.rows.iter().zip(values.chunks_exact_mut(width.max(1))) {
            if self.touches(row) {
                for (value, (factor, summand)) in values.iter_mut().zip(&affine) {
                    // A factor of 0 replaces, whatever was there.
                    let kept = if *factor == 0.0 { 0.0 } else { *value * factor };
                    *value = kept + summand;
                }
            }
        }
        Ok(())
    }

    fn on_tensor(&self, site: TapSite<'_>, values: &Tensor) -> Result<Tensor> {
        let width = values.dims().last().copied().unwrap_or(0);
        let affine = self.affine(width)?;
        let mut factors = Vec::with_capacity(values.elem_count());
        let mut summands = Vec::with_capacity(values.elem_count());
        for row in site.rows {
            for (factor, summand) in &affine {
                let touched = self.touches(row);
                factors.push(if touched { *factor } else { 1.0 });
                summands.push(if touched { *summand } else { 0.0 });
            }
        }
        let change = |numbers: Vec<f32>| {
            Tensor::from_vec(numbers, values.shape(), &Device::Cpu)?.to_dtype(values.dtype())
        };
        change(factors)
            .and_then(|factors| values * factors)
            .and_then(|scaled| scaled + change(summands)?)
            .or_fail("intervene")
    }
}

/// Records what flows through the places it listens to.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    sites: Vec<Site>,
    seen: Vec<(Site, Vec<TapRow>, Vec<f32>)>,
}

impl Observer {
    /// Listens to `sites`.
    #[must_use]
    pub fn new(sites: &[Site]) -> Self {
        Self {
            sites: sites.to_vec(),
            seen: Vec::new(),
        }
    }

    /// What was seen, call by call: place, rows, and values row by row.
    #[must_use]
    pub fn seen(&self) -> &[(Site, Vec<TapRow>, Vec<f32>)] {
        &self.seen
    }

    /// Forgets what was seen and returns it.
    pub fn take(&mut self) -> Vec<(Site, Vec<TapRow>, Vec<f32>)> {
        std::mem::take(&mut self.seen)
    }

    fn listens(&self, site: Site) -> bool {
        self.sites.contains(&site)
    }

    fn record(&mut self, site: Site, rows: &[TapRow], values: Vec<f32>) {
        self.seen.push((site, rows.to_vec(), values));
    }
}

/// Several hooks, applied in order: each sees what those before it made.
///
/// Used as an engine's [`Tap`], which cannot fail, an intervention that does not fit leaves the
/// values alone and is reported by [`Hooks::failure`].
#[derive(Debug, Default)]
pub struct Hooks {
    parts: Vec<Part>,
    failure: Option<Error>,
}

#[derive(Debug)]
enum Part {
    Change(Intervention),
    Observe(Observer),
}

impl Hooks {
    /// No hooks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an intervention behind the others.
    #[must_use]
    pub fn intervene(mut self, intervention: Intervention) -> Self {
        self.parts.push(Part::Change(intervention));
        self
    }

    /// Adds an observer behind the others.
    #[must_use]
    pub fn observe(mut self, sites: &[Site]) -> Self {
        self.parts.push(Part::Observe(Observer::new(sites)));
        self
    }

    /// The observers, in the order in which they were added.
    pub fn observers(&self) -> impl Iterator<Item = &Observer> {
        self.parts.iter().filter_map(|part| match part {
            Part::Observe(observer) => Some(observer),
            Part::Change(_) => None,
        })
    }

    /// The first intervention that did not fit, when used as a [`Tap`].
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn on_tensor(&mut self, at: Site, site: TapSite<'_>, mut values: Tensor) -> Result<Tensor> {
        for part in &mut self.parts {
            match part {
                Part::Change(change) if change.site == at => {
                    values = change.on_tensor(site, &values)?;
                }
                Part::Observe(observer) if observer.listens(at) => {
                    observer.record(at, site.rows, to_f32(&values).or_fail("observe")?);
                }
                Part::Change(_) | Part::Observe(_) => {}
            }
        }
        Ok(values)
    }

    fn on_slice(&mut self, at: Site, site: TapSite<'_>, values: &mut [f32]) {
        for part in &mut self.parts {
            match part {
                Part::Change(change) if change.site == at => {
                    if let Err(failure) = change.on_slice(site, values) {
                        self.failure.get_or_insert(failure);
                    }
                }
                Part::Observe(observer) if observer.listens(at) => {
                    observer.record(at, site.rows, values.to_vec());
                }
                Part::Change(_) | Part::Observe(_) => {}
            }
        }
    }
}

impl Hook for Hooks {
    fn hidden(&mut self, site: TapSite<'_>, states: Tensor) -> Result<Tensor> {
        self.on_tensor(Site::Hidden(site.layer), site, states)
    }

    fn router(&mut self, site: TapSite<'_>, logits: Tensor) -> Result<Tensor> {
        self.on_tensor(Site::Router(site.layer), site, logits)
    }
}

impl Tap for Hooks {
    fn hidden(&mut self, site: TapSite<'_>, states: &mut [f32]) {
        self.on_slice(Site::Hidden(site.layer), site, states);
    }

    fn router(&mut self, site: TapSite<'_>, logits: &mut [f32]) {
        self.on_slice(Site::Router(site.layer), site, logits);
    }
}
