//! Tier 1: every method at every learning rate.
//!
//! A method's rate is chosen on validation prompts by its mean reward over both modes (the rows of
//! that rate carry `tuned = yes`), and whether it lies at an end of the grid is a row of its own:
//! there the best rate may be outside. Where the reward ignores correctness, so does this choice;
//! accuracy and reward at one divergence from the reference policy therefore stand beside it.

use eval::{Cx, Result, Row};

use super::tiny_training::{POINTS, Run, Setting, emit};
use crate::tinythink::metrics::{MODES, Quality};

/// Peak learning rates among which a method may choose.
pub const RATES: [f64; 4] = [3e-4, 1e-3, 3e-3, 1e-2];
/// The divergence `KL(π(y|x) ‖ π_ref(y|x))` at which methods are compared, in nats.
const MATCHED: f64 = 0.5;

/// One rate of a run.
struct Try<'a> {
    run: Run<'a>,
    /// Mean reward over both modes on validation prompts.
    validation: f64,
    /// Both modes on test prompts.
    test: [Quality; 2],
}

/// Every run at every rate; the one with the best validation reward is the tuned one.
pub fn run(cx: &mut Cx, setting: &Setting, runs: &[Run]) -> Result<()> {
    let mut found: Vec<(String, [Quality; 2])> = Vec::new();
    for (done, run) in runs.iter().enumerate() {
        let mut tries = Vec::with_capacity(RATES.len());
        for rate in RATES {
            let at = Run { rate, ..*run };
            let (network, report) = at.train(cx, setting, |_, _, _| {})?;
            let [thinking, silent] = setting.evaluators[0].of(&network);
            let validation = 0.5 * (thinking.reward + silent.reward);
            cx.row(at.row("validation_reward", validation, "1"))?;
            cx.row(at.row("tokens", report.n_tokens as f64, "tokens"))?;
            let test = setting.evaluators[1].of(&network);
            tries.push(Try {
                run: at,
                validation,
                test,
            });
        }
        let best = best_of(&tries);
        for (i, tried) in tries.iter().enumerate() {
            let tuned = if i == best { "yes" } else { "no" };
            emit(cx, (&tried.run, setting), tried.test, tuned)?;
        }
        let at_end = f64::from(u8::from(best == 0 || best + 1 == tries.len()));
        for (metric, value) in [("tuned_rate", RATES[best]), ("tuned_at_end", at_end)] {
            cx.row(Row::new(metric, value, "1").tag("arm", run.arm()))?;
        }
        matched_rows(cx, (run, setting), &tries)?;
        found.push((run.arm(), tries[best].test));
        cx.progress(done as u64 + 1, runs.len() as u64);
    }
    gains(cx, &found)
}

/// The first of the rates with the highest validation reward.
fn best_of(tries: &[Try]) -> usize {
    let better = |best: usize, i: usize| {
        if tries[i].validation > tries[best].validation {
            i
        } else {
            best
        }
    };
    (0..tries.len()).fold(0, better)
}

/// Accuracy and reward where a method has moved [`MATCHED`] nats from the reference policy, with
/// thinking; no rows where no rate takes it so far.
fn matched_rows(cx: &mut Cx, (run, setting): (&Run, &Setting), tries: &[Try]) -> Result<()> {
    for (at, mode) in MODES.into_iter().enumerate() {
        let base = setting.base[at];
        let path = |of: fn(&Quality) -> f64| {
            let start = std::iter::once((0.0, of(&base)));
            let tried = tries.iter().map(|tried| tried.test[at]);
            let points: Vec<(f64, f64)> =
                start.chain(tried.map(|q| (q.divergence, of(&q)))).collect();
            value_at(MATCHED, &points)
        };
        let (accuracy, reward) = (path(|q| POINTS * q.accuracy), path(|q| q.reward));
        let change = accuracy.map(|accuracy| accuracy - POINTS * base.accuracy);
        for (metric, value, unit) in [
            ("accuracy_matched", accuracy, "points"),
            ("accuracy_change_matched", change, "points"),
            ("reward_matched", reward, "1"),
        ] {
            let Some(value) = value else {
                continue;
            };
            let row = Row::new(metric, value, unit).tag("arm", run.arm());
            cx.row(row.tag("mode", mode).tag("divergence", MATCHED))?;
        }
    }
    Ok(())
}

/// The ordinate where a path of points first passes the abscissa `x`, between two points on a
/// straight line; none where it never does.
fn value_at(x: f64, path: &[(f64, f64)]) -> Option<f64> {
    path.windows(2).find_map(|step| {
        let ((x0, y0), (x1, y1)) = (step[0], step[1]);
        (x0 <= x && x < x1).then(|| y0 + (y1 - y0) * (x - x0) / (x1 - x0))
    })
}

/// What BVPO gains over the better of DPO and SimPO, in every mode and metric (C10), and whether
/// this one run shows it ahead of DPO (X9).
fn gains(cx: &mut Cx, found: &[(String, [Quality; 2])]) -> Result<()> {
    let of = |wanted: &dyn Fn(&str) -> bool| {
        let arm = found.iter().find(|(arm, _)| wanted(arm));
        arm.map(|(_, qualities)| *qualities)
    };
    let (Some(ours), Some(dpo), Some(simpo)) = (
        of(&|arm| arm.starts_with("mix-")),
        of(&|arm| arm == "trace"),
        of(&|arm| arm == "simpo-trace"),
    ) else {
        return Ok(());
    };
    for (k, mode) in MODES.into_iter().enumerate() {
        let values = |quality: Quality| {
            [quality.win_rate, quality.accuracy, quality.reward].map(|value| POINTS * value)
        };
        let [ours, dpo, simpo] = [ours, dpo, simpo].map(|qualities| values(qualities[k]));
        for (m, metric) in ["win-rate", "accuracy", "reward"].into_iter().enumerate() {
            let gain = ours[m] - dpo[m].max(simpo[m]);
            let row = Row::new("gain_over_best", gain, "points").tag("mode", mode);
            cx.row(row.tag("of", metric))?;
            let ahead = f64::from(u8::from(ours[m] > dpo[m]));
            let row = Row::new("ahead_of_dpo", ahead, "1").tag("mode", mode);
            cx.row(row.tag("of", metric))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_at_a_divergence_lies_on_the_path() {
        let path = [(0.0, 90.0), (0.25, 80.0), (1.25, 40.0), (3.0, 10.0)];
        assert_eq!(value_at(0.5, &path), Some(70.0));
        assert_eq!(value_at(0.0, &path), Some(90.0));
        assert_eq!(value_at(3.5, &path), None, "no rate goes so far");
        // A path that turns back is read where it first passes.
        let back = [(0.0, 1.0), (2.0, 0.0), (1.0, 5.0), (3.0, 9.0)];
        assert_eq!(value_at(1.0, &back), Some(0.5));
        assert_eq!(value_at(1.0, &[]), None);
    }
}
