//! Q4: what making only the pairs Gaussian cannot see, and whether a separate estimate of the joint
//! information repairs it.
//!
//! World `sign`: X1, X2, Z are independent standard normal, `Y = |Z| sign(X1 X2)`. Every pair of
//! the three is a pair of independent normal variables, so that Flow-PID's loss is already at its
//! optimum with identity flows, and all four atoms come out as 0. The truth is 1 bit of synergy:
//! the sign of Y is decided by the sources and |Y| is independent of them.
//!
//! World `gaussian`: a scalar Gaussian system with known atoms, on which the repair must change
//! nothing.

use eval::{Cell, Cx, Effort, Result, Row, Scale};
use faer::Mat;

use super::{condition, normal_matrix, number};
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::estimate::Samples;
use crate::flow::{RatioSettings, joint_information_bits};

/// The experiment's name.
pub const NAME: &str = "triple-blindness";

/// One cell per world and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let (n, epochs, seeds) = match effort.scale {
        Scale::Smoke => (2000, 3, 1),
        Scale::Quick => (8000, 60, effort.n_seeds.min(3)),
        Scale::Full | Scale::Paper => (30_000, 100, effort.n_seeds.min(10)),
    };
    let mut cells = Vec::new();
    for world in ["sign", "gaussian"] {
        for seed in 0..seeds {
            let cell = Cell::new(NAME, seed)
                .with("world", world)
                .with("n", n)
                .with("epochs", epochs);
            cells.push(cell);
        }
    }
    cells
}

/// Measures the synergy both ways.
pub fn run(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let n: usize = number(cell, "n")?;
    let mut rng = cx.rng("samples");
    let sources = normal_matrix(n, 2, &mut rng);
    let noise = normal_matrix(n, 1, &mut rng);
    let is_sign = condition(cell, "world")? == "sign";
    let (y, x1, x2, truth) = if is_sign {
        let y = Mat::from_fn(n, 1, |i, _| {
            noise[(i, 0)].abs() * (sources[(i, 0)] * sources[(i, 1)]).signum()
        });
        let x = |k: usize| Mat::from_fn(n, 1, |i, _| sources[(i, k)]);
        (y, x(0), x(1), 1.0)
    } else {
        // Y is `noise`; X1 = 1.5 Y + n1, X2 = Y + n2.
        let gain = [1.5, 1.0];
        let x = |k: usize| Mat::from_fn(n, 1, |i, _| gain[k] * noise[(i, 0)] + sources[(i, k)]);
        let h = |k: usize| Mat::from_fn(1, 1, |_, _| gain[k]);
        let channel = Channel::with_independent_noise(h(0), h(1))?;
        let truth = Atoms::of_channel(&channel)?.synergy;
        (noise.clone(), x(0), x(1), truth)
    };
    let atoms = Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref())?.atoms()?;
    let joint = Mat::from_fn(n, 2, |i, k| if k == 0 { x1[(i, 0)] } else { x2[(i, 0)] });
    let settings = RatioSettings {
        epochs: number(cell, "epochs")?,
        ..RatioSettings::default()
    };
    let info12 = joint_information_bits(y.as_ref(), joint.as_ref(), settings, cell.seed)?;
    for (estimator, synergy) in [
        ("pairs-gaussian", atoms.synergy),
        ("separate-joint", info12 - atoms.union),
    ] {
        let tag = |row: Row| row.tag("estimator", estimator);
        cx.row(tag(Row::new("synergy_bits", synergy, "bits")))?;
        let error = (synergy - truth).abs();
        cx.row(tag(Row::new("synergy_error_bits", error, "bits")))?;
    }
    cx.row(Row::new("synergy_true_bits", truth, "bits"))
}
