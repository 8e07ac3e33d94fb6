//! From weights on disk to a model that can be asked.

use std::sync::Arc;

use eval::{Error, Result, env};
use model::generate::{LocalModel, LocalOptions};
use model::infer::{Engine, EngineOptions, Precision};
use model::serve::TextCodec;
use model::text::{ChatTemplate, Tokenizer};
use model::weights::Checkpoint;

use super::args::{ModelArgs, WeightPrecision};

/// Samples generated at the same time, at most.
const N_BATCH_MAX: usize = 32;
/// Caches of earlier prompts, in bytes.
const PREFIX_CACHE_BYTES: usize = 256 << 20;

/// A model, ready.
pub struct Loaded {
    /// The engine.
    pub model: LocalModel,
    /// Its text side.
    pub codec: TextCodec,
}

/// Reads weights, tokenizer, and chat template.
///
/// # Errors
/// A file is missing or damaged, or the model is not supported.
pub fn load(args: &ModelArgs) -> Result<Loaded> {
    let checkpoint = Checkpoint::open(&args.weights)?;
    let tokenizer = Arc::new(Tokenizer::from_checkpoint(&checkpoint)?);
    let template = ChatTemplate::from_checkpoint(&checkpoint)?;
    let engine = Engine::load(
        &checkpoint,
        EngineOptions {
            precision: match args.precision {
                WeightPrecision::Quantised => Precision::Quantised,
                WeightPrecision::Exact => Precision::Exact,
            },
            n_threads: n_threads(args.threads)?,
        },
    )?;
    let options = LocalOptions {
        n_batch_max: N_BATCH_MAX,
        prefix_cache_bytes: PREFIX_CACHE_BYTES,
    };
    let name = checkpoint.name().to_owned();
    let model = LocalModel::new(name, engine, Some(Arc::clone(&tokenizer)), options)?;
    Ok(Loaded {
        model,
        codec: TextCodec::new(tokenizer, template),
    })
}

/// The option, else the engine's setting for a cell, else the cores of this machine.
fn n_threads(option: Option<usize>) -> Result<usize> {
    if let Some(n) = option {
        return Ok(n);
    }
    match std::env::var(env::CELL_THREADS) {
        Ok(text) => match text.trim().parse() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(Error::usage(format!(
                "`{}` is `{}`, not a number of threads",
                env::CELL_THREADS,
                text.escape_debug()
            ))
            .hint("set it to 1 or more, or unset it")),
        },
        Err(_) => Ok(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
    }
}
