//! The trainable decoder: ids to logits, differentiable in every trainable parameter.

use candle_core::Tensor;
use eval::{Error, Result};

use super::batch::Batch;
use super::block;
use super::experts::Routing;
use super::hooks::Hook;
use super::init::Init;
use super::lora::Adapters;
use super::names::shapes;
use super::parameters::Parameters;
use super::tensor::{OrFail, Precision};
use crate::config::{DecoderConfig, FeedForward, Positions};
use crate::infer::{TapRow, TapSite};
use crate::ops::{self, Rotary};

/// A decoder of the family of [`DecoderConfig`] with its parameters.
#[derive(Clone, Debug)]
pub struct Decoder {
    config: DecoderConfig,
    parameters: Parameters,
    adapters: Option<Adapters>,
    rotary: RotaryTables,
}

/// Tables of full and of windowed layers.
#[derive(Clone, Debug)]
struct RotaryTables {
    full: Option<Rotary>,
    windowed: Option<Rotary>,
}

impl RotaryTables {
    fn new(config: &DecoderConfig) -> Result<Self> {
        let Positions::Rotary { theta, scale } = config.positions else {
            let (full, windowed) = (None, None);
            return Ok(Self { full, windowed });
        };
        let table = |theta: f32, scale: f32| {
            Rotary::new(config.n_head, config.n_context, theta.into(), scale.into())
                .or_fail("prepare rotary positions")
        };
        let windowed = config.window.map(|window| table(window.theta, 1.0));
        Ok(Self {
            full: Some(table(theta, scale)?),
            windowed: windowed.transpose()?,
        })
    }
}

/// What a forward pass with hooks or router statistics yields.
#[derive(Clone, Debug)]
pub struct Forward {
    /// States behind the final norm, `[n_sequences, n_tokens, n_hidden]`: [`Decoder::head`] turns
    /// them into logits.
    pub states: Tensor,
    /// Router decisions of each block; empty without experts.
    pub routing: Vec<Routing>,
}

impl Decoder {
    /// A decoder with seeded initial values, every parameter trainable.
    ///
    /// # Errors
    /// The configuration makes no sense.
    pub fn new(config: DecoderConfig, init: &Init, precision: Precision) -> Result<Self> {
        config.validate()?;
        let mut parameters = Parameters::new(precision);
        for (name, shape) in shapes(&config) {
            let values = init.draw((&name, &shape), config.n_layers, precision)?;
            parameters.insert(&name, &values)?;
        }
        Self::with_parameters(config, parameters)
    }

    /// A decoder with given parameters.
    ///
    /// # Errors
    /// The configuration makes no sense, or `parameters` are not exactly those of [`shapes`].
    pub fn with_parameters(config: DecoderConfig, parameters: Parameters) -> Result<Self> {
        config.validate()?;
        let expected = shapes(&config);
        for (name, shape) in &expected {
            let found = parameters.get(name)?.dims();
            if found != shape.as_slice() {
                return Err(Error::inputs(format!(
                    "parameter `{name}` has shape {found:?}, the configuration says {shape:?}"
                )));
            }
        }
        let n_found = parameters.iter().count();
        if n_found != expected.len() {
            let known = |name: &str| expected.iter().any(|(known, _)| known == name);
            let extra = parameters.iter().find(|(name, _)| !known(name));
            return Err(Error::inputs(format!(
                "parameter `{}` is not part of the decoder",
                extra.map_or("?", |(name, _)| name)
            )));
        }
        let rotary = RotaryTables::new(&config)?;
        Ok(Self {
            config,
            parameters,
            adapters: None,
            rotary,
        })
    }

    /// The decoder's shape.
    #[must_use]
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Its parameters, adapters included.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Its parameters, to freeze some or to set values.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// Adapters on its projections, if any.
    #[must_use]
    pub fn adapters(&self) -> Option<&Adapters> {
        self.adapters.as_ref()
    }

    /// The same decoder with other adapters or none.
    pub(super) fn replace_adapters(
        mut self,
        parameters: Parameters,
        adapters: Option<Adapters>,
    ) -> Self {
        self.parameters = parameters;
        self.adapters = adapters;
        self
    }

    /// A copy in another precision that shares nothing with this one.
    ///
    /// # Errors
    /// Values cannot be converted.
    pub fn to_precision(&self, precision: Precision) -> Result<Self> {
        let mut copy = self.clone();
        copy.parameters = self.parameters.to_precision(precision)?;
        Ok(copy)
    }

    /// Logits `[n_sequences, n_tokens, n_vocab]`: entry `t` predicts token `t + 1`.
    ///
    /// # Errors
    /// An id is not in the vocabulary, or the batch is longer than the context.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        self.head(&self.states(batch, &mut ())?.states)
    }

    /// States behind the final norm and the routers' decisions, with `hook` called at every layer
    /// (`&mut ()` hooks nothing).
    ///
    /// # Errors
    /// As [`Decoder::forward`]; or the hook failed.
    pub fn states(&self, batch: &Batch, hook: &mut dyn Hook) -> Result<Forward> {
        let (states, routing) = self.blocks(batch, self.config.n_layers, hook)?;
        let states = block::norm(self, "model.norm", &states).or_fail("normalise the states")?;
        Ok(Forward { states, routing })
    }

    /// Hidden states after layer `layer` (0 is the embedding, `n_layers` the last block before the
    /// final norm), `[n_sequences, n_tokens, n_hidden]`; later layers are not computed.
    ///
    /// # Errors
    /// As [`Decoder::states`]; there is no such layer.
    pub fn hidden(&self, batch: &Batch, layer: usize, hook: &mut dyn Hook) -> Result<Tensor> {
        if layer > self.config.n_layers {
            let n_layers = self.config.n_layers;
            return Err(Error::usage(format!(
                "layer {layer} of a decoder with {n_layers}"
            )));
        }
        Ok(self.blocks(batch, layer, hook)?.0)
    }

    /// The head: states `[.., n_hidden]` to logits `[.., n_vocab]`.
    ///
    /// # Errors
    /// The last dimension is not `n_hidden`.
    pub fn head(&self, states: &Tensor) -> Result<Tensor> {
        ops::linear(states, self.head_weight()?, None).or_fail("compute logits")
    }

    /// The head's matrix `[n_vocab, n_hidden]`.
    ///
    /// # Errors
    /// Cannot fail for a decoder made by this module.
    pub fn head_weight(&self) -> Result<&Tensor> {
        self.parameters.get(if self.config.tied {
            "model.embed_tokens.weight"
        } else {
            "lm_head.weight"
        })
    }

    /// The rotary tables of layer `layer`.
    pub(super) fn rotary_of(&self, layer: usize) -> Option<&Rotary> {
        match self.config.window_of(layer) {
            Some(_) => self.rotary.windowed.as_ref(),
            None => self.rotary.full.as_ref(),
        }
    }

    fn check(&self, batch: &Batch) -> Result<()> {
        let n_context = self.config.n_context;
        if batch.n_tokens() > n_context {
            return Err(Error::usage(format!(
                "sequences of {} tokens in a context of {n_context}",
                batch.n_tokens()
            )));
        }
        match batch
            .ids()
            .iter()
            .find(|id| **id as usize >= self.config.n_vocab)
        {
            Some(id) => Err(Error::usage(format!(
                "token {id} in a vocabulary of {}",
                self.config.n_vocab
            ))),
            None => Ok(()),
        }
    }

    fn embed(&self, batch: &Batch) -> Result<Tensor> {
        let table = self.parameters.get("model.embed_tokens.weight")?;
        let learned = self.parameters.find("model.position_embeddings.weight");
        let (n_sequences, n_tokens) = (batch.n_sequences(), batch.n_tokens());
        let shape = (n_sequences, n_tokens, self.config.n_hidden);
        let embed = || -> candle_core::Result<Tensor> {
            let mut states = ops::embedding(table, &batch.tensor()?)?.reshape(shape)?;
            if (self.config.embedding_scale - 1.0).abs() > 0.0 {
                states = (states * f64::from(self.config.embedding_scale))?;
            }
            match learned {
                Some(positions) => states.broadcast_add(&positions.narrow(0, 0, n_tokens)?),
                None => Ok(states),
            }
        };
        embed().or_fail("embed the tokens")
    }

    fn blocks(
        &self,
        batch: &Batch,
        n_blocks: usize,
        hook: &mut dyn Hook,
    ) -> Result<(Tensor, Vec<Routing>)> {
        self.check(batch)?;
        let rows = rows_of(batch);
        let site = |layer| TapSite { layer, rows: &rows };
        let has_experts = matches!(self.config.feed_forward, FeedForward::Experts { .. });
        let mut routing = Vec::new();
        let mut states = hooked(hook, site(0), self.embed(batch)?)?;
        for layer in 0..n_blocks {
            let doing = format!("compute layer {layer}");
            states = block::attention(self, layer, &states).or_fail(&doing)?;
            states = if has_experts {
                let (output, decisions) = super::experts::block(self, site(layer), &states, hook)?;
                routing.push(decisions);
                output
            } else {
                block::feed_forward(self, layer, &states).or_fail(&doing)?
            };
            states = hooked(hook, site(layer + 1), states)?;
        }
        Ok((states, routing))
    }
}

/// One entry per token of the padded batch.
fn rows_of(batch: &Batch) -> Vec<TapRow> {
    let n_tokens = batch.n_tokens();
    let row = |(place, token): (usize, &u32)| TapRow {
        step: place / n_tokens,
        position: place % n_tokens,
        token: *token,
    };
    batch.ids().iter().enumerate().map(row).collect()
}

/// Hands the hidden states to the hook as one row per token.
fn hooked(hook: &mut dyn Hook, site: TapSite<'_>, states: Tensor) -> Result<Tensor> {
    if hook.is_idle() {
        return Ok(states);
    }
    let shape = states.dims().to_vec();
    let (layer, n_rows) = (site.layer, site.rows.len());
    let doing = format!("hook layer {layer}");
    let flat = states
        .reshape((n_rows, shape[shape.len() - 1]))
        .or_fail(&doing)?;
    let output = hook.hidden(site, flat)?;
    output.reshape(shape).or_fail(&doing)
}
