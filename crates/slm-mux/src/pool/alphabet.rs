//! Characters as tokens.

use eval::{Error, Result};

/// Token 0 pads and is never predicted; the others stand for these characters, in order.
const CHARACTERS: &str = "\n =0123456789+-*?<>,MSRPGB";

/// The token that ends an answer.
pub const END: u32 = 1;

/// Tokens of the vocabulary.
#[must_use]
pub fn n_vocab() -> usize {
    CHARACTERS.chars().count() + 1
}

/// The tokens of a text.
///
/// # Errors
/// The text has a character that no skill uses.
pub fn encode(text: &str) -> Result<Vec<u32>> {
    text.chars()
        .map(|wanted| {
            let place = CHARACTERS.chars().position(|c| c == wanted);
            place.map(|place| place as u32 + 1).ok_or_else(|| {
                Error::internal(format!(
                    "no skill uses the character `{}`",
                    wanted.escape_debug()
                ))
            })
        })
        .collect()
}

/// The text of tokens up to the first that ends an answer; padding is nothing.
#[must_use]
pub fn decode(tokens: impl IntoIterator<Item = u32>) -> String {
    let tokens = tokens.into_iter().take_while(|token| *token != END);
    tokens
        .filter_map(|token| {
            let place = (token as usize).checked_sub(1)?;
            CHARACTERS.chars().nth(place)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Skill;
    use rand::SeedableRng;

    #[test]
    fn whatever_a_skill_writes_reads_back() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(5);
        for skill in Skill::ALL {
            for _ in 0..50 {
                let exercise = skill.draw(&mut random);
                let text = format!("{}{}", exercise.question, exercise.answer);
                let mut tokens = encode(&text).unwrap();
                tokens.extend([END, 3]);
                assert!(tokens.iter().all(|t| (*t as usize) < n_vocab()));
                assert_eq!(decode(tokens), text);
            }
        }
        assert!(encode("ä").is_err());
    }
}
