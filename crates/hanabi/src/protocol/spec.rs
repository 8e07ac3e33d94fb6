//! Who plays, in one word: `intent:1,0.5,1`, `simple`, `endpoint:<model>`, `local:<weights>`.

use std::fmt;
use std::str::FromStr;

use eval::{Error, Result};
use model::chat::ChatSpec;

use crate::policies::Ladder;
use crate::world::Ability;

/// A player as the command line names it.
///
/// ```
/// # use hanabi::protocol::PlayerSpec;
/// let spec: PlayerSpec = "intent:1,0.5,0.9".parse().unwrap();
/// assert_eq!(spec.to_string(), "intent:1,0.5,0.9");
/// assert!("intent:2,0,0".parse::<PlayerSpec>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum PlayerSpec {
    /// `blind`, `random-legal`, `simple`, `value`, `hat`: a reference policy, without statements.
    Policy(Ladder),
    /// `intent:t1,t2,sk`: a graded player of Intent world.
    Graded(Ability),
    /// `local:<weights>`: a language model here, by constrained likelihood. The weights are a file,
    /// or a name below `datasets/models/`.
    Likelihood(String),
    /// `endpoint:<model>`, `replay:<file>`, `scripted:echo`, `scripted:say:<text>`, or
    /// `chat:local:<weights>`: whoever answers chats.
    Chat(ChatSpec),
}

impl FromStr for PlayerSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("intent", abilities)) => ability(abilities).map(Self::Graded),
            Some(("local", weights)) if !weights.is_empty() => {
                Ok(Self::Likelihood(weights.to_owned()))
            }
            Some(("chat", chat)) => Ok(Self::Chat(chat.parse()?)),
            Some(("endpoint" | "replay" | "scripted", _)) => Ok(Self::Chat(text.parse()?)),
            Some(_) | None => match Ladder::parse(text) {
                Ok(Ladder::Cheat) | Err(_) => Err(unknown(text)),
                Ok(rung) => Ok(Self::Policy(rung)),
            },
        }
    }
}

fn ability(text: &str) -> Result<Ability> {
    let numbers: Vec<f64> = text
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .filter(|number| (0.0..=1.0).contains(number))
        .collect();
    match (numbers.as_slice(), text.split(',').count()) {
        ([first_order, second_order, skill], 3) => Ok(Ability {
            first_order: *first_order,
            second_order: *second_order,
            skill: *skill,
        }),
        _ => Err(Error::usage(format!(
            "`intent:{}` is no graded player",
            text.escape_debug()
        ))
        .hint("give three numbers from 0 to 1: `intent:t1,t2,sk`, such as `intent:1,0.5,1`")),
    }
}

fn unknown(text: &str) -> Error {
    Error::usage(format!("`{}` names no player", text.escape_debug())).hint(
        "write `blind`, `random-legal`, `simple`, `value`, `hat`, `intent:t1,t2,sk`, \
         `local:<weights>`, `chat:local:<weights>`, `endpoint:<model>`, `replay:<file>`, or \
         `scripted:say:<text>`",
    )
}

impl fmt::Display for PlayerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(rung) => f.write_str(rung.name()),
            Self::Graded(ability) => {
                let Ability {
                    first_order,
                    second_order,
                    skill,
                } = ability;
                write!(f, "intent:{first_order},{second_order},{skill}")
            }
            Self::Likelihood(weights) => write!(f, "local:{weights}"),
            Self::Chat(spec @ ChatSpec::Local { .. }) => write!(f, "chat:{spec}"),
            Self::Chat(spec) => write!(f, "{spec}"),
        }
    }
}

/// Who sits where: letters of the players in their order, `a,a,b,b,b`; without any, player `a` in
/// all of `n_seats`.
///
/// # Errors
/// A letter names no player.
pub fn seats(letters: Option<&str>, n_players: usize, n_seats: usize) -> Result<Vec<usize>> {
    let Some(letters) = letters else {
        return Ok(vec![0; n_seats]);
    };
    let place = |letter: &str| {
        let known: Vec<String> = (b'a'..=b'z')
            .take(n_players)
            .map(|letter| char::from(letter).to_string())
            .collect();
        known.iter().position(|one| one == letter).ok_or_else(|| {
            Error::usage(format!("seat `{}` names no player", letter.escape_debug())).hint(format!(
                "the players given with `--player` are {}, in that order",
                known.join(", ")
            ))
        })
    };
    letters
        .split(',')
        .map(|letter| place(letter.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_read_back_as_they_are_written() {
        for text in [
            "simple",
            "random-legal",
            "intent:1,0.25,0",
            "local:smollm2-135m-instruct",
            "chat:local:smollm2-135m-instruct",
            "endpoint:org/model:free",
            "scripted:echo",
        ] {
            let spec: PlayerSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
        let wrong = [
            "",
            "cheat",
            "intent:1,1",
            "intent:1,1,x,1",
            "intent:1,1,NaN",
            "gpt",
            "local:",
        ];
        for text in wrong {
            assert!(text.parse::<PlayerSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn seats_are_letters_of_the_players_in_order() {
        assert_eq!(seats(Some("a,a,b"), 2, 5).unwrap(), [0, 0, 1]);
        assert_eq!(seats(None, 1, 3).unwrap(), [0, 0, 0]);
        assert!(
            seats(Some("a,c"), 2, 5)
                .unwrap_err()
                .report()
                .contains("a, b")
        );
    }
}
