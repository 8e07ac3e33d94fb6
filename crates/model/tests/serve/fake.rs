//! A model that follows a script, over a vocabulary of bytes and a few longer tokens.
//!
//! It answers with the text after the last `say ` of its prompt. Every sample after the first
//! begins with its number. It honours limits, stop strings, and listeners as a real one does.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eval::{Error, Result};
use model::chat::{Message, Role};
use model::generate::{
    Choice, Completion, CompletionRequest, Finish, LanguageModel, Sample, Score, ScoreRequest,
    TokenEvent, TokenLogprob, TokenSink, Usage,
};
use model::serve::{Codec, Encoded, ServedModel, SharedBatch};

/// Begins every text.
pub const BOS: u32 = 256;
/// Ends an answer.
pub const EOS: u32 = 257;
/// Tokens of more than one byte, from 300 on.
const LONG: [&str; 5] = ["Hello", " world", " crab", "🦀", "stop"];
/// Longest sequence.
pub const N_CONTEXT: usize = 1024;

/// The bytes of a token.
fn bytes(id: u32) -> Option<Vec<u8>> {
    match id {
        0..=255 => Some(vec![u8::try_from(id).unwrap()]),
        BOS | EOS => Some(Vec::new()),
        _ => LONG
            .get(usize::try_from(id.checked_sub(300)?).unwrap())
            .map(|text| text.as_bytes().to_vec()),
    }
}

/// Longest match first among the long tokens, bytes elsewhere.
pub fn ids(text: &str) -> Vec<u32> {
    let mut rest = text.as_bytes();
    let mut ids = Vec::new();
    while let Some(first) = rest.first() {
        let long = LONG
            .iter()
            .position(|long| rest.starts_with(long.as_bytes()));
        // The emoji is one token only before a full stop, so that its bytes are seen elsewhere.
        let long = long.filter(|i| LONG[*i] != "🦀" || rest.get(4) == Some(&b'.'));
        ids.push(long.map_or(u32::from(*first), |i| 300 + u32::try_from(i).unwrap()));
        rest = &rest[long.map_or(1, |i| LONG[i].len())..];
    }
    ids
}

/// The log-probability the model gives a token, whatever stands before it.
pub fn logprob(id: u32) -> f32 {
    -0.25 * (id % 8) as f32
}

/// The text side: a chat is `role: content` in lines.
pub struct FakeCodec {
    pub has_chat: bool,
}

impl Codec for FakeCodec {
    fn encode(&self, text: &str) -> Result<Encoded> {
        let ids: Vec<u32> = [BOS].into_iter().chain(ids(text)).collect();
        Ok(Encoded { ids, n_added: 1 })
    }

    fn encode_piece(&self, text: &str) -> Result<Vec<u32>> {
        Ok(ids(text))
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<u32>> {
        let line = |message: &Message| {
            let role = match message.role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::Tool => "tool",
            };
            let reasoning = message.reasoning.as_deref().unwrap_or_default();
            format!("{role}: {reasoning}{}\n", message.content)
        };
        let text: String = messages.iter().map(line).collect();
        if text.contains("refuse me") {
            return Err(Error::usage("the template refuses this conversation"));
        }
        Ok([BOS].into_iter().chain(ids(text.trim_end())).collect())
    }

    fn has_chat(&self) -> bool {
        self.has_chat
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        bytes(id)
    }

    fn stop_tokens(&self) -> Vec<u32> {
        vec![EOS]
    }
}

/// What happened inside the model, for tests to wait on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A request came, with this prompt as text.
    Prompt(String),
    /// A step begins with so many requests.
    Step(usize),
    /// A request was taken out, or a listener ended a sample.
    Cancelled,
}

/// The model.
pub struct FakeModel {
    notes: Mutex<Sender<Note>>,
    gate: Mutex<Receiver<()>>,
}

/// The other end of the model: what it did, and leave to go on.
pub struct Strings {
    pub notes: Receiver<Note>,
    pub gate: Sender<()>,
}

/// A model and its strings.
pub fn model() -> (Arc<FakeModel>, Strings) {
    let (notes, heard) = channel();
    let (open, gate) = channel();
    let model = FakeModel {
        notes: Mutex::new(notes),
        gate: Mutex::new(gate),
    };
    let strings = Strings {
        notes: heard,
        gate: open,
    };
    (Arc::new(model), strings)
}

/// One answer while it is drawn.
struct Drawing {
    script: Vec<u32>,
    bytes: Vec<u8>,
    n_sent: usize,
    tokens: Vec<TokenLogprob>,
    finish: Option<Finish>,
}

impl Drawing {
    fn new(prompt: &str, sample: usize) -> Self {
        let text = prompt.rsplit_once("say ").map_or("", |(_, text)| text);
        let number = match sample {
            0 => String::new(),
            _ => sample.to_string(),
        };
        let mut script = ids(&format!("{number}{text}"));
        script.push(EOS);
        Self {
            script,
            bytes: Vec::new(),
            n_sent: 0,
            tokens: Vec::new(),
            finish: None,
        }
    }

    /// Draws a token; the text that became certain.
    fn draw(&mut self, request: &CompletionRequest) -> (TokenLogprob, String) {
        let id = self.script[self.tokens.len()];
        let alternatives = (0..request.n_alternatives)
            .map(|i| (48 + u32::try_from(i).unwrap(), -0.5 * i as f32))
            .collect();
        let token = TokenLogprob {
            id,
            logprob: logprob(id),
            alternatives,
        };
        self.tokens.push(token.clone());
        if request.stop_tokens.contains(&id) {
            self.finish = Some(Finish::Stop);
        } else {
            self.bytes.extend(bytes(id).unwrap());
        }
        let found = request.stop.iter().filter_map(|stop| {
            let mut places = self.bytes.windows(stop.len());
            places.position(|window| window == stop.as_bytes())
        });
        if let Some(at) = found.min() {
            self.bytes.truncate(at);
            self.finish = Some(Finish::Stop);
        } else if self.finish.is_none() && self.tokens.len() >= request.n_tokens_max {
            self.finish = Some(Finish::Length);
        }
        let n_certain = match self.finish {
            Some(_) => self.bytes.len(),
            None => self.certain(&request.stop),
        };
        let text = String::from_utf8_lossy(&self.bytes[self.n_sent..n_certain]).into_owned();
        self.n_sent = n_certain;
        (token, text)
    }

    /// Bytes that are whole characters and no beginning of a stop string.
    fn certain(&self, stops: &[String]) -> usize {
        let is_open = |from: &usize| {
            let tail = &self.bytes[*from..];
            stops.iter().any(|stop| stop.as_bytes().starts_with(tail))
        };
        let held = (self.n_sent..self.bytes.len()).find(is_open);
        let end = held.unwrap_or(self.bytes.len());
        match std::str::from_utf8(&self.bytes[self.n_sent..end]) {
            Ok(_) => end,
            Err(error) => self.n_sent + error.valid_up_to(),
        }
    }
}

fn text_of(ids: &[u32]) -> String {
    let bytes: Vec<u8> = ids.iter().filter_map(|id| bytes(*id)).flatten().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl FakeModel {
    fn note(&self, note: Note) {
        let _ = self.notes.lock().unwrap().send(note);
    }
}

impl LanguageModel for FakeModel {
    fn name(&self) -> &str {
        "fake"
    }

    fn n_context(&self) -> usize {
        N_CONTEXT
    }

    fn complete(
        &self,
        _requests: &[CompletionRequest],
        _sink: Option<TokenSink<'_>>,
    ) -> Result<Vec<Completion>> {
        Err(Error::internal("the server uses the batch"))
    }

    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>> {
        let score = |request: &ScoreRequest| Score {
            logprobs: request
                .continuations
                .iter()
                .map(|ids| ids.iter().map(|id| logprob(*id)).collect())
                .collect(),
            usage: Usage::default(),
        };
        Ok(requests.iter().map(score).collect())
    }

    fn choose(&self, _prompt: &[u32], _options: &[Vec<u32>]) -> Result<Choice> {
        Err(Error::internal("the script has no choices"))
    }

    fn hidden(&self, _prompts: &[Vec<u32>], _layer: usize) -> Result<Vec<Vec<f32>>> {
        Err(Error::internal("the script has no layers"))
    }
}

impl ServedModel for FakeModel {
    fn batch(&self) -> Box<dyn SharedBatch + '_> {
        Box::new(FakeBatch {
            model: self,
            under_way: Vec::new(),
            n_submitted: 0,
        })
    }
}

/// Requests under way.
struct FakeBatch<'m> {
    model: &'m FakeModel,
    under_way: Vec<(usize, CompletionRequest, Vec<Drawing>)>,
    n_submitted: usize,
}

impl SharedBatch for FakeBatch<'_> {
    fn submit(&mut self, request: CompletionRequest) -> Result<usize> {
        let prompt = text_of(&request.prompt);
        self.model.note(Note::Prompt(prompt.clone()));
        if prompt.contains("spoil") {
            return Err(Error::usage("the engine refuses this prompt"));
        }
        let number = self.n_submitted;
        self.n_submitted += 1;
        let drawings = (0..request.n_samples).map(|i| Drawing::new(&prompt, i));
        let drawings = drawings.collect();
        self.under_way.push((number, request, drawings));
        Ok(number)
    }

    fn cancel(&mut self, number: usize) {
        self.under_way.retain(|(own, _, _)| *own != number);
        self.model.note(Note::Cancelled);
    }

    fn step(&mut self, sink: TokenSink<'_>) -> Result<Vec<(usize, Completion)>> {
        let prompts = self
            .under_way
            .iter()
            .map(|(_, request, _)| text_of(&request.prompt));
        let prompts: Vec<String> = prompts.collect();
        assert!(!prompts.iter().any(|prompt| prompt.contains("panic")));
        self.model.note(Note::Step(prompts.len()));
        if prompts.iter().any(|prompt| prompt.contains("gate")) {
            // A gate whose other end is gone stays open: the test has ended.
            let _ = self.model.gate.lock().unwrap().recv();
        }
        if prompts.iter().any(|prompt| prompt.contains("slow")) {
            std::thread::sleep(Duration::from_millis(20));
        }
        for (number, request, drawings) in &mut self.under_way {
            for (sample, drawing) in drawings.iter_mut().enumerate() {
                if drawing.finish.is_some() {
                    continue;
                }
                let (token, text) = drawing.draw(request);
                let event = TokenEvent {
                    request: *number,
                    sample,
                    token: &token,
                    text: &text,
                };
                if !sink(event) && drawing.finish.is_none() {
                    self.model.note(Note::Cancelled);
                    drawing.finish = Some(Finish::Cancelled);
                }
            }
        }
        let is_done = |drawings: &[Drawing]| drawings.iter().all(|d| d.finish.is_some());
        let all = std::mem::take(&mut self.under_way);
        let (done, open): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(_, _, drawings)| is_done(drawings));
        self.under_way = open;
        let done = done.into_iter();
        Ok(done
            .map(|(number, request, d)| (number, completion(&request, d)))
            .collect())
    }
}

fn completion(request: &CompletionRequest, drawings: Vec<Drawing>) -> Completion {
    Completion {
        usage: Usage {
            n_prompt: request.prompt.len() * request.n_samples,
            n_prompt_evaluated: request.prompt.len(),
            n_generated: drawings.iter().map(|drawing| drawing.tokens.len()).sum(),
        },
        samples: drawings
            .into_iter()
            .map(|drawing| Sample {
                text: String::from_utf8_lossy(&drawing.bytes).into_owned(),
                tokens: drawing.tokens,
                finish: drawing.finish.unwrap(),
            })
            .collect(),
    }
}
