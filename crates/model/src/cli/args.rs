//! The command line: one declaration feeds parser, help, and examples.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::device::Place;

const TOP_HELP: &str = "\
Examples:
  model inspect SmolLM2-135M-Instruct.Q4_1.gguf
  model complete SmolLM2-135M-Instruct.Q4_1.gguf --chat 'Why is the sky blue?'
  model serve SmolLM2-135M-Instruct.Q4_1.gguf

Weights are a `.gguf` file, a `.safetensors` file with `config.json` beside it, or a folder as on
the hub. `cargo xtask serve <name>` finds pinned weights by name.

Exit codes: 0 done (a server: asked to terminate) · 2 usage · 6 weights missing or damaged ·
  70 internal · 130 interrupted";

const SERVE_HELP: &str = "\
Examples:
  model serve SmolLM2-135M-Instruct.Q4_1.gguf --port 8080
  curl http://127.0.0.1:8080/v1/models
  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{\"model\":\"smollm2\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'

The address goes to stdout once connections are accepted. Requests without a seed have the seed of
`--seed`: the same question has the same answer. SIGTERM ends the server with exit code 0, an
interrupt with 130; both let running answers end for ten seconds, a second signal does not.

Environment:
  MODEL_SERVE_KEY  the bearer key that requests must carry; unset: none is asked for";

const COMPLETE_HELP: &str = "\
Examples:
  model complete weights.gguf --prompt 'Once upon a time' --max-tokens 50
  model complete weights.gguf --chat 'Name three colours.' --temperature 0
  model complete weights.gguf --prompt 'A die shows' -n 8 --seed 7 --format json";

const SCORE_HELP: &str = "\
Examples:
  model score weights.gguf --prompt 'The capital of France is' ' Paris' ' Rome'
  model score weights.gguf --prompt 'Two plus two is' ' four' --format json

Log-probabilities are in nats, at temperature 1.";

const TOKENIZE_HELP: &str = "\
Examples:
  model tokenize weights.gguf 'Grüße, 世界'
  model tokenize weights.gguf --markers '<|im_start|>user' --format json";

const INSPECT_HELP: &str = "\
Examples:
  model inspect weights.gguf
  model inspect weights.gguf --format json";

/// One model on this machine: served, continued, scored, and inspected.
#[derive(Debug, Parser)]
#[command(
    name = "model",
    version,
    after_help = TOP_HELP,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Serve the model behind OpenAI's protocol, on this machine only unless told otherwise
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Continue a text or answer a message
    #[command(after_help = COMPLETE_HELP)]
    Complete(CompleteArgs),
    /// Log-probabilities of continuations
    #[command(after_help = SCORE_HELP)]
    Score(ScoreArgs),
    /// Token ids of a text
    #[command(after_help = TOKENIZE_HELP)]
    Tokenize(TokenizeArgs),
    /// What a weight file holds: configuration, tensors, sizes, licence
    #[command(after_help = INSPECT_HELP)]
    Inspect(InspectArgs),
}

/// How data is written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one document.
    Json,
}

/// How weights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WeightPrecision {
    /// In 8 bits: fast.
    Quantised,
    /// In single precision, as in the file: for exact log-probabilities.
    Exact,
}

/// Which model, and how it runs.
#[derive(Args, Debug)]
pub struct ModelArgs {
    /// A `.gguf` file, a `.safetensors` file, or a folder as on the hub
    #[arg(value_name = "WEIGHTS")]
    pub weights: PathBuf,
    /// Where to compute; the engine knows `cpu` alone so far (`cuda[:N]` and `metal` are refused)
    #[arg(long, value_name = "PLACE", default_value = "cpu")]
    pub device: Place,
    /// Threads [default: `PAPERS_CELL_THREADS`, else the cores of this machine]; results do not
    /// depend on it
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub threads: Option<usize>,
    /// How weights are held
    #[arg(long, value_enum, default_value = "quantised")]
    pub precision: WeightPrecision,
}

/// Options of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Which model, and how it runs.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub port: u16,
    /// Let other machines in when `--host` is not the loopback interface
    #[arg(long)]
    pub allow_remote: bool,
    /// The name that requests give in `model` [default: the name of their file]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Seed of requests that give none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Requests answered or waiting at the same time; one more is refused with 429
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "64")]
    pub max_requests: usize,
    /// Tokens of a prompt, at most [default: what the context holds]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub max_prompt_tokens: Option<usize>,
    /// Answers to one request, at most
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "64")]
    pub max_samples: usize,
    /// Seconds that one answer may take
    #[arg(long, value_name = "SECONDS", value_parser = at_least_one, default_value = "600")]
    pub timeout: usize,
}

/// Options of `complete`.
#[derive(Args, Debug)]
pub struct CompleteArgs {
    /// Which model, and how it runs.
    #[command(flatten)]
    pub model: ModelArgs,
    /// A text to continue
    #[arg(long, value_name = "TEXT", required_unless_present = "chat")]
    pub prompt: Option<String>,
    /// A message to answer
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt")]
    pub chat: Option<String>,
    /// Instructions before the message
    #[arg(
        long,
        value_name = "TEXT",
        requires = "chat",
        conflicts_with = "prompt"
    )]
    pub system: Option<String>,
    /// Answers
    #[arg(short, long, value_name = "N", value_parser = at_least_one, default_value = "1")]
    pub n: usize,
    /// Tokens of an answer, at most
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "128")]
    pub max_tokens: usize,
    /// 0 takes the most likely token each time
    #[arg(long, value_name = "T", value_parser = non_negative, default_value = "0")]
    pub temperature: f32,
    /// Draw among the most likely tokens that have this probability together
    #[arg(long, value_name = "P", value_parser = share, default_value = "1")]
    pub top_p: f32,
    /// Draw among so many most likely tokens; 0: all
    #[arg(long, value_name = "K", default_value = "0")]
    pub top_k: usize,
    /// Drop tokens less likely than this times the most likely one
    #[arg(long, value_name = "P", value_parser = share, default_value = "0")]
    pub min_p: f32,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value = "0")]
    pub seed: u64,
    /// A text that ends an answer; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Options of `score`.
#[derive(Args, Debug)]
pub struct ScoreArgs {
    /// Which model, and how it runs.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The text before the continuations
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// Continuations
    #[arg(required = true, value_name = "CONTINUATION")]
    pub continuations: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Options of `tokenize`.
#[derive(Args, Debug)]
pub struct TokenizeArgs {
    /// A `.gguf` file, a `.safetensors` file, or a folder as on the hub
    #[arg(value_name = "WEIGHTS")]
    pub weights: PathBuf,
    /// The text
    pub text: String,
    /// Control tokens spelled out in the text (`<|im_end|>`) become their ids
    #[arg(long)]
    pub markers: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Options of `inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// A `.gguf` file, a `.safetensors` file, or a folder as on the hub
    #[arg(value_name = "WEIGHTS")]
    pub weights: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(n) => Ok(n),
        Err(_) => Err("a whole number is needed".to_owned()),
    }
}

fn non_negative(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("a number from 0 is needed".to_owned()),
    }
}

fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("a number from 0 to 1 is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_is_consistent_and_every_command_has_an_example() {
        Command::command().debug_assert();
        for command in Command::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            let example = format!("model {}", command.get_name());
            assert!(help.unwrap_or_default().contains(&example), "{example}");
        }
    }

    #[test]
    fn a_prompt_or_a_message_is_needed_and_not_both() {
        let parses = |words: &[&str]| {
            let words = ["model", "complete", "w.gguf"].iter().chain(words);
            Command::try_parse_from(words).is_ok()
        };
        assert!(parses(&["--prompt", "a"]) && parses(&["--chat", "a", "--system", "b"]));
        assert!(!parses(&[]) && !parses(&["--prompt", "a", "--chat", "b"]));
        assert!(!parses(&["--prompt", "a", "--system", "b"]));
        assert!(!parses(&["--prompt", "a", "--top-p", "1.5"]));
    }
}
