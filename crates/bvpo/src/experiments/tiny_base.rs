//! Tier 1: the base model itself, its validity gates, and what the empty trace is worth (X5).

use eval::{Cell, Cx, Effort, Result, Row, Scale};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::tiny::{self, NO_THINK_SHARE, Size};
use super::{condition, tiny_moments};
use crate::method::loss::PreferenceLoss;
use crate::method::theory::{PairGradients, Population, Randomness};
use crate::paper::Config;
use crate::tinythink::data::{Pair, Silent};
use crate::tinythink::metrics::{Behaviour, Evaluator};
use crate::tinythink::network::Network;
use crate::tinythink::sampled::sampled_variance;
use crate::tinythink::task::{Prompt, Reward};

/// Name of the experiment.
pub const BASE: &str = "tiny-base";

/// Least accuracy that thinking must add for the run to count.
const GAP_MIN: f64 = 0.15;
/// Least mean entropy of traces for the run to count, in nats.
const ENTROPY_MIN: f64 = 1.0;
/// Batch size at which the weight is reported.
const N_BATCH: usize = 16;

/// Trace pairs drawn per preference pair for the Monte-Carlo check.
const N_DRAWS: usize = 200;

/// One cell per seed and share of sequences without thinking; the shares that the paper's setting
/// does not have are measured on fewer seeds.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let mut cells = Vec::new();
    for seed in effort.seeds() {
        for (share, n_seeds) in [(0.0, 3), (0.05, 1), (NO_THINK_SHARE, effort.n_seeds)] {
            let wanted = match effort.scale {
                Scale::Smoke => share == NO_THINK_SHARE,
                Scale::Quick => seed < n_seeds,
                Scale::Full | Scale::Paper => true,
            };
            if wanted {
                cells.push(tiny::cell(BASE, effort, seed).with("share", share));
            }
        }
    }
    cells
}

/// Measures one cell.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let size = Size::of_cell(cell)?;
    let share: f64 = condition(cell, "share")?;
    let network = tiny::base(cx, size, cell.seed, share)?;
    let prompts: Vec<Prompt> = Prompt::all()
        .take(if size.n_prompts < 5 { 5 } else { 125 })
        .collect();
    let evaluator = Evaluator::new(&network, &prompts, Reward::Full);
    let before = evaluator.before();
    let mean = |of: fn(&Behaviour) -> f64| before.iter().map(of).sum::<f64>() / before.len() as f64;
    let worst = before
        .iter()
        .map(|b| (b.total() - 1.0).abs())
        .fold(0.0, f64::max);
    cx.row(Row::new("total_error", worst, "1"))?;
    cx.row(Row::new(
        "trace_entropy",
        mean(Behaviour::trace_entropy),
        "nats",
    ))?;
    cx.row(Row::new(
        "mode_divergence",
        mean(Behaviour::mode_divergence),
        "nats",
    ))?;
    cx.row(Row::new(
        "logprob_variance_thinking",
        mean(|b| b.variances()[0]),
        "nats²",
    ))?;
    cx.row(Row::new(
        "length_variance_thinking",
        mean(|b| b.variances()[1]),
        "tokens²",
    ))?;
    cx.row(Row::new(
        "logprob_variance_no_thinking",
        mean(|b| b.variances()[2]),
        "nats²",
    ))?;
    let ratio = mean(|b| b.variances()[0]) / mean(|b| b.variances()[2]);
    cx.row(Row::new("logprob_variance_ratio", ratio, "1"))?;
    let [thinking, silent] = evaluator.of(&network);
    cx.row(Row::new("base_accuracy", thinking.accuracy, "1").tag("mode", "thinking"))?;
    cx.row(Row::new("base_accuracy", silent.accuracy, "1").tag("mode", "no-thinking"))?;
    let gap = thinking.accuracy - silent.accuracy;
    let gates = worst <= 1e-9 && gap >= GAP_MIN && mean(Behaviour::trace_entropy) >= ENTROPY_MIN;
    cx.row(Row::new("accuracy_gap", gap, "1"))?;
    cx.row(Row::new("gates_passed", f64::from(u8::from(gates)), "1"))?;
    let pairs = tiny::pairs(cx, &network, size, Reward::Full, Silent::Empty)?;
    let loss = &tiny::losses(config)[0];
    let exact = tiny::gradients(cx, &network, &pairs[..size.n_exact], loss.as_ref())?;
    let population = Population::of(&exact);
    sampled_rows(cx, (&network, loss.as_ref()), &pairs, &exact)?;
    for randomness in Randomness::ALL {
        let moments = population.moments(N_BATCH, randomness);
        let row = |metric: &str, value: f64| {
            let row = Row::new(metric, value, "1").tag("random", randomness.as_str());
            row.tag("batch", N_BATCH)
        };
        cx.row(row("alpha_star", moments.alpha_star()))?;
        cx.row(row("cosine_empty", moments.cosine_empty()))?;
        cx.row(row("empty_bias_ratio", moments.bias_e_sq / moments.mu_sq))?;
    }
    tiny_moments::noise_rows(cx, &population)
}

/// The exact variance of trace draws against a Monte-Carlo estimate from [`N_DRAWS`] draws a pair.
fn sampled_rows(
    cx: &mut Cx,
    (network, loss): (&Network, &dyn PreferenceLoss),
    pairs: &[Pair],
    exact: &[PairGradients],
) -> Result<()> {
    let mut rng = Pcg64Mcg::from_rng(&mut cx.rng("sampled variance"));
    let (mut sampled, mut known, mut distance) = (0.0, 0.0, 0.0);
    for (pair, exact) in pairs.iter().zip(exact) {
        let drawn = (N_DRAWS, exact.trace.as_slice());
        let found = sampled_variance((network, pair), loss, drawn, &mut rng);
        sampled += found[0];
        distance += found[1];
        known += exact.trace_variance;
    }
    cx.row(Row::new("sampled_variance_ratio", sampled / known, "1"))?;
    let ratio = N_DRAWS as f64 * distance / known;
    cx.row(Row::new("sampled_mean_ratio", ratio, "1"))
}
