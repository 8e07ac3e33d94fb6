//! Which parameters a decoder has, and what each is for.

use crate::config::DecoderConfig;
use crate::weights::layout;

/// Name and shape of every parameter of a decoder with this configuration, in the order of the
/// computation.
///
/// Names are the hub's, with one exception: the experts of a layer are stacked, `[n_experts, n_out,
/// n_in]` under `mlp.experts.{gate,up,down}_proj.weight`, because they are computed together.
/// Files hold them one by one under their hub names.
#[must_use]
pub fn shapes(config: &DecoderConfig) -> Vec<(String, Vec<usize>)> {
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    for (name, shape) in layout(config) {
        let Some((layer, part)) = of_expert(&name) else {
            shapes.push((name, shape));
            continue;
        };
        let stack = format!("{layer}.mlp.experts.{part}");
        match shapes.iter_mut().rev().find(|(known, _)| *known == stack) {
            Some((_, stacked)) => stacked[0] += 1,
            None => shapes.push((stack, [vec![1], shape].concat())),
        }
    }
    shapes
}

/// The layer and the projection of a hub name of an expert's matrix.
fn of_expert(name: &str) -> Option<(&str, &str)> {
    let (layer, rest) = name.split_once(".mlp.experts.")?;
    let (_, part) = rest.split_once('.')?;
    Some((layer, part))
}

/// The name of a parameter of one layer.
pub(super) fn in_layer(layer: usize, rest: &str) -> String {
    format!("model.layers.{layer}.{rest}")
}

/// The norm in front of the feed-forward layer: the hub's names differ where norms follow too.
pub(super) fn feed_forward_norm(config: &DecoderConfig) -> &'static str {
    if config.norm_after {
        "pre_feedforward_layernorm"
    } else {
        "post_attention_layernorm"
    }
}

/// What a parameter is for, read from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Token or position embedding, or the head.
    Embedding,
    /// A matrix inside a block.
    Projection,
    /// A matrix that writes into the residual stream.
    Residual,
    /// The weight of a normalisation.
    Norm,
    /// Any bias.
    Bias,
}

impl Role {
    pub(super) fn of(name: &str) -> Self {
        let stem = name.strip_suffix(".weight").unwrap_or(name);
        let last = stem.rsplit('.').next().unwrap_or(stem);
        if name.ends_with(".bias") {
            Self::Bias
        } else if last.ends_with("norm") {
            Self::Norm
        } else if matches!(last, "embed_tokens" | "position_embeddings" | "lm_head") {
            Self::Embedding
        } else if matches!(last, "o_proj" | "down_proj") {
            Self::Residual
        } else {
            Self::Projection
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_follow_from_names() {
        for (name, role) in [
            ("model.embed_tokens.weight", Role::Embedding),
            ("lm_head.weight", Role::Embedding),
            ("model.norm.weight", Role::Norm),
            ("model.norm.bias", Role::Bias),
            ("model.layers.0.input_layernorm.weight", Role::Norm),
            ("model.layers.0.self_attn.q_norm.weight", Role::Norm),
            ("model.layers.0.self_attn.q_proj.weight", Role::Projection),
            ("model.layers.0.self_attn.o_proj.weight", Role::Residual),
            ("model.layers.0.mlp.gate.weight", Role::Projection),
            (
                "model.layers.0.mlp.experts.down_proj.weight",
                Role::Residual,
            ),
        ] {
            assert_eq!(Role::of(name), role, "{name}");
        }
    }
}
