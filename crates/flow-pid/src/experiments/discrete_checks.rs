//! The exact discrete decomposition: gates with known answers, the additive label behind `D_S`
//! (Q8), and what finite samples of pure noise give (Q6, discrete half).
//!
//! **Additive label.** `Y = 1[z1 + z2 > 0]` with `X1 = z1`, `X2 = z2` independent standard normal.
//! The pairs (X1,Y) and (X2,Y) are equal, so one coupling has X1 = X2 and the union information is
//! `I(X1;Y) = 1 − ∫ h(u) du = 1 − 1/(2 ln 2)`: all of it is redundancy, and the rest, `1/(2 ln 2)`,
//! synergy. The sources are cut into classes of equal probability here, and the exact discrete
//! decomposition solved, which uses no such argument; more classes lose less.

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use rand::RngExt;
use statrs::distribution::{ContinuousCDF, Normal};

use super::{condition, emit_atoms, number};
use crate::discrete::information::InformationEstimator;
use crate::discrete::{Broja, BrojaConfig, Gate, Joint, Labels};
use crate::linalg::NATS_PER_BIT;

/// The experiments' names.
pub const GATES: &str = "gates";
/// The additive label.
pub const ADDITIVE: &str = "additive-label";
/// Discrete noise.
pub const NOISE: &str = "label-noise";

/// Items and classes of the noise: as many items as the paper's smallest set.
const NOISE_ITEMS: usize = 690;
const NOISE_CLASSES: [usize; 3] = [8, 8, 2];

/// Points per class at which the label's probability is evaluated.
const POINTS: usize = 64;

/// Every cell of the three experiments.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let (levels, shuffles): (&[usize], _) = match effort.scale {
        Scale::Smoke => (&[2, 4], 20),
        Scale::Quick => (&[2, 4, 8, 16], 40),
        Scale::Full | Scale::Paper => (&[2, 4, 8, 16, 32], 200),
    };
    let gate = |gate: &Gate| Cell::new(GATES, 0).with("gate", gate.name());
    let level = |n: &usize| Cell::new(ADDITIVE, 0).with("levels", n);
    let noise = |seed| Cell::new(NOISE, seed).with("shuffles", shuffles);
    let mut cells: Vec<Cell> = Gate::ALL.iter().map(gate).collect();
    cells.extend(levels.iter().map(level));
    // A seed takes milliseconds.
    cells.extend((0..4 * effort.n_seeds).map(noise));
    cells
}

/// One gate against its known atoms.
pub fn run_gate(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let name = condition(cell, "gate")?;
    let Some(gate) = Gate::ALL.into_iter().find(|gate| gate.name() == name) else {
        return Err(Error::internal(format!("no gate is called `{name}`")));
    };
    let found = Broja::of(&gate.joint()?, &BrojaConfig::default())?;
    emit_atoms(cx, "atom_bits", &Ok(found.atoms), |row| row)?;
    let pairs = found.atoms.parts().into_iter().zip(gate.known());
    let error = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    cx.row(Row::new("error_bits", error, "bits"))?;
    let gap = found.certificate.gap_bits().abs();
    cx.row(Row::new("certificate_gap_bits", gap, "bits"))?;
    cx.row(Row::new("iterations", found.iterations as f64, "1"))
}

/// The additive label at one number of classes.
pub fn run_additive(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let levels: usize = number(cell, "levels")?;
    let found = Broja::of(&additive_label(levels)?, &BrojaConfig::default())?;
    emit_atoms(cx, "atom_bits", &Ok(found.atoms), |row| row)?;
    let gap = found.certificate.gap_bits().abs();
    cx.row(Row::new("certificate_gap_bits", gap, "bits"))?;
    let exact = 1.0 - 0.5 / NATS_PER_BIT;
    cx.row(Row::new("exact_redundancy_bits", exact, "bits"))?;
    let missing = exact - found.atoms.redundancy;
    cx.row(Row::new("missing_redundancy_bits", missing, "bits"))
}

/// `p(class of z1, class of z2, y)`: given z1, `P(y = 1, z2 in class)` is elementary; z1 is
/// averaged over the quantiles of its class.
fn additive_label(levels: usize) -> Result<Joint> {
    let normal = Normal::standard();
    let quantile = |p: f64| normal.inverse_cdf(p.clamp(0.0, 1.0));
    let n = levels * POINTS;
    let mut p = vec![0.0; levels * levels * 2];
    for k in 0..n {
        let z1 = quantile((k as f64 + 0.5) / n as f64);
        // Y = 1 where z2 > −z1, that is, above this share of z2's distribution.
        let edge = normal.cdf(-z1);
        for x2 in 0..levels {
            let (low, high) = (x2 as f64 / levels as f64, (x2 + 1) as f64 / levels as f64);
            let above = (high - edge.max(low)).max(0.0);
            let cell = ((k / POINTS) * levels + x2) * 2;
            p[cell] += (high - low - above) / n as f64;
            p[cell + 1] += above / n as f64;
        }
    }
    Ok(Joint::new([levels, levels, 2], p)?)
}

/// Independent labels: plug-in and corrected totals, and the permutation null.
pub fn run_noise(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let mut rng = cx.rng("labels");
    let [x1, x2, y] = NOISE_CLASSES.map(|classes| {
        let draw = |_| rng.random_range(0..classes);
        (0..NOISE_ITEMS).map(draw).collect::<Vec<usize>>()
    });
    let labels = Labels::new(x1, x2, y)?;
    let mut totals = Vec::new();
    for estimator in InformationEstimator::ALL {
        let atoms = labels.atoms_corrected(estimator)?;
        let tag = |row: Row| row.tag("estimator", estimator.name());
        emit_atoms(cx, "atom_bits", &Ok(atoms), tag)?;
        cx.row(tag(Row::new("total_bits", atoms.info12, "bits")))?;
        totals.push(atoms.info12);
    }
    // The first estimator is the plug-in; what a correction leaves is a share of it.
    for (estimator, total) in InformationEstimator::ALL.into_iter().zip(&totals).skip(1) {
        let removed = 1.0 - total / totals[0];
        let row = Row::new("removed_share", removed, "1");
        cx.row(row.tag("estimator", estimator.name()))?;
    }
    let n: usize = number(cell, "shuffles")?;
    let mut rng = cx.rng("shuffles");
    let null = labels.permutation_null(n, &mut rng, |done| {
        cx.progress(done as u64, n as u64);
        !cx.cancelled()
    })?;
    let null: Vec<f64> = null.iter().map(|atoms| atoms.info12).collect();
    let bound = eval::stats::quantile(&null, 0.95)
        .map_err(|why| Error::internal(format!("the permutation null: {why}")))?;
    cx.row(Row::new("null_bound_bits", bound, "bits"))?;
    let within = f64::from(u8::from(totals[0] <= bound));
    cx.row(Row::new("within_null", within, "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_additive_label_s_pairs_are_equal_and_its_target_fair() {
        let joint = additive_label(4).unwrap();
        assert!((joint.target_entropy_bits() - 1.0).abs() < 1e-12);
        assert!((joint.info1_bits() - joint.info2_bits()).abs() < 1e-5);
        // Two classes are the signs: both agree half of the time and then decide; otherwise Y is
        // fair.
        let signs = additive_label(2).unwrap();
        assert!((signs.info12_bits() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn finer_classes_approach_the_exact_redundancy_from_below() {
        let exact = 1.0 - 0.5 / NATS_PER_BIT;
        let mut before = f64::INFINITY;
        for levels in [2, 4, 8] {
            let joint = additive_label(levels).unwrap();
            let found = Broja::of(&joint, &BrojaConfig::default()).unwrap();
            let missing = exact - found.atoms.redundancy;
            assert!(
                missing > 0.0 && missing < 0.6 * before,
                "{levels}: {missing}"
            );
            before = missing;
        }
        assert!(before < 0.02, "{before}");
    }
}
