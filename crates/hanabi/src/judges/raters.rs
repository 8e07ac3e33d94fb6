//! Two people rate pairs of statements without knowing whose they are or what was meant; their file
//! comes back and is compared.

use std::collections::BTreeMap;

use eval::{Error, Result};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use super::agreement::{cohen_kappa, weighted_kappa};
use super::pairs::Pair;

/// Ratings: 0 no agreement, 1 partly (the same card or the same purpose), 2 full agreement.
const N_CATEGORIES: usize = 3;
/// Characters by which a spreadsheet takes a cell for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A line of the raters' file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    pair: u64,
    statement_a: String,
    statement_b: String,
    rater_1: Option<u8>,
    rater_2: Option<u8>,
}

/// A line of the key, which raters do not get.
#[derive(Debug, Serialize, Deserialize)]
struct KeyLine {
    pair: u64,
    rating: u8,
}

/// What two raters agree on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RaterAgreement {
    /// Pairs that both rated.
    pub n: usize,
    /// Pairs that at least one left out.
    pub n_without_rating: usize,
    /// Share of equal ratings.
    pub share_equal: f64,
    /// Cohen's kappa of the two raters.
    pub kappa: f64,
    /// The same with quadratic weights.
    pub kappa_quadratic: f64,
    /// Kappa with quadratic weights of each rater with the known intents, where the key was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kappa_with_intents: Option<[f64; 2]>,
}

/// The file for the raters and the key, both as CSV. Pairs come in an order drawn by `seed`, and
/// so does which statement is shown first.
///
/// # Errors
/// The tables cannot be written; a bug.
pub fn export_pairs(pairs: &[Pair], seed: u64) -> Result<[String; 2]> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut order: Vec<&Pair> = pairs.iter().collect();
    order.shuffle(&mut rng);
    let mut lines = csv::Writer::from_writer(Vec::new());
    let mut key = csv::Writer::from_writer(Vec::new());
    let bad = |e: csv::Error| Error::internal("the table of pairs").caused_by(e);
    for (pair_idx, pair) in order.into_iter().enumerate() {
        let (a, b) = if rng.random_bool(0.5) {
            (&pair.a, &pair.b)
        } else {
            (&pair.b, &pair.a)
        };
        lines
            .serialize(Line {
                pair: pair_idx as u64,
                statement_a: cell(&a.text),
                statement_b: cell(&b.text),
                rater_1: None,
                rater_2: None,
            })
            .map_err(bad)?;
        key.serialize(KeyLine {
            pair: pair_idx as u64,
            rating: (pair.agreement() * 2.0).round() as u8,
        })
        .map_err(bad)?;
    }
    Ok([finish(lines)?, finish(key)?])
}

fn finish(writer: csv::Writer<Vec<u8>>) -> Result<String> {
    let bytes = writer
        .into_inner()
        .map_err(|_| Error::internal("the table of pairs cannot be written"))?;
    String::from_utf8(bytes).map_err(|e| Error::internal("the table of pairs").caused_by(e))
}

/// A cell that no spreadsheet takes for a formula: text of models is not trusted.
fn cell(text: &str) -> String {
    if text.starts_with(FORMULA) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// Reads the raters' file, named `shown` in errors, and the key where there is one.
///
/// # Errors
/// A line cannot be read, a pair comes twice, a rating is not 0, 1, or 2, nothing was rated by
/// both, or kappa has no value.
pub fn import_ratings(text: &str, key: Option<&str>, shown: &str) -> Result<RaterAgreement> {
    let unreadable = |e: csv::Error| {
        Error::inputs(format!("`{shown}` is no file of ratings"))
            .caused_by(e)
            .hint("its columns are pair, statement_a, statement_b, rater_1, rater_2")
    };
    let mut rated = BTreeMap::new();
    let mut n_without_rating = 0;
    for line in csv::Reader::from_reader(text.as_bytes()).deserialize() {
        let line: Line = line.map_err(unreadable)?;
        let ratings = [line.rater_1, line.rater_2];
        if let Some(rating) = ratings
            .iter()
            .flatten()
            .find(|r| usize::from(**r) >= N_CATEGORIES)
        {
            let pair = line.pair;
            return Err(
                Error::inputs(format!("pair {pair} of `{shown}` is rated {rating}"))
                    .hint("ratings are 0 (no agreement), 1 (partly), or 2 (full agreement)"),
            );
        }
        let [Some(first), Some(second)] = ratings else {
            n_without_rating += 1;
            continue;
        };
        let both = [usize::from(first), usize::from(second)];
        if rated.insert(line.pair, both).is_some() {
            let pair = line.pair;
            return Err(Error::inputs(format!(
                "pair {pair} stands twice in `{shown}`"
            )));
        }
    }
    if rated.is_empty() {
        return Err(
            Error::inputs(format!("`{shown}` holds no pair that both raters rated"))
                .hint("fill the columns rater_1 and rater_2 with 0, 1, or 2"),
        );
    }
    let of = |rater: usize| {
        rated
            .values()
            .map(|both| both[rater])
            .collect::<Vec<usize>>()
    };
    let (first, second) = (of(0), of(1));
    let equal = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    Ok(RaterAgreement {
        n: rated.len(),
        n_without_rating,
        share_equal: equal as f64 / rated.len() as f64,
        kappa: cohen_kappa(&first, &second, N_CATEGORIES)?,
        kappa_quadratic: weighted_kappa(&first, &second, N_CATEGORIES)?,
        kappa_with_intents: key.map(|key| with_intents(&rated, key)).transpose()?,
    })
}

fn with_intents(rated: &BTreeMap<u64, [usize; 2]>, key: &str) -> Result<[f64; 2]> {
    let mut truth = BTreeMap::new();
    for line in csv::Reader::from_reader(key.as_bytes()).deserialize() {
        let line: KeyLine =
            line.map_err(|e| Error::inputs("the key cannot be read").caused_by(e))?;
        truth.insert(line.pair, usize::from(line.rating));
    }
    let mut known = Vec::new();
    for pair in rated.keys() {
        let rating = truth.get(pair).copied();
        known.push(rating.ok_or_else(|| {
            Error::inputs(format!("the key has no pair {pair}"))
                .hint("give the key that was exported with this file")
        })?);
    }
    let kappa = |rater: usize| {
        let ratings: Vec<usize> = rated.values().map(|both| both[rater]).collect();
        weighted_kappa(&ratings, &known, N_CATEGORIES)
    };
    Ok([kappa(0)?, kappa(1)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Statement;
    use crate::world::{Intent, Kind};

    fn some() -> Vec<Pair> {
        let play = |slot| Statement::templated(Intent::about(Kind::Play, slot), 0);
        let info = Statement::templated(Intent::INFO, 0);
        vec![
            Pair {
                a: play(0),
                b: play(0),
            },
            Pair {
                a: play(0),
                b: play(1),
            },
            Pair {
                a: play(2),
                b: info.clone(),
            },
            Pair {
                a: info,
                b: Statement::new("=1+1", Intent::INFO),
            },
        ]
    }

    /// The exported file with ratings filled in.
    fn filled(text: &str, ratings: &[(&str, &str)]) -> String {
        let mut lines = text.lines();
        let mut out = lines.next().unwrap().to_owned() + "\n";
        for (line, (first, second)) in lines.zip(ratings) {
            let kept = line.strip_suffix(",,").unwrap();
            out.push_str(&format!("{kept},{first},{second}\n"));
        }
        out
    }

    #[test]
    fn what_is_exported_comes_back_with_its_kappa() {
        let [text, key] = export_pairs(&some(), 5).unwrap();
        assert!(!text.contains(",=1+1"), "no cell is a formula: {text}");
        assert!(!text.contains("intent"), "raters see words alone");
        let ratings: Vec<(String, String)> = key
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(1).unwrap().to_owned())
            .map(|rating| (rating.clone(), rating))
            .collect();
        let ratings: Vec<(&str, &str)> = ratings
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        let found = import_ratings(&filled(&text, &ratings), Some(&key), "f").unwrap();
        assert_eq!((found.n, found.kappa, found.kappa_quadratic), (4, 1.0, 1.0));
        assert_eq!(found.kappa_with_intents, Some([1.0, 1.0]));
    }

    #[test]
    fn damaged_files_are_refused_and_say_where() {
        let [text, key] = export_pairs(&some(), 5).unwrap();
        let refused = |text: &str| import_ratings(text, None, "f.csv").unwrap_err().report();
        assert!(
            refused(&text).contains("no pair that both"),
            "{}",
            refused(&text)
        );
        assert!(refused(&filled(&text, &[("0", "3")])).contains("rated 3"));
        assert!(refused(&filled(&text, &[("x", "1")])).contains("no file of ratings"));
        let same = filled(&text, &[("1", "1"), ("1", "1"), ("", "1"), ("1", "1")]);
        assert!(
            refused(&same).contains("kappa has no value"),
            "{}",
            refused(&same)
        );
        let fine = filled(&text, &[("0", "1"), ("1", "1"), ("2", "2")]);
        let found = import_ratings(&fine, None, "f.csv").unwrap();
        assert_eq!((found.n, found.n_without_rating), (3, 0));
        let short = "pair,rating\n0,1\n";
        assert!(
            import_ratings(&fine, Some(short), "f")
                .unwrap_err()
                .report()
                .contains("no pair")
        );
        assert!(key.starts_with("pair,rating\n"));
    }
}
