//! Intents, statements about them, and their agreement (§2.3).

use serde::{Deserialize, Serialize};

/// What a hint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Play this card.
    Play,
    /// Keep this card.
    Save,
    /// This card is worthless.
    Dispose,
    /// No particular card.
    Info,
}

/// An intent: a kind, and the slot it is about unless the kind is [`Kind::Info`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// What the hint is for.
    pub kind: Kind,
    /// The slot (0 is the oldest); 0 and without meaning for [`Kind::Info`].
    pub slot: u8,
}

impl Intent {
    /// No particular card.
    pub const INFO: Self = Self {
        kind: Kind::Info,
        slot: 0,
    };

    /// An intent about a slot.
    #[must_use]
    pub const fn about(kind: Kind, slot: usize) -> Self {
        Self {
            kind,
            slot: slot as u8,
        }
    }
}

/// Agreement of two intents: 1 if they are the same, ½ if the kinds are equal and the slots differ
/// or the slots are equal and the kinds differ (neither being Info), else 0 (§2.3).
#[must_use]
pub fn agree(a: Intent, b: Intent) -> f64 {
    if a.kind == b.kind {
        return if a.slot == b.slot || a.kind == Kind::Info {
            1.0
        } else {
            0.5
        };
    }
    if a.slot == b.slot && a.kind != Kind::Info && b.kind != Kind::Info {
        0.5
    } else {
        0.0
    }
}

/// Everything that was meant, predicted, and understood about one hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintRecord {
    /// Who gave it.
    pub from: u8,
    /// Who was told.
    pub to: u8,
    /// R: what the hinter meant.
    pub rationale: Intent,
    /// S: what the hinter says the recipient will understand.
    pub prediction: Intent,
    /// F: what the recipient understood.
    pub reading: Intent,
    /// I(h): what an ideal recipient understands.
    pub ideal: Intent,
    /// Whether the hinter moved at random.
    pub blunder: bool,
}

impl HintRecord {
    /// First order: did the recipient get the hinter's intent.
    #[must_use]
    pub fn first_order(&self) -> f64 {
        agree(self.reading, self.rationale)
    }

    /// Second order: did the hinter foresee the recipient's reading.
    #[must_use]
    pub fn second_order(&self) -> f64 {
        agree(self.prediction, self.reading)
    }

    /// 1 for an egocentric hinter, who predicts that the partner reads what was meant.
    #[must_use]
    pub fn self_gap(&self) -> f64 {
        agree(self.prediction, self.rationale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_the_table_of_the_definition() {
        let play = |slot| Intent::about(Kind::Play, slot);
        let save = |slot| Intent::about(Kind::Save, slot);
        for (a, b, wanted) in [
            (play(1), play(1), 1.0),
            (play(1), play(2), 0.5),
            (play(1), save(1), 0.5),
            (play(1), save(2), 0.0),
            (play(0), Intent::INFO, 0.0),
            (Intent::INFO, Intent::INFO, 1.0),
        ] {
            assert_eq!(agree(a, b), wanted, "{a:?} {b:?}");
            assert_eq!(agree(b, a), wanted, "{b:?} {a:?}");
        }
    }
}
