//! Pairs of statements whose agreement is known, and what is done to them to find biases.

use eval::Result;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_pcg::Pcg64Mcg;

use crate::protocol::{N_PHRASINGS, Statement};
use crate::rules::Deck;
use crate::world::{Ability, Intent, Kind, Regime, World, agree};

/// Players at the table that gives the pairs.
const N_PLAYERS: usize = 5;
/// Abilities in the middle, so that statements agree, half agree, and disagree.
const ABILITY: Ability = Ability {
    first_order: 0.5,
    second_order: 0.5,
    skill: 0.95,
};
/// What lengthens a statement without saying anything about a card.
const PADDING: &str = "Let me explain this carefully, as it matters for the whole team: we have to \
                       work together, look at everything on the table, and think about what the \
                       others see before we decide.";

/// Two statements about one hint.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// R: the hinter's reason.
    pub a: Statement,
    /// F: the recipient's reading.
    pub b: Statement,
}

impl Pair {
    /// Exact agreement, 0–1.
    #[must_use]
    pub fn agreement(&self) -> f64 {
        agree(self.a.intent, self.b.intent)
    }
}

/// What is done to a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// Nothing.
    Plain,
    /// The statements change places; a fair judge gives the same score.
    Swapped,
    /// The second statement is padded with words about nothing; the same.
    Padded,
    /// The second statement repeats the first word by word with another slot number, so that they
    /// agree by half.
    WrongSlot,
}

impl Probe {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Swapped, Self::Padded, Self::WrongSlot];

    /// The word in rows.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Swapped => "swapped",
            Self::Padded => "padded",
            Self::WrongSlot => "wrong_slot",
        }
    }
}

/// `n` pairs from games of graded players, each statement in one of several wordings, drawn alone.
///
/// # Errors
/// The rules refuse the table; a bug.
pub fn pairs(n: usize, rng: &mut Pcg64Mcg) -> Result<Vec<Pair>> {
    let mut pairs = Vec::with_capacity(n);
    while pairs.len() < n {
        let deck = Deck::shuffled(rng);
        let played = World::play(&[ABILITY; N_PLAYERS], deck, Regime::STANDARD, rng)?;
        for hint in played.hints.iter().take(n - pairs.len()) {
            let mut say = |intent| {
                Statement::templated(intent, rng.random_range(0..N_PHRASINGS as u32) as usize)
            };
            pairs.push(Pair {
                a: say(hint.rationale),
                b: say(hint.reading),
            });
        }
    }
    Ok(pairs)
}

/// The pair with something done to it; `None` where that cannot be done (no slot to be wrong).
#[must_use]
pub fn probe(pair: &Pair, probe: Probe) -> Option<Pair> {
    let Pair { a, b } = pair.clone();
    Some(match probe {
        Probe::Plain => Pair { a, b },
        Probe::Swapped => Pair { a: b, b: a },
        Probe::Padded => Pair {
            a,
            b: Statement {
                text: format!("{PADDING} {}", b.text),
                intent: b.intent,
            },
        },
        Probe::WrongSlot => {
            if a.intent.kind == Kind::Info {
                return None;
            }
            let (slot, other) = (a.intent.slot, (a.intent.slot + 1) % 4);
            let b = Statement {
                text: a.text.replace(&slot.to_string(), &other.to_string()),
                intent: Intent::about(a.intent.kind, usize::from(other)),
            };
            Pair { a, b }
        }
    })
}

/// The same statements with the reasons dealt out anew, so that only chance makes them agree.
#[must_use]
pub fn shuffled<R: Rng>(pairs: &[Pair], rng: &mut R) -> Vec<Pair> {
    let mut reasons: Vec<&Statement> = pairs.iter().map(|pair| &pair.a).collect();
    reasons.shuffle(rng);
    let dealt = reasons.into_iter().zip(pairs);
    dealt
        .map(|(a, pair)| Pair {
            a: a.clone(),
            b: pair.b.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn some() -> Vec<Pair> {
        pairs(400, &mut Pcg64Mcg::seed_from_u64(1)).unwrap()
    }

    #[test]
    fn all_three_agreements_occur() {
        let pairs = some();
        for wanted in [0.0, 0.5, 1.0] {
            let n = pairs.iter().filter(|p| p.agreement() == wanted).count();
            assert!(n >= 20, "{n} pairs agree by {wanted}");
        }
    }

    #[test]
    fn probes_change_what_they_say_they_change() {
        for pair in some() {
            let swapped = probe(&pair, Probe::Swapped).unwrap();
            assert_eq!((&swapped.a, &swapped.b), (&pair.b, &pair.a));
            let padded = probe(&pair, Probe::Padded).unwrap();
            assert_eq!(padded.agreement(), pair.agreement());
            assert!(padded.b.text.ends_with(&pair.b.text) && padded.b.text.len() > 150);
            match probe(&pair, Probe::WrongSlot) {
                Some(wrong) => {
                    assert_eq!(wrong.agreement(), 0.5);
                    assert_ne!(wrong.a.text, wrong.b.text);
                    assert_eq!(wrong.a.text.len(), wrong.b.text.len());
                }
                None => assert_eq!(pair.a.intent, Intent::INFO),
            }
        }
    }

    /// The mean over all ways to deal the reasons out.
    fn base_rate(pairs: &[Pair]) -> f64 {
        let all = pairs.iter().flat_map(|one| {
            pairs
                .iter()
                .map(move |other| agree(one.a.intent, other.b.intent))
        });
        all.sum::<f64>() / (pairs.len() * pairs.len()) as f64
    }

    #[test]
    fn shuffled_reasons_agree_no_more_than_by_chance() {
        let pairs = some();
        let mean =
            |pairs: &[Pair]| pairs.iter().map(Pair::agreement).sum::<f64>() / pairs.len() as f64;
        let mut rng = Pcg64Mcg::seed_from_u64(2);
        let n_deals = 200;
        let dealt: f64 = (0..n_deals)
            .map(|_| mean(&shuffled(&pairs, &mut rng)))
            .sum();
        let by_chance = dealt / f64::from(n_deals);
        assert!((by_chance - base_rate(&pairs)).abs() < 0.01, "{by_chance}");
        assert!(mean(&pairs) > base_rate(&pairs) + 0.2);
    }
}
