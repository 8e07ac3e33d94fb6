//! TinyThink against the shared differentiable decoder, cells in this process, and what published
//! numbers may touch.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it is"
)]

use std::path::Path;
use std::sync::Arc;

use bvpo::tinythink::network::{
    ATTENTION_SCALE, EPS, HEAD, INNER, N_HEADS, N_LAYERS, N_PARAMETERS, N_POSITIONS, Network, WIDTH,
};
use bvpo::tinythink::pretrain::initial;
use bvpo::tinythink::task::N_VOCAB;
use bvpo::tinythink::tree::Tree;
use bvpo::{Bvpo, Config};
use eval::{Cell, Cx, Effort, Inputs, MeasuredRow, Paper, PaperManifest, Row, Scale};
use model::config::{Activation, DecoderConfig, FeedForward, Norm, Positions};
use model::train::{Batch, Decoder, Gradients, Init, Precision, mean_loss};

fn decoder(theta: &[f64]) -> Decoder {
    let config = DecoderConfig {
        architecture: "local".to_owned(),
        n_vocab: N_VOCAB,
        n_hidden: WIDTH,
        n_layers: N_LAYERS,
        n_heads: N_HEADS,
        n_kv_heads: N_HEADS,
        n_head: HEAD,
        n_context: N_POSITIONS,
        norm: Norm::Rms { eps: EPS as f32 },
        norm_after: false,
        norm_qk: false,
        positions: Positions::Learned,
        bias_qkv: false,
        bias_out: false,
        attention_scale: ATTENTION_SCALE,
        window: None,
        embedding_scale: 1.0,
        tied: false,
        feed_forward: FeedForward::Plain {
            n_inner: INNER,
            activation: Activation::GeluTanh,
        },
    };
    let decoder = Decoder::new(config, &Init::gpt2(0), Precision::F64).unwrap();
    assert_eq!(decoder.parameters().n_trainable(), N_PARAMETERS);
    decoder.parameters().set_flat(theta).unwrap();
    decoder
}

#[test]
fn logits_and_gradients_are_those_of_the_shared_decoder() {
    let theta = initial(11);
    let tokens: Vec<u8> = vec![12, 3, 0, 4, 10, 6, 2, 11, 1];
    let ids: Vec<u32> = tokens.iter().map(|token| u32::from(*token)).collect();
    let shared = decoder(&theta);
    let batch = Batch::new(std::slice::from_ref(&ids)).unwrap();
    let expected: Vec<f64> = shared
        .forward(&batch)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    let network = Network::new(theta);
    let tree = Tree::sequence(&tokens);
    let own = network.forward(&tree);
    for (own, expected) in own.logits.iter().zip(&expected) {
        // The shared epsilon is a single-precision number.
        assert!((own - expected).abs() < 1e-8, "{own} {expected}");
    }
    // The mean log-loss of all tokens but the first.
    let logprobs = shared.logprobs(&batch, &mut ()).unwrap();
    let loss = mean_loss(&logprobs, &batch, &batch.all_targets()).unwrap();
    let expected = Gradients::of(&loss, shared.parameters())
        .unwrap()
        .flat()
        .unwrap();
    let n_targets = tokens.len() - 1;
    let mut dlogits = vec![0.0; tokens.len() * N_VOCAB];
    for t in 0..n_targets {
        let row = &own.logits[t * N_VOCAB..(t + 1) * N_VOCAB];
        let total: f64 = row.iter().map(|logit| logit.exp()).sum();
        for (v, logit) in row.iter().enumerate() {
            let hit = f64::from(u8::from(ids[t + 1] == v as u32));
            dlogits[t * N_VOCAB + v] = (logit.exp() / total - hit) / n_targets as f64;
        }
    }
    let rows: Vec<usize> = (0..tokens.len()).collect();
    let mut gradient = vec![0.0; N_PARAMETERS];
    network.backward((&tree, &own), &rows, &dlogits, &mut gradient);
    for (own, expected) in gradient.iter().zip(&expected) {
        assert!(
            (own - f64::from(*expected)).abs() < 1e-6,
            "{own} {expected}"
        );
    }
}

fn smoke_cells() -> Vec<Cell> {
    let effort = Effort {
        scale: Scale::Smoke,
        n_seeds: 1,
    };
    Bvpo::cells(&Config::default(), effort).unwrap()
}

fn measure(cell: &Cell) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let mut cx = Cx::in_process("bvpo", cell, folder.path(), Inputs::none()).unwrap();
    Bvpo::run(&mut cx, &Config::default(), cell).unwrap();
    drop(cx);
    let text = std::fs::read_to_string(folder.path().join("rows.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn cells_are_unique_and_need_nothing_at_smoke() {
    let manifest = PaperManifest::parse(Bvpo::MANIFEST, "paper.toml").unwrap();
    for scale in Scale::ALL {
        let effort = manifest.effort(scale, None).unwrap();
        let cells = Bvpo::cells(&Config::default(), effort).unwrap();
        let ids: std::collections::BTreeSet<_> = cells.iter().map(Cell::id).collect();
        assert_eq!(ids.len(), cells.len(), "{scale}");
        for claim in &manifest.claims {
            for experiment in &claim.experiments {
                let found = cells.iter().any(|cell| cell.experiment == *experiment);
                let starts_later = claim.scale_min.is_some() && scale == Scale::Smoke;
                assert!(
                    found || starts_later,
                    "{}: no cell of `{experiment}`",
                    claim.id
                );
            }
        }
    }
    assert!(smoke_cells().iter().all(|cell| cell.needs.is_empty()));
}

#[test]
fn cells_of_tier_0_emit_the_same_numbers_again() {
    for cell in smoke_cells()
        .iter()
        .filter(|cell| cell.experiment.starts_with("tabular"))
    {
        let rows = measure(cell);
        assert!(!rows.is_empty(), "{}", cell.id());
        assert!(rows.iter().all(|row| row.value.is_some()), "{}", cell.id());
        assert_eq!(rows, measure(cell), "{}", cell.id());
    }
}

#[test]
fn identities_hold_in_the_measured_rows() {
    let cells = smoke_cells();
    let cell = cells
        .iter()
        .find(|cell| cell.experiment == "tabular-identities")
        .unwrap();
    let rows = measure(cell);
    let worst = |metric: &str| {
        let values = rows.iter().filter(|row| row.metric == metric);
        values.filter_map(|row| row.value).reduce(f64::max).unwrap()
    };
    for metric in [
        "theorem1_error",
        "start_bias",
        "joint_error",
        "importance_error",
        "union_error",
        "theorem2_excess",
    ] {
        assert!(worst(metric) < 1e-9, "{metric}: {}", worst(metric));
    }
}

#[test]
fn a_base_model_at_smoke_size_passes_through_the_whole_cell() {
    let cells = smoke_cells();
    let cell = cells
        .iter()
        .find(|cell| cell.experiment == "tiny-base")
        .unwrap();
    let rows = measure(cell);
    let total = rows.iter().find(|row| row.metric == "total_error").unwrap();
    assert!(total.value.unwrap() < 1e-9);
    assert!(rows.iter().any(|row| row.metric == "gates_passed"));
}

/// No source names the file of published numbers, so nothing measured can depend on it; and claims'
/// published numbers leave the paper's own estimate as it is.
#[test]
fn perturbed_published_numbers_move_no_measured_column() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![sources];
    let mut n_files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            n_files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("published.csv"), "{}", path.display());
        }
    }
    assert!(n_files > 30, "{n_files} files");
    let manifest = PaperManifest::parse(Bvpo::MANIFEST, "paper.toml").unwrap();
    let mut claim = manifest
        .claims
        .into_iter()
        .find(|claim| claim.id == "C10")
        .unwrap();
    let rows: Vec<MeasuredRow> = (0..3)
        .map(|seed| MeasuredRow {
            cell: Arc::new(Cell::new("tiny-training", seed).with("group", "core")),
            row: Row::new("gain_over_best", seed as f64, "points")
                .tag("mode", "thinking")
                .tag("of", "reward"),
        })
        .collect();
    let before = Bvpo::estimate(&claim, &rows).unwrap();
    claim.published = Some(123.456);
    assert_eq!(before, Bvpo::estimate(&claim, &rows).unwrap());
    assert!(before.is_some());
}
