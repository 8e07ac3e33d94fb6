//! Thin-PID and the closed form against two solvers that share no code with them: scipy's BFGS,
//! whose optima were computed once (`fixtures/make_oracle.py`), and the quasi-Newton method below,
//! written on plain vectors with formulas the crate does not use.

use flow_pid::legacy_gaussian::LegacyGaussian;
use flow_pid::{Atoms, Channel, Optimum, Stop, ThinPid, ThinPidConfig, mmi};
use rand::RngExt;
use serde::Deserialize;

use crate::{random_channel, stream};

/// The project's bar for agreement with an independent oracle, in bits.
const ORACLE_BITS: f64 = 1e-10;

#[derive(Deserialize)]
struct Fixture {
    numpy: String,
    scipy: String,
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    h1: Vec<Vec<f64>>,
    h2: Vec<Vec<f64>>,
    union_bits: f64,
    gradient_max_bits: f64,
}

fn matrix(rows: &[Vec<f64>]) -> faer::Mat<f64> {
    faer::Mat::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

#[test]
fn both_solvers_agree_with_scipy() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/oracle.json")).unwrap();
    assert_eq!(
        (fixture.numpy.as_str(), fixture.scipy.as_str()),
        ("2.4.6", "1.17.1")
    );
    for problem in fixture.problems {
        let channel =
            Channel::with_independent_noise(matrix(&problem.h1), matrix(&problem.h2)).unwrap();
        let dims = channel.dims();
        assert!(problem.gradient_max_bits < 1e-6);
        let optimum = Optimum::of(&channel).unwrap();
        let closed = (optimum.union_bits - problem.union_bits).abs();
        assert!(closed < ORACLE_BITS, "closed form {dims:?}: {closed:e}");
        let thin = ThinPid::run(&channel, &ThinPidConfig::tight()).unwrap();
        let error = (thin.union_bits().unwrap() - problem.union_bits).abs();
        assert!(error < ORACLE_BITS, "Thin-PID {dims:?}: {error:e}");
    }
}

#[test]
fn thin_pid_agrees_with_a_quasi_newton_method_up_to_16_dimensions() {
    let mut rng = stream(7);
    for d in 1..=16 {
        let d2 = rng.random_range(1..=d);
        // One target size in each third of the possible range.
        let dy = rng.random_range(1..=16);
        let channel = random_channel(d, d2, dy, &mut rng);
        let oracle = QuasiNewton::new(&channel).minimum_bits();
        let thin = ThinPid::run(&channel, &ThinPidConfig::tight()).unwrap();
        assert_eq!(thin.stop, Stop::Converged);
        let error = (thin.union_bits().unwrap() - oracle).abs();
        assert!(error < ORACLE_BITS, "({d}, {d2}, {dy}): {error:e}");
    }
}

/// Dimensions (d1, d2, dy), last index i, and smallest objective in bits of the published loop on
/// the channels of numpy's legacy seed 0, by `benches/peers/thin_pid.py` with numpy 2.4.6: it
/// factors, solves, and projects by singular values in every iteration.
type Reference = ((usize, usize, usize), u64, f64);
const REFERENCE: [Reference; 8] = [
    ((2, 2, 2), 125, 2.846881817891394),
    ((4, 4, 4), 124, 5.638624656012784),
    ((8, 8, 8), 129, 14.038305974772578),
    ((16, 16, 2), 99, 4.546431102037634),
    ((16, 16, 16), 173, 34.51566257266928),
    ((5, 3, 7), 128, 8.988163774996726),
    ((3, 6, 2), 59, 2.9524855732141133),
    ((32, 32, 32), 199, 83.27361464701922),
];

#[test]
fn the_iteration_is_the_published_loop_step_by_step() {
    for ((d1, d2, dy), iterations, union) in REFERENCE {
        let mut stream = LegacyGaussian::seeded(0);
        let (h1, h2) = (stream.matrix(d1, dy), stream.matrix(d2, dy));
        let channel = Channel::with_independent_noise(h1, h2).unwrap();
        let thin = ThinPid::run(&channel, &ThinPidConfig::default()).unwrap();
        assert_eq!(thin.iterations, iterations, "({d1}, {d2}, {dy})");
        let error = (thin.union_bits().unwrap() - union).abs();
        assert!(error < 1e-11, "({d1}, {d2}, {dy}): {error:e}");
    }
}

#[test]
fn tight_thin_pid_equals_the_scalar_truth_to_1e_12() {
    let mut rng = stream(8);
    for _ in 0..200 {
        let (a, b) = (rng.random_range(0.05..4.0), rng.random_range(0.05..4.0));
        let rho = rng.random_range(-0.95..0.95);
        let one = |value: f64| faer::Mat::from_fn(1, 1, |_, _| value);
        let channel = Channel::new(one(a), one(b), one(rho)).unwrap();
        let truth = mmi::scalar_channel(a, b, rho);
        let thin = ThinPid::run(&channel, &ThinPidConfig::tight()).unwrap();
        let error = thin.atoms(&channel).unwrap().distance_max(&truth);
        assert!(error < 1e-12, "{a} {b} {rho}: {error:e}");
        let error = Atoms::of_channel(&channel).unwrap().distance_max(&truth);
        assert!(error < 1e-13, "closed form {a} {b} {rho}: {error:e}");
    }
}

#[test]
fn the_gap_to_the_certified_optimum_stays_below_1e_9_up_to_64_dimensions() {
    let mut rng = stream(9);
    for (d1, d2, dy) in [
        (8, 8, 8),
        (20, 13, 5),
        (32, 32, 32),
        (64, 40, 1),
        (64, 64, 2),
        (40, 64, 30),
        (64, 64, 64),
    ] {
        let channel = random_channel(d1, d2, dy, &mut rng);
        let certificate = Optimum::of(&channel).unwrap().certificate().unwrap();
        assert!(certificate.gap_bits().abs() < 1e-11, "{certificate:?}");
        let thin = ThinPid::run(&channel, &ThinPidConfig::tight()).unwrap();
        let gap = thin.union_bits().unwrap() - certificate.lower_bits;
        assert!(gap.abs() < 1e-9, "({d1}, {d2}, {dy}): {gap:e}");
    }
}

#[test]
fn thin_pid_on_the_triangular_factors_finds_the_same_union_information() {
    let mut rng = stream(10);
    let channel = random_channel(90, 60, 3, &mut rng);
    let reduced = channel.reduced();
    assert_eq!((reduced.dims().x1, reduced.dims().x2), (3, 3));
    let union = |channel: &Channel| {
        ThinPid::run(channel, &ThinPidConfig::tight())
            .unwrap()
            .union_bits()
            .unwrap()
    };
    assert!((union(&channel) - union(&reduced)).abs() < 1e-10);
}

/// Minimises `½ log2 det G − ½ log2 det N` over the coupling by BFGS with backtracking.
/// Determinants and inverses come from Gaussian elimination; the gradient is `(G⁻¹ − N⁻¹)₁₂`, not
/// the paper's.
struct QuasiNewton {
    d1: usize,
    d2: usize,
    signal: Vec<f64>,
}

impl QuasiNewton {
    fn new(channel: &Channel) -> Self {
        let dims = channel.dims();
        let n = dims.x1 + dims.x2;
        let row = |i: usize| -> Vec<f64> {
            (0..dims.y)
                .map(|k| {
                    if i < dims.x1 {
                        channel.h1()[(i, k)]
                    } else {
                        channel.h2()[(i - dims.x1, k)]
                    }
                })
                .collect()
        };
        let mut signal = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                signal[i * n + j] = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
            }
        }
        Self {
            d1: dims.x1,
            d2: dims.x2,
            signal,
        }
    }

    /// Value and gradient in nats; `None` outside the ball.
    fn evaluate(&self, coupling: &[f64]) -> Option<(f64, Vec<f64>)> {
        let n = self.d1 + self.d2;
        let mut noise = vec![0.0; n * n];
        (0..n).for_each(|i| noise[i * n + i] = 1.0);
        for i in 0..self.d1 {
            for j in 0..self.d2 {
                noise[i * n + self.d1 + j] = coupling[i * self.d2 + j];
                noise[(self.d1 + j) * n + i] = coupling[i * self.d2 + j];
            }
        }
        let total: Vec<f64> = noise.iter().zip(&self.signal).map(|(a, b)| a + b).collect();
        let (log_noise, inverse_noise) = eliminate(noise, n)?;
        let (log_total, inverse_total) = eliminate(total, n)?;
        let mut gradient = vec![0.0; self.d1 * self.d2];
        for i in 0..self.d1 {
            for j in 0..self.d2 {
                let at = i * n + self.d1 + j;
                gradient[i * self.d2 + j] = inverse_total[at] - inverse_noise[at];
            }
        }
        Some((0.5 * (log_total - log_noise), gradient))
    }

    fn minimum_bits(&self) -> f64 {
        let n = self.d1 * self.d2;
        let mut point = vec![0.0; n];
        let (mut value, mut gradient) = self.evaluate(&point).unwrap();
        let mut metric = identity(n);
        for _ in 0..5000 {
            if gradient.iter().all(|g| g.abs() < 1e-9) {
                break;
            }
            let mut direction: Vec<f64> = (0..n).map(|i| -dot(&metric[i], &gradient)).collect();
            if dot(&direction, &gradient) >= 0.0 {
                metric = identity(n);
                direction = gradient.iter().map(|g| -g).collect();
            }
            let Some((moved, next, next_gradient)) =
                self.backtrack(&point, value, &gradient, &direction)
            else {
                break;
            };
            let change: Vec<f64> = next_gradient
                .iter()
                .zip(&gradient)
                .map(|(a, b)| a - b)
                .collect();
            update(&mut metric, &moved, &change);
            point.iter_mut().zip(&moved).for_each(|(p, m)| *p += m);
            (value, gradient) = (next, next_gradient);
        }
        assert!(
            gradient.iter().all(|g| g.abs() < 1e-5),
            "the oracle did not converge"
        );
        value / std::f64::consts::LN_2
    }

    fn backtrack(
        &self,
        point: &[f64],
        value: f64,
        gradient: &[f64],
        direction: &[f64],
    ) -> Option<(Vec<f64>, f64, Vec<f64>)> {
        let slope = dot(direction, gradient);
        let mut length = 1.0;
        for _ in 0..60 {
            let moved: Vec<f64> = direction.iter().map(|d| length * d).collect();
            let next: Vec<f64> = point.iter().zip(&moved).map(|(p, m)| p + m).collect();
            if let Some((found, gradient)) = self.evaluate(&next)
                && found <= value + 1e-4 * length * slope
            {
                return Some((moved, found, gradient));
            }
            length *= 0.5;
        }
        None
    }
}

/// Logarithm of the determinant and inverse of a positive definite matrix, by Gauss and Jordan.
fn eliminate(mut a: Vec<f64>, n: usize) -> Option<(f64, Vec<f64>)> {
    let mut inverse = vec![0.0; n * n];
    (0..n).for_each(|i| inverse[i * n + i] = 1.0);
    let mut log_det = 0.0;
    for k in 0..n {
        let pivot = a[k * n + k];
        if pivot <= 0.0 {
            return None;
        }
        log_det += pivot.ln();
        for j in 0..n {
            a[k * n + j] /= pivot;
            inverse[k * n + j] /= pivot;
        }
        for i in (0..n).filter(|i| *i != k) {
            let factor = a[i * n + k];
            for j in 0..n {
                a[i * n + j] -= factor * a[k * n + j];
                inverse[i * n + j] -= factor * inverse[k * n + j];
            }
        }
    }
    Some((log_det, inverse))
}

fn identity(n: usize) -> Vec<Vec<f64>> {
    (0..n)
        .map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect())
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The BFGS update of the inverse Hessian, skipped where curvature is lost.
fn update(metric: &mut [Vec<f64>], step: &[f64], change: &[f64]) {
    let curvature = dot(step, change);
    if curvature <= 1e-300 {
        return;
    }
    let product: Vec<f64> = metric.iter().map(|row| dot(row, change)).collect();
    let scale = (1.0 + dot(change, &product) / curvature) / curvature;
    for (i, row) in metric.iter_mut().enumerate() {
        for (j, entry) in row.iter_mut().enumerate() {
            *entry += scale * step[i] * step[j]
                - (product[i] * step[j] + step[i] * product[j]) / curvature;
        }
    }
}
