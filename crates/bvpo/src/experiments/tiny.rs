//! Tier 1: what the experiments on TinyThink share: sizes, base models, data.

use std::path::Path;

use eval::{Cell, Cx, Effort, Error, Result, Scale};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use crate::method::loss::{Dpo, Ipo, PreferenceLoss, SimPo};
use crate::method::theory::PairGradients;
use crate::paper::Config;
use crate::tinythink::data::{Pair, Recipe, Silent, draw_pairs};
use crate::tinythink::exact::ExactPair;
use crate::tinythink::metrics::split;
use crate::tinythink::network::{N_PARAMETERS, Network};
use crate::tinythink::pretrain::Pretraining;
use crate::tinythink::task::{Prompt, Reward};

/// How much is done in a cell of tier 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The word in the cell's condition.
    pub name: &'static str,
    /// Steps of pre-training.
    pub pretrain_steps: usize,
    /// Training pairs N.
    pub n_pairs: usize,
    /// Pairs on which gradients are measured exactly.
    pub n_exact: usize,
    /// Steps of preference training.
    pub n_steps: usize,
    /// Prompts at most in each of validation and test.
    pub n_prompts: usize,
}

const SIZES: [Size; 3] = [
    Size {
        name: "smoke",
        pretrain_steps: 100,
        n_pairs: 8,
        n_exact: 2,
        n_steps: 4,
        n_prompts: 2,
    },
    Size {
        name: "quick",
        pretrain_steps: 2500,
        n_pairs: 64,
        n_exact: 12,
        n_steps: 60,
        n_prompts: 25,
    },
    Size {
        name: "full",
        pretrain_steps: 2500,
        n_pairs: 64,
        n_exact: 32,
        n_steps: 240,
        n_prompts: 25,
    },
];

impl Size {
    /// The size of a scale.
    pub fn of(scale: Scale) -> Self {
        match scale {
            Scale::Smoke => SIZES[0],
            Scale::Quick => SIZES[1],
            Scale::Full | Scale::Paper => SIZES[2],
        }
    }

    /// The size named in a cell's condition.
    pub fn of_cell(cell: &Cell) -> Result<Self> {
        let name = cell.get("size").unwrap_or_default();
        let found = SIZES.into_iter().find(|size| size.name == name);
        found.ok_or_else(|| Error::internal(format!("cell `{}` has size `{name}`", cell.id())))
    }
}

/// A cell of tier 1.
pub fn cell(name: &str, effort: Effort, seed: u64) -> Cell {
    Cell::new(name, seed).with("size", Size::of(effort.scale).name)
}

/// Share of pre-training sequences without a trace, unless the experiment varies it.
pub const NO_THINK_SHARE: f64 = 0.2;

#[derive(Serialize)]
struct BaseKey {
    recipe: Pretraining,
    seed: u64,
}

/// The base model of a seed: trained once, then read from the cache.
pub fn base(cx: &mut Cx, size: Size, seed: u64, no_think_share: f64) -> Result<Network> {
    const FILE: &str = "theta.bin";
    let recipe = Pretraining {
        n_steps: size.pretrain_steps,
        no_think_share,
        no_think_prompts: if no_think_share > 0.0 { 0.4 } else { 0.0 },
        ..Pretraining::default()
    };
    let mut is_finite = true;
    let key = BaseKey { recipe, seed };
    // The closure of a stage cannot ask the context, so it runs to its end.
    let folder = cx.stage("tinythink", &key, |folder| {
        let theta = recipe.train(seed, |_, _| true);
        is_finite = theta.iter().all(|x| x.is_finite());
        let bytes: Vec<u8> = theta.iter().flat_map(|x| x.to_le_bytes()).collect();
        let path = folder.join(FILE);
        std::fs::write(&path, bytes).map_err(|e| Error::io("write", &path, e))
    })?;
    if !is_finite {
        return Err(Error::internal(
            "pre-training ended with values that are not finite",
        ));
    }
    Ok(Network::new(read_theta(&folder.join(FILE))?))
}

fn read_theta(path: &Path) -> Result<Vec<f64>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let theta: Vec<f64> = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|chunk| f64::from_le_bytes(*chunk))
        .collect();
    if theta.len() == N_PARAMETERS && bytes.len() == 8 * N_PARAMETERS {
        return Ok(theta);
    }
    let (path, n) = (path.display(), bytes.len());
    Err(
        Error::internal(format!("`{path}` has {n} bytes, not those of a base model"))
            .hint("remove the folder `results/.cache` and run again"),
    )
}

/// Preference pairs of a seed, on training prompts.
pub fn pairs(
    cx: &Cx,
    network: &Network,
    size: Size,
    reward: Reward,
    silent: Silent,
) -> Result<Vec<Pair>> {
    let [train, _, _] = split();
    let recipe = Recipe {
        n_pairs: size.n_pairs,
        reward,
        silent,
    };
    // A few prompts suffice for a few pairs.
    let prompts: Vec<Prompt> = train.into_iter().take(size.n_pairs * 2).collect();
    let mut rng = Pcg64Mcg::from_rng(&mut cx.rng(&format!("pairs {}", reward.as_str())));
    let pairs = draw_pairs(network, &prompts, recipe, &mut rng);
    if pairs.len() < size.n_pairs {
        let (found, wanted) = (pairs.len(), size.n_pairs);
        return Err(Error::internal(format!(
            "{found} preference pairs of {wanted} were found"
        )));
    }
    Ok(pairs)
}

/// Exact gradients of some pairs; the run can be interrupted between two.
pub fn gradients(
    cx: &Cx,
    network: &Network,
    pairs: &[Pair],
    loss: &dyn PreferenceLoss,
) -> Result<Vec<PairGradients>> {
    let measure = |pair: &Pair| {
        if cx.cancelled() {
            return Err(Error::new(
                eval::exit::INTERRUPTED,
                "the run was interrupted",
            ));
        }
        Ok(ExactPair::new(network, pair).gradients(loss))
    };
    pairs.iter().map(measure).collect()
}

/// The losses of the configuration, DPO first.
pub fn losses(config: &Config) -> [Box<dyn PreferenceLoss>; 3] {
    [
        Box::new(Dpo { beta: config.beta }),
        Box::new(SimPo {
            beta: config.simpo_beta,
            gamma: config.simpo_gamma,
        }),
        Box::new(Ipo {
            tau: config.ipo_tau,
        }),
    ]
}
