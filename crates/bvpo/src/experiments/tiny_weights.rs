//! Tier 1: the final metrics over the weight of the trace gradient, at several batch sizes (X1).

use eval::{Cx, Result, Row};

use super::tiny;
use super::tiny_training::{N_BATCH, POINTS, Run, Setting};
use crate::method::loss::PreferenceLoss;
use crate::method::theory::{Population, Randomness};
use crate::tinythink::data::Mode;
use crate::tinythink::metrics::{MODES, Quality};
use crate::tinythink::preference::Method;

/// The smaller batch of the fine grid of weights.
const N_BATCH_SMALL: usize = 2;
/// Batches of the coarse grid of weights.
const BATCHES: [usize; 5] = [1, 4, 16, 64, 256];

/// Eleven weights at two batch sizes.
pub fn over_weights(cx: &mut Cx, setting: &Setting, dpo: &dyn PreferenceLoss) -> Result<()> {
    for (done, n_batch) in [N_BATCH_SMALL, N_BATCH].into_iter().enumerate() {
        best_weight(cx, setting, dpo, (n_batch, 10))?;
        cx.progress(done as u64 + 1, 2);
    }
    Ok(())
}

/// Five weights at five batch sizes, beside the weight of least mean squared error at the start. A
/// batch larger than the data visits every pair several times, each time with a fresh trace.
pub fn over_batches(cx: &mut Cx, setting: &Setting, dpo: &dyn PreferenceLoss) -> Result<()> {
    let pairs = &setting.pairs[..setting.size.n_exact];
    let start = Population::of(&tiny::gradients(cx, &setting.network, pairs, dpo)?);
    for (done, n_batch) in BATCHES.into_iter().enumerate() {
        let best = best_weight(cx, setting, dpo, (n_batch, 4))?;
        for randomness in Randomness::ALL {
            let star = start.moments(n_batch, randomness).alpha_star();
            for (metric, value) in [
                ("alpha_predicted_batch", star),
                ("best_minus_predicted", best - star),
            ] {
                let row = Row::new(metric, value, "1").tag("batch", n_batch);
                cx.row(row.tag("random", randomness.as_str()))?;
            }
        }
        cx.progress(done as u64 + 1, BATCHES.len() as u64);
    }
    Ok(())
}

/// Trains with the weights `0, 1/n, …, 1` and gives the one with the highest reward.
fn best_weight(
    cx: &mut Cx,
    setting: &Setting,
    dpo: &dyn PreferenceLoss,
    (n_batch, n_weights): (usize, u32),
) -> Result<f64> {
    let mut best = (f64::NEG_INFINITY, 0.0);
    for i in 0..=n_weights {
        let alpha = f64::from(i) / f64::from(n_weights);
        let run = Run {
            n_batch,
            mode: Mode::Resample,
            ..Run::new(dpo, Method::Mix(alpha), setting)
        };
        let (network, _) = run.train(cx, setting, |_, _, _| {})?;
        let qualities = setting.evaluators[1].of(&network);
        let reward = 0.5 * (qualities[0].reward + qualities[1].reward);
        if reward > best.0 {
            best = (reward, alpha);
        }
        for (mode, quality) in MODES.into_iter().zip(qualities) {
            for row in rows(&run, quality) {
                cx.row(row.tag("mode", mode).tag("alpha", alpha).tag("tuned", "no"))?;
            }
        }
    }
    let row = Row::new("best_alpha", best.1, "1").tag("batch", n_batch);
    cx.row(row.tag("random", "traces+data"))?;
    Ok(best.1)
}

fn rows(run: &Run, quality: Quality) -> [Row; 4] {
    [
        run.row("reward", quality.reward, "1"),
        run.row("win_rate", POINTS * quality.win_rate, "points"),
        run.row("accuracy", POINTS * quality.accuracy, "points"),
        run.row("divergence", quality.divergence, "nats"),
    ]
}
