//! A perceptron with two rectified hidden layers and its exact gradient, on column-major slices.
//!
//! Items are rows, features columns, so that a feature of all items lies in one piece. Weights are
//! `inputs × outputs`, column-major, followed by the biases.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::{Rng, RngExt};

use crate::upper_halves;

/// Sizes of input, two hidden layers, and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Perceptron {
    pub sizes: [usize; 4],
    /// Inputs that PyTorch's rule counts for the first layer: masked ones are there and always 0.
    pub fan_in: usize,
}

/// What the backward pass needs: both hidden layers after the rectifier.
#[derive(Debug)]
pub(super) struct Hidden {
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Perceptron {
    pub fn n_params(&self) -> usize {
        let [a, b, c, d] = self.sizes;
        (a + 1) * b + (b + 1) * c + (c + 1) * d
    }

    fn split<'a>(&self, params: &'a [f64]) -> [(&'a [f64], &'a [f64]); 3] {
        let [a, b, c, d] = self.sizes;
        let (first, rest) = params.split_at((a + 1) * b);
        let (second, last) = rest.split_at((b + 1) * c);
        [
            first.split_at(a * b),
            second.split_at(b * c),
            last.split_at(c * d),
        ]
    }

    /// Uniform within `1/√fan_in` as PyTorch does, the last layer zero, so that the output is 0.
    pub fn initialise(&self, params: &mut [f64], rng: &mut impl Rng) {
        let [a, b, c, _] = self.sizes;
        let (first, rest) = params.split_at_mut((a + 1) * b);
        let (second, last) = rest.split_at_mut((b + 1) * c);
        for (part, fan_in) in [(first, self.fan_in.max(1)), (second, b.max(1))] {
            let bound = 1.0 / (fan_in as f64).sqrt();
            part.iter_mut()
                .for_each(|w| *w = rng.random_range(-bound..=bound));
        }
        last.fill(0.0);
    }

    /// Writes the output, `items × sizes[3]`, and returns the hidden layers.
    pub fn forward(&self, params: &[f64], input: MatRef<'_, f64>, output: &mut [f64]) -> Hidden {
        let n = input.nrows();
        let [_, b, c, d] = self.sizes;
        let layers = self.split(params);
        let mut first = vec![0.0; n * b];
        affine(input, layers[0], b, &mut first);
        rectify(&mut first);
        let mut second = vec![0.0; n * c];
        affine(view(&first, n, b), layers[1], c, &mut second);
        rectify(&mut second);
        affine(view(&second, n, c), layers[2], d, output);
        Hidden { first, second }
    }

    /// Adds the gradients of parameters and input, given that of the output.
    pub fn backward(
        &self,
        params: &[f64],
        (input, hidden): (MatRef<'_, f64>, &Hidden),
        grad_output: &[f64],
        grad_params: &mut [f64],
        grad_input: MatMut<'_, f64>,
    ) {
        let n = input.nrows();
        let [a, b, c, d] = self.sizes;
        let layers = self.split(params);
        let (grad_first, rest) = grad_params.split_at_mut((a + 1) * b);
        let (grad_second, grad_last) = rest.split_at_mut((b + 1) * c);

        let second = view(&hidden.second, n, c);
        affine_gradient(second, view(grad_output, n, d), grad_last);
        let mut grad = vec![0.0; n * c];
        let weights = view(layers[2].0, c, d);
        product(
            view_mut(&mut grad, n, c),
            view(grad_output, n, d),
            weights.transpose(),
        );
        gate(&mut grad, &hidden.second);

        let first = view(&hidden.first, n, b);
        affine_gradient(first, view(&grad, n, c), grad_second);
        let mut grad_hidden = vec![0.0; n * b];
        let weights = view(layers[1].0, b, c);
        product(
            view_mut(&mut grad_hidden, n, b),
            view(&grad, n, c),
            weights.transpose(),
        );
        gate(&mut grad_hidden, &hidden.first);

        affine_gradient(input, view(&grad_hidden, n, b), grad_first);
        if a > 0 {
            let weights = view(layers[0].0, a, b);
            product(grad_input, view(&grad_hidden, n, b), weights.transpose());
        }
    }
}

/// A column-major slice as a matrix.
pub(super) fn view(values: &[f64], rows: usize, columns: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(values, rows, columns)
}

pub(super) fn view_mut(values: &mut [f64], rows: usize, columns: usize) -> MatMut<'_, f64> {
    MatMut::from_column_major_slice_mut(values, rows, columns)
}

/// `out ← out + lhs · rhs`, in one thread.
pub(super) fn product(out: MatMut<'_, f64>, lhs: MatRef<'_, f64>, rhs: MatRef<'_, f64>) {
    matmul(out, Accum::Add, lhs, rhs, 1.0, Par::Seq);
    upper_halves::clear();
}

fn affine(
    input: MatRef<'_, f64>,
    (weights, bias): (&[f64], &[f64]),
    n_out: usize,
    out: &mut [f64],
) {
    let (n, n_in) = input.shape();
    for (column, bias) in out.chunks_exact_mut(n).zip(bias) {
        column.fill(*bias);
    }
    if n_in > 0 {
        product(view_mut(out, n, n_out), input, view(weights, n_in, n_out));
    }
}

/// Adds `inputᵀ · grad` and the column sums of `grad`.
fn affine_gradient(input: MatRef<'_, f64>, grad: MatRef<'_, f64>, grad_layer: &mut [f64]) {
    let (n_in, n_out) = (input.ncols(), grad.ncols());
    let (weights, bias) = grad_layer.split_at_mut(n_in * n_out);
    if n_in > 0 {
        product(view_mut(weights, n_in, n_out), input.transpose(), grad);
    }
    for (k, bias) in bias.iter_mut().enumerate() {
        *bias += grad.col(k).iter().sum::<f64>();
    }
}

fn rectify(values: &mut [f64]) {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
}

/// Clears the gradient where the rectifier was shut.
fn gate(grad: &mut [f64], activation: &[f64]) {
    for (grad, activation) in grad.iter_mut().zip(activation) {
        // A choice instead of a branch, which would be mispredicted half of the time.
        *grad = if *activation <= 0.0 { 0.0 } else { *grad };
    }
}
