//! Tables of different players, records, judges, and costs.

use std::ops::ControlFlow;
use std::sync::Arc;

use eval::Result;
use hanabi::judges::{Exact, Judge, Overlap};
use hanabi::policies::Ladder;
use hanabi::protocol::{
    Bot, ChatOptions, ChatPlayer, GameRecord, Games, Graded, Player, ScriptedPlayer, Statement,
    Turn, expected_requests, play_games,
};
use hanabi::rules::Game;
use hanabi::world::{Ability, Intent, Kind};
use model::chat::{Endpoint, EndpointSettings, block_on};

use super::support::played;

const PERFECT: Ability = Ability {
    first_order: 1.0,
    second_order: 1.0,
    skill: 1.0,
};

/// Two graded players among three of Simple.
fn mixed(games: Games, game: u64) -> Result<Vec<Box<dyn Player>>> {
    (0..5)
        .map(|seat| {
            let seed = games.player_seed(game, seat);
            Ok(if seat < 2 {
                Box::new(Graded::new(PERFECT, seed)) as Box<dyn Player>
            } else {
                Box::new(Bot::new(Ladder::Simple, 5, seed)?)
            })
        })
        .collect()
}

fn records(n_concurrent: usize) -> Vec<GameRecord> {
    let games = Games {
        n_concurrent,
        ..Games::new(12, 9)
    };
    let judges: [&dyn Judge; 2] = [&Exact, &Overlap];
    let mut records = Vec::new();
    let mut done = |game: u64, record: Result<GameRecord>| {
        let record = record.unwrap();
        assert_eq!(record.end.game, game);
        records.push(record);
        ControlFlow::Continue(())
    };
    block_on(play_games(
        games,
        &|game| mixed(games, game),
        &judges,
        &mut done,
    ))
    .unwrap();
    records
}

#[test]
fn records_do_not_depend_on_how_many_games_are_under_way() {
    let one = records(1);
    assert_eq!(one.len(), 12);
    assert_eq!(one, records(5));
}

#[test]
fn records_replay_by_the_rules_to_their_scores() {
    for record in records(3) {
        let game = record.trace().unwrap().replay(|_, _, _| ()).unwrap();
        assert_eq!(game.end(), Some(record.end.end));
        assert_eq!(game.score_points(), record.end.score_points);
        assert_eq!(record.turns.len(), record.end.actions.len());
        let names: Vec<&str> = record.end.players.iter().map(String::as_str).collect();
        assert_eq!(
            names,
            ["intent:1,1,1", "intent:1,1,1", "simple", "simple", "simple"]
        );
    }
}

#[test]
fn only_hints_with_all_statements_are_judged_and_counted() {
    let mut n_judged = 0;
    for record in records(3) {
        let mut n_without = 0;
        for turn in &record.turns {
            let Some(hint) = &turn.hint else { continue };
            let is_graded = |seat: u8| seat < 2;
            match hint.agreements() {
                Some([first, second]) => {
                    assert!(is_graded(turn.seat) && is_graded(hint.to));
                    let [exact, words] = hint.judged.as_slice() else {
                        panic!("two judges: {hint:?}");
                    };
                    assert_eq!(exact.first, Some((first * 10.0).round() as u8));
                    assert_eq!(exact.second, Some((second * 5.0).round() as u8));
                    assert!(words.first.is_some() && words.judge == "overlap");
                    n_judged += 1;
                }
                None => {
                    assert!(hint.judged.is_empty());
                    n_without += 1;
                }
            }
        }
        assert_eq!(record.end.n_hints_without_statements, n_without);
    }
    assert!(n_judged > 10, "{n_judged}");
}

#[test]
fn a_script_is_played_as_far_as_it_is_legal() {
    let deck = Games::new(1, 4).deck(0);
    let game = Game::new(2, deck).unwrap();
    let hint = game.legal() >> 10 << 10;
    let hint = hint.trailing_zeros() as u8;
    let play = Intent::about(Kind::Play, 0);
    let say = |intent| Some(Statement::templated(intent, 0));
    let turn = Turn {
        rationale: say(play),
        prediction: say(Intent::INFO),
        ..Turn::silent(hint)
    };
    let illegal = Turn::silent(63);
    let first = ScriptedPlayer::new(vec![turn, illegal], vec![]);
    let second = ScriptedPlayer::new(vec![], vec![Statement::templated(play, 1)]);
    let record = played(vec![Box::new(first), Box::new(second)], 4);
    assert_eq!(record.end.actions[0], hint);
    let given = record.turns[0].hint.as_ref().unwrap();
    assert_eq!(given.agreements(), Some([1.0, 0.0]));
    assert_eq!(
        (record.end.first_order, record.end.second_order),
        (Some(1.0), Some(0.0))
    );
}

/// An endpoint where nobody listens, with a budget.
fn endpoint(n_requests_max: u64) -> Endpoint {
    let mut settings = EndpointSettings::new("http://127.0.0.1:9/v1", "m");
    settings.budget.n_requests_max = Some(n_requests_max);
    settings.retry.n_attempts_max = 1;
    Endpoint::new(settings).unwrap()
}

#[test]
fn the_cost_of_a_run_is_known_before_anything_is_sent() {
    let games = Games::new(2, 0);
    let options = ChatOptions::default();
    let all = expected_requests(games, 5, &[0, 1, 2, 3, 4], options).unwrap();
    let one = expected_requests(games, 5, &[0], options).unwrap();
    assert!(
        all.len() > 100 && one.len() < all.len() / 3,
        "{} {}",
        all.len(),
        one.len()
    );
    let estimate = endpoint(1).estimate(&all).unwrap();
    assert_eq!(estimate.n_requests, all.len() as u64);
    assert_eq!(estimate.n_generated_max, 512 * all.len() as u64);
    assert!(estimate.n_prompt_max > 1000 * all.len() as u64);
    // The seed is the seat's own: only so is an answer in a cache found again.
    assert_eq!(one[0].sampling.seed, games.player_seed(0, 0));
}

#[test]
fn a_run_stops_where_its_budget_ends_and_says_so() {
    let endpoint = Arc::new(endpoint(0));
    let seating = |_: u64| -> Result<Vec<Box<dyn Player>>> {
        let player = || ChatPlayer::new("endpoint:m", endpoint.clone(), ChatOptions::default());
        Ok((0..5)
            .map(|_| Box::new(player()) as Box<dyn Player>)
            .collect())
    };
    let mut outcomes = Vec::new();
    let mut done = |_, record: Result<GameRecord>| {
        outcomes.push(record.unwrap_err().report());
        ControlFlow::Continue(())
    };
    block_on(play_games(Games::new(2, 0), &seating, &[], &mut done)).unwrap();
    assert_eq!(outcomes.len(), 2);
    assert!(
        outcomes[0].contains("the budget ends here"),
        "{}",
        outcomes[0]
    );
    assert_eq!(endpoint.spent().n_requests, 0);
}
