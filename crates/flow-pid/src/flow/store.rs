//! Checkpoints: parameters and the optimiser's state as safetensors, the rest as JSON.

use std::path::Path;

use eval::Error;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::train::{Curve, FlowData, FlowSettings, Trainer};

/// The file of numbers.
const TENSORS: &str = "flow.safetensors";
/// The file of everything else.
const NOTES: &str = "flow.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    format: u32,
    step: u64,
    n_skipped: u64,
    curve: Vec<Curve>,
}

impl<'a> Trainer<'a> {
    /// Writes everything that going on needs into `folder`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let kinds = [
            ("params", &self.model.params),
            ("first", &self.progress.moments[0]),
            ("second", &self.progress.moments[1]),
        ];
        let bytes: Vec<(String, usize, Vec<u8>)> = kinds
            .into_iter()
            .flat_map(|(kind, blocks)| {
                blocks.iter().enumerate().map(move |(k, block)| {
                    let bytes = block.iter().flat_map(|v| v.to_le_bytes()).collect();
                    (format!("{kind}.{k:03}"), block.len(), bytes)
                })
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, len, bytes)| {
                let view = TensorView::new(Dtype::F64, vec![*len], bytes)?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let path = folder.join(TENSORS);
        let packed = views
            .and_then(|views| serialize(views, None))
            .map_err(|e| Error::internal("a checkpoint cannot be packed").caused_by(e))?;
        std::fs::write(&path, packed).map_err(|e| Error::io("write", &path, e))?;
        let notes = Notes {
            format: 1,
            step: self.progress.step,
            n_skipped: self.progress.n_skipped,
            curve: self.progress.curve.clone(),
        };
        eval::fs::write_json(&folder.join(NOTES), &notes)
    }

    /// Training as [`Trainer::save`] left it; data, settings, and seed must be the same.
    ///
    /// # Errors
    /// A file is missing or damaged, or does not fit the architecture.
    pub fn load(
        folder: &Path,
        data: &'a FlowData,
        settings: FlowSettings,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut trainer = Self::new(data, settings, seed)?;
        let path = folder.join(NOTES);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
        let notes: Notes = serde_json::from_str(&text).map_err(|e| damaged(&path).caused_by(e))?;
        let path = folder.join(TENSORS);
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&path).caused_by(e))?;
        let [first, second] = &mut trainer.progress.moments;
        for (kind, blocks) in [
            ("params", &mut trainer.model.params),
            ("first", first),
            ("second", second),
        ] {
            for (k, block) in blocks.iter_mut().enumerate() {
                let view = tensors
                    .tensor(&format!("{kind}.{k:03}"))
                    .map_err(|e| damaged(&path).caused_by(e))?;
                if view.dtype() != Dtype::F64 || view.shape() != [block.len()] {
                    return Err(damaged(&path));
                }
                for (value, bytes) in block.iter_mut().zip(view.data().chunks_exact(8)) {
                    let mut eight = [0; 8];
                    eight.copy_from_slice(bytes);
                    *value = f64::from_le_bytes(eight);
                }
            }
        }
        trainer.progress.step = notes.step;
        trainer.progress.n_skipped = notes.n_skipped;
        trainer.progress.curve = notes.curve;
        Ok(trainer)
    }
}

fn damaged(path: &Path) -> Error {
    Error::inputs(format!("the checkpoint `{}` is damaged", path.display()))
        .hint("delete its folder; it is trained again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy_gaussian::LegacyGaussian;

    fn data() -> FlowData {
        let mut stream = LegacyGaussian::seeded(3);
        let [y, x1, x2] = [1, 2, 3].map(|columns| stream.matrix(200, columns));
        FlowData::new(y.as_ref(), x1.as_ref(), x2.as_ref(), 0.2, 5).unwrap()
    }

    fn settings() -> FlowSettings {
        FlowSettings {
            steps: 12,
            batch: 32,
            ..FlowSettings::default()
        }
    }

    #[test]
    fn training_goes_on_from_a_checkpoint_as_if_never_interrupted() {
        let (data, folder) = (data(), tempfile::tempdir().unwrap());
        let mut whole = Trainer::new(&data, settings(), 9).unwrap();
        let mut half = Trainer::new(&data, settings(), 9).unwrap();
        for until in [5, 12] {
            whole.train(until, |_| true).unwrap();
        }
        half.train(5, |_| true).unwrap();
        half.save(folder.path()).unwrap();
        let mut rest = Trainer::load(folder.path(), &data, settings(), 9).unwrap();
        assert_eq!(rest.step(), 5);
        rest.train(12, |_| true).unwrap();
        assert!(rest.model == whole.model && rest.progress == whole.progress);
        let start = Trainer::new(&data, settings(), 9).unwrap();
        assert!(start.model != whole.model);
    }

    #[test]
    fn a_damaged_checkpoint_is_named() {
        let (data, folder) = (data(), tempfile::tempdir().unwrap());
        let trainer = Trainer::new(&data, settings(), 9).unwrap();
        trainer.save(folder.path()).unwrap();
        let path = folder.path().join(TENSORS);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
        let Err(error) = Trainer::load(folder.path(), &data, settings(), 9) else {
            panic!("a file that was cut is no checkpoint");
        };
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
}
