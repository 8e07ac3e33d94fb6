//! Tier 3: traces that other models wrote, scored by a real model.
//!
//! The traces come from other policies, so nothing here is a moment of the model's own sampling: it
//! is the analogue of the paper's appendix B on public data, with the gradient beside it.

use std::collections::BTreeMap;

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};

use super::condition;
use super::real_tree::{DATA, SOLUTIONS, WEIGHTS, open};
use crate::method::theory::{distance_sq, dot};
use crate::paper::Config;
use crate::real::{Question, RecordedScore, Solution, read_questions};

/// Name of the experiment.
pub const REAL_RECORDED: &str = "real-recorded";

/// One cell; none at smoke. At full every question that qualifies is scored.
pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let n_questions = match effort.scale {
        Scale::Smoke => return Vec::new(),
        Scale::Quick => config.recorded_questions,
        Scale::Full | Scale::Paper => usize::MAX,
    };
    let cell = Cell::new(REAL_RECORDED, 0).with("questions", n_questions);
    vec![cell.needs(format!("models/{WEIGHTS}")).needs(DATA)]
}

/// A question with at least two different right traces and a wrong one.
fn qualifies(question: &Question) -> bool {
    question.correct().len() >= 2 && !question.wrong().is_empty()
}

/// What one question yields.
struct Scored {
    number: usize,
    /// Right solutions, then wrong ones, with the answer of each.
    solutions: Vec<(String, bool, RecordedScore)>,
}

/// Measures the cell.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let n_questions: usize = condition(cell, "questions")?;
    let questions = read_questions(&cx.data(DATA)?.file(SOLUTIONS)?)?;
    let chosen: Vec<&Question> = questions.iter().filter(|q| qualifies(q)).collect();
    cx.row(Row::new("questions_that_qualify", chosen.len() as f64, "1"))?;
    let chosen = &chosen[..n_questions.min(chosen.len())];
    let model = open(&cx.weights(WEIGHTS)?, cx.threads())?;
    let watch = cx.stopwatch();
    let mut scored = Vec::with_capacity(chosen.len());
    for (done, question) in chosen.iter().enumerate() {
        let solutions: Vec<&Solution> = [question.correct(), question.wrong()].concat();
        let found = model.recorded(question, &solutions)?;
        let pairs = solutions.iter().zip(found);
        scored.push(Scored {
            number: question.number,
            solutions: pairs
                .map(|(s, score)| (s.answer.clone(), s.is_correct, score))
                .collect(),
        });
        cx.progress(done as u64 + 1, chosen.len() as u64);
    }
    let per_question = watch.elapsed().cpu_s / chosen.len().max(1) as f64;
    cx.timing(Row::new("question_cpu_s", per_question, "s"))?;
    let gradients: Vec<Gradients> = scored
        .iter()
        .map(|question| Gradients::of(question, config.beta))
        .collect::<Result<_>>()?;
    for (question, own) in scored.iter().zip(&gradients) {
        let item = format!("gsm8k-{:04}", question.number);
        let rows = dispersion_rows(question).into_iter();
        for row in rows.chain(own.rows(&gradients)) {
            cx.row(row.item(&item))?;
        }
    }
    Ok(())
}

/// Spread of log-probability and length over the recorded responses of a question, with the trace
/// and with the answer alone.
fn dispersion_rows(question: &Scored) -> Vec<Row> {
    let of = |value: &dyn Fn(&RecordedScore) -> f64| -> f64 {
        let values: Vec<f64> = question
            .solutions
            .iter()
            .map(|(_, _, s)| value(s))
            .collect();
        variance(&values)
    };
    let modes = [
        ("thinking", of(&|s| s.joint), of(&|s| s.n_tokens as f64)),
        ("empty", of(&|s| s.bare), of(&|s| s.n_bare_tokens as f64)),
    ];
    let rows = modes.into_iter().flat_map(|(mode, logprob, length)| {
        [
            Row::new("logprob_variance", logprob, "nats²").tag("mode", mode),
            Row::new("logprob_deviation", logprob.sqrt(), "nats").tag("mode", mode),
            Row::new("length_deviation", length.sqrt(), "tokens").tag("mode", mode),
        ]
    });
    let n = question.solutions.len() as f64;
    rows.chain([Row::new("solutions", n, "1")]).collect()
}

/// Sample variance; 0 for fewer than two values.
fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

/// Gradients of one question at the reference, where the loss has slope −β/2.
struct Gradients {
    /// Mean of `g_t` over the recorded traces.
    mean: Vec<f64>,
    /// `V_r` from the spread over traces of the same answers.
    trace_variance: f64,
    /// What the means of so few traces carry of it.
    error_of_mean: f64,
    /// `g_e`.
    bare: Vec<f64>,
    /// F8, where two replicates are there.
    replicates: Option<(f64, f64)>,
}

impl Gradients {
    fn of(question: &Scored, beta: f64) -> Result<Self> {
        let scale = -0.5 * beta;
        let right: Vec<&RecordedScore> = question
            .solutions
            .iter()
            .filter(|(_, is_correct, _)| *is_correct)
            .map(|(_, _, score)| score)
            .collect();
        let wrong = same_wrong_answer(question);
        let (Some(first), Some(other)) = (right.first(), wrong.first()) else {
            return Err(Error::internal(
                "a question without a right or a wrong solution",
            ));
        };
        let apart = |a: &[f64], b: &[f64]| -> Vec<f64> {
            a.iter().zip(b).map(|(a, b)| scale * (a - b)).collect()
        };
        let (plus, plus_variance) = mean_and_variance(&right);
        let (minus, minus_variance) = mean_and_variance(&wrong);
        let bare = apart(&first.bare_gradient, &other.bare_gradient);
        let replicates = (right.len() > 1 && wrong.len() > 1).then(|| {
            let one = apart(&right[0].gradient, &wrong[0].gradient);
            let two = apart(&right[1].gradient, &wrong[1].gradient);
            let to = |g: &[f64]| -> Vec<f64> { g.iter().zip(&bare).map(|(g, e)| g - e).collect() };
            (dot(&to(&one), &to(&two)), 0.5 * distance_sq(&one, &two))
        });
        let square = scale * scale;
        Ok(Self {
            mean: apart(&plus, &minus),
            trace_variance: square * (plus_variance + minus_variance),
            error_of_mean: square
                * (plus_variance / right.len() as f64 + minus_variance / wrong.len() as f64),
            bare,
            replicates,
        })
    }

    fn rows(&self, all: &[Self]) -> Vec<Row> {
        let n = all.len() as f64;
        let mut mean = vec![0.0; self.mean.len()];
        for other in all {
            for (sum, value) in mean.iter_mut().zip(&other.mean) {
                *sum += value / n;
            }
        }
        let raw = distance_sq(&self.mean, &mean) * n / (n - 1.0).max(1.0);
        // The means of few traces scatter by themselves; that part is no variance of the data.
        let data = (raw - self.error_of_mean).max(0.0);
        let bare_sq = dot(&self.bare, &self.bare);
        let along = dot(&self.bare, &self.mean);
        let norm = (bare_sq * dot(&self.mean, &self.mean)).sqrt();
        let mut rows = vec![
            Row::new("trace_variance", self.trace_variance, "squared gradient"),
            Row::new("data_variance", data, "squared gradient"),
            Row::new(
                "trace_share",
                self.trace_variance / (self.trace_variance + data),
                "1",
            ),
            Row::new("empty_sq", bare_sq, "squared gradient"),
            Row::new("cosine", along / norm, "1"),
        ];
        if let Some((bias, variance)) = self.replicates {
            rows.push(Row::new("f8_squared_bias", bias, "squared gradient"));
            rows.push(Row::new("f8_trace_variance", variance, "squared gradient"));
        }
        rows
    }
}

/// The wrong answer with most different traces (the first among equals).
fn same_wrong_answer(question: &Scored) -> Vec<&RecordedScore> {
    let mut order: Vec<&str> = Vec::new();
    let mut by_answer: BTreeMap<&str, Vec<&RecordedScore>> = BTreeMap::new();
    for (answer, is_correct, score) in &question.solutions {
        if !is_correct {
            let known = by_answer.entry(answer).or_default();
            if known.is_empty() {
                order.push(answer);
            }
            known.push(score);
        }
    }
    let most = order.into_iter().reduce(|best, answer| {
        if by_answer[answer].len() > by_answer[best].len() {
            answer
        } else {
            best
        }
    });
    most.and_then(|answer| by_answer.remove(answer))
        .unwrap_or_default()
}

/// Mean gradient, and the trace of the sample covariance; 0 for a single one.
fn mean_and_variance(scores: &[&RecordedScore]) -> (Vec<f64>, f64) {
    let n = scores.len() as f64;
    let width = scores.first().map_or(0, |score| score.gradient.len());
    let mut mean = vec![0.0; width];
    for score in scores {
        for (sum, value) in mean.iter_mut().zip(&score.gradient) {
            *sum += value / n;
        }
    }
    let spread: f64 = scores.iter().map(|s| distance_sq(&s.gradient, &mean)).sum();
    let variance = if scores.len() > 1 {
        spread / (n - 1.0)
    } else {
        0.0
    };
    (mean, variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(gradient: [f64; 2], joint: f64) -> RecordedScore {
        RecordedScore {
            joint,
            gradient: gradient.to_vec(),
            n_tokens: 10,
            bare: -2.0,
            bare_gradient: vec![1.0, 0.0],
            n_bare_tokens: 3,
        }
    }

    fn question() -> Scored {
        Scored {
            number: 7,
            solutions: vec![
                ("4".to_owned(), true, score([1.0, 0.0], -5.0)),
                ("4".to_owned(), true, score([3.0, 2.0], -9.0)),
                ("5".to_owned(), false, score([0.0, 0.0], -7.0)),
                ("6".to_owned(), false, score([0.0, 1.0], -7.0)),
                ("6".to_owned(), false, score([0.0, 3.0], -7.0)),
            ],
        }
    }

    #[test]
    fn variances_are_those_of_traces_of_the_same_answer() {
        let own = Gradients::of(&question(), 2.0).unwrap();
        // Right: distance² 2 from the mean each, 2·2/1 = 4; wrong answer 6: 1 + 1 = 2; scale 1.
        assert!((own.trace_variance - 6.0).abs() < 1e-12);
        assert!((own.error_of_mean - 3.0).abs() < 1e-12);
        // −(mean right − mean wrong) = −((2, 1) − (0, 2)).
        assert_eq!(own.mean, [-2.0, 1.0]);
        // Replicates: −(1, −1) and −(3, −1); g_e = 0.
        let (bias, variance) = own.replicates.unwrap();
        assert!((bias - 4.0).abs() < 1e-12 && (variance - 2.0).abs() < 1e-12);
    }

    #[test]
    fn spread_is_over_all_responses_of_a_question() {
        let rows = dispersion_rows(&question());
        let value = |metric: &str, mode: &str| {
            let found = rows.iter().find(|row| {
                row.metric == metric && row.tags.get("mode").map(String::as_str) == Some(mode)
            });
            found.and_then(|row| row.value).unwrap()
        };
        // −5, −9, −7, −7, −7: squares 4 + 4 over 4.
        assert!((value("logprob_variance", "thinking") - 2.0).abs() < 1e-12);
        assert_eq!(value("logprob_variance", "empty"), 0.0);
        assert_eq!(value("length_deviation", "thinking"), 0.0);
    }
}
