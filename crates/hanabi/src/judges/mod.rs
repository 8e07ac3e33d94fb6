//! Judges of agreement between statements (§2.3, question Q2), and how good they are.
//!
//! The paper has a language model score the statements; nobody says how well. Here true intents are
//! known, so every judge is compared with the exact agreement, probed for biases, and its error is
//! taken out of the correlations. What no program can replace, people's own judgement, is asked for
//! by blind pairs.

mod agreement;
mod calibration;
mod chat;
mod interface;
mod likelihood;
mod pairs;
mod probing;
mod raters;
mod text;

pub use agreement::{cohen_kappa, weighted_kappa};
pub use calibration::{Calibration, CurvePoint, calibrate, corrected_for_attenuation};
pub use chat::{ChatJudge, judge_prompt};
pub use interface::{Exact, Judge, Judgement, Order, Question, judge_game};
pub use likelihood::LikelihoodJudge;
pub use pairs::{Pair, Probe, pairs, probe, shuffled};
pub use probing::{ProbeReport, Probed, judge_pairs, probe_judge, report};
pub use raters::{RaterAgreement, export_pairs, import_ratings};
pub use text::Overlap;
