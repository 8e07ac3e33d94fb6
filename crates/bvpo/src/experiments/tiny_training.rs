//! Tier 1: preference training with every estimator, evaluated exactly in both modes.
//!
//! | group | methods | what for |
//! |---|---|---|
//! | `core` | DPO, BVPO, no-thinking DPO, union, SimPO and SimPO mixed, at three rates each | C7–C11 |
//! | `baselines` | means, importance weights, shrinkage, adaptive weight, other data | X4, X6, X7, X13 |
//! | `alphas` | weights 0 to 1, two batch sizes | X1 |
//! | `style` | reward that ignores correctness | C9 |
//! | `curves` | exact losses and metrics along the way | X2 |
//!
//! A method's rate is chosen on validation prompts, by its mean reward over both modes; the rows of
//! that rate carry `tuned = yes`.

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::tiny::{self, NO_THINK_SHARE, Size};
use super::{condition, tiny_curves};
use crate::method::loss::PreferenceLoss;
use crate::paper::Config;
use crate::tinythink::data::{Mode, Pair, Silent};
use crate::tinythink::metrics::{Evaluator, MODES, Quality, split};
use crate::tinythink::network::Network;
use crate::tinythink::preference::{Method, StepReport, Training};
use crate::tinythink::task::Reward;

/// Name of the experiment.
pub const TRAINING: &str = "tiny-training";

/// Peak learning rates among which a method may choose.
const RATES: [f64; 3] = [3e-4, 1e-3, 3e-3];
/// The rate of runs that are not tuned: the middle one.
pub const RATE: f64 = RATES[1];
/// Pairs per step.
pub const N_BATCH: usize = 16;
/// The smaller batch of `alphas`.
const N_BATCH_SMALL: usize = 2;
/// Seeds at scale quick that follow the ideal gradient.
const N_MARGINAL: u64 = 2;
/// Validation prompts at most.
const N_VALIDATION: usize = 12;

/// One cell per seed and group.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let groups = ["core", "baselines", "alphas", "style", "curves"];
    let mut cells = Vec::new();
    for seed in effort.seeds() {
        for group in groups {
            cells.push(tiny::cell(TRAINING, effort, seed).with("group", group));
        }
        // Every trace counted at every step costs as much as all other curves together.
        if effort.scale == Scale::Full || (effort.scale == Scale::Quick && seed < N_MARGINAL) {
            cells.push(tiny::cell(TRAINING, effort, seed).with("group", "marginal-curve"));
        }
    }
    cells
}

/// What a group trains on.
pub struct Setting {
    /// The reference policy.
    pub network: Network,
    /// Training pairs.
    pub pairs: Vec<Pair>,
    /// Sizes.
    pub size: Size,
    /// Validation and test prompts with the reference policy's behaviour.
    pub evaluators: [Evaluator; 2],
}

impl Setting {
    fn new(cx: &mut Cx, size: Size, reward: Reward) -> Result<Self> {
        let seed = cx.cell().seed;
        let network = tiny::base(cx, size, seed, NO_THINK_SHARE)?;
        let pairs = tiny::pairs(cx, &network, size, reward, Silent::Empty)?;
        let [_, validation, test] = split();
        let evaluators =
            [(validation, N_VALIDATION), (test, size.n_prompts)].map(|(prompts, n)| {
                let n = n.min(size.n_prompts).min(prompts.len());
                Evaluator::new(&network, &prompts[..n], reward)
            });
        Ok(Self {
            network,
            pairs,
            size,
            evaluators,
        })
    }
}

/// One run: what is trained how, and how its rows are tagged.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The loss.
    pub loss: &'a dyn PreferenceLoss,
    /// The gradient.
    pub method: Method,
    /// The data; the setting's own unless said.
    pub pairs: &'a [Pair],
    /// What is special about the data: `own`, `shared-answers`.
    pub data: &'a str,
    /// Stored or fresh traces.
    pub mode: Mode,
    /// Peak learning rate.
    pub rate: f64,
    /// Pairs per step.
    pub n_batch: usize,
}

impl<'a> Run<'a> {
    /// A run on the setting's pairs with stored traces.
    pub fn new(loss: &'a dyn PreferenceLoss, method: Method, setting: &'a Setting) -> Self {
        Self {
            loss,
            method,
            pairs: &setting.pairs,
            data: "own",
            mode: Mode::Offline,
            rate: RATE,
            n_batch: N_BATCH,
        }
    }

    /// A row with the run's tags.
    pub fn row(&self, metric: &str, value: f64, unit: &str) -> Row {
        Row::new(metric, value, unit)
            .tag("loss", self.loss.name())
            .tag("method", self.method.name())
            .tag("data", self.data)
            .tag("traces", self.mode.as_str())
            .tag("rate", self.rate)
            .tag("batch", self.n_batch)
    }

    /// Trains; the generator is the same for every run of a cell, so that runs visit the same pairs
    /// in the same order.
    pub fn train(
        &self,
        cx: &mut Cx,
        setting: &Setting,
        mut see: impl FnMut(usize, &Network, &StepReport),
    ) -> Result<(Network, StepReport)> {
        let training = Training {
            pairs: self.pairs,
            loss: self.loss,
            method: self.method,
            mode: self.mode,
            rate: self.rate,
            n_steps: setting.size.n_steps,
            n_batch: self.n_batch.min(self.pairs.len()),
            n_oracle_pairs: setting.size.n_exact.min(8),
        };
        let mut rng = Pcg64Mcg::from_rng(&mut cx.rng("training"));
        let mut last = StepReport::default();
        let theta = training.run(
            setting.network.theta(),
            &mut rng,
            |step, network, report| {
                last = *report;
                see(step, network, report);
                !cx.cancelled()
            },
        );
        if cx.cancelled() {
            return Err(Error::new(
                eval::exit::INTERRUPTED,
                "the run was interrupted",
            ));
        }
        Ok((Network::new(theta), last))
    }
}

/// Measures one cell.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let size = Size::of_cell(cell)?;
    let group: String = condition(cell, "group")?;
    let reward = if group == "style" {
        Reward::Style
    } else {
        Reward::Full
    };
    let setting = Setting::new(cx, size, reward)?;
    let losses = tiny::losses(config);
    let (dpo, simpo) = (losses[0].as_ref(), losses[1].as_ref());
    let half = Method::Mix(config.alpha);
    base_rows(cx, &setting)?;
    match group.as_str() {
        "core" => {
            let dpo_methods = [Method::Trace, half, Method::Empty, Method::Union];
            let mut runs: Vec<Run> = dpo_methods
                .into_iter()
                .map(|method| Run::new(dpo, method, &setting))
                .collect();
            for method in [Method::Trace, half] {
                runs.push(Run::new(simpo, method, &setting));
            }
            tuned(cx, &setting, &runs)
        }
        "style" => {
            let methods = [Method::Trace, half, Method::Empty];
            let mut runs: Vec<Run> = methods
                .into_iter()
                .map(|method| Run::new(dpo, method, &setting))
                .collect();
            runs.push(Run::new(simpo, Method::Trace, &setting));
            tuned(cx, &setting, &runs)
        }
        "baselines" => baselines(cx, config, &setting, &losses),
        "alphas" => alphas(cx, &setting, dpo),
        _ => tiny_curves::run(cx, &setting, dpo, group == "curves"),
    }
}

/// The reference policy on test prompts.
fn base_rows(cx: &mut Cx, setting: &Setting) -> Result<()> {
    let qualities = setting.evaluators[1].of(&setting.network);
    for (mode, quality) in MODES.into_iter().zip(qualities) {
        for row in quality_rows(quality) {
            cx.row(row.tag("mode", mode).tag("arm", "base").tag("tuned", "yes"))?;
        }
    }
    Ok(())
}

/// The metrics of a mode.
fn quality_rows(quality: Quality) -> [Row; 4] {
    const POINTS: f64 = 100.0;
    [
        Row::new("reward", quality.reward, "1"),
        Row::new("win_rate", POINTS * quality.win_rate, "points"),
        Row::new("accuracy", POINTS * quality.accuracy, "points"),
        Row::new("divergence", quality.divergence, "nats"),
    ]
}

/// Emits the test metrics of a run.
fn emit(cx: &mut Cx, run: &Run, qualities: [Quality; 2], tuned: &str) -> Result<()> {
    for (mode, quality) in MODES.into_iter().zip(qualities) {
        for row in quality_rows(quality) {
            let mut tagged = run.row(&row.metric, row.value.unwrap_or(f64::NAN), &row.unit);
            tagged = tagged.tag("mode", mode).tag("tuned", tuned);
            // SimPO's runs are methods of their own in comparisons.
            let arm = match run.loss.name() {
                "dpo" => run.method.name(),
                loss => format!("{loss}-{}", run.method.name()),
            };
            let arm = if run.data == "own" {
                arm
            } else {
                format!("{arm}-{}", run.data)
            };
            cx.row(tagged.tag("arm", arm))?;
        }
    }
    Ok(())
}

/// Every run at every rate; the rate with the best validation reward is the tuned one.
fn tuned(cx: &mut Cx, setting: &Setting, runs: &[Run]) -> Result<()> {
    let mut best_gains: Vec<(String, [Quality; 2])> = Vec::new();
    for (done, run) in runs.iter().enumerate() {
        let mut tries = Vec::with_capacity(RATES.len());
        for rate in RATES {
            let at = Run { rate, ..*run };
            let (network, report) = at.train(cx, setting, |_, _, _| {})?;
            let [thinking, silent] = setting.evaluators[0].of(&network);
            let validation = 0.5 * (thinking.reward + silent.reward);
            cx.row(at.row("validation_reward", validation, "1"))?;
            cx.row(at.row("tokens", report.n_tokens as f64, "tokens"))?;
            tries.push((validation, at, setting.evaluators[1].of(&network)));
        }
        let best = tries.iter().enumerate().fold(
            0,
            |best, (i, this)| if this.0 > tries[best].0 { i } else { best },
        );
        for (i, (_, at, qualities)) in tries.iter().enumerate() {
            emit(cx, at, *qualities, if i == best { "yes" } else { "no" })?;
        }
        let name = format!("{} {}", run.loss.name(), run.method.name());
        best_gains.push((name, tries[best].2));
        cx.progress(done as u64 + 1, runs.len() as u64);
    }
    gains(cx, &best_gains)
}

/// What BVPO gains over the better of DPO and SimPO, in every mode and metric (C10).
fn gains(cx: &mut Cx, found: &[(String, [Quality; 2])]) -> Result<()> {
    let of = |name: &str| {
        found
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, q)| *q)
    };
    let ours = found
        .iter()
        .find(|(name, _)| name.starts_with("dpo mix"))
        .map(|(_, q)| *q);
    let (Some(ours), Some(dpo), Some(simpo)) = (ours, of("dpo trace"), of("simpo trace")) else {
        return Ok(());
    };
    for (k, mode) in MODES.into_iter().enumerate() {
        let values = |quality: Quality| {
            [quality.win_rate, quality.accuracy, quality.reward].map(|value| 100.0 * value)
        };
        let [ours, dpo, simpo] = [ours, dpo, simpo].map(|qualities| values(qualities[k]));
        for (m, metric) in ["win-rate", "accuracy", "reward"].into_iter().enumerate() {
            let gain = ours[m] - dpo[m].max(simpo[m]);
            let row = Row::new("gain_over_best", gain, "points").tag("mode", mode);
            cx.row(row.tag("of", metric))?;
        }
    }
    Ok(())
}

/// Baselines at one rate.
fn baselines(
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
        cx.row(run.row("tokens", report.n_tokens as f64, "tokens"))?;
        if let Some(alpha) = report.alpha_estimated {
            adaptive_rows(cx, setting, (run, &network), alpha)?;
        }
        emit(cx, run, setting.evaluators[1].of(&network), "no")?;
        cx.progress(done as u64 + 1, runs.len() as u64);
    }
    Ok(())
}

/// The estimated weight at the end of a run against the exact one (X6).
fn adaptive_rows(
    cx: &mut Cx,
    setting: &Setting,
    (run, network): (&Run, &Network),
    estimated: f64,
) -> Result<()> {
    use crate::method::theory::{Population, Randomness};
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

/// The final metrics over the weight, at two batch sizes (X1).
fn alphas(cx: &mut Cx, setting: &Setting, dpo: &dyn PreferenceLoss) -> Result<()> {
    for n_batch in [N_BATCH_SMALL, N_BATCH] {
        let mut best = (f64::NEG_INFINITY, 0.0);
        for i in 0..=10 {
            let alpha = f64::from(i) / 10.0;
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
                for row in quality_rows(quality) {
                    let value = row.value.unwrap_or(f64::NAN);
                    let row = run.row(&row.metric, value, &row.unit).tag("mode", mode);
                    cx.row(row.tag("alpha", alpha).tag("tuned", "no"))?;
                }
            }
        }
        let row = Row::new("best_alpha", best.1, "1").tag("batch", n_batch);
        cx.row(row.tag("random", "seed"))?;
    }
    Ok(())
}
