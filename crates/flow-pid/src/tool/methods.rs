//! The methods behind one door: an estimate, its resamples, and its null.

use eval::engine::Stream;
use eval::{Error, Result};
use faer::Mat;
use rand::SeedableRng;

use super::options::{Method, Options};
use super::report::Diagnostics;
use super::variables::Variables;
use crate::atoms::Atoms;
use crate::data::principal_components;
use crate::estimate::{Samples, debias};
use crate::flow::{FlowData, fit, gaussianity, rank_gaussian};

/// What a method brings.
pub(super) struct Found {
    pub method: Method,
    pub note: String,
    pub atoms: Atoms,
    pub debiased: Option<Atoms>,
    pub resampled: Vec<Atoms>,
    pub shuffled: Vec<Atoms>,
    pub n_columns: [usize; 2],
    pub diagnostics: Diagnostics,
    pub warnings: Vec<String>,
}

/// Runs the chosen method, or the one that suits.
pub(super) fn run(variables: &Variables, options: &Options) -> Result<Found> {
    let reduce = |view: &Mat<f64>| match options.components {
        Some(kept) => principal_components(view.as_ref(), kept),
        None => Ok(view.clone()),
    };
    let (x1, x2) = (reduce(&variables.x1)?, reduce(&variables.x2)?);
    let (method, why) = choose(variables, [&x1, &x2], options)?;
    let seen = Seen {
        variables,
        x1,
        x2,
        options,
        why,
    };
    match method {
        Method::Gaussian | Method::Auto => gaussian(&seen),
        Method::Copula => copula(&seen),
        Method::Flow => flow(&seen),
        Method::Discrete => super::discrete::run(&seen),
    }
}

/// Variables after the reduction, and why the method was chosen.
pub(super) struct Seen<'a> {
    pub variables: &'a Variables,
    pub x1: Mat<f64>,
    pub x2: Mat<f64>,
    pub options: &'a Options,
    pub why: String,
}

fn choose(
    variables: &Variables,
    sources: [&Mat<f64>; 2],
    options: &Options,
) -> Result<(Method, String)> {
    /// Distance of an empirical distribution from a fitted normal one, times `√n`, that hardly
    /// any normal sample exceeds (Lilliefors 1967: 1.03 at 1 %).
    const DISTANCE: f64 = 1.03;
    if options.method != Method::Auto {
        return Ok((options.method, String::new()));
    }
    let few = |view: &Mat<f64>| {
        let mut values: Vec<f64> = view.col(0).iter().copied().collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        view.ncols() == 1 && values.len() <= options.bins
    };
    if variables.classes.is_some() && sources.iter().all(|view| few(view)) {
        let why = format!(
            ", chosen because both sources are single columns of at most {} values and the target \
             is a label",
            options.bins
        );
        return Ok((Method::Discrete, why));
    }
    let bound = DISTANCE / (variables.y.nrows() as f64).sqrt();
    let mut distance = 0.0_f64;
    for view in sources {
        distance = distance.max(gaussianity(view.as_ref())?.marginal_distance);
    }
    if variables.classes.is_none() {
        distance = distance.max(gaussianity(variables.y.as_ref())?.marginal_distance);
    }
    if distance <= bound {
        let why = format!(
            ", chosen because no column is farther from normal ({distance:.3}) than chance \
             ({bound:.3})"
        );
        return Ok((Method::Gaussian, why));
    }
    let why = format!(
        ", chosen because a column is farther from normal ({distance:.3}) than chance ({bound:.3})"
    );
    Ok((Method::Copula, why))
}

fn gaussian(seen: &Seen<'_>) -> Result<Found> {
    let samples = Samples::new(
        seen.variables.y.as_ref(),
        seen.x1.as_ref(),
        seen.x2.as_ref(),
    )
    .map_err(with_components)?;
    let note = format!(
        "closed form on the covariance of the columns as they are{}",
        seen.why
    );
    finish(
        seen,
        Method::Gaussian,
        note,
        &samples,
        Diagnostics::default(),
    )
}

fn copula(seen: &Seen<'_>) -> Result<Found> {
    let (x1, x2) = (
        rank_gaussian(seen.x1.as_ref())?,
        rank_gaussian(seen.x2.as_ref())?,
    );
    let y = match seen.variables.classes {
        Some(_) => seen.variables.y.clone(),
        None => rank_gaussian(seen.variables.y.as_ref())?,
    };
    let samples = Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref()).map_err(with_components)?;
    let note = format!(
        "every column to normal scores, then the closed form{}",
        seen.why
    );
    finish(seen, Method::Copula, note, &samples, Diagnostics::default())
}

fn flow(seen: &Seen<'_>) -> Result<Found> {
    /// Share of the items that the likelihood is measured on.
    const HELD_OUT: f64 = 0.2;
    let options = seen.options;
    let (y, x1, x2) = (&seen.variables.y, &seen.x1, &seen.x2);
    let data = FlowData::new(y.as_ref(), x1.as_ref(), x2.as_ref(), HELD_OUT, options.seed)
        .map_err(with_components)?;
    let trained = fit(&data, options.flow, options.seed, |_| true)?;
    let last = trained.curve.last().copied();
    let diagnostics = Diagnostics {
        held_out_nats: last.and_then(|point| point.held_out_nats),
        steps: Some(options.flow.steps),
        ..Diagnostics::default()
    };
    let note = format!(
        "flows trained on {} of {} items, closed form on their latents{}",
        data.n_items().0,
        y.nrows(),
        seen.why
    );
    let mut found = finish(seen, Method::Flow, note, &trained.samples, diagnostics)?;
    found.warnings.push(
        "intervals and null are of the trained flows: neither trains them again, so both are too \
         narrow"
            .to_owned(),
    );
    if trained.n_skipped > 0 {
        let n = trained.n_skipped;
        found
            .warnings
            .push(format!("{n} training steps had no finite loss"));
    }
    Ok(found)
}

/// Resamples, null, and diagnostics of Gaussian samples.
fn finish(
    seen: &Seen<'_>,
    method: Method,
    note: String,
    samples: &Samples,
    diagnostics: Diagnostics,
) -> Result<Found> {
    let options = seen.options;
    let atoms = samples.atoms().map_err(with_components)?;
    let mut rng = Stream::seed_from_u64(options.seed);
    let resampled = samples
        .bootstrap(options.bootstrap, &mut rng, |_| true)
        .map_err(|why| {
            Error::from(why).hint(
                "a resample lost a class or a column's spread: collect more items per class, or \
                 leave intervals out with `--bootstrap 0`",
            )
        })?;
    let mut rng = Stream::seed_from_u64(options.seed ^ u64::MAX);
    let shuffled = samples.permutation_null(options.shuffles, &mut rng, |_| true)?;
    let latent = gaussianity(samples.joint())?;
    let dims = samples.dims();
    let debiased = (method != Method::Flow).then(|| debias(&atoms, dims, samples.n_items()));
    Ok(Found {
        method,
        note,
        atoms,
        debiased,
        resampled,
        shuffled,
        n_columns: [dims.x1, dims.x2],
        diagnostics: Diagnostics {
            marginal_distance: Some(latent.marginal_distance),
            kurtosis_excess: Some(latent.kurtosis_excess),
            ..diagnostics
        },
        warnings: Vec::new(),
    })
}

/// Too many dimensions have one remedy here.
fn with_components(why: crate::PidError) -> Error {
    let remedy = "`--components 10` keeps the leading principal components of each source";
    match why {
        crate::PidError::TooFewItems { .. }
        | crate::PidError::SingularNoise { .. }
        | crate::PidError::NotPositiveDefinite { .. } => Error::from(why).hint(remedy),
        other => Error::from(other),
    }
}
