//! LLM-Hanabi: theory of mind and rationale inference in a cooperative card game (arXiv
//! 2510.04980).
//!
//! The paper lets language models play Hanabi, asks them at every hint what it means, has a judge
//! score the statements, and correlates those scores with the points of the game across models.
//! Here the rules, reference policies with published averages, and a world of players whose intents
//! are *known* come first, so that the claim can be tested where the truth is at hand.
//!
//! - [`rules`]: the game, what a seat may see, recorded games;
//! - [`policies`]: the ladder from blind play to perfect information;
//! - [`world`]: graded players with known intents;
//! - [`protocol`]: players who say what they mean, language models among them, and their records;
//! - [`judges`]: who scores statements, and how well;
//! - [`language`]: language models of this machine, asked by likelihood;
//! - [`statistics`]: correlations that share a variable;
//! - [`viewer`]: recorded games as a page to step through.
//!
//! | paper | here | unit |
//! |---|---|---|
//! | game score Y | `score_points`, `score_strict` | points, 0–25 |
//! | rationale R | `HintRecord::rationale` | intent |
//! | second-order statement S | `HintRecord::prediction` | intent |
//! | first-order statement F | `HintRecord::reading` | intent |
//! | first-order score X1 | `first_order` = mean of `agree(F, R)` | 0–1 |
//! | second-order score X2 | `second_order` = mean of `agree(S, F)` | 0–1 |
//! | – | t1, t2, sk: `Ability` | probability |

mod cli;
mod estimates;
mod experiments;
mod figures;
pub mod judges;
pub mod language;
mod paper;
pub mod policies;
pub mod protocol;
pub mod rules;
pub mod statistics;
pub mod viewer;
pub mod world;

pub use cli::{Own, carry_out};
pub use paper::{Config, Hanabi};
