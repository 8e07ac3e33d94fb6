//! Training state on disk: model, optimiser, and place in the data, restored to the bit.
//!
//! A save makes a new folder `save-<number>` with `model.safetensors` and `config.json` (which load
//! like any model), or the adapters alone where there are adapters; `optimizer.safetensors`; and,
//! last, `training.json`, the marker that says "complete" and holds the digests of the others.
//! Older saves are removed only after that, so a crash at any instant leaves one that loads.

use std::path::{Path, PathBuf};

use eval::digest::Digest;
use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::decoder::Decoder;
use super::lora::{load_adapters, read_tensors, save_adapters, write_tensors};
use super::names::shapes;
use super::optimizer::{AdamW, AdamWConfig};
use super::schedule::Schedule;
use super::tensor::Precision;
use crate::weights::{Checkpoint, save_checkpoint};

/// Format version of `training.json`.
const FORMAT: u32 = 1;
const MARKER: &str = "training.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// How far training has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Updates made; the next one is number `step` of the schedule.
    pub step: u64,
    /// Items of the data order that were consumed.
    pub n_consumed: u64,
    /// The learning rate's course.
    pub schedule: Schedule,
}

/// The marker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    format: u32,
    progress: Progress,
    optimizer: AdamWConfig,
    n_optimizer_steps: u64,
    files: Vec<FileDigest>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDigest {
    name: String,
    sha256: Digest,
}

/// Writes a save into `folder` and removes older ones from it.
///
/// # Errors
/// The decoder works in double precision, a value is not finite, or the disk refuses; older saves
/// are then untouched.
pub fn save_training(
    folder: &Path,
    decoder: &Decoder,
    optimizer: &AdamW,
    progress: &Progress,
) -> Result<()> {
    if decoder.parameters().precision() != Precision::F32 {
        return Err(Error::usage(
            "only training in single precision is saved; double precision is for checks",
        ));
    }
    let older = saves(folder)?;
    let number = older.last().map_or(0, |(number, _)| number + 1);
    let save = folder.join(format!("save-{number:06}"));
    eval::fs::create_folder(&save)?;
    let mut names = vec![OPTIMIZER];
    if decoder.adapters().is_some() {
        save_adapters(&save, decoder)?;
        names.extend(["adapter_model.safetensors", "adapter_config.json"]);
    } else {
        save_checkpoint(&save, decoder.config(), &decoder.tensors()?)?;
        names.extend(["model.safetensors", "config.json"]);
    }
    let mut moments = Vec::new();
    for (name, shape, [first, second]) in optimizer.moments()? {
        moments.push((format!("first.{name}"), shape.clone(), first.clone()));
        moments.push((format!("second.{name}"), shape, second.clone()));
    }
    write_tensors(&save.join(OPTIMIZER), &moments)?;
    let digest = |name: &str| {
        let sha256 = Digest::of_file(&save.join(name))?;
        let name = name.to_owned();
        Ok(FileDigest { name, sha256 })
    };
    let marker = Marker {
        format: FORMAT,
        progress: progress.clone(),
        optimizer: *optimizer.config(),
        n_optimizer_steps: optimizer.n_steps(),
        files: names.into_iter().map(digest).collect::<Result<_>>()?,
    };
    eval::fs::write_json(&save.join(MARKER), &marker)?;
    for (_, older) in older {
        std::fs::remove_dir_all(&older).map_err(|e| Error::io("remove", &older, e))?;
    }
    Ok(())
}

/// The progress of the newest complete save in `folder`, if there is one.
///
/// # Errors
/// The folder cannot be read, or a marker is damaged.
pub fn load_progress(folder: &Path) -> Result<Option<Progress>> {
    Ok(newest(folder)?.map(|(_, marker)| marker.progress))
}

/// Puts the newest complete save of `folder` into a decoder and an optimiser built as they were for
/// the run that was saved. Without a save nothing changes and the answer is `None`.
///
/// # Errors
/// A file is altered, or the save is of another decoder or optimiser.
pub fn load_training(
    folder: &Path,
    decoder: &mut Decoder,
    optimizer: &mut AdamW,
) -> Result<Option<Progress>> {
    let Some((save, marker)) = newest(folder)? else {
        return Ok(None);
    };
    for file in &marker.files {
        let path = save.join(&file.name);
        if Digest::of_file(&path)? != file.sha256 {
            return Err(Error::inputs(format!("`{}` was altered", path.display()))
                .hint("remove the folder to train again from the start"));
        }
    }
    if marker.optimizer != *optimizer.config() {
        return Err(Error::inputs(format!(
            "`{}` was trained with {:?}, not {:?}",
            save.display(),
            marker.optimizer,
            optimizer.config()
        )));
    }
    restore_parameters(&save, decoder)?;
    restore_moments(&save.join(OPTIMIZER), optimizer)?;
    optimizer.set_n_steps(marker.n_optimizer_steps);
    Ok(Some(marker.progress))
}

fn restore_parameters(save: &Path, decoder: &mut Decoder) -> Result<()> {
    let stored = if decoder.adapters().is_some() {
        let base = decoder.without_adapters()?;
        load_adapters(save, &base)?
    } else {
        let checkpoint = Checkpoint::open(save)?;
        Decoder::from_checkpoint(&checkpoint, Precision::F32)?
    };
    if shapes(stored.config()) != shapes(decoder.config()) {
        return Err(Error::inputs(format!(
            "`{}` holds another decoder than the one to restore",
            save.display()
        )));
    }
    let names: Vec<String> = stored
        .parameters()
        .trainable()
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in names {
        let values = stored.parameters().get(&name)?.clone();
        decoder.parameters_mut().set(&name, &values)?;
    }
    Ok(())
}

fn restore_moments(path: &Path, optimizer: &mut AdamW) -> Result<()> {
    let mut stored = read_tensors(path)?;
    let names: Vec<String> = optimizer.names().map(str::to_owned).collect();
    for name in &names {
        let mut take = |which: &str| {
            let key = format!("{which}.{name}");
            stored
                .remove(&key)
                .ok_or_else(|| Error::inputs(format!("`{}` has no tensor `{key}`", path.display())))
        };
        let (shape, first) = take("first")?;
        let (_, second) = take("second")?;
        optimizer.restore(name, &shape, (first, second))?;
    }
    match stored.keys().next() {
        Some(extra) => Err(Error::inputs(format!(
            "`{}` has moments `{extra}` of a parameter that is not trained here",
            path.display()
        ))),
        None => Ok(()),
    }
}

/// Numbers and folders of saves, complete or not, oldest first.
fn saves(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io("list", folder, cause)),
    };
    let mut saves = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", folder, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(number) = name.strip_prefix("save-").and_then(|n| n.parse().ok()) {
            saves.push((number, entry.path()));
        }
    }
    saves.sort();
    Ok(saves)
}

/// The newest save with a marker.
fn newest(folder: &Path) -> Result<Option<(PathBuf, Marker)>> {
    for (_, save) in saves(folder)?.into_iter().rev() {
        let path = save.join(MARKER);
        if path.is_file() {
            let marker: Marker = eval::fs::read_json(&path)?;
            if marker.format != FORMAT {
                return Err(Error::inputs(format!(
                    "`{}` has format {}, this program reads {FORMAT}",
                    path.display(),
                    marker.format
                )));
            }
            return Ok(Some((save, marker)));
        }
    }
    Ok(None)
}
