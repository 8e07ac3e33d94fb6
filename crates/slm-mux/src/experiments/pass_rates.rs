//! Part A2: pass rates of 32 real models on 118 coding tasks, as probabilities of a right sample.
//!
//! Which wrong programs agree is not known, so every accuracy of the rule is bracketed (T9): from
//! all wrong samples of a model the same to all of them different. What needs a choice (ranking,
//! best model, best pair) is made on one half of the tasks and measured on the other, both ways.

use eval::{Cell, Cx, Effort, Error, Result, Row};
use rand::seq::SliceRandom;

use super::generator;
use crate::data::{EVALPERF, PassRates};
use crate::rule::Ranking;
use crate::theory::{
    Agreement, Modal, PoolTie, Regret, WrongAnswers, forest_accuracy, majority, regret,
};

/// Name of the experiment.
pub const PASS_RATES: &str = "pass-rates";

/// Small models near the paper's own: the first two are in its vanilla pool, the others are of the
/// families in its search pool.
const SMALL: [&str; 4] = [
    "Llama-3.1-8B-Instruct",
    "gemma-2-27b-it",
    "Mistral-Small-Instruct-2409",
    "Qwen2.5-7B-Instruct",
];

/// The paper's large model.
const LARGE: &str = "Qwen2.5-72B-Instruct";

/// Numbers of samples at which claims are tested.
const KS: [usize; 5] = [2, 3, 5, 6, 9];

/// Ways in which wrong samples agree: both ends of the bracket and one between.
const WRONGS: [(&str, WrongAnswers); 3] = [
    ("1", WrongAnswers::Coherent),
    ("4", WrongAnswers::Equal(4)),
    ("inf", WrongAnswers::Scattered),
];

pub fn cells(effort: Effort) -> Vec<Cell> {
    let cell = |seed| Cell::new(PASS_RATES, seed).needs(EVALPERF);
    effort.seeds().map(cell).collect()
}

pub fn run(cx: &mut Cx) -> Result<()> {
    let files = cx.data(EVALPERF)?;
    let names: Vec<String> = files.names().map(str::to_owned).collect();
    let paths = names
        .iter()
        .map(|name| Ok((name.as_str(), files.file(name)?)))
        .collect::<Result<Vec<_>>>()?;
    let rates = PassRates::read(paths.iter().map(|(name, path)| (*name, path.as_path())))?;
    let find = |name: &str| {
        rates
            .find(name)
            .ok_or_else(|| Error::inputs(format!("`{EVALPERF}` has no model `{name}`")))
    };
    let small = SMALL.map(find).into_iter().collect::<Result<Vec<_>>>()?;
    let large = find(LARGE)?;
    let mut tasks: Vec<usize> = (0..rates.tasks.len()).collect();
    tasks.shuffle(&mut generator(cx, "halves"));
    let (first, second) = tasks.split_at(tasks.len() / 2);
    for (validation, test) in [(first, second), (second, first)] {
        let study = Study::new(&rates, &small, large, validation);
        for task in test {
            study.task(cx, *task)?;
        }
    }
    if cx.cell().seed == 0 {
        types(cx, &rates)?;
    }
    Ok(())
}

/// Choices made on validation tasks.
struct Study<'a> {
    rates: &'a PassRates,
    /// The pool, best on validation first.
    pool: Vec<usize>,
    /// The pair of the pool with the highest validation accuracy of the rule, k = 3, wrong answers
    /// of four kinds.
    pair: Vec<usize>,
    large: usize,
}

impl<'a> Study<'a> {
    fn new(rates: &'a PassRates, small: &[usize], large: usize, validation: &[usize]) -> Self {
        let mean = |model: usize| {
            let of = validation.iter().map(|task| rates.rates[model][*task]);
            of.sum::<f64>() / validation.len().max(1) as f64
        };
        let accuracies: Vec<f64> = small.iter().map(|model| mean(*model)).collect();
        let order = Ranking::by_accuracy(&accuracies);
        let pool: Vec<usize> = order.order().iter().map(|idx| small[*idx]).collect();
        let agreement = Agreement::new(3, WrongAnswers::Equal(4));
        let mut best = (f64::NEG_INFINITY, Vec::new());
        for a in 0..pool.len() {
            for b in a + 1..pool.len() {
                let pair = vec![pool[a], pool[b]];
                let of = |task: &usize| Self::rule(rates, &pair, *task, &agreement).accuracy;
                let accuracy: f64 = validation.iter().map(of).sum();
                if accuracy > best.0 {
                    best = (accuracy, pair);
                }
            }
        }
        Self {
            rates,
            pool,
            pair: best.1,
            large,
        }
    }

    /// The rule on one task; models in the order of their ranking.
    fn rule(rates: &PassRates, models: &[usize], task: usize, agreement: &Agreement) -> Regret {
        let modals: Vec<Modal> = models
            .iter()
            .map(|model| agreement.modal(rates.rates[*model][task]))
            .collect();
        regret(&modals, &Ranking::list_order(modals.len()))
    }

    fn task(&self, cx: &mut Cx, task: usize) -> Result<()> {
        let p = |model: usize| self.rates.rates[model][task];
        let name = &self.rates.tasks[task];
        let single = p(self.pool[0]);
        for (m, wrong) in WRONGS {
            let row = |method: &str, value: f64| {
                Row::new("right", 100.0 * value, "points")
                    .item(name)
                    .tag("method", method)
                    .tag("m", m)
            };
            for k in KS {
                let agreement = Agreement::new(k, wrong);
                let row = |method: &str, value: f64| row(method, value).tag("k", k);
                // One sample each, repeated for every k so that arms share their tags.
                cx.row(row("single-best", single))?;
                cx.row(row("large", p(self.large)))?;
                let pair = Self::rule(self.rates, &self.pair, task, &agreement);
                cx.row(row("mux-pair", pair.accuracy))?;
                cx.row(row("mux-pair-oracle", pair.oracle))?;
                let pool = Self::rule(self.rates, &self.pool, task, &agreement);
                cx.row(row("mux-pool", pool.accuracy))?;
                cx.row(row("self-consistency", agreement.modal(single).accuracy()))?;
                let better = agreement.modal(p(self.pair[0])).accuracy();
                cx.row(row("better-member", better))?;
                let total = Agreement::new(2 * k, wrong);
                let same_total = total.modal(single).accuracy();
                cx.row(row("self-consistency-same-total", same_total))?;
            }
        }
        self.pooled(cx, task)?;
        self.predictions(cx, task)
    }

    /// Pooled votes of the pair, wrong answers shared between the models or not.
    fn pooled(&self, cx: &mut Cx, task: usize) -> Result<()> {
        let [p, q] = [0, 1].map(|at| self.rates.rates[self.pair[at]][task]);
        let shared = [vec![p, 1.0 - p], vec![q, 1.0 - q]];
        let own = [vec![p, 1.0 - p, 0.0], vec![q, 0.0, 1.0 - q]];
        let ranking = Ranking::list_order(2);
        for k in [2, 3, 5, 9] {
            for (wrong, worlds) in [("shared", &shared), ("own", &own)] {
                let agreement = Agreement::new(k, WrongAnswers::Coherent);
                let mux = Self::rule(self.rates, &self.pair, task, &agreement).accuracy;
                let forest = |ties| forest_accuracy(worlds, k, ties, &ranking);
                for (method, value) in [
                    ("mux", mux),
                    ("af-fair", forest(PoolTie::Fair)),
                    ("af-support", forest(PoolTie::Support)),
                ] {
                    let row = Row::new("pooled_right", 100.0 * value, "points")
                        .item(&self.rates.tasks[task]);
                    cx.row(row.tag("method", method).tag("wrong", wrong).tag("k", k))?;
                }
            }
        }
        Ok(())
    }

    /// C12: A(N, p) predictions beside what the exact formula says.
    fn predictions(&self, cx: &mut Cx, task: usize) -> Result<()> {
        let [p, q] = [0, 1].map(|at| self.rates.rates[self.pair[at]][task]);
        for k in [3, 5, 9] {
            for (m, wrong) in WRONGS {
                let agreement = Agreement::new(k, wrong);
                let mux = Self::rule(self.rates, &self.pair, task, &agreement).accuracy;
                let error = majority(k, p.max(q)) - mux;
                let row = Row::new("prediction_excess", 100.0 * error, "points")
                    .item(&self.rates.tasks[task]);
                cx.row(row.tag("m", m).tag("k", k))?;
            }
        }
        Ok(())
    }
}

/// C12: how the paper's three types of questions are distributed.
fn types(cx: &mut Cx, rates: &PassRates) -> Result<()> {
    for (model, name) in rates.models.iter().enumerate() {
        let n = rates.tasks.len().max(1) as f64;
        let share = |of: &dyn Fn(f64) -> bool| {
            rates.rates[model].iter().filter(|p| of(**p)).count() as f64 / n
        };
        for (kind, value) in [
            ("1", share(&|p| p == 1.0)),
            ("2", share(&|p| p > 0.5 && p < 1.0)),
            ("3", share(&|p| p < 0.5)),
        ] {
            cx.row(
                Row::new("type_share", value, "1")
                    .tag("model", name)
                    .tag("type", kind),
            )?;
        }
    }
    Ok(())
}
