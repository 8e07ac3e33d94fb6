//! `bvpo train` and `bvpo pairs` as programs: killed and continued, and refusing what is wrong.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it is"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "../../model/tests/weights/build.rs"]
#[expect(dead_code, reason = "shared with tests that need broken files too")]
mod build;
#[path = "../src/trainer/testing_model.rs"]
mod small;

/// Rows with two replicates and an empty pair.
fn pairs(path: &Path, n: usize) {
    let row = |i: usize| {
        let response = |trace: &str, answer: usize| {
            let trace = format!("{trace} {i}");
            serde_json::json!({ "reasoning": trace, "answer": answer.to_string() })
        };
        let pair = |trace: &str| {
            let rejected = response("no", i + 1);
            serde_json::json!({ "chosen": response(trace, i), "rejected": rejected })
        };
        let row = serde_json::json!({
            "id": format!("row-{i}"), "prompt": format!("what is {i}?"),
            "thinking": [pair("one"), pair("or else")],
            "empty": {"chosen": {"answer": i.to_string()}, "rejected": {"answer": "x"}},
        });
        format!("{row}\n")
    };
    std::fs::write(path, (0..n).map(row).collect::<String>()).unwrap();
}

/// A model, pairs, and where runs go.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        small::write_model(&folder.path().join("model"));
        pairs(&folder.path().join("pairs.jsonl"), 7);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, output: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bvpo"));
        command.arg("train");
        let is_file = self.path("model.gguf").is_file();
        let model = if is_file { "model.gguf" } else { "model" };
        for (option, name) in [
            ("--model", model),
            ("--pairs", "pairs.jsonl"),
            ("--output", output),
        ] {
            command.arg(option).arg(self.path(name));
        }
        command.args(more);
        command
    }

    fn train(&self, output: &str, more: &[&str]) -> Output {
        self.command(output, more).output().unwrap()
    }

    /// Every file that a finished run leaves and that a kill must not change.
    fn bytes(&self, output: &str) -> Vec<(String, Vec<u8>)> {
        let output = self.path(output);
        let mut found = Vec::new();
        for name in ["metrics.jsonl", "run.json"] {
            found.push((name.to_owned(), std::fs::read(output.join(name)).unwrap()));
        }
        for folder in ["adapter", "model"] {
            let Ok(entries) = std::fs::read_dir(output.join(folder)) else {
                continue;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                found.push((format!("{folder}/{name}"), std::fs::read(path).unwrap()));
            }
        }
        found.sort();
        found
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Lines of the metrics so far.
fn n_steps(path: &Path) -> usize {
    std::fs::read(path).map_or(0, |bytes| {
        bytes.iter().filter(|byte| **byte == b'\n').count()
    })
}

/// Starts a run and kills it as soon as it has made `n` steps; whether it was still running.
fn killed_after(world: &World, output: &str, more: &[&str], n: usize) -> bool {
    let mut child = world
        .command(output, more)
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let metrics = world.path(output).join("metrics.jsonl");
    while n_steps(&metrics) < n {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    // SIGKILL: nothing in the program gets to clean up.
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

fn survives_kills(more: &[&str]) {
    let world = World::new();
    let whole = world.train("whole", more);
    assert!(whole.status.success(), "{}", text(&whole));
    let mut n_kills = 0;
    // Before the first save, at a save, between two, and near the end.
    for n in [1, 5, 8, 19] {
        n_kills += usize::from(killed_after(&world, "cut", more, n));
    }
    let last = world.train("cut", more);
    assert!(last.status.success(), "{}", text(&last));
    assert!(n_kills >= 2, "only {n_kills} kills hit a running program");
    let (whole, cut) = (world.bytes("whole"), world.bytes("cut"));
    assert!(
        whole.len() > 3,
        "{:?}",
        whole.iter().map(|f| &f.0).collect::<Vec<_>>()
    );
    for ((name, expected), (cut_name, found)) in whole.iter().zip(&cut) {
        assert_eq!(name, cut_name);
        assert!(expected == found, "`{name}` differs after {n_kills} kills");
    }
    assert_eq!(n_steps(&world.path("cut").join("metrics.jsonl")), 24);
}

#[test]
fn a_run_of_adapters_continues_to_the_same_bytes_after_kills() {
    survives_kills(&[
        "--estimator",
        "adaptive",
        "--steps",
        "24",
        "--batch",
        "3",
        "--save-every",
        "5",
        "--lr",
        "1e-2",
        "--lora",
        "r=2,alpha=4,targets=q_proj+down_proj",
    ]);
}

#[test]
fn a_run_of_all_parameters_continues_to_the_same_bytes_after_kills() {
    survives_kills(&[
        "--estimator",
        "mix",
        "--steps",
        "24",
        "--batch",
        "2",
        "--at-once",
        "2",
        "--save-every",
        "5",
        "--lr",
        "1e-3",
        "--full",
        "--diagnose-every",
        "4",
    ]);
}

#[test]
fn preferred_responses_gain_on_rejected_ones_under_every_loss() {
    let world = World::new();
    for (loss, estimator) in [
        ("dpo", "mix"),
        ("dpo", "union"),
        ("ipo", "average"),
        ("simpo", "trace"),
        ("dpo", "empty"),
    ] {
        let output = format!("{loss}-{estimator}");
        let more = [
            "--loss",
            loss,
            "--estimator",
            estimator,
            "--steps",
            "30",
            "--batch",
            "4",
            "--lr",
            "3e-3",
            "--full",
            "--warmup",
            "0.1",
        ];
        let run = world.train(&output, &more);
        assert!(run.status.success(), "{}", text(&run));
        let lines = std::fs::read_to_string(world.path(&output).join("metrics.jsonl")).unwrap();
        let losses: Vec<f64> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["loss"].as_f64().unwrap())
            .collect();
        let (first, last) = (
            losses[..5].iter().sum::<f64>(),
            losses[25..].iter().sum::<f64>(),
        );
        assert!(last < first, "{output}: {losses:?}");
        if loss == "dpo" {
            // Every margin is 0 at the start, so the first loss is ln 2.
            assert!(
                (losses[0] - 2_f64.ln()).abs() < 1e-4,
                "{output}: {}",
                losses[0]
            );
        }
    }
}

#[test]
fn another_run_in_the_folder_is_refused_by_what_differs() {
    let world = World::new();
    let more = |steps: &'static str| ["--steps", steps, "--batch", "2", "--full", "--lr", "1e-3"];
    assert!(world.train("run", &more("2")).status.success());
    let other = world.train("run", &more("3"));
    assert_eq!(other.status.code(), Some(2));
    assert!(
        text(&other).contains("`steps` 2 instead of 3"),
        "{}",
        text(&other)
    );
    pairs(&world.path("pairs.jsonl"), 6);
    assert!(text(&world.train("run", &more("2"))).contains("other pairs"));
}

#[test]
fn wrong_input_is_refused_before_anything_is_computed() {
    let world = World::new();
    let refused = |more: &[&str], told: &str| {
        let run = world.train("refused", more);
        assert_eq!(run.status.code(), Some(2), "{}", text(&run));
        assert!(text(&run).contains(told), "{}", text(&run));
        assert!(!world.path("refused").exists(), "something was written");
    };
    refused(&["--alpha", "1.5"], "`--alpha` is 1.5");
    refused(&["--lr", "0"], "`--lr` is 0");
    refused(&["--lora", "rank=3"], "`rank=3`");
    refused(&["--max-tokens", "5"], "more than 5 tokens");
    let path = world.path("pairs.jsonl");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{good}{{\"id\": 3}}\n")).unwrap();
    refused(&[], "pairs.jsonl`, line 8");
    let bare = good.replace("\"empty\"", "\"empty_\"");
    std::fs::write(&path, bare).unwrap();
    refused(&[], "empty_");
    let row =
        r#"{"id":"a","prompt":"p","empty":{"chosen":{"answer":"1"},"rejected":{"answer":"2"}}}"#;
    std::fs::write(&path, row).unwrap();
    refused(&[], "row `a` has 0 pairs in `thinking`");
}

#[test]
fn samples_and_scores_become_pairs_that_train() {
    let world = World::new();
    let samples = world.path("samples.jsonl");
    let line = |mode: &str, sample: usize, trace: &str| {
        format!(
            "{{\"id\":\"a\",\"prompt\":\"p\",\"mode\":\"{mode}\",\"sample\":{sample}{trace},\
             \"answer\":\"n{sample}\"}}\n"
        )
    };
    let thinking = (0..3).map(|s| line("thinking", s, &format!(",\"reasoning\":\"r{s}\"")));
    let bare = (0..2).map(|s| line("empty", s, ""));
    std::fs::write(&samples, thinking.chain(bare).collect::<String>()).unwrap();
    let scores = world.path("scores.jsonl");
    let score = |mode: &str, s: usize, value: f64| {
        format!("{{\"id\":\"a\",\"mode\":\"{mode}\",\"sample\":{s},\"score\":{value}}}\n")
    };
    let all = [
        score("thinking", 0, 0.1),
        score("thinking", 1, -2.0),
        score("thinking", 2, 0.7),
        score("empty", 0, 1.0),
        score("empty", 1, 1.5),
    ];
    std::fs::write(&scores, all.concat()).unwrap();
    let rank = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bvpo"));
        command.args(["pairs", "rank"]);
        for (option, name) in [
            ("--samples", "samples.jsonl"),
            ("--scores", "scores.jsonl"),
            ("--output", "pairs.jsonl"),
        ] {
            command.arg(option).arg(world.path(name));
        }
        command.output().unwrap()
    };
    let ranked = rank();
    assert!(ranked.status.success(), "{}", text(&ranked));
    let row = std::fs::read_to_string(world.path("pairs.jsonl")).unwrap();
    let row: serde_json::Value = serde_json::from_str(&row).unwrap();
    assert_eq!(row["thinking"][0]["chosen"]["answer"], "n2");
    assert_eq!(row["thinking"][0]["rejected"]["answer"], "n1");
    assert_eq!(row["empty"]["chosen"]["answer"], "n1");
    let run = world.train(
        "run",
        &["--steps", "2", "--batch", "1", "--full", "--lr", "1e-3"],
    );
    assert!(run.status.success(), "{}", text(&run));
    // What was trained is a model of its own, tokenizer and template included.
    std::fs::rename(world.path("model"), world.path("before")).unwrap();
    std::fs::rename(world.path("run").join("model"), world.path("model")).unwrap();
    let again = world.train("again", &["--steps", "1", "--batch", "1", "--full"]);
    assert!(again.status.success(), "{}", text(&again));
    std::fs::write(&scores, all[1..].concat()).unwrap();
    let ranked = rank();
    assert_eq!(ranked.status.code(), Some(2));
    assert!(
        text(&ranked).contains("no score for sample 0 of `a`"),
        "{}",
        text(&ranked)
    );
}

#[test]
fn adapters_have_the_names_and_shapes_that_peft_gives_them() {
    let world = World::new();
    let run = world.train(
        "run",
        &[
            "--steps",
            "1",
            "--batch",
            "1",
            "--lora",
            "r=2,alpha=4,targets=q_proj+down_proj",
        ],
    );
    assert!(run.status.success(), "{}", text(&run));
    let adapter = world.path("run").join("adapter");
    let bytes = std::fs::read(adapter.join("adapter_model.safetensors")).unwrap();
    let n_header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + n_header]).unwrap();
    let mut found = serde_json::Map::new();
    for (name, tensor) in header.as_object().unwrap() {
        if name != "__metadata__" {
            found.insert(name.clone(), tensor["shape"].clone());
        }
    }
    // Written by `peft` itself: `fixtures/peft_check.py --names`.
    let fixture = include_str!("fixtures/peft_names.json");
    let expected: serde_json::Value = serde_json::from_str(fixture).unwrap();
    assert_eq!(serde_json::Value::Object(found), expected);
    let config = std::fs::read_to_string(adapter.join("adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        (&config["peft_type"], &config["r"]),
        (&"LORA".into(), &2.into())
    );
    assert_eq!(config["lora_alpha"], 4.0);
}

/// Turns as SmolLM2 has them.
const TURNS: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n\
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A GGUF file with a vocabulary of 700 tokens and a decoder of one layer.
fn write_gguf(path: &Path) {
    let small = include_str!("../../model/tests/fixtures/text/small.json");
    let small: serde_json::Value = serde_json::from_str(small).unwrap();
    let vocabulary = small["bpe"].as_array().unwrap().iter();
    let vocabulary = vocabulary.clone().find(|v| v["pre"] == "smollm").unwrap();
    let strings =
        |key: &str| -> Vec<String> { serde_json::from_value(vocabulary[key].clone()).unwrap() };
    let sizes = build::Sizes {
        n_layers: 1,
        n_hidden: 32,
        n_head: 8,
        n_inner: 64,
    };
    let mut file = build::sized("llama", &sizes);
    let tokens = strings("tokens");
    file.tensor("token_embd.weight").dimensions = vec![32, tokens.len() as u64];
    for (number, tensor) in file.tensors.iter_mut().enumerate() {
        let n = tensor.dimensions.iter().product::<u64>() as usize;
        let value = |i: usize| -> f32 {
            if tensor.name.ends_with("norm.weight") {
                return 1.0;
            }
            0.1 * ((7 * i + 3 * number) as f32).sin()
        };
        tensor.bytes = (0..n).flat_map(|i| value(i).to_le_bytes()).collect();
    }
    let kinds: Vec<i32> = serde_json::from_value(vocabulary["types"].clone()).unwrap();
    file.set("llama.context_length", build::Value::U32(256));
    file.set("tokenizer.ggml.model", build::text("gpt2"));
    file.set("tokenizer.ggml.pre", build::text("smollm"));
    file.set("tokenizer.ggml.tokens", build::Value::Texts(tokens));
    file.set("tokenizer.ggml.token_type", build::Value::I32s(kinds));
    file.set(
        "tokenizer.ggml.merges",
        build::Value::Texts(strings("merges")),
    );
    file.set("tokenizer.ggml.bos_token_id", build::Value::U32(1));
    file.set("tokenizer.ggml.eos_token_id", build::Value::U32(2));
    file.set("tokenizer.chat_template", build::text(TURNS));
    std::fs::write(path, file.bytes()).unwrap();
}

#[test]
fn a_whole_model_trained_from_a_gguf_file_loads_again() {
    let world = World::new();
    std::fs::remove_dir_all(world.path("model")).unwrap();
    write_gguf(&world.path("model.gguf"));
    let more = ["--steps", "2", "--batch", "2", "--full", "--lr", "1e-3"];
    let run = world.train("run", &more);
    assert!(run.status.success(), "{}", text(&run));
    let written = world.path("run").join("model");
    let checkpoint = model::weights::Checkpoint::open(&written).unwrap();
    let tokenizer = model::text::Tokenizer::from_checkpoint(&checkpoint).unwrap();
    let options = model::text::EncodeOptions::CHAT;
    let ids = tokenizer
        .encode("<|im_start|>user\n12 + 7<|im_end|>", options)
        .unwrap();
    assert_eq!(
        (ids[0], ids.last()),
        (1, Some(&2)),
        "control tokens have their ids"
    );
    let template = model::text::ChatTemplate::from_checkpoint(&checkpoint).unwrap();
    assert_eq!(template.source(), TURNS);
    // The trained folder in place of the file: the first loss is that of a fresh reference.
    std::fs::remove_file(world.path("model.gguf")).unwrap();
    std::fs::rename(&written, world.path("model")).unwrap();
    let again = world.train("again", &more);
    assert!(again.status.success(), "{}", text(&again));
    let metrics = std::fs::read_to_string(world.path("again").join("metrics.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    assert!((first["loss"].as_f64().unwrap() - 2_f64.ln()).abs() < 1e-4);
}
