//! AdamW (arXiv 1711.05101) on a flat vector, and learning-rate schedules.

/// Moments of a run of AdamW.
#[derive(Clone, Debug)]
pub struct Adam {
    first: Vec<f64>,
    second: Vec<f64>,
    n_steps: i32,
    /// Decoupled weight decay per unit of learning rate.
    pub decay: f64,
}

impl Adam {
    /// `β₁` and `β₂` (section 8 of the specification).
    const BETAS: [f64; 2] = [0.9, 0.99];
    /// Added to the root of the second moment.
    const EPS: f64 = 1e-8;

    /// No step taken yet.
    #[must_use]
    pub fn new(n_parameters: usize, decay: f64) -> Self {
        Self {
            first: vec![0.0; n_parameters],
            second: vec![0.0; n_parameters],
            n_steps: 0,
            decay,
        }
    }

    /// One step at learning rate `rate`.
    pub fn step(&mut self, theta: &mut [f64], gradient: &[f64], rate: f64) {
        self.n_steps += 1;
        let [b1, b2] = Self::BETAS;
        let corrections = [1.0 - b1.powi(self.n_steps), 1.0 - b2.powi(self.n_steps)];
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((x, g), (first, second)) in theta.iter_mut().zip(gradient).zip(moments) {
            *first = b1 * *first + (1.0 - b1) * g;
            *second = b2 * *second + (1.0 - b2) * g * g;
            let (mean, square) = (*first / corrections[0], *second / corrections[1]);
            *x -= rate * (mean / (square.sqrt() + Self::EPS) + self.decay * *x);
        }
    }
}

/// Linear warm-up, then linear decay to `floor` times the peak at step `n_steps`.
#[must_use]
pub fn linear(step: usize, n_warmup: usize, n_steps: usize, floor: f64) -> f64 {
    warmed(step, n_warmup, n_steps, |done| 1.0 - (1.0 - floor) * done)
}

/// Linear warm-up, then half a cosine down to 0 at step `n_steps`.
#[must_use]
pub fn cosine(step: usize, n_warmup: usize, n_steps: usize) -> f64 {
    warmed(step, n_warmup, n_steps, |done| {
        0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    })
}

fn warmed(step: usize, n_warmup: usize, n_steps: usize, after: impl Fn(f64) -> f64) -> f64 {
    if step < n_warmup {
        return (step + 1) as f64 / n_warmup as f64;
    }
    let span = n_steps.saturating_sub(n_warmup).max(1);
    after(((step - n_warmup) as f64 / span as f64).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by hand: after one step both corrected moments are those of the first gradient, so
    /// each parameter moves by the rate; the second step's moments follow from the recursion.
    #[test]
    fn two_steps_follow_the_recursion() {
        let mut theta = vec![1.0, -2.0];
        let mut adam = Adam::new(2, 0.0);
        adam.step(&mut theta, &[0.5, -3.0], 0.1);
        assert!((theta[0] - 0.9).abs() < 1e-6 && (theta[1] + 1.9).abs() < 1e-6);
        adam.step(&mut theta, &[0.1, -3.0], 0.1);
        let mean = (0.9 * 0.05 + 0.1 * 0.1) / 0.19;
        let square: f64 = (0.99 * 0.0025 + 0.01 * 0.01) / 0.0199;
        assert!((theta[0] - (0.9 - 0.1 * mean / square.sqrt())).abs() < 1e-6);
        let mut decayed = vec![1.0];
        Adam::new(1, 0.5).step(&mut decayed, &[0.0], 0.1);
        assert!((decayed[0] - 0.95).abs() < 1e-12);
    }

    #[test]
    fn schedules_rise_and_fall_between_known_ends() {
        assert_eq!(linear(0, 10, 100, 0.05), 0.1);
        assert_eq!(linear(10, 10, 100, 0.05), 1.0);
        assert!((linear(100, 10, 100, 0.05) - 0.05).abs() < 1e-12);
        assert!((cosine(55, 10, 100) - 0.5).abs() < 1e-12);
        assert!(cosine(100, 10, 100).abs() < 1e-12);
        assert_eq!(cosine(0, 0, 0), 1.0);
    }
}
