//! The settings of a run, checked before anything is computed.

use eval::{Error, Result};
use model::train::LoraConfig;
use serde::{Deserialize, Serialize};

use super::objective::Estimation;
use crate::assembly::Tags;
use crate::method::loss::{Dpo, Ipo, PreferenceLoss, SimPo};

/// A preference loss with its constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LossKind {
    /// DPO.
    Dpo {
        /// Temperature β.
        beta: f64,
    },
    /// SimPO, which needs no reference.
    Simpo {
        /// Temperature β.
        beta: f64,
        /// Target margin γ.
        gamma: f64,
    },
    /// IPO.
    Ipo {
        /// Regularisation τ.
        tau: f64,
    },
}

impl LossKind {
    /// The loss as a function.
    #[must_use]
    pub fn loss(self) -> Box<dyn PreferenceLoss> {
        match self {
            Self::Dpo { beta } => Box::new(Dpo { beta }),
            Self::Simpo { beta, gamma } => Box::new(SimPo { beta, gamma }),
            Self::Ipo { tau } => Box::new(Ipo { tau }),
        }
    }

    /// Whether it compares with the reference policy.
    #[must_use]
    pub fn needs_reference(self) -> bool {
        !matches!(self, Self::Simpo { .. })
    }

    fn check(self) -> Result<()> {
        let (name, value) = match self {
            Self::Dpo { beta } | Self::Simpo { beta, .. } => ("beta", beta),
            Self::Ipo { tau } => ("beta", tau),
        };
        positive(name, value)?;
        match self {
            Self::Simpo { gamma, .. } if !gamma.is_finite() || gamma < 0.0 => Err(Error::usage(
                format!("`--gamma` is {gamma}: it must be at least 0"),
            )),
            _ => Ok(()),
        }
    }
}

/// What is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Trained {
    /// Low-rank adapters; the base stays as it is.
    Lora(LoraConfig),
    /// Every parameter.
    Full,
}

/// Everything that decides what a run computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The preference loss.
    pub loss: LossKind,
    /// How the gradient is estimated.
    pub estimation: Estimation,
    /// What is trained.
    pub trained: Trained,
    /// Rows of a step (of the union: pairs).
    pub batch: usize,
    /// Pairs that share a forward and a backward pass; the rest of the batch is accumulated.
    pub n_at_once: usize,
    /// Passes over the data.
    pub epochs: f64,
    /// Steps in all, instead of `epochs`.
    pub steps: Option<u64>,
    /// The highest learning rate.
    pub rate: f64,
    /// Part of the steps in which the rate rises.
    pub warmup: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest norm of a gradient.
    pub clip: f64,
    /// Longest sequence, in tokens.
    pub n_tokens_max: usize,
    /// Seed of the data order and of fresh adapters.
    pub seed: u64,
    /// Steps between two computations of F8; 0 for none.
    pub diagnose_every: u64,
    /// Steps between two saves.
    pub save_every: u64,
    /// What stands around traces.
    pub tags: Tags,
}

impl Settings {
    /// Checks every number.
    ///
    /// # Errors
    /// One makes no sense; the message names its option and value.
    pub fn check(&self) -> Result<()> {
        self.loss.check()?;
        if let Estimation::Mix { alpha } = self.estimation
            && !(0.0..=1.0).contains(&alpha)
        {
            return Err(Error::usage(format!(
                "`--alpha` is {alpha}: it must be from 0 to 1"
            )));
        }
        if let Trained::Lora(lora) = &self.trained {
            positive("lora alpha", lora.alpha)?;
            if lora.r == 0 || lora.targets.is_empty() {
                return Err(Error::usage(
                    "`--lora` needs a rank of at least 1 and a target",
                ));
            }
        }
        for (name, value) in [
            ("batch", self.batch),
            ("at-once", self.n_at_once),
            ("max-tokens", self.n_tokens_max),
            ("save-every", self.save_every as usize),
            ("steps", self.steps.unwrap_or(1) as usize),
        ] {
            if value == 0 {
                return Err(Error::usage(format!("`--{name}` is 0: 1 is the least")));
            }
        }
        positive("lr", self.rate)?;
        positive("epochs", self.epochs)?;
        positive("clip", self.clip)?;
        if !self.weight_decay.is_finite() || self.weight_decay < 0.0 {
            let value = self.weight_decay;
            return Err(Error::usage(format!("`--weight-decay` is {value}")));
        }
        if !(0.0..1.0).contains(&self.warmup) {
            let value = self.warmup;
            return Err(Error::usage(format!(
                "`--warmup` is {value}: a part from 0 to 1"
            )));
        }
        Ok(())
    }

    /// Steps of a run over `n_entries` entries of the data order.
    #[must_use]
    pub fn n_steps(&self, n_entries: usize) -> u64 {
        let by_epochs = (self.epochs * n_entries as f64 / self.batch as f64).ceil();
        self.steps.unwrap_or((by_epochs as u64).max(1))
    }
}

fn positive(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::usage(format!(
        "`--{option}` is {value}: it must be above 0"
    )))
}

/// Reads `r=16,alpha=32,targets=q_proj+v_proj`; what is left out keeps its default.
///
/// # Errors
/// A key or value is not understood.
pub fn parse_lora(text: &str, seed: u64) -> Result<LoraConfig> {
    const ALL: [&str; 7] = [
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    ];
    let mut config = LoraConfig {
        r: 16,
        alpha: 32.0,
        targets: ALL.map(str::to_owned).to_vec(),
        seed,
    };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let refused = || {
            Error::usage(format!("`--lora` does not understand `{part}`"))
                .hint("write `--lora r=16,alpha=32,targets=q_proj+v_proj` (or `targets=all`)")
        };
        let (key, value) = part.split_once('=').ok_or_else(refused)?;
        match key {
            "r" => config.r = value.parse().map_err(|_| refused())?,
            "alpha" => config.alpha = value.parse().map_err(|_| refused())?,
            "targets" if value == "all" => config.targets = ALL.map(str::to_owned).to_vec(),
            "targets" => {
                config.targets = value.split('+').map(str::to_owned).collect();
                if let Some(odd) = config.targets.iter().find(|t| !ALL.contains(&t.as_str())) {
                    return Err(Error::usage(format!("`--lora` knows no target `{odd}`"))
                        .hint(format!("targets are {}", ALL.join(", "))));
                }
            }
            _ => return Err(refused()),
        }
    }
    Ok(config)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn settings() -> Settings {
        Settings {
            loss: LossKind::Dpo { beta: 0.1 },
            estimation: Estimation::Mix { alpha: 0.5 },
            trained: Trained::Full,
            batch: 2,
            n_at_once: 1,
            epochs: 1.0,
            steps: None,
            rate: 1e-3,
            warmup: 0.1,
            weight_decay: 0.0,
            clip: 1.0,
            n_tokens_max: 64,
            seed: 0,
            diagnose_every: 0,
            save_every: 10,
            tags: Tags::default(),
        }
    }

    #[test]
    fn every_wrong_number_is_refused_by_its_option() {
        settings().check().unwrap();
        let refuse = |change: &dyn Fn(&mut Settings), option: &str| {
            let mut wrong = settings();
            change(&mut wrong);
            let error = wrong.check().unwrap_err();
            assert!(error.to_string().contains(option), "{error}");
        };
        refuse(&|s| s.loss = LossKind::Dpo { beta: 0.0 }, "--beta");
        refuse(&|s| s.loss = LossKind::Ipo { tau: f64::NAN }, "--beta");
        refuse(
            &|s| {
                s.loss = LossKind::Simpo {
                    beta: 2.0,
                    gamma: -1.0,
                }
            },
            "--gamma",
        );
        refuse(
            &|s| s.estimation = Estimation::Mix { alpha: 1.5 },
            "--alpha",
        );
        refuse(&|s| s.batch = 0, "--batch");
        refuse(&|s| s.steps = Some(0), "--steps");
        refuse(&|s| s.rate = f64::INFINITY, "--lr");
        refuse(&|s| s.warmup = 1.0, "--warmup");
        refuse(&|s| s.clip = 0.0, "--clip");
        refuse(&|s| s.weight_decay = -0.1, "--weight-decay");
    }

    #[test]
    fn adapters_are_described_in_a_word() {
        let config = parse_lora("r=4,alpha=8,targets=q_proj+v_proj", 7).unwrap();
        assert_eq!((config.r, config.alpha, config.seed), (4, 8.0, 7));
        assert_eq!(config.targets, ["q_proj", "v_proj"]);
        assert_eq!(parse_lora("", 0).unwrap().targets.len(), 7);
        for wrong in ["r", "r=x", "rank=4", "targets=w_proj"] {
            assert!(parse_lora(wrong, 0).is_err(), "{wrong}");
        }
    }

    #[test]
    fn steps_follow_from_epochs() {
        let mut settings = settings();
        settings.epochs = 1.5;
        assert_eq!(settings.n_steps(5), 4);
        settings.steps = Some(9);
        assert_eq!(settings.n_steps(5), 9);
    }
}
