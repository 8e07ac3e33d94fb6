//! Recorded games, one line each (§2.1): `n deck actions [score …]`.

use std::fmt::Write as _;

use eval::{Error, Result};

use super::action::ActionId;
use super::card::{Colour, Deck};
use super::game::Game;

/// Moves of a recorded game at most; no game of fifty cards is that long.
const TURNS_MAX: usize = 400;

/// A recorded game.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Number of players.
    pub n_players: usize,
    /// Cards in dealing order.
    pub deck: Deck,
    /// Actions in order.
    pub actions: Vec<ActionId>,
    /// The score that was recorded with it, if any (`score_strict`).
    pub score: Option<u8>,
}

impl Trace {
    /// Reads one line.
    ///
    /// # Errors
    /// A field is missing or cannot be read; the message names it.
    pub fn parse(line: &str) -> Result<Self> {
        let mut fields = line.split_ascii_whitespace();
        let mut field = |name: &str| {
            fields.next().ok_or_else(|| {
                Error::inputs(format!("the recorded game has no {name}"))
                    .hint("a line is `n deck actions [score_strict …]`")
            })
        };
        let unreadable = |name: &str, text: &str| {
            let text: String = text.chars().take(40).collect();
            Error::inputs(format!("`{}` is no {name}", text.escape_debug()))
                .hint("a line is `n deck actions [score_strict …]`, actions separated by commas")
        };
        let n_players = field("number of players")?;
        let n_players = n_players
            .parse()
            .map_err(|_| unreadable("number of players", n_players))?;
        let deck = Deck::parse(field("deck")?)?;
        let actions = field("actions")?;
        let actions = actions
            .split(',')
            .take(TURNS_MAX + 1)
            .map(|id| id.parse().map_err(|_| unreadable("action id", id)))
            .collect::<Result<Vec<ActionId>>>()?;
        if actions.len() > TURNS_MAX {
            return Err(
                Error::inputs(format!("a game of more than {TURNS_MAX} actions"))
                    .hint("one line is one game"),
            );
        }
        let score = field("score")
            .ok()
            .map(|text| text.parse().map_err(|_| unreadable("score", text)));
        Ok(Self {
            n_players,
            deck,
            actions,
            score: score.transpose()?,
        })
    }

    /// Plays the game; `step` hears of every move.
    ///
    /// # Errors
    /// An action is illegal, or the game does not end with the last one.
    pub fn replay(&self, mut step: impl FnMut(&Game, ActionId, u32)) -> Result<Game> {
        let mut game = Game::new(self.n_players, self.deck)?;
        for id in &self.actions {
            let n_legal = game.legal().count_ones();
            game.apply(*id)?;
            step(&game, *id, n_legal);
        }
        Ok(game)
    }

    /// The line that [`Trace::parse`] reads.
    #[must_use]
    pub fn to_line(&self) -> String {
        let actions: Vec<String> = self.actions.iter().map(ToString::to_string).collect();
        let mut line = format!("{} {} {}", self.n_players, self.deck, actions.join(","));
        if let Some(score) = self.score {
            line.push_str(&format!(" {score}"));
        }
        line
    }
}

/// The game as text for comparing engines: a line per move, `t id nN Ll Ii Fabcde Xd`, and its end.
///
/// # Errors
/// As [`Trace::replay`].
pub fn print_replay(trace: &Trace) -> Result<String> {
    let mut text = format!("GAME {}\n", trace.n_players);
    let game = trace.replay(|game, id, n_legal| {
        let fireworks = Colour::ALL.map(|colour| game.fireworks()[colour.index()].to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} {id} n{n_legal} L{} I{} F{} X{}",
            game.n_turns(),
            game.lives(),
            game.tokens(),
            fireworks.concat(),
            game.n_discarded()
        );
    })?;
    let end = game.end().map_or("unfinished", |end| end.word());
    text.push_str(&format!("END {end} score {}\n", game.score_strict()));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The first recorded game of JaxMARL's engine test (Apache-2.0), `tests/hanabi`.
    const RECORDED: &str = concat!(
        "2 R1G1W1B3R1G2R5G3R1R2G3W1G2G1B5Y5W5G4W3W2W4B1G1B4W2R4B1B2R4Y2R2Y4Y1B1G4W3G5Y1Y4Y3B4B3",
        "R3Y1W4W1Y2B2Y3R3 15,8,2,10,16,2,12,1,15,9,16,8,17,7,19,0,10,1,12,5,4,7,4,4,13,9,4,4,4,",
        "16,16,0,15,8,2,14,8,0,11,0,15,8,16,7,17,18,3,19,9,3,10,2,2,18,5,14,1,17,8,4,8,13,7,15,",
        "8,5,13,5,17,5 18",
    );

    #[test]
    fn a_recorded_game_replays_to_its_recorded_score() {
        let trace = Trace::parse(RECORDED).unwrap();
        let game = trace.replay(|_, _, _| ()).unwrap();
        assert!(game.end().is_some());
        assert_eq!(Some(game.score_strict()), trace.score);
        assert_eq!(trace.to_line(), RECORDED);
    }

    #[test]
    fn a_replay_prints_every_move_and_the_end() {
        let text = print_replay(&Trace::parse(RECORDED).unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 72);
        assert_eq!(lines[0], "GAME 2");
        assert!(lines[1].starts_with("1 15 n") && lines[1].ends_with("L3 I7 F00000 X0"));
        assert!(lines[71].starts_with("END ") && lines[71].ends_with("score 18"));
    }

    #[test]
    fn lines_that_are_no_games_are_refused_with_the_field() {
        let refuse = |line: &str, part: &str| {
            let error = Trace::parse(line).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refuse("", "number of players");
        refuse("x", "`x` is no number of players");
        refuse("2", "no deck");
        refuse("2 R1", "holds 1 of card R1");
        let deck = Deck::sorted();
        refuse(&format!("2 {deck}"), "no actions");
        refuse(&format!("2 {deck} 1,x"), "`x` is no action id");
        refuse(&format!("2 {deck} {}", "1,".repeat(1000)), "more than");
        let late = Trace::parse(&format!("2 {deck} 5,5,5,5,0")).unwrap();
        let error = late.replay(|_, _, _| ()).unwrap_err().to_string();
        assert!(
            error.contains("turn 5 is illegal: the game is over"),
            "{error}"
        );
    }
}
