//! The experiments: which cells there are at each scale, and how each is measured.
//!
//! | experiment | place | what is measured |
//! |---|---|---|
//! | `scalar-channels` | section 5.1, C.1 (E1) | Thin-PID against MMI on all 32 scalar settings |
//! | `planar-channels` | section 5.1, Figure 3 (E2) | error along α and θ for several `reg` |
//! | `random-channels` | Theorem 3.3, Proposition 3.4 | objective gap to the certified optimum |
//! | `doubling` | Figure C.2 (E3) | whether atoms double with the system |
//! | `growth` | Figure 4, Table 1 (E4) | iterations and time against dimension |
//! | `solver-times` | Figure 4, Table 1 (E4), Q1 | Thin-PID against Tilde-PID and the closed form |
//! | `mixtures` | Lemma 3.2 (T1) | joint information of non-Gaussian couplings |
//! | `information-bound` | Corollary 4.3 (T5) | both readings of the bound by the divergence |
//! | `path` | ours (Q1) | Thin-PID's iterates against the optimum |
//! | `gates` | ours | exact discrete decomposition of truth tables |
//! | `additive-label` | Table 3 (Q8) | redundancy of an additive label |
//! | `label-noise` | ours (Q6) | discrete atoms of pure noise |
//! | `invariance` | Theorem 4.1, Corollary 4.2 (T4) | atoms under invertible linear maps |
//! | `published-truth` | Table 2, Table C.1 (E5) | atoms on the paper's own channels |
//! | `real-views` | section 5.3 in spirit | six views of handwritten digits |
//! | `distortions` | section 5.2, Table 2 (E5), Q2 | copula and flows on distorted systems |
//! | `triple-blindness` | ours (Q4) | synergy that no pair shows |
//! | `specialised` | Appendix C.2, Table 3 (E6), Q8 | labels of shared and private latents |
//! | `entropy-ceiling` | ours (Q5) | Gaussian information about a label against its entropy |
//! | `semi-real` | ours (Q3) | known structure made of real digit images |
//! | `real-fusion`, `real-omics` | section 5.3 (C8) | real two-source data by four estimators |
//! | `model-selection` | Appendix D.2, Table 6 (E8) | accuracies of fusion models |
//! | `noise-floor` | ours (Q6) | atoms of pure noise |

use eval::{Cell, Cx, Effort, Error, Result, Row};
use faer::Mat;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::atoms::{ATOM_NAMES, Atoms};
use crate::error::PidError;
use crate::gpid::descent::Descent;
use crate::gpid::solver::Solution;
use crate::paper::Config;

mod discrete_checks;
mod distortions;
mod doubling;
mod entropy_ceiling;
mod growth;
mod information_bound;
mod invariance;
mod mixtures;
mod model_selection;
mod noise_floor;
mod path;
mod planar_channels;
mod published_truth;
mod random_channels;
mod real_fusion;
mod real_views;
mod scalar_channels;
mod seed_channels;
mod semi_real;
mod solver_times;
mod specialised;
mod staged;
mod sweeps;
mod triple_blindness;

/// Every cell, in canonical order.
#[must_use]
pub fn cells(effort: Effort) -> Vec<Cell> {
    [
        scalar_channels::cells(),
        planar_channels::cells(),
        random_channels::cells(effort),
        doubling::cells(effort),
        invariance::cells(effort),
        published_truth::cells(),
        real_views::cells(effort),
        distortions::cells(effort),
        triple_blindness::cells(effort),
        specialised::cells(effort),
        entropy_ceiling::cells(),
        noise_floor::cells(effort),
        semi_real::cells(effort),
        real_fusion::cells(effort),
        model_selection::cells(effort),
        information_bound::cells(),
        path::cells(),
        discrete_checks::cells(effort),
        mixtures::cells(effort),
        growth::cells(effort),
        solver_times::cells(effort),
    ]
    .concat()
}

/// Measures one cell.
///
/// # Errors
/// The cell's experiment is unknown, its inputs are damaged, or its rows cannot be written.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    match cell.experiment.as_str() {
        scalar_channels::NAME => scalar_channels::run(cx, config, cell),
        planar_channels::NAME => planar_channels::run(cx, config, cell),
        random_channels::NAME => random_channels::run(cx, config, cell),
        doubling::NAME => doubling::run(cx, config, cell),
        invariance::NAME => invariance::run(cx, config, cell),
        published_truth::NAME => published_truth::run(cx, config, cell),
        real_views::NAME => real_views::run(cx, config, cell),
        growth::NAME => growth::run(cx, config, cell),
        distortions::NAME => distortions::run(cx, config, cell),
        triple_blindness::NAME => triple_blindness::run(cx, cell),
        specialised::NAME => specialised::run(cx, config, cell),
        entropy_ceiling::NAME => entropy_ceiling::run(cx, cell),
        semi_real::NAME => semi_real::run(cx, config, cell),
        real_fusion::NAME | real_fusion::OMICS => real_fusion::run(cx, config, cell),
        model_selection::NAME => model_selection::run(cx, config, cell),
        noise_floor::NAME => noise_floor::run(cx, cell),
        solver_times::NAME => solver_times::run(cx, config, cell),
        mixtures::NAME => mixtures::run(cx, cell),
        information_bound::NAME => information_bound::run(cx),
        path::NAME => path::run(cx, config, cell),
        discrete_checks::GATES => discrete_checks::run_gate(cx, cell),
        discrete_checks::ADDITIVE => discrete_checks::run_additive(cx, cell),
        discrete_checks::NOISE => discrete_checks::run_noise(cx, cell),
        other => Err(Error::internal(format!(
            "no experiment is called `{other}`"
        ))),
    }
}

/// The value of a condition's key.
fn condition<'a>(cell: &'a Cell, key: &str) -> Result<&'a str> {
    cell.get(key)
        .ok_or_else(|| Error::internal(format!("cell `{}` has no condition `{key}`", cell.id())))
}

/// The same as a number.
fn number<T: std::str::FromStr>(cell: &Cell, key: &str) -> Result<T> {
    let text = condition(cell, key)?;
    text.parse().map_err(|_| {
        Error::internal(format!(
            "condition `{key}` of cell `{}` holds `{text}`",
            cell.id()
        ))
    })
}

/// A measurement, or the reason why there is none.
fn measured(metric: &str, value: Result<f64, PidError>, unit: &str) -> Row {
    match value {
        Ok(value) => Row::new(metric, value, unit),
        Err(why) => Row::failed(metric, unit, why.to_string()),
    }
}

/// One row per atom.
fn emit_atoms(
    cx: &mut Cx,
    metric: &str,
    atoms: &Result<Atoms, PidError>,
    with: impl Fn(Row) -> Row,
) -> Result<()> {
    for (k, name) in ATOM_NAMES.into_iter().enumerate() {
        let value = atoms
            .as_ref()
            .map(|atoms| atoms.parts()[k])
            .map_err(Clone::clone);
        cx.row(with(measured(metric, value, "bits").tag("atom", name)))?;
    }
    Ok(())
}

/// What an iteration reports of its own run: how long it was, and why it ended.
fn emit_run(cx: &mut Cx, found: &Descent, with: impl Fn(Row) -> Row) -> Result<()> {
    let count =
        |name: &str, n: u64| with(Row::new(name, n as f64, "1").tag("stop", found.stop.as_str()));
    cx.row(count("iterations", found.iterations))?;
    cx.row(count("projections", found.projections))?;
    cx.row(count("on_boundary", u64::from(found.on_boundary())))
}

/// The same of any solver, if it iterates.
fn emit_solution(cx: &mut Cx, solution: &Solution, with: impl Fn(Row) -> Row) -> Result<()> {
    match solution.descent() {
        Some(found) => emit_run(cx, found, with),
        None => Ok(()),
    }
}

/// A matrix of independent standard normal numbers.
fn normal_matrix(rows: usize, columns: usize, rng: &mut impl Rng) -> Mat<f64> {
    Mat::from_fn(rows, columns, |_, _| StandardNormal.sample(rng))
}

/// A random orthogonal matrix: the Q factor of a normal matrix.
fn orthogonal(size: usize, rng: &mut impl Rng) -> Mat<f64> {
    normal_matrix(size, size, rng).qr().compute_Q()
}
