//! `slm-mux serve`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use clap::{Args, Subcommand};
use eval::{Error, Result, output};
use model::chat::ModelOptions;
use model::serve::{Access, Address, KEY_VARIABLE, Key, listen};

use super::open::open;
use super::{MuxApp, MuxSettings};
use crate::protocols::AnswerKind;
use crate::rule::Policy;

/// Text below the options.
const SERVE_HELP: &str = "\
Models:
  local:<weights>      weights on this machine: a file, or a name below `datasets/models/`
  endpoint:<model>     model at an address (--base-url, else OPENAI_BASE_URL); needs a budget
  replay:<file>        recorded answers
  scripted:say:<text>  says the same to everybody

Examples:
  slm-mux serve --model local:smollm2-135m-instruct --model scripted:say:42 --k 5
  slm-mux serve --model endpoint:small-a --model endpoint:small-b --accuracy 0.6,0.5 --early-exit \\
    --answer number --base-url http://127.0.0.1:8000/v1 --budget-requests 1000

The address goes to stdout. A request may carry \"mux\": {\"k\": 5, \"early_exit\": true,
\"answer\": \"number\"}; the response's `mux` holds the vote. With \"stream\": true the answer comes
as events once the vote is over, and the event with the finish reason holds it. The router listens
on this machine only unless --allow-remote is given; a key in MODEL_SERVE_KEY is then asked for in
every request.
Exit codes: 0 terminated · 2 usage · 6 weights missing · 70 internal · 130 interrupted";

/// Commands beside those of the engine.
#[derive(Debug, Subcommand)]
pub enum Own {
    /// Put several models behind one endpoint that answers by the rule
    #[command(after_help = SERVE_HELP)]
    Serve(Box<ServeArgs>),
}

/// Carries out a command; gives the exit code.
///
/// # Errors
/// As the command.
pub fn carry_out(own: Own) -> Result<u8> {
    match own {
        Own::Serve(args) => serve(&args),
    }
}

/// Options of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// A model; repeatable, in list order
    #[arg(long = "model", value_name = "MODEL", required = true)]
    pub models: Vec<String>,
    /// Validation accuracy of each model, for ties [default: list order]
    #[arg(long = "accuracy", value_name = "X", value_delimiter = ',')]
    pub accuracies: Vec<f64>,
    /// Samples of each model
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub k: usize,
    /// Samples of each model that a request may ask for
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub max_k: usize,
    /// End a question where the first samples of all models agree
    #[arg(long)]
    pub early_exit: bool,
    /// How the open points of the rule are settled
    #[arg(long, value_name = "NAME", default_value = "reproduction")]
    pub policy: String,
    /// Where answers stand: `number`, `boxed`, `letter`, or `line` (the last one)
    #[arg(long, value_name = "KIND", default_value = "line")]
    pub answer: AnswerKind,
    /// Temperature of requests that give none
    #[arg(long, value_name = "X", default_value_t = 0.3)]
    pub temperature: f32,
    /// Seed of requests that give none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Name that requests give in `model`
    #[arg(long, value_name = "NAME", default_value = "slm-mux")]
    pub name: String,
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// Port; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8089)]
    pub port: u16,
    /// Let other machines reach the router
    #[arg(long)]
    pub allow_remote: bool,
    /// Seconds that an answer may take
    #[arg(long, value_name = "S", default_value_t = 600)]
    pub timeout: u64,
    /// Tokens of an answer at most
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub max_tokens: usize,
    /// How models are reached.
    #[command(flatten)]
    pub reached: ModelOptions,
}

/// Serves until a signal comes, and returns the exit code.
///
/// # Errors
/// An option makes no sense, a model cannot be opened, or the address cannot be listened on.
pub fn serve(args: &ServeArgs) -> Result<u8> {
    let address = Address::new(args.host, args.port, args.allow_remote)?;
    let settings = MuxSettings {
        model_id: args.name.clone(),
        policy: Policy {
            early_exit: args.early_exit,
            ..policy(&args.policy)?
        },
        accuracies: args.accuracies.clone(),
        k: args.k,
        k_max: args.max_k,
        answer: args.answer,
        temperature: args.temperature,
        n_tokens_max: args.max_tokens,
        seed: args.seed,
        access: Access {
            key: Key::from_env()?,
            is_loopback: address.is_loopback(),
        },
        answer_wait: Duration::from_secs(args.timeout),
        ..MuxSettings::default()
    };
    if !(0.0..=2.0).contains(&settings.temperature) {
        let shown = settings.temperature;
        return Err(Error::usage(format!(
            "the temperature {shown} is not in [0, 2]"
        )));
    }
    let has_key = settings.access.key.is_some();
    let open = |word: &String| open(word, &args.reached);
    let members = args.models.iter().map(open).collect::<Result<Vec<_>>>()?;
    let app = MuxApp::new(members, settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::internal("cannot start the router's threads").caused_by(e))?;
    let outcome = runtime.block_on(listen(app, address, |bound| {
        if !address.is_loopback() {
            warn_remote(has_key);
        }
        output::note(&format!(
            "routing to {} models; Ctrl-C ends it",
            args.models.len()
        ));
        let _ = output::data(&format!("http://{bound}/v1\n"));
    }))?;
    // A member may be in the middle of a call; nobody waits for its answer.
    runtime.shutdown_background();
    Ok(outcome.exit_code())
}

fn policy(name: &str) -> Result<Policy> {
    let named = Policy::named();
    let found = named.iter().find(|(known, _)| *known == name);
    found.map(|(_, policy)| *policy).ok_or_else(|| {
        let known: Vec<&str> = named.iter().map(|(known, _)| *known).collect();
        Error::usage(format!("there is no policy `{}`", name.escape_debug()))
            .hint(format!("known are {}", known.join(", ")))
    })
}

fn warn_remote(has_key: bool) {
    output::note("warning: other machines can reach this router, and nothing is encrypted");
    if !has_key {
        output::note(&format!(
            "warning: no key is asked for; set {KEY_VARIABLE} to require one"
        ));
    }
}
