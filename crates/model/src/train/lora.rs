//! Low-rank adapters on chosen projections (Hu et al. 2021), in the file layout of the `peft`
//! library.
//!
//! `y = x·Wᵀ + (alpha / r)·(x·Aᵀ)·Bᵀ` with `A` `[r, n_in]` drawn uniformly on `±1/√n_in` and `B`
//! `[n_out, r]` zero, so a fresh adapter changes nothing. Not available on stacked experts.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use eval::{Error, Result};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};

use super::decoder::Decoder;
use super::init::{Distribution, stream};
use super::parameters::Parameters;
use super::tensor::{OrFail, from_f64, to_f32};

/// Which projections get adapters, and how strong they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank.
    pub r: usize,
    /// The change is multiplied by `alpha / r`.
    pub alpha: f64,
    /// Last part of the names of projections that get one: `q_proj`, `down_proj`.
    pub targets: Vec<String>,
    /// Seed of the initial values.
    pub seed: u64,
}

/// Adapters of a decoder; their matrices are among its parameters.
#[derive(Clone, Debug)]
pub struct Adapters {
    config: LoraConfig,
    by_projection: BTreeMap<String, Adapter>,
}

/// One adapter: names of its matrices and its strength.
#[derive(Clone, Debug)]
pub(super) struct Adapter {
    pub(super) a: String,
    pub(super) b: String,
    pub(super) scale: f64,
}

impl Adapters {
    /// Their settings.
    #[must_use]
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// Projections that have one, by hub name without `.weight`.
    pub fn projections(&self) -> impl Iterator<Item = &str> {
        self.by_projection.keys().map(String::as_str)
    }

    pub(super) fn on(&self, projection: &str) -> Option<&Adapter> {
        self.by_projection.get(projection)
    }

    pub(super) fn any_below(&self, prefix: &str) -> bool {
        let starts = |name: &String| {
            name.strip_prefix(prefix)
                .is_some_and(|r| r.starts_with('.'))
        };
        self.by_projection.keys().any(starts)
    }
}

/// Name of a matrix of an adapter in `peft`'s files and among the parameters.
fn matrix_name(projection: &str, which: char) -> String {
    format!("base_model.model.{projection}.lora_{which}.weight")
}

impl Decoder {
    /// This decoder with fresh adapters that alone are trainable; the base is frozen.
    ///
    /// # Errors
    /// It has adapters already, a target names no projection, or the rank is 0.
    pub fn with_adapters(&self, config: LoraConfig) -> Result<Self> {
        if self.adapters().is_some() {
            return Err(Error::usage("the decoder has adapters already")
                .hint("merge them first, or drop them with `without_adapters`"));
        }
        let scale = config.alpha / config.r as f64;
        if config.r == 0 || !scale.is_finite() {
            let (r, alpha) = (config.r, config.alpha);
            return Err(Error::usage(format!(
                "adapters of rank {r} and alpha {alpha}"
            )));
        }
        let mut parameters = self.parameters().clone();
        parameters.train_only(|_| false)?;
        let mut by_projection = BTreeMap::new();
        for target in &config.targets {
            let found = projections_named(self, target);
            if found.is_empty() {
                return Err(Error::usage(format!("no projection is called `{target}`")));
            }
            for (projection, n_out, n_in) in found {
                let adapter = Adapter {
                    a: matrix_name(&projection, 'A'),
                    b: matrix_name(&projection, 'B'),
                    scale,
                };
                add_matrices(&mut parameters, &adapter, (n_out, n_in), &config)?;
                by_projection.insert(projection, adapter);
            }
        }
        let adapters = Adapters {
            config,
            by_projection,
        };
        Ok(self.clone().replace_adapters(parameters, Some(adapters)))
    }

    /// The base alone, its values untouched by the adapters; frozen as it was under them.
    ///
    /// # Errors
    /// Values cannot be copied.
    pub fn without_adapters(&self) -> Result<Self> {
        let mut base = Parameters::new(self.parameters().precision());
        for (name, tensor) in self.parameters().iter() {
            if !name.contains(".lora_") {
                base.insert(name, tensor)?;
            }
        }
        base.train_only(|_| false)?;
        Ok(self.clone().replace_adapters(base, None))
    }

    /// A decoder without adapters that computes the same: `W + (alpha / r)·B·A` in their place.
    /// This decoder keeps base and adapters apart, so nothing has to be unmerged by subtraction.
    ///
    /// # Errors
    /// Values cannot be computed.
    pub fn merged(&self) -> Result<Self> {
        let mut merged = self.without_adapters()?;
        let Some(adapters) = self.adapters() else {
            return Ok(merged);
        };
        for (projection, adapter) in &adapters.by_projection {
            let name = format!("{projection}.weight");
            let parameters = self.parameters();
            let (a, b) = (parameters.get(&adapter.a)?, parameters.get(&adapter.b)?);
            let weight = parameters.get(&name)?;
            let sum = b
                .detach()
                .matmul(&a.detach())
                .and_then(|change| weight.detach() + (change * adapter.scale)?)
                .or_fail(&format!("merge the adapter of `{projection}`"))?;
            merged.parameters_mut().set(&name, &sum)?;
        }
        Ok(merged)
    }
}

fn projections_named(decoder: &Decoder, target: &str) -> Vec<(String, usize, usize)> {
    let named = |(name, tensor): (&str, &Tensor)| {
        let projection = name.strip_suffix(".weight")?;
        let last = projection.rsplit('.').next()?;
        let dims = tensor.dims();
        (last == target && last.ends_with("_proj") && dims.len() == 2)
            .then(|| (projection.to_owned(), dims[0], dims[1]))
    };
    decoder.parameters().iter().filter_map(named).collect()
}

fn add_matrices(
    parameters: &mut Parameters,
    adapter: &Adapter,
    (n_out, n_in): (usize, usize),
    config: &LoraConfig,
) -> Result<()> {
    let dtype = parameters.precision().dtype();
    let shape = [config.r, n_in];
    let values = Distribution::FanIn.values(&shape, &mut stream(config.seed, &adapter.a))?;
    let a = from_f64(values, &shape, dtype).or_fail("draw an adapter")?;
    let b = Tensor::zeros((n_out, config.r), dtype, &Device::Cpu).or_fail("make an adapter")?;
    parameters.insert(&adapter.a, &a)?;
    parameters.insert(&adapter.b, &b)
}

/// What `peft` needs to know in `adapter_config.json`. Keys it knows and we do not are ignored when
/// read: other programs write dozens.
#[derive(Debug, Serialize, Deserialize)]
struct PeftConfig {
    peft_type: String,
    task_type: Option<String>,
    r: usize,
    lora_alpha: f64,
    target_modules: Vec<String>,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    rank_pattern: BTreeMap<String, usize>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    #[serde(default)]
    inference_mode: bool,
}

/// Writes `adapter_model.safetensors` and then `adapter_config.json` into `folder`, each whole or
/// not at all, as the `peft` library reads them.
///
/// # Errors
/// The decoder has no adapters, a value is not finite, or the disk refuses.
pub fn save_adapters(folder: &Path, decoder: &Decoder) -> Result<()> {
    let Some(adapters) = decoder.adapters() else {
        return Err(Error::usage("the decoder has no adapters to save"));
    };
    let mut stored = Vec::new();
    for adapter in adapters.by_projection.values() {
        for name in [&adapter.a, &adapter.b] {
            let tensor = decoder.parameters().get(name)?;
            let values = to_f32(tensor).or_fail(&format!("read `{name}`"))?;
            stored.push((name.clone(), tensor.dims().to_vec(), values));
        }
    }
    eval::fs::create_folder(folder)?;
    write_tensors(&folder.join("adapter_model.safetensors"), &stored)?;
    let config = adapters.config();
    let config = PeftConfig {
        peft_type: "LORA".to_owned(),
        task_type: Some("CAUSAL_LM".to_owned()),
        r: config.r,
        lora_alpha: config.alpha,
        target_modules: config.targets.clone(),
        bias: Some("none".to_owned()),
        fan_in_fan_out: false,
        use_rslora: false,
        use_dora: false,
        lora_dropout: 0.0,
        rank_pattern: BTreeMap::new(),
        alpha_pattern: BTreeMap::new(),
        modules_to_save: None,
        base_model_name_or_path: None,
        inference_mode: true,
    };
    eval::fs::write_json(&folder.join("adapter_config.json"), &config)
}

/// Adapters from a folder in `peft`'s layout onto a decoder without any; they are trainable, the
/// base is frozen.
///
/// # Errors
/// Files are missing or damaged, use a variant of the method that is not supported, or do not fit
/// the decoder.
pub fn load_adapters(folder: &Path, decoder: &Decoder) -> Result<Decoder> {
    let path = folder.join("adapter_config.json");
    let peft: PeftConfig = eval::fs::read_json(&path)?;
    let bias = peft.bias.as_deref().unwrap_or("none");
    let varied = !peft.rank_pattern.is_empty() || !peft.alpha_pattern.is_empty();
    let more = bias != "none" || peft.modules_to_save.is_some_and(|saved| !saved.is_empty());
    if peft.peft_type != "LORA" || peft.use_dora || peft.fan_in_fan_out || varied || more {
        return Err(Error::inputs(format!(
            "`{}` is a variant that is not supported: only LoRA of one rank without biases is",
            path.display()
        )));
    }
    // Rank-stabilised adapters divide by √r instead of r.
    let alpha = if peft.use_rslora {
        peft.lora_alpha * (peft.r as f64).sqrt()
    } else {
        peft.lora_alpha
    };
    let mut adapted = decoder.with_adapters(LoraConfig {
        r: peft.r,
        alpha,
        targets: peft.target_modules,
        seed: 0,
    })?;
    let path = folder.join("adapter_model.safetensors");
    let mut stored = read_tensors(&path)?;
    let names: Vec<String> = adapted
        .parameters()
        .trainable()
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in names {
        let Some((shape, values)) = stored.remove(&name) else {
            let path = path.display();
            return Err(Error::inputs(format!("`{path}` has no tensor `{name}`")));
        };
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu);
        let tensor = tensor.or_fail(&format!("read `{name}`"))?;
        adapted.parameters_mut().set(&name, &tensor)?;
    }
    match stored.keys().next() {
        Some(extra) => Err(Error::inputs(format!(
            "`{}` has a tensor `{extra}` that is no adapter of this decoder",
            path.display()
        ))),
        None => Ok(adapted),
    }
}

/// Writes named singles as a safetensors file, whole or not at all.
///
/// # Errors
/// A value is not finite, or the disk refuses.
pub(super) fn write_tensors(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Result<()> {
    let mut bytes: Vec<Vec<u8>> = Vec::with_capacity(tensors.len());
    for (name, _, values) in tensors {
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::internal(format!(
                "`{name}` holds {} at {at}; `{}` is not written",
                values[at],
                path.display()
            )));
        }
        bytes.push(
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        );
    }
    let refused = |cause| {
        let message = format!("cannot encode `{}`", path.display());
        Error::internal(message).caused_by(cause)
    };
    let mut views = Vec::with_capacity(tensors.len());
    for ((name, shape, _), bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        views.push((name.as_str(), view.map_err(refused)?));
    }
    let file = safetensors::serialize(views, None).map_err(refused)?;
    eval::fs::write_atomic(path, &file)
}

/// Named tensors read from a file: shape and values.
pub(super) type Stored = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Reads a safetensors file of singles.
///
/// # Errors
/// The file is missing or damaged, or holds another element type.
pub(super) fn read_tensors(path: &Path) -> Result<Stored> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let damaged = |cause| {
        let message = format!("`{}` is damaged", path.display());
        Error::inputs(message).caused_by(cause)
    };
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != safetensors::Dtype::F32 {
            return Err(Error::inputs(format!(
                "`{name}` in `{}` is {:?}, not F32",
                path.display(),
                view.dtype()
            )));
        }
        let (quads, _) = view.data().as_chunks::<4>();
        let values = quads.iter().map(|quad| f32::from_le_bytes(*quad)).collect();
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    Ok(tensors)
}
