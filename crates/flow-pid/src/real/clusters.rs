//! Clusters as discrete sources: the first step of the paper's CVX baseline.

use faer::{Mat, MatRef};
use rand::{Rng, RngExt};

use crate::data::standardise;
use crate::error::PidError;

/// Rounds at most; assignments of a few thousand items settle long before.
const ROUNDS_MAX: usize = 100;

/// The cluster of each item: `k`-means on standardised columns (Lloyd 1982), started by
/// `k`-means++ (Arthur and Vassilvitskii 2007).
///
/// # Errors
/// A column is constant or not finite, `k` is 0, or there are fewer items than clusters.
pub fn clusters(
    view: MatRef<'_, f64>,
    k: usize,
    rng: &mut impl Rng,
) -> Result<Vec<usize>, PidError> {
    if k == 0 {
        let (knob, must) = ("clusters", "at least 1");
        return Err(PidError::Config { knob, must });
    }
    if view.nrows() < k {
        return Err(PidError::TooFewItems {
            n_items: view.nrows(),
            n_items_min: k,
        });
    }
    let points = standardise(view)?;
    let mut centres = start(&points, k, rng);
    let mut assigned = vec![usize::MAX; points.nrows()];
    for _ in 0..ROUNDS_MAX {
        let mut changed = false;
        for (item, cluster) in assigned.iter_mut().enumerate() {
            let nearest = nearest(&points, item, &centres).0;
            changed |= nearest != *cluster;
            *cluster = nearest;
        }
        if !changed {
            break;
        }
        let mut counts = vec![0.0; k];
        let mut sums = Mat::<f64>::zeros(k, points.ncols());
        for (item, cluster) in assigned.iter().enumerate() {
            counts[*cluster] += 1.0;
            for j in 0..points.ncols() {
                sums[(*cluster, j)] += points[(item, j)];
            }
        }
        for cluster in 0..k {
            // An empty cluster keeps its centre.
            if counts[cluster] > 0.0 {
                for j in 0..points.ncols() {
                    centres[(cluster, j)] = sums[(cluster, j)] / counts[cluster];
                }
            }
        }
    }
    Ok(assigned)
}

/// Each next centre is an item drawn with probability proportional to its squared distance from
/// the centres so far.
fn start(points: &Mat<f64>, k: usize, rng: &mut impl Rng) -> Mat<f64> {
    let n = points.nrows();
    let mut chosen = vec![rng.random_range(0..n)];
    let at = |chosen: &[usize]| {
        Mat::from_fn(chosen.len(), points.ncols(), |c, j| points[(chosen[c], j)])
    };
    while chosen.len() < k {
        let centres = at(&chosen);
        let distances: Vec<f64> = (0..n).map(|i| nearest(points, i, &centres).1).collect();
        let total: f64 = distances.iter().sum();
        let mut left = total * rng.random::<f64>();
        let next = distances.iter().position(|distance| {
            left -= distance;
            left <= 0.0 && *distance > 0.0
        });
        chosen.push(next.unwrap_or_else(|| rng.random_range(0..n)));
    }
    at(&chosen)
}

fn nearest(points: &Mat<f64>, item: usize, centres: &Mat<f64>) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for cluster in 0..centres.nrows() {
        let distance: f64 = (0..points.ncols())
            .map(|j| (points[(item, j)] - centres[(cluster, j)]).powi(2))
            .sum();
        if distance < best.1 {
            best = (cluster, distance);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::engine::Stream;
    use rand::SeedableRng;

    #[test]
    fn well_separated_groups_are_found() {
        let view = Mat::from_fn(90, 2, |i, j| {
            let group = (i / 30) as f64;
            let place = if j == 0 {
                group * 10.0
            } else {
                (group * 2.0).cos() * 10.0
            };
            place + (1.7 * (i * 2 + j) as f64).sin()
        });
        let found = clusters(view.as_ref(), 3, &mut Stream::seed_from_u64(2)).unwrap();
        for group in found.chunks(30) {
            assert!(group.iter().all(|cluster| *cluster == group[0]));
        }
        let mut names = [found[0], found[30], found[60]];
        names.sort_unstable();
        assert_eq!(names, [0, 1, 2]);
        let too_many = clusters(view.as_ref(), 91, &mut Stream::seed_from_u64(2));
        assert!(matches!(too_many, Err(PidError::TooFewItems { .. })));
    }
}
