//! Greedy search, and greedy search improved by swaps.
//!
//! The objective is neither monotone nor submodular, so neither has the usual guarantee.

use super::Found;
use super::kernel::{Prefix, Unit};
use super::objective::{Counts, Key, Objective};
use super::pool::{LANES, Pool};

/// Adds, `size` times, the model that helps most; ties as everywhere.
#[must_use]
pub fn greedy(pool: &Pool, objective: &Objective, size: usize) -> Found {
    let mut prefix = Prefix::empty(pool);
    let mut models = Vec::new();
    let mut n_evaluated = 0;
    while models.len() < size.min(pool.n_models()) {
        let Some((model, _)) = best_addition(pool, objective, &prefix, &models) else {
            break;
        };
        n_evaluated += (pool.n_models() - models.len()) as u64;
        models.push(model);
        prefix = extended(&prefix, pool, model);
    }
    finished(pool, models, n_evaluated)
}

/// Greedy search, then swaps of one model inside for one outside, the best swap each time, until
/// none improves the objective or its ties.
#[must_use]
pub fn greedy_swap(pool: &Pool, objective: &Objective, size: usize) -> Found {
    let mut found = greedy(pool, objective, size);
    let key = |counts: Counts| objective.key(counts, pool.n_questions());
    loop {
        let mut best: Option<(Key, Vec<usize>)> = None;
        for out in 0..found.models.len() {
            let mut rest = found.models.clone();
            rest.remove(out);
            let prefix = rest
                .iter()
                .fold(Prefix::empty(pool), |prefix, m| extended(&prefix, pool, *m));
            found.n_evaluated += (pool.n_models() - rest.len()) as u64;
            let Some((model, key)) = best_addition(pool, objective, &prefix, &rest) else {
                continue;
            };
            rest.push(model);
            rest.sort_unstable();
            let better = best.as_ref().is_none_or(|(best_key, models)| {
                key > *best_key || (key == *best_key && rest < *models)
            });
            if better {
                best = Some((key, rest));
            }
        }
        let current = key(found.counts);
        match best {
            // Each swap climbs in (objective, union, order), so the loop ends.
            Some((new, models)) if new > current || (new == current && models < found.models) => {
                found = finished(pool, models, found.n_evaluated);
            }
            Some(_) | None => return found,
        }
    }
}

/// The model outside `without` whose addition to the prefix is best, with its key.
pub(super) fn best_addition(
    pool: &Pool,
    objective: &Objective,
    prefix: &Prefix,
    without: &[usize],
) -> Option<(usize, Key)> {
    let mut best: Option<(usize, Key)> = None;
    for_each_addition(pool, prefix, |model, counts| {
        if without.contains(&model) {
            return;
        }
        let key = objective.key(counts, pool.n_questions());
        if best.is_none_or(|(_, best)| key > best) {
            best = Some((model, key));
        }
    });
    best
}

/// What each model of the pool counts together with the prefix, in the order of their indices.
pub(super) fn for_each_addition(
    pool: &Pool,
    prefix: &Prefix,
    mut visit: impl FnMut(usize, Counts),
) {
    let unit = Unit::detect();
    for block in 0..pool.n_models().div_ceil(LANES) {
        let counts = unit.both(pool.block(block), prefix);
        let first = block * LANES;
        for lane in 0..LANES.min(pool.n_models() - first) {
            let union = counts.union[lane] as u32;
            let contradiction = union - counts.clear[lane] as u32;
            visit(
                first + lane,
                Counts {
                    union,
                    contradiction,
                },
            );
        }
    }
}

/// |R_m \ (R_S ∪ W_S)| of each model: by how much the clear set can grow at most.
pub(super) fn for_each_clear_gain(pool: &Pool, prefix: &Prefix, mut visit: impl FnMut(usize, u32)) {
    let unit = Unit::detect();
    let taken = prefix.right.iter().zip(&prefix.wrong);
    // No model is right and wrong on one question, so its own W takes nothing of its R.
    let mask = Prefix {
        right: vec![0; pool.n_words()],
        wrong: taken.map(|(right, wrong)| right | wrong).collect(),
    };
    for block in 0..pool.n_models().div_ceil(LANES) {
        let gains = unit.clear(pool.block(block), &mask);
        let first = block * LANES;
        let lanes = gains.iter().take(pool.n_models() - first).enumerate();
        for (lane, gain) in lanes {
            visit(first + lane, *gain as u32);
        }
    }
}

pub(super) fn extended(prefix: &Prefix, pool: &Pool, model: usize) -> Prefix {
    let mut longer = prefix.clone();
    longer.extend(prefix, pool, model);
    longer
}

pub(super) fn finished(pool: &Pool, mut models: Vec<usize>, n_evaluated: u64) -> Found {
    models.sort_unstable();
    Found {
        counts: pool.counts(&models),
        models,
        n_evaluated,
    }
}
