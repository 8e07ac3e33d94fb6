//! SLM-MUX: several small language models answer a question several times each, and the answer of
//! the model that agrees most with itself is taken (arXiv 2510.05077).
//!
//! No text passes between the models and nothing is trained: only the confidence `s_i`, the share
//! of a model's k samples that gave its most frequent answer, decides. Beside the rule stand the
//! search for a pool that complements itself and the number of samples. Both are measured here on
//! recorded outputs, on pass rates of real models, on small models asked live, on models trained
//! for this purpose, and against exact theory.
//!
//! - [`samples`]: recordings and the table of answer codes that everything offline reads;
//! - [`answers`]: how an answer is read from a text and normalised;
//! - [`rule`]: Algorithm 1 with its open points as options, pooled votes, the calibrated selector;
//! - [`search`]: which models to take, exactly and by heuristics;
//! - [`scaling`]: what fewer samples or fewer models would have given;
//! - [`replay`]: every method on one table of samples, question by question;
//! - [`theory`]: exact accuracies, brackets, limits, and counterexamples;
//! - [`data`]: readers of the data sets;
//! - [`worlds`]: constructed models whose probabilities are known;
//! - [`protocols`]: the rule and its rivals over models that answer;
//! - [`live`], [`pool`]: two real small models on word tasks, and a pool trained here;
//! - [`serve`]: several models behind one endpoint that answers by the rule.
//!
//! | paper | here | unit |
//! |---|---|---|
//! | M_1..M_n, pool | models of a [`SampleTable`](samples::SampleTable), in list order | |
//! | k | `n_samples` | samples |
//! | y_i*, c_i(y_i*) | [`Tally::mode`](samples::Tally), [`Tally::count`](samples::Tally) | answer, samples |
//! | s_i | count over denominator of [`Policy`](rule::Policy) | 0–1 |
//! | a_i | validation accuracies, as a [`Ranking`](rule::Ranking) | 0–1 |
//! | R_m, W_m | bits of a [`Pool`](search::Pool) | |
//! | Union, Contradiction, O, λ, K | [`search::Objective`] | questions |
//!
//! What is scaled down, and why it still tests the claims, is said claim by claim in `paper.toml`.

pub mod answers;
pub mod data;
mod estimates;
pub mod experiments;
mod figures;
pub mod live;
mod paper;
pub mod pool;
pub mod protocols;
pub mod replay;
pub mod rule;
pub mod samples;
pub mod scaling;
pub mod search;
pub mod serve;
pub mod theory;
pub mod worlds;

pub use paper::{Config, SlmMux};
pub use serve::{Own, carry_out};
