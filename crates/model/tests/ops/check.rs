//! One check for every operation: six statements about a function of some tensors.
//!
//! 1. In double precision it equals a plain composition of candle's own operations.
//! 2. Its gradients equal central differences of the fourth order.
//! 3. Every input receives a gradient.
//! 4. In single precision values and gradients stay close to the double ones.
//! 5. One, two, and three threads give the same bits.
//! 6. Inputs that are frozen, all but one or one alone, receive no gradient and change no bit of
//!    the others'.

use candle_core::{DType, Device, Result, Tensor, Var};
use model::ops::with_threads;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A function of tensors.
pub type Function<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Largest difference allowed between gradients and differences, over the largest gradient.
const DIFFERENCES: f64 = 1e-7;

/// Largest difference allowed between single and double precision, over the largest value.
const SINGLES: f64 = 2e-5;

/// `n` numbers in (−1, 1), the same for the same seed.
pub fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| rng.next_u64() as f64 / (1u64 << 63) as f64 - 1.0)
        .collect()
}

/// Inputs of the given shapes.
pub fn inputs(shapes: &[&[usize]], seed: u64) -> Vec<Tensor> {
    let tensor = |(index, shape): (usize, &&[usize])| {
        let values = numbers(shape.iter().product(), seed * 1000 + index as u64);
        Tensor::from_vec(values, *shape, &Device::Cpu).unwrap()
    };
    shapes.iter().enumerate().map(tensor).collect()
}

/// Value and gradients of `Σ r ⊙ f(inputs)` with fixed random `r`, all in double precision.
struct Outcome {
    value: Vec<f64>,
    /// Of a frozen input: empty.
    gradients: Vec<Vec<f64>>,
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn projection(like: &Tensor) -> Tensor {
    let values = numbers(like.elem_count(), 77);
    let tensor = Tensor::from_vec(values, like.shape(), &Device::Cpu).unwrap();
    tensor.to_dtype(like.dtype()).unwrap()
}

fn outcome(name: &str, f: Function, inputs: &[Tensor], dtype: DType) -> Outcome {
    outcome_where(name, f, inputs, dtype, |_| true)
}

/// With the inputs frozen that `trains` refuses.
fn outcome_where(
    name: &str,
    f: Function,
    inputs: &[Tensor],
    dtype: DType,
    trains: impl Fn(usize) -> bool,
) -> Outcome {
    let vars: Vec<Var> = inputs
        .iter()
        .map(|input| Var::from_tensor(&input.to_dtype(dtype).unwrap()).unwrap())
        .collect();
    let tensors = vars
        .iter()
        .enumerate()
        .map(|(index, var)| match trains(index) {
            true => var.as_tensor().clone(),
            false => var.as_detached_tensor(),
        });
    let tensors: Vec<Tensor> = tensors.collect();
    let y = f(&tensors).unwrap();
    let loss = (&y * projection(&y)).unwrap().sum_all().unwrap();
    let store = loss.backward().unwrap();
    let gradient = |(index, var): (usize, &Var)| {
        let gradient = store.get(&tensors[index]);
        if !trains(index) {
            assert!(
                gradient.is_none(),
                "{name}: gradient of frozen input {index}"
            );
            return Vec::new();
        }
        let gradient = gradient.unwrap_or_else(|| panic!("{name}: input {index} has no gradient"));
        assert_eq!(
            gradient.dims(),
            var.dims(),
            "{name}: shape of gradient {index}"
        );
        flat(gradient)
    };
    Outcome {
        value: flat(&y),
        gradients: vars.iter().enumerate().map(gradient).collect(),
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |top, value| value.abs().max(top))
}

/// Compares element by element; errors count relative to the largest value, or to `least` where
/// all values are smaller.
fn close(name: &str, ours: &[f64], theirs: &[f64], [tolerance, least]: [f64; 2]) {
    assert_eq!(ours.len(), theirs.len(), "{name}: lengths");
    let scale = largest(theirs).max(least);
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let error = (ours - theirs).abs() / scale;
        assert!(
            error <= tolerance,
            "{name}[{index}]: {ours} against {theirs} ({error:.1e})"
        );
    }
}

/// `∂ Σ r ⊙ f / ∂ inputs[which]` by central differences of the fourth order.
fn differences(f: Function, inputs: &[Tensor], which: usize) -> Vec<f64> {
    const STEP: f64 = 5e-4;
    let centre = flat(&inputs[which]);
    let value = |element: usize, step: f64| {
        let mut moved = centre.clone();
        moved[element] += step;
        let mut inputs = inputs.to_vec();
        inputs[which] = Tensor::from_vec(moved, inputs[which].shape(), &Device::Cpu).unwrap();
        let y = f(&inputs).unwrap();
        let terms = (&y * projection(&y)).unwrap();
        flat(&terms).iter().sum::<f64>()
    };
    let slope = |element| {
        let near = value(element, STEP) - value(element, -STEP);
        let far = value(element, 2.0 * STEP) - value(element, -2.0 * STEP);
        (8.0 * near - far) / (12.0 * STEP)
    };
    (0..centre.len()).map(slope).collect()
}

/// Checks all six statements.
pub fn check(name: &str, inputs: &[Tensor], ours: Function, plain: Function) {
    let double = outcome(name, ours, inputs, DType::F64);
    let expected = outcome(name, plain, inputs, DType::F64);
    close(
        &format!("{name}: value"),
        &double.value,
        &expected.value,
        [1e-12, 1e-3],
    );
    for which in 0..inputs.len() {
        let label = format!("{name}: gradient {which}");
        let gradient = &double.gradients[which];
        close(
            &label,
            gradient,
            &differences(ours, inputs, which),
            [DIFFERENCES, 1e-3],
        );
        close(&label, gradient, &expected.gradients[which], [1e-10, 1e-3]);
    }
    check_frozen(name, inputs, ours, &double);
    check_single(name, inputs, ours);
}

/// Statement 6.
fn check_frozen(name: &str, inputs: &[Tensor], ours: Function, all: &Outcome) {
    for which in 0..inputs.len() {
        let alone = outcome_where(name, ours, inputs, DType::F64, |index| index == which);
        let same = alone.gradients[which] == all.gradients[which];
        assert!(
            same,
            "{name}: gradient {which} differs where the others are frozen"
        );
        if inputs.len() < 2 {
            continue;
        }
        let rest = outcome_where(name, ours, inputs, DType::F64, |index| index != which);
        for (index, gradient) in rest.gradients.iter().enumerate() {
            let same = index == which || *gradient == all.gradients[index];
            assert!(
                same,
                "{name}: gradient {index} differs where input {which} is frozen"
            );
        }
    }
}

/// Statements 4 and 5 alone, for shapes too large for differences.
pub fn check_single(name: &str, inputs: &[Tensor], ours: Function) {
    let double = outcome(name, ours, inputs, DType::F64);
    let single = outcome(name, ours, inputs, DType::F32);
    close(
        &format!("{name}: single"),
        &single.value,
        &double.value,
        [SINGLES, 1e-3],
    );
    // A gradient that is zero by symmetry (a key's bias) is a sum of cancelling larger ones.
    let least = double
        .gradients
        .iter()
        .map(|g| largest(g))
        .fold(1e-3, f64::max)
        / 100.0;
    for (which, (single, double)) in single.gradients.iter().zip(&double.gradients).enumerate() {
        let label = format!("{name}: single gradient {which}");
        close(&label, single, double, [SINGLES, least]);
    }
    for n_threads in [2, 3] {
        let again = with_threads(n_threads, || outcome(name, ours, inputs, DType::F32));
        assert!(
            again.value == single.value,
            "{name}: values differ with {n_threads} threads"
        );
        let same = again.gradients == single.gradients;
        assert!(same, "{name}: gradients differ with {n_threads} threads");
    }
}
