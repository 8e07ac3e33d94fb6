//! Stochastic gradient descent in the tabular world, and what Theorems 3 and 4 say of it.
//!
//! The objective is `f(θ) = mean ℓ_m + (λ/2)‖θ − θ_ref‖²`; the ridge's exact gradient is part of
//! every estimator, so biases and variances are those of the preference gradients alone.

use rand::{Rng, RngExt};

use super::world::{Point, World, from_cumulative};
use crate::method::loss::{PreferenceLoss, pair_loss};
use crate::method::theory::{Population, Randomness, distance_sq, dot};

/// Which gradient a chain follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arm {
    /// `α g_t + (1−α) g_e` at a fixed weight: 1 is DPO on traces, 0 is DPO without them.
    Mix(f64),
    /// The mix at the exact optimal weight of every step, at this batch size.
    Oracle,
    /// The mean of `g_t` over K trace pairs.
    Mean(usize),
    /// `α g_t`: the zero vector in place of `g_e`.
    Shrink(f64),
}

/// A descent: an objective, a step, and an estimator.
#[derive(Clone, Copy, Debug)]
pub struct Descent<'a> {
    /// The world.
    pub world: &'a World,
    /// The preference loss.
    pub loss: &'a dyn PreferenceLoss,
    /// `π_ref(r|y)` of the pairs, see [`World::posteriors`].
    pub posteriors: &'a [[Vec<f64>; 2]],
    /// Step size η.
    pub rate: f64,
    /// Steps.
    pub n_steps: usize,
    /// Pairs per step, drawn with replacement, each with fresh traces.
    pub n_batch: usize,
}

/// What one chain went through.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chain {
    /// Mean over all steps of `‖∇f(θ_k)‖²`.
    pub mean_gradient_sq: f64,
    /// `f` at the end.
    pub final_loss: f64,
    /// Mean over all steps of `‖b_k‖² + ηL V_k`; 0 unless asked for.
    pub mean_error_term: f64,
}

/// Where the objective bends most, and how low it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Smoothness {
    /// `L`: 1.25 times the largest curvature found along the path of exact descent.
    pub curvature: f64,
    /// `f*`: the objective after a long exact descent.
    pub lowest: f64,
    /// `f(θ_ref)`.
    pub start: f64,
}

impl World {
    /// `f(θ)`, with its gradient written to `gradient`.
    pub fn objective(&self, theta: &[f64], loss: &dyn PreferenceLoss, gradient: &mut [f64]) -> f64 {
        let point = Point::new(self.shape, theta);
        self.objective_at((theta, &point), loss, gradient)
    }

    fn objective_at(
        &self,
        (theta, point): (&[f64], &Point),
        loss: &dyn PreferenceLoss,
        gradient: &mut [f64],
    ) -> f64 {
        gradient.fill(0.0);
        let share = 1.0 / self.pairs.len() as f64;
        let mut value = 0.5 * self.ridge * distance_sq(theta, &self.reference);
        for pair in &self.pairs {
            value += share * self.add_marginal((point, loss), pair, share, gradient);
        }
        self.add_ridge(theta, gradient);
        value
    }

    fn add_ridge(&self, theta: &[f64], gradient: &mut [f64]) {
        for ((g, now), start) in gradient.iter_mut().zip(theta).zip(&self.reference) {
            *g += self.ridge * (now - start);
        }
    }

    /// Curvature and least value near the path of exact descent from the reference.
    #[must_use]
    pub fn smoothness(&self, loss: &dyn PreferenceLoss) -> Smoothness {
        const STEPS: usize = 4000;
        const MARGIN: f64 = 1.25;
        let mut theta = self.reference.clone();
        let mut gradient = vec![0.0; theta.len()];
        let start = self.objective(&theta, loss, &mut gradient);
        let mut curvature = self.largest_curvature(&theta, loss);
        let (mut lowest, mut next_check) = (start, 1);
        for step in 0..STEPS {
            lowest = self.objective(&theta, loss, &mut gradient).min(lowest);
            if step == next_check {
                curvature = curvature.max(self.largest_curvature(&theta, loss));
                next_check *= 2;
            }
            for (x, g) in theta.iter_mut().zip(&gradient) {
                *x -= g / (MARGIN * curvature);
            }
        }
        Smoothness {
            curvature: MARGIN * curvature,
            lowest,
            start,
        }
    }

    /// The largest absolute eigenvalue of the Hessian, by power iteration on differences of exact
    /// gradients.
    fn largest_curvature(&self, theta: &[f64], loss: &dyn PreferenceLoss) -> f64 {
        const ROUNDS: usize = 60;
        const STEP: f64 = 1e-4;
        let n = theta.len();
        let mut direction: Vec<f64> = (0..n).map(|i| (i as f64 + 1.0).sin()).collect();
        let (mut ahead, mut behind) = (vec![0.0; n], vec![0.0; n]);
        let mut found = 0.0;
        for _ in 0..ROUNDS {
            let norm = dot(&direction, &direction).sqrt();
            // A flat objective has no curvature to find.
            if norm == 0.0 {
                return 0.0;
            }
            direction.iter_mut().for_each(|x| *x /= norm);
            let moved = |sign: f64| -> Vec<f64> {
                theta
                    .iter()
                    .zip(&direction)
                    .map(|(x, d)| x + sign * STEP * d)
                    .collect()
            };
            self.objective(&moved(1.0), loss, &mut ahead);
            self.objective(&moved(-1.0), loss, &mut behind);
            for (d, (ahead, behind)) in direction.iter_mut().zip(ahead.iter().zip(&behind)) {
                *d = (ahead - behind) / (2.0 * STEP);
            }
            found = dot(&direction, &direction).sqrt();
        }
        found
    }
}

impl Descent<'_> {
    /// One chain from the reference policy. With `step_times_curvature` (ηL) given, the error term
    /// of Theorem 3 is computed exactly at every step; it depends on the arm being a mix.
    pub fn run(&self, arm: Arm, step_times_curvature: Option<f64>, rng: &mut impl Rng) -> Chain {
        let n = self.world.shape.n_parameters();
        let mut theta = self.world.reference.clone();
        let (mut exact, mut estimate) = (vec![0.0; n], vec![0.0; n]);
        let mut chain = Chain::default();
        let share = 1.0 / self.n_steps.max(1) as f64;
        for _ in 0..self.n_steps {
            let point = Point::new(self.world.shape, &theta);
            self.world
                .objective_at((&theta, &point), self.loss, &mut exact);
            chain.mean_gradient_sq += share * dot(&exact, &exact);
            let alpha = self.alpha(arm, &point);
            if let Some(step) = step_times_curvature {
                let moments = self
                    .population(&point)
                    .moments(self.n_batch, Randomness::TracesAndData);
                chain.mean_error_term += share * moments.error_term(alpha, step);
            }
            estimate.fill(0.0);
            self.add_estimate(arm, alpha, &point, (rng, &mut estimate));
            self.world.add_ridge(&theta, &mut estimate);
            for (x, g) in theta.iter_mut().zip(&estimate) {
                *x -= self.rate * g;
            }
        }
        chain.final_loss = self.world.objective(&theta, self.loss, &mut exact);
        chain
    }

    fn population(&self, point: &Point) -> Population {
        self.world.population(point, self.loss)
    }

    /// The weight of the trace gradient.
    fn alpha(&self, arm: Arm, point: &Point) -> f64 {
        match arm {
            Arm::Mix(alpha) | Arm::Shrink(alpha) => alpha,
            Arm::Mean(_) => 1.0,
            Arm::Oracle => {
                let population = self.population(point);
                population
                    .moments(self.n_batch, Randomness::TracesAndData)
                    .alpha_star()
            }
        }
    }

    /// Adds one stochastic gradient; every arm draws the same pairs and first traces from the same
    /// generator, since each consumes its own stream alike.
    fn add_estimate(
        &self,
        arm: Arm,
        alpha: f64,
        point: &Point,
        (rng, gradient): (&mut impl Rng, &mut [f64]),
    ) {
        let n_draws = if let Arm::Mean(n) = arm { n.max(1) } else { 1 };
        let share = 1.0 / self.n_batch as f64;
        for _ in 0..self.n_batch {
            let pair_idx = rng.random_range(0..self.world.pairs.len());
            let pair = &self.world.pairs[pair_idx];
            for _ in 0..n_draws {
                let traces = [0, 1].map(|side: usize| {
                    from_cumulative(&self.posteriors[pair_idx][side], rng.random())
                });
                let [plus, minus] = pair.with_trace;
                let scored = |side: usize, answer| self.world.scored(point, traces[side], answer);
                let at = pair_loss(self.loss, &scored(0, plus), &scored(1, minus));
                let weight = share * alpha / n_draws as f64;
                point.add_score(traces[0], plus, weight * at.chosen, gradient);
                point.add_score(traces[1], minus, weight * at.rejected, gradient);
            }
            let empty_weight = if matches!(arm, Arm::Shrink(_)) {
                0.0
            } else {
                1.0 - alpha
            };
            if empty_weight != 0.0 {
                let at = (point, self.loss);
                self.world
                    .add_empty(at, pair, share * empty_weight, gradient);
            }
        }
    }

    /// One stochastic gradient at the reference policy, without the ridge: a draw for Monte Carlo.
    pub fn sample(&self, arm: Arm, alpha: f64, point: &Point, rng: &mut impl Rng) -> Vec<f64> {
        let mut gradient = vec![0.0; self.world.shape.n_parameters()];
        self.add_estimate(arm, alpha, point, (rng, &mut gradient));
        gradient
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    use super::super::world::WorldShape;
    use super::*;
    use crate::method::loss::Dpo;

    fn world(ridge: f64) -> World {
        World::draw(
            WorldShape::default(),
            ridge,
            &mut Pcg64Mcg::seed_from_u64(3),
        )
    }

    const LOSS: Dpo = Dpo { beta: 0.5 };

    #[test]
    fn the_objective_bends_as_its_ridge_where_the_loss_is_flat() {
        let world = world(5.0);
        // With β near 0 the loss is constant and only the ridge is left.
        let smooth = world.smoothness(&Dpo { beta: 1e-9 });
        assert!((smooth.curvature - 6.25).abs() < 1e-3, "{smooth:?}");
        assert!((smooth.lowest - 2.0_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn exact_descent_never_climbs() {
        let world = world(0.05);
        let smooth = world.smoothness(&LOSS);
        let mut theta = world.reference.clone();
        let mut gradient = vec![0.0; theta.len()];
        let mut last = f64::INFINITY;
        for _ in 0..200 {
            let value = world.objective(&theta, &LOSS, &mut gradient);
            assert!(value <= last + 1e-12);
            last = value;
            for (x, g) in theta.iter_mut().zip(&gradient) {
                *x -= g / smooth.curvature;
            }
        }
        assert!(last >= smooth.lowest - 1e-9);
    }

    #[test]
    fn stochastic_gradients_have_the_exact_moments() {
        let world = world(0.0);
        let posteriors = world.posteriors();
        let theta: Vec<f64> = world.reference.iter().map(|x| 1.3 * x + 0.1).collect();
        let point = Point::new(world.shape, &theta);
        let descent = Descent {
            world: &world,
            loss: &LOSS,
            posteriors: &posteriors,
            rate: 0.1,
            n_steps: 1,
            n_batch: 2,
        };
        let population = world.population(&point, &LOSS);
        let expected = population.moments(2, Randomness::TracesAndData).mse(0.6);
        let mut rng = Pcg64Mcg::seed_from_u64(5);
        let n = 40_000;
        let errors = (0..n).map(|_| {
            let g = descent.sample(Arm::Mix(0.6), 0.6, &point, &mut rng);
            distance_sq(&g, &population.marginal)
        });
        let mean = errors.sum::<f64>() / f64::from(n);
        assert!((mean / expected - 1.0).abs() < 0.03, "{mean} {expected}");
    }

    #[test]
    fn the_bound_of_theorem_three_holds_on_a_chain_average() {
        let world = world(0.05);
        let smooth = world.smoothness(&LOSS);
        let posteriors = world.posteriors();
        let descent = Descent {
            world: &world,
            loss: &LOSS,
            posteriors: &posteriors,
            rate: 1.0 / smooth.curvature,
            n_steps: 40,
            n_batch: 4,
        };
        let mut rng = Pcg64Mcg::seed_from_u64(9);
        let chains: Vec<Chain> = (0..20)
            .map(|_| descent.run(Arm::Mix(0.5), Some(1.0), &mut rng))
            .collect();
        let mean = |of: fn(&Chain) -> f64| chains.iter().map(of).sum::<f64>() / 20.0;
        let bound = crate::method::theory::descent_bound(
            smooth.start - smooth.lowest,
            descent.rate,
            descent.n_steps,
            mean(|chain| chain.mean_error_term),
        );
        assert!(mean(|chain| chain.mean_gradient_sq) <= bound);
        assert!(bound.is_finite() && bound > 0.0);
    }
}
