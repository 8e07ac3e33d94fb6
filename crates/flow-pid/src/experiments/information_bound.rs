//! T5 (Corollary 4.3): `|I_p(X;Y) − I_q(X;Y)| ≤ KL(p‖q)`, in the reading in which it holds and in
//! the literal one.
//!
//! The bound's proof works with `I_q := E_p log q(x,y)/(q(x)q(y))`, the information that a model
//! `q` assigns to data from `p`. Read literally, with the mutual information *of* `q`, it is false:
//! two nearly equal correlations close to one already violate it. Both are evaluated in closed form
//! on a grid of Gaussian pairs; nothing is sampled.

use eval::{Cell, Cx, Result, Row};

/// The experiment's name.
pub const NAME: &str = "information-bound";

const CORRELATIONS: [f64; 9] = [-0.95, -0.6, -0.2, 0.0, 0.3, 0.7, 0.89, 0.9, 0.98];
const VARIANCES: [f64; 3] = [0.5, 1.0, 2.0];

/// The one cell.
pub fn cells() -> Vec<Cell> {
    vec![Cell::new(NAME, 0)]
}

/// Both readings on every pair of the grid; `p` has unit variances.
pub fn run(cx: &mut Cx) -> Result<()> {
    for rho_p in CORRELATIONS {
        for rho_q in CORRELATIONS {
            for variance in VARIANCES {
                let (p, q) = (Pair::new(rho_p, 1.0), Pair::new(rho_q, variance));
                let kl = p.divergence(q);
                let (truth, model) = (p.information(), p.information_under(q));
                let item = format!("p {rho_p} q {rho_q} variance {variance}");
                let row = |reading: &str, other: f64| {
                    Row::new("excess_nats", (truth - other).abs() - kl, "nats")
                        .item(&item)
                        .tag("reading", reading)
                };
                cx.row(row("under p", model))?;
                cx.row(row("literal", q.information()))?;
            }
        }
    }
    Ok(())
}

/// A centred Gaussian pair with equal variances.
#[derive(Clone, Copy)]
struct Pair {
    rho: f64,
    variance: f64,
}

impl Pair {
    fn new(rho: f64, variance: f64) -> Self {
        Self { rho, variance }
    }

    fn information(self) -> f64 {
        -0.5 * (1.0 - self.rho * self.rho).ln()
    }

    /// `E_self log q(x,y)/(q(x)q(y))`.
    fn information_under(self, q: Self) -> f64 {
        let (scale, rho) = (self.variance / q.variance, q.rho);
        let quadratic = 2.0 * scale * (1.0 - rho * self.rho) / (1.0 - rho * rho);
        q.information() - 0.5 * quadratic + scale
    }

    /// `KL(self‖q)` in nats.
    fn divergence(self, q: Self) -> f64 {
        let scale = self.variance / q.variance;
        let trace = 2.0 * scale * (1.0 - q.rho * self.rho) / (1.0 - q.rho * q.rho);
        let determinants = (1.0 - q.rho * q.rho) / (1.0 - self.rho * self.rho);
        0.5 * (trace - 2.0 + determinants.ln() - 2.0 * scale.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_counterexample_violates_the_literal_reading_only() {
        let (p, q) = (Pair::new(0.9, 1.0), Pair::new(0.89, 1.0));
        assert!((p.divergence(q) - 0.002_21).abs() < 1e-5);
        assert!(((p.information() - q.information()).abs() - 0.045_02).abs() < 1e-5);
        // With equal marginals the corrected reading holds with equality.
        let under = (p.information() - p.information_under(q)).abs();
        assert!((under - p.divergence(q)).abs() < 1e-14);
    }

    #[test]
    fn divergence_and_information_match_a_numerical_integral() {
        let (p, q) = (Pair::new(0.3, 1.0), Pair::new(-0.2, 2.0));
        let density = |pair: Pair, x: f64, y: f64| {
            let one = 1.0 - pair.rho * pair.rho;
            let form = (x * x - 2.0 * pair.rho * x * y + y * y) / (pair.variance * one);
            (-0.5 * form).exp() / (std::f64::consts::TAU * pair.variance * one.sqrt())
        };
        let marginal = |pair: Pair, x: f64| {
            (-0.5 * x * x / pair.variance).exp() / (std::f64::consts::TAU * pair.variance).sqrt()
        };
        let (mut divergence, mut under) = (0.0, 0.0);
        for i in -160..=160 {
            for j in -160..=160 {
                let (x, y) = (f64::from(i) / 20.0, f64::from(j) / 20.0);
                let (a, b) = (density(p, x, y), density(q, x, y));
                divergence += a * (a / b).ln() / 400.0;
                under += a * (b / (marginal(q, x) * marginal(q, y))).ln() / 400.0;
            }
        }
        assert!((divergence - p.divergence(q)).abs() < 1e-8);
        assert!((under - p.information_under(q)).abs() < 1e-8);
    }
}
