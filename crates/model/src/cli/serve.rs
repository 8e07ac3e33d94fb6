//! `model serve`.

use std::sync::Arc;
use std::time::Duration;

use eval::{Error, Result, output};
use model::serve::{Address, App, KEY_VARIABLE, Key, Limits, Settings, listen};

use super::args::ServeArgs;
use super::load::load;

/// Serves until a signal comes, and returns the exit code.
///
/// # Errors
/// An option makes no sense, the weights cannot be loaded, or the address cannot be listened on.
pub fn serve(args: &ServeArgs) -> Result<u8> {
    args.model.device.require_cpu()?;
    let address = Address::new(args.host, args.port, args.allow_remote)?;
    let key = Key::from_env()?;
    let loaded = load(&args.model)?;
    let settings = Settings {
        model_id: name(args),
        key,
        is_loopback: address.is_loopback(),
        seed: args.seed,
        limits: Limits {
            n_prompt_tokens_max: args.max_prompt_tokens.unwrap_or(usize::MAX),
            n_samples_max: args.max_samples,
            n_requests_max: args.max_requests,
            answer_wait: Duration::from_secs(args.timeout as u64),
            ..Limits::default()
        },
    };
    let has_key = settings.key.is_some();
    let model_id = settings.model_id.clone();
    let app = App::new(Arc::new(loaded.model), Arc::new(loaded.codec), settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::internal("cannot start the server's threads").caused_by(e))?;
    let outcome = runtime.block_on(listen(app, address, |bound| {
        if !address.is_loopback() {
            warn_remote(has_key);
        }
        output::note(&format!("serving `{model_id}`; Ctrl-C ends it"));
        let _ = output::data(&format!("http://{bound}/v1\n"));
    }))?;
    // The engine may be in the middle of a call; nobody waits for its answer.
    runtime.shutdown_background();
    Ok(outcome.exit_code())
}

/// The option, else the name of the weights' file or folder: what stands inside is often long and
/// the same for files that were rounded differently.
fn name(args: &ServeArgs) -> String {
    let weights = &args.model.weights;
    let whole = std::path::absolute(weights).unwrap_or_else(|_| weights.clone());
    let name = match whole.is_dir() {
        true => whole.file_name(),
        false => whole.file_stem(),
    };
    let file = || {
        name.unwrap_or(whole.as_os_str())
            .to_string_lossy()
            .into_owned()
    };
    args.name.clone().unwrap_or_else(file)
}

fn warn_remote(has_key: bool) {
    output::note("warning: other machines can reach this server, and nothing is encrypted");
    if !has_key {
        output::note(&format!(
            "warning: no key is asked for; set {KEY_VARIABLE} to require one"
        ));
    }
}
