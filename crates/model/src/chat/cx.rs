//! `cx.chat(role)`: a paper's door to whoever answers.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use eval::{Cx, Error, Result, env};

use super::batch::{Batch, block_on, complete_all};
use super::endpoint::Endpoint;
use super::interface::{ChatModel, ChatRequest};
use super::local::{Local, LocalSettings};
use super::reasoning::ThinkTags;
use super::record::{AttemptsLine, FORMAT, Record};
use super::replay::Replay;
use super::scripted::Scripted;
use super::settings::EndpointSettings;
use super::spec::{ChatRoles, ChatSpec};

/// Requests of a batch under way; models and endpoints have limits of their own below this.
const N_CONCURRENT: usize = 64;

/// Chats for cells.
pub trait CxChat {
    /// Opens whoever plays `role`: the cell's condition under the key `role`, or else the
    /// configuration.
    ///
    /// # Errors
    /// Nobody was named, weights or recordings are absent, or an endpoint's settings make no sense.
    fn chat(&self, role: &str, roles: &ChatRoles) -> Result<Chat>;
}

impl CxChat for Cx {
    fn chat(&self, role: &str, roles: &ChatRoles) -> Result<Chat> {
        let spec = match self.cell().get(role) {
            Some(text) => text.parse()?,
            None => roles.roles.get(role).cloned().ok_or_else(|| {
                Error::usage(format!("nobody plays the role `{role}`")).hint(format!(
                    "set `roles.{role}` of the paper's chats, for example to `scripted:echo`"
                ))
            })?,
        };
        Ok(Chat {
            role: role.to_owned(),
            model: open(self, &spec, roles)?,
        })
    }
}

fn open(cx: &Cx, spec: &ChatSpec, roles: &ChatRoles) -> Result<Arc<dyn ChatModel>> {
    Ok(match spec {
        ChatSpec::Local { weights } => open_local(cx, weights)?,
        ChatSpec::Endpoint { name } => Arc::new(Endpoint::new(match roles.endpoints.get(name) {
            Some(settings) => settings.clone(),
            None => settings_from_env(name)?,
        })?),
        ChatSpec::Replay { path } => Arc::new(open_replay(path)?),
        ChatSpec::ScriptedEcho => Arc::new(Scripted::echo()),
        ChatSpec::ScriptedSay { text } => Arc::new(Scripted::say(text)),
    })
}

/// The weights are one GGUF file, or the files of a hub folder.
fn open_local(cx: &Cx, weights: &str) -> Result<Arc<dyn ChatModel>> {
    let files = cx.weights(weights)?;
    let mut opened = None;
    for name in files.names() {
        // Every file's bytes are compared with the pinned digest before any is believed.
        let path = files.file(name)?;
        if name.ends_with(".gguf") {
            opened = Some(path);
        } else if name == "config.json" {
            opened = path.parent().map(Path::to_owned);
        }
    }
    let path = opened.ok_or_else(|| {
        Error::inputs(format!(
            "`models/{weights}` holds neither a GGUF file nor a hub folder with `config.json`"
        ))
    })?;
    let local = Local::open(&path, cx.threads(), LocalSettings::default())?;
    Ok(Arc::new(local))
}

fn open_replay(path: &Path) -> Result<Replay> {
    if path.is_dir() {
        Replay::open_cache(path, ThinkTags::Keep)
    } else {
        Replay::open(path)
    }
}

fn settings_from_env(model: &str) -> Result<EndpointSettings> {
    let base_url = std::env::var(env::OPENAI_BASE_URL).map_err(|_| {
        Error::usage(format!("nothing describes the endpoint `{model}`")).hint(format!(
            "add it to `endpoints` of the paper's chats, or export {}=https://…/v1",
            env::OPENAI_BASE_URL
        ))
    })?;
    let mut settings = EndpointSettings::new(base_url, model);
    if std::env::var_os(env::OPENAI_API_KEY).is_some() {
        settings.key_env = Some(env::OPENAI_API_KEY.to_owned());
    }
    Ok(settings)
}

/// Whoever plays one role of a cell.
pub struct Chat {
    role: String,
    model: Arc<dyn ChatModel>,
}

impl Chat {
    /// Name of the model, as it goes into rows.
    #[must_use]
    pub fn name(&self) -> &str {
        self.model.name()
    }

    /// The model itself.
    #[must_use]
    pub fn model(&self) -> &Arc<dyn ChatModel> {
        &self.model
    }

    /// Asks everything and writes every outcome, then what was sent for it, into the cell's
    /// transcript. Progress goes to the engine; an interrupted run ends the batch.
    ///
    /// # Errors
    /// The transcript cannot be written, or the run was interrupted. Requests that fail are part of
    /// the batch.
    pub fn complete_all(&self, cx: &mut Cx, requests: &[ChatRequest]) -> Result<Batch> {
        let mut progress = |n_done: usize, n_total: usize| {
            cx.progress(n_done as u64, n_total as u64);
            if cx.cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let asked = complete_all(&*self.model, requests, N_CONCURRENT, &mut progress);
        let batch = block_on(asked)?;
        for (request, outcome) in requests.iter().zip(&batch.answers) {
            cx.transcript(&Record::new(
                Some(&self.role),
                self.name(),
                request,
                outcome,
            ))?;
        }
        let sent = self.model.attempts().map(|log| log.take());
        for attempts in sent.into_iter().flatten() {
            cx.transcript(&AttemptsLine {
                format: FORMAT,
                role: self.role.clone(),
                attempts,
            })?;
        }
        Ok(batch)
    }
}
