//! The paper's own comparison, on GSM8K with models behind endpoints: whatever this machine cannot
//! carry (claims C10 and the frontier half of C4).
//!
//! Nothing is asked unless models are named: `endpoint_agents` are the small models, the first the
//! best one; `endpoint_frontier` are strong ones that debate among themselves; `endpoint_reference`
//! is the one large model. Addresses, keys, budgets, and caches are settings of `chat`, or come
//! from the environment as for every endpoint.

use std::path::Path;
use std::sync::Arc;

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use futures_util::StreamExt;
use futures_util::stream;
use model::chat::{CxChat, block_on};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

use super::live::condition;
use crate::answers::{Benchmark, Extractor, extract};
use crate::paper::Config;
use crate::protocols::{
    Agent, AnswerKind, Asking, Aspect, ChatWording, Question, TextVerifier, Verifier, Wording,
    debate, mixture, poll_agents, single_best, verification,
};
use crate::rule::{Policy, Ranking};

/// The experiment.
pub const ENDPOINTS: &str = "endpoints";
/// Samples of each model; the paper's comparison.
const K: usize = 3;
/// The paper's temperature.
const TEMPERATURE: f32 = 0.3;
/// Tokens of an answer at most; the official programs' limit.
const N_TOKENS_MAX: usize = 4096;
/// Tokens of a verdict at most.
const N_VERDICT_TOKENS_MAX: usize = 16;
/// Questions under way at a time.
const N_CONCURRENT: usize = 8;

/// The cell, where models are named; at scale paper only.
pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let names = listed(&config.endpoint_agents);
    if effort.scale != Scale::Paper || names.is_empty() {
        return Vec::new();
    }
    let mut cell = Cell::new(ENDPOINTS, 0)
        .with("questions", config.endpoint_questions)
        .needs("gsm8k");
    for (idx, name) in names.iter().enumerate() {
        cell = cell.with(format!("agent-{idx}"), name);
    }
    for (idx, name) in listed(&config.endpoint_frontier).iter().enumerate() {
        cell = cell.with(format!("frontier-{idx}"), name);
    }
    if !config.endpoint_reference.is_empty() {
        cell = cell.with("reference", &config.endpoint_reference);
    }
    vec![cell]
}

fn listed(names: &str) -> Vec<&str> {
    let names = names.split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).collect()
}

/// Measures the cell, if it is the one.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Option<Result<()>> {
    (cell.experiment == ENDPOINTS).then(|| endpoints(cx, config, cell))
}

/// Test questions of GSM8K in the order of the file.
///
/// # Errors
/// The file cannot be read or is not as expected.
pub fn read_questions(path: &Path, n_max: usize) -> Result<Vec<Question>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let lines = text.lines().enumerate().take(n_max);
    let questions = lines.map(|(idx, line)| {
        let bad = || Error::inputs(format!("line {} of `{}`", idx + 1, path.display()));
        let value: Value = serde_json::from_str(line).map_err(|e| bad().caused_by(e))?;
        let field = |key: &str| value[key].as_str().ok_or_else(bad);
        let answer = extract(Benchmark::Gsm8k, Extractor::Exact, field("answer")?);
        Ok(Question {
            id: format!("gsm8k/{idx:04}"),
            task: "gsm8k".to_owned(),
            text: field("question")?.to_owned(),
            reference: answer.ok_or_else(bad)?,
        })
    });
    questions.collect()
}

/// Who takes part.
struct Cast {
    agents: Vec<Agent>,
    frontier: Vec<Agent>,
    reference: Option<Agent>,
}

fn endpoints(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let path = cx.data("gsm8k")?.file("test.jsonl")?;
    let questions = read_questions(&path, condition(cell, "questions")?)?;
    let wording: Arc<dyn Wording> = Arc::new(ChatWording {
        kind: AnswerKind::Number,
        n_tokens_max: N_TOKENS_MAX,
    });
    let open = |role: String| -> Result<Option<Agent>> {
        let Some(name) = cell.get(&role) else {
            return Ok(None);
        };
        Ok(Some(Agent {
            name: name.to_owned(),
            model: cx.chat(&role, &config.chat)?.model().clone(),
            wording: Arc::clone(&wording),
        }))
    };
    let all = |kind: &str| -> Result<Vec<Agent>> {
        let mut agents = Vec::new();
        while let Some(agent) = open(format!("{kind}-{}", agents.len()))? {
            agents.push(agent);
        }
        Ok(agents)
    };
    let cast = Cast {
        agents: all("agent")?,
        frontier: all("frontier")?,
        reference: open("reference".to_owned())?,
    };
    let asked = async {
        let asked = stream::iter(&questions).map(|question| cast.answer(question));
        let outcomes = asked.buffered(N_CONCURRENT).collect::<Vec<_>>();
        outcomes.await
    };
    for (question, outcome) in questions.iter().zip(block_on(asked)?) {
        // What failed is a question without a number, not the end of the others.
        match outcome {
            Ok(rows) => rows.into_iter().try_for_each(|row| cx.row(row))?,
            Err(error) => {
                let row = Row::failed("right", "share", error.to_string()).item(&question.id);
                cx.row(row.tag("pool", ENDPOINTS))?;
            }
        }
    }
    Ok(())
}

impl Cast {
    async fn answer(&self, question: &Question) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.small(question, &mut rows).await?;
        if let [best, ..] = &self.frontier[..] {
            let mut emit = emitter(question, "frontier", &mut rows);
            emit("single-greedy", single_best(best, question).await?.answer);
            let (team, asking) = (&self.frontier, asking());
            emit("debate", debate(team, question, 2, asking).await?.answer);
            let mixed = mixture(team, best, question, 1, asking).await?;
            emit("moa", mixed.aggregate.answer);
        }
        Ok(rows)
    }

    async fn small(&self, question: &Question, rows: &mut Vec<Row>) -> Result<()> {
        let agents = &self.agents;
        let Some(best) = agents.first() else {
            return Ok(());
        };
        let mut emit = emitter(question, ENDPOINTS, rows);
        emit("single-greedy", single_best(best, question).await?.answer);
        let poll = poll_agents(agents, question, (K, false), asking()).await?;
        // Agents are named best first.
        let ranking = Ranking::list_order(agents.len());
        let mut random = ChaCha20Rng::seed_from_u64(0);
        let chosen = poll.mux(&Policy::reproduction(), &ranking, &mut random);
        emit("mux", chosen.answer);
        emit(
            "debate",
            debate(agents, question, 2, asking()).await?.answer,
        );
        let mixed = mixture(agents, best, question, 1, asking()).await?;
        emit("moa", mixed.aggregate.answer);
        let verifiers: [Arc<dyn Verifier>; 1] = [Arc::new(TextVerifier {
            model: Arc::clone(&best.model),
            wording: Arc::clone(&best.wording),
            n_tokens_max: N_VERDICT_TOKENS_MAX,
        })];
        let verified = verification(best, &verifiers, &Aspect::ALL, question, K, asking());
        emit("mav", verified.await?.answer);
        if let Some(large) = &self.reference {
            emit("reference", single_best(large, question).await?.answer);
        }
        Ok(())
    }
}

fn asking() -> Asking {
    Asking {
        temperature: TEMPERATURE,
        seed: 0,
    }
}

/// Adds a row per method.
fn emitter<'a>(
    question: &'a Question,
    pool: &'a str,
    rows: &'a mut Vec<Row>,
) -> impl FnMut(&str, Option<String>) + 'a {
    move |method, answer| {
        let right = f64::from(question.is_right(answer.as_deref()));
        let row = Row::new("right", right, "share").item(&question.id);
        rows.push(row.tag("pool", pool).tag("k", K).tag("method", method));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use eval::digest::Digest;
    use eval::{Input, InputFile, InputState, Inputs};
    use model::chat::{ChatModel, ChatRequest, EndpointSettings, Scripted};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::serve::{Member, MuxApp, MuxSettings, router};

    /// A server of OpenAI's protocol on the loopback interface that answers by a script.
    fn server(script: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
        let model = Scripted::function("scripted", move |request: &ChatRequest, _| {
            let said: String = request
                .messages
                .iter()
                .map(|m| m.content.as_str())
                .collect();
            Ok(script(&said))
        });
        let member = Member {
            name: "scripted".to_owned(),
            model: Arc::new(model) as Arc<dyn ChatModel>,
        };
        let settings = MuxSettings {
            model_id: "m".to_owned(),
            k: 1,
            n_tokens_max: N_TOKENS_MAX,
            ..MuxSettings::default()
        };
        let app = MuxApp::new(vec![member], settings).unwrap();
        block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move { axum::serve(listener, router(app)).await });
            format!("http://{address}/v1")
        })
        .unwrap()
    }

    fn settings(url: String) -> EndpointSettings {
        let mut settings = EndpointSettings::new(url, "m");
        // The scripted server answers one sample per call, as many servers do.
        settings.samples = model::chat::SampleCalls::Separate;
        settings
    }

    #[test]
    fn named_endpoints_are_asked_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("test.jsonl");
        let lines = [
            json!({ "question": "Two and two?", "answer": "2+2=4\n#### 4" }),
            json!({ "question": "Six times seven?", "answer": "#### 42" }),
        ];
        let lines = lines.map(|line| line.to_string());
        std::fs::write(&data, lines.join("\n")).unwrap();
        let right = |said: &str| {
            let answer = if said.contains("Six") { "42" } else { "4" };
            let verdict = if said.contains("Does it pass") {
                "yes"
            } else {
                ""
            };
            format!("{verdict}\n#### {answer}")
        };
        let wrong = |_: &str| "#### 5".to_owned();
        let mut config = Config {
            endpoint_agents: "endpoint:weak, endpoint:strong".to_owned(),
            endpoint_frontier: "endpoint:strong".to_owned(),
            endpoint_reference: "endpoint:strong".to_owned(),
            endpoint_questions: 2,
            ..Config::default()
        };
        config.chat.endpoints = BTreeMap::from([
            ("weak".to_owned(), settings(server(wrong))),
            ("strong".to_owned(), settings(server(right))),
        ]);
        let effort = |scale| Effort { scale, n_seeds: 1 };
        assert!(cells(&config, effort(Scale::Full)).is_empty());
        let cell = cells(&config, effort(Scale::Paper)).remove(0);
        let file = InputFile {
            bytes: std::fs::metadata(&data).unwrap().len(),
            sha256: Digest::of_file(&data).unwrap(),
            path: data,
        };
        let input = Input {
            version: "1".to_owned(),
            licence: "MIT".to_owned(),
            files: BTreeMap::from([("test.jsonl".to_owned(), file)]),
            state: InputState::Present,
        };
        let mut inputs = Inputs::none();
        inputs.inputs.insert("gsm8k".to_owned(), input);
        let out = folder.path().join("cell");
        let mut cx = Cx::in_process("slm-mux", &cell, &out, inputs).unwrap();
        run(&mut cx, &config, &cell).unwrap().unwrap();
        cx.finish().unwrap();
        let rows = std::fs::read_to_string(out.join("rows.jsonl")).unwrap();
        let share = |method: &str, pool: &str| {
            let rows = rows
                .lines()
                .map(|line| serde_json::from_str::<Row>(line).unwrap());
            let of = rows.filter(|r| r.tags["method"] == method && r.tags["pool"] == pool);
            of.map(|row| row.value.unwrap()).collect::<Vec<f64>>()
        };
        // Both are unanimous, and the first agent is taken for the best one.
        assert_eq!(share("single-greedy", ENDPOINTS), [0.0, 0.0]);
        assert_eq!(share("mux", ENDPOINTS), [0.0, 0.0]);
        assert_eq!(share("reference", ENDPOINTS), [1.0, 1.0]);
        assert_eq!(share("debate", "frontier"), [1.0, 1.0]);
        assert_eq!(share("mav", ENDPOINTS), [0.0, 0.0]);
    }

    #[test]
    fn without_named_models_there_is_nothing_to_attempt() {
        let effort = Effort {
            scale: Scale::Paper,
            n_seeds: 1,
        };
        assert!(cells(&Config::default(), effort).is_empty());
    }
}
