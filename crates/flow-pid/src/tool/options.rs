//! What a user may choose.

use clap::ValueEnum;
use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::flow::FlowSettings;

/// How atoms are estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Discrete where both sources are single columns of few values and the target is a label;
    /// Gaussian where all columns look normal; the copula otherwise.
    Auto,
    /// The closed form on the covariance of the columns as they are.
    Gaussian,
    /// Each column of the sources (and of a numeric target) to normal scores, then the closed form.
    Copula,
    /// Flow-PID: flows trained on all items, then the closed form on their latents.
    Flow,
    /// Quantile bins of each source's leading component, then exact discrete decomposition.
    Discrete,
}

impl Method {
    /// The word on the command line and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Gaussian => "gaussian",
            Self::Copula => "copula",
            Self::Flow => "flow",
            Self::Discrete => "discrete",
        }
    }
}

/// What happens to missing values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// They are an error that says where the first one is.
    Refuse,
    /// The column's mean stands in; a missing label stays an error.
    Mean,
    /// Items with any are left out.
    Drop,
}

/// How a label becomes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelCoding {
    /// One indicator column per class but one.
    OneHot,
    /// One column with the index of the class: the paper's convention.
    Scalar,
}

/// What the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A label where it is text, or one column of at most 20 different whole numbers.
    Auto,
    /// Classes without an order.
    Label,
    /// Numbers.
    Number,
}

/// The choices of one estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How atoms are estimated.
    pub method: Method,
    /// Resamples of the items for the intervals; 0 leaves them out.
    pub bootstrap: usize,
    /// Shuffles of the target for the null distribution; 0 leaves it out.
    pub shuffles: usize,
    /// Level of the intervals and of the null's bound.
    pub level: f64,
    /// What happens to missing values.
    pub missing: Missing,
    /// What the target is.
    pub target: TargetKind,
    /// How a label becomes numbers.
    pub coding: LabelCoding,
    /// Leading principal components kept of each source; all columns where absent.
    pub components: Option<usize>,
    /// Quantile bins per source for the discrete method.
    pub bins: usize,
    /// How flows are trained.
    pub flow: FlowSettings,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: Method::Auto,
            bootstrap: 200,
            shuffles: 200,
            level: 0.95,
            missing: Missing::Refuse,
            target: TargetKind::Auto,
            coding: LabelCoding::OneHot,
            components: None,
            bins: 4,
            flow: FlowSettings::default(),
            seed: 0,
        }
    }
}

impl Options {
    /// Refuses choices that make no sense.
    ///
    /// # Errors
    /// The message names the option.
    pub fn check(&self) -> Result<()> {
        const MANY: usize = 1_000_000;
        if !(self.level > 0.5 && self.level < 1.0) {
            let message = format!("the level is {}, not between 0.5 and 1", self.level);
            return Err(Error::usage(message).hint("0.95 is usual"));
        }
        if self.components == Some(0) {
            return Err(
                Error::usage("`components` is 0").hint("leave the option out to keep every column")
            );
        }
        if !(2..=64).contains(&self.bins) {
            return Err(Error::usage(format!(
                "`bins` is {}, not from 2 to 64",
                self.bins
            )));
        }
        for (value, name) in [(self.bootstrap, "bootstrap"), (self.shuffles, "shuffles")] {
            if value > 0 && !(20..=MANY).contains(&value) {
                return Err(Error::usage(format!(
                    "`{name}` is {value}, neither 0 nor from 20 to {MANY}"
                ))
                .hint("fewer than 20 draws have no 95 % bound"));
            }
        }
        Ok(self.flow.check()?)
    }
}
