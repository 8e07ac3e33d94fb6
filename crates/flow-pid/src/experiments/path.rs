//! Q1: where Thin-PID goes. Every iterate against the optimum `Σoff*` that the closed form has.
//!
//! The gradient of Thin-PID is hard to read; the optimum is not. With `M = W⁻¹ − I` the precision
//! that the best common channel adds, `Σoff* = H1 M⁺ H2ᵀ`. The coupling is one of many: the
//! minimisers form a convex set. What is unique is the posterior `W = Cov_q(Y|X1,X2)`, since the
//! logarithm of a determinant is strictly concave. Rows, iteration by iteration: the gap of the
//! objective, the relative distance of `W⁻¹` to the optimum's, that of the coupling to `Σoff*`, and
//! the spectral norm.

use eval::{Cell, Cx, Result, Row};
use faer::{Mat, MatRef, mat};

use super::seed_channels::seed_channel;
use super::{condition, measured};
use crate::channel::Channel;
use crate::closed_form::Optimum;
use crate::error::PidError;
use crate::linalg::{cholesky, identity_plus_gram, solve_lower, spectral_norm};
use crate::paper::Config;
use crate::thin_pid::ThinPid;

/// The experiment's name.
pub const NAME: &str = "path";

/// Names of the channels.
const CHANNELS: [&str; 3] = ["planar", "8x8x8", "16x16x2"];

/// One cell per channel.
pub fn cells() -> Vec<Cell> {
    let cell = |name| Cell::new(NAME, 0).with("channel", name);
    CHANNELS.into_iter().map(cell).collect()
}

/// Follows one run.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let channel = channel(condition(cell, "channel")?)?;
    let optimum = Optimum::of(&channel)?;
    let lower = optimum.certificate()?.lower_bits;
    // Iterates are transposed: smaller source first.
    let best = optimum.coupling(&channel)?.transpose().to_owned();
    let size = best.norm_l2();
    let mut steps: Vec<(u64, f64, f64, Mat<f64>)> = Vec::new();
    let thin = ThinPid::run_watched(&channel, &config.thin, &mut |iteration, x, objective| {
        let distance = (x - &best).norm_l2() / size;
        steps.push((iteration, objective - lower, distance, x.clone()));
    })?;
    for (iteration, gap, distance, x) in &steps {
        let with = |row: Row| row.item(iteration).tag("iteration", iteration);
        if gap.is_finite() {
            cx.row(with(Row::new("gap_bits", gap.abs(), "bits")))?;
        }
        cx.row(with(Row::new("distance", *distance, "1")))?;
        // On the boundary the joint noise is singular and the posterior not defined by it.
        if let Ok(posterior) = posterior_distance(&channel, &optimum, x.transpose()) {
            cx.row(with(Row::new("posterior_distance", posterior, "1")))?;
        }
        let norm = spectral_norm(x.as_ref())?;
        cx.row(with(Row::new("norm", norm, "1")))?;
    }
    let end = posterior_distance(&channel, &optimum, thin.coupling.as_ref());
    cx.row(measured("posterior_distance_end", end, "1"))?;
    cx.row(Row::new("iterations", thin.iterations as f64, "1"))
}

/// `‖W⁻¹ − W*⁻¹‖ / ‖W*⁻¹‖` in the Frobenius norm, with
/// `W⁻¹ = I + H1ᵀH1 + Eᵀ (I − SᵀS)⁻¹ E` and `E = H2 − SᵀH1`.
fn posterior_distance(
    channel: &Channel,
    optimum: &Optimum,
    coupling: MatRef<'_, f64>,
) -> std::result::Result<f64, PidError> {
    let gram = coupling.transpose() * coupling;
    let inner = Mat::from_fn(gram.nrows(), gram.ncols(), |i, j| {
        f64::from(u8::from(i == j)) - gram[(i, j)]
    });
    let lower = cholesky(inner.as_ref(), "I - SᵀS")?;
    let rest = channel.h2() - coupling.transpose() * channel.h1();
    let v = solve_lower(lower.as_ref(), rest.as_ref());
    let precision = identity_plus_gram(channel.h1()) + v.transpose() * &v;
    let best = optimum.precision();
    Ok((precision - &best).norm_l2() / best.norm_l2())
}

fn channel(name: &str) -> Result<Channel> {
    if name == "planar" {
        // E2 part ii at 45 degrees.
        let (sine, cosine) = std::f64::consts::FRAC_PI_4.sin_cos();
        let h1 = mat![[3.0 * cosine, -3.0 * sine], [sine, cosine]];
        return Ok(Channel::with_independent_noise(
            h1,
            mat![[1.0, 0.0], [0.0, 3.0]],
        )?);
    }
    seed_channel(name)
}
