//! How an answer is read from a model's text and normalised, in two ways.
//!
//! `exact` reads numbers as numbers: currency, thousands commas, and a closing full stop are
//! dropped, fractions are reduced. `official` does what the released code does, with its defects
//! (§2.4 of the specification), so that one can count how many "confidently wrong" answers are
//! only written differently.

mod gpqa;
mod gsm8k;
mod math;
mod number;

use serde::{Deserialize, Serialize};

pub use number::Number;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extractor {
    /// Numbers are numbers.
    Exact,
    /// As the released code.
    Official,
}

/// Which kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Benchmark {
    /// Word problems; the answer follows four hashes.
    Gsm8k,
    /// Competition problems; the answer is boxed.
    Math,
    /// Multiple choice; the answer is a letter from A to D.
    Gpqa,
}

/// The normalised answer in a text, none where there is none. References go through the same.
#[must_use]
pub fn extract(benchmark: Benchmark, extractor: Extractor, text: &str) -> Option<String> {
    match (benchmark, extractor) {
        (Benchmark::Gsm8k, Extractor::Exact) => gsm8k::exact(text),
        (Benchmark::Gsm8k, Extractor::Official) => gsm8k::official(text),
        (Benchmark::Math, Extractor::Exact) => math::exact(text),
        (Benchmark::Math, Extractor::Official) => math::official(text),
        (Benchmark::Gpqa, Extractor::Exact) => gpqa::exact(text),
        (Benchmark::Gpqa, Extractor::Official) => gpqa::official(text),
    }
}
