//! E5 and Q2: Gaussian systems seen through distortions, and what each estimator recovers.
//!
//! The system is the paper's seed-0 channel with independent noises. Its samples are distorted:
//!
//! * `elementwise`: each column standardised, then `x1³`, `∛x2`, `∛y`: the paper's;
//! * `rotated`: the same, each variable then turned by a random rotation;
//! * `coupled`: every second coordinate shifted by `x² − 1` of the one before, then as elementwise.
//!
//! All three are bijections per variable, so that the exact atoms stay those of the Gaussian system
//! (Corollary 4.2). Estimators: `identity` (Gaussian PID of the distorted samples, what the table's
//! Tilde columns do; closed form instead of Tilde-PID), `copula` (rank-Gaussian transform), and
//! flows by architecture. `realnvp-6` with its GaussianPCA base is the paper's recipe.

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use faer::{Mat, MatRef};

use super::seed_channels::seed_channel;
use super::{condition, emit_atoms, normal_matrix, number, orthogonal, staged};
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::data::standardise;
use crate::estimate::Samples;
use crate::flow::{Architecture, Base, FlowData, FlowSettings, gaussianity, rank_gaussian};
use crate::paper::Config;

/// The experiment's name.
pub const NAME: &str = "distortions";

/// Estimators that train flows.
const FLOWS: [&str; 5] = [
    "realnvp-6",
    "realnvp-2",
    "realnvp-12",
    "realnvp-6-ml",
    "spline",
];

/// Cells of one scale, in canonical order.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut add =
        |dims: &str, distortion: &str, estimator: &str, n: u64, steps: u64, seeds: u64| {
            let words = [dims, distortion, estimator];
            cells.extend((0..seeds).map(|seed| cell(words, n, steps, seed)));
        };
    let (steps, seeds, long_seeds) = match effort.scale {
        Scale::Smoke => {
            for estimator in ["identity", "copula", "realnvp-6"] {
                add("2x2x2", "elementwise", estimator, 1000, 60, 1);
            }
            return cells;
        }
        Scale::Quick => (3000, effort.n_seeds.min(3), 1),
        Scale::Full | Scale::Paper => (5000, effort.n_seeds.min(5), 3),
    };
    // Claims rest on the first two distortions of the smallest system, where a seed costs seconds,
    // or nothing without training; the third distortion is looked at once.
    let small_seeds = |estimator: &str| {
        if FLOWS.contains(&estimator) {
            effort.n_seeds.min(5)
        } else {
            4 * effort.n_seeds
        }
    };
    for estimator in ["identity", "copula"].iter().chain(&FLOWS) {
        for distortion in ["elementwise", "rotated"] {
            let seeds = small_seeds(estimator);
            add("2x2x2", distortion, estimator, 10_000, steps, seeds);
        }
        add("2x2x2", "coupled", estimator, 10_000, steps, long_seeds);
    }
    for estimator in ["identity", "copula", "realnvp-6"] {
        add("10x5x2", "elementwise", estimator, 10_000, steps, seeds);
        add(
            "16x16x2",
            "elementwise",
            estimator,
            10_000,
            steps,
            long_seeds,
        );
    }
    for dims in ["30x10x2", "100x60x2", "256x256x2"] {
        for estimator in ["identity", "copula"] {
            add(dims, "elementwise", estimator, 10_000, 0, 1);
        }
    }
    for n in [300, 1000, 3000] {
        for estimator in ["identity", "copula", "realnvp-6", "spline"] {
            let seeds = small_seeds(estimator);
            add("2x2x2", "elementwise", estimator, n, steps, seeds);
        }
    }
    if effort.scale >= Scale::Full {
        for estimator in ["identity", "copula", "realnvp-6", "spline"] {
            add("2x2x2", "elementwise", estimator, 30_000, steps, seeds);
            for distortion in ["rotated", "coupled"] {
                add("16x16x2", distortion, estimator, 10_000, steps, long_seeds);
            }
        }
    }
    cells
}

fn cell([dims, distortion, estimator]: [&str; 3], n: u64, steps: u64, seed: u64) -> Cell {
    let cell = Cell::new(NAME, seed)
        .with("dims", dims)
        .with("distortion", distortion)
        .with("estimator", estimator)
        .with("n", n);
    if FLOWS.contains(&estimator) {
        cell.with("steps", steps)
    } else {
        cell
    }
}

/// Measures one estimator on one distorted system.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let channel = seed_channel(condition(cell, "dims")?)?;
    let truth = Atoms::of_channel(&channel)?;
    let n: usize = number(cell, "n")?;
    let mut rng = cx.rng("samples");
    let [y, x1, x2] = distorted(&channel, condition(cell, "distortion")?, n, &mut rng)?;
    let estimator = condition(cell, "estimator")?;
    let samples = match estimator {
        "identity" => Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref())?,
        "copula" => {
            let [y, x1, x2] = [&y, &x1, &x2].map(|view| rank_gaussian(view.as_ref()));
            Samples::new(y?.as_ref(), x1?.as_ref(), x2?.as_ref())?
        }
        _ => return flow(cx, config, cell, &truth, [&y, &x1, &x2]),
    };
    let joint = samples.joint();
    let measured = gaussianity(joint)?;
    cx.row(Row::new(
        "marginal_distance_end",
        measured.marginal_distance,
        "1",
    ))?;
    emit_errors(cx, &samples.atoms()?, &truth)
}

fn flow(
    cx: &mut Cx,
    config: &Config,
    cell: &Cell,
    truth: &Atoms,
    [y, x1, x2]: [&Mat<f64>; 3],
) -> Result<()> {
    let settings = settings_of(condition(cell, "estimator")?, number(cell, "steps")?)?;
    let data = FlowData::new(
        y.as_ref(),
        x1.as_ref(),
        x2.as_ref(),
        config.held_out,
        cell.seed,
    )?;
    let staged::Trained { fit, cpu_s } =
        staged::train(cx, &cell.id().to_string(), &data, settings, cell.seed)?;
    let clock = cx.stopwatch();
    let atoms = fit.samples.atoms()?;
    let decomposition_s = clock.elapsed().cpu_s;
    for (stage, seconds) in [("flow", cpu_s), ("decomposition", decomposition_s)] {
        cx.timing(Row::new("stage_cpu_s", seconds, "s").tag("stage", stage))?;
    }
    staged::emit_curve(cx, &fit, |row| row)?;
    let n_params = fit.model.n_params() as f64;
    cx.row(Row::new("trainable_numbers", n_params, "1"))?;
    // Nearly all parameters are weights: one multiplication and one addition an item forward,
    // twice as many backward.
    let n_seen = settings.steps as f64 * settings.batch as f64;
    cx.row(Row::new("training_flop", 6.0 * n_params * n_seen, "flop"))?;
    if let Some(last) = fit.curve.last() {
        cx.row(Row::new(
            "marginal_distance_end",
            last.marginal_distance,
            "1",
        ))?;
        if let Some(nats) = last.held_out_nats {
            cx.row(Row::new("held_out_nats", nats, "nats"))?;
        }
    }
    emit_errors(cx, &atoms, truth)
}

/// Settings of an estimator by name.
pub fn settings_of(estimator: &str, steps: u64) -> Result<FlowSettings> {
    let recipe = FlowSettings {
        steps,
        ..FlowSettings::default()
    };
    let with = |architecture| FlowSettings {
        architecture,
        ..recipe
    };
    Ok(match estimator {
        "realnvp-6" => recipe,
        "realnvp-2" => with(Architecture::RealNvp { blocks: 2 }),
        "realnvp-12" => with(Architecture::RealNvp { blocks: 12 }),
        "realnvp-6-ml" => FlowSettings {
            base: Base::MaximumLikelihood,
            ..recipe
        },
        "spline" => FlowSettings {
            base: Base::MaximumLikelihood,
            ..with(Architecture::Spline {
                blocks: 2,
                bins: 32,
            })
        },
        other => {
            return Err(Error::internal(format!("no estimator is called `{other}`")));
        }
    })
}

/// Samples of target, source 1, and source 2, distorted.
fn distorted(
    channel: &Channel,
    distortion: &str,
    n: usize,
    rng: &mut impl rand::Rng,
) -> Result<[Mat<f64>; 3]> {
    let dims = channel.dims();
    let y = normal_matrix(n, dims.y, rng);
    let x1 = &y * channel.h1().transpose() + normal_matrix(n, dims.x1, rng);
    let x2 = &y * channel.h2().transpose() + normal_matrix(n, dims.x2, rng);
    let coupled = distortion == "coupled";
    let shaped = |view: &Mat<f64>, bend: fn(f64) -> f64| -> Result<Mat<f64>> {
        let mut standard = standardise(view.as_ref())?;
        if coupled {
            standard = standardise(shifted(standard.as_ref()).as_ref())?;
        }
        Ok(Mat::from_fn(n, view.ncols(), |i, k| bend(standard[(i, k)])))
    };
    let views = [
        shaped(&y, f64::cbrt)?,
        shaped(&x1, |x| x.powi(3))?,
        shaped(&x2, f64::cbrt)?,
    ];
    if distortion != "rotated" {
        return Ok(views);
    }
    Ok(views.map(|view| {
        let rotation = orthogonal(view.ncols(), rng);
        view * rotation
    }))
}

/// Adds `x² − 1` of each even coordinate to the odd one after it.
fn shifted(view: MatRef<'_, f64>) -> Mat<f64> {
    Mat::from_fn(view.nrows(), view.ncols(), |i, k| {
        if k % 2 == 1 {
            view[(i, k)] + view[(i, k - 1)].powi(2) - 1.0
        } else {
            view[(i, k)]
        }
    })
}

/// Atoms, their errors, and whether their order is the true one.
pub fn emit_errors(cx: &mut Cx, atoms: &Atoms, truth: &Atoms) -> Result<()> {
    emit_atoms(cx, "atom_bits", &Ok(*atoms), |row| {
        row.tag("kind", "estimate")
    })?;
    emit_atoms(cx, "atom_bits", &Ok(*truth), |row| row.tag("kind", "truth"))?;
    cx.row(Row::new("error_bits", atoms.distance_max(truth), "bits"))?;
    cx.row(Row::new("share_error", share_error(atoms, truth), "1"))?;
    let total = atoms.info12 / truth.info12;
    cx.row(Row::new("total_share", total, "1"))?;
    let order = eval::stats::spearman_coefficient(&atoms.parts(), &truth.parts())
        .map_err(|why| Error::internal(format!("the order of atoms: {why}")))?;
    cx.row(Row::new("order_agreement", order, "1"))?;
    let largest = |atoms: &Atoms| {
        let parts = atoms.parts();
        (0..4).max_by(|a, b| parts[*a].total_cmp(&parts[*b]))
    };
    let same = f64::from(u8::from(largest(atoms) == largest(truth)));
    cx.row(Row::new("largest_agrees", same, "1"))
}

/// Sum of absolute differences of atoms as shares of their totals.
fn share_error(atoms: &Atoms, truth: &Atoms) -> f64 {
    let shares = |atoms: &Atoms| atoms.parts().map(|part| part / atoms.info12);
    let pairs = shares(atoms).into_iter().zip(shares(truth));
    pairs.map(|(a, b)| (a - b).abs()).sum()
}
