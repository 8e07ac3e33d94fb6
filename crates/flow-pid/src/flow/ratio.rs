//! Information about the target from both sources together, estimated on its own (Q4).
//!
//! Flow-PID makes the two *pairs* Gaussian and then computes I(X1,X2;Y), hence the synergy, as if
//! the triple were Gaussian, too. This estimator makes no such assumption: a perceptron learns to
//! tell real triples from triples with shuffled targets; its logit estimates the logarithm of
//! `p(x1,x2,y) / (p(x1,x2) p(y))`. On items that it has not seen, the bound of Donsker and Varadhan
//! (1983), `E_joint[T] − ln E_product[e^T]`, turns it into a lower bound of the information, up to
//! sampling error. The synergy is then that information minus the union information.

use eval::engine::Stream;
use faer::{Mat, MatRef};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::adam::{AdamStep, adam};
use super::perceptron::{Perceptron, view_mut};
use crate::data::standardise;
use crate::error::PidError;
use crate::linalg::NATS_PER_BIT;

/// Shifts of the targets per evaluation: products of marginals are cheap to come by.
const SHIFTS: usize = 8;

/// How the perceptron is trained; all values are ours, the paper has no such estimator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioSettings {
    /// Width of both hidden layers.
    pub width: usize,
    /// Passes over the training items.
    pub epochs: usize,
    /// Items of a step.
    pub batch: usize,
    /// Adam's learning rate.
    pub rate: f64,
}

impl Default for RatioSettings {
    fn default() -> Self {
        Self {
            width: 64,
            epochs: 60,
            batch: 128,
            rate: 2e-3,
        }
    }
}

/// I(X1,X2;Y) in bits from samples, one item a row: half of the items train, a quarter chooses the
/// epoch, a quarter measures.
///
/// # Errors
/// Numbers of items differ, a column is constant or not finite, or there are fewer than four
/// batches of items.
pub fn joint_information_bits(
    y: MatRef<'_, f64>,
    sources: MatRef<'_, f64>,
    settings: RatioSettings,
    seed: u64,
) -> Result<f64, PidError> {
    let n_items = y.nrows();
    if sources.nrows() != n_items {
        return Err(PidError::Dimensions {
            what: "the sources",
            expected: (n_items, sources.ncols()),
            found: sources.shape(),
        });
    }
    if n_items < 4 * settings.batch || settings.batch < 2 {
        return Err(PidError::TooFewItems {
            n_items,
            n_items_min: 4 * settings.batch.max(2),
        });
    }
    let (y, sources) = (standardise(y)?, standardise(sources)?);
    let mut critic = Critic::new(&y, &sources, settings, seed);
    let mut items: Vec<usize> = (0..n_items).collect();
    items.shuffle(&mut critic.rng);
    let (train, rest) = items.split_at(n_items / 2);
    let (choose, measure) = rest.split_at(rest.len() / 2);
    // Before training the bound is 0, which is a true lower bound.
    let (mut best, mut result) = (0.0, 0.0);
    let mut order = train.to_vec();
    for _ in 0..settings.epochs {
        order.shuffle(&mut critic.rng);
        for batch in order.chunks_exact(settings.batch) {
            critic.step(batch);
        }
        let chosen = critic.bound_nats(choose);
        if chosen > best {
            best = chosen;
            result = critic.bound_nats(measure);
        }
    }
    Ok(result / NATS_PER_BIT)
}

/// The perceptron, its optimiser, and the items.
struct Critic<'a> {
    y: &'a Mat<f64>,
    sources: &'a Mat<f64>,
    net: Perceptron,
    params: Vec<f64>,
    moments: [Vec<f64>; 2],
    settings: RatioSettings,
    count: u64,
    rng: Stream,
}

impl<'a> Critic<'a> {
    fn new(y: &'a Mat<f64>, sources: &'a Mat<f64>, settings: RatioSettings, seed: u64) -> Self {
        let n_inputs = y.ncols() + sources.ncols();
        let net = Perceptron {
            sizes: [n_inputs, settings.width, settings.width, 1],
            fan_in: n_inputs,
        };
        let mut rng = Stream::seed_from_u64(seed);
        let mut params = vec![0.0; net.n_params()];
        net.initialise(&mut params, &mut rng);
        let zeros = vec![0.0; params.len()];
        Self {
            y,
            sources,
            net,
            params,
            moments: [zeros.clone(), zeros],
            settings,
            count: 0,
            rng,
        }
    }

    /// Sources of `items[i]` beside the target of `items[i + shift]`, cyclically.
    fn rows(&self, items: &[usize], shift: usize) -> Mat<f64> {
        let d = self.sources.ncols();
        Mat::from_fn(items.len(), d + self.y.ncols(), |i, k| {
            if k < d {
                self.sources[(items[i], k)]
            } else {
                self.y[(items[(i + shift) % items.len()], k - d)]
            }
        })
    }

    /// One step on the logistic loss of real against shifted triples.
    fn step(&mut self, items: &[usize]) {
        let n = items.len();
        let shift = self.rng.random_range(1..n);
        let mut grads = vec![0.0; self.params.len()];
        for (rows, is_real) in [
            (self.rows(items, 0), true),
            (self.rows(items, shift), false),
        ] {
            let mut logits = vec![0.0; n];
            let hidden = self.net.forward(&self.params, rows.as_ref(), &mut logits);
            let grad: Vec<f64> = logits
                .iter()
                .map(|logit| {
                    let share = 1.0 / (1.0 + (-logit).exp());
                    (share - f64::from(u8::from(is_real))) / n as f64
                })
                .collect();
            let mut unused = vec![0.0; n * rows.ncols()];
            let grad_rows = view_mut(&mut unused, n, rows.ncols());
            let input = (rows.as_ref(), &hidden);
            self.net
                .backward(&self.params, input, &grad, &mut grads, grad_rows);
        }
        self.count += 1;
        let step = AdamStep {
            rate: self.settings.rate,
            decay: 0.0,
            count: self.count,
        };
        let [first, second] = &mut self.moments;
        adam(step, &mut self.params, &grads, [first, second]);
    }

    fn logits(&self, items: &[usize], shift: usize) -> Vec<f64> {
        let rows = self.rows(items, shift);
        let mut logits = vec![0.0; items.len()];
        self.net.forward(&self.params, rows.as_ref(), &mut logits);
        logits
    }

    fn bound_nats(&self, items: &[usize]) -> f64 {
        let real = self.logits(items, 0);
        let mean = real.iter().sum::<f64>() / real.len() as f64;
        let shifted: Vec<f64> = (1..=SHIFTS)
            .flat_map(|k| self.logits(items, (k * items.len() / (SHIFTS + 1)).max(1)))
            .collect();
        let top = shifted.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = shifted.iter().map(|logit| (logit - top).exp()).sum();
        mean - top - (sum / shifted.len() as f64).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};

    fn quick() -> RatioSettings {
        RatioSettings {
            width: 32,
            epochs: 15,
            ..RatioSettings::default()
        }
    }

    #[test]
    fn known_information_is_found_and_none_is_made_up() {
        let mut rng = Stream::seed_from_u64(1);
        let n = 4000;
        let sources = Mat::from_fn(n, 2, |_, _| StandardNormal.sample(&mut rng));
        let noise: Vec<f64> = (0..n).map(|_| StandardNormal.sample(&mut rng)).collect();
        // Signal to noise 3: ½ log2(1 + 3) = 1 bit.
        let y = Mat::from_fn(n, 1, |i, _| {
            1.5_f64.sqrt() * (sources[(i, 0)] + sources[(i, 1)]) + noise[i]
        });
        let told = joint_information_bits(y.as_ref(), sources.as_ref(), quick(), 3).unwrap();
        assert!((0.85..1.1).contains(&told), "{told}");
        let y = Mat::from_fn(n, 1, |i, _| noise[i]);
        let none = joint_information_bits(y.as_ref(), sources.as_ref(), quick(), 3).unwrap();
        assert!(none.abs() < 0.03, "{none}");
    }

    #[test]
    fn too_few_items_are_refused() {
        let view = Mat::from_fn(100, 1, |i, _| i as f64);
        let error = joint_information_bits(view.as_ref(), view.as_ref(), quick(), 0);
        assert!(matches!(error, Err(PidError::TooFewItems { .. })));
    }
}
