//! `model complete`.

use eval::{Error, Result, output};
use model::chat::{Message, Role};
use model::generate::{Completion, CompletionRequest, Finish, LanguageModel, Sampling};
use model::serve::Codec;
use serde_json::{Value, json};

use super::args::{CompleteArgs, Format};
use super::document::print_json;
use super::load::load;

/// Continues a text or answers a message, and prints the answers when they are complete.
///
/// # Errors
/// The weights cannot be loaded, or the prompt leaves no room.
pub fn complete(args: &CompleteArgs) -> Result<()> {
    args.model.device.require_cpu()?;
    let loaded = load(&args.model)?;
    let prompt = prompt(args, &loaded.codec)?;
    let n_room = loaded.model.n_context().saturating_sub(prompt.len());
    let request = CompletionRequest {
        prompt,
        n_samples: args.n,
        n_tokens_max: args.max_tokens.min(n_room),
        sampling: Sampling {
            temperature: args.temperature,
            top_k: args.top_k,
            top_p: args.top_p,
            min_p: args.min_p,
            seed: args.seed,
        },
        stop: args.stop.clone(),
        stop_tokens: loaded.codec.stop_tokens(),
        n_alternatives: 0,
    };
    let completions = loaded
        .model
        .complete(std::slice::from_ref(&request), None)?;
    let completion = completions
        .first()
        .ok_or_else(|| Error::internal("the engine gave no answer"))?;
    match args.format {
        Format::Json => print_json(&document(loaded.model.name(), completion)),
        Format::Text => {
            let texts: Vec<String> = completion
                .samples
                .iter()
                .map(|sample| output::printable(&sample.text))
                .collect();
            output::data(&format!("{}\n", texts.join("\n---\n")))
        }
    }
}

fn prompt(args: &CompleteArgs, codec: &dyn Codec) -> Result<Vec<u32>> {
    if let Some(text) = &args.prompt {
        return Ok(codec.encode(text)?.ids);
    }
    let turn = |role: Role, content: &Option<String>| {
        content.as_ref().map(|content| Message {
            role,
            content: content.clone(),
            reasoning: None,
        })
    };
    let system = turn(Role::System, &args.system);
    let messages: Vec<Message> = system
        .into_iter()
        .chain(turn(Role::User, &args.chat))
        .collect();
    codec.encode_chat(&messages)
}

fn document(name: &str, completion: &Completion) -> Value {
    let samples: Vec<Value> = completion
        .samples
        .iter()
        .map(|sample| {
            let logprobs: Vec<f32> = sample.tokens.iter().map(|token| token.logprob).collect();
            let ids: Vec<u32> = sample.tokens.iter().map(|token| token.id).collect();
            json!({
                "text": sample.text,
                "finish": match sample.finish {
                    Finish::Stop => "stop",
                    Finish::Length => "length",
                    Finish::Cancelled => "cancelled",
                },
                "tokens": ids,
                "logprobs_nats": logprobs,
            })
        })
        .collect();
    json!({ "format": 1, "model": name, "samples": samples, "usage": completion.usage })
}
