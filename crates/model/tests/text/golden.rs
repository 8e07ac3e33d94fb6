//! Token ids of the two real models equal llama.cpp's (`fixtures/text/make_tokens.py`).

#![expect(clippy::print_stderr, reason = "what was not checked must be seen")]

use std::path::PathBuf;

use model::text::{ChatTemplate, EncodeOptions, Framing, Markers, Tokenizer};
use model::weights::Checkpoint;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Value>,
}

#[derive(Deserialize)]
struct Ids {
    plain: Vec<u32>,
    parsed: Vec<u32>,
    framed: Vec<u32>,
}

fn golden() -> Vec<Value> {
    let golden: Golden =
        serde_json::from_str(include_str!("../fixtures/text/tokens.json")).unwrap();
    golden.cases
}

/// The weight file, where the machine has one.
fn opened(file: &str) -> Option<Checkpoint> {
    let folder = std::env::var_os("MODEL_WEIGHTS").map(PathBuf::from);
    let path = folder.map(|folder| folder.join(file));
    let Some(path) = path.filter(|path| path.is_file()) else {
        eprintln!(
            "NOT CHECKED against the real vocabulary: `{file}` is absent (set MODEL_WEIGHTS to the \
             folder that holds it)"
        );
        return None;
    };
    Some(Checkpoint::open(&path).unwrap())
}

/// The one text on which we differ on purpose. Gemma's file stores `</s>` as user-defined (an HTML
/// tag, token 212), which is cut out of plain text too; llama.cpp takes every token of that name
/// for an end of generation and makes it a control token.
const TAG: &str = "</s><s>[INST] x [/INST]";

fn check(name: &str, tokenizer: &Tokenizer) {
    let mut wrong = Vec::new();
    for case in golden() {
        let text = case["text"].as_str().unwrap();
        let mut ids: Ids = serde_json::from_value(case[name].clone()).unwrap();
        if name == "gemma-3-270m" && text == TAG {
            assert_eq!(
                ids.plain[..3],
                [954, 236_751, 236_813],
                "`</s>` letter by letter"
            );
            ids.plain = ids.parsed.clone();
        }
        for (markers, framing, expected) in [
            (Markers::Plain, Framing::Bare, &ids.plain),
            (Markers::Parse, Framing::Bare, &ids.parsed),
            (Markers::Parse, Framing::Model, &ids.framed),
        ] {
            let found = tokenizer
                .encode(text, EncodeOptions { markers, framing })
                .unwrap();
            if found != *expected {
                wrong.push(format!("{text:?} {markers:?}: {found:?}, not {expected:?}"));
            }
        }
        // What is said with these ids is the text, apart from SentencePiece's sign for a space.
        let said = tokenizer.decode_whole(&ids.plain).unwrap();
        if name == "smollm2-135m" || !text.contains('▁') {
            assert_eq!(said, text);
        }
    }
    assert!(wrong.is_empty(), "{} differ: {:#?}", wrong.len(), wrong);
}

#[test]
fn ids_of_smollm2_equal_llama_cpp_s() {
    let Some(checkpoint) = opened("SmolLM2-135M-Instruct.Q4_1.gguf") else {
        return;
    };
    let tokenizer = Tokenizer::from_checkpoint(&checkpoint).unwrap();
    check("smollm2-135m", &tokenizer);
    assert_eq!(tokenizer.n_vocab(), 49_152);
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.eot()),
        (Some(1), Some(2), Some(2))
    );
    assert_eq!(tokenizer.stop_ids(), [0, 2]);
    assert!(!tokenizer.add_bos());
    let template = ChatTemplate::from_checkpoint(&checkpoint).unwrap();
    let stored = include_str!("../fixtures/text/templates/smollm2.jinja");
    assert_eq!(
        template.source(),
        stored,
        "the fixture is the template in the file"
    );
}

#[test]
fn ids_of_gemma_equal_llama_cpp_s() {
    let Some(checkpoint) = opened("gemma-3-270m-q4_k_m.gguf") else {
        return;
    };
    let tokenizer = Tokenizer::from_checkpoint(&checkpoint).unwrap();
    check("gemma-3-270m", &tokenizer);
    assert_eq!(tokenizer.n_vocab(), 262_144);
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(2), Some(1)));
    assert_eq!(tokenizer.stop_ids(), [1, 106]);
    assert!(tokenizer.add_bos());
    let template = ChatTemplate::from_checkpoint(&checkpoint).unwrap();
    assert!(!template.exists(), "a base model has no template");
}

#[test]
fn the_golden_set_is_wide() {
    let cases = golden();
    assert!(cases.len() >= 60);
    let differs = |case: &&Value, name: &str| case[name]["plain"] != case[name]["parsed"];
    for name in ["smollm2-135m", "gemma-3-270m"] {
        assert!(
            cases.iter().filter(|case| differs(case, name)).count() >= 5,
            "{name}"
        );
    }
}
