//! Options of commands that take models by name, and the models they name.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use eval::{Error, Result};

use super::endpoint::Endpoint;
use super::interface::ChatModel;
use super::local::{Local, LocalSettings};
use super::named::weights_file;
use super::reasoning::ThinkTags;
use super::replay::Replay;
use super::scripted::Scripted;
use super::settings::{Budget, EndpointSettings, Prices};
use super::spec::ChatSpec;

/// Name of the variable that OpenAI's own clients read.
const KEY_ENV: &str = "OPENAI_API_KEY";

/// How models named on a command line are reached; a command flattens it into its own options.
#[derive(Args, Clone, Debug)]
pub struct ModelOptions {
    /// Threads of each model on this machine
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(u64).range(1..=512),
    )]
    pub threads: u64,
    /// Address of endpoints, up to and including the version
    #[arg(long, value_name = "URL", env = "OPENAI_BASE_URL")]
    pub base_url: Option<String>,
    /// Variable that holds the key of endpoints [default: OPENAI_API_KEY where that is set]
    #[arg(long, value_name = "NAME")]
    pub key_env: Option<String>,
    /// Folder in which answers of endpoints are kept, so that the same question costs nothing again
    #[arg(long, value_name = "FOLDER")]
    pub cache: Option<PathBuf>,
    /// US dollars per million tokens of prompts
    #[arg(long, value_name = "USD", requires = "price_generated")]
    pub price_prompt: Option<f64>,
    /// US dollars per million tokens generated
    #[arg(long, value_name = "USD", requires = "price_prompt")]
    pub price_generated: Option<f64>,
    /// US dollars that each endpoint may cost; needs prices
    #[arg(long, value_name = "USD", requires = "price_prompt")]
    pub budget_usd: Option<f64>,
    /// Tokens that each endpoint may take
    #[arg(long, value_name = "N")]
    pub budget_tokens: Option<u64>,
    /// Requests that each endpoint may be sent
    #[arg(long, value_name = "N")]
    pub budget_requests: Option<u64>,
}

impl ModelOptions {
    /// Opens whoever a word names.
    ///
    /// # Errors
    /// Weights or recordings are absent, or an endpoint has no address or no budget.
    pub fn open(&self, spec: &ChatSpec) -> Result<Arc<dyn ChatModel>> {
        Ok(match spec {
            ChatSpec::Local { weights } => Arc::new(Local::open(
                &weights_file(weights)?,
                self.threads as usize,
                LocalSettings::default(),
            )?),
            ChatSpec::Endpoint { name } => {
                let settings = self.endpoint(name)?;
                self.require_budget(name)?;
                Arc::new(Endpoint::new(settings)?)
            }
            ChatSpec::Replay { path } if path.is_dir() => {
                Arc::new(Replay::open_cache(path, ThinkTags::Keep)?)
            }
            ChatSpec::Replay { path } => Arc::new(Replay::open(path)?),
            ChatSpec::ScriptedEcho => Arc::new(Scripted::echo()),
            ChatSpec::ScriptedSay { text } => Arc::new(Scripted::say(text.clone())),
        })
    }

    /// The settings of the endpoint that answers as `model`.
    ///
    /// # Errors
    /// Nobody says where it is.
    pub fn endpoint(&self, model: &str) -> Result<EndpointSettings> {
        let base_url = self.base_url.clone().ok_or_else(|| {
            Error::usage(format!("nobody says where the endpoint `{model}` is"))
                .hint("give `--base-url https://…/v1`, or export OPENAI_BASE_URL")
        })?;
        let mut settings = EndpointSettings::new(base_url, model);
        settings.budget = self.budget();
        settings.cache = self.cache.clone();
        settings.prices = self
            .price_prompt
            .zip(self.price_generated)
            .map(|(prompt, generated)| Prices {
                prompt_usd_per_million: prompt,
                generated_usd_per_million: generated,
            });
        settings.key_env = self.key_env.clone().or_else(|| {
            let is_set = std::env::var_os(KEY_ENV).is_some();
            is_set.then(|| KEY_ENV.to_owned())
        });
        Ok(settings)
    }

    /// Refuses to send anything to `model` without some limit on what it may cost.
    ///
    /// # Errors
    /// There is no budget.
    pub fn require_budget(&self, model: &str) -> Result<()> {
        if self.budget() != Budget::default() {
            return Ok(());
        }
        Err(
            Error::usage(format!("the endpoint `{model}` has no budget"))
                .hint("give `--budget-requests`, `--budget-tokens`, or `--budget-usd` with prices"),
        )
    }

    fn budget(&self) -> Budget {
        Budget {
            cost_usd_max: self.budget_usd,
            n_tokens_max: self.budget_tokens,
            n_requests_max: self.budget_requests,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: ModelOptions,
    }

    fn options(words: &[&str]) -> ModelOptions {
        let words = ["program", "--base-url", "http://127.0.0.1:9/v1"]
            .iter()
            .chain(words);
        Line::try_parse_from(words).unwrap().options
    }

    fn refused(options: &ModelOptions, spec: &str) -> Error {
        options.open(&spec.parse().unwrap()).err().unwrap()
    }

    #[test]
    fn an_endpoint_needs_a_budget_and_has_the_prices_given() {
        let error = refused(&options(&[]), "endpoint:m");
        assert!(error.report().contains("no budget"), "{}", error.report());
        assert_eq!(error.exit_code(), 2);
        let words = "--budget-usd 5 --price-prompt 0.4 --price-generated 1.6 --cache kept \
                     --key-env SOME_KEY";
        let given = options(&words.split_whitespace().collect::<Vec<_>>());
        given.require_budget("m").unwrap();
        let settings = given.endpoint("m").unwrap();
        assert_eq!(settings.model, "m");
        assert_eq!(settings.budget.cost_usd_max, Some(5.0));
        let prices = settings.prices.unwrap();
        assert_eq!(prices.prompt_usd_per_million, 0.4);
        assert_eq!(prices.generated_usd_per_million, 1.6);
        assert_eq!(settings.cache, Some(PathBuf::from("kept")));
        assert_eq!(settings.key_env.as_deref(), Some("SOME_KEY"));
        // A price of one kind of token alone would make the budget a guess.
        let half = ["program", "--price-prompt", "1"];
        assert!(Line::try_parse_from(half).is_err());
    }

    #[test]
    fn absent_weights_and_recordings_are_named() {
        let given = options(&[]);
        for spec in ["local:absent.gguf", "replay:absent.jsonl"] {
            let report = refused(&given, spec).report();
            assert!(report.contains("absent"), "{report}");
        }
        let echo = given.open(&ChatSpec::ScriptedEcho).unwrap();
        assert_eq!(echo.name(), "scripted:echo");
    }
}
