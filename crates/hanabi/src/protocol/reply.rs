//! Reading the replies of language models: bounded in time and memory, and never believed.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::statement::{Statement, one_line};
use crate::rules::{Action, ActionId, View};
use crate::world::{Intent, Kind};

/// Longer replies are refused without being read.
pub const REPLY_BYTES_MAX: usize = 64 << 10;
/// Beginnings of objects that are tried in one reply: a model may think aloud in braces.
const N_OBJECTS_MAX: usize = 8;
/// Characters of a reason that are kept.
const WHY_CHARS_MAX: usize = 200;

/// The reply of the one to move. Other keys are ignored: models like to add some.
#[derive(Debug, Deserialize)]
struct TurnReply {
    action: u64,
    #[serde(default)]
    rationale: Option<String>,
    #[serde(default)]
    intent: Option<IntentReply>,
    #[serde(default)]
    prediction: Option<String>,
    #[serde(default)]
    predicted_intent: Option<IntentReply>,
}

/// The reply of the one who was told.
#[derive(Debug, Deserialize)]
struct ReadingReply {
    #[serde(default)]
    interpretation: Option<String>,
    intent: IntentReply,
}

#[derive(Debug, Deserialize)]
struct IntentReply {
    kind: Kind,
    #[serde(default)]
    slot: Option<u64>,
}

/// The reply of a judge.
#[derive(Debug, Deserialize)]
struct ScoreReply {
    score: u64,
}

/// A legal action with its statements, read from a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnSaid {
    /// The action.
    pub action: ActionId,
    /// R and S of a hint, or why they cannot be used; `None` for other moves.
    pub statements: Option<Result<[Statement; 2], String>>,
}

/// Reads the reply of the one to move.
///
/// # Errors
/// No legal action can be read; the text says why, in one short line.
pub fn read_turn(text: &str, view: &View<'_>) -> Result<TurnSaid, String> {
    let reply: TurnReply = object(text)?;
    let id = u8::try_from(reply.action).unwrap_or(u8::MAX);
    if id >= 64 || view.legal() >> id & 1 == 0 {
        return Err(format!("action {} is not legal", reply.action));
    }
    let statements = match view.action(id) {
        Some(Action::Hint { offset, .. }) => {
            let to = (view.seat() + usize::from(offset)) % view.n_players();
            let n_cards = view.n_cards(to);
            Some(hint_statements(reply, n_cards))
        }
        _ => None,
    };
    Ok(TurnSaid {
        action: id,
        statements,
    })
}

fn hint_statements(reply: TurnReply, n_cards: usize) -> Result<[Statement; 2], String> {
    let read = |intent: Option<IntentReply>, text: Option<String>, key: &str| {
        let intent = intent.ok_or_else(|| format!("a hint needs `{key}`"))?;
        statement(intent, text, n_cards)
    };
    Ok([
        read(reply.intent, reply.rationale, "intent")?,
        read(reply.predicted_intent, reply.prediction, "predicted_intent")?,
    ])
}

/// Reads the reply of the one who was told; the hand has `n_cards`.
///
/// # Errors
/// No intent can be read; the text says why, in one short line.
pub fn read_reading(text: &str, n_cards: usize) -> Result<Statement, String> {
    let reply: ReadingReply = object(text)?;
    statement(reply.intent, reply.interpretation, n_cards)
}

/// Reads the score of a judge, at most `score_max`.
///
/// # Errors
/// No score on the scale can be read; the text says why, in one short line.
pub fn read_score(text: &str, score_max: u8) -> Result<u8, String> {
    let reply: ScoreReply = object(text)?;
    match u8::try_from(reply.score) {
        Ok(score) if score <= score_max => Ok(score),
        _ => Err(format!("score {} is not in 0 to {score_max}", reply.score)),
    }
}

fn statement(
    intent: IntentReply,
    text: Option<String>,
    n_cards: usize,
) -> Result<Statement, String> {
    let text = text.unwrap_or_default();
    let intent = match (intent.kind, intent.slot) {
        (Kind::Info, _) => Intent::INFO,
        (kind, Some(slot)) if slot < n_cards as u64 => Intent::about(kind, slot as usize),
        (_, Some(slot)) => return Err(format!("there is no slot {slot} in a hand of {n_cards}")),
        (_, None) => return Err("the intent needs a slot".to_owned()),
    };
    Ok(Statement::new(&text, intent))
}

/// The first object in a text that has the wanted form.
fn object<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let n_bytes = text.len();
    if n_bytes > REPLY_BYTES_MAX {
        return Err(format!(
            "the reply has {n_bytes} bytes, at most {REPLY_BYTES_MAX} are read"
        ));
    }
    let mut why = None;
    for (offset, _) in text.match_indices('{').take(N_OBJECTS_MAX) {
        let mut values = serde_json::Deserializer::from_str(&text[offset..]).into_iter::<T>();
        match values.next() {
            Some(Ok(value)) => return Ok(value),
            Some(Err(error)) => {
                why.get_or_insert_with(|| one_line(&error.to_string(), WHY_CHARS_MAX));
            }
            None => {}
        }
    }
    Err(why.unwrap_or_else(|| {
        if text.trim().is_empty() {
            "the reply is empty".to_owned()
        } else {
            "the reply holds no JSON object".to_owned()
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Deck, Game};

    fn refused(text: &str) -> String {
        let game = Game::new(5, Deck::sorted()).unwrap();
        read_turn(text, &game.view(0)).unwrap_err()
    }

    #[test]
    fn moves_and_statements_are_read_from_talk_around_them() {
        let game = Game::new(5, Deck::sorted()).unwrap();
        let view = game.view(0);
        let said = read_turn(
            "Let {me} think.\n```json\n{\"action\": 5, \"why\": []}\n```",
            &view,
        );
        assert_eq!(
            said.unwrap(),
            TurnSaid {
                action: 5,
                statements: None
            }
        );
        let hint = "{\"action\": 8, \"rationale\": \"r\\u001bx\", \"intent\": {\"kind\": \"play\", \
                    \"slot\": 3}, \"predicted_intent\": {\"kind\": \"info\", \"slot\": null}}";
        let statements = read_turn(hint, &view).unwrap().statements.unwrap().unwrap();
        assert_eq!(statements[0].intent, Intent::about(Kind::Play, 3));
        assert_eq!(statements[0].text, "r x");
        assert_eq!(statements[1].intent, Intent::INFO);
    }

    #[test]
    fn a_hint_without_statements_is_a_legal_move_whose_statements_cannot_be_used() {
        let game = Game::new(5, Deck::sorted()).unwrap();
        let said = read_turn("{\"action\": 8}", &game.view(0)).unwrap();
        assert_eq!(
            said.statements,
            Some(Err("a hint needs `intent`".to_owned()))
        );
        let slot = "{\"action\": 8, \"intent\": {\"kind\": \"save\", \"slot\": 4}}";
        let said = read_turn(slot, &game.view(0)).unwrap();
        assert!(said.statements.unwrap().unwrap_err().contains("slot 4"));
    }

    #[test]
    fn hostile_replies_are_refused_in_one_short_line() {
        assert_eq!(refused(" \n"), "the reply is empty");
        assert_eq!(refused("play!"), "the reply holds no JSON object");
        assert!(refused("{\"action\": \"5\"}").contains("invalid type"));
        assert!(refused("{\"action\": -1}").contains("invalid"));
        assert!(refused("{\"action\": 1e99}").contains("invalid"));
        assert!(refused("{\"action\": 0}").contains("not legal"));
        assert!(refused("{\"action\": 255}").contains("not legal"));
        assert!(refused(&"{".repeat(1 << 16)).len() <= WHY_CHARS_MAX);
        assert!(refused(&format!("{{\"action\":{}", "[".repeat(60_000))).len() <= WHY_CHARS_MAX);
        assert!(refused(&"{\"action\": 5}".repeat(400_000)).contains("bytes"));
        let kind = format!(
            "{{\"action\": 8, \"intent\": {{\"kind\": \"{}\\u001b\"}}}}",
            "x".repeat(999)
        );
        let why = refused(&kind);
        assert!(
            why.chars().count() <= WHY_CHARS_MAX && !why.contains('\u{1b}'),
            "{why}"
        );
    }

    #[test]
    fn scores_are_on_the_scale() {
        assert_eq!(read_score("{\"score\": 5}", 5), Ok(5));
        assert!(read_score("{\"score\": 6}", 5).is_err());
        assert!(read_score("{\"score\": 2.5}", 5).is_err());
    }
}
