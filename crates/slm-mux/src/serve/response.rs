//! The answer as OpenAI's clients read it, with the whole vote in `mux`.

use serde_json::{Value, json};

use super::MuxApp;
use super::body::Asked;
use crate::protocols::{Chosen, Poll, Polled};

/// An answer, as one document or as the chunks of a stream.
pub struct Answered<'a> {
    asked: &'a Asked,
    poll: &'a Poll,
    chosen: &'a Chosen,
    /// Identity of the answer, and when it was made, in seconds since 1970.
    id: String,
    created_s: u64,
    model_id: &'a str,
}

impl<'a> Answered<'a> {
    /// The outcome of a poll, with an identity of its own.
    pub fn new(app: &'a MuxApp, asked: &'a Asked, poll: &'a Poll, chosen: &'a Chosen) -> Self {
        let (id, created_s) = app.new_answer();
        Self {
            asked,
            poll,
            chosen,
            id,
            created_s,
            model_id: &app.settings().model_id,
        }
    }

    fn of_kind(&self, object: &str, choices: &[Value]) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created_s,
            "model": self.model_id,
            "choices": choices,
        })
    }

    fn usage(&self) -> Value {
        let tokens = self.poll.tokens();
        json!({
            "prompt_tokens": tokens.n_prompt,
            "completion_tokens": tokens.n_generated,
            "total_tokens": tokens.total(),
        })
    }

    /// The whole answer as one document.
    pub fn document(&self) -> Value {
        let content = content(self.poll, self.chosen);
        let choice = json!({
            "index": 0,
            "message": { "role": "assistant", "content": content, "refusal": null },
            "logprobs": null,
            "finish_reason": "stop",
        });
        let mut document = self.of_kind("chat.completion", &[choice]);
        document["usage"] = self.usage();
        document["mux"] = vote(self.asked, self.poll, self.chosen);
        document
    }

    /// The documents of a stream: the role, the text, the end with the vote, and the numbers of
    /// tokens where they are wanted.
    pub fn chunks(&self) -> Vec<Value> {
        let chunk = |delta: Value, finish_reason: Value| {
            let choice = json!({
                "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason,
            });
            let mut chunk = self.of_kind("chat.completion.chunk", &[choice]);
            if self.asked.has_usage {
                chunk["usage"] = Value::Null;
            }
            chunk
        };
        let role = json!({ "role": "assistant", "content": "" });
        let mut chunks = vec![chunk(role, Value::Null)];
        let content = content(self.poll, self.chosen);
        if !content.is_empty() {
            chunks.push(chunk(json!({ "content": content }), Value::Null));
        }
        let mut end = chunk(json!({}), json!("stop"));
        end["mux"] = vote(self.asked, self.poll, self.chosen);
        chunks.push(end);
        if self.asked.has_usage {
            let mut usage = self.of_kind("chat.completion.chunk", &[]);
            usage["usage"] = self.usage();
            chunks.push(usage);
        }
        chunks
    }
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
