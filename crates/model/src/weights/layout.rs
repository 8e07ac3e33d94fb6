//! Which tensors a decoder has: hub names and shapes, from the configuration alone.
//!
//! This is the contract between files, the engine, and training: a checkpoint that opens has
//! exactly these tensors with exactly these shapes.

use std::iter::once;

use crate::config::{DecoderConfig, FeedForward, Norm, Positions};

/// Hub name and shape of every tensor of a decoder with this configuration, in the order of the
/// computation.
///
/// ```
/// # use model::config::{Activation, DecoderConfig, FeedForward, Norm, Positions};
/// # use model::weights::layout;
/// # let config = DecoderConfig {
/// #     architecture: "local".to_owned(), n_vocab: 10, n_hidden: 8, n_layers: 1, n_heads: 2,
/// #     n_kv_heads: 1, n_head: 4, n_context: 16, norm: Norm::Rms { eps: 1e-6 },
/// #     norm_after: false, norm_qk: false, positions: Positions::Learned, bias_qkv: false,
/// #     bias_out: false, attention_scale: 0.5, window: None,
/// #     feed_forward: FeedForward::Plain { n_inner: 32, activation: Activation::GeluTanh },
/// #     embedding_scale: 1.0, tied: true,
/// # };
/// let (name, shape) = layout(&config).next().unwrap();
/// assert_eq!(name, "model.embed_tokens.weight");
/// assert_eq!(shape, [config.n_vocab, config.n_hidden]);
/// ```
pub fn layout(config: &DecoderConfig) -> impl Iterator<Item = (String, Vec<usize>)> {
    let hidden = config.n_hidden;
    let embedding = (
        "model.embed_tokens.weight".to_owned(),
        vec![config.n_vocab, hidden],
    );
    let positions = match config.positions {
        Positions::Learned => Some((
            "model.position_embeddings.weight".to_owned(),
            vec![config.n_context, hidden],
        )),
        Positions::Rotary { .. } => None,
    };
    let head = (!config.tied).then(|| ("lm_head.weight".to_owned(), vec![config.n_vocab, hidden]));
    once(embedding)
        .chain(positions)
        .chain((0..config.n_layers).flat_map(|layer| block(config, layer)))
        .chain(norm(config, "model.norm".to_owned()))
        .chain(head)
}

/// How many tensors [`layout`] yields, computed and not counted: it is safe for absurd numbers.
pub(super) fn layout_len(config: &DecoderConfig) -> usize {
    let n_norm = norm(config, String::new()).count();
    let per_projection = 1 + usize::from(config.bias_out);
    let n_feed_forward = match config.feed_forward {
        FeedForward::Gated { .. } => 3 * per_projection,
        FeedForward::Plain { .. } => 2 * per_projection,
        FeedForward::Experts { n_experts, .. } => n_experts.saturating_mul(3).saturating_add(1),
    };
    let n_attention = 3 * (1 + usize::from(config.bias_qkv)) + per_projection;
    let n_norms = n_norm * if config.norm_after { 4 } else { 2 } + 2 * usize::from(config.norm_qk);
    let outside = 1
        + usize::from(config.positions == Positions::Learned)
        + n_norm
        + usize::from(!config.tied);
    n_feed_forward
        .saturating_add(n_attention + n_norms)
        .saturating_mul(config.n_layers)
        .saturating_add(outside)
}

type Entry = (String, Vec<usize>);

fn block(config: &DecoderConfig, layer: usize) -> impl Iterator<Item = Entry> {
    let prefix = format!("model.layers.{layer}");
    let mut entries = Vec::new();
    entries.extend(norm(config, format!("{prefix}.input_layernorm")));
    let n_query = config.n_heads * config.n_head;
    let n_key = config.n_kv_heads * config.n_head;
    for (name, n_rows) in [("q", n_query), ("k", n_key), ("v", n_key)] {
        let name = format!("{prefix}.self_attn.{name}_proj");
        entries.extend(linear(name, n_rows, config.n_hidden, config.bias_qkv));
    }
    let name = format!("{prefix}.self_attn.o_proj");
    entries.extend(linear(name, config.n_hidden, n_query, config.bias_out));
    if config.norm_qk {
        for name in ["q_norm", "k_norm"] {
            let name = format!("{prefix}.self_attn.{name}.weight");
            entries.push((name, vec![config.n_head]));
        }
    }
    let norms: &[&str] = if config.norm_after {
        &[
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm",
        ]
    } else {
        &["post_attention_layernorm"]
    };
    for name in norms {
        entries.extend(norm(config, format!("{prefix}.{name}")));
    }
    entries.into_iter().chain(feed_forward(config, prefix))
}

fn feed_forward(config: &DecoderConfig, prefix: String) -> impl Iterator<Item = Entry> {
    let hidden = config.n_hidden;
    let bias = config.bias_out;
    // Lazy in the experts: their number comes from a file.
    let (router, n_experts, n_inner, is_gated) = match config.feed_forward {
        FeedForward::Gated { n_inner, .. } => (None, 1, n_inner, true),
        FeedForward::Plain { n_inner, .. } => (None, 1, n_inner, false),
        FeedForward::Experts {
            n_inner, n_experts, ..
        } => {
            let router = (format!("{prefix}.mlp.gate.weight"), vec![n_experts, hidden]);
            (Some(router), n_experts, n_inner, true)
        }
    };
    let is_moe = router.is_some();
    let expert = move |expert: usize| {
        let prefix = if is_moe {
            format!("{prefix}.mlp.experts.{expert}")
        } else {
            format!("{prefix}.mlp")
        };
        let bias = bias && !is_moe;
        let gate = is_gated
            .then(|| linear(format!("{prefix}.gate_proj"), n_inner, hidden, bias))
            .into_iter()
            .flatten();
        gate.chain(linear(format!("{prefix}.up_proj"), n_inner, hidden, bias))
            .chain(linear(format!("{prefix}.down_proj"), hidden, n_inner, bias))
    };
    router.into_iter().chain((0..n_experts).flat_map(expert))
}

fn linear(name: String, n_out: usize, n_in: usize, with_bias: bool) -> impl Iterator<Item = Entry> {
    let bias = with_bias.then(|| (format!("{name}.bias"), vec![n_out]));
    once((format!("{name}.weight"), vec![n_out, n_in])).chain(bias)
}

fn norm(config: &DecoderConfig, name: String) -> impl Iterator<Item = Entry> {
    let n = config.n_hidden;
    let bias = matches!(config.norm, Norm::Layer { .. }).then(|| (format!("{name}.bias"), vec![n]));
    once((format!("{name}.weight"), vec![n])).chain(bias)
}
