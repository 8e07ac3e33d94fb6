//! Part B: the methods in which models read each other, asked live, question by question.

use std::path::Path;
use std::sync::Arc;

use eval::{Cell, Cx, Error, Result, Row};
use futures_util::StreamExt;
use futures_util::stream;
use model::chat::block_on;
use serde::{Deserialize, Serialize};

use super::Recordings;
use super::live::condition;
use super::live_setup::{LiveSetup, N_PARTS, SLMS, TEMPERATURES, TRIO, recorded};
use crate::live::{FewShot, Speaker, Task, shots_of};
use crate::protocols::{
    Agent, Asking, Aspect, Debate, Mixture, Question, Tokens, Verified, Verifier, Wording, debate,
    mixture, single_best, verification,
};
use crate::samples::SampleTable;

/// Rounds of a debate; its published program has two.
const N_ROUNDS: usize = 2;
/// Layers of proposers.
const N_LAYERS: usize = 1;
/// Candidates of verification, and samples of the rule that it is compared with. Paper: k = 3.
const N_CANDIDATES: usize = 3;
/// Questions under way at a time: their answers are computed in shared batches.
const N_CONCURRENT: usize = 8;

/// What every method said about one question.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    question: Question,
    /// One greedy answer of each member of the trio, in order.
    greedy: Vec<Greedy>,
    debate: Debate,
    mixture: Mixture,
    verification: Verified,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Greedy {
    answer: Option<String>,
    tokens: Tokens,
}

/// Asks the trio about the test questions of some tasks, or finds the answers in an earlier run or
/// in the cache.
pub fn run(cx: &mut Cx, cell: &Cell, replay: Option<&Recordings>) -> Result<()> {
    let setup = LiveSetup::of_cell(cell)?;
    let best = best_of_trio(cx, &setup, replay)?;
    let answers = match replay {
        Some(recordings) => recordings.transcript(cell)?,
        None => asked(cx, cell, &setup, best)?,
    };
    for answers in answers {
        cx.transcript(&answers)?;
        emit(cx, &answers, best)?;
    }
    Ok(())
}

fn asked(cx: &mut Cx, cell: &Cell, setup: &LiveSetup, best: usize) -> Result<Vec<Answers>> {
    let part: usize = condition(cell, "part")?;
    let key = (
        "protocols",
        setup,
        part,
        best,
        TRIO,
        N_ROUNDS,
        N_LAYERS,
        N_CANDIDATES,
    );
    let tasks = setup.tasks(cx, Some(part))?;
    let watch = cx.stopwatch();
    let sources = SLMS
        .iter()
        .map(|(_, weights)| cx.weights(weights))
        .collect::<Result<Vec<_>>>()?;
    let n_threads = cx.threads();
    let folder = cx.stage("live-protocols", &key, |folder| {
        let speakers = sources
            .iter()
            .map(|files| Speaker::of_files(files, n_threads))
            .collect::<Result<Vec<_>>>()?;
        let floor = Floor::new(setup, &speakers, &tasks, best)?;
        let questions: Vec<&Question> = tasks.iter().flat_map(|task| &task.test).collect();
        let answers = block_on(floor.answer_all(&questions))??;
        write(&folder.join("answers.jsonl"), &answers)
    })?;
    cx.timing(Row::new("protocols_wall_s", watch.elapsed().wall_s, "s"))?;
    read(&folder.join("answers.jsonl"))
}

/// The member of the trio with the highest validation accuracy at the comparison's temperature.
fn best_of_trio(cx: &mut Cx, setup: &LiveSetup, replay: Option<&Recordings>) -> Result<usize> {
    let mut records = Vec::new();
    for (slm, _) in SLMS {
        for part in 0..N_PARTS {
            let [low, _] = recorded(cx, setup, slm, part, replay)?.samples;
            records.extend(low.into_iter().filter(|r| r.split == "validation"));
        }
    }
    let table = SampleTable::from_records(&records)?;
    let accuracies = table.accuracies();
    let of = |name: &str| {
        let place = table.models().iter().position(|known| known == name);
        place.map_or(0.0, |place| accuracies[place])
    };
    let mut best = 0;
    for (idx, name) in TRIO.iter().enumerate() {
        if of(name) > of(TRIO[best]) {
            best = idx;
        }
    }
    Ok(best)
}

/// Everybody who takes part.
struct Floor {
    agents: Vec<Agent>,
    verifiers: Vec<Arc<dyn Verifier>>,
    best: usize,
    seed: u64,
}

impl Floor {
    fn new(setup: &LiveSetup, speakers: &[Speaker], tasks: &[Task], best: usize) -> Result<Self> {
        let shots = shots_of(tasks);
        let mut agents = Vec::new();
        let mut verifiers: Vec<Arc<dyn Verifier>> = Vec::new();
        for ((slm, _), speaker) in SLMS.iter().zip(speakers) {
            let mut judge: Option<Arc<dyn Wording>> = None;
            for member in setup.members(slm) {
                if !TRIO.contains(&member.name().as_str()) {
                    continue;
                }
                let few_shot = FewShot::new(member.layout, member.n_shots, Arc::clone(&shots));
                let wording: Arc<dyn Wording> = Arc::new(few_shot);
                judge.get_or_insert_with(|| Arc::clone(&wording));
                agents.push(Agent {
                    name: member.name(),
                    model: speaker.chat(),
                    wording,
                });
            }
            if let Some(wording) = judge {
                verifiers.push(Arc::new(speaker.verifier(wording)?));
            }
        }
        agents.sort_by_key(|agent| TRIO.iter().position(|name| *name == agent.name));
        Ok(Self {
            agents,
            verifiers,
            best,
            seed: setup.seed,
        })
    }

    async fn answer_all(&self, questions: &[&Question]) -> Result<Vec<Answers>> {
        let asked = stream::iter(questions)
            .map(|question| self.answer(question))
            .buffered(N_CONCURRENT);
        let outcomes: Vec<Result<Answers>> = asked.collect().await;
        outcomes.into_iter().collect()
    }

    async fn answer(&self, question: &Question) -> Result<Answers> {
        let asking = Asking {
            temperature: TEMPERATURES[0],
            seed: self.seed,
        };
        let mut greedy = Vec::new();
        for agent in &self.agents {
            let decision = single_best(agent, question).await?;
            greedy.push(Greedy {
                answer: decision.answer,
                tokens: decision.tokens,
            });
        }
        let best = &self.agents[self.best];
        let debate = debate(&self.agents, question, N_ROUNDS, asking).await?;
        let mixture = mixture(&self.agents, best, question, N_LAYERS, asking).await?;
        let aspects = [Aspect::Overall];
        let verified = verification(
            best,
            &self.verifiers,
            &aspects,
            question,
            N_CANDIDATES,
            asking,
        );
        Ok(Answers {
            question: question.clone(),
            greedy,
            debate,
            mixture,
            verification: verified.await?,
        })
    }
}

fn emit(cx: &mut Cx, answers: &Answers, best: usize) -> Result<()> {
    let question = &answers.question;
    let greedy = &answers.greedy[best];
    let methods = [
        ("single-greedy", greedy.answer.as_deref(), greedy.tokens),
        (
            "debate",
            answers.debate.answer.as_deref(),
            answers.debate.tokens,
        ),
        (
            "moa",
            answers.mixture.aggregate.answer.as_deref(),
            answers.mixture.tokens,
        ),
        (
            "mav",
            answers.verification.answer.as_deref(),
            answers.verification.tokens,
        ),
    ];
    let tagged = |row: Row, method: &str| {
        row.item(&question.id)
            .tag("task", &question.task)
            .tag("pool", "trio")
            .tag("k", N_CANDIDATES)
            .tag("method", method)
    };
    for (method, answer, tokens) in methods {
        let right = f64::from(question.is_right(answer));
        cx.row(tagged(Row::new("right", right, "share"), method))?;
        let tokens = tokens.total() as f64;
        cx.row(tagged(Row::new("tokens", tokens, "tokens"), method))?;
    }
    for (member, greedy) in TRIO.iter().zip(&answers.greedy) {
        let right = f64::from(question.is_right(greedy.answer.as_deref()));
        cx.row(tagged(Row::new("greedy_right", right, "share"), member))?;
    }
    if let Some(failure) = answers.debate.failure(question) {
        for (metric, holds) in [
            ("debate_failure_had_right_answer", failure.had_right_answer),
            ("debate_failure_conformed", failure.conformed),
        ] {
            cx.row(tagged(Row::new(metric, f64::from(holds), "1"), "debate"))?;
        }
    }
    Ok(())
}

fn write(path: &Path, lines: &[Answers]) -> Result<()> {
    let mut text = String::new();
    for line in lines {
        let line = serde_json::to_string(line)
            .map_err(|e| Error::internal("an answer cannot be written").caused_by(e))?;
        text.push_str(&line);
        text.push('\n');
    }
    std::fs::write(path, text).map_err(|e| Error::io("write", path, e))
}

fn read(path: &Path) -> Result<Vec<Answers>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let parse = |line: &str| {
        serde_json::from_str(line).map_err(|e| {
            Error::incomplete(format!("`{}` is damaged", path.display()))
                .caused_by(e)
                .hint("remove its folder from the cache and run again")
        })
    };
    text.lines().map(parse).collect()
}
