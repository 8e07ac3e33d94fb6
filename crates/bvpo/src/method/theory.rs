//! The theory: mean squared error of mixes, optimal weights, and what they depend on (section 3).
//!
//! Everything here is arithmetic on second moments of gradients. Where those moments come from,
//! exact enumeration or sampling, is said by whoever fills them in.

/// What the gradients of one preference pair have to do with each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairGradients {
    /// `∇ℓ_m`, the ideal gradient of the pair.
    pub marginal: Vec<f64>,
    /// `E_r ∇ℓ_t` over the trace draws.
    pub trace: Vec<f64>,
    /// `∇ℓ_e`.
    pub empty: Vec<f64>,
    /// `E_r ‖∇ℓ_t − E_r ∇ℓ_t‖²`, the variance that the choice of traces alone makes.
    pub trace_variance: f64,
}

/// Variances that shrink with the batch size (F4): `Σ_t = (V_r + v_t)/B`, `Σ_e = v_e/B`,
/// `Σ_te = c_te/B`. Traces of matrices, in squared units of the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// `V_r`: mean over pairs of the variance that trace draws make.
    pub traces: f64,
    /// `v_t`: variance over pairs of `E_r ∇ℓ_t`.
    pub trace_data: f64,
    /// `v_e`: variance over pairs of `∇ℓ_e`.
    pub empty_data: f64,
    /// `c_te`: covariance over pairs of the two.
    pub cross_data: f64,
}

/// Gradients of a whole set of pairs: means, and how single pairs and traces spread around them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Population {
    /// `μ`, the mean of `∇ℓ_m`.
    pub marginal: Vec<f64>,
    /// `E g_t`.
    pub trace: Vec<f64>,
    /// `E g_e`.
    pub empty: Vec<f64>,
    /// How they spread.
    pub spread: Spread,
}

/// What is random when a batch's gradient is called a random vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Randomness {
    /// Trace draws alone: the pairs of the batch count as fixed (Theorem 1, and F4's last line).
    Traces,
    /// Trace draws and the choice of the batch's pairs, with replacement.
    TracesAndData,
}

impl Randomness {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Traces, Self::TracesAndData];

    /// The word used as a tag of rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::TracesAndData => "traces+data",
        }
    }
}

impl Population {
    /// Means and spreads over pairs that are drawn evenly; an empty set has no gradient at all.
    #[must_use]
    pub fn of(pairs: &[PairGradients]) -> Self {
        let mean = |of: fn(&PairGradients) -> &Vec<f64>| {
            let mut sum = vec![0.0; pairs.first().map_or(0, |pair| of(pair).len())];
            for pair in pairs {
                for (sum, value) in sum.iter_mut().zip(of(pair)) {
                    *sum += value / pairs.len() as f64;
                }
            }
            sum
        };
        let (trace, empty) = (mean(|pair| &pair.trace), mean(|pair| &pair.empty));
        let mut spread = Spread::default();
        for pair in pairs {
            let share = 1.0 / pairs.len() as f64;
            spread.traces += share * pair.trace_variance;
            spread.trace_data += share * distance_sq(&pair.trace, &trace);
            spread.empty_data += share * distance_sq(&pair.empty, &empty);
            let products = pair
                .trace
                .iter()
                .zip(&trace)
                .zip(pair.empty.iter().zip(&empty));
            spread.cross_data += share
                * products
                    .map(|((t, mt), (e, me))| (t - mt) * (e - me))
                    .sum::<f64>();
        }
        Self {
            marginal: mean(|pair| &pair.marginal),
            trace,
            empty,
            spread,
        }
    }

    /// The moments of a batch of `n_batch` pairs.
    #[must_use]
    pub fn moments(&self, n_batch: usize, randomness: Randomness) -> Moments {
        let data = f64::from(u8::from(randomness == Randomness::TracesAndData));
        let share = 1.0 / n_batch.max(1) as f64;
        let bias = |mean: &[f64]| -> Vec<f64> {
            mean.iter()
                .zip(&self.marginal)
                .map(|(g, m)| g - m)
                .collect()
        };
        let (bias_t, bias_e) = (bias(&self.trace), bias(&self.empty));
        Moments {
            mu_sq: dot(&self.marginal, &self.marginal),
            mu_trace: dot(&self.marginal, &self.trace),
            mu_empty: dot(&self.marginal, &self.empty),
            bias_t_sq: dot(&bias_t, &bias_t),
            bias_e_sq: dot(&bias_e, &bias_e),
            bias_te: dot(&bias_t, &bias_e),
            var_t: share * (self.spread.traces + data * self.spread.trace_data),
            var_e: share * data * self.spread.empty_data,
            cov_te: share * data * self.spread.cross_data,
        }
    }

    /// The same with the constant vector `other` in place of the empty gradient of every pair.
    #[must_use]
    pub fn with_constant(&self, other: &[f64]) -> Self {
        Self {
            empty: other.to_vec(),
            spread: Spread {
                empty_data: 0.0,
                cross_data: 0.0,
                ..self.spread
            },
            ..self.clone()
        }
    }
}

/// First and second moments of `g_t` and `g_e` against the ideal gradient `μ`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// `‖μ‖²`.
    pub mu_sq: f64,
    /// `μ · E g_t`.
    pub mu_trace: f64,
    /// `μ · E g_e`.
    pub mu_empty: f64,
    /// `‖b_t‖²`.
    pub bias_t_sq: f64,
    /// `‖b_e‖²`.
    pub bias_e_sq: f64,
    /// `b_t · b_e`.
    pub bias_te: f64,
    /// `Tr Σ_t`.
    pub var_t: f64,
    /// `Tr Σ_e`.
    pub var_e: f64,
    /// `Tr Σ_te`.
    pub cov_te: f64,
}

impl Moments {
    /// `A = Tr Σ_t + ‖b_t‖²`, the mean squared error of `g_t`.
    #[must_use]
    pub fn a(&self) -> f64 {
        self.var_t + self.bias_t_sq
    }

    /// `Bq = Tr Σ_e + ‖b_e‖²`, the mean squared error of `g_e`.
    #[must_use]
    pub fn b(&self) -> f64 {
        self.var_e + self.bias_e_sq
    }

    /// `C = Tr Σ_te + b_t · b_e`.
    #[must_use]
    pub fn c(&self) -> f64 {
        self.cov_te + self.bias_te
    }

    /// `Tr Cov g_c(α)`.
    #[must_use]
    pub fn variance(&self, alpha: f64) -> f64 {
        mix(alpha, self.var_t, self.var_e, self.cov_te)
    }

    /// `‖E g_c(α) − μ‖²`.
    #[must_use]
    pub fn bias_sq(&self, alpha: f64) -> f64 {
        mix(alpha, self.bias_t_sq, self.bias_e_sq, self.bias_te)
    }

    /// `E ‖g_c(α) − μ‖²` (Theorem 2).
    #[must_use]
    pub fn mse(&self, alpha: f64) -> f64 {
        mix(alpha, self.a(), self.b(), self.c())
    }

    /// `‖b‖² + ηL V`, the error term of Theorem 3's bound.
    #[must_use]
    pub fn error_term(&self, alpha: f64, step: f64) -> f64 {
        self.bias_sq(alpha) + step * self.variance(alpha)
    }

    /// `α_unc = (Bq − C)/(A + Bq − 2C)`; none where the two estimators coincide.
    #[must_use]
    pub fn alpha_unclipped(&self) -> Option<f64> {
        minimiser(self.a(), self.b(), self.c())
    }

    /// `α*`, the weight of least mean squared error in [0, 1] (Theorem 2). Where the estimators
    /// coincide every weight is optimal and 0.5 is given.
    #[must_use]
    pub fn alpha_star(&self) -> f64 {
        self.alpha_of_step(1.0)
    }

    /// `α_η`, the weight in [0, 1] that minimises `‖b‖² + ηL V` at `step = ηL` (F3).
    #[must_use]
    pub fn alpha_of_step(&self, step: f64) -> f64 {
        let found = minimiser(
            step * self.var_t + self.bias_t_sq,
            step * self.var_e + self.bias_e_sq,
            step * self.cov_te + self.bias_te,
        );
        found.map_or(0.5, |alpha| alpha.clamp(0.0, 1.0))
    }

    /// `R(α) = (E g · μ)² / (‖μ‖² E‖g‖²)`: how good the direction is, whatever its length (F12).
    /// 0 where a factor of the denominator is 0.
    #[must_use]
    pub fn quality(&self, alpha: f64) -> f64 {
        let along = alpha * self.mu_trace + (1.0 - alpha) * self.mu_empty;
        // ‖E g‖² = ‖μ‖² + 2 μ·b + ‖b‖², and μ·b = μ·E g − ‖μ‖².
        let mean_sq = 2.0 * along - self.mu_sq + self.bias_sq(alpha);
        let second = mean_sq + self.variance(alpha);
        let denominator = self.mu_sq * second;
        if denominator > 0.0 {
            along * along / denominator
        } else {
            0.0
        }
    }

    /// The weight of best direction on a grid of `n_steps + 1` weights.
    #[must_use]
    pub fn alpha_of_quality(&self, n_steps: usize) -> f64 {
        let grid = (0..=n_steps).map(|i| i as f64 / n_steps.max(1) as f64);
        grid.map(|alpha| (alpha, self.quality(alpha)))
            .fold((0.0, f64::NEG_INFINITY), |best, here| {
                if here.1 > best.1 { here } else { best }
            })
            .0
    }

    /// The cosine of `E g_e` and `μ`; 0 where one of them vanishes.
    #[must_use]
    pub fn cosine_empty(&self) -> f64 {
        let empty_sq = 2.0 * self.mu_empty - self.mu_sq + self.bias_e_sq;
        let denominator = (self.mu_sq * empty_sq).sqrt();
        if denominator > 0.0 {
            self.mu_empty / denominator
        } else {
            0.0
        }
    }

    /// The same with the zero vector in place of `g_e` (F11, the null control).
    #[must_use]
    pub fn with_zero(&self) -> Self {
        Self {
            mu_empty: 0.0,
            bias_e_sq: self.mu_sq,
            bias_te: self.mu_sq - self.mu_trace,
            var_e: 0.0,
            cov_te: 0.0,
            ..*self
        }
    }
}

/// `α² a + (1−α)² b + 2α(1−α) c`.
fn mix(alpha: f64, a: f64, b: f64, c: f64) -> f64 {
    let rest = 1.0 - alpha;
    alpha * alpha * a + rest * rest * b + 2.0 * alpha * rest * c
}

/// The minimiser of [`mix`]; none where it is constant.
fn minimiser(a: f64, b: f64, c: f64) -> Option<f64> {
    let curvature = a + b - 2.0 * c;
    (curvature > 0.0).then(|| (b - c) / curvature)
}

/// Whether BVPO at its best weight beats the mean of `n_traces` traces, per example, given the
/// data, at the reference policy: `‖b_e‖² (K − 1) < V_r` (F5). `n_traces` may be a fraction.
#[must_use]
pub fn mix_beats_mean(bias_e_sq: f64, trace_variance: f64, n_traces: f64) -> bool {
    bias_e_sq * (n_traces - 1.0) < trace_variance
}

/// Trace pairs that cost as many tokens as one trace pair and one empty pair (F5).
#[must_use]
pub fn traces_at_equal_tokens(trace_tokens: f64, empty_tokens: f64) -> f64 {
    if trace_tokens > 0.0 {
        1.0 + empty_tokens / trace_tokens
    } else {
        1.0
    }
}

/// The right side of Theorem 3: `2 (f(θ_0) − f*)/(η n) + mean error term`.
#[must_use]
pub fn descent_bound(gap: f64, rate: f64, n_steps: usize, mean_error_term: f64) -> f64 {
    2.0 * gap / (rate * n_steps.max(1) as f64) + mean_error_term
}

/// The dot product of two vectors.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `‖a − b‖²`.
#[must_use]
pub fn distance_sq(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Vec<PairGradients> {
        let pair =
            |marginal: [f64; 3], trace: [f64; 3], empty: [f64; 3], trace_variance| PairGradients {
                marginal: marginal.to_vec(),
                trace: trace.to_vec(),
                empty: empty.to_vec(),
                trace_variance,
            };
        vec![
            pair([1.0, 0.2, -0.3], [1.1, 0.1, -0.2], [0.4, 0.5, 0.1], 2.0),
            pair([0.3, -0.8, 0.5], [0.2, -0.9, 0.6], [0.1, -0.2, 0.7], 0.5),
            pair([-0.4, 0.6, 0.9], [-0.3, 0.7, 0.7], [0.2, 0.3, 0.2], 1.2),
        ]
    }

    /// The mean squared error of a batch of two, by enumerating batches; traces are two equally
    /// likely points at distance `√V_r` from their mean along one axis.
    #[test]
    fn moments_agree_with_enumeration_of_all_batches() {
        let pairs = pairs();
        let population = Population::of(&pairs);
        let moments = population.moments(2, Randomness::TracesAndData);
        for alpha in [0.0, 0.3, 1.0] {
            let (mut error, mut n) = (0.0, 0.0);
            for i in 0..9 {
                for signs in 0..4 {
                    let mut sum = vec![0.0; 3];
                    for (slot, pair) in [&pairs[i / 3], &pairs[i % 3]].into_iter().enumerate() {
                        let sign = if signs >> slot & 1 == 1 { 1.0 } else { -1.0 };
                        for (k, sum) in sum.iter_mut().enumerate() {
                            let noise = if k == slot {
                                sign * pair.trace_variance.sqrt()
                            } else {
                                0.0
                            };
                            let trace = pair.trace[k] + noise;
                            *sum += 0.5 * (alpha * trace + (1.0 - alpha) * pair.empty[k]);
                        }
                    }
                    error += distance_sq(&sum, &population.marginal);
                    n += 1.0;
                }
            }
            assert!((error / n - moments.mse(alpha)).abs() < 1e-12, "{alpha}");
        }
    }

    #[test]
    fn the_best_weight_is_the_minimum_on_a_grid() {
        for n_batch in [1, 4, 64] {
            for randomness in Randomness::ALL {
                let moments = Population::of(&pairs()).moments(n_batch, randomness);
                let star = moments.alpha_star();
                let grid = (0..=1000).map(|i| f64::from(i) / 1000.0);
                let best = grid.min_by(|a, b| moments.mse(*a).total_cmp(&moments.mse(*b)));
                assert!((best.unwrap() - star).abs() <= 5e-4 + 1e-12);
                assert!(moments.mse(star) <= moments.a().min(moments.b()) + 1e-15);
            }
        }
    }

    #[test]
    fn direction_quality_is_the_best_rescaling() {
        let moments = Population::of(&pairs()).moments(3, Randomness::TracesAndData);
        for alpha in [0.0, 0.4, 1.0] {
            let along = alpha * moments.mu_trace + (1.0 - alpha) * moments.mu_empty;
            let second = moments.mse(alpha) + 2.0 * along - moments.mu_sq;
            let least = (0..4000)
                .map(|i| f64::from(i) * 1e-3)
                .map(|scale| scale * scale * second - 2.0 * scale * along + moments.mu_sq)
                .fold(f64::INFINITY, f64::min);
            let closed = moments.mu_sq * (1.0 - moments.quality(alpha));
            assert!(
                (least - closed).abs() < 1e-5 * moments.mu_sq,
                "{least} {closed}"
            );
        }
    }

    #[test]
    fn the_zero_vector_is_plain_shrinkage() {
        let population = Population::of(&pairs());
        let zero = population.moments(2, Randomness::Traces).with_zero();
        let explicit = population
            .with_constant(&[0.0; 3])
            .moments(2, Randomness::Traces);
        assert!((zero.a() - explicit.a()).abs() < 1e-12);
        assert!((zero.b() - explicit.b()).abs() < 1e-12);
        assert!((zero.c() - explicit.c()).abs() < 1e-12);
    }

    #[test]
    fn coinciding_estimators_and_empty_sets_are_defined() {
        let nothing = Population::of(&[]).moments(0, Randomness::TracesAndData);
        assert_eq!(nothing.alpha_star(), 0.5);
        assert_eq!(nothing.alpha_unclipped(), None);
        assert_eq!((nothing.quality(0.5), nothing.cosine_empty()), (0.0, 0.0));
        assert_eq!(traces_at_equal_tokens(0.0, 3.0), 1.0);
    }

    #[test]
    fn the_weight_goes_to_one_as_steps_shrink_without_trace_bias() {
        let moments = Moments {
            bias_e_sq: 2.0,
            var_t: 6.0,
            ..Moments::default()
        };
        for step in [1.0, 0.3, 0.01] {
            let expected = 2.0 / (2.0 + step * 6.0);
            assert!((moments.alpha_of_step(step) - expected).abs() < 1e-12);
        }
    }
}
