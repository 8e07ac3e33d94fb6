//! The few-shot word tasks: short questions with one exact answer.
//!
//! Data: `dataset_files/{abstractive,extractive}` of `function_vectors` (E. Todd et al., ICLR
//! 2024). The tasks are the twenty that the specification names; nothing was left out after a
//! look at results.

use std::collections::BTreeSet;
use std::path::Path;

use eval::{Error, Result};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::layout::normalised;
use crate::protocols::{Question, derived_seed};

/// The tasks of part B.
pub const TASKS: [&str; 20] = [
    "country-capital",
    "english-french",
    "english-spanish",
    "english-german",
    "present-past",
    "singular-plural",
    "park-country",
    "person-sport",
    "person-occupation",
    "landmark-country",
    "product-company",
    "capitalize_first_letter",
    "sentiment",
    "animal_v_object_3",
    "color_v_animal_3",
    "choose_first_of_3",
    "choose_last_of_3",
    "alphabetically_first_3",
    "adjective_v_verb_3",
    "fruit_v_animal_3",
];

/// Examples that a prompt can show at most.
pub const N_SHOTS_MAX: usize = 5;
/// Longer inputs are left out, so that every prompt stays short.
const N_INPUT_CHARS_MAX: usize = 120;

/// One item as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The question.
    pub input: String,
    /// The answer.
    pub output: String,
}

/// One task, split by a seed: examples, validation half, test half; no item is in two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Examples for prompts, [`N_SHOTS_MAX`] of them.
    pub shots: Vec<Item>,
    /// For validation accuracies and the search.
    pub validation: Vec<Question>,
    /// For everything that is reported.
    pub test: Vec<Question>,
}

/// How many questions of each task are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Questions of the validation half.
    pub n_validation: usize,
    /// Questions of the test half.
    pub n_test: usize,
}

/// Reads the items of one task.
///
/// # Errors
/// The file cannot be read or is no list of items.
pub fn read_items(path: &Path) -> Result<Vec<Item>> {
    let text = std::fs::read_to_string(path).map_err(|cause| Error::io("read", path, cause))?;
    serde_json::from_str(&text).map_err(|cause| {
        Error::inputs(format!(
            "`{}` is no list of inputs and outputs",
            path.display()
        ))
        .caused_by(cause)
    })
}

/// Splits the items of a task. Items of several lines, long ones, and repeated inputs are left out
/// first; then all are shuffled by the seed and dealt out: examples, validation, test.
///
/// # Errors
/// The task has too few items.
pub fn split(name: &str, items: Vec<Item>, sizes: Sizes, seed: u64) -> Result<Task> {
    let mut seen = BTreeSet::new();
    let mut items: Vec<Item> = items
        .into_iter()
        .filter(|item| {
            let text = item.input.trim();
            let is_short = !text.is_empty() && text.chars().count() <= N_INPUT_CHARS_MAX;
            let is_line = !text.contains('\n') && normalised(&item.output).is_some();
            is_short && is_line && seen.insert(text.to_lowercase())
        })
        .collect();
    let n_wanted = N_SHOTS_MAX + sizes.n_validation + sizes.n_test;
    if items.len() < n_wanted {
        return Err(Error::usage(format!(
            "the task `{name}` has {} items that can be used; {n_wanted} are asked for",
            items.len()
        ))
        .hint("lower `live_validation` or `live_test`"));
    }
    let stream = derived_seed(&["split", &seed.to_string(), name]);
    items.shuffle(&mut ChaCha20Rng::seed_from_u64(stream));
    items.truncate(n_wanted);
    let questions: Vec<Question> = items[N_SHOTS_MAX..]
        .iter()
        .enumerate()
        .map(|(idx, item)| Question {
            id: format!("{name}/{idx:03}"),
            task: name.to_owned(),
            text: item.input.trim().to_owned(),
            reference: normalised(&item.output).unwrap_or_default(),
        })
        .collect();
    let (validation, test) = questions.split_at(sizes.n_validation);
    Ok(Task {
        name: name.to_owned(),
        shots: items[..N_SHOTS_MAX].to_vec(),
        validation: validation.to_vec(),
        test: test.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(n: usize) -> Vec<Item> {
        (0..n)
            .map(|idx| Item {
                input: format!("in {idx}"),
                output: format!(" Out {idx} "),
            })
            .collect()
    }

    const SIZES: Sizes = Sizes {
        n_validation: 3,
        n_test: 4,
    };

    #[test]
    fn a_split_shares_no_item_and_repeats_itself() {
        let task = split("t", items(20), SIZES, 1).unwrap();
        assert_eq!(task, split("t", items(20), SIZES, 1).unwrap());
        assert_ne!(task, split("t", items(20), SIZES, 2).unwrap());
        let mut inputs: Vec<&str> = task.shots.iter().map(|s| s.input.as_str()).collect();
        let questions = task.validation.iter().chain(&task.test);
        inputs.extend(questions.clone().map(|q| q.text.as_str()));
        let distinct: BTreeSet<&str> = inputs.iter().copied().collect();
        assert_eq!((inputs.len(), distinct.len()), (12, 12));
        for question in questions {
            let idx = question.text.trim_start_matches("in ");
            assert_eq!(question.reference, format!("out {idx}"));
        }
    }

    #[test]
    fn unusable_items_are_left_out_before_counting() {
        let mut bad = items(12);
        bad[0].input = "two\nlines".to_owned();
        let refused = split("t", bad.clone(), SIZES, 1).unwrap_err().report();
        assert!(refused.contains("11 items"), "{refused}");
        bad.push(Item {
            input: "IN 5".to_owned(),
            output: "again".to_owned(),
        });
        assert!(split("t", bad, SIZES, 1).is_err(), "repeated inputs count");
    }
}
