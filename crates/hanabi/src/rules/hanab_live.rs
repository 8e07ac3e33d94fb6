//! Games in the JSON of the site Hanab Live (format 3.0.0): import and export.
//!
//! The site's suits are red, yellow, green, blue, purple; ours red, yellow, green, white, blue.
//! They are mapped by index, which changes names and no play.

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::action::{Action, Hint};
use super::card::{Card, Colour, DECK_SIZE, Deck, N_COLOURS, N_RANKS};
use super::game::Game;
use super::trace::Trace;

/// Characters of a document at most.
const DOCUMENT_MAX: usize = 1 << 20;

/// A game as the site writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HanabLive {
    /// Names of the players in seating order.
    pub players: Vec<String>,
    /// Cards from top to bottom; a card's place is its order.
    pub deck: Vec<LiveCard>,
    /// What was done.
    pub actions: Vec<LiveAction>,
    /// Everything else the document holds (`options`, `notes`, `characters`, `id`, …), kept as it
    /// is.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

/// A card as the site writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveCard {
    /// Colour by index.
    #[serde(rename = "suitIndex")]
    pub suit: u8,
    /// Rank, 1–5.
    pub rank: u8,
}

/// An action as the site writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveAction {
    /// 0 play, 1 discard, 2 colour hint, 3 rank hint, 4 end of game.
    #[serde(rename = "type")]
    pub kind: u8,
    /// The card's order, or the seat that is told.
    pub target: u8,
    /// The colour's index or the rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u8>,
}

impl HanabLive {
    /// Reads a document.
    ///
    /// # Errors
    /// It is no such document, or absurdly large.
    pub fn parse(text: &str) -> Result<Self> {
        let hint = "the document is what the site exports for one game (format 3.0.0)";
        if text.len() > DOCUMENT_MAX {
            let n_bytes = text.len();
            return Err(Error::inputs(format!("a game of {n_bytes} bytes")).hint(hint));
        }
        serde_json::from_str(text).map_err(|error| {
            Error::inputs("this is no Hanab Live game")
                .caused_by(error)
                .hint(hint)
        })
    }

    /// The recorded game. An action "end of game" ends it and is not part of the trace.
    ///
    /// # Errors
    /// The deck is not the fifty cards, or an action names a card or seat that is not there.
    pub fn to_trace(&self) -> Result<Trace> {
        let n_players = self.players.len();
        let cards = self.deck.iter().enumerate().map(|(order, card)| {
            let fine =
                usize::from(card.suit) < N_COLOURS && (1..=N_RANKS as u8).contains(&card.rank);
            let colour = Colour::from_index(usize::from(card.suit));
            fine.then(|| Card::new(colour, card.rank)).ok_or_else(|| {
                Error::inputs(format!(
                    "card {order} of the deck has suitIndex {} and rank {}",
                    card.suit, card.rank
                ))
                .hint("only games without variant can be read: five suits, ranks 1 to 5")
            })
        });
        let deck = Deck::new(&cards.collect::<Result<Vec<Card>>>()?)?;
        let mut game = Game::new(n_players, deck)?;
        let mut actions = Vec::new();
        for action in &self.actions {
            if action.kind == 4 {
                break;
            }
            let id = game.id_of(resolve(&game, *action)?);
            game.apply(id)?;
            actions.push(id);
        }
        Ok(Trace {
            n_players,
            deck,
            actions,
            score: game.end().map(|_| game.score_strict()),
        })
    }

    /// The document of a recorded game.
    ///
    /// # Errors
    /// The trace is not a legal game, or there are not as many names as players.
    pub fn from_trace(trace: &Trace, players: &[String]) -> Result<Self> {
        if players.len() != trace.n_players {
            let (names, seats) = (players.len(), trace.n_players);
            return Err(Error::usage(format!("{names} names for {seats} players"))
                .hint("give every seat a name"));
        }
        let mut game = Game::new(trace.n_players, trace.deck)?;
        let mut actions = Vec::new();
        for id in &trace.actions {
            // An action that does not exist is refused by `apply`.
            if let Some(action) = game.action(*id) {
                actions.push(write(&game, action));
            }
            game.apply(*id)?;
        }
        let card = |order| {
            let card = trace.deck.card(order);
            LiveCard {
                suit: card.colour().index() as u8,
                rank: card.rank(),
            }
        };
        Ok(Self {
            players: players.to_vec(),
            deck: (0..DECK_SIZE).map(card).collect(),
            actions,
            rest: serde_json::Map::new(),
        })
    }
}

fn resolve(game: &Game, action: LiveAction) -> Result<Action> {
    let turn = game.n_turns() + 1;
    let wrong = |why: String| {
        Error::inputs(format!("action {turn} of the game {why}"))
            .hint("types are 0 play, 1 discard, 2 colour hint, 3 rank hint, 4 end of game")
    };
    let slot = || {
        let orders = game.orders(game.seat());
        let slot = orders.iter().position(|order| *order == action.target);
        slot.map(|slot| slot as u8).ok_or_else(|| {
            wrong(format!(
                "names card {}, which is not in that hand",
                action.target
            ))
        })
    };
    let told = |hint: Hint| {
        let n_players = game.n_players();
        let to = usize::from(action.target);
        if to >= n_players || to == game.seat() {
            return Err(wrong(format!("tells seat {to}")));
        }
        let offset = (to + n_players - game.seat()) % n_players;
        Ok(Action::Hint {
            offset: offset as u8,
            hint,
        })
    };
    match (action.kind, action.value) {
        (0, _) => Ok(Action::Play(slot()?)),
        (1, _) => Ok(Action::Discard(slot()?)),
        (2, Some(colour)) if usize::from(colour) < N_COLOURS => {
            told(Hint::Colour(Colour::from_index(usize::from(colour))))
        }
        (3, Some(rank)) if (1..=N_RANKS as u8).contains(&rank) => told(Hint::Rank(rank)),
        (kind, value) => Err(wrong(format!("has type {kind} and value {value:?}"))),
    }
}

fn write(game: &Game, action: Action) -> LiveAction {
    let order = |slot: u8| {
        let orders = game.orders(game.seat());
        orders.get(usize::from(slot)).copied().unwrap_or(u8::MAX)
    };
    match action {
        Action::Play(slot) => LiveAction {
            kind: 0,
            target: order(slot),
            value: None,
        },
        Action::Discard(slot) => LiveAction {
            kind: 1,
            target: order(slot),
            value: None,
        },
        Action::Hint { offset, hint } => {
            let target = ((game.seat() + usize::from(offset)) % game.n_players()) as u8;
            let (kind, value) = match hint {
                Hint::Colour(colour) => (2, colour.index() as u8),
                Hint::Rank(rank) => (3, rank),
            };
            LiveAction {
                kind,
                target,
                value: Some(value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn random_trace(n_players: usize, seed: u64) -> Trace {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let deck = Deck::shuffled(&mut rng);
        let mut game = Game::new(n_players, deck).unwrap();
        let mut actions = Vec::new();
        while game.end().is_none() {
            let legal: Vec<u8> = (0..64).filter(|id| game.legal() >> id & 1 == 1).collect();
            actions.push(legal[rng.random_range(0..legal.len())]);
            game.apply(*actions.last().unwrap()).unwrap();
        }
        Trace {
            n_players,
            deck,
            actions,
            score: Some(game.score_strict()),
        }
    }

    #[test]
    fn export_and_import_give_the_same_game_and_the_same_text() {
        for seed in 0..100 {
            let trace = random_trace(2 + (seed % 4) as usize, seed);
            let names: Vec<String> = (0..trace.n_players)
                .map(|seat| format!("p{seat}"))
                .collect();
            let live = HanabLive::from_trace(&trace, &names).unwrap();
            let text = serde_json::to_string(&live).unwrap();
            let read = HanabLive::parse(&text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
            assert_eq!(read.to_trace().unwrap(), trace);
        }
    }

    #[test]
    fn unknown_keys_of_a_document_are_kept() {
        let trace = random_trace(2, 1);
        let live = HanabLive::from_trace(&trace, &["a".into(), "b".into()]).unwrap();
        let mut value = serde_json::to_value(&live).unwrap();
        value["options"] = serde_json::json!({"variant": "No Variant"});
        value["id"] = 7.into();
        let read = HanabLive::parse(&value.to_string()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), value);
    }

    #[test]
    fn documents_that_are_no_games_are_refused() {
        let trace = random_trace(2, 2);
        let live = HanabLive::from_trace(&trace, &["a".into(), "b".into()]).unwrap();
        let refuse = |change: &dyn Fn(&mut HanabLive), part: &str| {
            let mut changed = live.clone();
            change(&mut changed);
            let error = changed.to_trace().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refuse(
            &|live| live.deck[3].suit = 5,
            "card 3 of the deck has suitIndex 5",
        );
        refuse(&|live| live.deck[0] = live.deck[1], "of card");
        refuse(
            &|live| live.actions[0].kind = 9,
            "action 1 of the game has type 9",
        );
        refuse(
            &|live| {
                live.actions[0] = LiveAction {
                    kind: 0,
                    target: 49,
                    value: None,
                }
            },
            "card 49",
        );
        refuse(
            &|live| {
                live.actions[0] = LiveAction {
                    kind: 3,
                    target: 0,
                    value: Some(1),
                }
            },
            "tells seat 0",
        );
        refuse(&|live| live.players.push("c".into()), "not in that hand");
        assert!(HanabLive::parse("{}").is_err());
        assert!(HanabLive::parse(&" ".repeat(2 << 20)).is_err());
    }
}
