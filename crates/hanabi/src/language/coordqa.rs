//! The theory-of-mind items of CoordQA's Hanabi part (arXiv 2310.03903): positions written by
//! experts, with a question about the partner and several answers.

use std::path::Path;

use eval::{Error, Result};
use model::chat::{Message, Role};

/// Letters of options at most: more would not be an item of this data set.
const N_OPTIONS_MAX: usize = 26;
/// Items whose two gold columns contradict each other: letters and texts name different answers
/// (counted from 0).
const INCONSISTENT: [usize; 2] = [5, 12];
/// What stands before the options.
const OPTIONS_HEAD: &str = "Available Answers:";

/// What an item asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderOfMind {
    /// Why the partner did what it did.
    First,
    /// What the partner will make of a hint.
    Second,
}

impl OrderOfMind {
    /// The word in rows.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

/// One item.
#[derive(Clone, Debug, PartialEq)]
pub struct CoordQaItem {
    /// Its place among the Hanabi items, from 0.
    pub number: usize,
    /// Our reading of the question (§4).
    pub order: OrderOfMind,
    /// Rules and conventions.
    pub rules: String,
    /// Position and question, without the options.
    pub question: String,
    /// The options in their order, without letters.
    pub options: Vec<String>,
    /// Places of the right options; several in some items.
    pub gold: Vec<usize>,
    /// Whether letters and texts of the gold answers agree.
    pub is_consistent: bool,
}

impl CoordQaItem {
    /// The share of right answers among those of somebody who draws evenly.
    #[must_use]
    pub fn guessing_rate(&self) -> f64 {
        self.gold.len() as f64 / self.options.len() as f64
    }

    /// Rules, position, question, and lettered options as a conversation.
    #[must_use]
    pub fn messages(&self) -> [Message; 2] {
        let lettered = self.options.iter().enumerate();
        let options: Vec<String> = lettered
            .map(|(place, option)| format!("{}. {option}", letter(place)))
            .collect();
        let user = format!(
            "{}\n{OPTIONS_HEAD}\n{}\nAnswer with the letter of one option.",
            self.question,
            options.join("\n")
        );
        [
            Message::new(Role::System, self.rules.clone()),
            Message::new(Role::User, user),
        ]
    }

    /// Position and question alone, for answers by their text.
    #[must_use]
    pub fn open_messages(&self) -> [Message; 2] {
        [
            Message::new(Role::System, self.rules.clone()),
            Message::new(Role::User, self.question.clone()),
        ]
    }
}

/// The letter of option number `place`.
#[must_use]
pub fn letter(place: usize) -> char {
    char::from(b'A' + (place % N_OPTIONS_MAX) as u8)
}

/// The columns that count, in the order of [`COLUMNS`].
#[derive(Debug)]
struct Raw {
    rules: String,
    question: String,
    gold: String,
}

/// Names of the columns that count. The published table has the first of them twice, with equal
/// contents; the first occurrence is read.
const COLUMNS: [&str; 3] = ["Game Description", "TOM Question", "TOM Answer Ordinal"];

/// Reads the Hanabi items of the data set's table at `path`.
///
/// # Errors
/// The file cannot be read, or a row has no options, no gold answer, or one that is no option.
pub fn read_coordqa(path: &Path) -> Result<Vec<CoordQaItem>> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("read", path, e))?;
    let refuse = || Error::inputs(format!("`{}` is no table of CoordQA", path.display()));
    let mut table = csv::Reader::from_reader(file);
    let headers = table.headers().map_err(|e| refuse().caused_by(e))?.clone();
    let place = |name: &str| {
        let found = headers.iter().position(|header| header == name);
        found.ok_or_else(|| refuse().hint(format!("it has no column `{name}`")))
    };
    let game = place("Game")?;
    let [rules, question, gold] = [place(COLUMNS[0])?, place(COLUMNS[1])?, place(COLUMNS[2])?];
    let mut items = Vec::new();
    for row in table.records() {
        let row = row.map_err(|e| refuse().caused_by(e))?;
        let cell = |place: usize| row.get(place).unwrap_or_default().to_owned();
        if row.get(game) == Some("Hanabi") {
            let raw = Raw {
                rules: cell(rules),
                question: cell(question),
                gold: cell(gold),
            };
            items.push(item(items.len(), &raw)?);
        }
    }
    Ok(items)
}

fn item(number: usize, raw: &Raw) -> Result<CoordQaItem> {
    let refuse = |why: &str| Error::inputs(format!("Hanabi item {number} of CoordQA {why}"));
    let (question, listed) = raw
        .question
        .split_once(OPTIONS_HEAD)
        .ok_or_else(|| refuse("has no options"))?;
    let lines = listed
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let mut options = Vec::new();
    for (place, line) in lines.enumerate() {
        let prefix = format!("{}.", letter(place));
        let option = line
            .strip_prefix(&prefix)
            .ok_or_else(|| refuse("has options out of order"))?;
        options.push(option.trim().to_owned());
    }
    let mut gold = Vec::new();
    for word in raw.gold.split(',').map(str::trim) {
        let place = (0..options.len()).find(|place| word == letter(*place).to_string());
        gold.push(place.ok_or_else(|| refuse("has a gold answer that is no option"))?);
    }
    let order = if question.contains("can I infer") {
        OrderOfMind::First
    } else {
        OrderOfMind::Second
    };
    Ok(CoordQaItem {
        number,
        order,
        rules: raw.rules.trim().to_owned(),
        question: question.trim().to_owned(),
        options,
        gold,
        is_consistent: !INCONSISTENT.contains(&number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(question: &str, gold: &str) -> Raw {
        Raw {
            rules: "rules".into(),
            question: question.into(),
            gold: gold.into(),
        }
    }

    #[test]
    fn an_item_is_taken_apart() {
        let text = "State.\nWhat can I infer? \nAvailable Answers:\nA. Play \nB. Keep\n\nC. Wait";
        let found = item(3, &raw(text, "A, C")).unwrap();
        assert_eq!(found.options, ["Play", "Keep", "Wait"]);
        assert_eq!(
            (found.gold.as_slice(), found.order),
            (&[0, 2][..], OrderOfMind::First)
        );
        assert!((found.guessing_rate() - 2.0 / 3.0).abs() < 1e-12);
        let [_, user] = found.messages();
        assert!(
            user.content
                .contains("\nAvailable Answers:\nA. Play\nB. Keep\nC. Wait\n")
        );
    }

    #[test]
    fn damaged_items_are_refused() {
        for (text, gold) in [
            ("What?", "A"),
            ("What?\nAvailable Answers:\nA. x\nC. y", "A"),
            ("What?\nAvailable Answers:\nA. x\nB. y", "D"),
            ("What?\nAvailable Answers:\nA. x\nB. y", ""),
        ] {
            assert!(item(0, &raw(text, gold)).is_err(), "{text} {gold}");
        }
    }
}
