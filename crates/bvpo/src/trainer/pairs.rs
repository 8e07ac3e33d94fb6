//! `bvpo pairs`: files of preference pairs from recorded solutions, or from samples and scores.

use std::collections::BTreeMap;
use std::path::Path;

use eval::{Error, Result, exit, output};
use serde::{Deserialize, Serialize};

use super::args::{PairsCommand, RankArgs, RecordedArgs};
use super::rows::{PairRow, Preference, Response, read_lines, write_lines};
use super::sampled::{Mode, Sampled, sample};
use crate::real::{Question, Solution, read_questions, said};

/// Carries `bvpo pairs` out and gives the exit code.
///
/// # Errors
/// An input is wrong, or the output cannot be written.
pub fn pairs(command: &PairsCommand) -> Result<u8> {
    match command {
        PairsCommand::Recorded(args) => from_recorded(args)?,
        PairsCommand::Sample(args) => sample(args)?,
        PairsCommand::Rank(args) => rank(args)?,
    }
    Ok(exit::COMPLETE)
}

fn from_recorded(args: &RecordedArgs) -> Result<()> {
    let questions = read_questions(&args.solutions)?;
    let rows: Vec<PairRow> = questions
        .iter()
        .filter_map(|question| recorded_row(question, args.replicates as usize))
        .take(args.limit.unwrap_or(u64::MAX) as usize)
        .collect();
    finish(&rows, &args.output, questions.len())
}

/// The pairs of one question: as many replicates as it has different right and wrong traces, and an
/// empty pair whose wrong answer is another than that of the first pair where there is one. None
/// where there are fewer than `n_min` replicates.
fn recorded_row(question: &Question, n_min: usize) -> Option<PairRow> {
    let response = |solution: &Solution| Response {
        reasoning: Some(solution.trace.clone()),
        answer: said(&solution.answer),
        score: None,
    };
    let (correct, wrong) = (question.correct(), question.wrong());
    let thinking: Vec<Preference> = correct
        .iter()
        .zip(&wrong)
        .map(|(chosen, rejected)| Preference {
            chosen: response(chosen),
            rejected: response(rejected),
        })
        .collect();
    if thinking.len() < n_min.max(1) {
        return None;
    }
    let answers = question.wrong_answers();
    let first = wrong.first()?.answer.as_str();
    let other = answers.iter().find(|answer| **answer != first);
    let bare = |answer: &str| Response {
        reasoning: None,
        answer: said(answer),
        score: None,
    };
    Some(PairRow {
        id: format!("gsm8k-test-{:04}", question.number),
        prompt: Some(question.text.clone()),
        messages: Vec::new(),
        thinking,
        empty: Some(Preference {
            chosen: bare(&correct.first()?.answer),
            rejected: bare(other.unwrap_or(&first)),
        }),
    })
}

fn finish(rows: &[PairRow], path: &Path, n_prompts: usize) -> Result<()> {
    if rows.is_empty() {
        let message = format!("none of {n_prompts} prompts gives a pair");
        return Err(Error::inputs(message).hint(
            "a pair needs two different responses; take more samples, or a smaller `--gap`",
        ));
    }
    write_lines(path, rows)?;
    output::note(&format!("{} rows from {n_prompts} prompts", rows.len()));
    output::data(&format!("{}\n", path.display()))
}

/// The score of one sample, as a reward model's file gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Score {
    id: String,
    mode: Mode,
    sample: usize,
    score: f64,
}

fn rank(args: &RankArgs) -> Result<()> {
    let samples: Vec<Sampled> = read_lines(&args.samples)?;
    let scores = match &args.scores {
        Some(path) => given_scores(path)?,
        None => gold_scores(&samples)?,
    };
    let mut prompts: Vec<&str> = Vec::new();
    let mut by_prompt: BTreeMap<&str, Vec<(&Sampled, f64)>> = BTreeMap::new();
    for (line_idx, sampled) in samples.iter().enumerate() {
        let key = (sampled.id.clone(), sampled.mode, sampled.sample);
        let Some(score) = scores.get(&key) else {
            return Err(Error::usage(format!(
                "`{}`, line {}: no score for sample {} of `{}`",
                args.samples.display(),
                line_idx + 1,
                sampled.sample,
                output::printable(&sampled.id)
            ))
            .hint("every sample needs a line in the file of `--scores`"));
        };
        let known = by_prompt.entry(&sampled.id).or_default();
        if known.is_empty() {
            prompts.push(&sampled.id);
        }
        known.push((sampled, *score));
    }
    let rows: Vec<PairRow> = prompts
        .iter()
        .filter_map(|id| ranked_row(&by_prompt[id], args.gap))
        .collect();
    finish(&rows, &args.output, prompts.len())
}

type Scores = BTreeMap<(String, Mode, usize), f64>;

fn given_scores(path: &Path) -> Result<Scores> {
    let mut scores = Scores::new();
    for (line_idx, line) in read_lines::<Score>(path)?.into_iter().enumerate() {
        let refused = |what: String| {
            let (shown, line) = (path.display(), line_idx + 1);
            Err(Error::usage(format!("`{shown}`, line {line}: {what}")))
        };
        if !line.score.is_finite() {
            return refused(format!("a score of {}", line.score));
        }
        let id = output::printable(&line.id);
        if scores
            .insert((line.id, line.mode, line.sample), line.score)
            .is_some()
        {
            return refused(format!("sample {} of `{id}` has two scores", line.sample));
        }
    }
    Ok(scores)
}

/// 1 where the last number of an answer is the expected one, else 0.
fn gold_scores(samples: &[Sampled]) -> Result<Scores> {
    let score = |sampled: &Sampled| {
        let Some(gold) = &sampled.gold else {
            let id = output::printable(&sampled.id);
            return Err(
                Error::usage(format!("`{id}` has no `gold` answer to compare with"))
                    .hint("give `--scores`, or prompts with `gold`"),
            );
        };
        let is_right = last_number(&sampled.answer) == last_number(gold);
        let key = (sampled.id.clone(), sampled.mode, sampled.sample);
        Ok((key, f64::from(is_right)))
    };
    samples.iter().map(score).collect()
}

/// The last number in a text, without thousands commas and trailing zeros of a fraction.
fn last_number(text: &str) -> Option<String> {
    let text = text.replace(',', "");
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let mut words = text.split(|c| !is_part(c)).rev();
    let value: f64 = words.find_map(|word| word.trim_end_matches(['.', '-']).parse().ok())?;
    Some(value.to_string())
}

/// Best against worst of each mode, where they are at least `gap` apart.
fn ranked_row(scored: &[(&Sampled, f64)], gap: f64) -> Option<PairRow> {
    let pair = |mode: Mode| {
        let of_mode = || {
            scored
                .iter()
                .filter(move |(sampled, _)| sampled.mode == mode)
        };
        let best = of_mode().reduce(|a, b| if b.1 > a.1 { b } else { a })?;
        let worst = of_mode().reduce(|a, b| if b.1 < a.1 { b } else { a })?;
        let differ = best.0.reasoning != worst.0.reasoning || best.0.answer != worst.0.answer;
        let response = |(sampled, score): &(&Sampled, f64)| Response {
            reasoning: sampled.reasoning.clone(),
            answer: sampled.answer.clone(),
            score: Some(*score),
        };
        (differ && best.1 - worst.1 >= gap && best.1 > worst.1).then(|| Preference {
            chosen: response(best),
            rejected: response(worst),
        })
    };
    let (thinking, empty) = (pair(Mode::Thinking), pair(Mode::Empty));
    let first = scored.first()?.0;
    (thinking.is_some() || empty.is_some()).then(|| PairRow {
        id: first.id.clone(),
        prompt: first.prompt.clone(),
        messages: first.messages.clone(),
        thinking: thinking.into_iter().collect(),
        empty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_solutions_become_replicates_and_an_empty_pair() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("solutions.jsonl");
        std::fs::write(&path, crate::real::LINES_FOR_TESTS).unwrap();
        let questions = read_questions(&path).unwrap();
        let row = recorded_row(&questions[0], 1).unwrap();
        assert_eq!(row.thinking.len(), 1);
        let pair = &row.thinking[0];
        assert_eq!(pair.chosen.reasoning.as_deref(), Some("2+2=4"));
        assert_eq!(pair.rejected.answer, "The answer is 5.");
        assert_eq!(row.empty.unwrap().rejected.answer, "The answer is 5.");
        assert_eq!(recorded_row(&questions[0], 2), None, "one wrong trace only");
        assert_eq!(recorded_row(&questions[1], 1), None, "nothing is right");
    }

    fn sampled(mode: Mode, sample: usize, answer: &str) -> Sampled {
        Sampled {
            id: "a".to_owned(),
            prompt: Some("p".to_owned()),
            messages: Vec::new(),
            gold: Some("4".to_owned()),
            mode,
            sample,
            reasoning: (mode == Mode::Thinking).then(|| format!("r{sample}")),
            answer: answer.to_owned(),
        }
    }

    #[test]
    fn best_and_worst_of_each_mode_make_a_pair() {
        let samples = [
            sampled(Mode::Thinking, 0, "It is 3."),
            sampled(Mode::Thinking, 1, "It is 4.0!"),
            sampled(Mode::Thinking, 2, "It is 5"),
            sampled(Mode::Empty, 0, "3"),
            sampled(Mode::Empty, 1, "3"),
        ];
        let scores = gold_scores(&samples).unwrap();
        assert_eq!(scores[&("a".to_owned(), Mode::Thinking, 1)], 1.0);
        let scored: Vec<(&Sampled, f64)> = samples
            .iter()
            .map(|s| (s, scores[&(s.id.clone(), s.mode, s.sample)]))
            .collect();
        let row = ranked_row(&scored, 0.5).unwrap();
        assert_eq!(row.empty, None, "equal scores are no preference");
        let pair = &row.thinking[0];
        assert_eq!(pair.chosen.reasoning.as_deref(), Some("r1"));
        assert_eq!(
            pair.rejected.reasoning.as_deref(),
            Some("r0"),
            "the first among equals"
        );
        assert_eq!(pair.chosen.score, Some(1.0));
        assert_eq!(ranked_row(&scored, 1.5), None, "the gap is too small");
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        for (text, number) in [
            ("so 1,000 apples.", Some("1000")),
            ("-3.50", Some("-3.5")),
            ("7 - 2 = 5.", Some("5")),
            ("none", None),
            ("-", None),
        ] {
            assert_eq!(last_number(text).as_deref(), number, "{text}");
        }
    }
}
