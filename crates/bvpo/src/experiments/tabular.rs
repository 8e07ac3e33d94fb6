//! Tier 0: identities, descent, and the phase diagram in the tabular world.

use eval::{Cell, Cx, Effort, Result, Row, Scale};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::condition;
use crate::method::estimator::{Estimator, Example, ImportanceWeighted, Mix, Trace, Union};
use crate::method::loss::{Dpo, Scored, log_sum_exp};
use crate::method::theory::{
    Moments, Population, Randomness, descent_bound, distance_sq, dot, mix_beats_mean,
};
use crate::paper::Config;
use crate::tabular::{Answers, Arm, Chain, Descent, Point, Smoothness, World, WorldShape};

/// Name of the experiment that checks identities in random worlds.
pub const IDENTITIES: &str = "tabular-identities";
/// Name of the experiment that descends, for Theorems 3 and 4.
pub const DESCENT: &str = "tabular-descent";
/// Name of the experiment that compares estimators over regimes.
pub const PHASE: &str = "tabular-phase";

/// Temperature of tier 0: there is no pretrained policy whose scale it would have to fit.
const LOSS: Dpo = Dpo { beta: 0.5 };
/// Ridge of descent, so that a minimum exists.
const RIDGE: f64 = 0.02;
/// Batch size of descent.
const N_BATCH: usize = 4;
/// `ηL` of descent; theory asks for at most 1.
const STEPS: [f64; 4] = [1.0, 0.3, 0.1, 0.03];
/// Steps of the grid that Theorem 2 is checked on.
const N_GRID: usize = 1000;

/// Every cell of tier 0.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let (worlds, chains, steps) = match effort.scale {
        Scale::Smoke => (1, 4, 20),
        Scale::Quick => (4, 12, 120),
        Scale::Full | Scale::Paper => (10, 100, 400),
    };
    let sized = |name: &str, seed: u64| {
        // Descent is the dearest, and its claims were decided first.
        let is_dear = name == DESCENT && effort.scale == Scale::Quick;
        Cell::new(name, seed)
            .with("worlds", if is_dear { worlds - 1 } else { worlds })
            .with("chains", chains)
            .with("steps", steps)
    };
    let mut cells = Vec::new();
    for seed in effort.seeds() {
        cells.extend([IDENTITIES, DESCENT, PHASE].map(|name| sized(name, seed)));
    }
    cells
}

/// Measures one cell of tier 0.
pub fn run(cx: &mut Cx, _: &Config, cell: &Cell) -> Result<()> {
    let n_worlds: usize = condition(cell, "worlds")?;
    for index in 0..n_worlds {
        let mut rng = Pcg64Mcg::from_rng(&mut cx.rng(&format!("world {index}")));
        match cell.experiment.as_str() {
            IDENTITIES => identities(cx, index, &mut rng)?,
            DESCENT => descend(cx, cell, index, &mut rng)?,
            _ => phase(cx, cell, index, &mut rng)?,
        }
        cx.progress(index as u64 + 1, n_worlds as u64);
    }
    Ok(())
}

/// A point away from the reference, where biases are not zero.
fn away(world: &World, rng: &mut Pcg64Mcg) -> Vec<f64> {
    let moved = world
        .reference
        .iter()
        .map(|x| x + 1.6 * (rng.random::<f64>() - 0.5));
    moved.collect()
}

/// Theorems 1, 2, and 4, and the facts F1, F2, F6, F7, in one world.
fn identities(cx: &mut Cx, item: usize, rng: &mut Pcg64Mcg) -> Result<()> {
    let world = World::draw(WorldShape::default(), 0.0, rng);
    let start = Point::new(world.shape, &world.reference);
    let theta = away(&world, rng);
    let point = Point::new(world.shape, &theta);
    let row = |metric: &str, value: f64| Row::new(metric, value, "1").item(item);
    cx.row(row("theorem1_error", theorem_one(&world, &point)))?;
    let at_start = world
        .population(&start, &LOSS)
        .moments(1, Randomness::Traces);
    cx.row(row(
        "start_bias",
        (at_start.bias_t_sq / at_start.mu_sq).sqrt(),
    ))?;
    cx.row(row("joint_error", joint_or_conditional(&world, &point)))?;
    cx.row(row("importance_error", one_weighted_trace(&world, &point)))?;
    cx.row(row("union_error", union_against_mix(&world, &point)))?;
    let population = world.population(&point, &LOSS);
    for n_batch in [1, 4, 64] {
        let moments = population.moments(n_batch, Randomness::TracesAndData);
        let star = moments.alpha_star();
        let best = grid_minimum(|alpha| moments.mse(alpha));
        let slack = moments.mse(star) / moments.a().min(moments.b()) - 1.0;
        let at_one = grid_minimum(|alpha| moments.error_term(alpha, 1.0));
        cx.row(row("theorem2_gap", (best - star).abs()).tag("batch", n_batch))?;
        cx.row(row("theorem2_excess", slack).tag("batch", n_batch))?;
        cx.row(row("theorem4_gap", (at_one - star).abs()).tag("batch", n_batch))?;
    }
    Ok(())
}

/// The grid weight of least value.
fn grid_minimum(value: impl Fn(f64) -> f64) -> f64 {
    let grid = (0..=N_GRID).map(|i| i as f64 / N_GRID as f64);
    grid.map(|alpha| (alpha, value(alpha)))
        .fold((0.0, f64::INFINITY), |best, here| {
            if here.1 < best.1 { here } else { best }
        })
        .0
}

/// Theorem 1: the variance of the mix over all trace pairs against `α²` times that of `g_t`, both
/// by enumeration through the estimators' own weights.
fn theorem_one(world: &World, point: &Point) -> f64 {
    let variance = |estimator: &dyn Estimator| -> f64 {
        let pair = &world.pairs[0];
        let posteriors = &world.posteriors()[0];
        let (mut mean, mut second) = (vec![0.0; world.shape.n_parameters()], 0.0);
        for plus in 0..world.shape.n_traces {
            for minus in 0..world.shape.n_traces {
                let share = step_of(&posteriors[0], plus) * step_of(&posteriors[1], minus);
                let gradient = gradient_of(world, point, pair, ([plus], [minus]), (estimator, 0.0));
                second += share * dot(&gradient, &gradient);
                mean.iter_mut()
                    .zip(&gradient)
                    .for_each(|(mean, g)| *mean += share * g);
            }
        }
        second - dot(&mean, &mean)
    };
    let trace = variance(&Trace);
    let errors = (1..=10).map(|i| {
        let alpha = f64::from(i) / 10.0;
        (variance(&Mix { alpha }) / (alpha * alpha * trace) - 1.0).abs()
    });
    errors.fold(0.0, f64::max)
}

/// The probability behind a step of a cumulative distribution.
fn step_of(cumulative: &[f64], index: usize) -> f64 {
    cumulative[index]
        - index
            .checked_sub(1)
            .map_or(0.0, |before| cumulative[before])
}

/// The gradient of an estimator for given traces, put together from its weights.
fn gradient_of<const K: usize>(
    world: &World,
    point: &Point,
    pair: &Answers,
    (plus, minus): ([usize; K], [usize; K]),
    (estimator, coin): (&dyn Estimator, f64),
) -> Vec<f64> {
    let [answer_plus, answer_minus] = pair.with_trace;
    let chosen = plus.map(|trace| world.scored(point, trace, answer_plus));
    let rejected = minus.map(|trace| world.scored(point, trace, answer_minus));
    let [empty_plus, empty_minus] = pair.without_trace;
    let example = Example {
        chosen: &chosen,
        rejected: &rejected,
        empty_chosen: world.scored(point, 0, empty_plus),
        empty_rejected: world.scored(point, 0, empty_minus),
        answer_tokens: [1, 1],
        coin,
    };
    let weights = estimator.weights(&LOSS, &example);
    let mut gradient = vec![0.0; world.shape.n_parameters()];
    for k in 0..K {
        point.add_score(plus[k], answer_plus, weights.chosen[k], &mut gradient);
        point.add_score(minus[k], answer_minus, weights.rejected[k], &mut gradient);
    }
    point.add_score(0, empty_plus, weights.empty_chosen, &mut gradient);
    point.add_score(0, empty_minus, weights.empty_rejected, &mut gradient);
    gradient
}

/// F2: the loss of `(∅, y')` against that of `y'` given the empty trace.
fn joint_or_conditional(world: &World, point: &Point) -> f64 {
    let mut unused = vec![0.0; world.shape.n_parameters()];
    let errors = world.pairs.iter().map(|pair| {
        let joint = world.add_empty((point, &LOSS), pair, 0.0, &mut unused);
        let reference = Point::new(world.shape, &world.reference);
        let [plus, minus] = pair.without_trace.map(|answer| Scored {
            logprob: point.log_answer[answer],
            reference: reference.log_answer[answer],
            n_tokens: 1,
        });
        let conditional = crate::method::loss::pair_loss(&LOSS, &plus, &minus).value;
        (joint - conditional).abs()
    });
    errors.fold(0.0, f64::max)
}

/// F6: the importance-weighted loss of one trace against the trace loss, and of every trace with
/// its exact share against the marginal loss.
fn one_weighted_trace(world: &World, point: &Point) -> f64 {
    let pair = &world.pairs[0];
    let drawn = ([1], [2]);
    let one = gradient_of(
        world,
        point,
        pair,
        drawn,
        (&ImportanceWeighted { n_traces: 1 }, 0.0),
    );
    let trace = gradient_of(world, point, pair, drawn, (&Trace, 0.0));
    // E_{r ~ π_ref(r|y)} exp ρ(r,y) is the ratio of the marginals, whatever θ is.
    let sides = pair.with_trace.map(|answer| {
        let all = world.all_traces(point, answer);
        let total = log_sum_exp(all.iter().map(|s| s.reference));
        let mean = log_sum_exp(all.iter().map(|s| s.reference - total + s.log_ratio()));
        (mean - (log_sum_exp(all.iter().map(|s| s.logprob)) - total)).abs()
    });
    distance_sq(&one, &trace).sqrt().max(sides[0]).max(sides[1])
}

/// F7: the union's expected gradient against the even mix.
fn union_against_mix(world: &World, point: &Point) -> f64 {
    let pair = &world.pairs[0];
    let at = |estimator: &dyn Estimator, coin| {
        gradient_of(world, point, pair, ([1], [2]), (estimator, coin))
    };
    let (heads, tails) = (at(&Union, 0.0), at(&Union, 0.75));
    let mean: Vec<f64> = heads
        .iter()
        .zip(&tails)
        .map(|(a, b)| 0.5 * (a + b))
        .collect();
    distance_sq(&mean, &at(&Mix { alpha: 0.5 }, 0.0)).sqrt()
}

/// Chains of one arm, with the same seeds for every arm.
fn chains(descent: &Descent, (arm, step): (Arm, Option<f64>), n_chains: usize, seed: u64) -> Chain {
    let share = 1.0 / n_chains as f64;
    let mut mean = Chain::default();
    for index in 0..n_chains {
        let mut rng = Pcg64Mcg::seed_from_u64(seed.wrapping_add(index as u64));
        let chain = descent.run(arm, step, &mut rng);
        mean.mean_gradient_sq += share * chain.mean_gradient_sq;
        mean.final_loss += share * chain.final_loss;
        mean.mean_error_term += share * chain.mean_error_term;
    }
    mean
}

/// The name of an arm in rows.
fn arm_name(arm: Arm) -> String {
    match arm {
        Arm::Mix(alpha) => format!("mix-{alpha}"),
        Arm::Oracle => "oracle".to_owned(),
        Arm::Mean(n) => format!("mean-{n}"),
        Arm::Shrink(alpha) => format!("shrink-{alpha}"),
    }
}

/// Theorem 3's bound, and whether the optimal weight converges better.
fn descend(cx: &mut Cx, cell: &Cell, item: usize, rng: &mut Pcg64Mcg) -> Result<()> {
    let n_chains: usize = condition(cell, "chains")?;
    let n_steps = condition(cell, "steps")?;
    let world = World::draw(WorldShape::default(), RIDGE, rng);
    let smooth = world.smoothness(&LOSS);
    let posteriors = world.posteriors();
    let seed = rng.random();
    let start = world.population(&Point::new(world.shape, &world.reference), &LOSS);
    let moments = start.moments(N_BATCH, Randomness::TracesAndData);
    for step in STEPS {
        let descent = Descent {
            world: &world,
            loss: &LOSS,
            posteriors: &posteriors,
            rate: step / smooth.curvature,
            n_steps,
            n_batch: N_BATCH,
        };
        bound(
            cx,
            (&descent, &smooth),
            (item, step),
            (n_chains.div_ceil(4), seed),
        )?;
        let mut best = (f64::INFINITY, 0.0);
        let grid: Vec<Arm> = (0..=10).map(|i| Arm::Mix(f64::from(i) / 10.0)).collect();
        for arm in [grid, vec![Arm::Oracle, Arm::Shrink(0.5)]].concat() {
            let chain = chains(&descent, (arm, None), n_chains, seed);
            let tagged = |metric: &str, value: f64, unit: &str| {
                let row = Row::new(metric, value, unit).item(item).tag("step", step);
                row.tag("arm", arm_name(arm)).tag("batch", N_BATCH)
            };
            cx.row(tagged(
                "log_gradient_sq",
                chain.mean_gradient_sq.ln(),
                "nats",
            ))?;
            cx.row(tagged(
                "excess_loss",
                chain.final_loss - smooth.lowest,
                "nats",
            ))?;
            if let Arm::Mix(alpha) = arm
                && chain.mean_gradient_sq < best.0
            {
                best = (chain.mean_gradient_sq, alpha);
            }
        }
        let row = |metric: &str, value: f64| {
            let row = Row::new(metric, value, "1").item(item).tag("step", step);
            row.tag("random", "traces+data").tag("batch", N_BATCH)
        };
        let predicted = moments.alpha_of_step(step);
        cx.row(row("alpha_predicted", predicted))?;
        cx.row(row("alpha_measured", best.1))?;
        cx.row(row("alpha_star", moments.alpha_star()))?;
        cx.row(row("alpha_error", (predicted - best.1).abs()))?;
        cx.row(row(
            "alpha_star_error",
            (moments.alpha_star() - best.1).abs(),
        ))?;
    }
    Ok(())
}

/// Left over right side of Theorem 3, averaged over chains, for several weights.
fn bound(
    cx: &mut Cx,
    (descent, smooth): (&Descent, &Smoothness),
    (item, step): (usize, f64),
    (n_chains, seed): (usize, u64),
) -> Result<()> {
    for arm in [Arm::Mix(0.0), Arm::Mix(0.5), Arm::Mix(1.0), Arm::Oracle] {
        let chain = chains(descent, (arm, Some(step)), n_chains, seed);
        let right = descent_bound(
            smooth.start - smooth.lowest,
            descent.rate,
            descent.n_steps,
            chain.mean_error_term,
        );
        let row = Row::new("bound_ratio", chain.mean_gradient_sq / right, "1").item(item);
        cx.row(row.tag("step", step).tag("arm", arm_name(arm)))?;
    }
    Ok(())
}

/// Which estimator converges best, over noise, batch size, and step size; and whether F5 tells.
fn phase(cx: &mut Cx, cell: &Cell, item: usize, rng: &mut Pcg64Mcg) -> Result<()> {
    let n_steps = condition(cell, "steps")?;
    let n_chains: usize = condition(cell, "chains")?;
    // Longer and noisier traces: more of them, drawn more evenly, each telling more; and an empty
    // trace that learns more and more like the others.
    for (regime, (n_traces, trace_spread, answer_spread, own)) in [
        (4, 1.5, 0.3, 1.0),
        (8, 0.5, 1.0, 1.0),
        (8, 0.5, 1.0, 0.4),
        (12, 0.2, 1.0, 0.1),
    ]
    .into_iter()
    .enumerate()
    {
        let shape = WorldShape {
            n_traces,
            trace_spread,
            answer_spread,
            own,
            ..WorldShape::default()
        };
        let world = World::draw(shape, RIDGE, rng);
        let seed = rng.random();
        let smooth = world.smoothness(&LOSS);
        let posteriors = world.posteriors();
        for n_batch in [1, 4, 16] {
            for step in [1.0, 0.1] {
                let descent = Descent {
                    world: &world,
                    loss: &LOSS,
                    posteriors: &posteriors,
                    rate: step / smooth.curvature,
                    n_steps,
                    n_batch,
                };
                let name = format!("{item}-{regime}");
                regime_rows(cx, &descent, (&name, step), (n_chains.div_ceil(3), seed))?;
            }
        }
    }
    Ok(())
}

/// Rows of one regime: who wins among the paper's mix, its ends, and means of more traces.
fn regime_rows(
    cx: &mut Cx,
    descent: &Descent,
    (item, step): (&str, f64),
    (n_chains, seed): (usize, u64),
) -> Result<()> {
    let world = descent.world;
    let start = Point::new(world.shape, &world.reference);
    let population: Population = world.population(&start, descent.loss);
    let data_given = population.moments(1, Randomness::Traces);
    let moments: Moments = population.moments(descent.n_batch, Randomness::TracesAndData);
    let noise = population.spread.traces / data_given.bias_e_sq;
    let star = moments.alpha_star();
    let row = |metric: &str, value: f64| {
        let row = Row::new(metric, value, "1").item(item).tag("step", step);
        row.tag("batch", descent.n_batch)
            .tag("random", "traces+data")
    };
    cx.row(row("noise_ratio", noise))?;
    cx.row(row("alpha_star", star))?;
    let measured = |arm: Arm| chains(descent, (arm, None), n_chains, seed).mean_gradient_sq;
    let best_mix = measured(Arm::Mix(star));
    let mut best = ("alpha-star", best_mix);
    for (name, arm) in [
        ("trace", Arm::Mix(1.0)),
        ("empty", Arm::Mix(0.0)),
        ("half", Arm::Mix(0.5)),
        ("mean-2", Arm::Mean(2)),
    ] {
        let value = measured(arm);
        cx.row(row("log_ratio_to_star", (value / best_mix).ln()).tag("arm", name))?;
        if value < best.1 {
            best = (name, value);
        }
    }
    cx.row(row("star_wins", f64::from(u8::from(best.0 == "alpha-star"))).tag("winner", best.0))?;
    for n_traces in [2, 4, 8] {
        let predicted = mix_beats_mean(
            data_given.bias_e_sq,
            population.spread.traces,
            n_traces as f64,
        );
        let mean = measured(Arm::Mean(n_traces));
        let agrees = f64::from(u8::from(predicted == (best_mix < mean)));
        let tagged = row("criterion_agrees", agrees).tag("k", n_traces);
        cx.row(tagged.tag("predicted", if predicted { "mix" } else { "mean" }))?;
    }
    Ok(())
}
