//! `hanabi play`.

use std::ops::ControlFlow;

use eval::output::note;
use eval::{Error, Result, exit};
use model::chat::{ChatRequest, Endpoint, block_on};

use super::args::PlayArgs;
use super::files::Sink;
use super::open::Models;
use crate::judges::{Judge, Order, Question, judge_prompt};
use crate::protocol::{
    GameRecord, Games, Player, PlayerSpec, Seating, Statement, describe_cost, expected_requests,
    play_games, request, seats,
};
use crate::rules::{PLAYERS_MAX, hand_size};
use crate::world::Intent;

/// Who sits where in every game.
struct Tables {
    /// Places in the list of players, by seat; one entry per table.
    tables: Vec<Vec<usize>>,
    /// Games of each table.
    n_games: u64,
}

impl Tables {
    fn of(args: &PlayArgs, n_players: usize) -> Result<Self> {
        if !args.cross {
            let table = seats(args.seats.as_deref(), n_players, args.table)?;
            hand_size(table.len())?;
            return Ok(Self {
                tables: vec![table],
                n_games: args.games,
            });
        }
        hand_size(args.table)?;
        // The first of a table is the one alone; it moves on with the games.
        let all = 0..n_players;
        let pairs = all
            .clone()
            .flat_map(|one| all.clone().map(move |rest| (one, rest)));
        let table = |(one, rest)| {
            let mut table = vec![rest; args.table];
            table[0] = one;
            table
        };
        Ok(Self {
            tables: pairs.map(table).collect(),
            n_games: args.games,
        })
    }

    /// Places in the list of players for the seats of a game. The table turns by one seat from game
    /// to game, so that nobody always begins.
    fn seated(&self, game: u64) -> Vec<usize> {
        let place = (game / self.n_games) as usize % self.tables.len();
        let mut table = self.tables[place].clone();
        if self.tables.len() > 1 {
            let n_seats = table.len();
            table.rotate_right((game % self.n_games) as usize % n_seats);
        }
        table
    }
}

/// Plays games and writes their records; gives the exit code.
///
/// # Errors
/// A player, judge, or table makes no sense, or the records cannot be written.
pub fn play(args: &PlayArgs) -> Result<u8> {
    if args.players.len() > 26 {
        return Err(Error::usage("more than 26 players").hint("their letters are a to z"));
    }
    let specs: Vec<PlayerSpec> = args
        .players
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_>>()?;
    let tables = Tables::of(args, specs.len())?;
    debug_assert!(tables.tables.iter().all(|table| table.len() <= PLAYERS_MAX));
    let mut models = Models::new(&args.models, !args.estimate);
    for spec in &specs {
        models.open(spec)?;
    }
    let judges: Vec<Box<dyn Judge>> = args
        .judges
        .iter()
        .map(|text| models.judge(text, args.seed))
        .collect::<Result<_>>()?;
    let games = Games {
        n_games: tables.n_games * tables.tables.len() as u64,
        n_decks: tables.n_games,
        n_concurrent: args.concurrency as usize,
        seed: args.seed,
    };
    say_costs(args, &models, &specs, &tables, games)?;
    if args.estimate {
        return Ok(exit::COMPLETE);
    }
    let seating = |game: u64| -> Result<Vec<Box<dyn Player>>> {
        let seated = tables.seated(game);
        let n_seats = seated.len();
        let seated = seated.into_iter().enumerate();
        seated
            .map(|(seat, place)| models.seat(&specs[place], n_seats, games.player_seed(game, seat)))
            .collect()
    };
    let judges: Vec<&dyn Judge> = judges.iter().map(|judge| &**judge).collect();
    let tally = record(games, &seating, &judges, Sink::open(args.out.as_deref())?)?;
    tally.say(args.seed);
    for (name, endpoint) in models.endpoints() {
        let spent = endpoint.spent();
        note(&format!(
            "`{name}`: {} requests, {} tokens counted, {} uncertain, {:.4} US dollars",
            spent.n_requests, spent.n_tokens, spent.n_tokens_uncertain, spent.cost_usd
        ));
    }
    Ok(if tally.n_failed > 0 {
        exit::INCOMPLETE
    } else {
        exit::COMPLETE
    })
}

/// Plays the games and writes each record as soon as it and those before it are there.
fn record(
    games: Games,
    seating: &Seating<'_>,
    judges: &[&dyn Judge],
    mut sink: Sink,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut broken = None;
    let mut done = |game: u64, record: Result<GameRecord>| match record {
        Ok(record) => {
            tally.add(&record);
            match record.to_lines().and_then(|lines| sink.write(&lines)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    broken = Some(error);
                    ControlFlow::Break(())
                }
            }
        }
        Err(error) => {
            tally.n_failed += 1;
            note(&format!("game {game} failed\n{}", error.report()));
            ControlFlow::Continue(())
        }
    };
    block_on(play_games(games, seating, judges, &mut done))?;
    match broken {
        Some(error) => Err(error),
        None => Ok(tally),
    }
}

/// Says what endpoints would cost at most, players and judges, before anything is sent.
fn say_costs(
    args: &PlayArgs,
    models: &Models,
    specs: &[PlayerSpec],
    tables: &Tables,
    games: Games,
) -> Result<()> {
    let is_endpoint = |place: &usize| models.endpoint_of(&specs[*place]).is_some();
    let mut by_endpoint: Vec<(String, &Endpoint, Vec<ChatRequest>)> = Vec::new();
    for (name, endpoint) in models.endpoints() {
        let mut planned = Vec::new();
        for table in &tables.tables {
            let chosen = (0..table.len()).filter(|seat| {
                is_endpoint(&table[*seat]) && specs[table[*seat]].to_string() == *name
            });
            let chosen: Vec<usize> = chosen.collect();
            if !chosen.is_empty() {
                let games = Games {
                    n_games: tables.n_games,
                    ..games
                };
                let options = models.options(args.seed);
                planned.extend(expected_requests(games, table.len(), &chosen, options)?);
            }
        }
        if args.judges.contains(name) {
            planned.extend(judge_requests(models, args, games));
        }
        by_endpoint.push((name.clone(), endpoint, planned));
    }
    for (name, endpoint, planned) in by_endpoint {
        note(&describe_cost(&name, &endpoint.estimate(&planned)?));
    }
    Ok(())
}

/// Two questions per hint; as many hints as a good player gives (about 25 in a game of five).
fn judge_requests(models: &Models, args: &PlayArgs, games: Games) -> Vec<ChatRequest> {
    const HINTS_PER_GAME: u64 = 25;
    let long = Statement::new(&"x".repeat(crate::protocol::TEXT_CHARS_MAX), Intent::INFO);
    let ask = |order| {
        let [system, user] = judge_prompt(&Question {
            order,
            a: &long,
            b: &long,
        });
        request(&system, &user, models.options(args.seed))
    };
    let both = [ask(Order::First), ask(Order::Second)];
    let n_hints = games.n_games * HINTS_PER_GAME;
    (0..n_hints).flat_map(|_| both.clone()).collect()
}

/// Sums over games.
#[derive(Default)]
struct Tally {
    n_games: u32,
    n_failed: u32,
    points: f64,
    strict: f64,
    n_hints: u32,
    n_without: u32,
    first: f64,
    second: f64,
    format_failures: u32,
    n_fallbacks: u32,
}

impl Tally {
    fn add(&mut self, record: &GameRecord) {
        let end = &record.end;
        self.n_games += 1;
        self.points += f64::from(end.score_points);
        self.strict += f64::from(end.score_strict);
        self.n_hints += end.n_hints;
        self.n_without += end.n_hints_without_statements;
        self.format_failures += end.format_failures;
        self.n_fallbacks += end.n_fallbacks;
        for [first, second] in record.hints().filter_map(|hint| hint.agreements()) {
            self.first += first;
            self.second += second;
        }
    }

    fn say(&self, seed: u64) {
        let n = f64::from(self.n_games.max(1));
        let n_scored = self.n_hints - self.n_without;
        let per_hint = |sum: f64| match n_scored {
            0 => "none".to_owned(),
            n => format!("{:.3}", sum / f64::from(n)),
        };
        note(&format!(
            "{} games (seed {seed}), {} failed: {:.2} points, {:.2} strict; {} hints, {} without \
             statements; first order {}, second order {} (exact, 0-1); {} replies refused, {} \
             moves by the fixed policy",
            self.n_games,
            self.n_failed,
            self.points / n,
            self.strict / n,
            self.n_hints,
            self.n_without,
            per_hint(self.first),
            per_hint(self.second),
            self.format_failures,
            self.n_fallbacks
        ));
    }
}
