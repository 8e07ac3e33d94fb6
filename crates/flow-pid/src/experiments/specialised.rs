//! E6 and Q8: a binary label built from latents that both sources share, or only one of them holds.
//!
//! Three latents of ten coordinates each, `z1`, `z2`, and the common `zc`, variance 1.5, are mapped
//! by uniform random matrices to ten features each; source `i` is `[z_i, z_c]` mapped, so 20
//! features (100 in the paper's code). The label is the mean of selected coordinates, each dropped
//! with probability 0.2 per item, cut at its median.
//!
//! **Truth (ours).** Let `T` be the sum that is cut and `t_i` its selected part that source `i`
//! holds. The pair `(t_i, T)` is, up to the dropout's dependence on the latents, jointly Gaussian
//! with correlation `ρ_i`, `ρ_i² = 0.8 · (selected coordinates in source i) / (selected ones)`. So
//! the source tells `I(ρ_i) = 1 − E[h(Φ(ρt/√(1−ρ²)))]`. Of two such sources the one with smaller
//! `ρ` is a degraded version of the other (add noise to `t`), and the decomposition depends on the
//! pairs alone: `R = min(I1, I2)`, `U_i = I_i − R`, `S = I12 − max(I1, I2)`. An additive label is
//! therefore never purely synergistic: without dropout the set `S` has `R = 1 − 1/(2 ln 2)`.

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use faer::Mat;
use rand::{Rng, RngExt};

use super::distortions::{emit_errors, settings_of};
use super::entropy_ceiling::binary_entropy_bits;
use super::{condition, normal_matrix, number, staged};
use crate::atoms::{ATOM_NAMES, Atoms};
use crate::data::principal_components;
use crate::estimate::Samples;
use crate::flow::{FlowData, rank_gaussian};
use crate::paper::Config;

/// The experiment's name.
pub const NAME: &str = "specialised";

/// Coordinates of each latent.
const WIDTH: usize = 10;

/// Probability that a selected coordinate is dropped for an item (the official code's).
const DROPOUT: f64 = 0.2;

/// Deviation of the reading noise of every feature (ours). Without it both sources hold the very
/// same ten common features, and the joint covariance is singular.
const READING_NOISE: f64 = 0.01;

/// Name, the designed atom where there is one, and how many coordinates of `z1`, `z2`, `zc` are
/// selected. The mixes are ours: the paper draws random subsets and does not print them.
const SETS: [(&str, &str, [usize; 3]); 10] = [
    ("R", "R", [0, 0, WIDTH]),
    ("U1", "U1", [WIDTH, 0, 0]),
    ("U2", "U2", [0, WIDTH, 0]),
    ("S", "S", [WIDTH, WIDTH, 0]),
    ("mix-1c", "", [5, 0, 5]),
    ("mix-2c", "", [0, 5, 5]),
    ("mix-12", "", [5, 3, 0]),
    ("mix-12c", "", [5, 5, 5]),
    ("mix-1cc", "", [3, 0, 7]),
    ("mix-2cc", "", [2, 4, 8]),
];

/// One cell per set, estimator, and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let (n, steps, seeds) = match effort.scale {
        Scale::Smoke => (1000, 40, 1),
        Scale::Quick => (4000, 1500, effort.n_seeds.min(3)),
        Scale::Full | Scale::Paper => (20_000, 5000, effort.n_seeds.min(10)),
    };
    let mut cells = Vec::new();
    for (set, designed, _) in SETS {
        for estimator in ["gaussian", "copula", "realnvp-6"] {
            let trains = estimator == "realnvp-6";
            // Flows see the mixes once, for the choice of a model (E8).
            let once = trains && designed.is_empty() && effort.scale < Scale::Full;
            if once && effort.scale == Scale::Smoke {
                continue;
            }
            for seed in 0..if once { 1 } else { seeds } {
                let cell = Cell::new(NAME, seed)
                    .with("set", set)
                    .with("estimator", estimator)
                    .with("n", n);
                cells.push(if trains {
                    cell.with("steps", steps)
                } else {
                    cell
                });
            }
        }
    }
    cells
}

/// Names of the sets.
pub fn sets() -> impl Iterator<Item = &'static str> {
    SETS.into_iter().map(|(set, ..)| set)
}

/// Label (0 or 1), source 1, and source 2 of `n` items of a set.
pub fn samples(name: &str, n: usize, rng: &mut impl Rng) -> Result<[Mat<f64>; 3]> {
    let (_, selected) = set(name)?;
    Ok(world(selected, n, rng))
}

fn set(name: &str) -> Result<(&'static str, [usize; 3])> {
    let found = SETS.into_iter().find(|(set, ..)| *set == name);
    let (_, designed, selected) =
        found.ok_or_else(|| Error::internal(format!("no set is called `{name}`")))?;
    Ok((designed, selected))
}

/// Measures one estimator on one set.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let name = condition(cell, "set")?;
    let (designed, selected) = set(name)?;
    let n: usize = number(cell, "n")?;
    let mut rng = cx.rng("samples");
    let [y, x1, x2] = world(selected, n, &mut rng);
    let estimator = condition(cell, "estimator")?;
    let atoms = match estimator {
        "gaussian" => components(&y, &x1, &x2, config)?.atoms()?,
        "copula" => {
            let [x1, x2] = [&x1, &x2].map(|view| rank_gaussian(view.as_ref()));
            components(&y, &x1?, &x2?, config)?.atoms()?
        }
        _ => {
            let settings = settings_of(estimator, number(cell, "steps")?)?;
            let views = (y.as_ref(), x1.as_ref(), x2.as_ref());
            let data = FlowData::new(views.0, views.1, views.2, 0.0, cell.seed)?;
            let what = cell.id().to_string();
            let fit = staged::train(cx, &what, &data, settings, cell.seed)?.fit;
            staged::emit_curve(cx, &fit, |row| row)?;
            fit.atoms
        }
    };
    let truth = truth(selected);
    emit_errors(cx, &atoms, &truth)?;
    if designed.is_empty() {
        return Ok(());
    }
    let of = |atoms: &Atoms| {
        let at = ATOM_NAMES.iter().position(|name| *name == designed);
        at.map_or(f64::NAN, |at| atoms.parts()[at])
    };
    let rest = |atoms: &Atoms| atoms.info12 - of(atoms);
    let largest = atoms.parts().iter().all(|part| *part <= of(&atoms));
    cx.row(Row::new("designed_bits", of(&atoms), "bits"))?;
    cx.row(Row::new("designed_true_bits", of(&truth), "bits"))?;
    cx.row(Row::new("beside_designed_true_bits", rest(&truth), "bits"))?;
    let largest = f64::from(u8::from(largest));
    cx.row(Row::new("designed_is_largest", largest, "1"))
}

/// Principal components, as the official code does before its Gaussian estimate of these sets.
fn components(y: &Mat<f64>, x1: &Mat<f64>, x2: &Mat<f64>, config: &Config) -> Result<Samples> {
    let reduce = |view: &Mat<f64>| principal_components(view.as_ref(), 2 * config.components);
    let (x1, x2) = (reduce(x1)?, reduce(x2)?);
    Ok(Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref())?)
}

/// Label (0 or 1), source 1, source 2.
fn world(selected: [usize; 3], n: usize, rng: &mut impl Rng) -> [Mat<f64>; 3] {
    let deviation = 1.5_f64.sqrt();
    let latents = [0; 3].map(|_| normal_matrix(n, WIDTH, rng) * deviation);
    let sums: Vec<f64> = (0..n)
        .map(|i| {
            let mut sum = 0.0;
            for (latent, count) in latents.iter().zip(selected) {
                for k in 0..count {
                    if !rng.random_bool(DROPOUT) {
                        sum += latent[(i, k)];
                    }
                }
            }
            sum
        })
        .collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| sums[*a].total_cmp(&sums[*b]));
    let mut label = Mat::zeros(n, 1);
    for item in &order[n / 2..] {
        label[(*item, 0)] = 1.0;
    }
    let features = latents.map(|latent| {
        let map = Mat::from_fn(WIDTH, WIDTH, |_, _| rng.random_range(0.0..1.0));
        latent * map
    });
    let noises = [0; 2].map(|_| normal_matrix(n, 2 * WIDTH, rng) * READING_NOISE);
    let beside = |own: &Mat<f64>, common: &Mat<f64>, noise: &Mat<f64>| {
        Mat::from_fn(n, 2 * WIDTH, |i, k| {
            let exact = if k < WIDTH {
                own[(i, k)]
            } else {
                common[(i, k - WIDTH)]
            };
            exact + noise[(i, k)]
        })
    };
    let (x1, x2) = (
        beside(&features[0], &features[2], &noises[0]),
        beside(&features[1], &features[2], &noises[1]),
    );
    [label, x1, x2]
}

/// The exact decomposition, see the module documentation.
fn truth([n1, n2, nc]: [usize; 3]) -> Atoms {
    let total = (n1 + n2 + nc) as f64;
    let info = |held: usize| sum_label_information_bits((1.0 - DROPOUT) * held as f64 / total);
    let (info1, info2, info12) = (info(n1 + nc), info(n2 + nc), info(n1 + n2 + nc));
    Atoms::of_union(info1, info2, info12, info1.max(info2))
}

/// Information between `t` and `Y = 1[ρt + √(1−ρ²)n > 0]` for squared correlation `ρ²`.
fn sum_label_information_bits(squared: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF, Normal};
    const HALF_WIDTH: f64 = 12.0;
    const STEPS: usize = 20_000;
    if squared >= 1.0 {
        return 1.0;
    }
    let normal = Normal::standard();
    let slope = (squared / (1.0 - squared)).sqrt();
    let step = 2.0 * HALF_WIDTH / STEPS as f64;
    let sum: f64 = (0..=STEPS)
        .map(|k| {
            let t = -HALF_WIDTH + k as f64 * step;
            (-0.5 * t * t).exp() * binary_entropy_bits(normal.cdf(slope * t))
        })
        .sum();
    1.0 - sum * step / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::engine::Stream;
    use rand::SeedableRng;

    #[test]
    fn quadrature_matches_an_independent_integrator() {
        // scipy 1.17.1, tests/fixtures/make_flow_oracle.py; the first is 1 − 1/(2 ln 2).
        for (squared, expected) in [
            (0.5, 0.278_652_479_555_518_3),
            (0.4, 0.212_888_660_714_170_56),
            (0.8, 0.538_503_416_984_961_1),
        ] {
            let value = sum_label_information_bits(squared);
            assert!((value - expected).abs() < 1e-10, "{squared} {value}");
        }
        let exact = 1.0 - 0.5 / std::f64::consts::LN_2;
        assert!((sum_label_information_bits(0.5) - exact).abs() < 1e-10);
        assert_eq!(sum_label_information_bits(1.0), 1.0);
        assert!(sum_label_information_bits(0.0).abs() < 1e-12);
    }

    /// The truth leans on one approximation, the dropout's; a count over bins of `t` does not.
    #[test]
    fn the_assumed_correlation_predicts_what_a_sum_tells() {
        let mut rng = Stream::seed_from_u64(1);
        let n = 40_000;
        let deviation = 1.5_f64.sqrt();
        let latent = normal_matrix(n, WIDTH, &mut rng) * deviation;
        let sum = |i: usize| latent.row(i).iter().sum::<f64>();
        let kept: Vec<f64> = (0..n)
            .map(|i| {
                let row = latent.row(i);
                row.iter()
                    .filter(|_| !rng.random_bool(DROPOUT))
                    .sum::<f64>()
            })
            .collect();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| sum(*a).total_cmp(&sum(*b)));
        let (n_bins, size) = (100, n / 100);
        let entropy: f64 = order
            .chunks_exact(size)
            .map(|bin| {
                let ones = bin.iter().filter(|item| kept[**item] > 0.0).count();
                binary_entropy_bits(ones as f64 / size as f64)
            })
            .sum::<f64>()
            / n_bins as f64;
        let predicted = sum_label_information_bits(1.0 - DROPOUT);
        assert!(
            (1.0 - entropy - predicted).abs() < 0.02,
            "{entropy} {predicted}"
        );
    }

    #[test]
    fn an_additive_label_is_not_pure_synergy() {
        let atoms = truth([10, 10, 0]);
        assert!(atoms.redundancy > 0.2 && atoms.unique1.abs() < 1e-12);
        let unique = truth([10, 0, 0]);
        assert!(unique.redundancy.abs() < 1e-12 && unique.unique1 > 0.5);
    }
}
