//! Every subset of K models, in lexicographic order.

use super::Found;
use super::kernel::{Prefix, Unit};
use super::objective::{Counts, Form, Key, Objective};
use super::pool::{LANES, Pool};

/// The best subset of `size` models, by looking at each one; at most as many as there are, and
/// none where `size` is 0.
///
/// The prefix of a subset is combined once; what remains for each subset is, per 64 questions, one
/// OR, one AND-NOT (of an OR of the prefix's wrong bits), and one count.
#[must_use]
pub fn exhaustive(pool: &Pool, objective: &Objective, size: usize) -> Found {
    let size = size.min(pool.n_models());
    let mut search = Search {
        pool,
        objective,
        unit: Unit::detect(),
        chosen: Vec::with_capacity(size),
        best: None,
        union_min: 0,
        n_evaluated: 0,
    };
    if size > 0 {
        let mut prefixes = vec![Prefix::empty(pool); size];
        search.descend(&mut prefixes, 0, size);
    }
    match search.best {
        Some(best) => Found {
            models: best.models,
            counts: best.counts,
            n_evaluated: search.n_evaluated,
        },
        None => Found {
            models: Vec::new(),
            counts: Counts::default(),
            n_evaluated: 0,
        },
    }
}

/// How many subsets of `size` there are among `n_models`; saturates.
#[must_use]
pub fn n_subsets(n_models: usize, size: usize) -> u64 {
    let mut count: u128 = 1;
    for step in 0..size.min(n_models) {
        count = count * (n_models - step) as u128 / (step as u128 + 1);
    }
    if size > n_models {
        return 0;
    }
    u64::try_from(count).unwrap_or(u64::MAX)
}

struct Best {
    models: Vec<usize>,
    counts: Counts,
    key: Key,
    /// |∪R \ ∪W|, for the quick comparison.
    clear: u64,
}

struct Search<'a> {
    pool: &'a Pool,
    objective: &'a Objective,
    unit: Unit,
    chosen: Vec<usize>,
    best: Option<Best>,
    /// A subset with a smaller union cannot reach the best, whatever its contradictions.
    union_min: u64,
    n_evaluated: u64,
}

impl Search<'_> {
    /// Extends the chosen models, whose bits are in `prefixes[chosen.len()]`, by those from
    /// `start` on.
    fn descend(&mut self, prefixes: &mut [Prefix], start: usize, size: usize) {
        let depth = self.chosen.len();
        let n_left = size - depth;
        if n_left == 1 {
            self.last(&prefixes[depth], start);
            return;
        }
        for model in start..=self.pool.n_models() - n_left {
            let (before, after) = prefixes.split_at_mut(depth + 1);
            after[0].extend(&before[depth], self.pool, model);
            self.chosen.push(model);
            self.descend(prefixes, model + 1, size);
            self.chosen.pop();
        }
    }

    /// Every last model from `start` on.
    fn last(&mut self, prefix: &Prefix, start: usize) {
        let n_models = self.pool.n_models();
        self.n_evaluated += (n_models - start) as u64;
        // With λ = 1 as printed the objective is the count of one set, and nothing else is needed
        // unless a subset reaches the best.
        let is_one_count = *self.objective == Objective::PRINTED;
        for block in start / LANES..n_models.div_ceil(LANES) {
            let words = self.pool.block(block);
            let first = block * LANES;
            let lanes = start.saturating_sub(first)..LANES.min(n_models - first);
            if is_one_count {
                let clear = self.unit.clear(words, prefix);
                let bar = self.best.as_ref().map_or(0, |best| best.clear);
                // Lanes outside the range cannot hide a winner: they are only looked at again.
                if clear.iter().any(|count| *count >= bar) {
                    for lane in lanes {
                        if clear[lane] >= self.best.as_ref().map_or(0, |best| best.clear) {
                            self.compare(first + lane, None, clear[lane]);
                        }
                    }
                }
            } else {
                let counts = self.unit.both(words, prefix);
                if counts.union.iter().all(|union| *union < self.union_min) {
                    continue;
                }
                for lane in lanes {
                    if self.may_win(counts.union[lane], counts.clear[lane]) {
                        self.compare(first + lane, Some(counts.union[lane]), counts.clear[lane]);
                    }
                }
            }
        }
    }

    /// A quick look in floating point that never turns a winner away.
    fn may_win(&self, union: u64, clear: u64) -> bool {
        const ROUNDING: f64 = 1e-9;
        let Some(best) = &self.best else { return true };
        let n = self.pool.n_questions() as f64;
        let lambda = self.objective.lambda.value();
        let (u, c) = (union as f64, (union - clear) as f64);
        let value = match self.objective.form {
            Form::Printed => (u - lambda * c) / n,
            Form::Conditional => u / n - lambda * c / u.max(1.0),
        };
        value >= best.key.score.value() - ROUNDING
    }

    fn compare(&mut self, model: usize, union: Option<u64>, clear: u64) {
        let union = match union {
            Some(union) => union as u32,
            None => {
                self.chosen.push(model);
                let counts = self.pool.counts(&self.chosen);
                self.chosen.pop();
                counts.union
            }
        };
        let counts = Counts {
            union,
            contradiction: union - clear as u32,
        };
        let key = self.objective.key(counts, self.pool.n_questions());
        // Subsets come in lexicographic order, so the first of equals stays.
        if self.best.as_ref().is_none_or(|best| key > best.key) {
            let mut models = self.chosen.clone();
            models.push(model);
            let share = key.score.value().max(0.0);
            self.union_min = (share * self.pool.n_questions() as f64 - 1e-6).max(0.0) as u64;
            self.best = Some(Best {
                models,
                counts,
                key,
                clear,
            });
        }
    }
}
