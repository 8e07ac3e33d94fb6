//! Tier 1: exact losses, metrics, and weights along training runs (X2).

use eval::{Cx, Error, Result, Row};

use super::tiny_training::{Run, Setting};
use crate::method::loss::PreferenceLoss;
use crate::tinythink::data::Mode;
use crate::tinythink::exact::{ExactPair, Losses};
use crate::tinythink::metrics::MODES;
use crate::tinythink::network::Network;
use crate::tinythink::preference::Method;

/// Points of a curve after its start.
const N_POINTS: usize = 4;

/// One run per method; every trace is counted at each point of its curve.
pub fn run(
    cx: &mut Cx,
    setting: &Setting,
    dpo: &dyn PreferenceLoss,
    is_sampled: bool,
) -> Result<()> {
    let methods: &[Method] = if is_sampled {
        &[
            Method::Trace,
            Method::Mix(0.5),
            Method::Empty,
            Method::Oracle,
        ]
    } else {
        &[Method::Marginal]
    };
    for (done, method) in methods.iter().enumerate() {
        let run = Run {
            mode: Mode::Resample,
            ..Run::new(dpo, *method, setting)
        };
        let every = (setting.size.n_steps / N_POINTS).max(1);
        let mut kept: Vec<(usize, Network, Option<f64>)> = Vec::new();
        run.train(cx, setting, |step, network, report| {
            if step.is_multiple_of(every) {
                kept.push((step, network.clone(), report.alpha));
            }
        })?;
        for (step, network, alpha) in kept {
            point(cx, setting, &run, (step, &network, alpha))?;
        }
        cx.progress(done as u64 + 1, methods.len() as u64);
    }
    Ok(())
}

/// One point of a curve.
fn point(
    cx: &mut Cx,
    setting: &Setting,
    run: &Run,
    (step, network, alpha): (usize, &Network, Option<f64>),
) -> Result<()> {
    let pairs = &setting.pairs[..setting.size.n_exact];
    let share = 1.0 / pairs.len() as f64;
    let mut mean = Losses::default();
    for pair in pairs {
        if cx.cancelled() {
            return Err(Error::new(
                eval::exit::INTERRUPTED,
                "the run was interrupted",
            ));
        }
        let losses = ExactPair::new(network, pair).losses(run.loss);
        mean.marginal += share * losses.marginal;
        mean.trace += share * losses.trace;
        mean.empty += share * losses.empty;
    }
    let at = if step == setting.size.n_steps {
        "end"
    } else {
        "before"
    };
    let tagged = |row: Row| row.tag("step", step).tag("at", at);
    for (name, value) in [
        ("curve_loss_marginal", mean.marginal),
        ("curve_loss_trace", mean.trace),
        ("curve_loss_empty", mean.empty),
    ] {
        cx.row(tagged(run.row(name, value, "nats")))?;
    }
    if let Some(alpha) = alpha {
        let row = run.row("curve_alpha", alpha, "1");
        cx.row(tagged(row.tag("random", "traces+data")))?;
    }
    for (mode, quality) in MODES.into_iter().zip(setting.evaluators[0].of(network)) {
        for (name, value) in [
            ("curve_reward", quality.reward),
            ("curve_accuracy", quality.accuracy),
            ("curve_divergence", quality.divergence),
        ] {
            cx.row(tagged(run.row(name, value, "1")).tag("mode", mode))?;
        }
    }
    Ok(())
}
