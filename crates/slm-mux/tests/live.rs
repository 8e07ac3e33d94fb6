//! A real small model: recording shares the prompt, repeats itself, and serves every protocol.
//!
//! Needs the folder of the weight files in the environment variable `MODEL_WEIGHTS`; without it the
//! test says loudly that it checked nothing.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]
#![expect(clippy::print_stderr, reason = "what was not checked must be seen")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use model::chat::{Message, Role, block_on};
use model::generate::{LanguageModel, ScoreRequest};
use model::text::EncodeOptions;
use slm_mux::live::{
    Drawing, FewShot, Item, Layout, Recorder, Sizes, Speaker, normalised, shots_of, split,
};
use slm_mux::protocols::{
    Agent, Asking, Aspect, Question, Verifier, Wording, debate, mixture, single_best, verification,
};

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

fn speaker() -> Option<Speaker> {
    let path = std::env::var_os("MODEL_WEIGHTS").map(|folder| PathBuf::from(folder).join(FILE));
    let Some(path) = path.filter(|path| path.exists()) else {
        eprintln!("NOT CHECKED with `{FILE}`: set MODEL_WEIGHTS to the folder that holds it");
        return None;
    };
    Some(Speaker::open(&path, 2).unwrap())
}

fn items() -> Vec<Item> {
    let words = [
        ("red", "RED"),
        ("blue", "BLUE"),
        ("green", "GREEN"),
        ("house", "HOUSE"),
        ("tree", "TREE"),
        ("river", "RIVER"),
        ("stone", "STONE"),
        ("bread", "BREAD"),
    ];
    let item = |(input, output): (&str, &str)| Item {
        input: input.to_owned(),
        output: output.to_owned(),
    };
    words.map(item).to_vec()
}

#[test]
fn a_real_model_is_recorded_and_takes_part_in_every_protocol() {
    let Some(speaker) = speaker() else { return };
    let sizes = Sizes {
        n_validation: 1,
        n_test: 2,
    };
    let task = split("upper", items(), sizes, 0).unwrap();
    let shots = shots_of(std::slice::from_ref(&task));
    let wording = FewShot::new(Layout::Qa, 5, shots);
    let recorder = Recorder {
        speaker: &speaker,
        name: "smollm2-qa-5",
        wording: &wording,
    };
    let drawing = Drawing {
        k: 9,
        temperature: 0.7,
        seed: 3,
    };
    let (records, sharing) = recorder.record(&task.test, "test", drawing).unwrap();
    assert_eq!(records.len(), 18);
    // Nine calls would have read the prompt nine times; the second question shares its examples.
    let within = sharing.n_separate as f64 / sharing.n_per_question as f64;
    assert!((within - 9.0).abs() < 1e-12, "{sharing:?}");
    assert!(sharing.n_evaluated < sharing.n_per_question, "{sharing:?}");
    // Fewer samples are the first of more, and a second recording is the first.
    let few = Drawing { k: 4, ..drawing };
    let (fewer, _) = recorder.record(&task.test, "test", few).unwrap();
    let texts = |of: &[slm_mux::samples::RecordedSample], n: u32| -> Vec<String> {
        let kept = of.iter().filter(|record| record.sample < n);
        kept.map(|record| record.text.clone()).collect()
    };
    assert_eq!(texts(&fewer, 4), texts(&records, 4));
    assert_eq!(
        recorder.record(&task.test, "test", drawing).unwrap().0,
        records
    );
    for record in &records {
        assert_eq!(record.answer, normalised(&record.text));
    }
    let n_read: u64 = records.iter().map(|record| record.n_prompt_tokens).sum();
    assert_eq!(n_read, sharing.n_separate);
    // The temperature is the one asked for: without any, nine samples are one; with much, they
    // are not.
    for (temperature, are_one) in [(0.0, true), (2.0, false)] {
        let drawing = Drawing {
            temperature,
            ..drawing
        };
        let (drawn, _) = recorder.record(&task.test[..1], "test", drawing).unwrap();
        let all: BTreeSet<&str> = drawn.iter().map(|record| &*record.text).collect();
        assert_eq!(all.len() == 1, are_one, "{temperature}: {all:?}");
        assert!(
            drawn
                .iter()
                .all(|r| r.temperature == f64::from(temperature))
        );
    }
    let wording: Arc<dyn Wording> = Arc::new(wording);
    let said = ["Q: ", "one"].map(|text| Message::new(Role::User, text));
    let tokenizer = speaker.model().tokenizer().unwrap();
    let plain = tokenizer.encode("Q: one", EncodeOptions::TEXT).unwrap();
    assert_eq!(speaker.prompt(&said).unwrap(), plain);
    approval_is_the_share_of_yes(&speaker, &wording, &task.test[0]);
    protocols(&speaker, wording, &task.test[0]);
}

/// The probability of "yes" among the two words, from their log-probabilities one by one.
fn approval_is_the_share_of_yes(speaker: &Speaker, wording: &Arc<dyn Wording>, asked: &Question) {
    let verifier = speaker.verifier(Arc::clone(wording)).unwrap();
    let found = block_on(verifier.approve(asked, "WRONG", Aspect::Overall));
    let (approval, tokens) = found.unwrap().unwrap();
    let messages = wording.verify(asked, "WRONG", Aspect::Overall);
    let prompt = speaker.prompt(&messages).unwrap();
    assert_eq!(tokens.n_prompt, prompt.len() as u64);
    let tokenizer = speaker.model().tokenizer().unwrap();
    let word = |text| tokenizer.encode(text, EncodeOptions::PIECE).unwrap();
    let request = ScoreRequest {
        prompt,
        continuations: vec![word(" yes"), word(" no")],
    };
    let scores = speaker
        .model()
        .score(&[request])
        .unwrap()
        .remove(0)
        .logprobs;
    let weight = |of: &[f32]| of.iter().map(|x| f64::from(*x)).sum::<f64>().exp();
    let (yes, no) = (weight(&scores[0]), weight(&scores[1]));
    let expected = yes / (yes + no);
    assert!(
        (expected - 0.5).abs() > 1e-3,
        "{expected} tells nothing apart"
    );
    assert!(
        (approval - expected).abs() < 1e-6,
        "{approval}, not {expected}"
    );
}

fn protocols(speaker: &Speaker, wording: Arc<dyn Wording>, asked: &Question) {
    let agent = |name: &str| Agent {
        name: name.to_owned(),
        model: speaker.chat(),
        wording: Arc::clone(&wording),
    };
    let agents = [agent("a"), agent("b")];
    let asking = Asking {
        temperature: 0.5,
        seed: 1,
    };
    let verifier: Arc<dyn Verifier> = Arc::new(speaker.verifier(Arc::clone(&wording)).unwrap());
    block_on(async {
        assert!(
            single_best(&agents[0], asked)
                .await
                .unwrap()
                .answer
                .is_some()
        );
        let held = debate(&agents, asked, 2, asking).await.unwrap();
        assert_eq!((held.rounds.len(), held.tokens.n_calls), (2, 4));
        let mixed = mixture(&agents, &agents[0], asked, 1, asking)
            .await
            .unwrap();
        assert!(mixed.tokens.n_prompt > held.tokens.n_prompt / 4);
        let (approval, _) = verifier
            .approve(asked, "WRONG", Aspect::Overall)
            .await
            .unwrap();
        assert!(approval > 0.0 && approval < 1.0, "{approval}");
        let aspects = [Aspect::Overall];
        let verifiers = [verifier];
        let found = verification(&agents[0], &verifiers, &aspects, asked, 3, asking);
        assert!(found.await.unwrap().answer.is_some());
    })
    .unwrap();
}
