//! GGUF metadata → [`DecoderConfig`].
//!
//! Every key below the architecture's name must be one that is understood here: an unknown one may
//! change the computation, so it is an error and not a shrug. What llama.cpp keeps in its source
//! instead of the file (Gemma's window pattern and local rotary base, Qwen3's renormalised router)
//! is stated in [`config`] with the same values.

use eval::Result;

use super::header::Header;
use crate::config::{Activation, DecoderConfig, FeedForward, Norm, Positions, Window};
use crate::weights::source::{Source, TensorInfo, shown};

/// Keys (below the architecture) that say nothing about the computation or are read below.
const KNOWN: [&str; 22] = [
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "expert_feed_forward_length",
    "expert_used_count",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "tensor_data_layout",
    "vocab_size",
];

/// Gemma 3: every sixth layer sees everything (llama.cpp, `set_swa_pattern(6)`).
const GEMMA_FULL_EVERY: usize = 6;
/// Gemma 3: rotary base of windowed layers where the file has none.
const GEMMA_LOCAL_THETA: f64 = 10_000.0;
/// Rotary base of llama-family files that state none.
const THETA_DEFAULT: f64 = 10_000.0;
/// The Gemma 3 size (27B) whose attention scale is `1/√(n_hidden / n_heads)`.
const GEMMA_27B_LAYERS: usize = 62;

/// The configuration that `header` describes, not validated.
pub(in crate::weights) fn config(source: &Source, header: &Header) -> Result<DecoderConfig> {
    let architecture = header.metadata.text("general.architecture")?;
    let Some(architecture) = architecture else {
        return Err(source.damaged("it has no `general.architecture`"));
    };
    if !matches!(
        architecture,
        "llama" | "qwen2" | "qwen3" | "qwen3moe" | "gemma3"
    ) {
        return Err(source.unsupported(format_args!(
            "its architecture is `{}`",
            shown(architecture)
        )));
    }
    let keys = Keys {
        source,
        header,
        architecture,
    };
    keys.refuse_unknown()?;
    keys.refuse_unsupported()?;
    let n_hidden = keys.count("embedding_length")?;
    let n_heads = keys.count("attention.head_count")?;
    let n_head = match keys.count_if_any("attention.key_length")? {
        Some(n_head) => n_head,
        None => n_hidden / n_heads.max(1),
    };
    keys.refuse_other_head(n_head)?;
    let is_gemma = architecture == "gemma3";
    let tensors = &header.tensors;
    Ok(DecoderConfig {
        architecture: architecture.to_owned(),
        n_vocab: keys.vocabulary()?,
        n_hidden,
        n_layers: keys.count("block_count")?,
        n_heads,
        n_kv_heads: match keys.count_if_any("attention.head_count_kv")? {
            Some(n_kv_heads) => n_kv_heads,
            None => n_heads,
        },
        n_head,
        n_context: keys.count("context_length")?,
        norm: Norm::Rms {
            eps: keys.number("attention.layer_norm_rms_epsilon")? as f32,
        },
        norm_after: is_gemma,
        norm_qk: matches!(architecture, "qwen3" | "qwen3moe" | "gemma3"),
        positions: keys.positions()?,
        bias_qkv: tensors.contains_key("blk.0.attn_q.bias"),
        bias_out: tensors.contains_key("blk.0.attn_output.bias"),
        attention_scale: keys.attention_scale(n_hidden, n_heads, n_head)?,
        window: keys.window()?,
        feed_forward: keys.feed_forward()?,
        embedding_scale: if is_gemma {
            (n_hidden as f64).sqrt() as f32
        } else {
            1.0
        },
        tied: !tensors.contains_key("output.weight"),
    })
}

/// Reads keys below the architecture's name.
struct Keys<'a> {
    source: &'a Source,
    header: &'a Header,
    architecture: &'a str,
}

impl Keys<'_> {
    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn missing(&self, key: &str) -> eval::Error {
        self.source
            .damaged(format_args!("it has no `{}.{key}`", self.architecture))
    }

    fn count_if_any(&self, key: &str) -> Result<Option<usize>> {
        let full = self.full(key);
        match self.header.metadata.integer(&full)? {
            None => Ok(None),
            Some(n) => usize::try_from(n)
                .map(Some)
                .map_err(|_| self.source.damaged(format_args!("`{full}` is {n}"))),
        }
    }

    fn count(&self, key: &str) -> Result<usize> {
        self.count_if_any(key)?.ok_or_else(|| self.missing(key))
    }

    fn number_if_any(&self, key: &str) -> Result<Option<f64>> {
        self.header.metadata.number(&self.full(key))
    }

    fn number(&self, key: &str) -> Result<f64> {
        self.number_if_any(key)?.ok_or_else(|| self.missing(key))
    }

    fn refuse_unknown(&self) -> Result<()> {
        for key in self.header.metadata.keys() {
            if let Some(rest) = key
                .strip_prefix(self.architecture)
                .and_then(|rest| rest.strip_prefix('.'))
                && !KNOWN.contains(&rest)
            {
                return Err(self.source.unsupported(format_args!(
                    "the key `{}` may change the computation and is not understood",
                    shown(key)
                )));
            }
        }
        Ok(())
    }

    fn refuse_unsupported(&self) -> Result<()> {
        let metadata = &self.header.metadata;
        if metadata.integer("split.count")?.is_some_and(|n| n > 1) {
            return Err(self
                .source
                .unsupported("it is one part of a split model")
                .hint("join the parts with `llama-gguf-split --merge` first"));
        }
        if self.header.tensors.contains_key("rope_freqs.weight") {
            return Err(self.source.unsupported(
                "the tensor `rope_freqs.weight` rescales single rotary frequencies (Llama 3.1)",
            ));
        }
        let is_moe = self.architecture == "qwen3moe";
        if !is_moe && self.count_if_any("expert_count")?.is_some_and(|n| n > 0) {
            return Err(self.source.unsupported(format_args!(
                "experts in the architecture `{}`",
                self.architecture
            )));
        }
        let n_window = self.count_if_any("attention.sliding_window")?;
        if self.architecture != "gemma3" && n_window.is_some_and(|n| n > 0) {
            return Err(self.source.unsupported(format_args!(
                "sliding-window attention in the architecture `{}`",
                self.architecture
            )));
        }
        let layout = metadata.text(&self.full("tensor_data_layout"))?;
        if layout.is_some_and(|layout| layout != "Meta AI original pth") {
            return Err(self.source.unsupported(format_args!(
                "the tensor layout `{}`",
                shown(layout.unwrap_or_default())
            )));
        }
        Ok(())
    }

    /// Keys, values, and rotation must all have the width `n_head`.
    fn refuse_other_head(&self, n_head: usize) -> Result<()> {
        for key in ["attention.value_length", "rope.dimension_count"] {
            if let Some(n) = self.count_if_any(key)?
                && n != n_head
            {
                return Err(self.source.unsupported(format_args!(
                    "`{}.{key}` is {n}, but a head has {n_head} elements",
                    self.architecture
                )));
            }
        }
        Ok(())
    }

    fn vocabulary(&self) -> Result<usize> {
        let embedding = self.header.tensors.get("token_embd.weight");
        let Some(TensorInfo { shape, .. }) = embedding else {
            return Err(self.source.damaged("it has no tensor `token_embd.weight`"));
        };
        let stated = self.count_if_any("vocab_size")?;
        if stated.is_some_and(|stated| stated != shape[0]) {
            return Err(self.source.damaged(format_args!(
                "`{}.vocab_size` is {}, but `token_embd.weight` has {} rows",
                self.architecture,
                stated.unwrap_or_default(),
                shape[0]
            )));
        }
        Ok(shape[0])
    }

    fn positions(&self) -> Result<Positions> {
        let kind = self.header.metadata.text(&self.full("rope.scaling.type"))?;
        let factor = self.number_if_any("rope.scaling.factor")?;
        let scale = match (kind, factor) {
            (None | Some("none"), None) => 1.0,
            (Some("linear"), Some(factor)) if factor > 0.0 => factor,
            // Older converters wrote the factor alone, for linear scaling.
            (None, Some(factor)) if factor > 0.0 => factor,
            _ => {
                return Err(self.source.unsupported(format_args!(
                    "the rotary scaling `{}` with factor {factor:?}",
                    shown(kind.unwrap_or("none"))
                )));
            }
        };
        let theta = self.number_if_any("rope.freq_base")?;
        Ok(Positions::Rotary {
            theta: theta.unwrap_or(THETA_DEFAULT) as f32,
            scale: scale as f32,
        })
    }

    fn attention_scale(&self, n_hidden: usize, n_heads: usize, n_head: usize) -> Result<f32> {
        let width =
            if self.architecture == "gemma3" && self.count("block_count")? == GEMMA_27B_LAYERS {
                n_hidden / n_heads.max(1)
            } else {
                n_head
            };
        Ok((1.0 / (width as f64).sqrt()) as f32)
    }

    fn window(&self) -> Result<Option<Window>> {
        if self.architecture != "gemma3" {
            return Ok(None);
        }
        let theta = self.number_if_any("rope.freq_base_swa")?;
        Ok(Some(Window {
            n_tokens: self.count("attention.sliding_window")?,
            full_every: GEMMA_FULL_EVERY,
            theta: theta.unwrap_or(GEMMA_LOCAL_THETA) as f32,
        }))
    }

    fn feed_forward(&self) -> Result<FeedForward> {
        let activation = if self.architecture == "gemma3" {
            Activation::GeluTanh
        } else {
            Activation::Silu
        };
        if self.architecture == "qwen3moe" {
            return Ok(FeedForward::Experts {
                n_inner: self.count("expert_feed_forward_length")?,
                n_experts: self.count("expert_count")?,
                n_active: self.count("expert_used_count")?,
                renormalise: true,
                activation,
            });
        }
        Ok(FeedForward::Gated {
            n_inner: self.count("feed_forward_length")?,
            activation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::KNOWN;

    #[test]
    fn known_keys_are_sorted_and_there_once() {
        assert!(KNOWN.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
