//! Branch and bound: the optimum with a certificate, or the best subset with a proved gap.
//!
//! For a partial subset S with r free slots, both the union and the clear set R \ W can grow by no
//! more than the r largest single gains, and neither W_S nor R_S ∩ W_S ever shrinks. With u ≤
//! u_max, v = |∪R \ ∪W| ≤ v_max, and c ≥ max(c_S, u − v_max), the objective is largest at one of
//! two values of u: v_max + c_S, where the second constraint begins to bind, and u_max. Models are
//! tried in the order of their gains at each node, so the first branch that cannot win ends the
//! node.

use super::Found;
use super::beam::start;
use super::greedy::{extended, for_each_addition, for_each_clear_gain};
use super::kernel::Prefix;
use super::objective::{Counts, Key, Objective, Score};
use super::pool::Pool;

/// The outcome of [`branch_and_bound`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// The best subset found.
    pub found: Found,
    /// Whether the search ended within its limit: `found` is the optimum, ties included.
    pub is_certified: bool,
    /// An upper bound on the objective of every subset; the optimum's own score where certified.
    pub score_max: Score,
    /// Nodes visited.
    pub n_nodes: u64,
}

/// The best subset of `size` models, or the best one found within `nodes_max` nodes together with
/// an upper bound. The limit counts nodes, not time, so the outcome is the same everywhere.
#[must_use]
pub fn branch_and_bound(
    pool: &Pool,
    objective: &Objective,
    size: usize,
    nodes_max: u64,
) -> Bounded {
    let size = size.min(pool.n_models());
    search_from(pool, objective, nodes_max, start(pool, objective, size))
}

/// The same from a given subset of the size that is wanted, however bad it is.
pub(super) fn search_from(
    pool: &Pool,
    objective: &Objective,
    nodes_max: u64,
    found: Found,
) -> Bounded {
    let size = found.models.len();
    let key = objective.key(found.counts, pool.n_questions());
    let mut search = Search {
        pool,
        objective,
        nodes_max,
        n_nodes: 0,
        n_evaluated: found.n_evaluated,
        key,
        best: found,
        open: None,
        chosen: Vec::new(),
    };
    if size > 0 {
        let all: Vec<usize> = (0..pool.n_models()).collect();
        search.node(&Prefix::empty(pool), &all, size);
    }
    let score = search.key.score;
    Bounded {
        is_certified: search.open.is_none(),
        score_max: search.open.map_or(score, |open| open.max(score)),
        n_nodes: search.n_nodes,
        found: Found {
            n_evaluated: search.n_evaluated,
            ..search.best
        },
    }
}

struct Search<'a> {
    pool: &'a Pool,
    objective: &'a Objective,
    nodes_max: u64,
    n_nodes: u64,
    n_evaluated: u64,
    key: Key,
    best: Found,
    /// The largest bound among branches left unvisited.
    open: Option<Score>,
    chosen: Vec<usize>,
}

/// A candidate at a node with what it would count and gain.
#[derive(Clone, Copy)]
struct Candidate {
    model: usize,
    counts: Counts,
    union_gain: u32,
    clear_gain: u32,
}

impl Search<'_> {
    fn node(&mut self, prefix: &Prefix, allowed: &[usize], n_left: usize) {
        self.n_nodes += 1;
        let (union, clear) = prefix.counts();
        let here = Here {
            union,
            clear,
            contradiction: union - clear,
        };
        let mut candidates = self.candidates(prefix, allowed, here);
        if n_left == 1 {
            for candidate in &candidates {
                self.offer(candidate);
            }
            return;
        }
        candidates.sort_by_key(|c| (std::cmp::Reverse((c.clear_gain, c.union_gain)), c.model));
        let bounds = self.bounds(&candidates, here, n_left);
        for (place, bound) in bounds.into_iter().enumerate() {
            // What cannot reach the best in score and union is cut; equals may win by their order.
            let Some(bound) = bound.filter(|bound| *bound >= self.key) else {
                continue;
            };
            if self.n_nodes >= self.nodes_max {
                self.open = Some(self.open.map_or(bound.score, |open| open.max(bound.score)));
                continue;
            }
            let model = candidates[place].model;
            let rest: Vec<usize> = candidates[place + 1..].iter().map(|c| c.model).collect();
            self.chosen.push(model);
            self.node(&extended(prefix, self.pool, model), &rest, n_left - 1);
            self.chosen.pop();
        }
    }

    fn candidates(&mut self, prefix: &Prefix, allowed: &[usize], here: Here) -> Vec<Candidate> {
        let mut is_allowed = vec![false; self.pool.n_models()];
        for model in allowed {
            is_allowed[*model] = true;
        }
        self.n_evaluated += allowed.len() as u64;
        let mut candidates = Vec::with_capacity(allowed.len());
        for_each_addition(self.pool, prefix, |model, counts| {
            if is_allowed[model] {
                candidates.push(Candidate {
                    model,
                    counts,
                    union_gain: counts.union - here.union,
                    clear_gain: 0,
                });
            }
        });
        let mut place = 0;
        for_each_clear_gain(self.pool, prefix, |model, gain| {
            if is_allowed[model] {
                candidates[place].clear_gain = gain;
                place += 1;
            }
        });
        candidates
    }

    /// For each candidate, in order, a bound on every subset that takes it and then only later
    /// ones.
    fn bounds(&self, candidates: &[Candidate], here: Here, n_left: usize) -> Vec<Option<Key>> {
        let reach = self.reach(candidates);
        let mut bounds = Vec::with_capacity(candidates.len());
        let mut top_unions = Top::new(n_left - 1);
        let mut top_clears = Top::new(n_left - 1);
        for (place, candidate) in candidates.iter().enumerate().rev() {
            let n_later = candidates.len() - 1 - place;
            let union_max = here.union + candidate.union_gain + top_unions.sum;
            let clear_max = here.clear + candidate.clear_gain + top_clears.sum;
            // A branch that cannot be filled up holds no subset of the size.
            let is_full = n_later + 1 >= n_left;
            bounds.push(
                is_full.then(|| self.bound(union_max.min(reach), clear_max.min(reach), here)),
            );
            top_unions.add(candidate.union_gain);
            top_clears.add(candidate.clear_gain);
        }
        bounds.reverse();
        bounds
    }

    /// The most questions that all candidates and the chosen models reach together.
    fn reach(&self, candidates: &[Candidate]) -> u32 {
        let mut reached = vec![0u64; self.pool.n_words()];
        let models = candidates.iter().map(|c| &c.model).chain(&self.chosen);
        for model in models {
            for (reached, right) in reached.iter_mut().zip(self.pool.right(*model)) {
                *reached |= right;
            }
        }
        reached.iter().map(|word| word.count_ones()).sum()
    }

    fn bound(&self, union_max: u32, clear_max: u32, here: Here) -> Key {
        let n = self.pool.n_questions();
        let at = |union: u32| {
            let contradiction = here.contradiction.max(union.saturating_sub(clear_max));
            let counts = Counts {
                union,
                contradiction,
            };
            self.objective.score(counts, n)
        };
        let bend = union_max.min(clear_max + here.contradiction);
        Key {
            score: at(union_max).max(at(bend)),
            union: union_max,
        }
    }

    fn offer(&mut self, candidate: &Candidate) {
        let key = self
            .objective
            .key(candidate.counts, self.pool.n_questions());
        if key < self.key {
            return;
        }
        let mut models = self.chosen.clone();
        models.push(candidate.model);
        models.sort_unstable();
        if key > self.key || models < self.best.models {
            self.key = key;
            self.best.counts = candidate.counts;
            self.best.models = models;
        }
    }
}

/// What the partial subset of a node counts.
#[derive(Clone, Copy)]
struct Here {
    union: u32,
    clear: u32,
    contradiction: u32,
}

/// The sum of the few largest numbers seen.
struct Top {
    values: Vec<u32>,
    size: usize,
    sum: u32,
}

impl Top {
    fn new(size: usize) -> Self {
        Self {
            values: Vec::with_capacity(size + 1),
            size,
            sum: 0,
        }
    }

    fn add(&mut self, value: u32) {
        let place = self.values.partition_point(|kept| *kept >= value);
        if place < self.size {
            self.values.insert(place, value);
            self.sum += value;
            if self.values.len() > self.size {
                self.sum -= self.values.pop().unwrap_or(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Form, Lambda};
    use rand::{RngExt, SeedableRng};

    /// The best score of the given models and any two later ones.
    fn best_completion(search: &Search, first: usize, later: &[usize]) -> Option<Score> {
        let n = search.pool.n_questions();
        let pairs = (0..later.len()).flat_map(|a| (a + 1..later.len()).map(move |b| (a, b)));
        let score = |(a, b): (usize, usize)| {
            let mut models = search.chosen.clone();
            models.extend([first, later[a], later[b]]);
            search.objective.score(search.pool.counts(&models), n)
        };
        pairs.map(score).max()
    }

    #[test]
    fn no_completion_of_a_node_exceeds_its_bound() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(8);
        let lambdas = [Lambda::HALF, Lambda::ONE, Lambda::new(4, 1).unwrap()];
        let mut n_tight = 0;
        for case in 0..300 {
            let lambda = lambdas[case % 3];
            let form = [Form::Printed, Form::Conditional][case % 2];
            let mut row = || {
                (0..10)
                    .map(|_| random.random_range(0..6))
                    .collect::<Vec<u8>>()
            };
            let cells: Vec<Vec<u8>> = (0..9).map(|_| row()).collect();
            let bits = |of: fn(&u8) -> bool| -> Vec<Vec<bool>> {
                cells
                    .iter()
                    .map(|row| row.iter().map(of).collect())
                    .collect()
            };
            let pool = Pool::of_bits(&bits(|c| *c < 1), &bits(|c| *c > 3)).unwrap();
            let objective = Objective { form, lambda };
            let found = start(&pool, &objective, 4);
            let mut search = Search {
                pool: &pool,
                objective: &objective,
                nodes_max: 0,
                n_nodes: 0,
                n_evaluated: 0,
                key: objective.key(found.counts, 10),
                best: found,
                open: None,
                chosen: vec![0],
            };
            let prefix = extended(&Prefix::empty(&pool), &pool, 0);
            let (union, clear) = prefix.counts();
            let contradiction = union - clear;
            let here = Here {
                union,
                clear,
                contradiction,
            };
            let rest: Vec<usize> = (1..9).collect();
            let candidates = search.candidates(&prefix, &rest, here);
            let bounds = search.bounds(&candidates, here, 3);
            for (place, bound) in bounds.iter().enumerate() {
                let later: Vec<usize> = candidates[place + 1..].iter().map(|c| c.model).collect();
                let best = best_completion(&search, candidates[place].model, &later);
                assert_eq!(bound.is_some(), best.is_some());
                if let (Some(bound), Some(best)) = (bound, best) {
                    assert!(bound.score >= best, "{form:?} {lambda:?} at {place}");
                    n_tight += u32::from(bound.score == best);
                }
            }
        }
        // Bounds that are never reached would test nothing.
        assert!(n_tight > 0);
    }
}
