//! `import flow_pid`: decompositions for people who have numpy arrays and want a dictionary.
//!
//! Three functions: `estimate` (samples of any kind, as the program's `estimate`), `gaussian_pid`
//! (a covariance, exact), and `discrete_pid` (a probability table, exact). Bad input raises
//! `ValueError` with the same words as on the command line.

use eval::Error;
use faer::MatRef;
use flow_pid::discrete::{Broja, BrojaConfig, Joint};
use flow_pid::tool::{
    self, Column, LabelCoding, Method, Missing, Options, Table, TargetKind, Values,
};
use flow_pid::{Atoms, Dims};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Partial information decomposition: exact Gaussian, rank-Gaussian copula, flows, exact discrete.
#[pymodule(name = "flow_pid")]
fn python_module(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(estimate, m)?)?;
    m.add_function(wrap_pyfunction!(gaussian_pid, m)?)?;
    m.add_function(wrap_pyfunction!(discrete_pid, m)?)
}

/// What sources x1 and x2 tell about the target y, in bits.
///
/// Row k of all three arrays is one item; y may hold numbers or texts (a label). Returns the report
/// as a dictionary: method, atoms with intervals and null bounds, the label's entropy, diagnostics,
/// warnings.
#[pyfunction]
#[pyo3(signature = (y, x1, x2, *, method="auto", bootstrap=200, shuffles=200, level=0.95,
    missing="refuse", target="auto", coding="one-hot", components=None, bins=4, steps=5000,
    seed=0))]
#[expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of a Python function"
)]
fn estimate<'py>(
    py: Python<'py>,
    y: &Bound<'py, PyAny>,
    x1: &Bound<'py, PyAny>,
    x2: &Bound<'py, PyAny>,
    method: &str,
    bootstrap: usize,
    shuffles: usize,
    level: f64,
    missing: &str,
    target: &str,
    coding: &str,
    components: Option<usize>,
    bins: usize,
    steps: u64,
    seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let (y, x1, x2) = (table(y, "y")?, table(x1, "x1")?, table(x2, "x2")?);
    let mut options = Options {
        method: choice("method", method, &METHODS)?,
        bootstrap,
        shuffles,
        level,
        missing: choice("missing", missing, &MISSING)?,
        target: choice("target", target, &TARGETS)?,
        coding: choice("coding", coding, &CODINGS)?,
        components,
        bins,
        seed,
        ..Options::default()
    };
    options.flow.steps = steps;
    let text = py
        .detach(|| {
            let report = tool::estimate(&y, &x1, &x2, &options)?;
            tool::render::json(&report)
        })
        .map_err(raise)?;
    py.import("json")?.call_method1("loads", (text,))
}

/// The exact Gaussian decomposition of a covariance ordered as target, source 1, source 2.
#[pyfunction]
fn gaussian_pid<'py>(
    covariance: &Bound<'py, PyAny>,
    dy: usize,
    d1: usize,
    d2: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let py = covariance.py();
    let (values, shape) = numbers(covariance, "covariance")?;
    let dims = Dims {
        y: dy,
        x1: d1,
        x2: d2,
    };
    if shape.len() != 2 {
        return Err(PyValueError::new_err("the covariance has not two axes"));
    }
    let atoms = py
        .detach(|| {
            let matrix = MatRef::from_row_major_slice(&values, shape[0], shape[1]);
            Atoms::of_covariance(matrix, dims)
        })
        .map_err(|why| raise(why.into()))?;
    dictionary(py, &atoms)
}

/// The exact decomposition of a probability table with axes source 1, source 2, target.
#[pyfunction]
fn discrete_pid<'py>(table: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = table.py();
    let (values, shape) = numbers(table, "table")?;
    let [n1, n2, ny] = shape[..] else {
        return Err(PyValueError::new_err(
            "the table has not three axes: source 1, source 2, target",
        ));
    };
    let atoms = py
        .detach(|| {
            let joint = Joint::new([n1, n2, ny], values)?;
            Ok(Broja::of(&joint, &BrojaConfig::default())?.atoms)
        })
        .map_err(|why: flow_pid::PidError| raise(why.into()))?;
    dictionary(py, &atoms)
}

fn dictionary<'py>(py: Python<'py>, atoms: &Atoms) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for (name, value) in flow_pid::ATOM_NAMES.into_iter().zip(atoms.parts()) {
        out.set_item(name, value)?;
    }
    out.set_item("I1", atoms.info1)?;
    out.set_item("I2", atoms.info2)?;
    out.set_item("I12", atoms.info12)?;
    Ok(out)
}

const METHODS: [(&str, Method); 5] = [
    ("auto", Method::Auto),
    ("gaussian", Method::Gaussian),
    ("copula", Method::Copula),
    ("flow", Method::Flow),
    ("discrete", Method::Discrete),
];
const MISSING: [(&str, Missing); 3] = [
    ("refuse", Missing::Refuse),
    ("mean", Missing::Mean),
    ("drop", Missing::Drop),
];
const TARGETS: [(&str, TargetKind); 3] = [
    ("auto", TargetKind::Auto),
    ("label", TargetKind::Label),
    ("number", TargetKind::Number),
];
const CODINGS: [(&str, LabelCoding); 2] = [
    ("one-hot", LabelCoding::OneHot),
    ("scalar", LabelCoding::Scalar),
];

fn choice<T: Copy>(name: &str, word: &str, known: &[(&str, T)]) -> PyResult<T> {
    let found = known.iter().find(|(known, _)| *known == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        PyValueError::new_err(format!("{name}={word:?} is none of {}", words.join(", ")))
    })
}

fn raise(error: Error) -> PyErr {
    PyValueError::new_err(error.report())
}

/// Values in row-major order as double precision, and the shape.
fn numbers(array: &Bound<'_, PyAny>, name: &str) -> PyResult<(Vec<f64>, Vec<usize>)> {
    let numpy = array.py().import("numpy")?;
    let array = numpy
        .call_method1("ascontiguousarray", (array, "<f8"))
        .map_err(|_| {
            PyValueError::new_err(format!("`{name}` cannot be read as an array of numbers"))
        })?;
    let shape: Vec<usize> = array.getattr("shape")?.extract()?;
    let bytes: Vec<u8> = array.call_method0("tobytes")?.extract()?;
    let values = bytes.chunks_exact(8).map(|eight| {
        let mut wide = [0; 8];
        wide.copy_from_slice(eight);
        f64::from_le_bytes(wide)
    });
    Ok((values.collect(), shape))
}

/// One axis is items, two are items by columns; texts are a label.
fn table(array: &Bound<'_, PyAny>, name: &str) -> PyResult<Table> {
    let numpy = array.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (array,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    let ndim: usize = array.getattr("ndim")?.extract()?;
    if ndim == 0 || ndim > 2 {
        return Err(PyValueError::new_err(format!(
            "`{name}` has {ndim} axes, not one or two"
        )));
    }
    if matches!(kind.as_str(), "U" | "S" | "O" | "T") {
        if ndim > 1 {
            return Err(PyValueError::new_err(format!(
                "`{name}` holds text in more than one column"
            )));
        }
        let texts: Vec<String> = array
            .call_method1("astype", ("str",))?
            .call_method0("tolist")?
            .extract()?;
        let values = Values::Texts(texts.into_iter().map(Some).collect());
        let column = Column {
            name: "c0".to_owned(),
            values,
        };
        return Table::new(name.to_owned(), vec![column]).map_err(raise);
    }
    let (values, shape) = numbers(&array, name)?;
    let n_columns = shape.get(1).copied().unwrap_or(1);
    let column = |k: usize| Column {
        name: format!("c{k}"),
        // NaN is a missing value, as in the program's files.
        values: Values::Numbers(
            values
                .iter()
                .skip(k)
                .step_by(n_columns.max(1))
                .map(|value| (!value.is_nan()).then_some(*value))
                .collect(),
        ),
    };
    Table::new(name.to_owned(), (0..n_columns).map(column).collect()).map_err(raise)
}
