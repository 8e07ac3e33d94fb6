//! What a run on an endpoint would cost at most, before it is started.

use eval::Result;
use model::chat::{ChatRequest, CostEstimate, block_on};

use super::bots::Bot;
use super::chat::{ChatOptions, request};
use super::player::{HintHeard, Player};
use super::prompt::{self, Chronicle};
use super::run::Games;
use super::table::{Setup, play_game};
use crate::policies::Ladder;
use crate::rules::{Event, Game};

/// Every request of the seats `chosen` along games that the policy Simple plays on the run's own
/// decks: as long as games of a good player are, which is longer than those of a weak one. What the
/// seats themselves will say is not known, so of a game that was played before only the questions
/// before the first difference are found in a cache.
///
/// # Errors
/// The number of seats is not that of a game.
pub fn requests(
    games: Games,
    n_seats: usize,
    chosen: &[usize],
    options: ChatOptions,
) -> Result<Vec<ChatRequest>> {
    let mut requests = Vec::new();
    for game in 0..games.n_games {
        let setup = Setup {
            game,
            seed: games.seed,
            deck: games.deck(game),
        };
        let mut seats = Vec::new();
        for seat in 0..n_seats {
            let bot = Bot::new(Ladder::Simple, n_seats, games.player_seed(game, seat))?;
            seats.push(Box::new(bot) as Box<dyn Player>);
        }
        let played = block_on(play_game(&mut seats, setup))??;
        let mut state = Game::new(n_seats, setup.deck)?;
        let mut chronicle = Chronicle::default();
        let of_seat = |seat: usize| ChatOptions {
            seed: games.player_seed(game, seat),
            ..options
        };
        for action in played.end.actions {
            let seat = state.seat();
            if chosen.contains(&seat) {
                let view = state.view(seat);
                let (system, user) = (prompt::system(&view), prompt::turn(&view, &chronicle));
                requests.push(request(&system, &user, of_seat(seat)));
            }
            let event = state.apply(action)?;
            if let Event::Hinted {
                from,
                to,
                hint,
                touched,
                ..
            } = event
                && chosen.contains(&usize::from(to))
            {
                let view = state.view(usize::from(to));
                let heard = HintHeard {
                    from: usize::from(from),
                    hint,
                    touched,
                };
                let user = prompt::interpretation(&view, &chronicle, heard);
                requests.push(request(
                    &prompt::system(&view),
                    &user,
                    of_seat(usize::from(to)),
                ));
            }
            chronicle.push(&event);
        }
    }
    Ok(requests)
}

/// An estimate in one line for a person.
#[must_use]
pub fn describe(name: &str, estimate: &CostEstimate) -> String {
    let CostEstimate {
        n_requests,
        n_cached,
        n_prompt_max,
        n_generated_max,
        cost_usd_max,
    } = estimate;
    let cost = match cost_usd_max {
        Some(usd) => format!("at most {usd:.4} US dollars"),
        None => "an unknown price (give `--price-prompt` and `--price-generated`)".to_owned(),
    };
    format!(
        "`{name}`: about {n_requests} requests ({n_cached} more are in the cache), at most \
         {n_prompt_max} tokens of prompts and {n_generated_max} generated, {cost}; refused replies \
         are asked for a second time"
    )
}
