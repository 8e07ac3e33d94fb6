//! Q3: semi-real sets with a known structure, made of real digit images.
//!
//! Two views of handwritten digits (Karhunen-Loève coefficients and Fourier coefficients, UCI
//! Multiple Features) are put together so that the structure is known up to how well a view tells
//! the parity of its digit:
//!
//! | set | source 1 | source 2 | label | designed |
//! |---|---|---|---|---|
//! | `R` | digit i, kar | digit i, fou | parity i | R |
//! | `U1` | digit i, kar | digit j, fou | parity i | U1 |
//! | `S` | digit i, kar | digit j, fou | parity i xor parity j | S |
//! | `mix` | digit i, kar | digit j, fou | both parities (four classes) | U1 and U2 |
//!
//! Estimators: exact discrete decomposition of out-of-fold nearest-neighbour votes on each digit's
//! parity, and Gaussian and copula PID on ten principal components with indicator columns. Beside
//! them stands the joint information by a classifier of its own (Q4), which assumes no shape.

use eval::{Cell, Cx, Effort, Result, Row, Scale};
use faer::Mat;
use rand::seq::SliceRandom;

use super::{condition, emit_atoms};
use crate::atoms::{ATOM_NAMES, Atoms};
use crate::data::{
    Coding, encode, label_entropy_bits, labels, principal_components, read_matrix,
    without_constant_columns,
};
use crate::discrete::Labels;
use crate::estimate::Samples;
use crate::flow::{RatioSettings, joint_information_bits, rank_gaussian};
use crate::paper::Config;
use crate::real::out_of_fold_votes;

/// The experiment's name.
pub const NAME: &str = "semi-real";

const DATA: &str = "uci-multiple-features";

/// Neighbours that vote.
const NEIGHBOURS: usize = 5;

/// One cell per set and pairing.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let seeds = match effort.scale {
        Scale::Smoke => 1,
        Scale::Quick => effort.n_seeds.min(5),
        Scale::Full | Scale::Paper => effort.n_seeds,
    };
    let mut cells = Vec::new();
    for set in ["R", "U1", "S", "mix"] {
        for seed in 0..seeds {
            cells.push(Cell::new(NAME, seed).with("set", set).needs(DATA));
        }
    }
    cells
}

/// Measures all estimators on one set.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let data = cx.data(DATA)?;
    let digits = labels(read_matrix(&data.file("labels.parquet")?)?.as_ref())?;
    let read = |view: &str| -> Result<Mat<f64>> {
        let raw = read_matrix(&data.file(&format!("{view}.parquet"))?)?;
        Ok(without_constant_columns(raw.as_ref()).0)
    };
    let (kar, fou) = (read("kar")?, read("fou")?);
    let parity: Vec<usize> = digits.iter().map(|digit| digit % 2).collect();
    let n = digits.len();
    let set = condition(cell, "set")?;
    let mut rng = cx.rng("pairing");
    // Folds are drawn, since items are sorted by class.
    let mut folds: Vec<usize> = (0..n).map(|item| item % config.folds).collect();
    folds.shuffle(&mut rng);
    let mut other: Vec<usize> = (0..n).collect();
    if set != "R" {
        other.shuffle(&mut rng);
    }
    let label: Vec<usize> = (0..n)
        .map(|item| match (set, parity[item], parity[other[item]]) {
            ("S", a, b) => a ^ b,
            ("mix", a, b) => 2 * a + b,
            (_, a, _) => a,
        })
        .collect();
    let votes1 = out_of_fold_votes(kar.as_ref(), &parity, &folds, NEIGHBOURS)?;
    let votes2 = out_of_fold_votes(fou.as_ref(), &parity, &folds, NEIGHBOURS)?;
    let votes2: Vec<usize> = other.iter().map(|item| votes2[*item]).collect();
    let discrete = Labels::new(votes1, votes2, label.clone())?.atoms()?;
    let x1 = principal_components(kar.as_ref(), config.components)?;
    let x2 = principal_components(fou.as_ref(), config.components)?;
    let x2 = Mat::from_fn(n, x2.ncols(), |i, k| x2[(other[i], k)]);
    let y = encode(&label, Coding::OneHot);
    let gaussian = Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref())?.atoms_debiased()?;
    emit_separate(cx, (&y, &x1, &x2), &gaussian, &discrete, cell)?;
    let (s1, s2) = (rank_gaussian(x1.as_ref())?, rank_gaussian(x2.as_ref())?);
    let copula = Samples::new(y.as_ref(), s1.as_ref(), s2.as_ref())?.atoms_debiased()?;
    for (estimator, atoms) in [
        ("discrete", discrete),
        ("gaussian", gaussian),
        ("copula", copula),
    ] {
        emit(cx, set, estimator, &atoms)?;
    }
    let entropy = label_entropy_bits(&label);
    cx.row(Row::new("label_entropy_bits", entropy, "bits"))
}

/// The joint information estimated on its own (Q4), and the synergy with it, as shares of what the
/// discrete decomposition finds.
fn emit_separate(
    cx: &mut Cx,
    (y, x1, x2): (&Mat<f64>, &Mat<f64>, &Mat<f64>),
    gaussian: &Atoms,
    discrete: &Atoms,
    cell: &Cell,
) -> Result<()> {
    let d1 = x1.ncols();
    let sources = Mat::from_fn(x1.nrows(), d1 + x2.ncols(), |i, k| {
        if k < d1 { x1[(i, k)] } else { x2[(i, k - d1)] }
    });
    let settings = RatioSettings::default();
    let info12 = joint_information_bits(y.as_ref(), sources.as_ref(), settings, cell.seed)?;
    cx.row(Row::new("total_bits", info12, "bits").tag("estimator", "separate-joint"))?;
    cx.row(Row::new("joint_share", info12 / discrete.info12, "1"))?;
    // On the other sets there is no synergy to recover.
    if condition(cell, "set")? == "S" {
        let recovered = (info12 - gaussian.union) / discrete.synergy;
        cx.row(Row::new("recovered_share", recovered, "1"))?;
    }
    Ok(())
}

fn emit(cx: &mut Cx, set: &str, estimator: &str, atoms: &Atoms) -> Result<()> {
    let tag = |row: Row| row.tag("estimator", estimator);
    emit_atoms(cx, "atom_bits", &Ok(*atoms), tag)?;
    cx.row(tag(Row::new("total_bits", atoms.info12, "bits")))?;
    let Some(at) = ATOM_NAMES.iter().position(|name| *name == set) else {
        return Ok(());
    };
    let designed = atoms.parts()[at];
    cx.row(tag(Row::new("designed_bits", designed, "bits")))?;
    let is_largest = atoms.parts().iter().all(|part| *part <= designed);
    let is_largest = f64::from(u8::from(is_largest));
    cx.row(tag(Row::new("designed_is_largest", is_largest, "1")))
}
