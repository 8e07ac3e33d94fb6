//! Seeded initial values: one ChaCha stream per parameter, keyed by its name.

use candle_core::Tensor;
use eval::{Error, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};

use super::names::Role;
use super::tensor::{OrFail, Precision, from_f64};

/// Where the initial values of a parameter come from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform on `[−bound, bound)`.
    Uniform {
        /// Half the width.
        bound: f64,
    },
    /// Uniform on `[−1/√n_in, 1/√n_in)`, `n_in` the last dimension: what PyTorch's linear layers
    /// start from.
    FanIn,
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
}

/// How a decoder starts. Norm weights start at 1, biases at 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// Seed of all streams. Every parameter draws from its own, keyed by (seed, name): adding,
    /// removing, or resizing one parameter moves no other.
    pub seed: u64,
    /// Projections and routers.
    pub projection: Distribution,
    /// Token and position embeddings, and an untied head.
    pub embedding: Distribution,
    /// Divide the initial values of projections into the residual stream (`o_proj`, `down_proj`)
    /// by `√(2 n_layers)`, as GPT-2 does (Radford et al. 2019, section 2.3).
    pub residual_scaled: bool,
}

impl Init {
    /// GPT-2's choices: normal with standard deviation 0.02, residual projections scaled.
    #[must_use]
    pub fn gpt2(seed: u64) -> Self {
        Self {
            seed,
            projection: Distribution::Normal { std: 0.02 },
            embedding: Distribution::Normal { std: 0.02 },
            residual_scaled: true,
        }
    }

    /// Initial values of one parameter of a decoder with `n_layers` blocks.
    ///
    /// # Errors
    /// A spread is negative or not finite.
    pub(super) fn draw(
        &self,
        (name, shape): (&str, &[usize]),
        n_layers: usize,
        precision: Precision,
    ) -> Result<Tensor> {
        let role = Role::of(name);
        let distribution = match role {
            Role::Embedding => self.embedding,
            Role::Projection | Role::Residual => self.projection,
            Role::Norm => Distribution::Ones,
            Role::Bias => Distribution::Zeros,
        };
        let mut values = distribution.values(shape, &mut stream(self.seed, name))?;
        if role == Role::Residual && self.residual_scaled {
            let factor = 1.0 / (2.0 * n_layers as f64).sqrt();
            values.iter_mut().for_each(|value| *value *= factor);
        }
        from_f64(values, shape, precision.dtype()).or_fail(&format!("initialise `{name}`"))
    }
}

impl Distribution {
    /// `shape.product()` values from `stream`.
    ///
    /// # Errors
    /// The spread is negative or not finite.
    pub fn values(self, shape: &[usize], stream: &mut ChaCha20Rng) -> Result<Vec<f64>> {
        let n_values = shape.iter().product();
        let spread = match self {
            Self::Normal { std } => std,
            Self::Uniform { bound } => bound,
            Self::FanIn => 1.0 / (shape.last().copied().unwrap_or(1).max(1) as f64).sqrt(),
            Self::Zeros => return Ok(vec![0.0; n_values]),
            Self::Ones => return Ok(vec![1.0; n_values]),
        };
        if !spread.is_finite() || spread < 0.0 {
            return Err(Error::usage(format!(
                "initial values cannot spread by {spread}"
            )));
        }
        let draw: fn(&mut ChaCha20Rng) -> f64 = match self {
            Self::Normal { .. } => normal,
            Self::Uniform { .. } | Self::FanIn | Self::Zeros | Self::Ones => symmetric,
        };
        Ok((0..n_values).map(|_| spread * draw(stream)).collect())
    }
}

/// The stream of one parameter.
pub(super) fn stream(seed: u64, name: &str) -> ChaCha20Rng {
    let mut hasher = eval::digest::Hasher::new();
    hasher.update(b"model parameter");
    hasher.update(&seed.to_le_bytes());
    hasher.update(name.as_bytes());
    ChaCha20Rng::from_seed(hasher.finish().to_bytes())
}

/// Uniform on [0, 1) with 53 bits.
fn uniform(stream: &mut ChaCha20Rng) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    (stream.next_u64() >> 11) as f64 * STEP
}

/// Uniform on [−1, 1).
fn symmetric(stream: &mut ChaCha20Rng) -> f64 {
    2.0 * uniform(stream) - 1.0
}

/// Standard normal by the cosine branch of Box and Muller (1958), one value per two draws so that
/// value `i` always comes from draws `2i` and `2i + 1`.
fn normal(stream: &mut ChaCha20Rng) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(stream)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(stream)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_asked_for() {
        let n = 200_000_usize;
        for (distribution, variance) in [
            (Distribution::Normal { std: 0.5 }, 0.25),
            (Distribution::Uniform { bound: 0.3 }, 0.03),
            (Distribution::FanIn, 1.0 / 3.0 / n as f64),
        ] {
            let values = distribution.values(&[n], &mut stream(3, "w")).unwrap();
            let mean = values.iter().sum::<f64>() / n as f64;
            let measured = values.iter().map(|v| v * v).sum::<f64>() / n as f64;
            // Five standard errors of a mean and of a variance of a normal sample.
            assert!(mean.abs() < 5.0 * (variance / n as f64).sqrt(), "{mean}");
            assert!((measured / variance - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt());
        }
    }

    #[test]
    fn streams_differ_by_seed_and_name_and_a_longer_draw_keeps_its_beginning() {
        let draw = |seed, name: &str, n: usize| {
            let distribution = Distribution::Normal { std: 1.0 };
            distribution.values(&[n], &mut stream(seed, name)).unwrap()
        };
        assert_eq!(draw(1, "a", 4), draw(1, "a", 9)[..4]);
        assert_ne!(draw(1, "a", 4), draw(1, "b", 4));
        assert_ne!(draw(1, "a", 4), draw(2, "a", 4));
    }

    #[test]
    fn a_negative_spread_is_refused() {
        let distribution = Distribution::Normal { std: -1.0 };
        assert!(distribution.values(&[2], &mut stream(0, "w")).is_err());
    }
}
