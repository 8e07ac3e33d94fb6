//! Q6: what plug-in estimates, the bias correction, and the copula say about pure noise.
//!
//! Target and sources are independent standard normal numbers, so that every information is 0.

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};

use super::{condition, emit_atoms, normal_matrix, number};
use crate::estimate::Samples;
use crate::flow::rank_gaussian;

/// The experiment's name.
pub const NAME: &str = "noise-floor";

/// Items, features of each source: the sizes of the smallest set of section 5.3 after its
/// encoders, of the same with all features, and of the pilot with many items.
const SIZES: [(u64, u64); 4] = [(690, 64), (690, 10), (690, 300), (10_000, 64)];

/// One cell per size and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let sizes = if effort.scale == Scale::Smoke {
        &SIZES[..2]
    } else {
        &SIZES
    };
    let mut cells = Vec::new();
    for (n, d) in sizes {
        for seed in 0..effort.n_seeds {
            cells.push(Cell::new(NAME, seed).with("n", n).with("features", d));
        }
    }
    cells
}

/// Measures the atoms of noise.
pub fn run(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let (n, d): (usize, usize) = (number(cell, "n")?, number(cell, "features")?);
    let mut rng = cx.rng("samples");
    let [y, x1, x2] = [1, d, d].map(|columns| normal_matrix(n, columns, &mut rng));
    let plain = Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref())?;
    let [sy, s1, s2] = [&y, &x1, &x2].map(|view| rank_gaussian(view.as_ref()));
    let copula = Samples::new(sy?.as_ref(), s1?.as_ref(), s2?.as_ref())?;
    for (estimator, atoms) in [
        ("plug-in", plain.atoms()?),
        ("debiased", plain.atoms_debiased()?),
        ("copula", copula.atoms()?),
    ] {
        let tag = |row: Row| row.tag("estimator", estimator);
        emit_atoms(cx, "atom_bits", &Ok(atoms), tag)?;
        cx.row(tag(Row::new("total_bits", atoms.info12, "bits")))?;
    }
    if condition(cell, "features")? == "64" {
        let mut rng = cx.rng("shuffles");
        let null = plain.permutation_null(50, &mut rng, |_| !cx.cancelled())?;
        let totals: Vec<f64> = null.iter().map(|atoms| atoms.info12).collect();
        let bound = eval::stats::quantile(&totals, 0.95)
            .map_err(|why| Error::internal(format!("the permutation null: {why}")))?;
        let within = f64::from(u8::from(plain.atoms()?.info12 <= bound));
        cx.row(Row::new("null_bound_bits", bound, "bits"))?;
        cx.row(Row::new("within_null", within, "1"))?;
    }
    Ok(())
}
