//! X2: exact and heuristic search on pools of 10 to 1000 models, and what the choice is worth on
//! other questions.

use eval::{Cell, Cx, Effort, Result, Row, Scale};

use super::{condition, generator};
use crate::paper::Config;
use crate::search::{
    Counts, Found, Objective, Pool, beam, branch_and_bound, exhaustive, greedy, greedy_swap,
    n_subsets,
};
use crate::worlds::{Models, WorldSpec};

/// Name of the experiment.
pub const SEARCHING: &str = "search";

/// Subsets at most that are all looked at: about a second.
const SUBSETS_MAX: u64 = 200_000_000;

/// Samples behind the two bits of a question, as the paper has them.
const N_SAMPLES: usize = 3;

/// Right samples asked for, as the second official code does.
const ROBUST: usize = 2;

pub fn cells(effort: Effort) -> Vec<Cell> {
    let sizes: &[usize] = match effort.scale {
        Scale::Smoke => &[10, 32],
        Scale::Quick => &[10, 32, 100, 300, 1000],
        Scale::Full | Scale::Paper => &[10, 32, 100, 300, 1000],
    };
    let cell = |n: &usize, seed| Cell::new(SEARCHING, seed).with("n", n).exclusive();
    effort
        .seeds()
        .flat_map(|seed| sizes.iter().map(move |n| cell(n, seed)))
        .collect()
}

pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let n: usize = condition(cell, "n")?;
    let spec = WorldSpec {
        models: Models::Drawn(n, -0.5, 0.7),
        spread: 2.0,
        correlation: 0.8,
        n_wrong: 4,
        temptation: 0.4,
    };
    let mut random = generator(cx, "world");
    let [validation, test] = spec.draw_halves(config.n_questions, &mut random);
    let validation = validation.samples(N_SAMPLES, &mut random)?;
    let test = test.samples(N_SAMPLES, &mut random)?;
    let pools = [
        Pool::of_table(&validation, ROBUST)?,
        Pool::of_table(&test, ROBUST)?,
    ];
    for (form, objective) in [
        ("printed", Objective::PRINTED),
        ("conditional", Objective::PLOTTED),
    ] {
        for size in [2, 3, 5] {
            let case = Case {
                pools: &pools,
                objective,
                form,
                size,
            };
            case.run(cx, config)?;
        }
    }
    Ok(())
}

struct Case<'a> {
    pools: &'a [Pool; 2],
    objective: Objective,
    form: &'static str,
    size: usize,
}

impl Case<'_> {
    fn run(&self, cx: &mut Cx, config: &Config) -> Result<()> {
        let validation = &self.pools[0];
        // The work of a node grows with the pool, so the limit shrinks with it.
        let nodes_max = (config.nodes_max / validation.n_models() as u64).max(100);
        let clock = cx.stopwatch();
        let bounded = branch_and_bound(validation, &self.objective, self.size, nodes_max);
        self.time(cx, "branch-and-bound", clock.elapsed().cpu_s)?;
        let n = validation.n_questions();
        let best = self.objective.score(bounded.found.counts, n).value();
        let row = |metric: &str, value: f64| self.row(metric, value);
        cx.row(row("certified", f64::from(bounded.is_certified)))?;
        cx.row(row("proved_gap", bounded.score_max.value() - best))?;
        cx.row(row("nodes", bounded.n_nodes as f64))?;
        if n_subsets(validation.n_models(), self.size) <= SUBSETS_MAX {
            let clock = cx.stopwatch();
            let found = exhaustive(validation, &self.objective, self.size);
            self.time(cx, "exhaustive", clock.elapsed().cpu_s)?;
            let gap = self.objective.score(found.counts, n).value() - best;
            cx.row(row("exhaustive_minus_bounded", gap))?;
            let differ = bounded.is_certified && found.models != bounded.found.models;
            cx.row(row("exact_methods_differ", f64::from(differ)))?;
        }
        for (name, search) in HEURISTICS {
            let clock = cx.stopwatch();
            let found = search(validation, &self.objective, self.size);
            self.time(cx, name, clock.elapsed().cpu_s)?;
            let gap = best - self.objective.score(found.counts, n).value();
            cx.row(row("heuristic_gap", gap).tag("method", name))?;
        }
        self.held_out(cx, bounded.found.counts, &bounded.found.models)
    }

    /// What the chosen subset scores on the questions it was not chosen on.
    fn held_out(&self, cx: &mut Cx, counts: Counts, models: &[usize]) -> Result<()> {
        let [validation, test] = self.pools;
        let seen = self.objective.value(counts, validation.n_questions());
        let unseen = self
            .objective
            .value(test.counts(models), test.n_questions());
        cx.row(self.row("objective_seen", seen))?;
        cx.row(self.row("objective_unseen", unseen))?;
        cx.row(self.row("optimism", seen - unseen))
    }

    fn row(&self, metric: &str, value: f64) -> Row {
        Row::new(metric, value, "1")
            .tag("K", self.size)
            .tag("form", self.form)
    }

    fn time(&self, cx: &mut Cx, method: &str, cpu_s: f64) -> Result<()> {
        let row = Row::new("search_cpu_s", cpu_s, "s");
        cx.timing(
            row.tag("method", method)
                .tag("K", self.size)
                .tag("form", self.form),
        )
    }
}

type Heuristic = fn(&Pool, &Objective, usize) -> Found;

const HEURISTICS: [(&str, Heuristic); 3] = [
    ("greedy", greedy),
    ("greedy-swap", greedy_swap),
    ("beam", |pool, objective, size| {
        beam(pool, objective, size, 16)
    }),
];
