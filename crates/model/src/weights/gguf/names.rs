//! GGUF tensor names → hub names.
//!
//! The tables are those of ggml's Python package `gguf` 0.19 (`tensor_mapping.py`) read backwards,
//! for the architectures that are supported here; a test compares them.

/// Where a tensor of a GGUF file belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Target {
    /// It is the tensor of this hub name.
    One(String),
    /// It is the query (`is_query`) or key projection of this hub name: weight or bias.
    Rotated {
        /// Hub name.
        name: String,
        /// Query or key.
        is_query: bool,
    },
    /// It stacks all experts of `layer`; `part` is `gate_proj`, `up_proj`, or `down_proj`.
    Experts {
        /// Layer, from 0.
        layer: usize,
        /// Which projection.
        part: &'static str,
    },
}

/// What the tensor `name` of a file of `architecture` is; `None` if it has no place there.
pub(in crate::weights) fn target(architecture: &str, name: &str) -> Option<Target> {
    let one = |name: &str| Some(Target::One(name.to_owned()));
    match name {
        "token_embd.weight" => return one("model.embed_tokens.weight"),
        "output_norm.weight" => return one("model.norm.weight"),
        "output.weight" => return one("lm_head.weight"),
        _ => {}
    }
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    // `007` and `+7` would let two names mean one layer.
    if layer.starts_with('0') && layer != "0" || !layer.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let layer: usize = layer.parse().ok()?;
    let (stem, suffix) = rest.rsplit_once('.')?;
    let is_gemma = architecture == "gemma3";
    if let Some(part) = experts(stem).filter(|_| suffix == "weight") {
        return (architecture == "qwen3moe").then_some(Target::Experts { layer, part });
    }
    let hub = match stem {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "ffn_norm" if is_gemma => "pre_feedforward_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "post_attention_norm" if is_gemma => "post_attention_layernorm",
        "post_ffw_norm" if is_gemma => "post_feedforward_layernorm",
        "ffn_gate_inp" => "mlp.gate",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        _ => return None,
    };
    if !matches!(suffix, "weight" | "bias") {
        return None;
    }
    let name = format!("model.layers.{layer}.{hub}.{suffix}");
    Some(match stem {
        "attn_q" | "attn_k" => Target::Rotated {
            name,
            is_query: stem == "attn_q",
        },
        _ => Target::One(name),
    })
}

fn experts(stem: &str) -> Option<&'static str> {
    match stem {
        "ffn_gate_exps" => Some("gate_proj"),
        "ffn_up_exps" => Some("up_proj"),
        "ffn_down_exps" => Some("down_proj"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, target};

    #[test]
    fn a_name_outside_the_table_has_no_place() {
        for name in [
            "rope_freqs.weight",
            "blk.0.attn_sinks.weight",
            "blk.0.ffn_gate_shexp.weight",
            "blk.00.attn_q.weight",
            "blk.+1.attn_q.weight",
            "blk..attn_q.weight",
            "blk.99999999999999999999.attn_q.weight",
            "blk.0.attn_q.scale",
            "blk.0.ffn_gate_exps.weight",
            "blk.0.post_ffw_norm.weight",
        ] {
            assert_eq!(target("llama", name), None, "{name}");
        }
    }

    #[test]
    fn the_feed_forward_norm_has_another_place_in_gemma() {
        let place = |architecture, name| match target(architecture, name) {
            Some(Target::One(name)) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            place("llama", "blk.3.ffn_norm.weight"),
            "model.layers.3.post_attention_layernorm.weight"
        );
        assert_eq!(
            place("gemma3", "blk.3.ffn_norm.weight"),
            "model.layers.3.pre_feedforward_layernorm.weight"
        );
        assert_eq!(
            place("gemma3", "blk.3.post_attention_norm.weight"),
            "model.layers.3.post_attention_layernorm.weight"
        );
    }
}
