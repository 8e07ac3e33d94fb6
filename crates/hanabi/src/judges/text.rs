//! A judge that compares words.

use std::collections::BTreeMap;

use eval::Result;
use model::chat::BoxFuture;

use super::interface::{Judge, Judgement, Question};

/// Scores by the words that two texts share: the F1 of their word counts (Dice's coefficient of the
/// two bags of words), numbers counted as words, upper case ignored.
#[derive(Clone, Copy, Debug)]
pub struct Overlap;

impl Overlap {
    /// Shared words of two texts, 0–1; 1 for equal texts, 0 where one has no word.
    #[must_use]
    pub fn of(a: &str, b: &str) -> f64 {
        let (a, b) = (bag(a), bag(b));
        let total: u32 = a.values().chain(b.values()).sum();
        let shared: u32 = a
            .iter()
            .map(|(word, n)| (*n).min(b.get(word).copied().unwrap_or(0)))
            .sum();
        if shared == 0 {
            0.0
        } else {
            2.0 * f64::from(shared) / f64::from(total)
        }
    }
}

fn bag(text: &str) -> BTreeMap<String, u32> {
    let mut bag = BTreeMap::new();
    let words = text.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        *bag.entry(word.to_lowercase()).or_default() += 1;
    }
    bag
}

impl Judge for Overlap {
    fn name(&self) -> &str {
        "overlap"
    }

    fn score<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Judgement>> {
        let share = Self::of(&question.a.text, &question.b.text);
        let expected = share * f64::from(question.order.score_max());
        Box::pin(async move {
            Ok(Judgement {
                score: Some(expected.round() as u8),
                expected: Some(expected),
                failures: Vec::new(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_words_count_by_their_number() {
        assert_eq!(Overlap::of("Play slot 1.", "play slot 1"), 1.0);
        assert_eq!(Overlap::of("play slot 1", "play slot 2"), 2.0 * 2.0 / 6.0);
        assert_eq!(Overlap::of("play play", "play"), 2.0 / 3.0);
        assert_eq!(Overlap::of("", ""), 0.0);
    }
}
