//! The options of `bvpo train` and `bvpo pairs`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use eval::{Result, exit, output};
use model::chat::{ChatSpec, ModelOptions};

use super::objective::Estimation;
use super::run::{Paths, train};
use super::settings::{LossKind, Settings, Trained, parse_lora};
use crate::assembly::Tags;

/// What `bvpo train --help` says at its end.
pub const TRAIN_HELP: &str = "\
Pairs: one JSON object a line.
  {\"id\": \"q1\", \"prompt\": \"What is 1+2?\",
   \"thinking\": [{\"chosen\": {\"reasoning\": \"…\", \"answer\": \"3\"},
                 \"rejected\": {\"reasoning\": \"…\", \"answer\": \"4\"}}],
   \"empty\": {\"chosen\": {\"answer\": \"3\"}, \"rejected\": {\"answer\": \"12\"}}}
`messages` may stand in for `prompt`. `thinking` holds pairs generated with a trace: the first, and
independent replicates (for `average`, `adaptive`, and `--diagnose-every`). `empty` is the pair
generated without one. `bvpo pairs` writes such files.

Estimators: trace (ordinary DPO) · empty (thinking switched off) · mix (the paper's: alpha·trace +
(1-alpha)·empty) · union (both kinds as rows of one set) · average (over all replicates) · adaptive
(the weight estimated from two replicates, averaged over steps).

Examples:
  bvpo train --model SmolLM2-135M-Instruct.Q4_1.gguf --pairs pairs.jsonl --output run
  bvpo train --model qwen-folder --pairs pairs.jsonl --output run --estimator mix --alpha 0.5 \\
    --lora r=16,alpha=32,targets=q_proj+v_proj --lr 1e-4 --batch 16
  bvpo train --model folder --pairs pairs.jsonl --output run --loss simpo --gamma 0.5 --full
  bvpo train --model folder --pairs pairs.jsonl --output run --estimator adaptive

The same command continues a run that was killed, to the same bytes. The folder gets `adapter/`
(adapter_model.safetensors and adapter_config.json, as the Python package `peft` loads them) or
`model/`, and `metrics.jsonl`, `saves/`, `run.json`, `result.json`. `model/` has its tokenizer and
template beside it; from a GGUF file they are written anew where the vocabulary is byte-level, and
others are refused before anything is computed. The paper reports alpha 0.5, AdamW, and a cosine
with warm-up; batch, learning rate, beta, and epochs are not reported, and the defaults here are
those of an earlier paper by the same first author (with adapters, the learning rate is ours).

Exit codes: 0 done · 2 usage, or pairs that cannot be used · 6 weights missing or damaged ·
70 internal";

/// What `bvpo pairs --help` says at its end.
pub const PAIRS_HELP: &str = "\
Examples:
  bvpo pairs recorded --solutions example_model_solutions.jsonl --output pairs.jsonl --limit 64
  bvpo pairs sample --model folder --prompts prompts.jsonl --n 5 --output samples.jsonl
  bvpo pairs sample --player endpoint:qwen3-8b --base-url http://127.0.0.1:8000/v1 \
    --budget-requests 500 --prompts prompts.jsonl --output samples.jsonl --estimate
  bvpo pairs rank --samples samples.jsonl --scores scores.jsonl --gap 0.3 --output pairs.jsonl

prompts.jsonl: {\"id\", \"prompt\" or \"messages\", optionally \"gold\"} a line.
samples.jsonl: {\"id\", \"prompt\" or \"messages\", \"mode\": \"thinking\" or \"empty\", \"sample\",
\"reasoning\", \"answer\"} a line; it may come from any other program.
An endpoint is asked twice for every prompt, as it is and without thinking: by default with the
field `chat_template_kwargs` that vLLM, SGLang, and llama.cpp know (--empty-fields), or by a text
behind the prompt (--empty-suffix). Its answers are kept beside the samples (--cache), so that the
same command goes on where it was cut and asks nothing twice. --estimate says what is left to ask.
scores.jsonl:  {\"id\", \"mode\", \"sample\", \"score\"} a line, from a reward model that sees the
answer alone. Without it, 1 is given where the answer's last number is `gold`, else 0.
`bvpo train --help` describes pairs.jsonl.";

/// Names of the losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LossName {
    /// Direct preference optimisation.
    Dpo,
    /// SimPO: no reference, length-normalised.
    Simpo,
    /// IPO.
    Ipo,
}

/// Names of the estimators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EstimatorName {
    /// Pairs with traces alone.
    Trace,
    /// Pairs without traces alone.
    Empty,
    /// Both, weighted by `--alpha`.
    Mix,
    /// Both as rows of one set.
    Union,
    /// The mean over replicates of traces.
    Average,
    /// Both, weighted by an estimate.
    Adaptive,
}

/// Options of `train`.
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// Weights: a folder with safetensors, or a GGUF file
    #[arg(long, value_name = "PATH")]
    pub model: PathBuf,
    /// Preference pairs, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub pairs: PathBuf,
    /// The run's folder
    #[arg(long, value_name = "FOLDER")]
    pub output: PathBuf,
    /// Preference loss
    #[arg(long, value_enum, default_value = "dpo")]
    pub loss: LossName,
    /// Temperature; of IPO, its regularisation [default: 0.1, of SimPO 2]
    #[arg(long, value_name = "X")]
    pub beta: Option<f64>,
    /// Target margin of SimPO
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    pub gamma: f64,
    /// How the gradient is estimated
    #[arg(long, value_enum, default_value = "mix")]
    pub estimator: EstimatorName,
    /// Weight of the trace gradient in `mix`
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    pub alpha: f64,
    /// Adapters: rank, strength, and targets
    #[arg(
        long,
        value_name = "r=R,alpha=A,targets=T",
        default_value = "r=16,alpha=32,targets=all"
    )]
    pub lora: String,
    /// Train every parameter instead
    #[arg(long, conflicts_with = "lora")]
    pub full: bool,
    /// Rows of a step
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub batch: usize,
    /// Pairs computed together; the rest of the batch is accumulated
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub at_once: usize,
    /// Passes over the pairs
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub epochs: f64,
    /// Steps, instead of passes
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// Highest learning rate [default: 1e-4, with --full 7e-7]
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// Part of the steps in which the rate rises
    #[arg(long, value_name = "X", default_value_t = 0.1)]
    pub warmup: f64,
    /// Decoupled weight decay
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub weight_decay: f64,
    /// Largest norm of a gradient
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub clip: f64,
    /// Longest sequence; a row with a longer one is left out whole
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub max_tokens: usize,
    /// Seed of the order of the rows and of fresh adapters
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Steps between two estimates of variance and bias (needs two replicates); 0 for none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub diagnose_every: u64,
    /// Steps between two saves
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub save_every: u64,
    /// Folder of reference log-probabilities [default: `reference` in the run's folder]
    #[arg(long, value_name = "FOLDER")]
    pub cache: Option<PathBuf>,
    /// Threads; results do not depend on it
    #[arg(
        long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=1024),
    )]
    pub threads: u64,
}

/// What `pairs` does.
#[derive(Debug, Subcommand)]
pub enum PairsCommand {
    /// From recorded solutions of GSM8K's test questions
    Recorded(RecordedArgs),
    /// Let a model answer prompts with and without a trace
    Sample(Box<SampleArgs>),
    /// Best against worst of sampled answers, by scores
    Rank(RankArgs),
}

/// Options of `pairs recorded`.
#[derive(Args, Debug)]
pub struct RecordedArgs {
    /// The file `example_model_solutions.jsonl` of GSM8K
    #[arg(long, value_name = "FILE")]
    pub solutions: PathBuf,
    /// The pairs
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Rows at most
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Only questions with at least this many pairs of different traces
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub replicates: u64,
}

/// Options of `pairs sample`.
#[derive(Args, Debug)]
pub struct SampleArgs {
    /// Weights on this machine: a folder with safetensors, or a GGUF file
    #[arg(long, value_name = "PATH", required_unless_present = "player")]
    pub model: Option<PathBuf>,
    /// Somebody else who answers: `endpoint:<model>`, `replay:<file>`, `scripted:say:<text>`
    #[arg(long, value_name = "WHO", conflicts_with = "model")]
    pub player: Option<ChatSpec>,
    /// The prompts
    #[arg(long, value_name = "FILE")]
    pub prompts: PathBuf,
    /// The samples
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Samples per prompt and mode
    #[arg(
        long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=1024),
    )]
    pub n: u64,
    /// Tokens of a sample at most
    #[arg(
        long, value_name = "N", default_value_t = 1024,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000),
    )]
    pub max_tokens: u64,
    /// Sampling temperature
    #[arg(long, value_name = "X", default_value_t = 0.8)]
    pub temperature: f32,
    /// Nucleus of the sampling
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub top_p: f32,
    /// Seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Fields of an endpoint's requests without a trace, as a JSON object
    /// [default: {"chat_template_kwargs":{"enable_thinking":false}}]
    #[arg(long, value_name = "JSON")]
    pub empty_fields: Option<String>,
    /// Text behind the last message of requests without a trace, such as " /no_think"; no fields
    /// are then sent unless they are given
    #[arg(long, value_name = "TEXT")]
    pub empty_suffix: Option<String>,
    /// One request per sample, for endpoints that give one answer at a time
    #[arg(long)]
    pub separate: bool,
    /// Say what an endpoint would be asked at most, and stop
    #[arg(long)]
    pub estimate: bool,
    /// How endpoints are reached.
    #[command(flatten)]
    pub models: ModelOptions,
}

/// Options of `pairs rank`.
#[derive(Args, Debug)]
pub struct RankArgs {
    /// The samples
    #[arg(long, value_name = "FILE")]
    pub samples: PathBuf,
    /// Their scores [default: compare with `gold`]
    #[arg(long, value_name = "FILE")]
    pub scores: Option<PathBuf>,
    /// The pairs
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Least difference of the two scores of a pair
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub gap: f64,
}

/// Learning rates where none is given: of adapters (ours), and of all parameters (the analogue of
/// the earlier paper).
const RATES: [f64; 2] = [1e-4, 7e-7];

impl TrainArgs {
    /// The settings that the options stand for.
    ///
    /// # Errors
    /// An option makes no sense.
    pub fn settings(&self) -> Result<Settings> {
        let beta = self.beta.unwrap_or(match self.loss {
            LossName::Dpo | LossName::Ipo => 0.1,
            LossName::Simpo => 2.0,
        });
        let loss = match self.loss {
            LossName::Dpo => LossKind::Dpo { beta },
            LossName::Simpo => LossKind::Simpo {
                beta,
                gamma: self.gamma,
            },
            LossName::Ipo => LossKind::Ipo { tau: beta },
        };
        let estimation = match self.estimator {
            EstimatorName::Trace => Estimation::Trace,
            EstimatorName::Empty => Estimation::Empty,
            EstimatorName::Mix => Estimation::Mix { alpha: self.alpha },
            EstimatorName::Union => Estimation::Union,
            EstimatorName::Average => Estimation::Average,
            EstimatorName::Adaptive => Estimation::Adaptive,
        };
        let (trained, rate) = if self.full {
            (Trained::Full, RATES[1])
        } else {
            (Trained::Lora(parse_lora(&self.lora, self.seed)?), RATES[0])
        };
        let settings = Settings {
            loss,
            estimation,
            trained,
            batch: self.batch,
            n_at_once: self.at_once,
            epochs: self.epochs,
            steps: self.steps,
            rate: self.lr.unwrap_or(rate),
            warmup: self.warmup,
            weight_decay: self.weight_decay,
            clip: self.clip,
            n_tokens_max: self.max_tokens,
            seed: self.seed,
            diagnose_every: self.diagnose_every,
            save_every: self.save_every,
            tags: Tags::default(),
        };
        settings.check()?;
        Ok(settings)
    }

    /// Carries `bvpo train` out and gives the exit code.
    ///
    /// # Errors
    /// As [`train`].
    pub fn carry_out(&self) -> Result<u8> {
        let settings = self.settings()?;
        let paths = Paths {
            model: self.model.clone(),
            pairs: self.pairs.clone(),
            output: self.output.clone(),
            cache: match &self.cache {
                Some(folder) => folder.clone(),
                None => self.output.join("reference"),
            },
        };
        model::ops::set_threads(self.threads as usize);
        let outcome = train(&paths, &settings)?;
        output::data(&format!("{}\n", outcome.trained.display()))?;
        Ok(exit::COMPLETE)
    }
}
