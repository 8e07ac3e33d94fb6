//! What players say about a hint, in words and as an intent (§2.3).

use serde::{Deserialize, Serialize};

use crate::world::{Intent, Kind};

/// Characters of a statement that are kept; a model may write without end.
pub const TEXT_CHARS_MAX: usize = 600;

/// A reason, a prediction, or a reading of a hint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The player's own words, in one line without control codes.
    pub text: String,
    /// The same as an intent.
    pub intent: Intent,
}

impl Statement {
    /// A statement in anybody's words: control codes become spaces, and what goes beyond
    /// [`TEXT_CHARS_MAX`] characters is left out.
    #[must_use]
    pub fn new(text: &str, intent: Intent) -> Self {
        Self {
            text: one_line(text, TEXT_CHARS_MAX),
            intent,
        }
    }

    /// The statement of a player that has an intent and no words of its own: number `phrasing` of
    /// the ways to say it, counted around.
    #[must_use]
    pub fn templated(intent: Intent, phrasing: usize) -> Self {
        Self {
            text: phrase(intent, phrasing),
            intent,
        }
    }
}

/// At most `n_chars_max` characters of a text in one line, with spaces for control codes.
#[must_use]
pub fn one_line(text: &str, n_chars_max: usize) -> String {
    // A character has at most four bytes: nothing beyond is looked at.
    let n_bytes_max = n_chars_max.saturating_mul(4);
    let chars = text.char_indices();
    let near = chars.take_while(|(offset, _)| *offset < n_bytes_max);
    let line: String = near
        .map(|(_, c)| if is_unprintable(c) { ' ' } else { c })
        .take(n_chars_max)
        .collect();
    line.trim().to_owned()
}

/// Control codes, and the marks that turn the direction of writing.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || c == '\u{feff}'
}

/// Ways to say each intent.
pub const N_PHRASINGS: usize = 4;

/// An intent in words.
#[must_use]
pub fn phrase(intent: Intent, phrasing: usize) -> String {
    let slot = intent.slot;
    let which = phrasing % N_PHRASINGS;
    match intent.kind {
        Kind::Play => [
            format!("Play the card in slot {slot}."),
            format!("The card in slot {slot} fits on its firework now, so play it next."),
            format!("I want slot {slot} to be played."),
            format!("Slot {slot} is playable."),
        ][which]
            .clone(),
        Kind::Save => [
            format!("Save the card in slot {slot}."),
            format!("The card in slot {slot} is a last copy, so keep it and do not discard it."),
            format!("I want slot {slot} to be kept."),
            format!("Slot {slot} is critical."),
        ][which]
            .clone(),
        Kind::Dispose => [
            format!("Discard the card in slot {slot}."),
            format!("The card in slot {slot} is useless by now, so throw it away."),
            format!("I want slot {slot} to be thrown away."),
            format!("Slot {slot} is worthless."),
        ][which]
            .clone(),
        Kind::Info => [
            "This is general information and asks for nothing.",
            "No particular card is meant; it only tells more about the hand.",
            "I want to pass the turn with some information.",
            "Nothing to do, just information.",
        ][which]
            .to_owned(),
    }
}

/// Every intent about a hand of `n_cards`: play, save, and dispose of each slot, and information.
#[must_use]
pub fn intents(n_cards: usize) -> Vec<Intent> {
    let kinds = [Kind::Play, Kind::Save, Kind::Dispose];
    let about = kinds
        .into_iter()
        .flat_map(|kind| (0..n_cards).map(move |slot| Intent::about(kind, slot)));
    about.chain([Intent::INFO]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_one_short_line_without_control_codes() {
        let text = format!("a\u{1b}[2J\nb\u{202e}{}", "x".repeat(5 << 20));
        let statement = Statement::new(&text, Intent::INFO);
        assert!(
            statement.text.starts_with("a [2J b x"),
            "{}",
            statement.text
        );
        assert_eq!(statement.text.chars().count(), TEXT_CHARS_MAX);
    }

    #[test]
    fn different_intents_never_read_the_same() {
        let mut texts: Vec<String> = intents(5)
            .into_iter()
            .flat_map(|intent| (0..N_PHRASINGS).map(move |which| phrase(intent, which)))
            .collect();
        let n_texts = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), n_texts);
        assert_eq!(intents(4).len(), 13);
    }
}
