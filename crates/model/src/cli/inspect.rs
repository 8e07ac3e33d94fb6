//! `model inspect`.

use std::collections::BTreeMap;

use eval::{Error, Result, output};
use model::weights::Checkpoint;
use serde_json::{Value, json};

use super::args::{Format, InspectArgs};
use super::document::print_json;

/// What is known of one tensor without reading its values.
struct Described {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    n_bytes: usize,
}

/// Prints what a weight file holds. The file is checked, no weight is computed with.
///
/// # Errors
/// The file is missing, damaged, or describes a model that is not supported.
pub fn inspect(args: &InspectArgs) -> Result<()> {
    let checkpoint = Checkpoint::open(&args.weights)?;
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    let mut tensors = Vec::new();
    for name in names {
        let view = checkpoint.tensor(&name)?;
        tensors.push(Described {
            dtype: format!("{:?}", view.dtype),
            shape: view.shape.clone(),
            n_bytes: view.bytes.len(),
            name,
        });
    }
    let file_bytes = size_of(&args.weights)?;
    match args.format {
        Format::Json => print_json(&document(&checkpoint, &tensors, file_bytes)?),
        Format::Text => output::data(&text(&checkpoint, &tensors, file_bytes)?),
    }
}

/// Length of a file; of a folder, the weights in it.
fn size_of(path: &std::path::Path) -> Result<u64> {
    let failed = |e| Error::io("look at", path, e);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    let mut n_bytes = 0;
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_weights = entry.path().extension().is_some_and(|e| e == "safetensors");
        if is_weights {
            n_bytes += entry.metadata().map_err(failed)?.len();
        }
    }
    Ok(n_bytes)
}

/// What a GGUF file says of its own licence; other files say nothing.
fn licence(checkpoint: &Checkpoint) -> Result<Option<String>> {
    let Some(gguf) = checkpoint.gguf() else {
        return Ok(None);
    };
    for key in [
        "general.license",
        "general.license.name",
        "general.license.link",
    ] {
        if let Some(text) = gguf.text(key)? {
            return Ok(Some(text.to_owned()));
        }
    }
    Ok(None)
}

fn n_parameters(tensors: &[Described]) -> usize {
    let of = |tensor: &Described| tensor.shape.iter().product::<usize>();
    tensors.iter().map(of).sum()
}

fn document(checkpoint: &Checkpoint, tensors: &[Described], file_bytes: u64) -> Result<Value> {
    let rows: Vec<Value> = tensors
        .iter()
        .map(|tensor| {
            json!({
                "name": tensor.name,
                "dtype": tensor.dtype,
                "shape": tensor.shape,
                "bytes": tensor.n_bytes,
            })
        })
        .collect();
    Ok(json!({
        "format": 1,
        "name": checkpoint.name(),
        "licence": licence(checkpoint)?,
        "file_bytes": file_bytes,
        "n_parameters": n_parameters(tensors),
        "config": checkpoint.config(),
        "tensors": rows,
    }))
}

fn text(checkpoint: &Checkpoint, tensors: &[Described], file_bytes: u64) -> Result<String> {
    let licence = licence(checkpoint)?;
    let config = serde_json::to_string_pretty(checkpoint.config())
        .map_err(|e| Error::internal("cannot write the configuration").caused_by(e))?;
    let mut by_dtype: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for tensor in tensors {
        let (n_tensors, n_bytes) = by_dtype.entry(&tensor.dtype).or_default();
        *n_tensors += 1;
        *n_bytes += tensor.n_bytes;
    }
    let mut lines = vec![
        format!("name        {}", output::printable(checkpoint.name())),
        format!(
            "licence     {}",
            output::printable(licence.as_deref().unwrap_or("not stated in the file"))
        ),
        format!("file        {:.1} MB", file_bytes as f64 / 1e6),
        format!("parameters  {:.1} M", n_parameters(tensors) as f64 / 1e6),
        format!("config      {config}"),
    ];
    for (dtype, (n_tensors, n_bytes)) in by_dtype {
        let megabytes = n_bytes as f64 / 1e6;
        lines.push(format!("{dtype:<12}{n_tensors} tensors, {megabytes:.1} MB"));
    }
    for tensor in tensors {
        let (dtype, shape) = (&tensor.dtype, format!("{:?}", tensor.shape));
        lines.push(format!(
            "  {dtype:<6}{shape:<16}{}",
            output::printable(&tensor.name)
        ));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}
