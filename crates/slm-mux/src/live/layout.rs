//! Few-shot prompts: how examples and the question are laid out, and how answers are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::chat::{Message, Role};
use serde::{Deserialize, Serialize};

use super::tasks::{Item, Task};
use crate::protocols::{Aspect, Question, Wording};

/// Tokens of an answer at most.
pub const N_TOKENS_MAX: usize = 10;

/// How a prompt is laid out. The same weights under two layouts are two members of the pool, but no
/// independent models; their errors' correlation is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `Q: … / A: …`.
    Qa,
    /// `… -> …`.
    Arrow,
    /// `"…" becomes "…".`
    Sentence,
}

impl Layout {
    /// Name in models' names.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Qa => "qa",
            Self::Arrow => "arrow",
            Self::Sentence => "sentence",
        }
    }

    /// One solved example.
    fn solved(self, input: &str, output: &str) -> String {
        match self {
            Self::Qa => format!("Q: {input}\nA: {output}\n\n"),
            Self::Arrow => format!("{input} -> {output}\n"),
            Self::Sentence => format!("\"{input}\" becomes \"{output}\".\n"),
        }
    }

    /// The question with what is known about it, open at its end.
    fn open(self, input: &str, notes: &[(&str, String)]) -> String {
        match self {
            Self::Qa => {
                let lines = notes.iter().map(|(what, who)| format!("{what}: {who}\n"));
                let lines: String = lines.collect();
                format!("Q: {input}\n{lines}A:")
            }
            Self::Arrow => format!("{input}{} ->", in_brackets(notes)),
            Self::Sentence => format!("\"{input}\"{} becomes \"", in_brackets(notes)),
        }
    }

    fn stop(self) -> Vec<String> {
        match self {
            Self::Qa | Self::Arrow => vec!["\n".to_owned()],
            Self::Sentence => vec!["\n".to_owned(), "\"".to_owned()],
        }
    }
}

fn in_brackets(notes: &[(&str, String)]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let notes: Vec<String> = notes
        .iter()
        .map(|(what, who)| format!("{}: {who}", what.to_lowercase()))
        .collect();
    format!(" ({})", notes.join(", "))
}

/// An answer as it is compared: its first line, stripped and lower-cased; `None` where nothing is
/// left.
///
/// ```
/// # use slm_mux::live::normalised;
/// assert_eq!(normalised(" New Delhi \nQ: next").as_deref(), Some("new delhi"));
/// assert_eq!(normalised("  \nlater"), None);
/// ```
#[must_use]
pub fn normalised(text: &str) -> Option<String> {
    let line = text.split('\n').next().unwrap_or_default().trim();
    (!line.is_empty()).then(|| line.to_lowercase())
}

/// Few-shot prompts of one layout and one number of examples, over all tasks.
#[derive(Clone, Debug)]
pub struct FewShot {
    layout: Layout,
    n_shots: usize,
    shots: Arc<BTreeMap<String, Vec<Item>>>,
}

/// The examples of all tasks, for [`FewShot::new`].
#[must_use]
pub fn shots_of(tasks: &[Task]) -> Arc<BTreeMap<String, Vec<Item>>> {
    let shots = tasks
        .iter()
        .map(|task| (task.name.clone(), task.shots.clone()));
    Arc::new(shots.collect())
}

impl FewShot {
    /// Prompts with the first `n_shots` examples of each task.
    #[must_use]
    pub fn new(layout: Layout, n_shots: usize, shots: Arc<BTreeMap<String, Vec<Item>>>) -> Self {
        Self {
            layout,
            n_shots,
            shots,
        }
    }

    /// The prompt up to the question: the same for every question of a task.
    fn examples(&self, task: &str) -> String {
        self.shots(task)
            .iter()
            .map(|shot| self.layout.solved(shot.input.trim(), shot.output.trim()))
            .collect()
    }

    fn shots(&self, task: &str) -> &[Item] {
        let shots = self.shots.get(task).map_or(&[][..], Vec::as_slice);
        &shots[..shots.len().min(self.n_shots)]
    }

    fn prompt(&self, question: &Question, notes: &[(&str, String)]) -> Vec<Message> {
        let mut text = self.examples(&question.task);
        text.push_str(&self.layout.open(&question.text, notes));
        vec![Message::new(Role::User, text)]
    }
}

/// Texts of other agents on one line, without what could end or break it.
fn listed(texts: &[&str]) -> String {
    let lines = texts.iter().map(|text| {
        let line = text.split('\n').next().unwrap_or_default().trim();
        if line.is_empty() { "nothing" } else { line }
    });
    lines.collect::<Vec<_>>().join("; ")
}

impl Wording for FewShot {
    fn ask(&self, question: &Question) -> Vec<Message> {
        self.prompt(question, &[])
    }

    fn reconsider(&self, question: &Question, own: &str, peers: &[&str]) -> Vec<Message> {
        let notes = [
            ("First answer", listed(&[own])),
            ("Other answers", listed(peers)),
        ];
        self.prompt(question, &notes)
    }

    fn aggregate(&self, question: &Question, proposals: &[&str]) -> Vec<Message> {
        self.prompt(question, &[("Proposed answers", listed(proposals))])
    }

    /// The examples become examples of verification: every second one shows another example's
    /// answer and is refused.
    fn verify(&self, question: &Question, candidate: &str, _: Aspect) -> Vec<Message> {
        let ask = |input: &str, answer: &str| {
            format!("Q: {input}\nProposed answer: {answer}\nIs the proposed answer right?")
        };
        let shots = self.shots(&question.task);
        let mut text = String::new();
        for (idx, shot) in shots.iter().enumerate() {
            let others = shots.iter().cycle().skip(idx + 1).take(shots.len());
            let mut others = others.filter(|other| other.output != shot.output);
            let wrong = (idx % 2 == 1).then(|| others.next()).flatten();
            let (shown, verdict) = match wrong {
                Some(other) => (&other.output, "no"),
                None => (&shot.output, "yes"),
            };
            let asked = ask(shot.input.trim(), shown.trim());
            text.push_str(&format!("{asked} {verdict}\n\n"));
        }
        text.push_str(&ask(&question.text, &listed(&[candidate])));
        vec![Message::new(Role::User, text)]
    }

    fn read(&self, text: &str) -> Option<String> {
        normalised(text)
    }

    fn stop(&self) -> Vec<String> {
        self.layout.stop()
    }

    fn n_tokens_max(&self) -> usize {
        N_TOKENS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn few_shot(layout: Layout) -> FewShot {
        let shot = |input: &str, output: &str| Item {
            input: input.to_owned(),
            output: output.to_owned(),
        };
        let shots = vec![shot("up", "down"), shot("hot", "cold"), shot("in", "out")];
        let shots = BTreeMap::from([("antonym".to_owned(), shots)]);
        FewShot::new(layout, 2, Arc::new(shots))
    }

    fn question() -> Question {
        Question {
            id: "antonym/000".to_owned(),
            task: "antonym".to_owned(),
            text: "left".to_owned(),
            reference: "right".to_owned(),
        }
    }

    fn text(messages: &[Message]) -> &str {
        &messages[0].content
    }

    #[test]
    fn prompts_end_where_the_answer_begins() {
        let expected = [
            (
                Layout::Qa,
                "Q: up\nA: down\n\nQ: hot\nA: cold\n\nQ: left\nA:",
            ),
            (Layout::Arrow, "up -> down\nhot -> cold\nleft ->"),
            (
                Layout::Sentence,
                "\"up\" becomes \"down\".\n\"hot\" becomes \"cold\".\n\"left\" becomes \"",
            ),
        ];
        for (layout, prompt) in expected {
            assert_eq!(text(&few_shot(layout).ask(&question())), prompt);
        }
    }

    #[test]
    fn peers_and_proposals_stand_before_the_answer() {
        let qa = few_shot(Layout::Qa);
        let said = qa.reconsider(&question(), " up\nQ: x", &["", "right"]);
        let end = "Q: left\nFirst answer: up\nOther answers: nothing; right\nA:";
        assert!(text(&said).ends_with(end), "{}", text(&said));
        let arrow = few_shot(Layout::Arrow);
        let said = arrow.aggregate(&question(), &["right", "up"]);
        let end = "left (proposed answers: right; up) ->";
        assert!(text(&said).ends_with(end), "{}", text(&said));
    }

    #[test]
    fn verification_shows_right_and_wrong_examples() {
        let said = few_shot(Layout::Qa).verify(&question(), "right", Aspect::Overall);
        let text = text(&said);
        assert!(text.contains("Q: up\nProposed answer: down\nIs the proposed answer right? yes"));
        assert!(text.contains("Q: hot\nProposed answer: down\nIs the proposed answer right? no"));
        assert!(text.ends_with("Proposed answer: right\nIs the proposed answer right?"));
    }
}
