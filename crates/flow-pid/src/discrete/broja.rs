//! The decomposition of Bertschinger, Rauh, Olbrich, Jost and Ay (2014) for discrete variables.
//!
//! Over all `q` with `q(x1,y) = p(x1,y)` and `q(x2,y) = p(x2,y)` the joint information is
//! `H(Y) + f(q)` with the convex, homogeneous
//!
//! ```text
//! f(q) = Σ q(x1,x2,y) ln( q(x1,x2,y) / q(x1,x2) )                                   [nats]
//! ```
//!
//! and the union information is its minimum. For each pair `(x1,x2)` the summand is the support
//! function of `{ v : Σ_y exp v_y ≤ 1 }`, so that the dual programme has one multiplier per entry
//! of either marginal table:
//!
//! ```text
//! max Σ λ(x1,y) p(x1,y) + Σ μ(x2,y) p(x2,y)   with   Σ_y exp(λ(x1,y) + μ(x2,y)) ≤ 1 for all x1, x2
//! ```
//!
//! **Certificate.** *Any* `λ, μ` becomes feasible when `m = max ln Σ_y exp(λ + μ)` is taken off, so
//! `Σ λp + Σ μp − m` bounds the minimum from below; any `q` with the right marginals bounds it from
//! above. Both are evaluated from the definition at the end, so that the gap does not depend on how
//! the points were found.
//!
//! **Path.** Newton's method on the dual with the logarithmic barrier `−τ Σ ln(1 − Σ_y exp(λ+μ))`,
//! `τ` falling tenfold. At its minimum `q = τ exp(λ+μ)/(1 − Σ_y exp(λ+μ))` has exactly the right
//! marginals; what is missing before that is made up by proportional fitting and the rounding of
//! Altschuler, Weed and Rigollet (2017), which keep every zero of the support.

use faer::Mat;
use faer::linalg::solvers::Solve;

use super::joint::Joint;
use crate::atoms::Atoms;
use crate::error::PidError;
use crate::gpid::closed_form::Certificate;
use crate::linalg::NATS_PER_BIT;

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BrojaConfig {
    /// Certified gap in bits at which the search ends.
    pub gap_bits: f64,
    /// Newton steps at most.
    pub iterations_max: u64,
}

impl Default for BrojaConfig {
    fn default() -> Self {
        Self {
            gap_bits: 1e-10,
            iterations_max: 1000,
        }
    }
}

/// Most multipliers and pairs: a dense matrix of that size takes 128 MB.
const UNKNOWNS_MAX: usize = 4000;

/// How far the barrier falls between two centrings.
const BARRIER_FALL: f64 = 0.1;
/// The barrier below which sums of exponentials close to one have no digits left.
const BARRIER_MIN: f64 = 1e-15;
/// Squared Newton decrement, in units of the barrier, below which full steps are taken unseen.
const QUADRATIC: f64 = 0.05;
/// The same at which a point follows the path well enough for the next one.
const FOLLOWED: f64 = 1e-6;
/// The same at which a point counts as centred.
const CENTRED: f64 = 1e-10;
/// Newton steps between two falls at most.
const CENTRING_STEPS_MAX: usize = 30;
/// Steps below [`QUADRATIC`] at most: what they do not reach is beyond `f64`.
const CLOSE_STEPS_MAX: usize = 6;
/// Sweeps of proportional fitting at most, and the residual at which they end.
const SWEEPS_MAX: usize = 60;
const RESIDUAL: f64 = 1e-16;

/// The optimum of the discrete problem.
#[derive(Clone, Debug)]
pub struct Broja {
    /// The atoms and informations; the union information is that of [`Broja::coupling`].
    pub atoms: Atoms,
    /// Bounds that enclose the union information.
    pub certificate: Certificate,
    /// The optimal `q`, in the order of [`Joint::table`], with the marginals of `p`.
    pub coupling: Vec<f64>,
    /// `H(Y)` in bits.
    pub target_entropy_bits: f64,
    /// Newton steps.
    pub iterations: u64,
}

impl Broja {
    /// Solves a distribution to a certified gap.
    ///
    /// # Errors
    /// The tables are too large for a dense Newton matrix, or the gap stayed above the tolerance;
    /// the error tells the gap.
    pub fn of(joint: &Joint, config: &BrojaConfig) -> Result<Self, PidError> {
        let entropy = joint.target_entropy_bits();
        let mut barrier = Barrier::new(joint)?;
        let n_pairs = (joint.shape()[0] * joint.shape()[1]) as f64;
        let (mut best, mut iterations, mut tau) = (barrier.enclosure(), 0, 1.0 / n_pairs);
        while best.gap_bits() > config.gap_bits
            && tau > BARRIER_MIN
            && iterations < config.iterations_max
        {
            tau *= BARRIER_FALL;
            // On the path the gap is `n_pairs τ` nats; far from the goal, being near it is enough.
            let near = n_pairs * tau < 3.0 * config.gap_bits * NATS_PER_BIT;
            iterations += barrier.centre(tau, if near { CENTRED } else { FOLLOWED });
            if near || iterations >= config.iterations_max {
                best = best.better(barrier.enclosure());
            }
        }
        if best.gap_bits() > config.gap_bits {
            return Err(PidError::NotConverged {
                what: "discrete optimum",
                gap_bits: best.gap_bits(),
            });
        }
        let certificate = Certificate {
            lower_bits: (entropy + best.lower / NATS_PER_BIT).max(0.0),
            upper_bits: entropy + best.upper / NATS_PER_BIT,
        };
        let infos = [joint.info1_bits(), joint.info2_bits(), joint.info12_bits()];
        Ok(Self {
            atoms: Atoms::of_union(infos[0], infos[1], infos[2], certificate.upper_bits),
            certificate,
            coupling: best.coupling,
            target_entropy_bits: entropy,
            iterations,
        })
    }
}

/// Bounds on `min f` in nats with the point that attains the upper one.
struct Enclosure {
    lower: f64,
    upper: f64,
    coupling: Vec<f64>,
}

impl Enclosure {
    fn gap_bits(&self) -> f64 {
        (self.upper - self.lower) / NATS_PER_BIT
    }

    fn better(self, other: Self) -> Self {
        let lower = self.lower.max(other.lower);
        let best = if other.upper <= self.upper {
            other
        } else {
            self
        };
        Self { lower, ..best }
    }
}

/// The dual point with its barrier.
struct Barrier {
    shape: [usize; 3],
    pair1: Vec<f64>,
    pair2: Vec<f64>,
    /// `λ` then `μ`, `−∞` where the marginal is zero.
    multipliers: Vec<f64>,
    /// Position of each multiplier among the unknowns; `None` where it is absent or fixed.
    unknown: Vec<Option<usize>>,
    n_unknowns: usize,
    tau: f64,
    /// `q` of the present point.
    q: Vec<f64>,
}

impl Barrier {
    fn new(joint: &Joint) -> Result<Self, PidError> {
        let [n1, n2, ny] = joint.shape();
        let (pair1, pair2) = (joint.pair1(), joint.pair2());
        let mut multipliers = Vec::with_capacity((n1 + n2) * ny);
        for row in pair1.chunks(ny) {
            // p(y|x1)/2 leaves every sum at one half at most.
            let total: f64 = row.iter().sum();
            multipliers.extend(row.iter().map(|value| (0.5 * value / total).ln()));
        }
        for value in multipliers.iter_mut().filter(|value| value.is_nan()) {
            *value = f64::NEG_INFINITY;
        }
        let silent = |value: &f64| if *value > 0.0 { 0.0 } else { f64::NEG_INFINITY };
        multipliers.extend(pair2.iter().map(silent));
        // λ(·,y) + c and μ(·,y) − c are the same point: the first μ of each y stays where it is.
        let mut fixed = vec![false; ny];
        let (mut unknown, mut n_unknowns) = (Vec::with_capacity(multipliers.len()), 0);
        for (k, value) in multipliers.iter().enumerate() {
            let is_mu = k >= n1 * ny;
            let absent = *value == f64::NEG_INFINITY;
            let held = !absent && is_mu && !std::mem::replace(&mut fixed[k % ny], true);
            unknown.push((!absent && !held).then_some(n_unknowns));
            n_unknowns += usize::from(!absent && !held);
        }
        if n_unknowns + n1 * n2 > UNKNOWNS_MAX {
            return Err(PidError::TooLarge {
                what: "multipliers and pairs of the discrete problem",
                n: n_unknowns + n1 * n2,
                n_max: UNKNOWNS_MAX,
            });
        }
        Ok(Self {
            shape: [n1, n2, ny],
            pair1,
            pair2,
            multipliers,
            unknown,
            n_unknowns,
            tau: 1.0,
            q: vec![0.0; n1 * n2 * ny],
        })
    }

    /// Minimises the barrier function at `tau` from the present point, until the squared decrement
    /// is `centred` barriers; the Newton steps taken.
    fn centre(&mut self, tau: f64, centred: f64) -> u64 {
        self.tau = tau;
        let Some(mut value) = self.evaluate(&self.multipliers.clone()) else {
            return 0;
        };
        let mut n_close = 0;
        for step in 0..CENTRING_STEPS_MAX {
            let (gradient, matrix) = self.newton_equations();
            // The part of the pairs is zero on the right, as it must be.
            let direction = matrix.partial_piv_lu().solve(&gradient);
            let decrement: f64 = (0..self.n_unknowns)
                .map(|k| gradient[(k, 0)] * direction[(k, 0)])
                .sum();
            n_close += usize::from(decrement < QUADRATIC * tau);
            if decrement <= centred * tau || n_close > CLOSE_STEPS_MAX {
                return step as u64;
            }
            let Some(next) = self.search(&direction, value, decrement) else {
                return step as u64;
            };
            value = next;
        }
        CENTRING_STEPS_MAX as u64
    }

    /// Backtracking along `−direction`; the new value, or `None` where no step lowers it.
    fn search(&mut self, direction: &Mat<f64>, value: f64, decrement: f64) -> Option<f64> {
        let start = self.multipliers.clone();
        // Where Newton's method converges quadratically, the decrease is soon below the rounding of
        // the value itself; the step needs no test there beyond staying in the domain.
        let close = decrement < QUADRATIC * self.tau;
        let mut length = 1.0;
        for _ in 0..60 {
            let mut moved = start.clone();
            for (entry, place) in moved.iter_mut().zip(&self.unknown) {
                if let Some(k) = place {
                    *entry -= length * direction[(*k, 0)];
                }
            }
            match self.evaluate(&moved) {
                Some(next) if close || next <= value - 1e-4 * length * decrement => {
                    self.multipliers = moved;
                    return Some(next);
                }
                _ => length *= 0.5,
            }
        }
        // Restores `q` of the point that stays.
        self.evaluate(&start);
        None
    }

    /// The barrier function at a point, `None` outside its domain; writes `q`.
    fn evaluate(&mut self, multipliers: &[f64]) -> Option<f64> {
        let [n1, n2, ny] = self.shape;
        let (lambda, mu) = multipliers.split_at(n1 * ny);
        let mut value = -dual_value(multipliers, &self.pair1, &self.pair2);
        for pair in 0..n1 * n2 {
            let (x1, x2) = (pair / n2, pair % n2);
            let cells = &mut self.q[pair * ny..(pair + 1) * ny];
            let mut sum = 0.0;
            for (y, cell) in cells.iter_mut().enumerate() {
                *cell = (lambda[x1 * ny + y] + mu[x2 * ny + y]).exp();
                sum += *cell;
            }
            let slack = 1.0 - sum;
            if slack.is_nan() || slack <= 0.0 {
                return None;
            }
            value -= self.tau * slack.ln();
            for cell in cells {
                *cell *= self.tau / slack;
            }
        }
        value.is_finite().then_some(value)
    }

    /// Gradient of the barrier function at the present `q` and the matrix of its Newton equations.
    ///
    /// Each pair adds `diag(q) + q qᵀ/τ` to the multipliers of its cells. Written out, the second
    /// part would square the condition number, so each pair gets an unknown of its own instead:
    /// `[[D, U], [Uᵀ, −τI]]` with the Laplacian `D` of all `diag(q)` and the columns `q` of `U`.
    fn newton_equations(&self) -> (Mat<f64>, Mat<f64>) {
        let [n1, n2, ny] = self.shape;
        let (n, n_pairs) = (self.n_unknowns, n1 * n2);
        let mut gradient = Mat::zeros(n + n_pairs, 1);
        let mut matrix = Mat::zeros(n + n_pairs, n + n_pairs);
        let marginals = self.pair1.iter().chain(&self.pair2);
        for (place, marginal) in self.unknown.iter().zip(marginals) {
            if let Some(k) = place {
                gradient[(*k, 0)] -= marginal;
            }
        }
        for pair in 0..n_pairs {
            let (x1, x2) = (pair / n2, pair % n2);
            for (y, value) in self.q[pair * ny..(pair + 1) * ny].iter().enumerate() {
                let here = [self.unknown[x1 * ny + y], self.unknown[(n1 + x2) * ny + y]];
                for a in here.into_iter().flatten() {
                    gradient[(a, 0)] += value;
                    matrix[(a, n + pair)] += value;
                    matrix[(n + pair, a)] += value;
                    for b in here.into_iter().flatten() {
                        matrix[(a, b)] += value;
                    }
                }
            }
            matrix[(n + pair, n + pair)] = -self.tau;
        }
        (gradient, matrix)
    }

    /// Both bounds at the present point.
    fn enclosure(&mut self) -> Enclosure {
        let multipliers = self.multipliers.clone();
        self.evaluate(&multipliers);
        let excess = self.largest_log_sum();
        let coupling = self.feasible();
        Enclosure {
            lower: dual_value(&multipliers, &self.pair1, &self.pair2) - excess,
            upper: conditional_negentropy(&coupling, self.shape[2]),
            coupling,
        }
    }

    /// `max ln Σ_y exp(λ + μ)` over the pairs.
    fn largest_log_sum(&self) -> f64 {
        let [n1, n2, ny] = self.shape;
        let (lambda, mu) = self.multipliers.split_at(n1 * ny);
        let log_sum = |pair: usize| {
            let (x1, x2) = (pair / n2, pair % n2);
            let terms = (0..ny).map(|y| (lambda[x1 * ny + y] + mu[x2 * ny + y]).exp());
            terms.sum::<f64>().ln()
        };
        (0..n1 * n2).map(log_sum).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The present `q`, moved onto the marginals: proportional fitting takes off what it can where
    /// the mass already is, then rows and columns are scaled down, and what is missing, of the size
    /// of rounding by then, is added as a product.
    fn feasible(&self) -> Vec<f64> {
        let [n1, n2, ny] = self.shape;
        let mut q = self.q.clone();
        let at = |x1: usize, x2: usize, y: usize| (x1 * n2 + x2) * ny + y;
        for y in 0..ny {
            for sweep in 0..=SWEEPS_MAX {
                // The last sweep only scales down, so that nothing exceeds a marginal.
                let last = sweep == SWEEPS_MAX;
                let mut residual = 0.0_f64;
                for x1 in 0..n1 {
                    let wanted = self.pair1[x1 * ny + y];
                    let sum: f64 = (0..n2).map(|x2| q[at(x1, x2, y)]).sum();
                    residual = residual.max((sum - wanted).abs());
                    let factor = ratio(wanted, sum, last);
                    (0..n2).for_each(|x2| q[at(x1, x2, y)] *= factor);
                }
                for x2 in 0..n2 {
                    let wanted = self.pair2[x2 * ny + y];
                    let sum: f64 = (0..n1).map(|x1| q[at(x1, x2, y)]).sum();
                    let factor = ratio(wanted, sum, last);
                    (0..n1).for_each(|x1| q[at(x1, x2, y)] *= factor);
                }
                if residual < RESIDUAL {
                    break;
                }
            }
            let missing = |wanted: f64, found: f64| (wanted - found).max(0.0);
            let rows: Vec<f64> = (0..n1)
                .map(|x1| {
                    let sum = (0..n2).map(|x2| q[at(x1, x2, y)]).sum();
                    missing(self.pair1[x1 * ny + y], sum)
                })
                .collect();
            let columns: Vec<f64> = (0..n2)
                .map(|x2| {
                    let sum = (0..n1).map(|x1| q[at(x1, x2, y)]).sum();
                    missing(self.pair2[x2 * ny + y], sum)
                })
                .collect();
            let total: f64 = columns.iter().sum();
            if total > 0.0 {
                for (x1, row) in rows.iter().enumerate() {
                    for (x2, column) in columns.iter().enumerate() {
                        q[at(x1, x2, y)] += row * column / total;
                    }
                }
            }
        }
        q
    }
}

/// `Σ λp + Σ μp`, absent multipliers left out.
fn dual_value(multipliers: &[f64], pair1: &[f64], pair2: &[f64]) -> f64 {
    let weights = pair1.iter().chain(pair2);
    multipliers
        .iter()
        .zip(weights)
        .filter(|(_, weight)| **weight > 0.0)
        .map(|(multiplier, weight)| multiplier * weight)
        .sum()
}

/// `f(q) = −H_q(Y|X1,X2)` in nats.
fn conditional_negentropy(q: &[f64], ny: usize) -> f64 {
    let mut sum = 0.0;
    for cells in q.chunks(ny) {
        let total: f64 = cells.iter().sum();
        for value in cells.iter().filter(|value| **value > 0.0) {
            sum += value * (value / total).ln();
        }
    }
    sum
}

/// The factor that brings `found` to `wanted`; 1 where nothing is there, or where it would have to
/// grow and only shrinking is allowed.
fn ratio(wanted: f64, found: f64, shrink_only: bool) -> f64 {
    if found <= 0.0 || (shrink_only && found <= wanted) {
        return 1.0;
    }
    wanted / found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Joint {
        let raw: Vec<f64> = (0..18)
            .map(|k| 1.0 + ((5 * k * k + 3) % 7) as f64)
            .collect();
        let sum: f64 = raw.iter().sum();
        Joint::new([3, 2, 3], raw.into_iter().map(|v| v / sum).collect()).unwrap()
    }

    #[test]
    fn the_coupling_has_both_marginals_and_the_stated_information() {
        let joint = example();
        let found = Broja::of(&joint, &BrojaConfig::default()).unwrap();
        let q = Joint::new(joint.shape(), found.coupling.clone()).unwrap();
        for (a, b) in [(q.pair1(), joint.pair1()), (q.pair2(), joint.pair2())] {
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-15));
        }
        assert!((q.info12_bits() - found.atoms.union).abs() < 1e-14);
        assert!(found.certificate.gap_bits() < 1e-10);
        assert!(found.certificate.lower_bits <= found.atoms.union);
    }

    #[test]
    fn no_other_coupling_of_the_same_pairs_has_less() {
        let joint = example();
        let found = Broja::of(&joint, &BrojaConfig::default()).unwrap();
        let [_, n2, ny] = joint.shape();
        let mut moved_down = 0;
        // The polytope's directions: ±δ on the corners of a rectangle at one y.
        for corner in 0..6 {
            let (y, x1) = (corner % 3, corner / 3);
            let at = |x1: usize, x2: usize| (x1 * n2 + x2) * ny + y;
            for sign in [1.0, -1.0] {
                let mut q = found.coupling.clone();
                let delta = sign * 1e-4;
                for (cell, sign) in [
                    (at(x1, 0), delta),
                    (at(x1, 1), -delta),
                    (at(x1 + 1, 0), -delta),
                    (at(x1 + 1, 1), delta),
                ] {
                    q[cell] += sign;
                }
                if q.iter().all(|value| *value >= 0.0) {
                    let value = conditional_negentropy(&q, ny) / NATS_PER_BIT;
                    let union = found.target_entropy_bits + value;
                    assert!(union > found.atoms.union - 1e-10);
                    moved_down += 1;
                }
            }
        }
        assert!(moved_down > 4);
    }

    #[test]
    fn a_gap_that_is_not_reached_is_an_error_with_the_gap() {
        let config = BrojaConfig {
            iterations_max: 3,
            ..BrojaConfig::default()
        };
        let error = Broja::of(&example(), &config).unwrap_err();
        assert!(matches!(error, PidError::NotConverged { gap_bits, .. } if gap_bits > 1e-10));
    }
}
