//! Writes a decoder trained here so that it loads through the same door as any other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use eval::{Error, Result};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::layout::{layout, layout_len};
use super::source::shown;
use crate::config::DecoderConfig;

/// Writes `model.safetensors` and then `config.json` (the [`DecoderConfig`] itself) into `folder`,
/// which is made if need be. `tensors` maps hub names to shape and row-major values, norm weights
/// as applied.
///
/// Each file is written beside its place, synced, and renamed, `config.json` last: a folder that
/// has one is whole. A `config.json` that is already there is removed first, so that it never lies
/// beside another model's tensors. Equal arguments give equal bytes.
///
/// # Errors
/// The configuration is wrong, the tensors are not those of [`layout`], a value is not finite, or
/// the disk refuses.
pub fn save_checkpoint(
    folder: &Path,
    config: &DecoderConfig,
    tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
) -> Result<()> {
    config.validate()?;
    check(config, tensors)?;
    let mut text = serde_json::to_string_pretty(config)
        .map_err(|cause| Error::internal("cannot write a configuration").caused_by(cause))?;
    text.push('\n');
    fs::create_dir_all(folder).map_err(|cause| Error::io("make", folder, cause))?;
    let marker = folder.join("config.json");
    match fs::remove_file(&marker) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &marker, cause));
        }
        _ => {}
    }
    sync_folder(folder)?;
    let header = header(tensors)?;
    atomically(&folder.join("model.safetensors"), |path| {
        write_tensors(path, &header, tensors).map_err(|cause| Error::io("write", path, cause))
    })?;
    atomically(&marker, |path| {
        File::create(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|cause| Error::io("write", path, cause))
    })
}

/// The tensors must be exactly those that the configuration asks for, and finite.
fn check(config: &DecoderConfig, tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Result<()> {
    for (name, wanted) in layout(config) {
        let Some((shape, values)) = tensors.get(&name) else {
            return Err(Error::internal(format!("the tensor `{name}` is missing")));
        };
        if *shape != wanted || shape.iter().product::<usize>() != values.len() {
            return Err(Error::internal(format!(
                "the tensor `{name}` has the shape {shape:?} and {} values, not {wanted:?}",
                values.len()
            )));
        }
        if let Some(idx) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::internal(format!(
                "the tensor `{name}` has {} at element {idx}",
                values[idx]
            ))
            .hint("lower the learning rate or clip gradients: the training has diverged"));
        }
    }
    if tensors.len() != layout_len(config) {
        let names: BTreeSet<String> = layout(config).map(|(name, _)| name).collect();
        let other = tensors.keys().find(|name| !names.contains(*name));
        return Err(Error::internal(format!(
            "the tensor `{}` has no place in the configuration",
            shown(other.map_or("", String::as_str))
        )));
    }
    Ok(())
}

/// The front of the file, its length first: tensors in the order of their names.
fn header(tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Result<Vec<u8>> {
    const ALIGNMENT: usize = 8;
    let mut end = 0;
    let mut infos = Vec::with_capacity(tensors.len());
    for (name, (shape, values)) in tensors {
        let start = end;
        end += size_of_val(values.as_slice());
        let info = TensorInfo {
            dtype: Dtype::F32,
            shape: shape.clone(),
            data_offsets: (start, end),
        };
        infos.push((name.clone(), info));
    }
    let refuse = || Error::internal("cannot write the header of a safetensors file");
    let metadata = Metadata::new(None, infos).map_err(|cause| refuse().caused_by(cause))?;
    let json = serde_json::to_string(&metadata).map_err(|cause| refuse().caused_by(cause))?;
    let padded = json.len().next_multiple_of(ALIGNMENT);
    let mut header = (padded as u64).to_le_bytes().to_vec();
    header.extend_from_slice(json.as_bytes());
    header.resize(header.len() + padded - json.len(), b' ');
    Ok(header)
}

fn write_tensors(
    path: &Path,
    header: &[u8],
    tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(header)?;
    for (_, values) in tensors.values() {
        for value in values {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    file.flush()
}

/// Lets `write` fill a sibling of `path`, then puts it in its place.
fn atomically(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut sibling = path.as_os_str().to_owned();
    sibling.push(format!(".{}.partial", std::process::id()));
    let sibling = PathBuf::from(sibling);
    let written = write(&sibling).and_then(|()| {
        File::open(&sibling)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&sibling, path))
            .map_err(|cause| Error::io("write", path, cause))
    });
    if let Err(error) = written {
        // The first failure is the one to report; a left-over sibling is never read.
        let _ = fs::remove_file(&sibling);
        return Err(error);
    }
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Makes renames in `folder` last; only some platforms can open a folder.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|cause| Error::io("sync", folder, cause))
}
