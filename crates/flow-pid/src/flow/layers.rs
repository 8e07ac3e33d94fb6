//! The layers of a flow: bijections from data to latent with their log-determinants and exact
//! gradients.
//!
//! A *state* is `items × (dim + 1)`, column-major: the coordinates, and the log-determinant (nats)
//! summed so far in the last column. Every layer maps a state to a state.

use faer::{Mat, MatMut, MatRef};
use rand::Rng;

use super::perceptron::{Hidden, Perceptron, product, view, view_mut};
use super::spline::Spline;

/// One invertible layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Coupling(Coupling),
    ActNorm { dim: usize },
    Linear { dim: usize },
    Spline(Spline),
}

/// What a layer keeps from its forward for its backward pass.
#[derive(Debug)]
pub(super) enum Trace {
    Coupling {
        log_scale: Vec<f64>,
        hidden: [Hidden; 2],
    },
    None,
}

/// States and parameters around one backward pass.
pub(super) struct Passed<'a> {
    pub params: &'a [f64],
    pub input: &'a [f64],
    pub output: &'a [f64],
    pub trace: &'a Trace,
    pub grad_output: &'a [f64],
}

impl Layer {
    pub fn dim(&self) -> usize {
        match self {
            Self::Coupling(coupling) => coupling.dim,
            Self::ActNorm { dim } | Self::Linear { dim } => *dim,
            Self::Spline(spline) => spline.dim,
        }
    }

    pub fn n_params(&self) -> usize {
        match self {
            Self::Coupling(coupling) => 2 * coupling.net().n_params(),
            Self::ActNorm { dim } => 2 * dim,
            Self::Linear { dim } => dim * dim,
            Self::Spline(spline) => spline.n_params(),
        }
    }

    /// Parameters with which the layer is the identity (ActNorm before it has seen data, too).
    pub fn initial(&self, rng: &mut impl Rng) -> Vec<f64> {
        let mut params = vec![0.0; self.n_params()];
        match self {
            Self::Coupling(coupling) => {
                let net = coupling.net();
                let (scale, shift) = params.split_at_mut(net.n_params());
                net.initialise(scale, rng);
                net.initialise(shift, rng);
            }
            Self::Spline(spline) => spline.initialise(&mut params),
            Self::ActNorm { .. } | Self::Linear { .. } => {}
        }
        params
    }

    /// Data-dependent start of ActNorm: every coordinate of these items gets mean 0 and variance 1.
    pub fn adapt(&self, params: &mut [f64], state: &[f64]) {
        /// The official library adds this to the deviation.
        const DEVIATION_MIN: f64 = 1e-6;
        let Self::ActNorm { dim } = self else {
            return;
        };
        let n = state.len() / (dim + 1);
        let (shift, log_scale) = params.split_at_mut(*dim);
        for (k, column) in state.chunks_exact(n).take(*dim).enumerate() {
            let mean = column.iter().sum::<f64>() / n as f64;
            let squares: f64 = column.iter().map(|x| (x - mean).powi(2)).sum();
            let deviation = (squares / (n as f64 - 1.0).max(1.0)).sqrt() + DEVIATION_MIN;
            log_scale[k] = -deviation.ln();
            shift[k] = -mean / deviation;
        }
    }

    pub fn forward(&self, params: &[f64], input: &[f64]) -> (Vec<f64>, Trace) {
        let n = input.len() / (self.dim() + 1);
        let mut output = input.to_vec();
        let trace = match self {
            Self::Coupling(coupling) => coupling.forward(params, &mut output, n),
            Self::ActNorm { dim } => {
                act_norm(*dim, params, &mut output, n);
                Trace::None
            }
            Self::Linear { dim } => {
                linear(*dim, params, input, &mut output, n);
                Trace::None
            }
            Self::Spline(spline) => {
                spline.forward(params, &mut output, n);
                Trace::None
            }
        };
        (output, trace)
    }

    /// Gradients of the input state and of the parameters.
    pub fn backward(&self, passed: &Passed<'_>) -> (Vec<f64>, Vec<f64>) {
        let n = passed.input.len() / (self.dim() + 1);
        let mut grad_input = passed.grad_output.to_vec();
        let mut grad_params = vec![0.0; self.n_params()];
        match self {
            Self::Coupling(coupling) => {
                coupling.backward(passed, &mut grad_input, &mut grad_params, n);
            }
            Self::ActNorm { dim } => {
                act_norm_gradient(*dim, passed, &mut grad_input, &mut grad_params, n);
            }
            Self::Linear { dim } => {
                linear_gradient(*dim, passed, &mut grad_input, &mut grad_params, n);
            }
            Self::Spline(spline) => {
                spline.backward(passed, &mut grad_input, &mut grad_params, n);
            }
        }
        (grad_input, grad_params)
    }
}

/// RealNVP's affine coupling (section 4.2; Dinh et al. 2017): the coordinates of one parity pass
/// unchanged and decide how the others are shifted and scaled,
/// `z = (x − t(kept)) · exp(−s(kept))`, log-determinant `−Σ s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coupling {
    pub dim: usize,
    /// Whether coordinates 0, 2, 4, … pass unchanged; else 1, 3, 5, …
    pub keeps_even: bool,
}

impl Coupling {
    /// Width of the second hidden layer (Table C.2); the first has half the dimension.
    const WIDTH: usize = 64;

    fn n_even(self) -> usize {
        self.dim.div_ceil(2)
    }

    fn n_kept(self) -> usize {
        if self.keeps_even {
            self.n_even()
        } else {
            self.dim - self.n_even()
        }
    }

    fn net(self) -> Perceptron {
        let (kept, half) = (self.n_kept(), (self.dim / 2).max(1));
        Perceptron {
            sizes: [kept, half, Self::WIDTH, self.dim - kept],
            fan_in: self.dim,
        }
    }

    /// Column of the `k`-th changed coordinate.
    fn changed(self, k: usize) -> usize {
        2 * k + usize::from(self.keeps_even)
    }

    /// The kept coordinates, every second column.
    fn kept(self, state: &[f64], n: usize) -> MatRef<'_, f64> {
        let first = usize::from(!self.keeps_even);
        if self.n_kept() == 0 {
            return MatRef::from_column_major_slice(&[], n, 0);
        }
        let last = first + 2 * (self.n_kept() - 1);
        let columns = &state[first * n..(last + 1) * n];
        MatRef::from_column_major_slice_with_stride(columns, n, self.n_kept(), 2 * n)
    }

    fn kept_mut(self, state: &mut [f64], n: usize) -> MatMut<'_, f64> {
        let first = usize::from(!self.keeps_even);
        if self.n_kept() == 0 {
            return MatMut::from_column_major_slice_mut(&mut [], n, 0);
        }
        let last = first + 2 * (self.n_kept() - 1);
        let columns = &mut state[first * n..(last + 1) * n];
        MatMut::from_column_major_slice_with_stride_mut(columns, n, self.n_kept(), 2 * n)
    }

    fn forward(self, params: &[f64], state: &mut [f64], n: usize) -> Trace {
        let net = self.net();
        let n_changed = self.dim - self.n_kept();
        let (scale, shift) = params.split_at(net.n_params());
        let mut log_scale = vec![0.0; n * n_changed];
        let mut shifts = vec![0.0; n * n_changed];
        let hidden = {
            let kept = self.kept(state, n);
            [
                net.forward(scale, kept, &mut log_scale),
                net.forward(shift, kept, &mut shifts),
            ]
        };
        let (columns, log_det) = state.split_at_mut(self.dim * n);
        for k in 0..n_changed {
            let column = &mut columns[self.changed(k) * n..][..n];
            let (s, t) = (&log_scale[k * n..][..n], &shifts[k * n..][..n]);
            for i in 0..n {
                column[i] = (column[i] - t[i]) * (-s[i]).exp();
                log_det[i] -= s[i];
            }
        }
        Trace::Coupling { log_scale, hidden }
    }

    fn backward(
        self,
        passed: &Passed<'_>,
        grad_input: &mut [f64],
        grad_params: &mut [f64],
        n: usize,
    ) {
        let Trace::Coupling { log_scale, hidden } = passed.trace else {
            return;
        };
        let net = self.net();
        let n_changed = self.dim - self.n_kept();
        let mut grad_scale = vec![0.0; n * n_changed];
        let mut grad_shift = vec![0.0; n * n_changed];
        let grad_log_det = &passed.grad_output[self.dim * n..];
        for k in 0..n_changed {
            let at = self.changed(k) * n;
            let output = &passed.output[at..][..n];
            let grad = &mut grad_input[at..][..n];
            let ds = &mut grad_scale[k * n..][..n];
            let dt = &mut grad_shift[k * n..][..n];
            let s = &log_scale[k * n..][..n];
            for i in 0..n {
                // z = (x − t)·e^(−s): ∂z/∂s = −z, ∂z/∂t = −e^(−s); the log-determinant is −s.
                ds[i] = -grad[i] * output[i] - grad_log_det[i];
                grad[i] *= (-s[i]).exp();
                dt[i] = -grad[i];
            }
        }
        let kept = self.kept(passed.input, n);
        let (scale, shift) = passed.params.split_at(net.n_params());
        let (to_scale, to_shift) = grad_params.split_at_mut(net.n_params());
        let mut into = |params, hidden, grad: &[f64], to: &mut [f64]| {
            let grad_kept = self.kept_mut(grad_input, n);
            net.backward(params, (kept, hidden), grad, to, grad_kept);
        };
        into(scale, &hidden[0], &grad_scale, to_scale);
        into(shift, &hidden[1], &grad_shift, to_shift);
    }
}

/// `z = x·exp(s) + t` per coordinate; parameters are all shifts, then all log-scales.
fn act_norm(dim: usize, params: &[f64], state: &mut [f64], n: usize) {
    let (shift, log_scale) = params.split_at(dim);
    let (columns, log_det) = state.split_at_mut(dim * n);
    for (k, column) in columns.chunks_exact_mut(n).enumerate() {
        let scale = log_scale[k].exp();
        column.iter_mut().for_each(|x| *x = *x * scale + shift[k]);
    }
    let total: f64 = log_scale.iter().sum();
    log_det.iter_mut().for_each(|value| *value += total);
}

fn act_norm_gradient(
    dim: usize,
    passed: &Passed<'_>,
    grad_input: &mut [f64],
    grad_params: &mut [f64],
    n: usize,
) {
    let log_scale = &passed.params[dim..];
    let grad_total: f64 = passed.grad_output[dim * n..].iter().sum();
    for k in 0..dim {
        let scale = log_scale[k].exp();
        let column = &passed.input[k * n..][..n];
        let grad = &mut grad_input[k * n..][..n];
        let mut grad_scale = grad_total;
        let mut grad_shift = 0.0;
        for i in 0..n {
            grad_shift += grad[i];
            grad_scale += grad[i] * column[i] * scale;
            grad[i] *= scale;
        }
        grad_params[k] = grad_shift;
        grad_params[dim + k] = grad_scale;
    }
}

/// The factors of `W = L·U`: `L` has a unit diagonal, the diagonal of `U` is the exponential of the
/// stored one.
fn factors(dim: usize, params: &[f64]) -> (Mat<f64>, Mat<f64>) {
    let raw = view(params, dim, dim);
    let lower = Mat::from_fn(dim, dim, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 1.0,
        std::cmp::Ordering::Greater => raw[(i, j)],
    });
    let upper = Mat::from_fn(dim, dim, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => raw[(i, j)],
        std::cmp::Ordering::Equal => raw[(i, i)].exp(),
        std::cmp::Ordering::Greater => 0.0,
    });
    (lower, upper)
}

/// `z = L U x` of every item.
fn linear(dim: usize, params: &[f64], input: &[f64], state: &mut [f64], n: usize) {
    let (lower, upper) = factors(dim, params);
    let (columns, log_det) = state.split_at_mut(dim * n);
    let half = view(&input[..dim * n], n, dim) * upper.transpose();
    columns.fill(0.0);
    product(view_mut(columns, n, dim), half.as_ref(), lower.transpose());
    let total: f64 = (0..dim).map(|k| params[k * dim + k]).sum();
    log_det.iter_mut().for_each(|value| *value += total);
}

fn linear_gradient(
    dim: usize,
    passed: &Passed<'_>,
    grad_input: &mut [f64],
    grad_params: &mut [f64],
    n: usize,
) {
    let (lower, upper) = factors(dim, passed.params);
    let input = view(&passed.input[..dim * n], n, dim);
    let grad = view(&passed.grad_output[..dim * n], n, dim);
    let half = input * upper.transpose();
    let grad_lower = grad.transpose() * &half;
    let grad_half = grad * &lower;
    let grad_upper = grad_half.transpose() * input;
    let grad_total: f64 = passed.grad_output[dim * n..].iter().sum();
    for j in 0..dim {
        for i in 0..dim {
            grad_params[j * dim + i] = match i.cmp(&j) {
                std::cmp::Ordering::Less => grad_upper[(i, j)],
                std::cmp::Ordering::Equal => grad_upper[(i, i)] * upper[(i, i)] + grad_total,
                std::cmp::Ordering::Greater => grad_lower[(i, j)],
            };
        }
    }
    let columns = &mut grad_input[..dim * n];
    columns.fill(0.0);
    product(
        view_mut(columns, n, dim),
        grad_half.as_ref(),
        upper.as_ref(),
    );
}
