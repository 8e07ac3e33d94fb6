//! T1 (Lemma 3.2): no non-Gaussian coupling of two Gaussian pairs has less joint information than
//! the Gaussian optimum.
//!
//! A mixture over couplings `Σ_a`, `Σ_b` of the noises leaves both pairs (X1,Y), (X2,Y) exactly as
//! they are and makes the triple non-Gaussian. Half of the mixtures are random; the other half lie
//! around the optimum, `Σ_a + Σ_b = 2 Σ*`, which is the hardest case: their second moments are
//! those of the optimum. The joint information of a mixture has no closed form; it is a Monte-Carlo
//! mean of `log q(x|y)/q(x)`, refined where the first mean is not clear.

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use faer::{Mat, MatRef};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::{condition, normal_matrix, number};
use crate::channel::Channel;
use crate::closed_form::Optimum;
use crate::error::PidError;
use crate::linalg::{NATS_PER_BIT, cholesky, spectral_norm, stack_rows};

/// The experiment's name.
pub const NAME: &str = "mixtures";

/// `(d1, d2, dy)` by their names in conditions.
const SHAPES: [(&str, usize, usize, usize); 4] = [
    ("1x1x1", 1, 1, 1),
    ("2x1x2", 2, 1, 2),
    ("2x2x2", 2, 2, 2),
    ("3x2x1", 3, 2, 1),
];

/// Samples of the first mean and of the refined one.
const SAMPLES: usize = 2_000;
const SAMPLES_REFINED: usize = 40_000;
/// Standard errors above the optimum at which the first mean is clear, and below it at which a
/// mixture counts as better: over a thousand mixtures chance alone crosses that 3 times in 100.
const CLEAR_ERRORS: f64 = 5.0;
const BELOW_ERRORS: f64 = 4.0;

/// One cell per shape and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let n_mixtures = match effort.scale {
        Scale::Smoke => 4,
        Scale::Quick => 50,
        Scale::Full | Scale::Paper => 250,
    };
    let cell = |shape: &str, seed| {
        Cell::new(NAME, seed)
            .with("shape", shape)
            .with("mixtures", n_mixtures)
    };
    SHAPES
        .iter()
        .flat_map(|(shape, ..)| effort.seeds().map(move |seed| cell(shape, seed)))
        .collect()
}

/// Measures the mixtures of one shape.
pub fn run(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let name = condition(cell, "shape")?;
    let Some((_, d1, d2, dy)) = SHAPES.into_iter().find(|(known, ..)| *known == name) else {
        return Err(Error::internal(format!("no shape is called `{name}`")));
    };
    let mut rng = cx.rng("channel");
    let h1 = normal_matrix(d1, dy, &mut rng);
    let h2 = normal_matrix(d2, dy, &mut rng);
    let channel = Channel::with_independent_noise(h1, h2)?;
    let optimum = Optimum::of(&channel)?;
    let union = optimum.union_bits;
    let best = optimum.coupling(&channel)?;
    let n: usize = number(cell, "mixtures")?;
    let mut rng = cx.rng("mixtures");
    for k in 0..n {
        let kind = if k % 2 == 0 {
            "random"
        } else {
            "around the optimum"
        };
        let (one, two, weight) = if k % 2 == 0 {
            let weight = 0.2 + 0.6 * rng.random::<f64>();
            (
                contraction(d1, d2, &mut rng)?,
                contraction(d1, d2, &mut rng)?,
                weight,
            )
        } else {
            let (one, two) = around(&best, &mut rng)?;
            (one, two, 0.5)
        };
        let mixture = Mixture::new(&channel, [&one, &two], [weight, 1.0 - weight])?;
        let mut mean = mixture.information_bits(SAMPLES, &mut rng);
        if mean.value < union + CLEAR_ERRORS * mean.error {
            mean = mixture.information_bits(SAMPLES_REFINED, &mut rng);
        }
        let excess = mean.value - union;
        let below = f64::from(u8::from(excess < -BELOW_ERRORS * mean.error));
        let with = |row: Row| row.item(k).tag("kind", kind);
        cx.row(with(Row::new("excess_bits", excess, "bits")))?;
        cx.row(with(Row::new("standard_error_bits", mean.error, "bits")))?;
        cx.row(with(Row::new("below", below, "1")))?;
        cx.progress(k as u64 + 1, n as u64);
        if cx.cancelled() {
            return Ok(());
        }
    }
    emit_control(cx, &channel, &best, union)
}

/// Pairs that are weaker than they should be: a "coupling" outside the feasible set, which does
/// have less joint information, and must be seen to.
fn emit_control(cx: &mut Cx, channel: &Channel, best: &Mat<f64>, union: f64) -> Result<()> {
    let half = |h: MatRef<'_, f64>| h * faer::Scale(0.5);
    let weak = Channel::with_independent_noise(half(channel.h1()), half(channel.h2()))?;
    let inside = best * faer::Scale(0.95);
    let mixture = Mixture::new(&weak, [&inside, &inside], [0.5, 0.5])?;
    let mean = mixture.information_bits(SAMPLES_REFINED, &mut cx.rng("control"));
    let seen = f64::from(u8::from(mean.value < union - BELOW_ERRORS * mean.error));
    cx.row(Row::new("control_below", seen, "1"))
}

/// A random coupling strictly inside the spectral ball.
fn contraction(d1: usize, d2: usize, rng: &mut impl Rng) -> Result<Mat<f64>> {
    let free = normal_matrix(d1, d2, rng);
    let norm = spectral_norm(free.as_ref())?;
    let wanted = 0.98 * rng.random::<f64>();
    Ok(free * faer::Scale(wanted / norm))
}

/// Two couplings whose mean is the optimum, or a little inside it where it touches the boundary.
fn around(best: &Mat<f64>, rng: &mut impl Rng) -> Result<(Mat<f64>, Mat<f64>)> {
    let norm = spectral_norm(best.as_ref())?;
    let centre = best * faer::Scale((0.97 / norm.max(1e-300)).min(1.0));
    let room = 0.999 - spectral_norm(centre.as_ref())?;
    let free = normal_matrix(best.nrows(), best.ncols(), rng);
    let length = room * rng.random::<f64>() / spectral_norm(free.as_ref())?;
    let step = free * faer::Scale(length);
    Ok((&centre + &step, &centre - &step))
}

/// A Monte-Carlo mean with its standard error.
#[derive(Clone, Copy, Debug)]
struct Mean {
    value: f64,
    error: f64,
}

/// A mixture of two Gaussian couplings.
struct Mixture {
    /// `[H1; H2]`.
    h: Mat<f64>,
    weights: [f64; 2],
    /// Noise and source covariance of each component.
    noises: [Gaussian; 2],
    sources: [Gaussian; 2],
}

impl Mixture {
    fn new(channel: &Channel, couplings: [&Mat<f64>; 2], weights: [f64; 2]) -> Result<Self> {
        let h = stack_rows(channel.h1(), channel.h2());
        let d1 = channel.h1().nrows();
        let noise = |coupling: &Mat<f64>| {
            Mat::from_fn(h.nrows(), h.nrows(), |i, j| match (i < d1, j < d1) {
                (true, false) => coupling[(i, j - d1)],
                (false, true) => coupling[(j, i - d1)],
                _ => f64::from(u8::from(i == j)),
            })
        };
        let signal = &h * h.transpose();
        let [one, two] = couplings.map(noise);
        Ok(Self {
            weights,
            sources: [
                Gaussian::new(&(&one + &signal))?,
                Gaussian::new(&(&two + &signal))?,
            ],
            noises: [Gaussian::new(&one)?, Gaussian::new(&two)?],
            h,
        })
    }

    /// `I_q(X1,X2;Y) = E log2 q(x|y)/q(x)`.
    fn information_bits(&self, n: usize, rng: &mut impl Rng) -> Mean {
        let (dx, dy) = self.h.shape();
        let (mut y, mut z) = (vec![0.0; dy], vec![0.0; dx]);
        let (mut noise, mut x) = (vec![0.0; dx], vec![0.0; dx]);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            y.iter_mut()
                .for_each(|value| *value = StandardNormal.sample(rng));
            z.iter_mut()
                .for_each(|value| *value = StandardNormal.sample(rng));
            let component = usize::from(rng.random::<f64>() >= self.weights[0]);
            self.noises[component].colour(&z, &mut noise);
            for (i, value) in x.iter_mut().enumerate() {
                let signal: f64 = (0..dy).map(|j| self.h[(i, j)] * y[j]).sum();
                *value = signal + noise[i];
            }
            let ratio =
                self.log_mixture(&self.noises, &noise) - self.log_mixture(&self.sources, &x);
            sum += ratio;
            squares += ratio * ratio;
        }
        let count = n as f64;
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.0);
        Mean {
            value: mean / NATS_PER_BIT,
            error: (variance / count).sqrt() / NATS_PER_BIT,
        }
    }

    fn log_mixture(&self, parts: &[Gaussian; 2], at: &[f64]) -> f64 {
        let [a, b] = [0, 1].map(|k| self.weights[k].ln() + parts[k].log_density(at));
        let top = a.max(b);
        top + ((a - top).exp() + (b - top).exp()).ln()
    }
}

/// A centred normal distribution; constants that both densities share are left out.
struct Gaussian {
    lower: Mat<f64>,
    log_norm: f64,
}

impl Gaussian {
    fn new(covariance: &Mat<f64>) -> Result<Self, PidError> {
        let lower = cholesky(covariance.as_ref(), "a mixture's covariance")?;
        let log_norm = -(0..lower.nrows()).map(|k| lower[(k, k)].ln()).sum::<f64>();
        Ok(Self { lower, log_norm })
    }

    fn colour(&self, z: &[f64], out: &mut [f64]) {
        for (i, value) in out.iter_mut().enumerate() {
            *value = (0..=i).map(|j| self.lower[(i, j)] * z[j]).sum();
        }
    }

    fn log_density(&self, at: &[f64]) -> f64 {
        // Eight coordinates are the most that a shape here has.
        let mut white = [0.0; 8];
        let mut square = 0.0;
        for i in 0..at.len() {
            let known: f64 = (0..i).map(|j| self.lower[(i, j)] * white[j]).sum();
            white[i] = (at[i] - known) / self.lower[(i, i)];
            square += white[i] * white[i];
        }
        self.log_norm - 0.5 * square
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_mixture_of_one_component_has_the_information_of_its_gaussian() {
        let mut rng = eval::engine::Stream::seed_from_u64(1);
        let channel = Channel::with_independent_noise(
            normal_matrix(2, 2, &mut rng),
            normal_matrix(1, 2, &mut rng),
        )
        .unwrap();
        let coupling = contraction(2, 1, &mut rng).unwrap();
        let exact = crate::objective::objective_bits(&channel, coupling.as_ref()).unwrap();
        let mixture = Mixture::new(&channel, [&coupling, &coupling], [0.3, 0.7]).unwrap();
        let mean = mixture.information_bits(40_000, &mut rng);
        let distance = (mean.value - exact).abs() / mean.error;
        assert!(distance < 4.0 && mean.error < 0.02, "{mean:?} {exact}");
    }

    #[test]
    fn couplings_around_the_optimum_have_it_as_their_mean_and_stay_in_the_ball() {
        let mut rng = eval::engine::Stream::seed_from_u64(2);
        let best = contraction(3, 2, &mut rng).unwrap();
        let (one, two) = around(&best, &mut rng).unwrap();
        assert!(((&one + &two) * faer::Scale(0.5) - &best).norm_max() < 1e-14);
        assert!((&one - &two).norm_max() > 1e-6);
        for coupling in [one, two] {
            assert!(spectral_norm(coupling.as_ref()).unwrap() < 1.0);
        }
    }
}
