//! How well a judge's scores follow the known agreement (claim C5).

use eval::stats::{pearson, spearman_coefficient};
use eval::{Error, Result};

use super::agreement::weighted_kappa;

/// A judge against the truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Pairs judged.
    pub n: usize,
    /// Correlation of scores with agreement; `None` where one of them does not vary.
    pub pearson: Option<f64>,
    /// The same of ranks.
    pub spearman: Option<f64>,
    /// Mean distance on the common scale from 0 to 1.
    pub mean_absolute_error: f64,
    /// Cohen's kappa with quadratic weights between scores and the true scores; `None` where chance
    /// explains everything.
    pub kappa: Option<f64>,
    /// Mean agreement of the pairs that got each score, in the order of scores.
    pub curve: Vec<CurvePoint>,
}

/// One point of the calibration curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The score.
    pub score: u8,
    /// Pairs that got it.
    pub n: usize,
    /// Their mean agreement, 0–1; a calibrated judge has `score / score_max`.
    pub agreement: f64,
}

/// Compares scores on 0 to `score_max` with agreements on 0 to 1.
///
/// # Errors
/// The lists are empty or differ in length, or a score is above `score_max`.
pub fn calibrate(scores: &[u8], agreements: &[f64], score_max: u8) -> Result<Calibration> {
    let n = scores.len();
    if n == 0 || n != agreements.len() {
        let n_agreements = agreements.len();
        return Err(Error::inputs(format!(
            "{n} scores of {n_agreements} agreements"
        )));
    }
    if let Some(score) = scores.iter().find(|score| **score > score_max) {
        return Err(Error::inputs(format!("score {score} is above {score_max}")));
    }
    let max = f64::from(score_max);
    let scaled: Vec<f64> = scores.iter().map(|score| f64::from(*score) / max).collect();
    let errors = scaled.iter().zip(agreements).map(|(s, a)| (s - a).abs());
    let judged: Vec<usize> = scores.iter().map(|score| usize::from(*score)).collect();
    let truth: Vec<usize> = agreements
        .iter()
        .map(|a| (a * max).round() as usize)
        .collect();
    let curve = (0..=score_max).filter_map(|score| {
        let with = scores.iter().zip(agreements).filter(|(s, _)| **s == score);
        let with: Vec<f64> = with.map(|(_, agreement)| *agreement).collect();
        (!with.is_empty()).then(|| CurvePoint {
            score,
            n: with.len(),
            agreement: with.iter().sum::<f64>() / with.len() as f64,
        })
    });
    Ok(Calibration {
        n,
        pearson: pearson(&scaled, agreements, 0.95)
            .ok()
            .map(|found| found.interval.value),
        spearman: spearman_coefficient(&scaled, agreements).ok(),
        mean_absolute_error: errors.sum::<f64>() / n as f64,
        kappa: weighted_kappa(&judged, &truth, usize::from(score_max) + 1).ok(),
        curve: curve.collect(),
    })
}

/// Spearman's correction (§3.3): the correlation that error-free measurements would have, from the
/// observed one and the reliabilities of both.
///
/// # Errors
/// A reliability is not in (0, 1].
pub fn corrected_for_attenuation(r: f64, reliability_x: f64, reliability_y: f64) -> Result<f64> {
    for reliability in [reliability_x, reliability_y] {
        if !(reliability > 0.0 && reliability <= 1.0) {
            return Err(Error::inputs(format!("a reliability of {reliability}"))
                .hint("reliabilities are above 0 and at most 1"));
        }
    }
    Ok(r / (reliability_x * reliability_y).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Oracle {
        scores: Vec<u8>,
        agreements: Vec<f64>,
        score_max: u8,
        pearson: f64,
        spearman: f64,
        mean_absolute_error: f64,
        kappa_quadratic: f64,
        kappa: f64,
    }

    /// Made by `tests/fixtures/judges/make.py` with scikit-learn and SciPy.
    const ORACLE: &str = include_str!("../../tests/fixtures/judges/oracle.json");

    #[test]
    fn calibration_is_that_of_scikit_learn_and_scipy() {
        let cases: Vec<Oracle> = serde_json::from_str(ORACLE).unwrap();
        assert!(cases.len() >= 3);
        for case in cases {
            let found = calibrate(&case.scores, &case.agreements, case.score_max).unwrap();
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
            close(found.pearson.unwrap(), case.pearson);
            close(found.spearman.unwrap(), case.spearman);
            close(found.mean_absolute_error, case.mean_absolute_error);
            close(found.kappa.unwrap(), case.kappa_quadratic);
            let scores: Vec<usize> = case.scores.iter().map(|s| usize::from(*s)).collect();
            let max = f64::from(case.score_max);
            let truth = case.agreements.iter().map(|a| (a * max).round() as usize);
            let truth: Vec<usize> = truth.collect();
            let plain = super::super::cohen_kappa(&scores, &truth, usize::from(case.score_max) + 1);
            close(plain.unwrap(), case.kappa);
        }
    }

    #[test]
    fn a_constant_judge_has_no_correlation_and_no_skill() {
        let found = calibrate(&[5, 5, 5, 5], &[0.0, 1.0, 0.5, 1.0], 10).unwrap();
        assert_eq!((found.pearson, found.spearman), (None, None));
        assert!(found.kappa.unwrap().abs() < 1e-12, "{:?}", found.kappa);
        assert_eq!(found.curve.len(), 1);
        assert!(calibrate(&[11], &[1.0], 10).is_err() && calibrate(&[], &[], 10).is_err());
    }

    #[test]
    fn attenuation_is_undone() {
        assert!((corrected_for_attenuation(0.3, 0.36, 1.0).unwrap() - 0.5).abs() < 1e-12);
        assert!(corrected_for_attenuation(0.3, 0.0, 1.0).is_err());
    }
}
