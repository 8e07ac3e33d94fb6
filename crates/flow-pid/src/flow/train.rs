//! Algorithm 2: training the flows with Adam, and what is read off afterwards.

use eval::Error;
use eval::engine::Stream;
use faer::{Mat, MatRef};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::adam::{AdamStep, adam};
use super::base::{gaussian_nats, means};
use super::diagnostics::{Gaussianity, gaussianity};
use super::model::{Architecture, Base, FlowModel, state_of};
use crate::atoms::Atoms;
use crate::channel::Dims;
use crate::data::standardise;
use crate::error::PidError;
use crate::estimate::{Samples, covariance};
use crate::flow::spline::HALF_WIDTH;

/// How flows are trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowSettings {
    /// The layers of each flow.
    pub architecture: Architecture,
    /// What pairs of latents are compared with.
    pub base: Base,
    /// Steps of the optimiser. Notebook: 5000.
    pub steps: u64,
    /// Items of a step. Paper: 128.
    pub batch: usize,
    /// First learning rate. Notebook: `1e-3`; Table C.3: `1e-4`.
    pub rate_start: f64,
    /// Last learning rate of the cosine schedule. Notebook: `1e-4`.
    pub rate_end: f64,
    /// Adam's weight decay, added to the gradient. Notebook: `1e-5`.
    pub weight_decay: f64,
}

impl Default for FlowSettings {
    /// The recipe of the official notebook for the (16,16,2) example.
    fn default() -> Self {
        Self {
            architecture: Architecture::RealNvp { blocks: 6 },
            base: Base::GaussianPca,
            steps: 5000,
            batch: 128,
            rate_start: 1e-3,
            rate_end: 1e-4,
            weight_decay: 1e-5,
        }
    }
}

impl FlowSettings {
    /// Refuses settings with which training makes no sense.
    ///
    /// # Errors
    /// [`PidError::Config`] with the knob.
    pub fn check(&self) -> Result<(), PidError> {
        let bad = |knob, must| Err(PidError::Config { knob, must });
        if self.steps == 0 {
            return bad("steps", "at least 1");
        }
        if self.batch < 2 {
            return bad("batch", "at least 2");
        }
        if !(self.rate_start.is_finite() && self.rate_start > 0.0) {
            return bad("rate_start", "positive");
        }
        if !(self.rate_end >= 0.0 && self.rate_end <= self.rate_start) {
            return bad("rate_end", "from 0 to `rate_start`");
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return bad("weight_decay", "0 or more");
        }
        Ok(())
    }
}

/// Standardised and clipped samples, split into items to train on and items held out.
#[derive(Clone, Debug)]
pub struct FlowData {
    /// Target, source 1, source 2.
    blocks: [Mat<f64>; 3],
    train: Vec<usize>,
    held_out: Vec<usize>,
}

impl FlowData {
    /// Standardises every column, clips to ±10 as the official code does, and holds out a share of
    /// the items (of which training sees no more than their share of the standardisation).
    ///
    /// # Errors
    /// Numbers of items differ, a column is constant or not finite, or too few items.
    pub fn new(
        y: MatRef<'_, f64>,
        x1: MatRef<'_, f64>,
        x2: MatRef<'_, f64>,
        held_out_share: f64,
        seed: u64,
    ) -> Result<Self, PidError> {
        if !(0.0..=0.5).contains(&held_out_share) {
            return Err(PidError::Config {
                knob: "held_out",
                must: "from 0 to 0.5",
            });
        }
        // Checks shapes, values, and the number of items.
        Samples::new(y, x1, x2)?;
        let clipped = |view| -> Result<Mat<f64>, PidError> {
            let mut out = standardise(view)?;
            for column in 0..out.ncols() {
                let values = out.col_mut(column);
                values
                    .iter_mut()
                    .for_each(|value| *value = value.clamp(-HALF_WIDTH, HALF_WIDTH));
            }
            Ok(out)
        };
        let mut items: Vec<usize> = (0..y.nrows()).collect();
        items.shuffle(&mut stream(seed, Purpose::Split, 0));
        let n_held_out = (held_out_share * items.len() as f64).round() as usize;
        let mut train = items.split_off(n_held_out);
        train.sort_unstable();
        Ok(Self {
            blocks: [clipped(y)?, clipped(x1)?, clipped(x2)?],
            train,
            held_out: items,
        })
    }

    /// Sizes of target and sources.
    #[must_use]
    pub fn dims(&self) -> Dims {
        let [y, x1, x2] = [0, 1, 2].map(|k: usize| self.blocks[k].ncols());
        Dims { y, x1, x2 }
    }

    /// Number of items trained on, and held out.
    #[must_use]
    pub fn n_items(&self) -> (usize, usize) {
        (self.train.len(), self.held_out.len())
    }

    fn states(&self, items: &[usize]) -> [Vec<f64>; 3] {
        [0, 1, 2].map(|k: usize| state_of(self.blocks[k].as_ref(), items))
    }

    fn rows(&self, variable: usize, items: &[usize]) -> Mat<f64> {
        let block = &self.blocks[variable];
        Mat::from_fn(items.len(), block.ncols(), |i, k| block[(items[i], k)])
    }
}

/// Latents, one item a row, and log-determinants in nats.
type Mapped = (Mat<f64>, Vec<f64>);

/// What the draws of one seed are for; no two share a stream.
#[derive(Clone, Copy)]
enum Purpose {
    Split,
    Start,
    Order,
}

fn stream(seed: u64, purpose: Purpose, number: u64) -> Stream {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose as u8;
    key[16..24].copy_from_slice(&number.to_le_bytes());
    Stream::from_seed(key)
}

/// One point of a learning curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Steps done.
    pub step: u64,
    /// Mean training loss since the point before, nats.
    pub loss_nats: f64,
    /// Negative log-likelihood of held-out pairs under Gaussians fitted to the training latents,
    /// both pairs together, nats; absent where nothing is held out.
    pub held_out_nats: Option<f64>,
    /// Largest marginal distance to a normal distribution over training latents, see
    /// [`Gaussianity`].
    pub marginal_distance: f64,
    /// Mardia's kurtosis excess of the first pair.
    pub kurtosis_excess: f64,
    /// R, U1, U2, S of the training latents, bits.
    pub atoms_bits: [f64; 4],
}

/// Training under way; a pure function of data, settings, seed, and number of steps.
pub struct Trainer<'a> {
    pub(super) model: FlowModel,
    data: &'a FlowData,
    settings: FlowSettings,
    seed: u64,
    pub(super) progress: Progress,
    /// The epoch whose order of items is kept, and that order.
    order: (Option<u64>, Vec<usize>),
}

/// The state of the optimiser.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Progress {
    pub step: u64,
    pub n_skipped: u64,
    pub moments: [Vec<Vec<f64>>; 2],
    pub curve: Vec<Curve>,
}

impl<'a> Trainer<'a> {
    /// A model at its start: flows near the identity, ActNorm fitted to the first batch.
    ///
    /// # Errors
    /// The settings make no sense, or there are fewer training items than a batch holds.
    pub fn new(data: &'a FlowData, settings: FlowSettings, seed: u64) -> Result<Self, PidError> {
        settings.check()?;
        if data.train.len() < settings.batch {
            return Err(PidError::TooFewItems {
                n_items: data.train.len(),
                n_items_min: settings.batch,
            });
        }
        let dims = data.dims();
        if settings.base == Base::MaximumLikelihood
            && settings.batch <= dims.x1.max(dims.x2) + dims.y
        {
            return Err(PidError::Config {
                knob: "batch",
                must: "larger than source and target have dimensions together",
            });
        }
        let mut rng = stream(seed, Purpose::Start, 0);
        let mut model = FlowModel::new(dims, settings.architecture, settings.base, &mut rng)?;
        let zeros: Vec<Vec<f64>> = model.params.iter().map(|p| vec![0.0; p.len()]).collect();
        let mut trainer = Self {
            data,
            settings,
            seed,
            progress: Progress {
                step: 0,
                n_skipped: 0,
                moments: [zeros.clone(), zeros],
                curve: Vec::new(),
            },
            model: model.clone(),
            order: (None, Vec::new()),
        };
        let first = trainer.batch_of(0);
        model.adapt(&first);
        trainer.model = model;
        Ok(trainer)
    }

    /// Steps done.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// The model as it stands.
    #[must_use]
    pub fn model(&self) -> &FlowModel {
        &self.model
    }

    /// The points of the learning curve so far.
    #[must_use]
    pub fn curve(&self) -> &[Curve] {
        &self.progress.curve
    }

    /// The batch of a step: every epoch is a new order, and an incomplete last batch is dropped.
    fn batch_of(&mut self, step: u64) -> [Vec<f64>; 3] {
        let (n, batch) = (self.data.train.len(), self.settings.batch);
        let per_epoch = (n / batch) as u64;
        let epoch = step / per_epoch;
        if self.order.0 != Some(epoch) {
            let mut order = self.data.train.clone();
            order.shuffle(&mut stream(self.seed, Purpose::Order, epoch));
            self.order = (Some(epoch), order);
        }
        let first = (step % per_epoch) as usize * batch;
        self.data.states(&self.order.1[first..first + batch])
    }

    /// One step: the loss of its batch in nats; none where it was not finite and nothing changed.
    ///
    /// # Errors
    /// An operation failed.
    pub fn step_once(&mut self) -> Result<Option<f64>, Error> {
        let states = self.batch_of(self.progress.step);
        let (loss, grads) = self
            .model
            .loss_and_gradient(&states)
            .map_err(|e| Error::internal("a training step failed").caused_by(e))?;
        let usable = loss.is_finite() && grads.iter().flatten().all(|grad| grad.is_finite());
        if usable {
            self.adam(&grads);
        } else {
            self.progress.n_skipped += 1;
        }
        self.progress.step += 1;
        Ok(usable.then_some(loss))
    }

    /// Trains until `until` steps are done (or all), then adds a point to the curve. `go_on` is
    /// asked before each step.
    ///
    /// # Errors
    /// The latents are no longer finite, or an operation failed.
    pub fn train(&mut self, until: u64, mut go_on: impl FnMut(u64) -> bool) -> Result<(), Error> {
        let until = until.min(self.settings.steps);
        let (mut sum, mut n_counted) = (0.0, 0_u32);
        while self.progress.step < until {
            if !go_on(self.progress.step) {
                return Ok(());
            }
            if let Some(loss) = self.step_once()? {
                sum += loss;
                n_counted += 1;
            }
        }
        if n_counted > 0 {
            let point = self.point(sum / f64::from(n_counted))?;
            self.progress.curve.push(point);
        }
        Ok(())
    }

    /// The cosine schedule.
    fn rate(&self) -> f64 {
        let s = &self.settings;
        let place = self.progress.step as f64 / s.steps as f64;
        s.rate_end
            + 0.5 * (s.rate_start - s.rate_end) * (1.0 + (std::f64::consts::PI * place).cos())
    }

    fn adam(&mut self, grads: &[Vec<f64>]) {
        let step = AdamStep {
            rate: self.rate(),
            decay: self.settings.weight_decay,
            count: self.progress.step - self.progress.n_skipped + 1,
        };
        let [first, second] = &mut self.progress.moments;
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((params, grads), (first, second)) in
            self.model.params.iter_mut().zip(grads).zip(moments)
        {
            adam(step, params, grads, [first, second]);
        }
    }

    fn latents(&self, items: &[usize]) -> Result<[Mapped; 3], PidError> {
        let map = |variable: usize| {
            let mapped = self
                .model
                .map(variable, self.data.rows(variable, items).as_ref())?;
            crate::linalg::check_finite(mapped.0.as_ref(), "the latents")?;
            Ok(mapped)
        };
        Ok([map(0)?, map(1)?, map(2)?])
    }

    /// The latents of the items trained on: target, source 1, source 2.
    ///
    /// # Errors
    /// Training has lost itself in values that are not finite.
    pub fn training_latents(&self) -> Result<[Mat<f64>; 3], PidError> {
        Ok(self.latents(&self.data.train)?.map(|(latent, _)| latent))
    }

    fn point(&self, loss_nats: f64) -> Result<Curve, PidError> {
        let train = self.latents(&self.data.train)?;
        let gaussian = pair_gaussianity(&train)?;
        let held_out_nats = if self.data.held_out.is_empty() {
            None
        } else {
            Some(pair_nats(&train, &self.latents(&self.data.held_out)?)?)
        };
        let [(y, _), (x1, _), (x2, _)] = &train;
        let atoms = Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref())?.atoms()?;
        Ok(Curve {
            step: self.progress.step,
            loss_nats,
            held_out_nats,
            marginal_distance: gaussian.marginal_distance,
            kurtosis_excess: gaussian.kurtosis_excess,
            atoms_bits: atoms.parts(),
        })
    }

    /// What training has brought.
    ///
    /// # Errors
    /// The latents are not finite or their covariance is singular.
    pub fn finish(self) -> Result<FlowFit, PidError> {
        let [y, x1, x2] = self.training_latents()?;
        let samples = Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref())?;
        Ok(FlowFit {
            atoms: samples.atoms()?,
            samples,
            n_skipped: self.progress.n_skipped,
            curve: self.progress.curve,
            model: self.model,
        })
    }
}

/// Trained flows and the decomposition of their latents.
#[derive(Clone, Debug)]
pub struct FlowFit {
    /// The atoms of the training latents' covariance, closed form, bits.
    pub atoms: Atoms,
    /// The training latents, to resample or shuffle.
    pub samples: Samples,
    /// Steps without a finite loss, which changed nothing.
    pub n_skipped: u64,
    /// The learning curve.
    pub curve: Vec<Curve>,
    /// The flows.
    pub model: FlowModel,
}

/// Trains from start to end with ten points on the learning curve.
///
/// # Errors
/// As [`Trainer::new`] and [`Trainer::train`].
pub fn fit(
    data: &FlowData,
    settings: FlowSettings,
    seed: u64,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<FlowFit, Error> {
    const POINTS: u64 = 10;
    let mut trainer = Trainer::new(data, settings, seed)?;
    for point in 1..=POINTS {
        trainer.train(settings.steps * point / POINTS, &mut go_on)?;
    }
    Ok(trainer.finish()?)
}

/// Columns of a source and the target beside each other.
fn pair(x: &Mat<f64>, y: &Mat<f64>) -> Mat<f64> {
    Mat::from_fn(x.nrows(), x.ncols() + y.ncols(), |i, k| {
        if k < x.ncols() {
            x[(i, k)]
        } else {
            y[(i, k - x.ncols())]
        }
    })
}

fn pair_gaussianity(latents: &[Mapped; 3]) -> Result<Gaussianity, PidError> {
    let of = |source: usize| gaussianity(pair(&latents[source].0, &latents[0].0).as_ref());
    let (first, second) = (of(1)?, of(2)?);
    Ok(Gaussianity {
        marginal_distance: first.marginal_distance.max(second.marginal_distance),
        ..first
    })
}

/// Both pairs' negative log-likelihood of held-out items under Gaussians fitted to the training
/// latents, log-determinants included.
fn pair_nats(train: &[Mapped; 3], held_out: &[Mapped; 3]) -> Result<f64, PidError> {
    let mut total = 0.0;
    for source in [1, 2] {
        let fitted = pair(&train[source].0, &train[0].0);
        let rows = pair(&held_out[source].0, &held_out[0].0);
        let nats = gaussian_nats(
            rows.as_ref(),
            &means(fitted.as_ref()),
            covariance(fitted.as_ref()).as_ref(),
        )?;
        let log_dets: f64 = held_out[source].1.iter().chain(&held_out[0].1).sum();
        total += nats - log_dets / rows.nrows() as f64;
    }
    Ok(total)
}
