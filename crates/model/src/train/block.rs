//! The dense parts of a block: attention and feed-forward.

use candle_core::{Result, Tensor};

use super::decoder::Decoder;
use super::names::{feed_forward_norm, in_layer};
use crate::config::{Activation, FeedForward, Norm};
use crate::ops::{self, Affine, AttentionBlock, AttentionOptions, FeedForwardBlock, NormWeights};

/// The parameter of this name; every name asked for here was checked when the decoder was made.
fn find<'a>(decoder: &'a Decoder, name: &str) -> Result<&'a Tensor> {
    match decoder.parameters().find(name) {
        Some(tensor) => Ok(tensor),
        None => candle_core::bail!("there is no parameter `{name}`"),
    }
}

fn affine<'a>(decoder: &'a Decoder, name: &str) -> Result<Affine<'a>> {
    Ok(Affine {
        weight: find(decoder, &format!("{name}.weight"))?,
        bias: decoder.parameters().find(&format!("{name}.bias")),
    })
}

fn norm_weights<'a>(decoder: &'a Decoder, name: &str) -> Result<NormWeights<'a>> {
    let Affine { weight, bias } = affine(decoder, name)?;
    let norm = decoder.config().norm;
    Ok(NormWeights { norm, weight, bias })
}

/// The normalisation `name` of the last dimension.
pub(super) fn norm(decoder: &Decoder, name: &str, states: &Tensor) -> Result<Tensor> {
    let NormWeights { norm, weight, bias } = norm_weights(decoder, name)?;
    match norm {
        Norm::Rms { eps } => ops::rms_norm(states, weight, eps.into()),
        Norm::Layer { eps } => ops::layer_norm(states, weight, bias, eps.into()),
    }
}

/// The projection `name`, with its adapter where there is one.
fn project(decoder: &Decoder, name: &str, input: &Tensor) -> Result<Tensor> {
    let Affine { weight, bias } = affine(decoder, name)?;
    let output = ops::linear(input, weight, bias)?;
    match decoder.adapters().and_then(|adapters| adapters.on(name)) {
        Some(adapter) => {
            let down = find(decoder, &adapter.a)?;
            let up = find(decoder, &adapter.b)?;
            let change = ops::linear(&ops::linear(input, down, None)?, up, None)?;
            output + (change * adapter.scale)?
        }
        None => Ok(output),
    }
}

fn has_adapter(decoder: &Decoder, layer: usize, part: &str) -> bool {
    let prefix = in_layer(layer, part);
    decoder
        .adapters()
        .is_some_and(|adapters| adapters.any_below(&prefix))
}

/// `x + attention(norm(x))`, `[n_sequences, n_tokens, n_hidden]`.
pub(super) fn attention(decoder: &Decoder, layer: usize, states: &Tensor) -> Result<Tensor> {
    let config = decoder.config();
    let own = |rest: &str| in_layer(layer, rest);
    let options = AttentionOptions {
        causal: true,
        window: config.window_of(layer).map(|window| window.n_tokens),
        scale: config.attention_scale.into(),
        segments: None,
    };
    if config.norm_qk || config.norm_after || has_adapter(decoder, layer, "self_attn") {
        return attention_by_parts(decoder, layer, states, &options);
    }
    let block = AttentionBlock {
        norm: norm_weights(decoder, &own("input_layernorm"))?,
        query: affine(decoder, &own("self_attn.q_proj"))?,
        key: affine(decoder, &own("self_attn.k_proj"))?,
        value: affine(decoder, &own("self_attn.v_proj"))?,
        out: affine(decoder, &own("self_attn.o_proj"))?,
        n_head: config.n_head,
        rotary: decoder.rotary_of(layer),
        options,
    };
    ops::attention_block(states, &block)
}

/// The same for the members of the family that the fused block does not cover.
fn attention_by_parts(
    decoder: &Decoder,
    layer: usize,
    states: &Tensor,
    options: &AttentionOptions<'_>,
) -> Result<Tensor> {
    let config = decoder.config();
    let own = |rest: &str| in_layer(layer, rest);
    let (n_sequences, n_tokens, _) = states.dims3()?;
    let normed = norm(decoder, &own("input_layernorm"), states)?;
    let heads = |which: &str| {
        project(decoder, &own(&format!("self_attn.{which}_proj")), &normed)?.reshape((
            n_sequences,
            n_tokens,
            (),
            config.n_head,
        ))
    };
    let turned = |which: &str| {
        let mut heads = heads(which)?;
        if config.norm_qk {
            let weight = find(decoder, &own(&format!("self_attn.{which}_norm.weight")))?;
            let (Norm::Rms { eps } | Norm::Layer { eps }) = config.norm;
            heads = ops::rms_norm(&heads, weight, eps.into())?;
        }
        match decoder.rotary_of(layer) {
            Some(tables) => ops::rotary(&heads, tables),
            None => Ok(heads),
        }
    };
    let seen = ops::attention(&turned("q")?, &turned("k")?, &heads("v")?, options)?;
    let seen = seen.reshape((n_sequences, n_tokens, ()))?;
    let output = project(decoder, &own("self_attn.o_proj"), &seen)?;
    states + norm_after(decoder, &own("post_attention_layernorm"), output)?
}

/// The norm behind a sub-layer, where the configuration has one.
pub(super) fn norm_after(decoder: &Decoder, name: &str, output: Tensor) -> Result<Tensor> {
    if decoder.config().norm_after {
        norm(decoder, name, &output)
    } else {
        Ok(output)
    }
}

/// `x + feed_forward(norm(x))` of a dense block.
pub(super) fn feed_forward(decoder: &Decoder, layer: usize, states: &Tensor) -> Result<Tensor> {
    let config = decoder.config();
    let own = |rest: &str| in_layer(layer, rest);
    let (gated, activation) = match config.feed_forward {
        FeedForward::Gated { activation, .. } => (true, activation),
        FeedForward::Plain { activation, .. } => (false, activation),
        FeedForward::Experts { .. } => candle_core::bail!("experts are no dense block"),
    };
    let norm_name = own(feed_forward_norm(config));
    if !config.norm_after && !has_adapter(decoder, layer, "mlp") {
        let gate = gated.then(|| affine(decoder, &own("mlp.gate_proj")));
        let block = FeedForwardBlock {
            norm: norm_weights(decoder, &norm_name)?,
            gate: gate.transpose()?,
            up: affine(decoder, &own("mlp.up_proj"))?,
            down: affine(decoder, &own("mlp.down_proj"))?,
            activation,
        };
        return ops::feed_forward_block(states, &block);
    }
    let normed = norm(decoder, &norm_name, states)?;
    let up = project(decoder, &own("mlp.up_proj"), &normed)?;
    let inner = if gated {
        let gate = project(decoder, &own("mlp.gate_proj"), &normed)?;
        match activation {
            Activation::Silu => ops::silu_gate(&gate, &up)?,
            Activation::GeluTanh => ops::gelu_gate(&gate, &up)?,
        }
    } else {
        match activation {
            Activation::Silu => ops::silu(&up)?,
            Activation::GeluTanh => ops::gelu_tanh(&up)?,
        }
    };
    let output = project(decoder, &own("mlp.down_proj"), &inner)?;
    states + norm_after(decoder, &own("post_feedforward_layernorm"), output)?
}
