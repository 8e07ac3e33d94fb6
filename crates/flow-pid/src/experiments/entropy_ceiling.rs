//! Q5: the Gaussian information about a binary label can exceed the label's entropy.
//!
//! A fair binary label shifts one Gaussian feature by `s` standard deviations. The Gaussian
//! information of the pair is `½ log2(1 + s²/4)`; the true one is an integral, computed here by
//! quadrature. Nothing is sampled.

use eval::{Cell, Cx, Result, Row};

use super::number;

/// The experiment's name.
pub const NAME: &str = "entropy-ceiling";

/// Separations in standard deviations.
const SEPARATIONS: [f64; 9] = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0];

/// One cell per separation.
pub fn cells() -> Vec<Cell> {
    let cell = |s: &f64| Cell::new(NAME, 0).with("separation", s);
    SEPARATIONS.iter().map(cell).collect()
}

/// Both informations.
pub fn run(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let s: f64 = number(cell, "separation")?;
    let gaussian = gaussian_bits(s);
    let truth = label_information_bits(s);
    cx.row(Row::new("gaussian_bits", gaussian, "bits"))?;
    cx.row(Row::new("true_bits", truth, "bits"))?;
    cx.row(Row::new("excess_bits", gaussian - truth, "bits"))?;
    // A fair binary label has an entropy of 1 bit.
    cx.row(Row::new("above_entropy_bits", gaussian - 1.0, "bits"))
}

/// What Gaussian PID computes: variance of the class means over variance within, 1/4 s².
fn gaussian_bits(s: f64) -> f64 {
    0.5 * (1.0 + s * s / 4.0).log2()
}

/// `1 − E[h(P(Y=1|X))]` with the binary entropy `h`, by the trapezoidal rule on the density, which
/// converges faster than any power of the step for such integrands.
pub(super) fn label_information_bits(s: f64) -> f64 {
    const HALF_WIDTH: f64 = 12.0;
    const STEPS: usize = 20_000;
    let (low, high) = (-0.5 * s - HALF_WIDTH, 0.5 * s + HALF_WIDTH);
    let step = (high - low) / STEPS as f64;
    let density = |x: f64, mean: f64| (-0.5 * (x - mean).powi(2)).exp();
    let sum: f64 = (0..=STEPS)
        .map(|k| {
            let x = low + k as f64 * step;
            let (a, b) = (density(x, -0.5 * s), density(x, 0.5 * s));
            let total = a + b;
            0.5 * total * binary_entropy_bits(a / total)
        })
        .sum();
    1.0 - sum * step / std::f64::consts::TAU.sqrt()
}

/// `−p log2 p − (1−p) log2 (1−p)`; 0 at the ends.
pub(super) fn binary_entropy_bits(p: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    term(p) + term(1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadrature_matches_an_independent_integrator() {
        // scipy.integrate.quad of the same expectation (fixtures/make_flow_oracle.py).
        for (s, expected) in [
            (1.0, 0.160_747_219_796_416_82),
            (3.0, 0.759_979_007_771_230_5),
            (5.0, 0.975_179_004_313_244),
        ] {
            assert!((label_information_bits(s) - expected).abs() < 1e-10, "{s}");
        }
    }
}
