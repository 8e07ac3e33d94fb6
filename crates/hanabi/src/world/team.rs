//! Abilities, and populations of players.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Abilities of a seat, each a probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ability {
    /// t1: reads a hint as an ideal recipient would.
    pub first_order: f64,
    /// t2: chooses hints, and predicts readings, by how an ideal recipient reads.
    pub second_order: f64,
    /// sk: makes a considered move instead of a random one.
    pub skill: f64,
}

/// Players with abilities that share a general factor with loading `loading` in [0, 1] (§8.1):
/// `z = λ g + √(1 − λ²) e`, t1 and t2 are `logistic(1.5 z)`, skill is `logistic(3 + z)`.
#[must_use]
pub fn population<R: Rng>(n_players: usize, loading: f64, rng: &mut R) -> Vec<Ability> {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let rest = (1.0 - loading * loading).max(0.0).sqrt();
    let mut normal = || -> f64 { StandardNormal.sample(rng) };
    (0..n_players)
        .map(|_| {
            let general = normal();
            let mut latent = || loading * general + rest * normal();
            Ability {
                first_order: logistic(1.5 * latent()),
                second_order: logistic(1.5 * latent()),
                skill: logistic(3.0 + latent()),
            }
        })
        .collect()
}
