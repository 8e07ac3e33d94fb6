//! How much evidence ([`Tier`]) and how much work ([`Scale`], [`Effort`]).

use serde::{Deserialize, Serialize};

/// What kind of evidence a claim's measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// An identity or bound, checked numerically.
    Theory,
    /// The paper's own experiment on the same inputs.
    Exact,
    /// Recomputed from outputs that someone published.
    Recorded,
    /// The same method with a smaller real model or data set.
    Scaled,
    /// A constructed world in which the mechanism is at work.
    Analog,
}

impl Tier {
    /// Every tier, strongest evidence first.
    pub const ALL: [Self; 5] = [
        Self::Theory,
        Self::Exact,
        Self::Recorded,
        Self::Scaled,
        Self::Analog,
    ];

    /// Whether evidence of this tier can contradict the paper itself.
    ///
    /// A proxy experiment never refutes a paper, whatever it finds.
    #[must_use]
    pub fn can_refute(self) -> bool {
        match self {
            Self::Theory | Self::Exact | Self::Recorded => true,
            Self::Scaled | Self::Analog => false,
        }
    }

    /// The word used in files, tables, and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Theory => "theory",
            Self::Exact => "exact",
            Self::Recorded => "recorded",
            Self::Scaled => "scaled",
            Self::Analog => "analog",
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much work a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// At most 60 seconds a paper; shows that everything runs and never issues verdicts.
    Smoke,
    /// The default: at most 10 minutes a paper on 2 cores.
    Quick,
    /// Overnight: more seeds, larger sizes.
    Full,
    /// The original models and data: GPU, cluster, or endpoint.
    Paper,
}

impl Scale {
    /// Every scale, least work first.
    pub const ALL: [Self; 4] = [Self::Smoke, Self::Quick, Self::Full, Self::Paper];

    /// The word used in files, tables, and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Paper => "paper",
        }
    }

    /// Whether a run at this scale may issue verdicts.
    #[must_use]
    pub fn issues_verdicts(self) -> bool {
        self != Self::Smoke
    }
}

impl std::fmt::Display for Scale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scale| scale.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no scale; known: smoke, quick, full, paper"))
    }
}

/// The scale together with the number of seeds it is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// How much work.
    pub scale: Scale,
    /// Seeds per condition, at least 1: from `--seeds`, else from `[seeds]` in `paper.toml`.
    pub n_seeds: u64,
}

impl Effort {
    /// The seeds `0..n_seeds`.
    #[must_use]
    pub fn seeds(self) -> std::ops::Range<u64> {
        0..self.n_seeds
    }
}
