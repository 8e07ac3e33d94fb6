//! The loop: rows in, steps, saves, a trained model out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use eval::digest::{Digest, Hasher};
use eval::{Error, Result, output};
use model::text::{ChatTemplate, Tokenizer};
use model::train::{
    AdamW, AdamWConfig, Decay, Decoder, Precision, Progress, Schedule, load_training,
    save_adapters, save_training,
};
use model::weights::{Checkpoint, save_checkpoint};
use serde::{Deserialize, Serialize};

use super::data::{Example, add_references, assemble};
use super::gradient::PairOutcome;
use super::metrics::{MetricsLog, StepMetrics};
use super::objective::{Estimated, Moving, Objective, Visit};
use super::order::Order;
use super::rows::{PairRow, read_rows};
use super::score::score;
use super::settings::{Settings, Trained};
use super::text_side::write_text_side;
use crate::assembly::{Assembler, ReferenceCache};

/// Format version of `run.json`.
const FORMAT: u32 = 1;
/// Seconds between two lines of progress.
const PAUSE_S: f64 = 10.0;

/// Rows whose texts try out a tokenizer that is written anew.
const N_TRIED: usize = 64;

/// Where a run reads and writes.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Weights: a safetensors folder or a GGUF file.
    pub model: PathBuf,
    /// The pairs.
    pub pairs: PathBuf,
    /// The run's folder.
    pub output: PathBuf,
    /// Reference log-probabilities, shared between runs.
    pub cache: PathBuf,
}

/// What `run.json` pins: a run is continued only with the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    format: u32,
    model: Digest,
    pairs: Digest,
    settings: Settings,
}

/// What a finished run says of itself (`result.json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Folder with the adapters in `peft`'s layout, or with the whole model.
    pub trained: PathBuf,
    /// Steps made.
    pub n_steps: u64,
    /// Rows trained on.
    pub n_rows: usize,
    /// Rows left out because a sequence was too long.
    pub n_dropped: usize,
    /// Numbers that were trained.
    pub n_trainable: usize,
    /// The last step.
    pub last: Option<StepMetrics>,
    /// A sequence under the trained policy, so that others can see that they load it rightly.
    pub probe: Probe,
}

/// A sequence and its log-probability under the trained policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The ids.
    pub ids: Vec<u32>,
    /// The first scored token.
    pub start: usize,
    /// Under the reference policy, in nats; 0 where the loss needs none.
    pub reference: f64,
    /// Under the trained policy, in nats.
    pub logprob: f64,
}

/// Trains, or goes on where an earlier call was killed. The same inputs give the same bytes,
/// however often the run was cut.
///
/// # Errors
/// Settings, rows, or weights are wrong (all said before any computation), the folder holds another
/// run, or training diverges.
pub fn train(paths: &Paths, settings: &Settings) -> Result<Outcome> {
    settings.check()?;
    let rows = read_rows(&paths.pairs)?;
    let checkpoint = Checkpoint::open(&paths.model)?;
    let tokenizer = Arc::new(Tokenizer::from_checkpoint(&checkpoint)?);
    let template = ChatTemplate::from_checkpoint(&checkpoint)?;
    let n_tokens_max = settings.n_tokens_max.min(checkpoint.config().n_context);
    let assembler = Assembler::new(tokenizer, template, settings.tags.clone(), n_tokens_max)?;
    let needs = settings.estimation.needs(settings.diagnose_every > 0);
    let (mut examples, n_dropped) = assemble(&rows, &assembler, needs)?;
    output::note(&format!(
        "{} rows; {n_dropped} left out ({:.1} %) for a sequence of more than {n_tokens_max} tokens",
        examples.len(),
        100.0 * n_dropped as f64 / rows.len() as f64
    ));
    let identity = Identity {
        format: FORMAT,
        model: weights_digest(&paths.model)?,
        pairs: Digest::of_file(&paths.pairs)?,
        settings: settings.clone(),
    };
    claim_folder(&paths.output, &identity)?;
    if settings.trained == Trained::Full {
        // What could not be loaded again must not be trained for hours first.
        let texts: Vec<String> = rows.iter().take(N_TRIED).flat_map(PairRow::texts).collect();
        write_text_side(&checkpoint, &paths.output.join("model"), &texts)?;
    }
    let decoder = Decoder::from_checkpoint(&checkpoint, Precision::F32)?;
    drop(checkpoint);
    if settings.loss.needs_reference() {
        let mut cache = ReferenceCache::open(&paths.cache, identity.model)?;
        let mut said = Pace::start();
        add_references(&mut examples, &decoder, &mut cache, |done, all| {
            if said.is_time(done == all) {
                output::note(&format!("reference log-probabilities: {done}/{all}"));
            }
        })?;
    }
    let decoder = match &settings.trained {
        Trained::Lora(lora) => decoder.with_adapters(lora.clone())?,
        Trained::Full => decoder,
    };
    let n_entries = examples.len() * settings.estimation.visits();
    let mut outcome = Run::start(paths, settings, decoder, n_entries)?.finish(&examples)?;
    outcome.n_rows = examples.len();
    outcome.n_dropped = n_dropped;
    eval::fs::write_json(&paths.output.join("result.json"), &outcome)?;
    Ok(outcome)
}

/// A run under way.
struct Run<'a> {
    paths: &'a Paths,
    settings: &'a Settings,
    decoder: Decoder,
    optimizer: AdamW,
    progress: Progress,
    n_steps: u64,
    metrics: MetricsLog,
    last: Option<StepMetrics>,
    moving: Moving,
    order: Order,
}

impl<'a> Run<'a> {
    /// Fresh, or from the newest complete save.
    fn start(
        paths: &'a Paths,
        settings: &'a Settings,
        mut decoder: Decoder,
        n_entries: usize,
    ) -> Result<Self> {
        let config = AdamWConfig {
            weight_decay: settings.weight_decay,
            ..AdamWConfig::default()
        };
        let mut optimizer = AdamW::new(config, decoder.parameters())?;
        let n_steps = settings.n_steps(n_entries);
        let schedule = schedule(settings, n_steps);
        schedule.validate()?;
        let saved = load_training(&saves(&paths.output), &mut decoder, &mut optimizer)?;
        if let Some(saved) = &saved {
            output::note(&format!("going on after step {} of {n_steps}", saved.step));
        }
        let progress = saved.unwrap_or(Progress {
            step: 0,
            n_consumed: 0,
            schedule,
        });
        let path = paths.output.join("metrics.jsonl");
        let (metrics, last) = MetricsLog::open(&path, progress.step)?;
        Ok(Self {
            paths,
            settings,
            decoder,
            optimizer,
            progress,
            n_steps,
            metrics,
            moving: last.as_ref().map(|last| last.moving).unwrap_or_default(),
            last,
            order: Order::new(settings.seed, n_entries),
        })
    }

    fn finish(mut self, examples: &[Example]) -> Result<Outcome> {
        let loss = self.settings.loss.loss();
        let objective = Objective {
            loss: &*loss,
            estimation: self.settings.estimation,
            n_at_once: self.settings.n_at_once,
        };
        let start = Instant::now();
        let (first, mut said) = (self.progress.step, Pace::start());
        while self.progress.step < self.n_steps {
            let metrics = self.step(&objective, examples)?;
            self.metrics.push(&metrics)?;
            let is_last = self.progress.step == self.n_steps;
            if said.is_time(is_last) {
                let each_s = start.elapsed().as_secs_f64() / (self.progress.step - first) as f64;
                output::note(&told(&metrics, self.n_steps, each_s));
            }
            self.last = Some(metrics);
            if is_last || self.progress.step.is_multiple_of(self.settings.save_every) {
                self.save()?;
            }
        }
        let trained = self.export()?;
        let pairs = examples
            .iter()
            .flat_map(|e| e.thinking.first().or(e.empty.as_ref()));
        let first = pairs.map(|pair| &pair.chosen).next();
        let first = first.ok_or_else(|| Error::internal("a run without pairs"))?;
        let probe = Probe {
            ids: first.sequence.ids.clone(),
            start: first.sequence.start,
            reference: first.reference,
            logprob: score(&self.decoder, &[&first.sequence])?.logprobs[0],
        };
        Ok(Outcome {
            probe,
            trained,
            n_steps: self.n_steps,
            n_rows: 0,
            n_dropped: 0,
            n_trainable: self.decoder.parameters().n_trainable(),
            last: self.last,
        })
    }

    fn step(&mut self, objective: &Objective<'_>, examples: &[Example]) -> Result<StepMetrics> {
        let mut batch = Vec::with_capacity(self.settings.batch);
        for _ in 0..self.settings.batch {
            let entry = self.order.entry(self.progress.n_consumed);
            batch.push(Visit {
                example: &examples[entry % examples.len()],
                kind: entry / examples.len(),
            });
            self.progress.n_consumed += 1;
        }
        let every = self.settings.diagnose_every;
        let diagnose = every > 0 && self.progress.step.is_multiple_of(every);
        let mut moving = self.moving;
        let mut found = objective.estimate(&self.decoder, &batch, diagnose, &mut moving)?;
        self.moving = moving;
        let gradient_norm = found.gradients.clip(self.settings.clip)?;
        let rate = self.progress.schedule.rate(self.progress.step);
        self.optimizer
            .step(self.decoder.parameters(), &found.gradients, rate)?;
        self.progress.step += 1;
        Ok(summary(
            self.progress.step,
            rate,
            gradient_norm,
            &found,
            moving,
        ))
    }

    /// Metrics first: a save counts lines that are on disk.
    fn save(&mut self) -> Result<()> {
        self.metrics.sync()?;
        let folder = saves(&self.paths.output);
        save_training(&folder, &self.decoder, &self.optimizer, &self.progress)
    }

    fn export(&self) -> Result<PathBuf> {
        if self.decoder.adapters().is_some() {
            let folder = self.paths.output.join("adapter");
            save_adapters(&folder, &self.decoder)?;
            return Ok(folder);
        }
        let folder = self.paths.output.join("model");
        save_checkpoint(&folder, self.decoder.config(), &self.decoder.tensors()?)?;
        copy_text_side(&self.paths.model, &folder)?;
        Ok(folder)
    }
}

/// Copies tokenizer and template beside weights trained from a folder, so that the result is a
/// model of its own; those inside a GGUF file are written by [`write_text_side`].
fn copy_text_side(from: &Path, to: &Path) -> Result<()> {
    const FILES: [&str; 4] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
    ];
    for name in FILES {
        let path = from.join(name);
        if path.is_file() {
            let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
            eval::fs::write_atomic(&to.join(name), &bytes)?;
        }
    }
    Ok(())
}

fn saves(folder: &Path) -> PathBuf {
    folder.join("saves")
}

fn schedule(settings: &Settings, n_steps: u64) -> Schedule {
    let n_warmup = (settings.warmup * n_steps as f64).ceil() as u64;
    Schedule {
        peak: settings.rate,
        n_warmup: n_warmup.min(n_steps - 1),
        decay: Decay::Cosine {
            n_steps,
            floor: 0.0,
        },
    }
}

fn summary(
    step: u64,
    rate: f64,
    gradient_norm: f64,
    found: &Estimated,
    moving: Moving,
) -> StepMetrics {
    let mean = |outcomes: &[PairOutcome], value: &dyn Fn(&PairOutcome) -> f64| {
        let n = outcomes.len();
        (n > 0).then(|| outcomes.iter().map(value).sum::<f64>() / n as f64)
    };
    let loss = |o: &PairOutcome| o.loss;
    let margin = |o: &PairOutcome| o.margin;
    let right = |o: &PairOutcome| f64::from(o.margin > 0.0);
    let (trace, empty) = (mean(&found.trace, &loss), mean(&found.empty, &loss));
    // Parts computed for F8 alone have weights of their own; `alpha` says what the step used.
    let total = match found.alpha {
        Some(alpha) => alpha * trace.unwrap_or(0.0) + (1.0 - alpha) * empty.unwrap_or(0.0),
        None => {
            let all = found.trace.iter().chain(&found.empty);
            all.map(|o| o.weight * o.loss).sum()
        }
    };
    StepMetrics {
        step,
        rate,
        loss: total,
        loss_trace: trace,
        loss_empty: empty,
        margin_trace: mean(&found.trace, &margin),
        margin_empty: mean(&found.empty, &margin),
        accuracy_trace: mean(&found.trace, &right),
        accuracy_empty: mean(&found.empty, &right),
        gradient_norm,
        alpha: found.alpha,
        diagnostics: found.diagnostics,
        moving,
    }
}

/// A step for a person.
fn told(metrics: &StepMetrics, n_steps: u64, each_s: f64) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
    let left_s = each_s * (n_steps - metrics.step) as f64;
    let mut text = format!(
        "step {}/{n_steps}: loss {:.4}, margin {} / {}, accuracy {} / {} (trace / empty), \
         gradient {:.3e}, {each_s:.2} s/step, {:.0} s left",
        metrics.step,
        metrics.loss,
        number(metrics.margin_trace),
        number(metrics.margin_empty),
        number(metrics.accuracy_trace),
        number(metrics.accuracy_empty),
        metrics.gradient_norm,
        left_s
    );
    if let Some(found) = &metrics.diagnostics {
        text.push_str(&format!(
            "; V_r {:.3e}, bias² {:.3e}, weight by F8 {:.2}",
            found.trace_variance, found.squared_bias, found.alpha_hat
        ));
    }
    text
}

/// Says when it is time for a line of progress.
struct Pace {
    last: Instant,
}

impl Pace {
    fn start() -> Self {
        Self {
            last: Instant::now(),
        }
    }

    fn is_time(&mut self, always: bool) -> bool {
        if !always && self.last.elapsed().as_secs_f64() < PAUSE_S {
            return false;
        }
        self.last = Instant::now();
        true
    }
}

/// One digest over the weight files of a path that [`Checkpoint::open`] accepts.
fn weights_digest(path: &Path) -> Result<Digest> {
    if path.is_file() {
        return Digest::of_file(path);
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| Error::io("list", path, e))? {
        let entry = entry.map_err(|e| Error::io("list", path, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_weights = name.ends_with(".safetensors") || name.ends_with(".gguf");
        if is_weights || name == "config.json" {
            names.push(name);
        }
    }
    names.sort();
    let mut hasher = Hasher::new();
    for name in names {
        let digest = Digest::of_file(&path.join(&name))?;
        hasher.update(format!("{name}\n{digest}\n").as_bytes());
    }
    Ok(hasher.finish())
}

/// Marks the folder as this run's, or finds that it is.
fn claim_folder(folder: &Path, identity: &Identity) -> Result<()> {
    let path = folder.join("run.json");
    if !path.is_file() {
        eval::fs::create_folder(folder)?;
        return eval::fs::write_json(&path, identity);
    }
    let known: Identity = eval::fs::read_json(&path)?;
    if known == *identity {
        return Ok(());
    }
    let differs = if known.model != identity.model {
        "other weights".to_owned()
    } else if known.pairs != identity.pairs {
        "other pairs".to_owned()
    } else {
        differing(&known.settings, &identity.settings)
    };
    Err(
        Error::usage(format!("`{}` holds a run with {differs}", folder.display()))
            .hint("choose another `--output`, or remove that folder"),
    )
}

/// Names the settings that differ.
fn differing(known: &Settings, given: &Settings) -> String {
    let (known, given) = (serde_json::json!(known), serde_json::json!(given));
    let fields = given.as_object().into_iter().flatten();
    let odd = fields.filter(|(key, value)| known.get(*key) != Some(value));
    let told = odd.map(|(key, value)| {
        let was = known.get(key).cloned().unwrap_or_default();
        format!("`{key}` {was} instead of {value}")
    });
    told.collect::<Vec<_>>().join(", ")
}
