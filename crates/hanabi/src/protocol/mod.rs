//! The paper's protocol (§2.2–2.4): players who say what they mean, records of every turn, many
//! games at the same time.

mod beliefs;
mod bots;
mod chat;
mod cost;
mod graded;
mod likelihood;
mod player;
mod prompt;
mod record;
mod reply;
mod run;
mod spec;
mod statement;
mod table;

pub use bots::{Bot, ScriptedPlayer};
pub use chat::{ChatOptions, ChatPlayer, ask, request};
pub use cost::{describe as describe_cost, requests as expected_requests};
pub use graded::Graded;
pub use likelihood::LikelihoodPlayer;
pub use player::{HintHeard, Player, Reading, Replies, Turn, fallback};
pub use prompt::{Chronicle, interpretation, state, system, tell, turn};
pub use record::{FORMAT, GameEnd, GameRecord, HintTurn, Judged, Line, TurnRecord};
pub use reply::{REPLY_BYTES_MAX, TurnSaid, read_reading, read_score, read_turn};
pub use run::{Games, Seating, play_games};
pub use spec::{PlayerSpec, seats};
pub use statement::{N_PHRASINGS, Statement, TEXT_CHARS_MAX, intents, one_line, phrase};
pub use table::{Setup, play_game};
