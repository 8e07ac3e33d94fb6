//! Part A1: ten systems with published answers to the test questions of GSM8K, one answer each.

use eval::{Cell, Cx, Result, Row};
use rand::SeedableRng;

use crate::answers::Extractor;
use crate::data::{GSM8K_DATA, Gsm8k, System, read_gsm8k};
use crate::rule::{ForestTie, Policy, Ranking, agent_forest, mux};
use crate::samples::{Code, NO_ANSWER, REFERENCE, SampleTable};
use crate::search::{Objective, Pool, branch_and_bound, exhaustive};

/// Name of the experiment.
pub const RECORDED: &str = "recorded-answers";

pub fn cells() -> Vec<Cell> {
    let cell = Cell::new(RECORDED, 0);
    vec![GSM8K_DATA.iter().fold(cell, |cell, name| cell.needs(*name))]
}

pub fn run(cx: &mut Cx) -> Result<()> {
    let pool = read_gsm8k(|data, file| cx.data(data)?.file(file))?;
    flags(cx, &pool)?;
    let exact = table(&pool, Extractor::Exact)?;
    extractors(cx, &pool, &exact)?;
    one_sample(cx, &exact)?;
    votes(cx, &exact)?;
    subsets(cx, &exact)
}

/// Codes of one answer a system: 0 for the reference, equal answers share a code.
pub fn table(pool: &Gsm8k, extractor: Extractor) -> Result<SampleTable> {
    let references = pool.normalised(extractor);
    let answers: Vec<Vec<Option<String>>> = pool
        .systems
        .iter()
        .map(|system| system.normalised(extractor))
        .collect();
    let mut codes = Vec::with_capacity(references.len() * answers.len());
    for (question, reference) in references.iter().enumerate() {
        let mut known: Vec<&String> = reference.iter().collect();
        for answers in &answers {
            let Some(answer) = &answers[question] else {
                codes.push(NO_ANSWER);
                continue;
            };
            let place = known.iter().position(|text| *text == answer);
            let place = place.unwrap_or_else(|| {
                known.push(answer);
                known.len() - 1
            });
            codes.push(place as Code);
        }
    }
    let names = pool.systems.iter().map(|system| system.name.clone());
    SampleTable::from_codes(names.collect(), 1, codes)
}

/// Whether our reading agrees with the authors' own judgement of each answer.
fn flags(cx: &mut Cx, pool: &Gsm8k) -> Result<()> {
    let references = pool.normalised(Extractor::Exact);
    for system in &pool.systems {
        let Some(flags) = &system.flags else { continue };
        let answers = system.normalised(Extractor::Exact);
        let judged = answers.iter().zip(&references).zip(flags);
        for (question, ((answer, reference), flag)) in judged.enumerate() {
            let right = answer.is_some() && answer == reference;
            let row = Row::new("flag_agrees", f64::from(right == *flag), "1");
            let source = source_of(system);
            cx.row(
                row.item(question)
                    .tag("system", &system.name)
                    .tag("source", source),
            )?;
        }
    }
    Ok(())
}

fn source_of(system: &System) -> &'static str {
    if system.name.starts_with("gpt3-") {
        "gsm8k"
    } else {
        "routellm"
    }
}

/// Which right answers the official extraction calls wrong, and how many wrong ones right (X1).
fn extractors(cx: &mut Cx, pool: &Gsm8k, exact: &SampleTable) -> Result<()> {
    let official = table(pool, Extractor::Official)?;
    for (model, name) in exact.models().iter().enumerate() {
        let (mut n_right, mut n_gained) = (0u32, 0u32);
        for question in 0..exact.questions().len() {
            let by = |table: &SampleTable| table.codes(question, model)[0] == REFERENCE;
            let (exactly, officially) = (by(exact), by(&official));
            let lost = Row::new("officially_lost", f64::from(exactly && !officially), "1");
            cx.row(lost.item(question).tag("system", name))?;
            n_right += u32::from(exactly);
            n_gained += u32::from(!exactly && officially);
        }
        let n = exact.questions().len().max(1) as f64;
        for (metric, count) in [
            ("system_accuracy", n_right),
            ("officially_gained", n_gained),
        ] {
            cx.row(Row::new(metric, f64::from(count) / n, "1").tag("system", name))?;
        }
    }
    Ok(())
}

/// T5: with one answer a model, the rule is the best model that has an answer.
fn one_sample(cx: &mut Cx, table: &SampleTable) -> Result<()> {
    let policy = Policy::reproduction();
    let accuracies = table.accuracies();
    let ranking = Ranking::of_policy(&policy, &accuracies, accuracies.len());
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(0);
    for question in 0..table.questions().len() {
        let codes = table.question(question);
        let choice = mux(codes, 1, &policy, &ranking, &mut random);
        let best = ranking.order().iter().map(|model| codes[*model]);
        let first = best.into_iter().find(|code| *code != NO_ANSWER);
        let differs = first.unwrap_or(NO_ANSWER) != choice.code;
        cx.row(Row::new("one_sample_differs", f64::from(differs), "1").item(question))?;
    }
    Ok(())
}

/// The plurality over systems against the best of them, with and without that one.
fn votes(cx: &mut Cx, table: &SampleTable) -> Result<()> {
    let accuracies = table.accuracies();
    let order = Ranking::by_accuracy(&accuracies).order().to_vec();
    let mut random = rand_pcg::Pcg64Mcg::from_rng(&mut cx.rng("ties"));
    for (pool, models) in [("all", &order[..]), ("without-best", &order[1..])] {
        let part = table.of_models(models);
        let ranking = Ranking::by_accuracy(&part.accuracies());
        for question in 0..part.questions().len() {
            let codes = part.question(question);
            let row = |method: &str, code: Code| {
                Row::new("right", f64::from(code == REFERENCE), "1")
                    .item(question)
                    .tag("pool", pool)
                    .tag("method", method)
            };
            cx.row(row("best", codes[ranking.order()[0]]))?;
            for (name, ties) in ForestTie::NAMED {
                let code = agent_forest(codes, 1, ties, &ranking, &mut random);
                cx.row(row(name, code))?;
            }
        }
    }
    Ok(())
}

/// C6 and X2 on a real pool: the union of the best subset of each size, by two exact methods.
fn subsets(cx: &mut Cx, table: &SampleTable) -> Result<()> {
    let pool = Pool::of_table(table, 1)?;
    let mut before = 0;
    for size in 1..=5 {
        let found = exhaustive(&pool, &Objective::PRINTED, size);
        let bounded = branch_and_bound(&pool, &Objective::PRINTED, size, u64::MAX);
        let union = found.counts.union;
        let row = |metric: &str, value: f64| Row::new(metric, value, "1").tag("K", size);
        cx.row(row("union", f64::from(union) / pool.n_questions() as f64))?;
        cx.row(row("union_growth", f64::from(union) - f64::from(before)))?;
        let same = bounded.found.models == found.models;
        cx.row(row("exact_methods_differ", f64::from(!same)))?;
        before = union;
    }
    Ok(())
}
