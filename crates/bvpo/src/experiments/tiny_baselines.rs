//! Tier 1: what stands beside BVPO at one learning rate: other estimators, other data, other
//! losses, at equal passes and at equal tokens.

use eval::{Cx, Result};

use super::tiny;
use super::tiny_training::{Run, Setting, emit};
use crate::method::loss::PreferenceLoss;
use crate::method::theory::{Population, Randomness};
use crate::paper::Config;
use crate::tinythink::data::{Mode, Pair};
use crate::tinythink::network::Network;
use crate::tinythink::preference::Method;

/// Trains and evaluates every baseline.
pub fn run(
    cx: &mut Cx,
    config: &Config,
    setting: &Setting,
    losses: &[Box<dyn PreferenceLoss>; 3],
) -> Result<()> {
    let [dpo, _, ipo] = [0, 1, 2].map(|i: usize| losses[i].as_ref());
    let half = Method::Mix(config.alpha);
    let shared: Vec<Pair> = setting
        .pairs
        .iter()
        .map(|pair| pair.with_shared_answers(&setting.network))
        .collect();
    let mut runs: Vec<Run> = [
        Method::Trace,
        half,
        Method::Empty,
        Method::Union,
        Method::Mean(2),
        Method::Mean(4),
        Method::Weighted(2),
        Method::Weighted(4),
        Method::Shrink(config.alpha),
        Method::Adaptive,
    ]
    .into_iter()
    .map(|method| Run::new(dpo, method, setting))
    .collect();
    for (method, n_passes) in [(Method::Trace, 1), (Method::Mean(2), 2)] {
        runs.push(Run {
            data: "equal-tokens",
            n_steps: steps_of_equal_tokens(setting, n_passes),
            ..Run::new(dpo, method, setting)
        });
    }
    runs.push(Run {
        pairs: &shared,
        data: "shared-answers",
        ..Run::new(dpo, half, setting)
    });
    for method in [Method::Trace, half] {
        runs.push(Run::new(ipo, method, setting));
        runs.push(Run {
            mode: Mode::Resample,
            ..Run::new(dpo, method, setting)
        });
    }
    for (done, run) in runs.iter().enumerate() {
        let (network, report) = run.train(cx, setting, |_, _, _| {})?;
        let tokens = run.row("tokens", report.n_tokens as f64, "tokens");
        cx.row(tokens.tag("arm", run.arm()).tag("steps", run.n_steps))?;
        if let Some(alpha) = report.alpha_estimated {
            adaptive_rows(cx, setting, (run, &network), alpha)?;
        }
        let qualities = setting.evaluators[1].of(&network);
        emit(cx, (run, setting), qualities, "no")?;
        cx.progress(done as u64 + 1, runs.len() as u64);
    }
    Ok(())
}

/// Steps after which `n_passes` trace pairs per example have cost as many scored tokens as BVPO's
/// trace pair and empty pair do over the usual number of steps.
fn steps_of_equal_tokens(setting: &Setting, n_passes: usize) -> usize {
    let tokens = |of: fn(&Pair) -> usize| setting.pairs.iter().map(of).sum::<usize>().max(1);
    let (trace, silent) = (tokens(Pair::trace_tokens), tokens(Pair::silent_tokens));
    let share = (trace + silent) as f64 / (n_passes * trace) as f64;
    ((setting.size.n_steps as f64 * share).round() as usize).max(1)
}

/// The estimated weight at the end of a run against the exact one (X6).
fn adaptive_rows(
    cx: &mut Cx,
    setting: &Setting,
    (run, network): (&Run, &Network),
    estimated: f64,
) -> Result<()> {
    let pairs = &setting.pairs[..setting.size.n_exact];
    let exact = tiny::gradients(cx, network, pairs, run.loss)?;
    let population = Population::of(&exact);
    for randomness in Randomness::ALL {
        let star = population.moments(run.n_batch, randomness).alpha_star();
        let row = |metric: &str, value: f64| {
            run.row(metric, value, "1")
                .tag("random", randomness.as_str())
        };
        cx.row(row("alpha_exact", star))?;
        cx.row(row("alpha_estimated", estimated))?;
        cx.row(row("alpha_estimate_error", estimated - star))?;
    }
    Ok(())
}
