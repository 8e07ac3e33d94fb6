//! Loops over rows: normalisations, activations, sums. Slices in, slices out, one thread.

use super::real::{LANES, Real, reduce, total, vectorised};
use crate::config::Activation;

/// `mean` is zero and stays so without centring (RMS); `inverse` is `1 / √(mean square + eps)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormShape {
    /// Elements of a row.
    pub(crate) width: usize,
    /// Subtract the mean first.
    pub(crate) centred: bool,
    /// Added under the root.
    pub(crate) eps: f64,
}

vectorised! {
    /// `y = (x − mean) · inverse · weight + bias` per row; keeps mean and inverse, two per row.
    /// An empty bias adds nothing.
    pub(crate) fn norm_forward<T: Real>(
        shape: &NormShape,
        x: &[T],
        weight: &[T],
        bias: &[T],
        y: &mut [T],
        stats: &mut [T],
    ) {
        let count = T::from_f64(1.0 / shape.width as f64);
        let rows = x.chunks_exact(shape.width).zip(y.chunks_exact_mut(shape.width));
        for ((x, y), stats) in rows.zip(stats.chunks_exact_mut(2)) {
            let mean = if shape.centred { reduce(x, x, |x, _| x) * count } else { T::ZERO };
            let square = reduce(x, x, |x, _| (x - mean) * (x - mean)) * count;
            let inverse = T::ONE / (square + T::from_f64(shape.eps)).root();
            (stats[0], stats[1]) = (mean, inverse);
            for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
                *y = (*x - mean) * inverse * *weight;
            }
            for (y, bias) in y.iter_mut().zip(bias) {
                *y += *bias;
            }
        }
    }
}

vectorised! {
    /// The normalised rows again, from what [`norm_forward`] kept.
    pub(crate) fn norm_again<T: Real>(weight: &[T], bias: &[T], stats: &[T], x: &[T], y: &mut [T]) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
        for ((x, y), stats) in rows.zip(stats.chunks_exact(2)) {
            // Copies: a loop that reads them through references is not vectorised.
            let (mean, inverse) = (stats[0], stats[1]);
            for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
                *y = (*x - mean) * inverse * *weight;
            }
            for (y, bias) in y.iter_mut().zip(bias) {
                *y += *bias;
            }
        }
    }
}

/// What the way back through a normalisation reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormSaved<'a, T> {
    pub(crate) shape: NormShape,
    pub(crate) x: &'a [T],
    pub(crate) weight: &'a [T],
    pub(crate) stats: &'a [T],
}

vectorised! {
    /// Adds the gradients of the input, the weight, and the bias (an empty one gets none). With
    /// `n = (x − mean) · inverse` and `h = gy ⊙ weight`:
    /// `gx += inverse · (h − mean h − n · mean(h ⊙ n))`, without `mean h` where nothing is centred.
    pub(crate) fn norm_backward<T: Real>(
        saved: &NormSaved<'_, T>,
        gy: &[T],
        gx: &mut [T],
        g_weight: &mut [T],
        g_bias: &mut [T],
    ) {
        let width = saved.shape.width;
        let count = T::from_f64(1.0 / width as f64);
        let rows = saved.x.chunks_exact(width).zip(gy.chunks_exact(width));
        let rows = rows.zip(gx.chunks_exact_mut(width));
        for (((x, gy), gx), stats) in rows.zip(saved.stats.chunks_exact(2)) {
            let (mean, inverse) = (stats[0], stats[1]);
            let mut sums = [T::ZERO; LANES];
            let mut products = [T::ZERO; LANES];
            let columns = x.chunks(LANES).zip(gy.chunks(LANES)).zip(saved.weight.chunks(LANES));
            for ((x, gy), weight) in columns {
                for (lane, ((x, gy), weight)) in x.iter().zip(gy).zip(weight).enumerate() {
                    let h = *gy * *weight;
                    sums[lane] += h;
                    products[lane] += h * ((*x - mean) * inverse);
                }
            }
            let sum = if saved.shape.centred { total(sums) * count } else { T::ZERO };
            let product = total(products) * count;
            for (((gx, x), gy), weight) in gx.iter_mut().zip(x).zip(gy).zip(saved.weight) {
                let n = (*x - mean) * inverse;
                *gx += inverse * (*gy * *weight - sum - n * product);
            }
            for ((g_weight, x), gy) in g_weight.iter_mut().zip(x).zip(gy) {
                *g_weight += *gy * ((*x - mean) * inverse);
            }
            for (g_bias, gy) in g_bias.iter_mut().zip(gy) {
                *g_bias += *gy;
            }
        }
    }
}

/// Value and slope of an activation.
#[inline(always)]
fn activate<T: Real>(kind: Activation, x: T) -> (T, T) {
    match kind {
        Activation::Silu => {
            let s = x.sigmoid();
            (x * s, s + x * s * (T::ONE - s))
        }
        // x/2 (1 + tanh u) = x σ(2u), which needs one exponential and no hyperbolic tangent.
        Activation::GeluTanh => {
            let two_root = T::from_f64(2.0 * (2.0 / std::f64::consts::PI).sqrt());
            let cubic = T::from_f64(0.044_715);
            let square = x * x;
            let s = (two_root * x * (T::ONE + cubic * square)).sigmoid();
            let slope = two_root * (T::ONE + T::from_f64(3.0) * cubic * square);
            (x * s, s + x * s * (T::ONE - s) * slope)
        }
    }
}

vectorised! {
    /// `y = activation(x)`.
    pub(crate) fn activation_forward<T: Real>(kind: Activation, x: &[T], y: &mut [T]) {
        match kind {
            Activation::Silu => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = activate(Activation::Silu, *x).0;
                }
            }
            Activation::GeluTanh => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = activate(Activation::GeluTanh, *x).0;
                }
            }
        }
    }
}

vectorised! {
    /// Value again and gradient: `g` is the gradient of the result and becomes that of `x`, `y`
    /// becomes `activation(x)`.
    pub(crate) fn activation_backward<T: Real>(
        kind: Activation,
        x: &[T],
        g: &mut [T],
        y: &mut [T]
    ) {
        match kind {
            Activation::Silu => {
                for ((y, x), g) in y.iter_mut().zip(x).zip(g) {
                    let (value, slope) = activate(Activation::Silu, *x);
                    *y = value;
                    *g *= slope;
                }
            }
            Activation::GeluTanh => {
                for ((y, x), g) in y.iter_mut().zip(x).zip(g) {
                    let (value, slope) = activate(Activation::GeluTanh, *x);
                    *y = value;
                    *g *= slope;
                }
            }
        }
    }
}

vectorised! {
    /// `y = activation(gate) ⊙ up`.
    pub(crate) fn gate_forward<T: Real>(kind: Activation, gate: &[T], up: &[T], y: &mut [T]) {
        match kind {
            Activation::Silu => {
                for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
                    *y = activate(Activation::Silu, *gate).0 * *up;
                }
            }
            Activation::GeluTanh => {
                for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
                    *y = activate(Activation::GeluTanh, *gate).0 * *up;
                }
            }
        }
    }
}

/// What flows through a gate on the way back.
#[derive(Debug)]
pub(crate) struct GateBackward<'a, T> {
    /// In front of the activation.
    pub(crate) gate: &'a [T],
    /// The other factor.
    pub(crate) up: &'a [T],
    /// Gradient of the result; becomes the gradient of `up`.
    pub(crate) g: &'a mut [T],
    /// Becomes the gradient of `gate`.
    pub(crate) g_gate: &'a mut [T],
    /// Becomes the result again.
    pub(crate) y: &'a mut [T],
}

vectorised! {
    /// Fills [`GateBackward`].
    pub(crate) fn gate_backward<T: Real>(kind: Activation, of: &mut GateBackward<'_, T>) {
        let silu = kind == Activation::Silu;
        let inputs = of.gate.iter().zip(of.up);
        let outputs = of.g.iter_mut().zip(of.g_gate.iter_mut()).zip(of.y.iter_mut());
        if silu {
            for ((gate, up), ((g, g_gate), y)) in inputs.zip(outputs) {
                let (value, slope) = activate(Activation::Silu, *gate);
                *y = value * *up;
                *g_gate = *g * *up * slope;
                *g *= value;
            }
        } else {
            for ((gate, up), ((g, g_gate), y)) in inputs.zip(outputs) {
                let (value, slope) = activate(Activation::GeluTanh, *gate);
                *y = value * *up;
                *g_gate = *g * *up * slope;
                *g *= value;
            }
        }
    }
}

vectorised! {
    /// `sums[j] += Σᵢ x[i, j]`, rows in order.
    pub(crate) fn add_column_sums<T: Real>(x: &[T], sums: &mut [T]) {
        if sums.is_empty() {
            return;
        }
        for row in x.chunks_exact(sums.len()) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += *x;
            }
        }
    }
}

vectorised! {
    /// `y += scale · x`.
    pub(crate) fn add_scaled<T: Real>(scale: T, x: &[T], y: &mut [T]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += scale * *x;
        }
    }
}

vectorised! {
    /// Every row of `y` becomes `row`; an empty one leaves zeros.
    pub(crate) fn fill_rows<T: Real>(row: &[T], width: usize, y: &mut [T]) {
        if row.is_empty() {
            y.fill(T::ZERO);
            return;
        }
        for y in y.chunks_exact_mut(width) {
            y.copy_from_slice(row);
        }
    }
}

vectorised! {
    /// `y = x + row` for every row; an empty row adds nothing.
    pub(crate) fn add_row<T: Real>(row: &[T], x: &[T], y: &mut [T]) {
        if row.is_empty() {
            y.copy_from_slice(x);
            return;
        }
        for (y, x) in y.chunks_exact_mut(row.len()).zip(x.chunks_exact(row.len())) {
            for ((y, x), row) in y.iter_mut().zip(x).zip(row) {
                *y = *x + *row;
            }
        }
    }
}
