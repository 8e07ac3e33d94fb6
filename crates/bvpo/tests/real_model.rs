//! Sequences for SmolLM2, where `MODEL_WEIGHTS` names the folder that holds it.
//!
//! What needs the weights is said loudly to be unchecked without them.

#![expect(clippy::print_stderr, reason = "what was not checked must be seen")]

use std::path::PathBuf;
use std::sync::Arc;

use bvpo::assembly::{Assembler, Tags, Trace};
use model::chat::{Message, Role};
use model::text::{ChatTemplate, EncodeOptions, Tokenizer};
use model::weights::Checkpoint;

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

fn weights() -> Option<PathBuf> {
    let path = std::env::var_os("MODEL_WEIGHTS").map(|folder| PathBuf::from(folder).join(FILE));
    let path = path.filter(|path| path.is_file());
    if path.is_none() {
        eprintln!("NOT CHECKED: `{FILE}` is not in the folder MODEL_WEIGHTS");
    }
    path
}

#[test]
fn the_empty_trace_of_smollm2_keeps_its_seam() {
    let Some(path) = weights() else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let tokenizer = Arc::new(Tokenizer::from_checkpoint(&checkpoint).unwrap());
    let template = ChatTemplate::from_checkpoint(&checkpoint).unwrap();
    let piece = |text: &str| tokenizer.encode(text, EncodeOptions::CHAT).unwrap();
    let apart = [piece("<think>"), piece("</think>")].concat();
    let joined = piece("<think></think>");
    // The joined text has a piece `></` that belongs to neither tag.
    assert_ne!(
        apart, joined,
        "the vocabulary no longer merges across the seam"
    );
    let merged = tokenizer.id_of("></").unwrap();
    assert!(joined.contains(&merged) && !apart.contains(&merged));
    let assembler = Assembler::new(tokenizer.clone(), template, Tags::default(), 512).unwrap();
    let question = [Message::new(Role::User, "How much is 1+2?")];
    let prompt = assembler.prompt(&question, false).unwrap();
    assert!(prompt.ends_with(&apart), "{:?}", tokenizer.decode(&prompt));
    let sequence = assembler
        .sequence(&question, Trace::Empty, "The answer is 3.")
        .unwrap();
    let sequence = sequence.unwrap();
    assert_eq!(sequence.ids[..sequence.start], prompt);
    let scored = tokenizer.decode(&sequence.ids[sequence.start..]).unwrap();
    assert_eq!(scored, "The answer is 3.", "a control token says nothing");
    assert_eq!(sequence.ids.last(), Some(&assembler.end()));
}

#[test]
fn a_trace_of_smollm2_is_whole_and_scored() {
    let Some(path) = weights() else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let tokenizer = Arc::new(Tokenizer::from_checkpoint(&checkpoint).unwrap());
    let template = ChatTemplate::from_checkpoint(&checkpoint).unwrap();
    let assembler = Assembler::new(tokenizer.clone(), template, Tags::default(), 512).unwrap();
    let question = [Message::new(Role::User, "How much is 1+2?")];
    let trace = "1 and 2 make 3.\n\nSo </think> is a tag and <|im_end|> an end.";
    let sequence = assembler
        .sequence(&question, Trace::Text(trace), "3")
        .unwrap()
        .unwrap();
    let scored = tokenizer.decode(&sequence.ids[sequence.start..]).unwrap();
    assert_eq!(scored, format!("{trace}\n</think>\n\n3"));
    let ends = sequence.ids[sequence.start..]
        .iter()
        .filter(|id| **id == assembler.end());
    assert_eq!(
        ends.count(),
        1,
        "a control token spelled out in a trace ends nothing"
    );
}
