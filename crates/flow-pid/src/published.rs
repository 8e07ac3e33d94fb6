//! Comparison of measured digits with a printed table, for one claim's estimate.
//!
//! Nothing that measures reads this module: it works on stored rows.

use std::collections::BTreeMap;

use eval::{Claim, Counts, Error, Estimate, MeasuredRow, Result};

/// The published numbers, as committed beside the results.
const TABLE: &str = include_str!("../../../results/flow-pid/published.csv");

/// Room for rounding where a measured value lies on the edge of a printed digit.
const EDGE_BITS: f64 = 1e-6;

/// The share of printed entries whose digits the measured rows reproduce.
///
/// The claim's recipe selects the rows: its metric and tags, one row per `atom` and `dims`. An
/// entry counts where the measured value, *truncated* to the claim's resolution, is the printed
/// one; the paper truncates. Entries without a selected row do not take part.
///
/// # Errors
/// The claim states no resolution, the table is damaged, or a row lacks a key.
pub fn share_of_printed_digits(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let Some(resolution) = claim.resolution else {
        return Err(Error::internal(format!(
            "claim `{}` states no resolution",
            claim.id
        )));
    };
    let printed = printed_truth(TABLE)?;
    let recipe = &claim.estimate;
    let mut counts = Counts::default();
    let mut n_equal = 0_u64;
    for row in rows {
        if row.row.metric != recipe.metric || !row.matches(&recipe.tags) {
            continue;
        }
        let key = |name: &str| {
            row.get(name).map(str::to_owned).ok_or_else(|| {
                Error::internal(format!("a row of cell `{}` has no `{name}`", row.cell.id()))
            })
        };
        let Some(expected) = printed.get(&(key("dims")?, key("atom")?)) else {
            continue;
        };
        counts.attempted += 1;
        match row.row.value {
            None => counts.failed += 1,
            Some(value) => {
                let above = value - expected;
                n_equal += u64::from(above >= -EDGE_BITS && above < resolution + EDGE_BITS);
            }
        }
    }
    let n = counts.attempted - counts.failed;
    if n == 0 {
        return Ok(None);
    }
    let method = format!("share of {n} printed entries whose digits come out, truncated");
    Ok(Some(Estimate::deterministic(
        n_equal as f64 / n as f64,
        n,
        counts,
        method,
    )))
}

/// The `Truth` entries of the tables of Gaussian channels, by dimensions (`10x5x2`) and atom.
fn printed_truth(table: &str) -> Result<BTreeMap<(String, String), f64>> {
    let mut printed = BTreeMap::new();
    for (line_idx, line) in table.lines().enumerate().skip(1) {
        let bad = || Error::internal(format!("line {} of published.csv is damaged", line_idx + 1));
        let fields = fields_of(line);
        let [_, _, model, _, dataset, metric, value, ..] = fields.as_slice() else {
            return Err(bad());
        };
        let Some((_, dims)) = dataset.split_once("(dX1,dX2,dY)=") else {
            continue;
        };
        if model == "Truth" {
            let dims = dims.trim_matches(['(', ')']).replace(',', "x");
            printed.insert((dims, metric.clone()), value.parse().map_err(|_| bad())?);
        }
    }
    Ok(printed)
}

/// The fields of one CSV line; a field in double quotes may hold commas.
fn fields_of(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => {
                if let Some(field) = fields.last_mut() {
                    field.push(c);
                }
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::{Cell, PaperManifest, Row};
    use std::sync::Arc;

    #[test]
    fn the_table_holds_six_printed_rows_of_four_atoms() {
        let printed = printed_truth(TABLE).unwrap();
        assert_eq!(printed.len(), 24);
        assert!(printed.contains_key(&("256x256x2".to_owned(), "U2".to_owned())));
    }

    #[test]
    fn digits_count_when_they_truncate_to_the_printed_ones() {
        let manifest = include_str!("../paper.toml");
        let manifest = PaperManifest::parse(manifest, "paper.toml").unwrap();
        let claim = manifest
            .claims
            .iter()
            .find(|claim| claim.id == "T2")
            .unwrap();
        let printed = printed_truth(TABLE).unwrap();
        let value = printed[&("2x2x2".to_owned(), "R".to_owned())];
        let cell = Arc::new(Cell::new("published-truth", 0).with("dims", "2x2x2"));
        let share = |measured: f64| {
            let mut row = Row::new(&claim.estimate.metric, measured, "bits").tag("atom", "R");
            row.tags.extend(claim.estimate.tags.clone());
            let rows = [MeasuredRow {
                cell: Arc::clone(&cell),
                row,
            }];
            share_of_printed_digits(claim, &rows)
                .unwrap()
                .unwrap()
                .value
        };
        assert_eq!(share(value + 0.009), 1.0);
        assert_eq!(share(value), 1.0);
        assert_eq!(share(value + 0.011), 0.0);
        assert_eq!(share(value - 0.001), 0.0);
        assert!(share_of_printed_digits(claim, &[]).unwrap().is_none());
    }

    #[test]
    fn quoted_commas_do_not_split() {
        assert_eq!(fields_of(r#"a,"b,c",,d"#), ["a", "b,c", "", "d"]);
    }
}
