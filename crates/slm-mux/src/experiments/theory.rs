//! Part D: statements T1 to T11 by enumeration, each against a closed form or a stated number.

use eval::{Cell, Cx, Effort, Result, Row, Scale};
use rand::RngExt;

use super::generator;
use crate::paper::Config;
use crate::rule::Ranking;
use crate::theory::{
    Agreement, Modal, PoolTie, WrongAnswers, binomial, brute_rule_accuracy, forest_accuracy,
    limit_of_forest, limit_of_plurality, limit_of_rule, majority, majority_threshold, regret,
    rule_accuracy,
};

/// Statements about majorities and pluralities (T1, T2).
pub const MAJORITIES: &str = "majorities";
/// The exact accuracy against brute force, the bracket, and the regret on random worlds (T3, T9,
/// T10).
pub const EXACT: &str = "exact-accuracy";
/// Worlds in which the paper's approximations fail, and limits (T4 to T8).
pub const COUNTEREXAMPLES: &str = "counterexamples";

pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let n_worlds = match effort.scale {
        Scale::Smoke => config.n_exact_worlds.min(20),
        Scale::Quick | Scale::Full | Scale::Paper => config.n_exact_worlds,
    };
    let mut cells = vec![Cell::new(MAJORITIES, 0), Cell::new(COUNTEREXAMPLES, 0)];
    let cell = |seed| Cell::new(EXACT, seed).with("worlds", n_worlds);
    cells.extend(effort.seeds().map(cell));
    cells
}

/// T1: where A(N, p) helps; T2: what a plurality tends to.
pub fn run_majorities(cx: &mut Cx) -> Result<()> {
    let four = 1.0 - (1.0 + 13f64.sqrt()) / 6.0;
    for n in 1..=10usize {
        let helps_at_middle_below = (1..50)
            .map(|step| f64::from(step) / 100.0)
            .filter(|p| majority(n, *p) > *p + 1e-12)
            .count();
        let parity = if n % 2 == 0 { "even" } else { "odd" };
        let row = |metric: &str, value: f64| {
            Row::new(metric, value, "1")
                .tag("n", n)
                .tag("parity", parity)
        };
        cx.row(row(
            "helps_below_half",
            f64::from(helps_at_middle_below > 0),
        ))?;
        if let Some(threshold) = majority_threshold(n) {
            cx.row(row("threshold", threshold))?;
        }
    }
    let error = (majority_threshold(4).unwrap_or(f64::NAN) - four).abs();
    cx.row(Row::new("threshold_error", error, "1").tag("n", 4))?;
    for p in (1..20).map(|step| f64::from(step) / 20.0) {
        let closed = 2.0 * p - p * p;
        cx.row(Row::new("two_votes_error", (majority(2, p) - closed).abs(), "1").item(p))?;
        // Fair ties between two samples change nothing, whatever the wrong answers are.
        for m in [1, 3, 7] {
            let modal = Agreement::new(2, WrongAnswers::Equal(m)).modal(p);
            let error = (modal.accuracy() - p).abs();
            cx.row(
                Row::new("two_samples_error", error, "1")
                    .item(p)
                    .tag("m", m),
            )?;
        }
    }
    // T2: less than half right, and self-consistency tends to 1 all the same.
    let scattered = [0.3, 0.25, 0.25, 0.2];
    let coherent = [0.4, 0.6];
    for (name, answers) in [("scattered", &scattered[..]), ("coherent", &coherent[..])] {
        let row = |metric: &str, value: f64| Row::new(metric, value, "1").tag("world", name);
        cx.row(row("plurality_limit", limit_of_plurality(answers)))?;
        for k in [1, 3, 9, 15] {
            let accuracy = Modal::of_distribution(answers, k).accuracy();
            cx.row(row("plurality_accuracy", accuracy).tag("k", k))?;
        }
    }
    Ok(())
}

/// T3 against brute force, T9's bracket, and T10's sum on random worlds.
pub fn run_exact(cx: &mut Cx, n_worlds: usize) -> Result<()> {
    let mut random = generator(cx, "worlds");
    for world_idx in 0..n_worlds {
        let n = random.random_range(1..=4);
        let k = random.random_range(1..=4);
        let n_answers = random.random_range(3..=4);
        let worlds: Vec<Vec<f64>> = (0..n).map(|_| simplex(n_answers, &mut random)).collect();
        let accuracies: Vec<f64> = (0..n).map(|_| random.random()).collect();
        let ranking = Ranking::by_accuracy(&accuracies);
        let modals: Vec<Modal> = worlds
            .iter()
            .map(|answers| Modal::of_distribution(answers, k))
            .collect();
        let exact = rule_accuracy(&modals, &ranking);
        let brute = brute_rule_accuracy(&worlds, k, &ranking);
        let bracket = |wrong| {
            let agreement = Agreement::new(k, wrong);
            let modals: Vec<Modal> = worlds.iter().map(|w| agreement.modal(w[0])).collect();
            rule_accuracy(&modals, &ranking)
        };
        let (low, high) = (
            bracket(WrongAnswers::Coherent),
            bracket(WrongAnswers::Scattered),
        );
        let parts = regret(&modals, &ranking);
        let sum = parts.confidently_wrong + parts.tie_lost;
        let item = format!("world-{world_idx}");
        for (metric, value) in [
            ("exact_error", (exact - brute).abs()),
            ("below_bracket", low - exact),
            ("above_bracket", exact - high),
            ("regret_error", (parts.oracle - parts.accuracy - sum).abs()),
            ("bracket_width", high - low),
        ] {
            cx.row(Row::new(metric, value, "1").item(&item))?;
        }
        cx.progress(world_idx as u64 + 1, n_worlds as u64);
    }
    Ok(())
}

/// T4 to T8.
pub fn run_counterexamples(cx: &mut Cx) -> Result<()> {
    // T4: a modest model whose errors scatter, and one that is confidently wrong.
    let worlds = [vec![0.6, 0.1, 0.1, 0.1, 0.1], vec![0.05, 0.95]];
    for k in [1, 3, 5, 7, 9] {
        let modals = worlds.clone().map(|w| Modal::of_distribution(&w, k));
        let accuracies = worlds.clone().map(|w| w[0]);
        let exact = rule_accuracy(&modals, &Ranking::by_accuracy(&accuracies));
        let predicted = majority(k, 0.6);
        let row = |metric: &str, value: f64| Row::new(metric, value, "1").tag("k", k);
        cx.row(row("rule_accuracy", exact))?;
        cx.row(row("predicted_accuracy", predicted))?;
        cx.row(row("prediction_excess", predicted - exact))?;
    }
    // T5: with one sample only the ranking decides.
    for accuracies in [[0.9, 0.2, 0.5], [0.1, 0.2, 0.3], [0.5, 0.5, 0.5]] {
        let worlds = [vec![0.9, 0.1], vec![0.2, 0.8], vec![0.5, 0.3, 0.2]];
        let modals = worlds.clone().map(|w| Modal::of_distribution(&w, 1));
        let ranking = Ranking::by_accuracy(&accuracies);
        let best = worlds[ranking.order()[0]][0];
        let error = (rule_accuracy(&modals, &ranking) - best).abs();
        cx.row(Row::new("one_sample_error", error, "1"))?;
    }
    limits(cx)?;
    ties_of_two(cx)
}

/// T6 and T7: neither the rule nor pooled votes dominates, and both tend to their limits.
fn limits(cx: &mut Cx) -> Result<()> {
    let pooling = vec![vec![0.45, 0.35, 0.20, 0.0], vec![0.40, 0.0, 0.0, 0.60]];
    let rule = vec![
        vec![0.7, 0.3, 0.0],
        vec![0.10, 0.65, 0.25],
        vec![0.0, 0.6, 0.4],
    ];
    for (name, worlds) in [("pooling-wins", pooling), ("rule-wins", rule)] {
        let of_rule = limit_of_rule(&worlds);
        let of_pool = limit_of_forest(&worlds);
        let row = |metric: &str, value: f64| Row::new(metric, value, "1").tag("world", name);
        cx.row(row("rule_limit", of_rule))?;
        cx.row(row("pool_limit", of_pool))?;
        cx.row(row("rule_minus_pool_limit", of_rule - of_pool))?;
        let ranking = Ranking::list_order(worlds.len());
        for k in [1, 5, 15] {
            let modals: Vec<Modal> = worlds
                .iter()
                .map(|answers| Modal::of_distribution(answers, k))
                .collect();
            cx.row(row("limit_rule_accuracy", rule_accuracy(&modals, &ranking)).tag("k", k))?;
        }
    }
    Ok(())
}

/// T8: two models, two samples, every p: what the tie rule alone is worth.
fn ties_of_two(cx: &mut Cx) -> Result<()> {
    for p in [0.3, 0.5, 0.7] {
        for q in [0.2, 0.4, 0.6] {
            let worlds = [vec![p, 1.0 - p, 0.0], vec![q, 0.0, 1.0 - q]];
            let ranking = Ranking::by_accuracy(&[p, q]);
            let modals = worlds.clone().map(|w| Modal::of_distribution(&w, 2));
            let mux = rule_accuracy(&modals, &ranking);
            let fair = forest_accuracy(&worlds, 2, PoolTie::Fair, &ranking);
            let support = forest_accuracy(&worlds, 2, PoolTie::Support, &ranking);
            let item = format!("{p}-{q}");
            cx.row(Row::new("mux_minus_fair", mux - fair, "1").item(&item))?;
            cx.row(Row::new("mux_minus_support", mux - support, "1").item(&item))?;
        }
    }
    // The binomial shares that everything rests on add up to one.
    let total: f64 = binomial(9, 0.3).iter().sum();
    cx.row(Row::new("control_error", (total - 1.0).abs(), "1"))
}

/// A uniform draw from the simplex.
fn simplex(n: usize, random: &mut impl RngExt) -> Vec<f64> {
    let draws: Vec<f64> = (0..n)
        .map(|_| -(1.0 - random.random::<f64>()).ln())
        .collect();
    let total: f64 = draws.iter().sum();
    draws.iter().map(|draw| draw / total).collect()
}
