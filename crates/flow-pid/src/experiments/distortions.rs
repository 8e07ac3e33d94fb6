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

use super::{condition, emit_atoms, normal_matrix, number, orthogonal, staged};
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::data::standardise;
use crate::estimate::Samples;
use crate::flow::{Architecture, Base, FlowData, FlowSettings, gaussianity, rank_gaussian};
use crate::legacy_gaussian::LegacyGaussian;
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
            for seed in 0..seeds {
                let cell = Cell::new(NAME, seed)
                    .with("dims", dims)
                    .with("distortion", distortion)
                    .with("estimator", estimator)
                    .with("n", n);
                let trains = FLOWS.contains(&estimator);
                cells.push(if trains {
                    cell.with("steps", steps)
                } else {
                    cell
                });
            }
        };
    let distortions = ["elementwise", "rotated", "coupled"];
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
    for distortion in distortions {
        // The third distortion is looked at once; the first two carry claims.
        let seeds = if distortion == "coupled" {
            long_seeds
        } else {
            seeds
        };
        for estimator in ["identity", "copula"].iter().chain(&FLOWS) {
            add("2x2x2", distortion, estimator, 10_000, steps, seeds);
        }
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

/// Measures one estimator on one distorted system.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let channel = published_channel(condition(cell, "dims")?)?;
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
    let clock = cx.stopwatch();
    let fit = staged::train(cx, &cell.id().to_string(), &data, settings, cell.seed)?;
    let spent = clock.elapsed();
    cx.timing(Row::new("flow_cpu_s", spent.cpu_s, "s"))?;
    let clock = cx.stopwatch();
    let atoms = fit.samples.atoms()?;
    cx.timing(Row::new("gpid_cpu_s", clock.elapsed().cpu_s, "s"))?;
    staged::emit_curve(cx, &fit, |row| row)?;
    cx.row(Row::new(
        "trainable_numbers",
        fit.model.n_params() as f64,
        "1",
    ))?;
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

/// The paper's channel of these dimensions, `d1xd2xdy`.
pub fn published_channel(dims: &str) -> Result<Channel> {
    let sizes: Vec<usize> = dims
        .split('x')
        .filter_map(|size| size.parse().ok())
        .collect();
    let [d1, d2, dy] = sizes[..] else {
        return Err(Error::internal(format!("`{dims}` are no dimensions")));
    };
    let mut stream = LegacyGaussian::seeded(0);
    let h1 = stream.matrix(d1, dy);
    let h2 = stream.matrix(d2, dy);
    Ok(Channel::with_independent_noise(h1, h2)?)
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
