//! The pair loss: mean negative log-likelihood of a source and the target (Proposition 4.4), in
//! nats, for both kinds of base distribution, with its exact gradient.

use faer::{Mat, MatRef};

use super::model::Base;
use crate::error::PidError;
use crate::linalg::{cholesky, solve_spd};
use crate::upper_halves;

/// `ln 2π`.
const LN_TWO_PI: f64 = 1.837_877_066_409_345_5;

const WHAT: &str = "the covariance of a pair's base distribution";

/// Sizes of a source and the target, and the base distribution of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PairLoss {
    pub dim_x: usize,
    pub dim_y: usize,
    pub base: Base,
}

/// The loss and its gradients with respect to both states and the base's parameters.
#[derive(Debug)]
pub(super) struct PairGradient {
    pub loss: f64,
    pub state_x: Vec<f64>,
    pub state_y: Vec<f64>,
    pub params: Vec<f64>,
}

impl PairLoss {
    fn dim(&self) -> usize {
        self.dim_x + self.dim_y
    }

    /// GaussianPCA: mean, then `W` (`dim_y × dim`, column-major), then `ln σ`. Maximum likelihood
    /// has none; one idle number stands in, since a tensor may not be empty.
    pub fn n_params(&self) -> usize {
        match self.base {
            Base::GaussianPca => self.dim() * (1 + self.dim_y) + 1,
            Base::MaximumLikelihood => 1,
        }
    }

    /// `W ~ N(0, 1)`, `σ = 0.1`, mean 0, as in the official code.
    pub fn initial(&self, mut normal: impl FnMut() -> f64) -> Vec<f64> {
        const DEVIATION_START: f64 = 0.1;
        let mut params = vec![0.0; self.n_params()];
        if self.base == Base::GaussianPca {
            let dim = self.dim();
            params[dim..dim * (1 + self.dim_y)].fill_with(&mut normal);
            params[dim * (1 + self.dim_y)] = DEVIATION_START.ln();
        }
        params
    }

    pub fn evaluate(
        &self,
        state_x: &[f64],
        state_y: &[f64],
        params: &[f64],
    ) -> Result<PairGradient, PidError> {
        let (dim, n) = (self.dim(), state_y.len() / (self.dim_y + 1));
        let latent = Mat::from_fn(n, dim, |i, k| {
            if k < self.dim_x {
                state_x[k * n + i]
            } else {
                state_y[(k - self.dim_x) * n + i]
            }
        });
        let mean: Vec<f64> = match self.base {
            Base::GaussianPca => params[..dim].to_vec(),
            Base::MaximumLikelihood => means(latent.as_ref()),
        };
        let centred = Mat::from_fn(n, dim, |i, k| latent[(i, k)] - mean[k]);
        let spread = centred.transpose() * &centred * (1.0 / n as f64);
        upper_halves::clear();
        let covariance = match self.base {
            Base::GaussianPca => self.pca_covariance(params),
            Base::MaximumLikelihood => spread.clone(),
        };
        let identity = Mat::<f64>::identity(dim, dim);
        let precision = solve_spd(covariance.as_ref(), identity.as_ref(), WHAT)?;
        let half_log_det = half_log_det(covariance.as_ref())?;
        let fit = (0..dim)
            .map(|k| precision.row(k) * spread.col(k))
            .sum::<f64>();
        let log_dets: f64 = state_x[self.dim_x * n..].iter().sum::<f64>()
            + state_y[self.dim_y * n..].iter().sum::<f64>();
        let loss = 0.5 * (dim as f64 * LN_TWO_PI + fit) + half_log_det - log_dets / n as f64;
        let grad = &centred * &precision * (1.0 / n as f64);
        upper_halves::clear();
        let params = match self.base {
            Base::GaussianPca => self.pca_gradient(params, &grad, &spread, &precision),
            Base::MaximumLikelihood => vec![0.0],
        };
        let part = |first: usize, size: usize| {
            let mut state = vec![-1.0 / n as f64; n * (size + 1)];
            for k in 0..size {
                for i in 0..n {
                    state[k * n + i] = grad[(i, first + k)];
                }
            }
            state
        };
        Ok(PairGradient {
            loss,
            state_x: part(0, self.dim_x),
            state_y: part(self.dim_x, self.dim_y),
            params,
        })
    }

    fn loadings<'a>(&self, params: &'a [f64]) -> (MatRef<'a, f64>, f64) {
        let dim = self.dim();
        let end = dim * (1 + self.dim_y);
        let loadings = MatRef::from_column_major_slice(&params[dim..end], self.dim_y, dim);
        (loadings, params[end])
    }

    /// `WᵀW + σ²I`.
    fn pca_covariance(&self, params: &[f64]) -> Mat<f64> {
        let (loadings, log_deviation) = self.loadings(params);
        let mut covariance = loadings.transpose() * loadings;
        for k in 0..self.dim() {
            covariance[(k, k)] += (2.0 * log_deviation).exp();
        }
        covariance
    }

    fn pca_gradient(
        &self,
        params: &[f64],
        grad: &Mat<f64>,
        spread: &Mat<f64>,
        precision: &Mat<f64>,
    ) -> Vec<f64> {
        let (loadings, log_deviation) = self.loadings(params);
        let dim = self.dim();
        // ∂/∂Σ of ½(ln det Σ + tr Σ⁻¹S) is ½(Σ⁻¹ − Σ⁻¹SΣ⁻¹).
        let by_covariance = (precision - precision * spread * precision) * 0.5;
        let by_loadings = loadings * &by_covariance * 2.0;
        let trace: f64 = (0..dim).map(|k| by_covariance[(k, k)]).sum();
        let mut out = Vec::with_capacity(self.n_params());
        out.extend((0..dim).map(|k| -grad.col(k).iter().sum::<f64>()));
        for k in 0..dim {
            out.extend(by_loadings.col(k).iter());
        }
        out.push(2.0 * (2.0 * log_deviation).exp() * trace);
        out
    }
}

/// Mean negative log-density in nats of these rows under a Gaussian, and nothing else.
pub(super) fn gaussian_nats(
    rows: MatRef<'_, f64>,
    mean: &[f64],
    covariance: MatRef<'_, f64>,
) -> Result<f64, PidError> {
    let (n, dim) = rows.shape();
    let lower = cholesky(covariance, WHAT)?;
    let centred = Mat::from_fn(dim, n, |k, i| rows[(i, k)] - mean[k]);
    let white = crate::linalg::solve_lower(lower.as_ref(), centred.as_ref());
    let fit = white.squared_norm_l2() / n as f64;
    Ok(0.5 * (dim as f64 * LN_TWO_PI + fit) + half_log_det(covariance)?)
}

/// Column means.
pub(super) fn means(rows: MatRef<'_, f64>) -> Vec<f64> {
    let n = rows.nrows() as f64;
    (0..rows.ncols())
        .map(|k| rows.col(k).iter().sum::<f64>() / n)
        .collect()
}

fn half_log_det(covariance: MatRef<'_, f64>) -> Result<f64, PidError> {
    let lower = cholesky(covariance, WHAT)?;
    Ok((0..lower.nrows()).map(|k| lower[(k, k)].ln()).sum())
}
