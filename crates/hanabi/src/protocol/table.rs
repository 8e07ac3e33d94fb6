//! One game between players, whoever they are.

use eval::{Error, Result};

use super::player::{HintHeard, Player, Replies, Turn};
use super::prompt::action_words;
use super::record::{FORMAT, GameEnd, GameRecord, HintTurn, TurnRecord};
use crate::rules::{Deck, Event, Game};

/// Which game is played.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Which game of the run, from 0.
    pub game: u64,
    /// Seed of the run.
    pub seed: u64,
    /// The cards.
    pub deck: Deck,
}

/// Plays a game to its end, one player per seat.
///
/// # Errors
/// The number of seats is not that of a game, a player makes an illegal move, or nobody answers
/// for one.
pub async fn play_game(seats: &mut [Box<dyn Player>], setup: Setup) -> Result<GameRecord> {
    let mut game = Game::new(seats.len(), setup.deck)?;
    let mut turns = Vec::new();
    while game.end().is_none() {
        let seat = game.seat();
        let turn = seats[seat].act(game.view(seat)).await?;
        let words = action_words(&game.view(seat), turn.action);
        let event = game.apply(turn.action)?;
        let (action, replies) = (turn.action, turn.replies.clone());
        let hint = hear(seats, &game, turn, &event).await?;
        for (place, player) in seats.iter_mut().enumerate() {
            player.observe(&game.view(place), &event);
        }
        turns.push(TurnRecord {
            format: FORMAT,
            game: setup.game,
            turn: turns.len() as u32 + 1,
            seat: seat as u8,
            player: seats[seat].name().to_owned(),
            action,
            words,
            replies,
            hint,
            tokens: game.tokens(),
            lives: game.lives(),
            score_points: game.score_points(),
        });
    }
    let players = seats.iter().map(|player| player.name().to_owned());
    let end = conclude(&game, &turns, setup, players.collect())?;
    Ok(GameRecord { turns, end })
}

/// Asks the one who was told for a reading, where the move was a hint.
async fn hear(
    seats: &mut [Box<dyn Player>],
    game: &Game,
    turn: Turn,
    event: &Event,
) -> Result<Option<HintTurn>> {
    let Event::Hinted {
        from,
        to,
        hint,
        touched,
        ..
    } = *event
    else {
        return Ok(None);
    };
    let heard = HintHeard {
        from: usize::from(from),
        hint,
        touched,
    };
    let place = usize::from(to);
    let recipient = seats[place].name().to_owned();
    // A game that just ended leaves no time for a reading.
    let (reading, heard) = if game.end().is_some() {
        (None, Replies::default())
    } else {
        let reading = seats[place].interpret(game.view(place), heard).await?;
        (reading.statement, reading.replies)
    };
    Ok(Some(HintTurn {
        to,
        recipient,
        rationale: turn.rationale,
        prediction: turn.prediction,
        reading,
        heard,
        judged: Vec::new(),
    }))
}

fn conclude(
    game: &Game,
    turns: &[TurnRecord],
    setup: Setup,
    players: Vec<String>,
) -> Result<GameEnd> {
    let end = game
        .end()
        .ok_or_else(|| Error::internal("a game was concluded before its end"))?;
    let hints = || turns.iter().filter_map(|turn| turn.hint.as_ref());
    let agreements: Vec<[f64; 2]> = hints().filter_map(HintTurn::agreements).collect();
    let n = agreements.len() as f64;
    let mean = |order: usize| {
        let sum: f64 = agreements.iter().map(|both| both[order]).sum();
        (n > 0.0).then(|| sum / n)
    };
    let n_hints = hints().count() as u32;
    let refused = |replies: &Replies| replies.failures.len() as u32;
    let heard: u32 = hints().map(|hint| refused(&hint.heard)).sum();
    let moved: u32 = turns.iter().map(|turn| refused(&turn.replies)).sum();
    Ok(GameEnd {
        format: FORMAT,
        game: setup.game,
        seed: setup.seed,
        players,
        deck: setup.deck.to_string(),
        actions: turns.iter().map(|turn| turn.action).collect(),
        end,
        score_points: game.score_points(),
        score_strict: game.score_strict(),
        n_hints,
        n_hints_without_statements: n_hints - agreements.len() as u32,
        format_failures: heard + moved,
        n_fallbacks: turns.iter().filter(|turn| turn.replies.fell_back).count() as u32,
        first_order: mean(0),
        second_order: mean(1),
    })
}
