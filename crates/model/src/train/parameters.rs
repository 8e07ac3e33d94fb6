//! Named tensors in a fixed order, trainable or frozen.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use eval::{Error, Result};

use super::tensor::{OrFail, Precision, from_f64, to_f64};

/// The tensors of a model by hub name, visited in byte order of the names.
///
/// A trainable parameter is a candle variable and receives gradients; a frozen one is a plain
/// tensor and costs no backward work. Clones share the values of trainable parameters.
#[derive(Clone, Debug)]
pub struct Parameters {
    entries: BTreeMap<String, Entry>,
    precision: Precision,
}

#[derive(Clone, Debug)]
enum Entry {
    Trainable(Var),
    Frozen(Tensor),
}

impl Entry {
    fn tensor(&self) -> &Tensor {
        match self {
            Self::Trainable(variable) => variable.as_tensor(),
            Self::Frozen(tensor) => tensor,
        }
    }
}

impl Parameters {
    /// No parameters yet, all to be of one precision.
    #[must_use]
    pub fn new(precision: Precision) -> Self {
        Self {
            entries: BTreeMap::new(),
            precision,
        }
    }

    /// The floating-point type of every parameter.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Adds a trainable parameter, or replaces it.
    ///
    /// # Errors
    /// The tensor cannot be converted to this precision.
    pub fn insert(&mut self, name: &str, values: &Tensor) -> Result<()> {
        let variable = values
            .to_dtype(self.precision.dtype())
            .and_then(|values| Var::from_tensor(&values.detach().contiguous()?))
            .or_fail(&format!("keep the parameter `{name}`"))?;
        self.entries
            .insert(name.to_owned(), Entry::Trainable(variable));
        Ok(())
    }

    /// Whether there is a parameter of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The parameter of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.find(name)
            .ok_or_else(|| Error::usage(format!("there is no parameter `{name}`")))
    }

    /// The parameter of this name, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.entries.get(name).map(Entry::tensor)
    }

    /// All parameters in their fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry.tensor()))
    }

    /// The parameters that receive gradients, in their fixed order.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Trainable(variable) => Some((name.as_str(), variable)),
            Entry::Frozen(_) => None,
        })
    }

    /// Numbers in the trainable parameters: the length of [`Parameters::flat`].
    #[must_use]
    pub fn n_trainable(&self) -> usize {
        self.trainable().map(|(_, v)| v.elem_count()).sum()
    }

    /// Makes exactly the parameters with `wanted(name)` trainable and freezes the others. Values
    /// stay; clones made before are no longer connected to parameters that change side.
    ///
    /// # Errors
    /// Values cannot be copied.
    pub fn train_only(&mut self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        for (name, entry) in &mut self.entries {
            let changed = match (&*entry, wanted(name)) {
                (Entry::Trainable(variable), false) => variable.copy().map(Entry::Frozen),
                (Entry::Frozen(tensor), true) => Var::from_tensor(tensor).map(Entry::Trainable),
                (Entry::Trainable(_), true) | (Entry::Frozen(_), false) => continue,
            };
            *entry = changed.or_fail(&format!("copy the parameter `{name}`"))?;
        }
        Ok(())
    }

    /// Replaces the values of one parameter, trainable or not.
    ///
    /// # Errors
    /// There is no such parameter, or the shape differs.
    pub fn set(&mut self, name: &str, values: &Tensor) -> Result<()> {
        let dtype = self.precision.dtype();
        let Some(entry) = self.entries.get_mut(name) else {
            return Err(Error::usage(format!("there is no parameter `{name}`")));
        };
        if entry.tensor().shape() != values.shape() {
            return Err(Error::usage(format!(
                "parameter `{name}` has shape {:?}, not {:?}",
                entry.tensor().dims(),
                values.dims()
            )));
        }
        let doing = format!("set the parameter `{name}`");
        let values = values
            .to_dtype(dtype)
            .and_then(|values| values.detach().contiguous())
            .or_fail(&doing)?;
        match entry {
            Entry::Trainable(variable) => variable.set(&values).or_fail(&doing)?,
            Entry::Frozen(tensor) => *tensor = values.copy().or_fail(&doing)?,
        }
        Ok(())
    }

    /// Values of all trainable parameters behind each other, in their fixed order, widened.
    ///
    /// # Errors
    /// Values cannot be read.
    pub fn flat(&self) -> Result<Vec<f64>> {
        let mut values = Vec::with_capacity(self.n_trainable());
        for (name, variable) in self.trainable() {
            let doing = format!("read the parameter `{name}`");
            values.extend(to_f64(variable.as_tensor()).or_fail(&doing)?);
        }
        Ok(values)
    }

    /// The inverse of [`Parameters::flat`].
    ///
    /// # Errors
    /// The length is not [`Parameters::n_trainable`].
    pub fn set_flat(&self, values: &[f64]) -> Result<()> {
        if values.len() != self.n_trainable() {
            return Err(Error::usage(format!(
                "{} values for {} trainable numbers",
                values.len(),
                self.n_trainable()
            )));
        }
        let mut rest = values;
        for (name, variable) in self.trainable() {
            let (own, others) = rest.split_at(variable.elem_count());
            rest = others;
            from_f64(own.to_vec(), variable.dims(), self.precision.dtype())
                .and_then(|tensor| variable.set(&tensor))
                .or_fail(&format!("set the parameter `{name}`"))?;
        }
        Ok(())
    }

    /// A copy in another precision that shares nothing with this one; the same parameters are
    /// trainable.
    ///
    /// # Errors
    /// Values cannot be converted.
    pub fn to_precision(&self, precision: Precision) -> Result<Self> {
        let mut copy = Self::new(precision);
        for (name, tensor) in self.iter() {
            copy.insert(name, tensor)?;
        }
        copy.train_only(|name| matches!(self.entries.get(name), Some(Entry::Trainable(_))))?;
        Ok(copy)
    }
}
