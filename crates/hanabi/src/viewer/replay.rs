//! A game as the page shows it: every state after every move.

use eval::{Error, Result};
use serde::Serialize;

use crate::protocol::{GameRecord, HintTurn, Judged, Statement, TurnRecord, one_line};
use crate::rules::{ActionId, Colour, Deck, End, Event, Game, HanabLive, Hint, Knowledge, Trace};
use crate::world::{HintRecord, Intent, Kind, Regime, WorldGame, agree};

/// Characters of a player's name that are shown.
const NAME_CHARS_MAX: usize = 60;

/// A game, ready to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replay {
    /// One line that tells it from the others.
    pub title: String,
    /// Where it comes from.
    pub source: String,
    /// Names by seat.
    pub players: Vec<String>,
    /// The most tokens.
    pub tokens_max: u8,
    /// Lives at the start.
    pub lives_max: u8,
    /// The deal, then the state after every move.
    pub steps: Vec<Step>,
}

/// A state and the move that led to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The move; none before the first.
    #[serde(rename = "move", skip_serializing_if = "Option::is_none")]
    pub made: Option<Shown>,
    /// What was said about it, if it is a hint of players who say something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
    /// Something to know about how the move came about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Hands by seat, oldest card first: a card, then what hints left possible of it, colours and
    /// ranks as masks of five bits in base 32. `R1vv`: a red 1 of which nothing is known.
    pub hands: Vec<Vec<String>>,
    /// Heights by colour.
    pub fireworks: Vec<u8>,
    /// Copies of each of the 25 identities in the discard pile, a digit each.
    pub discards: String,
    /// Tokens left.
    pub tokens: u8,
    /// Lives left.
    pub lives: u8,
    /// Cards left to draw.
    pub deck: usize,
    /// Whose turn it is.
    pub next: usize,
    /// Why the game is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<&'static str>,
}

/// A move as everybody sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shown {
    /// Who moved.
    pub by: usize,
    /// What was done, without the name of the one who did.
    pub words: String,
    /// Who was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<usize>,
    /// The slots a hint touched, one bit each.
    pub touched: u8,
    /// Whether a card was drawn.
    pub drew: bool,
    /// Whether a life was lost.
    pub strike: bool,
}

/// Statements about a hint and their scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Said {
    /// R: what the hinter meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale: Option<Spoken>,
    /// S: what the hinter foresaw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Spoken>,
    /// F: what the recipient understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<Spoken>,
    /// I(h), where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ideal: Option<Spoken>,
    /// Whether the hinter moved at random.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blunder: bool,
    /// Exact agreements of F with R and of S with F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agree: Option<[f64; 2]>,
    /// Scores of judges.
    pub judged: Vec<Judged>,
}

/// An intent, and words for it where the player has any.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spoken {
    /// What the hint is for.
    pub kind: Kind,
    /// Which slot it is about, unless the kind is info.
    pub slot: u8,
    /// The words.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub text: String,
}

impl Spoken {
    fn silent(intent: Intent) -> Self {
        Self {
            kind: intent.kind,
            slot: intent.slot,
            text: String::new(),
        }
    }

    fn statement(statement: &Statement) -> Self {
        Self {
            text: statement.text.clone(),
            ..Self::silent(statement.intent)
        }
    }
}

impl Said {
    fn of_world(hint: &HintRecord) -> Self {
        Self {
            rationale: Some(Spoken::silent(hint.rationale)),
            prediction: Some(Spoken::silent(hint.prediction)),
            reading: Some(Spoken::silent(hint.reading)),
            ideal: Some(Spoken::silent(hint.ideal)),
            blunder: hint.blunder,
            agree: Some([hint.first_order(), hint.second_order()]),
            judged: Vec::new(),
        }
    }

    fn of_record(hint: &HintTurn) -> Self {
        let spoken = |one: &Option<Statement>| one.as_ref().map(Spoken::statement);
        let agree = match (&hint.rationale, &hint.prediction, &hint.reading) {
            (Some(r), Some(s), Some(f)) => {
                Some([agree(f.intent, r.intent), agree(s.intent, f.intent)])
            }
            _ => None,
        };
        Self {
            rationale: spoken(&hint.rationale),
            prediction: spoken(&hint.prediction),
            reading: spoken(&hint.reading),
            agree,
            judged: hint.judged.clone(),
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.rationale.is_none()
            && self.prediction.is_none()
            && self.reading.is_none()
            && self.judged.is_empty()
    }
}

impl Replay {
    /// A recorded game, whose players have no names and say nothing.
    ///
    /// # Errors
    /// An action is not legal.
    pub fn from_trace(trace: &Trace, source: &str) -> Result<Self> {
        let game = Game::new(trace.n_players, trace.deck)?;
        let names = (0..trace.n_players).map(|seat| format!("player {seat}"));
        Self::build(game, &trace.actions, names.collect(), source)
    }

    /// A game as the site Hanab Live writes it.
    ///
    /// # Errors
    /// It is no legal game.
    pub fn from_live(live: &HanabLive, source: &str) -> Result<Self> {
        let trace = live.to_trace()?;
        let game = Game::new(trace.n_players, trace.deck)?;
        Self::build(game, &trace.actions, live.players.clone(), source)
    }

    /// A game of the protocol, with statements and scores.
    ///
    /// # Errors
    /// The record's deck or an action is not legal, or its turns are not those of its actions.
    pub fn from_record(record: &GameRecord, source: &str) -> Result<Self> {
        let end = &record.end;
        let game = Game::new(end.players.len(), Deck::parse(&end.deck)?)?;
        let mut replay = Self::build(game, &end.actions, end.players.clone(), source)?;
        for turn in &record.turns {
            replay.add(turn)?;
        }
        Ok(replay)
    }

    fn add(&mut self, turn: &TurnRecord) -> Result<()> {
        let there = usize::try_from(turn.turn)
            .ok()
            .filter(|place| *place > 0)
            .and_then(|place| self.steps.get_mut(place))
            .filter(|step| {
                let by = step.made.as_ref().map(|made| made.by);
                by == Some(usize::from(turn.seat))
            });
        let Some(step) = there else {
            let (turn, seat) = (turn.turn, turn.seat);
            return Err(Error::inputs(format!(
                "the record's turn {turn} by seat {seat} is not in its actions"
            ))
            .hint("the lines of a game are its turns, in order, and then its end"));
        };
        let told = step.made.as_ref().and_then(|made| made.to);
        if let Some(hint) = &turn.hint {
            if told != Some(usize::from(hint.to)) {
                return Err(Error::inputs(format!(
                    "turn {} of the record tells seat {}, its action does not",
                    turn.turn, hint.to
                ))
                .hint("the lines of a game belong together; do not mix files"));
            }
            step.said = Some(Said::of_record(hint)).filter(|said| !said.is_empty());
        }
        step.note = note(turn);
        Ok(())
    }

    /// A game of Intent world, played in `regime`.
    ///
    /// # Errors
    /// The regime is another one.
    pub fn from_world(
        played: &WorldGame,
        regime: Regime,
        names: Vec<String>,
        source: &str,
    ) -> Result<Self> {
        let end = &played.game;
        let Regime { tokens, lives } = regime;
        let game = Game::with_limits(end.n_players(), *end.deck(), tokens, lives)?;
        let mut replay = Self::build(game, &played.actions, names, source)?;
        let mut hints = played.hints.iter();
        for step in &mut replay.steps {
            if step.made.as_ref().is_some_and(|made| made.to.is_some()) {
                step.said = hints.next().map(Said::of_world);
            }
        }
        Ok(replay)
    }

    fn build(
        mut game: Game,
        actions: &[ActionId],
        names: Vec<String>,
        source: &str,
    ) -> Result<Self> {
        let players: Vec<String> = names
            .iter()
            .map(|name| one_line(name, NAME_CHARS_MAX))
            .collect();
        let (tokens_max, lives_max) = (game.tokens_max(), game.lives());
        let mut steps = vec![state(&game, None)];
        for id in actions {
            let event = game.apply(*id)?;
            steps.push(state(&game, Some(shown(&event))));
        }
        let points = game.score_points();
        let end = match game.end() {
            None => "unfinished",
            Some(End::OutOfLives) => "out of lives",
            Some(End::Complete) => "complete",
            Some(End::OutOfCards) => "out of cards",
        };
        Ok(Self {
            title: format!("{points} points, {} moves, {end}", game.n_turns()),
            source: source.to_owned(),
            players,
            tokens_max,
            lives_max,
            steps,
        })
    }
}

/// What became of the mover's replies, if there is anything to say.
fn note(turn: &TurnRecord) -> Option<String> {
    let replies = &turn.replies;
    let mut parts = Vec::new();
    match replies.failures.len() {
        0 => {}
        1 => parts.push("1 reply refused".to_owned()),
        n => parts.push(format!("{n} replies refused")),
    }
    if replies.fell_back {
        parts.push("the fixed policy moved instead".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn state(game: &Game, made: Option<Shown>) -> Step {
    let hand = |seat: usize| {
        let cards = game.hand(seat).iter().zip(game.knowledge(seat));
        cards
            .map(|(card, known)| format!("{card}{}", code(*known)))
            .collect()
    };
    Step {
        made,
        said: None,
        note: None,
        hands: (0..game.n_players()).map(hand).collect(),
        fireworks: game.fireworks().to_vec(),
        discards: game.discarded().iter().map(ToString::to_string).collect(),
        tokens: game.tokens(),
        lives: game.lives(),
        deck: game.n_deck(),
        next: game.seat(),
        end: game.end().map(|end| match end {
            End::OutOfLives => "the last life is lost",
            End::Complete => "all fireworks are complete",
            End::OutOfCards => "the cards have run out",
        }),
    }
}

/// Colours and ranks that are possible, each as a mask of five bits in base 32.
fn code(known: Knowledge) -> String {
    let digit = |mask: u32| char::from_digit(mask, 32).unwrap_or('0');
    let colours = Colour::ALL.into_iter().enumerate();
    let colours = colours.fold(0, |mask, (bit, colour)| {
        mask | u32::from(known.allows_colour(colour)) << bit
    });
    let ranks = (0..5).fold(0, |mask, bit| {
        mask | u32::from(known.allows_rank(bit + 1)) << bit
    });
    [digit(colours), digit(ranks)].iter().collect()
}

fn shown(event: &Event) -> Shown {
    match *event {
        Event::Hinted {
            from,
            to,
            hint,
            touched,
            ..
        } => {
            let slots: Vec<String> = (0..8)
                .filter(|slot| touched >> slot & 1 == 1)
                .map(|slot| slot.to_string())
                .collect();
            let what = match hint {
                Hint::Colour(colour) => colour.word().to_owned(),
                Hint::Rank(rank) => format!("rank {rank}"),
            };
            let plural = if slots.len() == 1 { "slot" } else { "slots" };
            let to = usize::from(to);
            Shown {
                by: usize::from(from),
                words: format!("tells seat {to} {what}, {plural} {}", slots.join(" ")),
                to: Some(to),
                touched,
                ..Shown::default()
            }
        }
        Event::Discarded {
            seat,
            slot,
            card,
            drew,
        } => Shown {
            by: usize::from(seat),
            words: format!("discards {card} from slot {slot}"),
            drew,
            ..Shown::default()
        },
        Event::Played {
            seat,
            slot,
            card,
            success,
            drew,
        } => Shown {
            by: usize::from(seat),
            words: if success {
                format!("plays {card} from slot {slot}")
            } else {
                format!("misplays {card} from slot {slot} and loses a life")
            },
            drew,
            strike: !success,
            ..Shown::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_card_holds_what_hints_left_possible() {
        assert_eq!(code(Knowledge::NOTHING), "vv");
        let red = Knowledge::NOTHING.after(Hint::Colour(Colour::Red), true);
        assert_eq!(code(red), "1v");
        assert_eq!(code(red.after(Hint::Rank(5), false)), "1f");
        let blue_two = Knowledge::NOTHING
            .after(Hint::Colour(Colour::Blue), true)
            .after(Hint::Rank(2), true);
        assert_eq!(code(blue_two), "g2");
    }

    #[test]
    fn every_move_is_a_step_and_says_who_did_what() {
        // Seat 0 plays a red 1, seat 1 misplays a red 3, seat 0 tells it red.
        let trace = Trace {
            n_players: 2,
            deck: Deck::sorted(),
            actions: vec![5, 5, 10],
            score: None,
        };
        let replay = Replay::from_trace(&trace, "a test").unwrap();
        let words = |step: usize| replay.steps[step].made.as_ref().unwrap().words.as_str();
        assert_eq!(replay.steps.len(), 4);
        assert_eq!(words(1), "plays R1 from slot 0");
        assert_eq!(words(2), "misplays R3 from slot 0 and loses a life");
        assert_eq!(words(3), "tells seat 1 red, slots 0 1 2 3");
        assert_eq!(replay.steps[3].hands[1][0], "R31v");
        assert_eq!(replay.steps[3].hands[1][4], "Y1uv");
        assert_eq!(replay.title, "1 points, 3 moves, unfinished");
    }
}
