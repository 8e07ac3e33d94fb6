//! Flow-PID: invertible maps that make each source and the target jointly Gaussian (section 4).
//!
//! | paper | here |
//! |---|---|
//! | f1, f2, fY | [`FlowModel`], one stack of layers per variable |
//! | L_N of Proposition 4.4 | the pair loss: negative log-likelihood of a pair in nats |
//! | Algorithm 2 | [`Trainer`] |
//! | "GaussianPCA" base of the official code, Gaussian maximum likelihood of the text | [`Base`] |
//!
//! Each layer is one operation on candle with a hand-written gradient, in double precision and one
//! thread. The rank-Gaussian copula ([`copula`]) is no flow and is never called one.

pub(crate) mod adam;
mod base;
mod copula;
mod diagnostics;
mod layers;
mod model;
mod op;
mod perceptron;
mod ratio;
mod spline;
mod store;
mod train;

pub use copula::{normal_scores, rank_gaussian};
pub use diagnostics::{Gaussianity, gaussianity};
pub use model::{Architecture, Base, FlowModel};
pub use ratio::{RatioSettings, joint_information_bits};
pub use train::{Curve, FlowData, FlowFit, FlowSettings, Trainer, fit};
