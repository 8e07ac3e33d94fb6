//! Resamples of items: the loops behind every bootstrap and every permutation null.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use crate::atoms::Atoms;
use crate::error::PidError;

/// Atoms of `n` resamples of the items with replacement, `atoms_of` the items drawn. `go_on` is
/// asked before each with the number done.
///
/// # Errors
/// As `atoms_of`.
pub(crate) fn bootstrap(
    (n, n_items): (usize, usize),
    rng: &mut impl Rng,
    go_on: impl FnMut(usize) -> bool,
    atoms_of: impl FnMut(&[usize]) -> Result<Atoms, PidError>,
) -> Result<Vec<Atoms>, PidError> {
    let draw = |items: &mut [usize]| {
        let drawn = items.iter_mut();
        drawn.for_each(|item| *item = rng.random_range(0..n_items));
    };
    repeated((n, n_items), draw, go_on, atoms_of)
}

/// The same of `n` orders of the items: every item once.
///
/// # Errors
/// As `atoms_of`.
pub(crate) fn permutation_null(
    (n, n_items): (usize, usize),
    rng: &mut impl Rng,
    go_on: impl FnMut(usize) -> bool,
    atoms_of: impl FnMut(&[usize]) -> Result<Atoms, PidError>,
) -> Result<Vec<Atoms>, PidError> {
    let shuffle = |items: &mut [usize]| items.shuffle(rng);
    repeated((n, n_items), shuffle, go_on, atoms_of)
}

fn repeated(
    (n, n_items): (usize, usize),
    mut choose: impl FnMut(&mut [usize]),
    mut go_on: impl FnMut(usize) -> bool,
    mut atoms_of: impl FnMut(&[usize]) -> Result<Atoms, PidError>,
) -> Result<Vec<Atoms>, PidError> {
    let mut items: Vec<usize> = (0..n_items).collect();
    let mut atoms = Vec::with_capacity(n);
    for done in 0..n {
        if !go_on(done) {
            break;
        }
        choose(&mut items);
        atoms.push(atoms_of(&items)?);
    }
    Ok(atoms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::engine::Stream;
    use rand::SeedableRng;

    /// Atoms that carry one number.
    fn carrying(value: f64) -> Atoms {
        Atoms::of_union(value, 0.0, 0.0, 0.0)
    }

    #[test]
    fn a_shuffle_has_every_item_once_and_a_resample_need_not() {
        let mut rng = Stream::seed_from_u64(1);
        let mut orders = Vec::new();
        let mut keep = |items: &[usize]| {
            orders.push(items.to_vec());
            Ok(carrying(items[0] as f64))
        };
        let null = permutation_null((4, 20), &mut rng, |_| true, &mut keep).unwrap();
        let drawn = bootstrap((4, 20), &mut rng, |_| true, &mut keep).unwrap();
        assert_eq!((null.len(), drawn.len()), (4, 4));
        assert_eq!(null[2].info1, orders[2][0] as f64);
        for (k, order) in orders.iter_mut().enumerate() {
            order.sort_unstable();
            order.dedup();
            assert_eq!(order.len() == 20, k < 4, "{order:?}");
        }
    }

    #[test]
    fn the_loop_stops_when_told_and_hands_errors_on() {
        let mut rng = Stream::seed_from_u64(1);
        let fine = |_: &[usize]| Ok(carrying(0.0));
        let stopped = bootstrap((9, 5), &mut rng, |done| done < 3, fine).unwrap();
        assert_eq!(stopped.len(), 3);
        let fails = |_: &[usize]| Err(PidError::SingularTarget);
        let error = permutation_null((9, 5), &mut rng, |_| true, fails).unwrap_err();
        assert_eq!(error, PidError::SingularTarget);
    }
}
