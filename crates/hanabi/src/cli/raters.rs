//! `hanabi raters`.

use eval::output::{data, note};
use eval::{Error, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::args::{Format, RatersAction};
use super::files::{Sink, read};
use crate::judges::{Pair, export_pairs, import_ratings, pairs};
use crate::protocol::GameRecord;

/// Writes pairs for raters, or reads their ratings.
///
/// # Errors
/// A file cannot be read or written, or holds no pairs or ratings.
pub fn raters(action: &RatersAction) -> Result<()> {
    match action {
        RatersAction::Export {
            records,
            pairs: n_pairs,
            seed,
            out,
            key,
        } => {
            let mut rng = Pcg64Mcg::seed_from_u64(*seed);
            let chosen = match records {
                None => pairs(*n_pairs as usize, &mut rng)?,
                Some(path) => {
                    let shown = path.display().to_string();
                    let mut recorded = recorded_pairs(&read(path)?, &shown)?;
                    recorded.shuffle(&mut rng);
                    recorded.truncate(*n_pairs as usize);
                    recorded
                }
            };
            let [lines, keys] = export_pairs(&chosen, *seed)?;
            Sink::open(Some(out))?.write(&lines)?;
            Sink::open(Some(key))?.write(&keys)?;
            note(&format!("{} pairs, seed {seed}", chosen.len()));
            Ok(())
        }
        RatersAction::Import { file, key, format } => {
            let shown = file.display().to_string();
            let key = key.as_deref().map(read).transpose()?;
            let found = import_ratings(&read(file)?, key.as_deref(), &shown)?;
            match format {
                Format::Json => {
                    let json = serde_json::to_string_pretty(&found)
                        .map_err(|e| Error::internal("the result").caused_by(e))?;
                    data(&format!("{json}\n"))
                }
                Format::Text => {
                    let intents = found.kappa_with_intents.map_or(String::new(), |[a, b]| {
                        format!("; with the known intents (quadratic): {a:.3} and {b:.3}")
                    });
                    data(&format!(
                        "{} pairs rated by both, {} not; equal: {:.3}; Cohen's kappa {:.3}, \
                         quadratic {:.3}{intents}\n",
                        found.n,
                        found.n_without_rating,
                        found.share_equal,
                        found.kappa,
                        found.kappa_quadratic
                    ))
                }
            }
        }
    }
}

/// Reasons and readings of the recorded hints that have both.
fn recorded_pairs(text: &str, shown: &str) -> Result<Vec<Pair>> {
    let records = GameRecord::read_all(text, shown)?;
    let pairs: Vec<Pair> = records
        .iter()
        .flat_map(GameRecord::hints)
        .filter_map(|hint| {
            let (a, b) = (hint.rationale.clone()?, hint.reading.clone()?);
            Some(Pair { a, b })
        })
        .collect();
    if pairs.is_empty() {
        return Err(
            Error::inputs(format!("`{shown}` holds no hint with statements")).hint(
                "graded players and language models make statements, reference policies do not",
            ),
        );
    }
    Ok(pairs)
}
