//! Tier 1: exact mean squared errors of every mix, at the start and along training runs.

use eval::{Cell, Cx, Effort, Result, Row};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::tiny::{self, NO_THINK_SHARE, Size};
use crate::method::loss::PreferenceLoss;
use crate::method::theory::{
    Moments, Population, Randomness, dot, mix_beats_mean, traces_at_equal_tokens,
};
use crate::paper::Config;
use crate::tinythink::data::{Mode, Pair, Silent};
use crate::tinythink::network::{N_PARAMETERS, Network};
use crate::tinythink::preference::{Method, Training};
use crate::tinythink::task::Reward;

/// Name of the experiment.
pub const MOMENTS: &str = "tiny-moments";

/// Batch sizes.
pub const BATCHES: [usize; 5] = [1, 4, 16, 64, 256];
/// Weights of the curves of mean squared error.
const N_ALPHAS: usize = 20;
/// Peak learning rate of the runs along which gradients are measured.
const RATE: f64 = 3e-4;
/// Pairs at most that are measured there.
const N_ALONG: usize = 8;
/// Pairs per step of those runs.
const N_BATCH: usize = 16;

/// One cell per seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    effort
        .seeds()
        .map(|seed| tiny::cell(MOMENTS, effort, seed))
        .collect()
}

/// What rows of one measurement are tagged with.
#[derive(Clone, Copy)]
struct Place<'a> {
    loss: &'a str,
    run: &'a str,
    step: usize,
    silent: &'a str,
}

impl Place<'_> {
    fn row(&self, metric: &str, value: f64, unit: &str) -> Row {
        Row::new(metric, value, unit)
            .tag("loss", self.loss)
            .tag("run", self.run)
            .tag("checkpoint", self.step)
            .tag("silent", self.silent)
    }
}

/// Measures one cell.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let size = Size::of_cell(cell)?;
    let network = tiny::base(cx, size, cell.seed, NO_THINK_SHARE)?;
    let losses = tiny::losses(config);
    for silent in Silent::ALL {
        let pairs = tiny::pairs(cx, &network, size, Reward::Full, silent)?;
        let place = Place {
            loss: losses[0].name(),
            run: "start",
            step: 0,
            silent: silent.as_str(),
        };
        let pairs_exact = &pairs[..size.n_exact];
        measure(cx, (&network, losses[0].as_ref()), pairs_exact, place)?;
        if silent != Silent::Empty {
            continue;
        }
        for loss in &losses[1..] {
            let at = Place {
                loss: loss.name(),
                ..place
            };
            measure(cx, (&network, loss.as_ref()), pairs_exact, at)?;
        }
        let of_dpo = [Method::Trace, Method::Mix(0.5), Method::Empty];
        along_runs(
            cx,
            (&network, losses[0].as_ref()),
            (&pairs, size),
            (&of_dpo, place),
        )?;
        // SimPO's rewards spread widely, which makes its exact pairs several times as dear.
        let of_simpo = [Method::Mix(0.5)];
        along_runs(
            cx,
            (&network, losses[1].as_ref()),
            (&pairs, size),
            (&of_simpo, place),
        )?;
    }
    Ok(())
}

/// Measures again halfway and at the end of runs with each of some gradients.
fn along_runs(
    cx: &mut Cx,
    (network, loss): (&Network, &dyn PreferenceLoss),
    (pairs, size): (&[Pair], Size),
    (methods, place): (&[Method], Place),
) -> Result<()> {
    let pairs_along = &pairs[..size.n_exact.min(N_ALONG)];
    let start = Population::of(&tiny::gradients(cx, network, pairs_along, loss)?);
    for method in methods.iter().copied() {
        let training = Training {
            pairs,
            loss,
            method,
            mode: Mode::Resample,
            rate: RATE,
            n_steps: size.n_steps,
            n_batch: N_BATCH,
            n_oracle_pairs: size.n_exact,
        };
        let mut rng = Pcg64Mcg::from_rng(&mut cx.rng("along runs"));
        let mut kept: Vec<(usize, Network)> = Vec::new();
        training.run(network.theta(), &mut rng, |step, network, _| {
            if step == size.n_steps / 2 || step == size.n_steps {
                kept.push((step, network.clone()));
            }
            !cx.cancelled()
        });
        let name = method.name();
        let place = Place {
            loss: loss.name(),
            run: &name,
            ..place
        };
        path_rows(cx, &start, place, "start")?;
        for (step, network) in kept {
            let at = Place { step, ..place };
            let population = measure(cx, (&network, loss), pairs_along, at)?;
            let phase = if step == size.n_steps {
                "end"
            } else {
                "middle"
            };
            path_rows(cx, &population, at, phase)?;
        }
    }
    Ok(())
}

/// Exact moments at one policy, and everything that follows from them.
fn measure(
    cx: &mut Cx,
    (network, loss): (&Network, &dyn PreferenceLoss),
    pairs: &[Pair],
    place: Place,
) -> Result<Population> {
    let exact = tiny::gradients(cx, network, pairs, loss)?;
    let population = Population::of(&exact);
    let unit = "gradient²";
    let given = population.moments(1, Randomness::Traces);
    for (name, value) in [
        ("mu_sq", given.mu_sq),
        ("trace_variance", population.spread.traces),
        ("trace_data_variance", population.spread.trace_data),
        ("empty_data_variance", population.spread.empty_data),
        ("trace_bias_sq", given.bias_t_sq),
        ("empty_bias_sq", given.bias_e_sq),
    ] {
        cx.row(place.row(name, value, unit))?;
    }
    cx.row(place.row("cosine_empty", given.cosine_empty(), "1"))?;
    if place.run == "start" && place.loss == "dpo" && place.silent == "empty" {
        noise_rows(cx, &population)?;
    }
    let tokens = tokens_of(pairs);
    let random = random_direction(cx, &population);
    for n_batch in BATCHES {
        for randomness in Randomness::ALL {
            let row = |metric: &str, value: f64, unit: &str| {
                let row = place.row(metric, value, unit).tag("batch", n_batch);
                row.tag("random", randomness.as_str())
            };
            let moments = population.moments(n_batch, randomness);
            let elsewhere = population
                .with_constant(&random)
                .moments(n_batch, randomness);
            verdict_rows(cx, &moments, &row)?;
            control_rows(cx, (&moments, &elsewhere), &row)?;
            for k in [2.0, 4.0, 8.0, traces_at_equal_tokens(tokens[0], tokens[1])] {
                let mse = moments.a() - population.spread.traces / n_batch as f64 * (1.0 - 1.0 / k);
                let name = if k.fract() == 0.0 {
                    format!("{k}")
                } else {
                    "equal-tokens".to_owned()
                };
                cx.row(row("mse_of_mean", mse / given.mu_sq, "1").tag("k", name))?;
            }
        }
    }
    if place.run == "start" {
        criterion_rows(cx, &exact, place)?;
    }
    Ok(population)
}

/// Variance and squared biases over the squared ideal gradient, given the data, at one of three
/// points of a run (X8). The same pairs are measured at all three.
fn path_rows(cx: &mut Cx, population: &Population, place: Place, phase: &str) -> Result<()> {
    let given = population.moments(1, Randomness::Traces);
    let ratio = population.spread.traces / given.mu_sq;
    for (metric, value, unit) in [
        ("path_log_variance", ratio.ln(), "nats"),
        ("path_variance", ratio, "1"),
        ("path_trace_bias", given.bias_t_sq / given.mu_sq, "1"),
        ("path_empty_bias", given.bias_e_sq / given.mu_sq, "1"),
    ] {
        let row = place.row(metric, value, unit).tag("phase", phase);
        cx.row(row.tag("random", "traces").tag("batch", 1))?;
    }
    Ok(())
}

/// How much of the noise is the traces' (C3).
pub fn noise_rows(cx: &mut Cx, population: &Population) -> Result<()> {
    let spread = population.spread;
    let mu_sq = dot(&population.marginal, &population.marginal);
    cx.row(Row::new(
        "trace_noise_share",
        spread.traces / (spread.traces + spread.trace_data),
        "1",
    ))?;
    cx.row(Row::new(
        "trace_noise_to_signal",
        spread.traces / mu_sq,
        "1",
    ))
}

/// Errors relative to `‖μ‖²`, the optimal weight, and whether one half beats both ends.
fn verdict_rows(
    cx: &mut Cx,
    moments: &Moments,
    row: &impl Fn(&str, f64, &str) -> Row,
) -> Result<()> {
    let yes = |holds: bool| f64::from(u8::from(holds));
    for i in 0..=N_ALPHAS {
        let alpha = i as f64 / N_ALPHAS as f64;
        let relative = moments.mse(alpha) / moments.mu_sq;
        cx.row(row("mse_relative", relative, "1").tag("alpha", alpha))?;
        if i % 2 == 0 {
            cx.row(row("quality", moments.quality(alpha), "1").tag("alpha", alpha))?;
        }
    }
    let star = moments.alpha_star();
    cx.row(row("alpha_star", star, "1"))?;
    cx.row(row("alpha_of_quality", moments.alpha_of_quality(100), "1"))?;
    let ends = moments.a().min(moments.b());
    cx.row(row("half_wins", yes(moments.mse(0.5) < ends), "1"))?;
    let best_end = moments.quality(0.0).max(moments.quality(1.0));
    cx.row(row(
        "half_points_better",
        yes(moments.quality(0.5) > best_end),
        "1",
    ))?;
    cx.row(row("star_excess", moments.mse(star) / ends - 1.0, "1"))?;
    cx.row(row("star_mse", moments.mse(star) / moments.mu_sq, "1"))
}

/// The null controls: the zero vector and a random direction in place of `g_e` (F11, X13).
fn control_rows(
    cx: &mut Cx,
    (moments, random): (&Moments, &Moments),
    row: &impl Fn(&str, f64, &str) -> Row,
) -> Result<()> {
    let yes = |holds: bool| f64::from(u8::from(holds));
    let zero = moments.with_zero();
    let best = |moments: &Moments| moments.mse(moments.alpha_star()) / moments.mu_sq;
    cx.row(row(
        "half_beats_zero",
        yes(moments.mse(0.5) < zero.mse(0.5)),
        "1",
    ))?;
    cx.row(row("zero_mse", best(&zero), "1"))?;
    cx.row(row("zero_alpha_star", zero.alpha_star(), "1"))?;
    cx.row(row("random_mse", best(random), "1"))?;
    cx.row(row("random_alpha_star", random.alpha_star(), "1"))?;
    cx.row(row(
        "gain_over_zero",
        (best(&zero) / best(moments)).ln(),
        "nats",
    ))
}

/// F5's criterion example by example, given the data: who is predicted to win, and who wins.
fn criterion_rows(
    cx: &mut Cx,
    exact: &[crate::method::theory::PairGradients],
    place: Place,
) -> Result<()> {
    for (item, pair) in exact.iter().enumerate() {
        let moments = Population::of(std::slice::from_ref(pair)).moments(1, Randomness::Traces);
        for k in [2_u32, 4, 8] {
            let predicted = mix_beats_mean(moments.bias_e_sq, moments.var_t, f64::from(k));
            let mean = moments.bias_t_sq + moments.var_t / f64::from(k);
            let measured = moments.mse(moments.alpha_star()) < mean;
            let agrees = f64::from(u8::from(predicted == measured));
            let row = place
                .row("criterion_agrees", agrees, "1")
                .item(item)
                .tag("k", k);
            cx.row(row.tag("predicted", if predicted { "mix" } else { "mean" }))?;
        }
    }
    Ok(())
}

/// Mean scored tokens of a trace pair and of a pair without thinking.
fn tokens_of(pairs: &[Pair]) -> [f64; 2] {
    let mean = |of: fn(&Pair) -> usize| {
        pairs.iter().map(of).sum::<usize>() as f64 / pairs.len().max(1) as f64
    };
    [mean(Pair::trace_tokens), mean(Pair::silent_tokens)]
}

/// A random direction as long as `E g_e`.
fn random_direction(cx: &Cx, population: &Population) -> Vec<f64> {
    let mut rng = Pcg64Mcg::from_rng(&mut cx.rng("random direction"));
    let mut direction: Vec<f64> = (0..N_PARAMETERS)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    let scale = (dot(&population.empty, &population.empty) / dot(&direction, &direction)).sqrt();
    direction.iter_mut().for_each(|x| *x *= scale);
    direction
}
