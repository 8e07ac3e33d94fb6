//! The row: one measurement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cell::Cell;

/// How one measurement went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A finite number was measured.
    Ok,
    /// The measurement was attempted and gave no number; the row carries the reason.
    Failed,
    /// A model answered, but no answer could be read from the text.
    Unparsed,
}

/// One line of `rows.jsonl` or `timing.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What was measured, unit last: `error_bits_max`, `iterations`.
    pub metric: String,
    /// The number; absent unless the outcome is [`Outcome::Ok`]. Never `NaN` or infinite.
    pub value: Option<f64>,
    /// The unit: `bits`, `s`, `1` for a pure number or count.
    pub unit: String,
    /// The item measured (a question, a game), where there are several in a cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Further keys by which recipes and tables select rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// How it went.
    #[serde(default = "ok", skip_serializing_if = "is_ok")]
    pub outcome: Outcome,
    /// Why there is no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn ok() -> Outcome {
    Outcome::Ok
}

fn is_ok(outcome: &Outcome) -> bool {
    *outcome == Outcome::Ok
}

impl Row {
    /// A measurement. A value that is not finite becomes a failure with the reason.
    pub fn new(metric: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        let finite = value.is_finite();
        Self {
            metric: metric.into(),
            // Adding zero turns -0.0 into 0.0, so that equal values have equal bytes.
            value: finite.then_some(value + 0.0),
            unit: unit.into(),
            item: None,
            tags: BTreeMap::new(),
            outcome: if finite { Outcome::Ok } else { Outcome::Failed },
            reason: (!finite).then(|| format!("the value is {value}")),
        }
    }

    /// An attempted measurement that gave no number.
    pub fn failed(
        metric: impl Into<String>,
        unit: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            metric: metric.into(),
            value: None,
            unit: unit.into(),
            item: None,
            tags: BTreeMap::new(),
            outcome: Outcome::Failed,
            reason: Some(why.into()),
        }
    }

    /// A model's answer from which no value could be read.
    pub fn unparsed(
        metric: impl Into<String>,
        unit: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            outcome: Outcome::Unparsed,
            ..Self::failed(metric, unit, why)
        }
    }

    /// Names the item measured.
    #[must_use]
    pub fn item(mut self, item: impl std::fmt::Display) -> Self {
        self.item = Some(item.to_string());
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl std::fmt::Display) -> Self {
        self.tags.insert(key.into(), value.to_string());
        self
    }
}

/// A row together with the cell that measured it: what recipes, figures, and tables read.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredRow {
    /// The cell.
    pub cell: std::sync::Arc<Cell>,
    /// The row.
    pub row: Row,
}

impl MeasuredRow {
    /// The value of a key, looked up among the row's tags, then in the cell's condition.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.row
            .tags
            .get(key)
            .map(String::as_str)
            .or_else(|| self.cell.get(key))
    }

    /// Whether every pair is matched by a tag or by the condition.
    #[must_use]
    pub fn matches(&self, wanted: &BTreeMap<String, String>) -> bool {
        wanted
            .iter()
            .all(|(key, value)| self.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_number_is_a_failure_with_a_reason() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let row = Row::new("m", value, "bits");
            assert_eq!((row.value, row.outcome), (None, Outcome::Failed));
            assert!(row.reason.is_some());
        }
    }

    #[test]
    fn zero_has_one_spelling() {
        let line = serde_json::to_string(&Row::new("m", -0.0, "1")).unwrap();
        assert_eq!(line, r#"{"metric":"m","value":0.0,"unit":"1"}"#);
    }

    #[test]
    fn floats_read_back_to_the_same_bits() {
        for value in [0.1, 1e-300, f64::MIN_POSITIVE / 3.0, 1.0 / 3.0, -2.5e17] {
            let line = serde_json::to_string(&Row::new("m", value, "1")).unwrap();
            let back: Row = serde_json::from_str(&line).unwrap();
            assert_eq!(back.value.map(f64::to_bits), Some(value.to_bits()));
        }
    }
}
