//! A pretrained decoder up to its last feed-forward block.
//!
//! Only two norms behind that point are trained (section 8, tier 2), so everything before it is
//! constant and computed once: by the fast engine, with keys and values of shared beginnings
//! computed once too. The engine's weights are those of the file, de-quantised, except that the
//! last feed-forward block adds nothing: what leaves the last layer is then what enters that block.

use eval::{Error, Result};
use model::infer::{CHUNK_TOKENS, Tap, TapSite};
use model::infer::{Engine, EngineOptions, NamedTensors, Outputs, Precision, Sequence, Step};
use model::weights::{Checkpoint, layout};

/// The part of a decoder that no trained parameter touches.
#[derive(Debug)]
pub struct Body {
    engine: Engine,
}

/// Keeps what leaves the last layer.
struct Last {
    layer: usize,
    states: Vec<f32>,
}

impl Tap for Last {
    fn hidden(&mut self, site: TapSite<'_>, states: &mut [f32]) {
        if site.layer == self.layer {
            self.states = states.to_vec();
        }
    }
}

impl Body {
    /// Loads the body of a checkpoint.
    ///
    /// # Errors
    /// A tensor is missing or damaged, or the last block is not a plain gated one.
    pub fn load(checkpoint: &Checkpoint, n_threads: usize) -> Result<Self> {
        let config = checkpoint.config();
        let last = format!(
            "model.layers.{}.mlp.down_proj.weight",
            config.n_layers.saturating_sub(1)
        );
        let mut tensors = NamedTensors::new();
        let mut silenced = false;
        for (name, shape) in layout(config) {
            let mut values = checkpoint.tensor(&name)?.to_f32()?;
            if name == last {
                values.fill(0.0);
                silenced = true;
            }
            tensors.insert(name, (shape, values));
        }
        if !silenced || config.norm_after {
            return Err(Error::inputs(format!(
                "`{}` does not end with a plain feed-forward block",
                checkpoint.name()
            )));
        }
        let options = EngineOptions {
            precision: Precision::Exact,
            n_threads,
        };
        let engine = Engine::from_tensors(config.clone(), tensors, options)?;
        Ok(Self { engine })
    }

    /// A sequence without a past.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.engine.sequence()
    }

    /// Width of a state.
    #[must_use]
    pub fn n_hidden(&self) -> usize {
        self.engine.config().n_hidden
    }

    /// Feeds each sequence its tokens and returns the state at every token,
    /// `[n_tokens · n_hidden]` per sequence: the input of the last feed-forward block, before its
    /// norm.
    ///
    /// # Errors
    /// A token is unknown, or a sequence outgrows the context.
    pub fn extend(&self, fed: &mut [(Sequence, &[u32])]) -> Result<Vec<Vec<f32>>> {
        let mut states = vec![Vec::new(); fed.len()];
        let mut first = 0;
        while first < fed.len() {
            // As many sequences as fill a chunk, at least one.
            let mut n_rows = fed[first].1.len();
            let mut next = first + 1;
            while next < fed.len() && n_rows + fed[next].1.len() <= CHUNK_TOKENS {
                n_rows += fed[next].1.len();
                next += 1;
            }
            if next == first + 1 {
                let (sequence, tokens) = &mut fed[first];
                for tokens in tokens.chunks(CHUNK_TOKENS) {
                    states[first].extend(self.pass(&mut [step(sequence, tokens)])?);
                }
            } else {
                let group = &mut fed[first..next];
                let mut steps: Vec<Step<'_>> = group
                    .iter_mut()
                    .map(|(s, tokens)| step(s, tokens))
                    .collect();
                let mut rest = self.pass(&mut steps)?;
                for index in (first..next).rev() {
                    let n_own = fed[index].1.len() * self.n_hidden();
                    states[index] = rest.split_off(rest.len() - n_own);
                }
            }
            first = next;
        }
        Ok(states)
    }

    fn pass(&self, steps: &mut [Step<'_>]) -> Result<Vec<f32>> {
        let layer = self.engine.config().n_layers;
        let mut tap = Last {
            layer,
            states: Vec::new(),
        };
        self.engine.forward(steps, Some(&mut tap))?;
        Ok(tap.states)
    }
}

fn step<'a>(sequence: &'a mut Sequence, tokens: &'a [u32]) -> Step<'a> {
    Step {
        sequence,
        tokens,
        outputs: Outputs::None,
    }
}
