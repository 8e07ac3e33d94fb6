//! Tier 1: preference training with every estimator, evaluated exactly in both modes.
//!
//! | group | methods | what for |
//! |---|---|---|
//! | `core` | DPO, BVPO, no-thinking DPO, union, two of SimPO; four rates | C7, C8, C10, C11, X9 |
//! | `style` | four of these, on a reward that ignores correctness | C9 |
//! | `baselines` | means, importance weights, shrinkage, adaptive, other data | X3 to X7, X13 |
//! | `alphas`, `batches` | weights 0 to 1 at several batch sizes | X1 |
//! | `curves` | exact losses and metrics along the way | X2 |

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::tiny::{self, NO_THINK_SHARE, Size};
use super::{condition, tiny_baselines, tiny_curves, tiny_rates, tiny_weights};
use crate::method::loss::PreferenceLoss;
use crate::paper::Config;
use crate::tinythink::data::{Mode, Pair, Silent};
use crate::tinythink::metrics::{Evaluator, MODES, Quality, split};
use crate::tinythink::network::Network;
use crate::tinythink::preference::{Method, StepReport, Training};
use crate::tinythink::task::Reward;

/// Name of the experiment.
pub const TRAINING: &str = "tiny-training";

/// The peak learning rate of runs that are not tuned.
pub const RATE: f64 = 1e-3;
/// Pairs per step.
pub const N_BATCH: usize = 16;
/// Seeds at scale quick that follow the ideal gradient.
const N_MARGINAL: u64 = 2;
/// Seeds at scale quick that train with five batch sizes.
const N_BATCHES: u64 = 2;
/// Validation prompts at most.
const N_VALIDATION: usize = 12;

/// One cell per seed and group; what is dear is measured on fewer seeds.
pub fn cells(effort: Effort) -> Vec<Cell> {
    const GROUPS: [(&str, u64); 7] = [
        ("core", u64::MAX),
        ("baselines", u64::MAX),
        ("alphas", u64::MAX),
        ("style", u64::MAX),
        ("curves", u64::MAX),
        // A batch of 256 is sixteen steps of the others, and every trace counted at every step
        // costs as much as all other curves together.
        ("batches", N_BATCHES),
        ("marginal-curve", N_MARGINAL),
    ];
    let mut cells = Vec::new();
    for seed in effort.seeds() {
        for (group, n_seeds) in GROUPS {
            let wanted = match effort.scale {
                Scale::Smoke => group != "marginal-curve",
                Scale::Quick => seed < n_seeds,
                Scale::Full | Scale::Paper => true,
            };
            if wanted {
                cells.push(tiny::cell(TRAINING, effort, seed).with("group", group));
            }
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
    /// The reference policy on test prompts, with thinking and without.
    pub base: [Quality; 2],
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
            base: evaluators[1].of_reference(),
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
    /// What is special about the run: `own` for nothing, `shared-answers`, `equal-tokens`.
    pub data: &'a str,
    /// Stored or fresh traces.
    pub mode: Mode,
    /// Peak learning rate.
    pub rate: f64,
    /// Pairs per step.
    pub n_batch: usize,
    /// Steps.
    pub n_steps: usize,
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
            n_steps: setting.size.n_steps,
        }
    }

    /// The method's name in comparisons: `mix-0.5`, `simpo-trace`, `mix-0.5-shared-answers`.
    pub fn arm(&self) -> String {
        let method = match self.loss.name() {
            "dpo" => self.method.name(),
            loss => format!("{loss}-{}", self.method.name()),
        };
        match self.data {
            "own" => method,
            data => format!("{method}-{data}"),
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
            n_steps: self.n_steps,
            n_batch: self.n_batch,
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
    let with_dpo = |methods: &[Method]| -> Vec<Run> {
        let runs = methods
            .iter()
            .map(|method| Run::new(dpo, *method, &setting));
        runs.collect()
    };
    let of_simpo = [Method::Trace, half].map(|method| Run::new(simpo, method, &setting));
    match group.as_str() {
        "core" => {
            let mut runs = with_dpo(&[Method::Trace, half, Method::Empty, Method::Union]);
            runs.extend(of_simpo);
            tiny_rates::run(cx, &setting, &runs)
        }
        "style" => {
            let mut runs = with_dpo(&[Method::Trace, half, Method::Empty]);
            runs.push(of_simpo[0]);
            tiny_rates::run(cx, &setting, &runs)
        }
        "baselines" => tiny_baselines::run(cx, config, &setting, &losses),
        "alphas" => tiny_weights::over_weights(cx, &setting, dpo),
        "batches" => tiny_weights::over_batches(cx, &setting, dpo),
        _ => tiny_curves::run(cx, &setting, dpo, group == "curves"),
    }
}

/// The reference policy on test prompts.
fn base_rows(cx: &mut Cx, setting: &Setting) -> Result<()> {
    for (mode, quality) in MODES.into_iter().zip(setting.base) {
        for row in quality_rows(quality) {
            cx.row(row.tag("mode", mode).tag("arm", "base").tag("tuned", "yes"))?;
        }
    }
    Ok(())
}

/// The metrics of a mode.
fn quality_rows(quality: Quality) -> [Row; 4] {
    [
        Row::new("reward", quality.reward, "1"),
        Row::new("win_rate", POINTS * quality.win_rate, "points"),
        Row::new("accuracy", POINTS * quality.accuracy, "points"),
        Row::new("divergence", quality.divergence, "nats"),
    ]
}

/// Points of a whole.
pub const POINTS: f64 = 100.0;

/// Emits the test metrics of a run, and how far its accuracy is from the reference policy's.
pub fn emit(
    cx: &mut Cx,
    (run, setting): (&Run, &Setting),
    qualities: [Quality; 2],
    tuned: &str,
) -> Result<()> {
    let base = setting.base;
    for (at, (mode, quality)) in MODES.into_iter().zip(qualities).enumerate() {
        let change = POINTS * (quality.accuracy - base[at].accuracy);
        let change = Row::new("accuracy_change", change, "points");
        for row in quality_rows(quality).into_iter().chain([change]) {
            let tagged = run.row(&row.metric, row.value.unwrap_or(f64::NAN), &row.unit);
            let tagged = tagged.tag("mode", mode).tag("tuned", tuned);
            cx.row(tagged.tag("arm", run.arm()))?;
        }
    }
    Ok(())
}
