//! Where an engine's tensors come from, checked against the model's layout.

use std::borrow::Cow;
use std::collections::BTreeMap;

use eval::{Error, Result};

use crate::config::DecoderConfig;
use crate::kernels::{Matrix, Precision};
use crate::weights::{Checkpoint, DType, TensorView, layout};

/// Tensors by hub name: shape (outermost first) and row-major values, norm weights as applied.
pub type NamedTensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Something that holds tensors under hub names.
pub(super) trait Source {
    /// All names, sorted.
    fn names(&self) -> Vec<&str>;

    /// The tensor of a name that is there.
    fn tensor(&self, name: &str) -> Result<TensorView<'_>>;
}

impl Source for Checkpoint {
    fn names(&self) -> Vec<&str> {
        Self::names(self).collect()
    }

    fn tensor(&self, name: &str) -> Result<TensorView<'_>> {
        Self::tensor(self, name)
    }
}

impl Source for NamedTensors {
    fn names(&self) -> Vec<&str> {
        self.keys().map(String::as_str).collect()
    }

    fn tensor(&self, name: &str) -> Result<TensorView<'_>> {
        let (shape, values) = self.get(name).ok_or_else(|| missing(name))?;
        let n_values: usize = shape.iter().product();
        if n_values != values.len() {
            let n_given = values.len();
            return Err(Error::inputs(format!(
                "tensor `{name}` of shape {shape:?} has {n_given} values"
            )));
        }
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let value = values[place];
            return Err(
                Error::inputs(format!("tensor `{name}` holds {value} at element {place}"))
                    .hint("look at the loss of the training that made it"),
            );
        }
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Ok(TensorView {
            dtype: DType::F32,
            shape: shape.clone(),
            bytes: Cow::Owned(bytes.collect()),
        })
    }
}

fn missing(name: &str) -> Error {
    Error::inputs(format!("tensor `{name}` is missing"))
        .hint("the configuration must be that of the weights")
}

/// Hands out the tensors of one model.
pub(super) struct Loader<'a> {
    source: &'a dyn Source,
    precision: Precision,
}

impl<'a> Loader<'a> {
    /// Compares names and shapes with the layout of `config` before anything is packed.
    ///
    /// # Errors
    /// A tensor is missing, has another shape, or is not part of the model.
    pub(super) fn new(
        source: &'a dyn Source,
        config: &DecoderConfig,
        precision: Precision,
    ) -> Result<Self> {
        let mut surplus = source.names();
        for (name, shape) in layout(config) {
            let place = surplus
                .binary_search(&name.as_str())
                .map_err(|_| missing(&name))?;
            surplus.remove(place);
            let stored = source.tensor(&name)?.shape;
            if stored != shape {
                return Err(Error::inputs(format!(
                    "tensor `{name}` has shape {stored:?}, the configuration asks for {shape:?}"
                ))
                .hint("the configuration must be that of the weights"));
            }
        }
        match surplus.first() {
            None => Ok(Self { source, precision }),
            Some(name) => Err(
                Error::inputs(format!("tensor `{name}` is not part of the model"))
                    .hint("the configuration must be that of the weights"),
            ),
        }
    }

    /// A projection's weight, packed.
    pub(super) fn matrix(&self, name: &str) -> Result<Matrix> {
        let tensor = self.source.tensor(name)?;
        Matrix::pack(&tensor, self.precision)
            .map_err(|error| Error::inputs(format!("tensor `{name}` is unusable")).caused_by(error))
    }

    /// A norm's weight or a bias.
    pub(super) fn vector(&self, name: &str) -> Result<Vec<f32>> {
        self.source.tensor(name)?.to_f32()
    }
}
