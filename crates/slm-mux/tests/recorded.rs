//! The recorded outputs of part A, where the mirror folder has them: extraction against the flags
//! published with the answers, and the pass rates. Without the folder the tests say so and check
//! nothing.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;

use slm_mux::answers::Extractor;
use slm_mux::data::{PassRates, read_gsm8k};

/// The path of a file of a data set in the mirror folder, by its name in the manifest.
fn mirrored(data: &str, file: &str) -> Option<PathBuf> {
    let mirror = std::env::var_os("DATASETS_MIRROR").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = mirror.unwrap_or_else(beside).join(data);
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../datasets")
        .join(data)
        .join("dataset.toml");
    let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
    let source = &manifest["sources"].as_array().unwrap()[0];
    let name = source
        .get("files")
        .and_then(|files| files.get(file))
        .and_then(toml::Value::as_str)
        .unwrap_or(file);
    let path = folder.join(name);
    path.is_file().then_some(path)
}

#[test]
fn answers_are_read_as_the_published_flags_say() {
    if mirrored("gsm8k", "test.jsonl").is_none() {
        eprintln!("NOT CHECKED: the recorded answers are not in DATASETS_MIRROR");
        return;
    }
    let pool = read_gsm8k(|data, file| Ok(mirrored(data, file).unwrap())).unwrap();
    assert_eq!((pool.questions.len(), pool.systems.len()), (1319, 10));
    let references = pool.normalised(Extractor::Exact);
    assert!(references.iter().all(Option::is_some));
    // References with a thousands comma, which the released pattern cuts.
    let official = pool.normalised(Extractor::Official);
    let n_cut = pool.references.iter().zip(&official).zip(&references);
    let n_cut = n_cut
        .filter(|((text, cut), whole)| text.contains(',') && cut != whole)
        .count();
    assert_eq!(n_cut, 14);
    for system in &pool.systems {
        let answers = system.normalised(Extractor::Exact);
        let right: Vec<bool> = answers
            .iter()
            .zip(&references)
            .map(|(answer, reference)| answer == reference)
            .collect();
        let n_right = right.iter().filter(|right| **right).count();
        assert!(
            (200..=1319).contains(&n_right),
            "{}: {n_right}",
            system.name
        );
        if let Some(flags) = &system.flags {
            let n_agree = right.iter().zip(flags).filter(|(a, b)| a == b).count();
            let least = if system.name.starts_with("gpt3-") {
                1319
            } else {
                1270
            };
            assert!(n_agree >= least, "{}: {n_agree} of 1319", system.name);
        }
    }
}

#[test]
fn pass_rates_are_those_of_whole_samples() {
    let names: Vec<String> = {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../datasets/evalperf");
        let text = std::fs::read_to_string(path.join("dataset.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        let files = manifest["files"].as_array().unwrap();
        let name = |file: &toml::Value| file["name"].as_str().unwrap().to_owned();
        files.iter().map(name).collect()
    };
    let paths: Vec<Option<PathBuf>> = names.iter().map(|n| mirrored("evalperf", n)).collect();
    if paths.iter().any(Option::is_none) {
        eprintln!("NOT CHECKED: the pass rates are not in DATASETS_MIRROR");
        return;
    }
    let files = names.iter().zip(&paths);
    let files = files.map(|(name, path)| (name.as_str(), path.as_deref().unwrap()));
    let rates = PassRates::read(files).unwrap();
    assert_eq!((rates.models.len(), rates.tasks.len()), (32, 118));
    for (model, of_model) in rates.rates.iter().enumerate() {
        let n = rates.n_samples[model] as f64;
        assert!(
            of_model
                .iter()
                .all(|p| (p * n - (p * n).round()).abs() < 1e-6)
        );
    }
    assert!(rates.find("Qwen2.5-72B-Instruct").is_some());
}
