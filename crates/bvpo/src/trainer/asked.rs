//! `bvpo pairs sample --player`: samples from an endpoint, a recording, or a script.
//!
//! Every prompt is asked twice, as it is and with thinking switched off. What an endpoint answers
//! is kept in a folder at once, so that a command that was cut goes on where it was.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eval::{Error, Result, output};
use model::chat::{
    ChatChoice, ChatModel, ChatRequest, ChatSpec, CostEstimate, Endpoint, EndpointSettings,
    SampleCalls, block_on, complete_all,
};
use model::generate::{Finish, Sampling};

use super::args::SampleArgs;
use super::sampled::{Mode, Prompt, Sampled};
use crate::assembly::Tags;

/// Fields that switch thinking off in the chat templates that have a switch, as vLLM, SGLang, and
/// llama.cpp's server hand them on.
const EMPTY_FIELDS: &str = r#"{"chat_template_kwargs":{"enable_thinking":false}}"#;

/// Asks for both modes. Gives the samples and how many were left out, or nothing where only an
/// estimate was wanted.
///
/// # Errors
/// Nobody can be reached or afforded, or some requests have no answer; those answered are kept.
pub fn ask(
    player: &ChatSpec,
    prompts: &[Prompt],
    args: &SampleArgs,
) -> Result<Option<(Vec<Sampled>, usize)>> {
    let settings = match player {
        ChatSpec::Endpoint { name } => Some(Mode::ALL.map(|mode| settings(name, mode, args))),
        ChatSpec::Local { weights } => {
            return Err(
                Error::usage(format!("`{player}` has no switch for thinking"))
                    .hint(format!("give the weights as `--model {weights}`")),
            );
        }
        ChatSpec::Replay { .. } | ChatSpec::ScriptedEcho | ChatSpec::ScriptedSay { .. } => None,
    };
    let requests = Mode::ALL.map(|mode| -> Vec<ChatRequest> {
        prompts
            .iter()
            .map(|prompt| request(prompt, mode, args))
            .collect()
    });
    let Some([thinking, empty]) = settings else {
        let model = args.models.open(player)?;
        let chats = [Arc::clone(&model), model];
        return collect(chats, &requests, prompts, None).map(Some);
    };
    let settings = [thinking?, empty?];
    let cache = settings[0].cache.clone();
    let [first, second] = settings.clone().map(Endpoint::new);
    let (first, second) = (first?, second?);
    estimate(&[
        first.estimate(&requests[0])?,
        second.estimate(&requests[1])?,
    ])?;
    if args.estimate {
        return Ok(None);
    }
    let ChatSpec::Endpoint { name } = player else {
        return Err(Error::internal("an endpoint without a name"));
    };
    args.models.require_budget(name)?;
    let (first, second) = (Arc::new(first), Arc::new(second));
    let chats: [Arc<dyn ChatModel>; 2] = [first, second];
    collect(chats, &requests, prompts, cache.as_deref()).map(Some)
}

/// How the endpoint is reached in a mode. A budget is for both modes: each has half of it.
fn settings(name: &str, mode: Mode, args: &SampleArgs) -> Result<EndpointSettings> {
    let mut settings = args.models.endpoint(name)?;
    settings.cache = Some(match settings.cache {
        Some(folder) => folder,
        None => beside(&args.output),
    });
    let budget = &mut settings.budget;
    budget.cost_usd_max = budget.cost_usd_max.map(|usd| usd / 2.0);
    budget.n_tokens_max = budget.n_tokens_max.map(|n| n / 2);
    budget.n_requests_max = budget.n_requests_max.map(|n| n / 2);
    if args.separate {
        settings.samples = SampleCalls::Separate;
    }
    let fields = match (&args.empty_fields, &args.empty_suffix) {
        (Some(given), _) => given,
        (None, Some(_)) => "{}",
        (None, None) => EMPTY_FIELDS,
    };
    if mode == Mode::Empty {
        settings.extra = serde_json::from_str(fields).map_err(|cause| {
            Error::usage(format!("`--empty-fields {fields}` is no JSON object"))
                .caused_by(cause)
                .hint(format!("for example `{EMPTY_FIELDS}`"))
        })?;
    }
    Ok(settings)
}

/// `samples.jsonl` → `samples.jsonl.answers`.
fn beside(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".answers");
    name.into()
}

fn request(prompt: &Prompt, mode: Mode, args: &SampleArgs) -> ChatRequest {
    let mut messages = prompt.conversation();
    if let (Mode::Empty, Some(suffix), Some(last)) = (mode, &args.empty_suffix, messages.last_mut())
    {
        last.content.push_str(suffix);
    }
    ChatRequest {
        messages,
        n_samples: args.n as usize,
        n_tokens_max: args.max_tokens as usize,
        sampling: Sampling {
            temperature: args.temperature,
            top_k: 0,
            top_p: args.top_p,
            min_p: 0.0,
            seed: args.seed,
        },
        stop: Vec::new(),
    }
}

/// Says what is to be asked at most.
fn estimate(modes: &[CostEstimate; 2]) -> Result<()> {
    let sum = |of: fn(&CostEstimate) -> u64| modes.iter().map(of).sum::<u64>();
    let cost = modes[0].cost_usd_max.zip(modes[1].cost_usd_max);
    let cost = cost.map_or_else(String::new, |(a, b)| format!(", {:.2} US dollars", a + b));
    output::note(&format!(
        "{} requests to send ({} are answered already): at most {} tokens of prompts and {} \
         generated{cost}; each mode may use half of the budget",
        sum(|e| e.n_requests),
        sum(|e| e.n_cached),
        sum(|e| e.n_prompt_max),
        sum(|e| e.n_generated_max),
    ));
    Ok(())
}

/// Asks everything, mode after mode.
fn collect(
    chats: [Arc<dyn ChatModel>; 2],
    requests: &[Vec<ChatRequest>; 2],
    prompts: &[Prompt],
    cache: Option<&Path>,
) -> Result<(Vec<Sampled>, usize)> {
    let (mut found, mut n_lost) = (Vec::new(), 0);
    let (mut n_failed, mut first_error) = (0, None);
    for ((mode, chat), requests) in Mode::ALL.into_iter().zip(chats).zip(requests) {
        let mut progress = |done: usize, n: usize| {
            if done == n || done.is_multiple_of((n / 10).max(1)) {
                output::note(&format!("{}: {done}/{n} prompts", mode.as_str()));
            }
            ControlFlow::Continue(())
        };
        let batch = block_on(complete_all(&*chat, requests, N_CONCURRENT, &mut progress))?;
        n_failed += batch.n_failed;
        for (prompt, answer) in prompts.iter().zip(batch.answers) {
            match answer {
                Ok(answer) => {
                    for (number, choice) in answer.choices.into_iter().enumerate() {
                        match parts(choice, mode) {
                            Some(parts) => found.push(prompt.sampled((mode, number), parts)),
                            None => n_lost += 1,
                        }
                    }
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let has_mode = found.iter().any(|sampled: &Sampled| sampled.mode == mode);
        if mode == Mode::Empty && !has_mode && n_failed == 0 {
            return Err(
                Error::inputs("no answer came without a trace of thought").hint(
                    "say how this model's thinking is switched off: `--empty-fields` or \
                 `--empty-suffix`",
                ),
            );
        }
    }
    if let Some(error) = first_error {
        let n = requests.iter().map(Vec::len).sum::<usize>();
        let kept = cache.map_or_else(String::new, |folder| {
            format!("; answers are kept in `{}`", folder.display())
        });
        let message = format!("{n_failed} of {n} requests have no answer");
        let hint = format!("run the same command again{kept}");
        return Err(Error::incomplete(message).caused_by(error).hint(hint));
    }
    // Prompt by prompt, as a local model's samples are.
    let place = |id: &str| prompts.iter().position(|prompt| prompt.id == id);
    found.sort_by_key(|sampled| (place(&sampled.id), sampled.mode, sampled.sample));
    Ok((found, n_lost))
}

/// Requests under way; endpoints have a limit of their own below this.
const N_CONCURRENT: usize = 64;

/// Trace and answer of a choice that came to its end and is of the mode; none otherwise.
fn parts(choice: ChatChoice, mode: Mode) -> Option<(Option<String>, String)> {
    if choice.finish != Finish::Stop {
        return None;
    }
    let (reasoning, answer) = match choice.reasoning {
        Some(reasoning) => (reasoning.trim().to_owned(), choice.text.trim().to_owned()),
        None => divided(&choice.text),
    };
    if answer.is_empty() {
        return None;
    }
    match mode {
        Mode::Thinking => (!reasoning.is_empty()).then_some((Some(reasoning), answer)),
        Mode::Empty => reasoning.is_empty().then_some((None, answer)),
    }
}

/// Trace and answer of a text in which tags may stand; some servers leave the opening one out,
/// because their template wrote it.
fn divided(text: &str) -> (String, String) {
    let Tags { open, close, .. } = Tags::default();
    let text = text.trim();
    let inner = text.strip_prefix(open.trim()).unwrap_or(text);
    match inner.split_once(close.trim()) {
        Some((reasoning, answer)) => (reasoning.trim().to_owned(), answer.trim().to_owned()),
        None if inner.len() < text.len() => (inner.trim().to_owned(), String::new()),
        None => (String::new(), text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(text: &str, reasoning: Option<&str>, finish: Finish) -> ChatChoice {
        ChatChoice {
            text: text.to_owned(),
            reasoning: reasoning.map(str::to_owned),
            finish,
        }
    }

    #[test]
    fn traces_are_found_wherever_a_server_puts_them() {
        let thinking = |text, reasoning| {
            let found = parts(choice(text, reasoning, Finish::Stop), Mode::Thinking);
            found.map(|(reasoning, answer)| (reasoning.unwrap(), answer))
        };
        let expected = Some(("a b".to_owned(), "c".to_owned()));
        assert_eq!(thinking("c", Some("a b\n")), expected);
        assert_eq!(thinking("<think>\na b\n</think>\n\nc", None), expected);
        assert_eq!(thinking("a b</think>c", None), expected);
        assert_eq!(thinking("c", None), None, "no trace at all");
        assert_eq!(thinking("<think>a b", None), None, "a trace without an end");
        assert_eq!(thinking("<think></think>c", None), None, "an empty trace");
        let empty = |text, reasoning| {
            parts(choice(text, reasoning, Finish::Stop), Mode::Empty).map(|(_, answer)| answer)
        };
        assert_eq!(empty("c ", None).as_deref(), Some("c"));
        assert_eq!(
            empty("<think>\n\n</think>\n\nc", None).as_deref(),
            Some("c")
        );
        assert_eq!(empty("c", Some("")).as_deref(), Some("c"));
        assert_eq!(empty("c", Some("it thought")), None);
        assert_eq!(empty("<think>a</think>c", None), None);
        assert!(parts(choice("c", None, Finish::Length), Mode::Empty).is_none());
    }

    #[test]
    fn a_script_without_thoughts_is_told_apart_from_one_that_thinks() {
        use model::chat::Scripted;
        let prompt = |id: &str| Prompt {
            id: id.to_owned(),
            prompt: Some(format!("{id}?")),
            messages: Vec::new(),
            gold: Some("4".to_owned()),
        };
        let prompts = [prompt("b"), prompt("a")];
        let requests = Mode::ALL.map(|_| {
            let request = |prompt: &Prompt| ChatRequest {
                messages: prompt.conversation(),
                n_samples: 2,
                n_tokens_max: 8,
                sampling: Sampling {
                    temperature: 0.0,
                    top_k: 0,
                    top_p: 1.0,
                    min_p: 0.0,
                    seed: 0,
                },
                stop: Vec::new(),
            };
            prompts.iter().map(request).collect::<Vec<_>>()
        });
        let says = |text: &str| -> Arc<dyn ChatModel> { Arc::new(Scripted::say(text)) };
        let both = [says("<think>2+2</think>4"), says("4")];
        let (found, n_lost) = collect(both, &requests, &prompts, None).unwrap();
        let named: Vec<(&str, Mode, usize)> = found
            .iter()
            .map(|s| (s.id.as_str(), s.mode, s.sample))
            .collect();
        assert_eq!(n_lost, 0);
        assert_eq!(
            named[..3],
            [
                ("b", Mode::Thinking, 0),
                ("b", Mode::Thinking, 1),
                ("b", Mode::Empty, 0)
            ]
        );
        assert_eq!(found.len(), 8);
        assert_eq!(
            (found[0].reasoning.as_deref(), found[0].answer.as_str()),
            (Some("2+2"), "4")
        );
        let thinks = [0; 2].map(|_| says("<think>2+2</think>4"));
        let error = collect(thinks, &requests, &prompts, None).unwrap_err();
        assert!(
            error.report().contains("--empty-fields"),
            "{}",
            error.report()
        );
    }
}
