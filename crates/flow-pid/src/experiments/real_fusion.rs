//! C8: real data with two sources, by Flow-PID and by what it is compared with.
//!
//! Estimators: `flow` (RealNVP, the paper's recipe, label as one number), `copula` and `gaussian`
//! (label as indicator columns), `clusters` (k-means clusters of each source and the exact discrete
//! decomposition, the paper's CVX baseline). Sources are their leading principal components. Each
//! total stands beside the label's entropy; `clusters` and `copula` have a permutation null.
//!
//! Experiment `real-omics` is the same on patients' tables that may only be read at run time.

use eval::stats::quantile;
use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use faer::Mat;

use super::distortions::settings_of;
use super::{condition, emit_atoms, number, staged};
use crate::atoms::{ATOM_NAMES, Atoms};
use crate::data::{
    Coding, encode, label_entropy_bits, labels, principal_components, read_matrix,
    without_constant_columns,
};
use crate::discrete::Labels;
use crate::discriminant;
use crate::estimate::Samples;
use crate::flow::{FlowData, rank_gaussian};
use crate::paper::Config;
use crate::real::clusters;
use crate::tool::{Table, Values};

/// The experiment on data sets of the repository.
pub const NAME: &str = "real-fusion";

/// The experiment on tables that are fetched.
pub const OMICS: &str = "real-omics";

/// Name, data set, files of both sources and of the label.
const SETS: [(&str, &str, [&str; 3]); 6] = [
    (
        "digits-kar-fou",
        "uci-multiple-features",
        ["kar.parquet", "fou.parquet", "labels.parquet"],
    ),
    (
        "digits-pix-mor",
        "uci-multiple-features",
        ["pix.parquet", "mor.parquet", "labels.parquet"],
    ),
    (
        "digits-fac-zer",
        "uci-multiple-features",
        ["fac.parquet", "zer.parquet", "labels.parquet"],
    ),
    (
        "optical-halves",
        "optical-digits",
        ["left.parquet", "right.parquet", "labels.parquet"],
    ),
    (
        "breast-cancer",
        "breast-cancer",
        ["shape.parquet", "texture.parquet", "labels.parquet"],
    ),
    (
        "wine",
        "wine",
        ["phenols.parquet", "composition.parquet", "labels.parquet"],
    ),
];

/// The same for the fetched tables: microRNA, genes, and a label.
const OMICS_SETS: [(&str, &str, [&str; 3]); 2] = [
    (
        "subtype",
        "tcga-brca",
        ["mirna.csv", "rna.csv", "target.csv"],
    ),
    (
        "stage",
        "tcga-brca",
        ["mirna.csv", "rna.csv", "clinical.csv"],
    ),
];

/// The label's column in the fetched tables.
const OMICS_LABELS: [(&str, &str); 2] = [("subtype", "target"), ("stage", "pathologic_stage")];

/// Level of the null's bound.
const LEVEL: f64 = 0.95;

/// One cell per set and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let (steps, shuffles, seeds) = match effort.scale {
        Scale::Smoke => (30, 20, 1),
        Scale::Quick => (1000, 50, 1),
        Scale::Full | Scale::Paper => (5000, 1000, effort.n_seeds.min(5)),
    };
    let mut cells = Vec::new();
    let all = SETS.map(|set| (NAME, set)).into_iter();
    for (experiment, (set, data, _)) in all.chain(OMICS_SETS.map(|set| (OMICS, set))) {
        if effort.scale == Scale::Smoke && !["wine", "subtype"].contains(&set) {
            continue;
        }
        for seed in 0..seeds {
            let cell = Cell::new(experiment, seed)
                .with("set", set)
                .with("steps", steps)
                .with("shuffles", shuffles);
            cells.push(cell.needs(data));
        }
    }
    cells
}

/// The sets of the repository and the data each needs.
pub fn sets() -> impl Iterator<Item = (&'static str, &'static str)> {
    SETS.into_iter().map(|(set, data, _)| (set, data))
}

/// Two sources and a label.
pub struct Views {
    /// Source 1, one item a row.
    pub x1: Mat<f64>,
    /// Source 2.
    pub x2: Mat<f64>,
    /// Class of each item, from 0.
    pub classes: Vec<usize>,
}

/// Measures all estimators on one set.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let views = views(cx, config, cell)?;
    let entropy = label_entropy_bits(&views.classes);
    cx.row(Row::new("label_entropy_bits", entropy, "bits"))?;
    let accuracy = [&views.x1, &views.x2]
        .map(|view| discriminant::accuracy(view.as_ref(), &views.classes, config.folds));
    let [first, second] = accuracy;
    let (first, second) = (first?, second?);
    for (source, share) in [("1", first), ("2", second)] {
        cx.row(Row::new("accuracy", share, "1").tag("source", source))?;
    }
    let accuracy = first - second;
    cx.row(Row::new("accuracy_difference", accuracy, "1"))?;

    let y = encode(&views.classes, Coding::OneHot);
    let plain = Samples::new(y.as_ref(), views.x1.as_ref(), views.x2.as_ref())?;
    let (s1, s2) = (
        rank_gaussian(views.x1.as_ref())?,
        rank_gaussian(views.x2.as_ref())?,
    );
    let copula = Samples::new(y.as_ref(), s1.as_ref(), s2.as_ref())?;
    emit(cx, "gaussian", &plain.atoms()?, entropy, accuracy)?;
    emit(cx, "copula", &copula.atoms()?, entropy, accuracy)?;
    emit(
        cx,
        "copula-debiased",
        &copula.atoms_debiased()?,
        entropy,
        accuracy,
    )?;
    let n: usize = number(cell, "shuffles")?;
    let mut rng = cx.rng("shuffles");
    let null = copula.permutation_null(n, &mut rng, |_| !cx.cancelled())?;
    emit_null(cx, "copula", &copula.atoms()?, &null)?;

    let mut rng = cx.rng("clusters");
    let of = |view: &Mat<f64>, rng: &mut _| clusters(view.as_ref(), config.clusters, rng);
    let (c1, c2) = (of(&views.x1, &mut rng)?, of(&views.x2, &mut rng)?);
    let discrete = Labels::new(c1, c2, views.classes.clone())?;
    emit(cx, "clusters", &discrete.atoms()?, entropy, accuracy)?;
    flow(cx, cell, &views, entropy, accuracy)
}

fn flow(cx: &mut Cx, cell: &Cell, views: &Views, entropy: f64, accuracy: f64) -> Result<()> {
    let settings = settings_of("realnvp-6", number(cell, "steps")?)?;
    let y = encode(&views.classes, Coding::Scalar);
    let data = FlowData::new(
        y.as_ref(),
        views.x1.as_ref(),
        views.x2.as_ref(),
        0.0,
        cell.seed,
    )?;
    let fit = staged::train(cx, &cell.id().to_string(), &data, settings, cell.seed)?.fit;
    staged::emit_curve(cx, &fit, |row| row)?;
    emit(cx, "flow", &fit.atoms, entropy, accuracy)?;
    let n: usize = number(cell, "shuffles")?;
    let mut rng = cx.rng("flow-shuffles");
    let null = fit
        .samples
        .permutation_null(n, &mut rng, |_| !cx.cancelled())?;
    emit_null(cx, "flow", &fit.atoms, &null)
}

/// The views of the cell's set: leading principal components of either source.
pub fn views(cx: &Cx, config: &Config, cell: &Cell) -> Result<Views> {
    let set = condition(cell, "set")?;
    let known = SETS.into_iter().chain(OMICS_SETS);
    let (_, data, files) = known
        .into_iter()
        .find(|(name, ..)| *name == set)
        .ok_or_else(|| Error::internal(format!("no set is called `{set}`")))?;
    let data = cx.data(data)?;
    let [x1, x2, y] = files.map(|file| data.file(file));
    if cell.experiment == OMICS {
        return omics(set, [&x1?, &x2?, &y?].map(|path| Table::read(path)), config);
    }
    let reduced = |raw: Mat<f64>| -> Result<Mat<f64>> {
        let (varying, _) = without_constant_columns(raw.as_ref());
        Ok(principal_components(varying.as_ref(), config.components)?)
    };
    Ok(Views {
        x1: reduced(read_matrix(&x1?)?)?,
        x2: reduced(read_matrix(&x2?)?)?,
        classes: labels(read_matrix(&y?)?.as_ref())?,
    })
}

/// Tables whose first column names the patient, in the same order in all; patients without a
/// label, or with one that fewer than twenty share, are left out.
fn omics(set: &str, tables: [Result<Table>; 3], config: &Config) -> Result<Views> {
    const PATIENTS_MIN: usize = 20;
    let [x1, x2, y] = tables;
    let (x1, x2, y) = (x1?, x2?, y?);
    let names = [&x1, &x2, &y].map(|table| &table.columns[0].values);
    if names[0] != names[1] || names[0] != names[2] {
        return Err(Error::inputs("the tables do not list the same patients"));
    }
    let wanted = OMICS_LABELS.iter().find(|(name, _)| *name == set);
    let column = wanted.map_or("", |(_, column)| *column).to_owned();
    let label = y.select(&[column])?;
    let texts: Vec<Option<String>> = match &label.columns[0].values {
        Values::Texts(values) => values.clone(),
        Values::Numbers(values) => values
            .iter()
            .map(|value| value.map(|value| format!("{value:05}")))
            .collect(),
    };
    let share = |text: &String| {
        texts
            .iter()
            .flatten()
            .filter(|other| *other == text)
            .count()
    };
    let keep: Vec<usize> = (0..texts.len())
        .filter(|item| {
            texts[*item]
                .as_ref()
                .is_some_and(|text| share(text) >= PATIENTS_MIN)
        })
        .collect();
    let mut classes: Vec<&String> = keep
        .iter()
        .filter_map(|item| texts[*item].as_ref())
        .collect();
    let each = classes.clone();
    classes.sort();
    classes.dedup();
    let view = |table: &Table| -> Result<Mat<f64>> {
        let mut out = Mat::zeros(keep.len(), table.columns.len() - 1);
        for (k, column) in table.columns[1..].iter().enumerate() {
            let Values::Numbers(values) = &column.values else {
                return Err(Error::inputs(format!(
                    "column `{}` of `{}` holds text",
                    column.name, table.file
                )));
            };
            for (i, item) in keep.iter().enumerate() {
                out[(i, k)] = values[*item].ok_or_else(|| {
                    Error::inputs(format!(
                        "column `{}` of `{}` has a gap",
                        column.name, table.file
                    ))
                })?;
            }
        }
        let (varying, _) = without_constant_columns(out.as_ref());
        Ok(principal_components(varying.as_ref(), config.components)?)
    };
    Ok(Views {
        x1: view(&x1)?,
        x2: view(&x2)?,
        classes: each
            .iter()
            .map(|text| classes.partition_point(|class| class < text))
            .collect(),
    })
}

fn emit(cx: &mut Cx, estimator: &str, atoms: &Atoms, entropy: f64, accuracy: f64) -> Result<()> {
    let tag = |row: Row| row.tag("estimator", estimator);
    emit_atoms(cx, "atom_bits", &Ok(*atoms), tag)?;
    cx.row(tag(Row::new("total_bits", atoms.info12, "bits")))?;
    cx.row(tag(Row::new(
        "above_entropy_bits",
        atoms.info12 - entropy,
        "bits",
    )))?;
    let unique = atoms.unique1 - atoms.unique2;
    cx.row(tag(Row::new("unique_difference_bits", unique, "bits")))?;
    let agrees = f64::from(u8::from(unique * accuracy > 0.0));
    cx.row(tag(Row::new("dominance_agrees", agrees, "1")))
}

fn emit_null(cx: &mut Cx, estimator: &str, atoms: &Atoms, null: &[Atoms]) -> Result<()> {
    for (k, name) in ATOM_NAMES.into_iter().enumerate() {
        let values: Vec<f64> = null.iter().map(|atoms| atoms.parts()[k]).collect();
        let bound = quantile(&values, LEVEL)
            .map_err(|why| Error::internal(format!("the permutation null: {why}")))?;
        let tag = |row: Row| row.tag("estimator", estimator).tag("atom", name);
        cx.row(tag(Row::new("null_bound_bits", bound, "bits")))?;
        let above = atoms.parts()[k] - bound;
        cx.row(tag(Row::new("above_null_bits", above, "bits")))?;
    }
    Ok(())
}
