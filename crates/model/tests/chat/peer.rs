//! A real server on loopback: llama.cpp, from the Python package `xllamacpp`, serving a GGUF file.
//!
//! Optional. `MODEL_PEER_PYTHON` names a Python that has the package and `MODEL_WEIGHTS` a folder
//! with `SmolLM2-135M-Instruct.Q4_1.gguf`; where one is absent the test says on stderr what it did
//! not test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use model::chat::{
    Endpoint, EndpointSettings, Replay, SampleCalls, SamplerFields, TextRequest, ThinkTags,
};
use model::generate::Finish;

use crate::support::{ask, request};

const WEIGHTS: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// A running server; its standard input keeps it alive.
struct Peer {
    child: Child,
    address: String,
}

impl Peer {
    fn start(python: &Path, weights: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(weights)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.starts_with("http://"))
            .unwrap();
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, address }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what was not tested must be said loudly"
)]
fn peer() -> Option<Peer> {
    let python = std::env::var_os("MODEL_PEER_PYTHON").map(PathBuf::from);
    let weights =
        std::env::var_os("MODEL_WEIGHTS").map(|folder| PathBuf::from(folder).join(WEIGHTS));
    match (python, weights) {
        (Some(python), Some(weights)) if weights.is_file() => Some(Peer::start(&python, &weights)),
        _ => {
            eprintln!(
                "NOT TESTED: the chat client against llama.cpp's own server. Set MODEL_PEER_PYTHON \
                 to a Python with the package `xllamacpp` and MODEL_WEIGHTS to a folder with \
                 {WEIGHTS}"
            );
            None
        }
    }
}

#[tokio::test]
async fn llama_cpp_understands_every_kind_of_request() {
    let Some(peer) = peer() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut settings = EndpointSettings::new(&peer.address, "smollm2");
    settings.cache = Some(folder.path().to_owned());
    settings.sampler_fields = SamplerFields::Always;
    let endpoint = Endpoint::new(settings.clone()).unwrap();
    assert!(!endpoint.models().await.unwrap().is_empty());
    chats_greedily(&endpoint, folder.path()).await;
    repeats_seeds(&settings).await;
    scores_tokens(&endpoint).await;
    refuses_nonsense(&peer, &settings).await;
    let spent = endpoint.spent();
    assert!(
        spent.n_tokens > 0 && spent.n_tokens_uncertain == 0,
        "{spent:?}"
    );
}

async fn chats_greedily(endpoint: &Endpoint, folder: &Path) {
    let mut question = request("What is the capital of France? Answer with one word.");
    question.sampling.temperature = 0.0;
    let asked = ask(endpoint, &question).await;
    let answer = asked.answer.unwrap();
    assert_eq!(answer.attempts, 1);
    assert!(answer.choices[0].text.contains("Paris"), "{answer:?}");
    assert!(answer.usage.n_prompt > 10 && answer.usage.n_generated > 0);
    let again = ask(endpoint, &question).await.answer.unwrap();
    assert_eq!((again.attempts, &again.choices), (0, &answer.choices));
    let replay = Replay::open_cache(folder, ThinkTags::Keep).unwrap();
    let replayed = model::chat::ChatModel::chat(&replay, &question)
        .await
        .unwrap();
    assert_eq!(replayed.choices, answer.choices);
    question.n_tokens_max = 2;
    let cut = ask(endpoint, &question).await.answer.unwrap();
    assert_eq!(cut.choices[0].finish, Finish::Length);
    assert_eq!(cut.usage.n_generated, 2);
}

/// Sampled answers depend on the seed alone: the same again without the cache, another for another
/// seed. Two samples of one question differ.
async fn repeats_seeds(settings: &EndpointSettings) {
    let mut settings = settings.clone();
    settings.cache = None;
    settings.samples = SampleCalls::Separate;
    settings.n_concurrent = 1;
    let endpoint = Endpoint::new(settings).unwrap();
    let mut question = request("Write a sentence about the sea.");
    question.n_samples = 2;
    let first = ask(&endpoint, &question).await.answer.unwrap();
    let again = ask(&endpoint, &question).await.answer.unwrap();
    assert_eq!(first.choices, again.choices);
    assert_ne!(first.choices[0], first.choices[1]);
    question.sampling.seed = 2;
    let other = ask(&endpoint, &question).await.answer.unwrap();
    assert_ne!(first.choices, other.choices);
}

async fn scores_tokens(endpoint: &Endpoint) {
    let mut sampling = request("").sampling;
    sampling.temperature = 0.0;
    let text = TextRequest {
        prompt: "The capital of France is".to_owned(),
        n_tokens_max: 2,
        sampling,
        stop: Vec::new(),
        n_alternatives: 3,
        echo: false,
    };
    let answer = endpoint.complete_text(&text).await.unwrap();
    assert_eq!(answer.tokens.len(), 2, "{answer:?}");
    assert_eq!(answer.tokens[0].text, " Paris");
    assert_eq!(answer.tokens[0].alternatives.len(), 3);
    let logprob = answer.tokens[0].logprob.unwrap();
    // Measured apart with llama.cpp on these weights: -0.259 nats; its thread counts move the third
    // digit.
    assert!((logprob - -0.259).abs() < 0.02, "{logprob}");
}

async fn refuses_nonsense(peer: &Peer, settings: &EndpointSettings) {
    let mut settings = settings.clone();
    settings.base_url = peer.address.replace("/v1", "/v9");
    let asked = ask(&Endpoint::new(settings).unwrap(), &request("x")).await;
    assert_eq!(asked.attempts.len(), 1);
    assert!(asked.answer.unwrap_err().report().contains("base_url"));
}
