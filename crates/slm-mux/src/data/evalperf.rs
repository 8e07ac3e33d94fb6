//! Pass rates of language models on coding tasks (data set `evalperf`).

use std::collections::BTreeMap;
use std::path::Path;

use eval::{Error, Result};
use serde::Deserialize;

/// The data set.
pub const DATA: &str = "evalperf";

/// The share of right samples of every model on every task.
#[derive(Clone, Debug, PartialEq)]
pub struct PassRates {
    /// Names of the models.
    pub models: Vec<String>,
    /// Names of the tasks.
    pub tasks: Vec<String>,
    /// Samples per task of each model.
    pub n_samples: Vec<u64>,
    /// `[model][task]`: probability that a sample is right.
    pub rates: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct File {
    config: Settings,
    eval: BTreeMap<String, Task>,
}

#[derive(Deserialize)]
struct Settings {
    n_samples: u64,
}

#[derive(Deserialize)]
struct Task {
    #[serde(rename = "pass@1")]
    pass: f64,
}

impl PassRates {
    /// Reads one file a model; `files` holds names and paths.
    ///
    /// # Errors
    /// A file cannot be read, is not as expected, or has other tasks than the first.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Result<Self> {
        let mut rates = Self {
            models: Vec::new(),
            tasks: Vec::new(),
            n_samples: Vec::new(),
            rates: Vec::new(),
        };
        for (name, path) in files {
            rates.add(name.trim_end_matches(".json"), path)?;
        }
        Ok(rates)
    }

    /// The mean over tasks of each model.
    #[must_use]
    pub fn accuracies(&self) -> Vec<f64> {
        let n = self.tasks.len().max(1) as f64;
        self.rates
            .iter()
            .map(|rates| rates.iter().sum::<f64>() / n)
            .collect()
    }

    /// The place of the model whose name ends so.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.models.iter().position(|model| model.ends_with(name))
    }

    fn add(&mut self, name: &str, path: &Path) -> Result<()> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        let file: File = serde_json::from_str(&text).map_err(|cause| {
            Error::inputs(format!("`{shown}` holds no pass rates")).caused_by(cause)
        })?;
        let tasks: Vec<&String> = file.eval.keys().collect();
        if self.tasks.is_empty() {
            self.tasks = tasks.into_iter().cloned().collect();
        } else if !self.tasks.iter().eq(tasks) {
            return Err(Error::inputs(format!(
                "`{shown}` has other tasks than the first file"
            )));
        }
        let rates: Vec<f64> = file.eval.values().map(|task| task.pass / 100.0).collect();
        if let Some(wrong) = rates.iter().find(|rate| !(0.0..=1.0).contains(*rate)) {
            return Err(Error::inputs(format!(
                "`{shown}` has the pass rate {wrong}"
            )));
        }
        self.models.push(name.to_owned());
        self.n_samples.push(file.config.n_samples);
        self.rates.push(rates);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_other_tasks_or_impossible_rates_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let file =
            |tasks: &str| format!("{{\"config\":{{\"n_samples\":100}},\"eval\":{{{tasks}}}}}");
        let a = write("a.json", &file(r#""T/1":{"pass@1":25.0,"dps":1}"#));
        let rates = PassRates::read([("a.json", a.as_path())]).unwrap();
        assert_eq!((rates.models[0].as_str(), rates.rates[0][0]), ("a", 0.25));
        assert_eq!(rates.accuracies(), [0.25]);
        let b = write("b.json", &file(r#""T/2":{"pass@1":25.0}"#));
        assert!(PassRates::read([("a", a.as_path()), ("b", b.as_path())]).is_err());
        let c = write("c.json", &file(r#""T/1":{"pass@1":125.0}"#));
        assert!(PassRates::read([("c", c.as_path())]).is_err());
        let d = write("d.json", "[]");
        assert!(PassRates::read([("d", d.as_path())]).is_err());
    }
}
