//! Beam search: the best few partial subsets at each size.

use std::collections::BTreeSet;

use super::Found;
use super::greedy::{extended, finished, for_each_addition, greedy_swap};
use super::kernel::Prefix;
use super::objective::{Key, Objective};
use super::pool::Pool;

/// Keeps the `width` best subsets of each size up to `size`; width 1 is greedy search.
#[must_use]
pub fn beam(pool: &Pool, objective: &Objective, size: usize, width: usize) -> Found {
    let size = size.min(pool.n_models());
    let mut kept: Vec<Vec<usize>> = vec![Vec::new()];
    let mut n_evaluated = 0;
    for _ in 0..size {
        let mut candidates: Vec<(Key, Vec<usize>)> = Vec::new();
        for models in &kept {
            let prefix = models
                .iter()
                .fold(Prefix::empty(pool), |prefix, m| extended(&prefix, pool, *m));
            n_evaluated += (pool.n_models() - models.len()) as u64;
            for_each_addition(pool, &prefix, |model, counts| {
                if !models.contains(&model) {
                    let mut longer = models.clone();
                    longer.push(model);
                    longer.sort_unstable();
                    candidates.push((objective.key(counts, pool.n_questions()), longer));
                }
            });
        }
        candidates.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let mut seen = BTreeSet::new();
        candidates.retain(|(_, models)| seen.len() < width.max(1) && seen.insert(models.clone()));
        kept = candidates.into_iter().map(|(_, models)| models).collect();
    }
    let best = kept.into_iter().next().unwrap_or_default();
    finished(pool, best, n_evaluated)
}

/// Where an exact search starts: the better of greedy search with swaps and a narrow beam.
pub(super) fn start(pool: &Pool, objective: &Objective, size: usize) -> Found {
    const WIDTH: usize = 16;
    let by_swaps = greedy_swap(pool, objective, size);
    let by_beam = beam(pool, objective, size, WIDTH);
    let key = |found: &Found| objective.key(found.counts, pool.n_questions());
    let n_evaluated = by_swaps.n_evaluated + by_beam.n_evaluated;
    let (a, b) = (key(&by_swaps), key(&by_beam));
    let beam_wins = b > a || (b == a && by_beam.models < by_swaps.models);
    let better = if beam_wins { by_beam } else { by_swaps };
    Found {
        n_evaluated,
        ..better
    }
}
