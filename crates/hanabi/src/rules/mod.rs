//! The rules of the game (§2.1), and nothing else: no policy, no text for models, no chance.

mod action;
mod card;
mod game;
mod hanab_live;
mod knowledge;
mod trace;
mod view;

pub use action::{Action, ActionId, Hint, hand_size};
pub use card::{Card, Colour, DECK_SIZE, Deck, N_COLOURS, N_IDENTITIES, N_RANKS, copies};
pub use game::{End, Event, Game, HAND_SIZE_MAX, LIVES_MAX, PLAYERS_MAX, TOKENS_MAX};
pub use hanab_live::HanabLive;
pub use knowledge::{ALL_IDENTITIES, Knowledge, colour_mask, rank_mask};
pub use trace::{Trace, print_replay};
pub use view::View;
