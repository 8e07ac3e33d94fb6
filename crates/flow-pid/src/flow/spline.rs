//! A monotone rational-quadratic spline per coordinate (Durkan et al. 2019, eq. 4 to 8), the
//! identity outside `[−B, B]`.
//!
//! Derivatives are taken by forward differentiation with respect to the input and the six numbers
//! of a bin, and carried from there to the raw parameters by hand.

use std::ops::{Add, Div, Mul, Sub};

use super::layers::Passed;

/// Half the width of the interval on which the spline bends; data are clipped there (section 4.3).
pub(super) const HALF_WIDTH: f64 = 10.0;

/// Smallest share of the interval that a bin may have, in width and in height.
const BIN_MIN: f64 = 1e-4;

/// Smallest slope at a knot.
const SLOPE_MIN: f64 = 1e-3;

/// One spline per coordinate, all with the same number of bins.
///
/// Parameters of a coordinate: `bins` raw widths, `bins` raw heights, `bins − 1` raw slopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spline {
    pub dim: usize,
    pub bins: usize,
}

/// Knots and slopes of one coordinate.
struct Knots {
    x: Vec<f64>,
    y: Vec<f64>,
    slope: Vec<f64>,
    width_share: Vec<f64>,
    height_share: Vec<f64>,
}

impl Spline {
    fn per_coordinate(self) -> usize {
        3 * self.bins - 1
    }

    pub fn n_params(self) -> usize {
        self.dim * self.per_coordinate()
    }

    /// Equal bins and slope 1: the identity.
    pub fn initialise(self, params: &mut [f64]) {
        let raw = (1.0 - SLOPE_MIN).exp_m1().ln();
        for part in params.chunks_exact_mut(self.per_coordinate()) {
            part[2 * self.bins..].fill(raw);
        }
    }

    fn knots(self, params: &[f64]) -> Knots {
        let (widths, rest) = params.split_at(self.bins);
        let (heights, slopes) = rest.split_at(self.bins);
        let (width_share, height_share) = (softmax(widths), softmax(heights));
        let mut slope = vec![1.0; self.bins + 1];
        for (slope, raw) in slope[1..].iter_mut().zip(slopes) {
            *slope = SLOPE_MIN + softplus(*raw);
        }
        Knots {
            x: self.places(&width_share),
            y: self.places(&height_share),
            slope,
            width_share,
            height_share,
        }
    }

    fn places(self, share: &[f64]) -> Vec<f64> {
        let free = 1.0 - BIN_MIN * self.bins as f64;
        let mut places = Vec::with_capacity(self.bins + 1);
        let mut at = -HALF_WIDTH;
        places.push(at);
        for share in share {
            at += 2.0 * HALF_WIDTH * (BIN_MIN + free * share);
            places.push(at);
        }
        places
    }

    pub fn forward(self, params: &[f64], state: &mut [f64], n: usize) {
        let (columns, log_det) = state.split_at_mut(self.dim * n);
        let parts = params.chunks_exact(self.per_coordinate());
        for (column, part) in columns.chunks_exact_mut(n).zip(parts) {
            let knots = self.knots(part);
            for (x, log_det) in column.iter_mut().zip(log_det.iter_mut()) {
                if let Some(bin) = knots.bin(*x) {
                    let (y, log_slope) = rational_quadratic(*x, knots.of(bin));
                    *x = y;
                    *log_det += log_slope;
                }
            }
        }
    }

    pub fn backward(
        self,
        passed: &Passed<'_>,
        grad_input: &mut [f64],
        grad_params: &mut [f64],
        n: usize,
    ) {
        let grad_log_det = &passed.grad_output[self.dim * n..];
        let size = self.per_coordinate();
        for k in 0..self.dim {
            let params = &passed.params[k * size..][..size];
            let knots = self.knots(params);
            let mut grads = [0; 3].map(|_| vec![0.0; self.bins + 1]);
            let column = &passed.input[k * n..][..n];
            let grad = &mut grad_input[k * n..][..n];
            for i in 0..n {
                let Some(bin) = knots.bin(column[i]) else {
                    continue;
                };
                let mut input = knots.of(bin).map(Dual::constant);
                let mut x = Dual::constant(column[i]);
                x.part[0] = 1.0;
                for (j, value) in input.iter_mut().enumerate() {
                    value.part[j + 1] = 1.0;
                }
                let (y, log_slope) = rational_quadratic(x, input);
                let total = |j: usize| grad[i] * y.part[j] + grad_log_det[i] * log_slope.part[j];
                for (j, grads) in grads.iter_mut().enumerate() {
                    grads[bin] += total(1 + 2 * j);
                    grads[bin + 1] += total(2 + 2 * j);
                }
                grad[i] = total(0);
            }
            let out = &mut grad_params[k * size..][..size];
            self.to_raw(params, &knots, &grads, out);
        }
    }

    /// From gradients of knots and slopes to those of the raw parameters.
    fn to_raw(self, params: &[f64], knots: &Knots, grads: &[Vec<f64>; 3], out: &mut [f64]) {
        let scale = 2.0 * HALF_WIDTH * (1.0 - BIN_MIN * self.bins as f64);
        for (part, share) in [(0, &knots.width_share), (1, &knots.height_share)] {
            // Knot k is the sum of the bins before it.
            let mut of_bin = vec![0.0; self.bins];
            let mut after = 0.0;
            for bin in (0..self.bins).rev() {
                after += grads[part][bin + 1];
                of_bin[bin] = after;
            }
            let mean: f64 = of_bin.iter().zip(share).map(|(g, p)| g * p).sum();
            for bin in 0..self.bins {
                out[part * self.bins + bin] = scale * share[bin] * (of_bin[bin] - mean);
            }
        }
        for k in 0..self.bins - 1 {
            let raw = params[2 * self.bins + k];
            out[2 * self.bins + k] = grads[2][k + 1] / (1.0 + (-raw).exp());
        }
    }
}

impl Knots {
    /// The bin that holds `x`; none in the tails, where the spline is the identity.
    fn bin(&self, x: f64) -> Option<usize> {
        let last = self.x.len() - 1;
        let inside = x > self.x[0] && x < self.x[last];
        inside.then(|| (self.x[1..last].partition_point(|knot| *knot <= x)).min(last - 1))
    }

    /// Left and right knot, left and right value, left and right slope.
    fn of(&self, bin: usize) -> [f64; 6] {
        [
            self.x[bin],
            self.x[bin + 1],
            self.y[bin],
            self.y[bin + 1],
            self.slope[bin],
            self.slope[bin + 1],
        ]
    }
}

fn softmax(raw: &[f64]) -> Vec<f64> {
    let top = raw.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = raw.iter().map(|value| (value - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

fn softplus(raw: f64) -> f64 {
    raw.max(0.0) + (-raw.abs()).exp().ln_1p()
}

/// What the formula of a bin needs from a number.
trait Number:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn constant(value: f64) -> Self;
    fn ln(self) -> Self;
}

impl Number for f64 {
    fn constant(value: f64) -> Self {
        value
    }

    fn ln(self) -> Self {
        Self::ln(self)
    }
}

/// Value and log-slope in one bin (Durkan et al. 2019, eq. 4 and 5).
fn rational_quadratic<T: Number>(x: T, [x0, x1, y0, y1, d0, d1]: [T; 6]) -> (T, T) {
    let (one, two) = (T::constant(1.0), T::constant(2.0));
    let slope = (y1 - y0) / (x1 - x0);
    let place = (x - x0) / (x1 - x0);
    let rest = one - place;
    let both = place * rest;
    let below = slope + (d1 + d0 - two * slope) * both;
    let y = y0 + (y1 - y0) * (slope * place * place + d0 * both) / below;
    let inner = d1 * place * place + two * slope * both + d0 * rest * rest;
    let log_slope = two * slope.ln() + inner.ln() - two * below.ln();
    (y, log_slope)
}

/// A number with its derivatives in seven directions.
#[derive(Clone, Copy)]
struct Dual {
    value: f64,
    part: [f64; 7],
}

impl Dual {
    fn map2(self, other: Self, value: f64, by_self: f64, by_other: f64) -> Self {
        let part = std::array::from_fn(|k| by_self * self.part[k] + by_other * other.part[k]);
        Self { value, part }
    }
}

impl Number for Dual {
    fn constant(value: f64) -> Self {
        Self {
            value,
            part: [0.0; 7],
        }
    }

    fn ln(self) -> Self {
        self.map2(self, self.value.ln(), 1.0 / self.value, 0.0)
    }
}

impl Add for Dual {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.map2(other, self.value + other.value, 1.0, 1.0)
    }
}

impl Sub for Dual {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.map2(other, self.value - other.value, 1.0, -1.0)
    }
}

impl Mul for Dual {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.map2(other, self.value * other.value, other.value, self.value)
    }
}

impl Div for Dual {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        self.map2(other, value, 1.0 / other.value, -value / other.value)
    }
}
