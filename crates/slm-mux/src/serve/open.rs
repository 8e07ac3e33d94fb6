//! From words on the command line to members.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eval::digest::Digest;
use eval::{Error, InputState, Result};
use model::chat::{
    Budget, ChatModel, ChatSpec, Endpoint, EndpointSettings, Local, LocalSettings, Prices, Replay,
    Scripted, ThinkTags,
};

use super::Member;
use super::command::ModelArgs;

/// Name of the variable that OpenAI's own clients read.
const KEY_ENV: &str = "OPENAI_API_KEY";

/// Opens whoever a word names.
///
/// # Errors
/// It names nobody, weights or recordings are absent, or an endpoint has no address or no budget.
pub fn open(word: &str, args: &ModelArgs) -> Result<Member> {
    let spec: ChatSpec = word.parse()?;
    let model: Arc<dyn ChatModel> = match &spec {
        ChatSpec::Local { weights } => Arc::new(Local::open(
            &weights_file(weights)?,
            args.threads as usize,
            LocalSettings::default(),
        )?),
        ChatSpec::Endpoint { name } => Arc::new(Endpoint::new(endpoint(name, args)?)?),
        ChatSpec::Replay { path } if path.is_dir() => {
            Arc::new(Replay::open_cache(path, ThinkTags::Keep)?)
        }
        ChatSpec::Replay { path } => Arc::new(Replay::open(path)?),
        ChatSpec::ScriptedEcho => Arc::new(Scripted::echo()),
        ChatSpec::ScriptedSay { text } => Arc::new(Scripted::say(text.clone())),
    };
    Ok(Member {
        name: word.to_owned(),
        model,
    })
}

fn endpoint(model: &str, args: &ModelArgs) -> Result<EndpointSettings> {
    let base_url = args.base_url.clone().ok_or_else(|| {
        Error::usage(format!("nobody says where the endpoint `{model}` is"))
            .hint("give `--base-url https://…/v1`, or export OPENAI_BASE_URL")
    })?;
    let budget = Budget {
        cost_usd_max: args.budget_usd,
        n_tokens_max: args.budget_tokens,
        n_requests_max: args.budget_requests,
    };
    if budget == Budget::default() {
        return Err(
            Error::usage(format!("the endpoint `{model}` has no budget"))
                .hint("give `--budget-requests`, `--budget-tokens`, or `--budget-usd` with prices"),
        );
    }
    let mut settings = EndpointSettings::new(base_url, model);
    settings.budget = budget;
    settings.cache = args.cache.clone();
    settings.prices = args
        .price_prompt
        .zip(args.price_generated)
        .map(|(prompt, generated)| Prices {
            prompt_usd_per_million: prompt,
            generated_usd_per_million: generated,
        });
    settings.key_env = args.key_env.clone().or_else(|| {
        let is_set = std::env::var_os(KEY_ENV).is_some();
        is_set.then(|| KEY_ENV.to_owned())
    });
    Ok(settings)
}

/// The weight file that `named` means: a path, or a name below `datasets/models/`.
fn weights_file(named: &str) -> Result<PathBuf> {
    let path = Path::new(named);
    if path.exists() {
        return Ok(path.to_owned());
    }
    if named.ends_with(".gguf") || named.contains('/') {
        return Err(Error::inputs(format!("there is no weight file `{named}`"))
            .hint("give a path, or a name below `datasets/models/`"));
    }
    let here = std::env::current_dir().map_err(|e| Error::io("find", ".", e))?;
    let root = eval::source::find_root(&here)?;
    let name = format!("models/{named}");
    let inputs = eval::engine::resolve_inputs(&root, &BTreeSet::from([name.clone()]), true)?;
    let absent = || Error::inputs(format!("there are no weights `{name}`"));
    let input = inputs.inputs.get(&name).ok_or_else(absent)?;
    if let InputState::Missing { reason, fetch } | InputState::Mismatch { reason, fetch } =
        &input.state
    {
        let message = format!("the weights `{name}` cannot be used: {reason}");
        return Err(Error::inputs(message).hint(format!("`{fetch}`")));
    }
    let is_gguf = |path: &Path| path.extension().is_some_and(|ending| ending == "gguf");
    let file = input.files.values().find(|file| is_gguf(&file.path));
    let file = file.ok_or_else(|| Error::inputs(format!("`{name}` holds no GGUF file")))?;
    if Digest::of_file(&file.path)? == file.sha256 {
        return Ok(file.path.clone());
    }
    let path = file.path.display();
    Err(Error::inputs(format!("`{path}` has not the pinned bytes")))
}
