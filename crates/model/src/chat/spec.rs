//! Who plays a role: named in a condition or a configuration, opened when a cell runs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::settings::EndpointSettings;

/// Who answers, in one word: `local:smollm2-135m-instruct`, `endpoint:gpt-4.1-mini`,
/// `replay:recorded.jsonl`, `scripted:echo`.
///
/// ```
/// # use model::chat::ChatSpec;
/// let spec: ChatSpec = "scripted:echo".parse().unwrap();
/// assert_eq!(spec, ChatSpec::ScriptedEcho);
/// assert_eq!(spec.to_string(), "scripted:echo");
/// assert!("smollm2".parse::<ChatSpec>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ChatSpec {
    /// `local:<weights>`: a model of `datasets/models/<weights>`, in this process.
    Local {
        /// Name of the weights.
        weights: String,
    },
    /// `endpoint:<name>`: an endpoint of [`ChatRoles::endpoints`], or else the model of that name
    /// at the address in the environment.
    Endpoint {
        /// Name of the endpoint or model.
        name: String,
    },
    /// `replay:<file or folder>`: recorded answers; a folder is an endpoint's cache.
    Replay {
        /// Where they are.
        path: PathBuf,
    },
    /// `scripted:echo`: repeats what the user said last.
    ScriptedEcho,
    /// `scripted:say:<text>`: says the same to everybody.
    ScriptedSay {
        /// What it says.
        text: String,
    },
}

/// Who plays which role, as part of a paper's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatRoles {
    /// Who plays a role unless the cell's condition says otherwise.
    #[serde(default)]
    pub roles: BTreeMap<String, ChatSpec>,
    /// Settings of endpoints, by the name that specifications use.
    #[serde(default)]
    pub endpoints: BTreeMap<String, EndpointSettings>,
}

impl FromStr for ChatSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once(':').filter(|(_, rest)| !rest.is_empty());
        Ok(match parts {
            Some(("local", weights)) => Self::Local {
                weights: weights.to_owned(),
            },
            Some(("endpoint", name)) => Self::Endpoint {
                name: name.to_owned(),
            },
            Some(("replay", path)) => Self::Replay { path: path.into() },
            Some(("scripted", "echo")) => Self::ScriptedEcho,
            Some(("scripted", script)) if script.starts_with("say:") => Self::ScriptedSay {
                text: script["say:".len()..].to_owned(),
            },
            _ => {
                return Err(
                    Error::usage(format!("`{text}` names nobody who could answer")).hint(
                        "write `local:<weights>`, `endpoint:<name>`, `replay:<file>`, \
                         `scripted:echo`, or `scripted:say:<text>`",
                    ),
                );
            }
        })
    }
}

impl fmt::Display for ChatSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { weights } => write!(f, "local:{weights}"),
            Self::Endpoint { name } => write!(f, "endpoint:{name}"),
            Self::Replay { path } => write!(f, "replay:{}", path.display()),
            Self::ScriptedEcho => f.write_str("scripted:echo"),
            Self::ScriptedSay { text } => write!(f, "scripted:say:{text}"),
        }
    }
}

impl TryFrom<String> for ChatSpec {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ChatSpec> for String {
    fn from(spec: ChatSpec) -> Self {
        spec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_read_back_as_they_are_written() {
        for text in [
            "local:smollm2-135m-instruct",
            "endpoint:org/model:free",
            "replay:a/b.jsonl",
            "scripted:echo",
            "scripted:say:a: b",
        ] {
            let spec: ChatSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<ChatSpec>(&json).unwrap(), spec);
        }
        for text in ["", "local", "local:", "scripted:", "scripted:sing", "gpt:x"] {
            assert!(text.parse::<ChatSpec>().is_err(), "{text}");
        }
    }
}
