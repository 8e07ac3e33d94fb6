//! BVPO: bias–variance optimised preference optimisation (arXiv 2510.05095), with the gradient
//! measured exactly.
//!
//! A reasoning model answers a prompt with a trace r and an answer y. Preferences are about y
//! alone, so the ideal gradient μ is that of the marginal likelihood `Σ_r π(r,y|x)`; practice plugs
//! one sampled trace into the joint likelihood instead and pays in variance. The paper mixes that
//! gradient `g_t` with the gradient `g_e` of answers given without a trace, at one fixed weight α,
//! and argues with the mean squared error of the mix. It never measures that error. Here it is
//! measured: in a table, in a small network whose 400 traces are all counted, and on a real model
//! over a finite tree of traces.
//!
//! - [`method`]: preference losses, gradient estimators, and their theory;
//! - [`tabular`]: tier 0, a world in closed form, and descent in it;
//! - [`assembly`]: token sequences put together so that no trace can be lost;
//! - [`real`]: tiers 2 and 3, a real pretrained model;
//! - [`trainer`]: `bvpo train` and `bvpo pairs` for one's own models.
//!
//! | paper | here | unit |
//! |---|---|---|
//! | β, γ | `Dpo::beta`, `SimPo::{beta, gamma}` | 1 |
//! | α | `Mix::alpha` | 1 |
//! | g_t, g_e, g_c | `Trace`, `Empty`, `Mix` of [`method::estimator`] | 1 per parameter |
//! | μ | `Marginal` of [`method::estimator`] | 1 per parameter |
//! | A, Bq, C (specification of Theorem 2) | `Moments::{a, b, c}` of [`method::theory`] | squared gradient |
//! | V_r, v_t, v_e, c_te | `Spread` of [`method::theory`] | squared gradient |
//! | ηL | `step` of `Moments::alpha_of_step` | 1 |
//!
//! Traces of real reasoning models cannot be enumerated, so what is exact here is small: sizes of
//! effects do not carry over, signs and mechanisms may.

pub mod assembly;
mod cli;
mod estimates;
mod experiments;
mod figures;
pub mod method;
pub mod paper;
pub mod real;
pub mod tabular;
pub mod tinythink;
pub mod trainer;

pub use cli::{Own, carry_out};
pub use method::estimator::{Estimator, Example, Weights};
pub use method::loss::{PreferenceLoss, Scored};
pub use paper::{Bvpo, Config};
