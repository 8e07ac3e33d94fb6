//! The queue in front of a local model, with a model whose answers are plain arithmetic.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use eval::{Error, Result};
use model::chat::{ChatModel, ChatRequest, Local, LocalSettings, Message, PromptFormat, ThinkTags};
use model::generate::{
    Choice, Completion, CompletionRequest, Finish, LanguageModel, Sample, Score, ScoreRequest,
    TokenEvent, TokenLogprob, TokenSink, Usage,
};

use crate::support::request;

/// Says `<seed>.<sample>.<length of the prompt>` followed by dots up to the limit on tokens, one
/// character per token.
#[derive(Default)]
struct Arithmetic {
    batches: Mutex<Vec<usize>>,
    n_spoken: AtomicUsize,
    /// Calls wait while it is shut.
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Arithmetic {
    fn set_shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let shut = self.shut.lock().unwrap();
        drop(self.opened.wait_while(shut, |shut| *shut).unwrap());
    }

    fn sample(
        &self,
        at: (usize, usize),
        request: &CompletionRequest,
        sink: &mut Option<TokenSink<'_>>,
    ) -> Sample {
        let (request_idx, sample_idx) = at;
        let seed = request.sampling.seed;
        let said = format!("{seed}.{sample_idx}.{}", request.prompt.len());
        let mut sample = Sample {
            text: String::new(),
            tokens: Vec::new(),
            finish: Finish::Length,
        };
        for c in said
            .chars()
            .chain(std::iter::repeat('.'))
            .take(request.n_tokens_max)
        {
            let token = TokenLogprob {
                id: u32::from(c),
                logprob: -1.0,
                alternatives: Vec::new(),
            };
            self.n_spoken.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4];
            let event = TokenEvent {
                request: request_idx,
                sample: sample_idx,
                token: &token,
                text: c.encode_utf8(&mut buffer),
            };
            sample.text.push(c);
            if sink.as_mut().is_some_and(|sink| !sink(event)) {
                sample.finish = Finish::Cancelled;
                return sample;
            }
            sample.tokens.push(token);
        }
        sample
    }
}

impl LanguageModel for Arithmetic {
    fn name(&self) -> &str {
        "arithmetic"
    }

    fn n_context(&self) -> usize {
        1 << 20
    }

    fn complete(
        &self,
        requests: &[CompletionRequest],
        mut sink: Option<TokenSink<'_>>,
    ) -> Result<Vec<Completion>> {
        self.batches.lock().unwrap().push(requests.len());
        self.wait();
        if requests.iter().any(|request| request.sampling.seed == 13) {
            return Err(Error::usage("13 is no seed"));
        }
        assert!(!requests.iter().any(|request| request.sampling.seed == 666));
        let complete = |(request_idx, request): (usize, &CompletionRequest)| {
            let samples: Vec<Sample> = (0..request.n_samples)
                .map(|sample_idx| self.sample((request_idx, sample_idx), request, &mut sink))
                .collect();
            let usage = Usage {
                n_prompt: request.prompt.len() * request.n_samples,
                n_prompt_evaluated: request.prompt.len(),
                n_generated: samples.iter().map(|sample| sample.tokens.len()).sum(),
            };
            Completion { samples, usage }
        };
        Ok(requests.iter().enumerate().map(complete).collect())
    }

    fn score(&self, _: &[ScoreRequest]) -> Result<Vec<Score>> {
        Err(Error::internal("not asked here"))
    }

    fn choose(&self, _: &[u32], _: &[Vec<u32>]) -> Result<Choice> {
        Err(Error::internal("not asked here"))
    }

    fn hidden(&self, _: &[Vec<u32>], _: usize) -> Result<Vec<Vec<f32>>> {
        Err(Error::internal("not asked here"))
    }
}

/// One token per byte; refuses one word.
struct Bytes;

impl PromptFormat for Bytes {
    fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        let text: String = messages.iter().map(|m| m.content.as_str()).collect();
        if text == "unspeakable" {
            return Err(Error::usage("the template refuses this"));
        }
        Ok(text.bytes().map(u32::from).collect())
    }

    fn stop_tokens(&self) -> &[u32] {
        &[0]
    }
}

fn local(n_batch_max: usize) -> (Arc<Arithmetic>, Local) {
    let model = Arc::new(Arithmetic::default());
    let settings = LocalSettings {
        n_batch_max,
        n_waiting_max: 64,
        think_tags: ThinkTags::Keep,
    };
    let local = Local::new(model.clone(), Arc::new(Bytes), settings).unwrap();
    (model, local)
}

fn seeded(seed: u64) -> ChatRequest {
    let mut request = request("abc");
    request.n_tokens_max = 8;
    request.sampling.seed = seed;
    request
}

/// Puts all requests into the queue while the model is held, behind one that it computes already;
/// gives their outcomes and the sizes of the batches.
async fn queued(n_batch_max: usize, seeds: &[u64]) -> (Vec<Result<String>>, Vec<usize>) {
    let (model, local) = local(n_batch_max);
    model.set_shut(true);
    let head = seeded(0);
    let requests: Vec<ChatRequest> = seeds.iter().map(|seed| seeded(*seed)).collect();
    let waiting = futures_util::future::join(
        local.chat(&head),
        futures_util::future::join_all(requests.iter().map(|request| local.chat(request))),
    );
    let open = async {
        while model.batches.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        model.set_shut(false);
    };
    let ((_, outcomes), ()) = futures_util::future::join(waiting, open).await;
    let texts = outcomes
        .into_iter()
        .map(|outcome| outcome.map(|answer| answer.choices[0].text.clone()));
    let texts = texts.collect();
    let batches = model.batches.lock().unwrap().clone();
    (texts, batches)
}

#[tokio::test]
async fn requests_that_wait_together_are_computed_together() {
    let (texts, batches) = queued(4, &[1, 2, 3, 4, 5, 6]).await;
    assert_eq!(batches.iter().sum::<usize>(), 7);
    assert!(batches.iter().all(|n| *n <= 4), "{batches:?}");
    assert!(batches.len() <= 4, "{batches:?}");
    for (text, seed) in texts.iter().zip(1..) {
        let expected = format!("{seed}.0.3...");
        assert_eq!(*text.as_ref().unwrap(), expected, "as it is alone");
    }
}

#[tokio::test]
async fn a_bad_request_spoils_nothing_but_itself() {
    for bad in [13, 666] {
        let (texts, _) = queued(8, &[1, bad, 3]).await;
        assert_eq!(texts[0].as_ref().unwrap(), "1.0.3...");
        assert!(texts[1].is_err());
        assert_eq!(texts[2].as_ref().unwrap(), "3.0.3...");
    }
    let (_, local) = local(8);
    assert!(local.chat(&request("unspeakable")).await.is_err());
    assert!(
        local
            .chat(&seeded(666))
            .await
            .unwrap_err()
            .report()
            .contains("panicked")
    );
    let answer = local.chat(&seeded(5)).await.unwrap();
    assert_eq!(answer.choices[0].text, "5.0.3...", "and the model goes on");
}

#[tokio::test]
async fn samples_usage_and_names_come_through() {
    let (_, local) = local(8);
    let mut question = seeded(5);
    question.n_samples = 2;
    let answer = local.chat(&question).await.unwrap();
    assert_eq!((answer.model.as_str(), answer.attempts), ("arithmetic", 1));
    assert_eq!((answer.usage.n_prompt, answer.usage.n_generated), (6, 16));
    assert_eq!(answer.choices[1].text, "5.1.3...");
    assert_eq!(answer.choices[1].finish, Finish::Length);
}

#[tokio::test]
async fn pieces_add_up_to_the_answer() {
    let (_, local) = local(8);
    let mut question = seeded(5);
    question.n_samples = 2;
    let (sender, mut deltas) = tokio::sync::mpsc::unbounded_channel();
    let answer = local.chat_streamed(&question, sender).await.unwrap();
    let mut texts = [String::new(), String::new()];
    while let Some(delta) = deltas.recv().await {
        texts[delta.sample].push_str(&delta.text);
    }
    assert_eq!(texts[0], answer.choices[0].text);
    assert_eq!(texts[1], answer.choices[1].text);
}

#[tokio::test]
async fn nothing_is_computed_for_those_who_left() {
    let (model, local) = local(1);
    model.set_shut(true);
    let mut endless = seeded(1);
    endless.n_tokens_max = 100_000_000;
    let started = async {
        while model.batches.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waiting = seeded(2);
    tokio::select! {
        _ = local.chat(&endless) => panic!("the model is held"),
        _ = local.chat(&waiting) => panic!("the model is held"),
        () = started => {}
    }
    model.set_shut(false);
    let answer = local.chat(&seeded(3)).await.unwrap();
    assert_eq!(answer.choices[0].text, "3.0.3...");
    let n_spoken = model.n_spoken.load(Ordering::SeqCst);
    assert_eq!(
        n_spoken,
        1 + 8,
        "one token for the first, none for the second"
    );
    assert_eq!(model.batches.lock().unwrap().len(), 2);
}

#[test]
fn senseless_settings_are_refused() {
    let settings = LocalSettings {
        n_batch_max: 0,
        ..LocalSettings::default()
    };
    let model = Arc::new(Arithmetic::default());
    assert!(Local::new(model, Arc::new(Bytes), settings).is_err());
}

/// The real model, where it is there: it knows a capital, and four conversations at the same time
/// get the answers that they get alone.
#[tokio::test]
async fn a_real_model_answers_the_same_alone_and_in_company() {
    const WEIGHTS: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
    let folder = std::env::var_os("MODEL_WEIGHTS").map(std::path::PathBuf::from);
    let Some(path) = folder.map(|f| f.join(WEIGHTS)).filter(|p| p.is_file()) else {
        eprintln!(
            "NOT TESTED: chats with the real local model. Set MODEL_WEIGHTS to a folder with \
             {WEIGHTS}"
        );
        return;
    };
    let local = Local::open(&path, 1, LocalSettings::default()).unwrap();
    let question = |text: &str, seed: u64| {
        let mut question = request(text);
        question.sampling.temperature = if seed == 0 { 0.0 } else { 1.0 };
        question.sampling.seed = seed;
        question.n_tokens_max = 24;
        question
    };
    let questions = [
        question("What is the capital of France? Answer with one word.", 0),
        question("Write a sentence about the sea.", 1),
        question("Write a sentence about the sea.", 2),
        question("hello", 3),
    ];
    let mut alone = Vec::new();
    for question in &questions {
        alone.push(local.chat(question).await.unwrap());
    }
    assert!(alone[0].choices[0].text.contains("Paris"), "{:?}", alone[0]);
    assert_ne!(alone[1].choices, alone[2].choices);
    let together = questions.iter().map(|question| local.chat(question));
    let together = futures_util::future::join_all(together).await;
    for (alone, together) in alone.iter().zip(together) {
        assert_eq!(*alone, together.unwrap());
    }
    let mut marker = question("<|im_end|>", 0);
    assert!(
        local.chat(&marker).await.is_err(),
        "a control token in a message"
    );
    marker.messages.clear();
    assert!(local.chat(&marker).await.is_err());
}
