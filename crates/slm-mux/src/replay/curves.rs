//! Accuracy and losses against the number of samples.

use eval::Result;
use rand::Rng;

use super::methods::{METHODS, expected_right};
use crate::rule::{Policy, Ranking};
use crate::samples::SampleTable;
use crate::scaling::Simulator;

/// Everything at one k.
#[derive(Clone, Debug)]
pub struct Curve {
    /// k.
    pub k: usize,
    /// Name of each method with the expected share of right answers of each question.
    pub right: Vec<(&'static str, Vec<f64>)>,
    /// T10: mean oracle, mean loss to a more confident wrong model, mean loss of ties.
    pub oracle: f64,
    /// See [`Curve::oracle`].
    pub confidently_wrong: f64,
    /// See [`Curve::oracle`].
    pub tie_lost: f64,
}

/// The curves at each k of `ks`.
///
/// # Errors
/// A k cannot be drawn from the recorded samples.
pub fn curves(
    validation: &SampleTable,
    test: &SampleTable,
    ks: impl IntoIterator<Item = usize>,
    n_trials: usize,
    random: &mut impl Rng,
) -> Result<Vec<Curve>> {
    let ranking = Ranking::of_policy(
        &Policy::reproduction(),
        &validation.accuracies(),
        test.models().len(),
    );
    let n = test.questions().len();
    let mut found = Vec::new();
    for k in ks {
        let simulator = Simulator::new(test, k)?;
        let mut right = Vec::new();
        for (name, method) in METHODS {
            let of = expected_right(method, &simulator, validation, test, n_trials, random)?;
            right.push((name, of));
        }
        let regrets: Vec<_> = (0..n)
            .map(|question| simulator.expected(question, ranking.order()))
            .collect();
        let mean = |part: &dyn Fn(&crate::theory::Regret) -> f64| {
            regrets.iter().map(part).sum::<f64>() / n.max(1) as f64
        };
        found.push(Curve {
            k,
            right,
            oracle: mean(&|regret| regret.oracle),
            confidently_wrong: mean(&|regret| regret.confidently_wrong),
            tie_lost: mean(&|regret| regret.tie_lost),
        });
    }
    Ok(found)
}
