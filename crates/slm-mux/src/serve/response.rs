//! The answer as OpenAI's clients read it, with the whole vote in `mux`.

use serde_json::{Value, json};

use super::MuxApp;
use super::body::Asked;
use crate::protocols::{Chosen, Poll, Polled};

/// The document of an answer.
pub fn document(app: &MuxApp, asked: &Asked, poll: &Poll, chosen: &Chosen) -> Value {
    let (id, created) = app.new_answer();
    let tokens = poll.tokens();
    json!({
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": app.settings().model_id,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": content(poll, chosen), "refusal": null },
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": {
            "prompt_tokens": tokens.n_prompt,
            "completion_tokens": tokens.n_generated,
            "total_tokens": tokens.total(),
        },
        "mux": vote(asked, poll, chosen),
    })
}

/// The chosen text as its model wrote it. Where no answer could be read there is still a text: the
/// first of the model that the ranking puts first.
fn content<'a>(poll: &'a Poll, chosen: &'a Chosen) -> &'a str {
    let unread = || {
        let model = chosen.model.map(|seat| &poll.models[seat]);
        model.and_then(|model| model.replies.first())
    };
    let reply = chosen.reply.as_ref().or_else(unread);
    reply.map_or("", |reply| &reply.text)
}

fn vote(asked: &Asked, poll: &Poll, chosen: &Chosen) -> Value {
    let n_samples = chosen
        .model
        .map_or(0, |seat| poll.models[seat].replies.len());
    json!({
        "chosen": chosen.model.map(|seat| &poll.models[seat].name),
        "answer": chosen.answer,
        "confidence": { "count": chosen.count, "samples": n_samples },
        "n_tied": chosen.n_tied,
        "k": asked.k,
        "early_exit": poll.exited_early,
        "models": poll.models.iter().map(ballot).collect::<Vec<_>>(),
    })
}

/// What one member gave: its answers in the order of their first appearance.
fn ballot(polled: &Polled) -> Value {
    let mut answers: Vec<(&str, usize)> = Vec::new();
    for answer in polled
        .replies
        .iter()
        .filter_map(|reply| reply.answer.as_deref())
    {
        match answers.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, count)) => *count += 1,
            None => answers.push((answer, 1)),
        }
    }
    let n_read: usize = answers.iter().map(|(_, count)| count).sum();
    let answers: Vec<Value> = answers
        .into_iter()
        .map(|(answer, count)| json!({ "answer": answer, "count": count }))
        .collect();
    json!({
        "name": polled.name,
        "answers": answers,
        "unread": polled.replies.len() - n_read,
        "prompt_tokens": polled.tokens.n_prompt,
        "completion_tokens": polled.tokens.n_generated,
        "error": polled.error,
    })
}
