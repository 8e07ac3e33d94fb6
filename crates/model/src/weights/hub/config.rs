//! `config.json` → [`DecoderConfig`]: Hugging Face's for the supported families, or our own.
//!
//! Our own file is the [`DecoderConfig`] itself (it has `architecture`, the hub's `architectures`).
//! Of the hub's, every key that changes the computation of a supported class in transformers
//! (4.5x and 5.x: rotary settings lie in `rope_scaling` or in `rope_parameters`) is either
//! understood or refused; defaults are the ones of those classes, and only for keys that published
//! files really leave out.

use eval::Result;
use serde_json::{Map, Value};

use super::header::shown_cause;
use crate::config::{Activation, DecoderConfig, FeedForward, Norm, Positions, Window};
use crate::weights::source::{damaged, shown, unsupported};

/// Rotary base where an old Llama file has none (transformers' default).
const THETA_DEFAULT: f64 = 10_000.0;
/// Gemma 3's window pattern and rotary bases where a file has none (transformers' defaults).
const GEMMA_FULL_EVERY: usize = 6;
const GEMMA_THETA: f64 = 1_000_000.0;
const GEMMA_LOCAL_THETA: f64 = 10_000.0;

/// How files store the weights of norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Norms {
    /// As they are applied.
    AsApplied,
    /// `w`, where `1 + w` is applied (Gemma on the hub).
    LessOne,
}

/// The configuration that `text`, the file `file`, describes, not validated; and how the files
/// beside it store norms (our own: as applied, whatever the name of the architecture).
pub(in crate::weights) fn config(file: &str, text: &[u8]) -> Result<(DecoderConfig, Norms)> {
    let value: Value =
        serde_json::from_slice(text).map_err(|cause| damaged(file, shown_cause(&cause)))?;
    let Value::Object(map) = &value else {
        return Err(damaged(file, "it is no JSON object"));
    };
    if map.contains_key("architecture") {
        let config = serde_json::from_value(value);
        return config
            .map(|config| (config, Norms::AsApplied))
            .map_err(|cause| damaged(file, shown_cause(&cause)));
    }
    let keys = Keys { file, map };
    let family = keys.family()?;
    keys.refuse_unsupported(family)?;
    let norms = if family == Family::Gemma3 {
        Norms::LessOne
    } else {
        Norms::AsApplied
    };
    Ok((family_config(&keys, family)?, norms))
}

/// A supported class of transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Llama,
    Qwen2,
    Qwen3,
    Qwen3Moe,
    Gemma3,
}

impl Family {
    fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Qwen3Moe => "qwen3moe",
            Self::Gemma3 => "gemma3",
        }
    }
}

fn family_config(keys: &Keys<'_>, family: Family) -> Result<DecoderConfig> {
    let is_gemma = family == Family::Gemma3;
    let n_hidden = keys.count("hidden_size")?;
    let n_heads = keys.count("num_attention_heads")?;
    let n_head = match keys.count_if_any("head_dim")? {
        Some(n_head) => n_head,
        None if matches!(family, Family::Qwen3 | Family::Gemma3) => {
            return Err(keys.missing("head_dim"));
        }
        None => n_hidden / n_heads.max(1),
    };
    let scale_width = if is_gemma {
        keys.number("query_pre_attn_scalar")?
    } else {
        n_head as f64
    };
    let (positions, local_theta) = keys.positions(is_gemma)?;
    let (bias_qkv, bias_out) = keys.biases(family)?;
    Ok(DecoderConfig {
        architecture: family.name().to_owned(),
        n_vocab: keys.count("vocab_size")?,
        n_hidden,
        n_layers: keys.count("num_hidden_layers")?,
        n_heads,
        n_kv_heads: match keys.count_if_any("num_key_value_heads")? {
            Some(n_kv_heads) => n_kv_heads,
            None => n_heads,
        },
        n_head,
        n_context: keys.count("max_position_embeddings")?,
        norm: Norm::Rms {
            eps: keys.number("rms_norm_eps")? as f32,
        },
        norm_after: is_gemma,
        norm_qk: matches!(family, Family::Qwen3 | Family::Qwen3Moe | Family::Gemma3),
        positions,
        bias_qkv,
        bias_out,
        attention_scale: (1.0 / scale_width.sqrt()) as f32,
        window: if is_gemma {
            Some(keys.window(local_theta)?)
        } else {
            None
        },
        feed_forward: keys.feed_forward(family)?,
        embedding_scale: if is_gemma {
            (n_hidden as f64).sqrt() as f32
        } else {
            1.0
        },
        tied: keys.flag_if_any("tie_word_embeddings")?.unwrap_or(is_gemma),
    })
}

/// Reads members of the object; `null` counts as absent, as it does in transformers.
struct Keys<'a> {
    file: &'a str,
    map: &'a Map<String, Value>,
}

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn missing(&self, key: &str) -> eval::Error {
        damaged(self.file, format_args!("it has no `{key}`"))
    }

    fn wrong(&self, key: &str, value: &Value) -> eval::Error {
        let value = shown(&value.to_string());
        damaged(self.file, format_args!("`{key}` is `{value}`"))
    }

    fn not_here(&self, key: &str) -> eval::Error {
        let value = self.map.get(key).map(Value::to_string).unwrap_or_default();
        unsupported(self.file, format_args!("`{key}` is `{}`", shown(&value)))
    }

    fn count_if_any(&self, key: &str) -> Result<Option<usize>> {
        self.get(key)
            .map(|value| {
                value
                    .as_u64()
                    .and_then(|n| usize::try_from(n).ok())
                    .ok_or_else(|| self.wrong(key, value))
            })
            .transpose()
    }

    fn count(&self, key: &str) -> Result<usize> {
        self.count_if_any(key)?.ok_or_else(|| self.missing(key))
    }

    fn number_if_any(&self, key: &str) -> Result<Option<f64>> {
        self.get(key)
            .map(|value| value.as_f64().ok_or_else(|| self.wrong(key, value)))
            .transpose()
    }

    fn number(&self, key: &str) -> Result<f64> {
        self.number_if_any(key)?.ok_or_else(|| self.missing(key))
    }

    fn flag_if_any(&self, key: &str) -> Result<Option<bool>> {
        self.get(key)
            .map(|value| value.as_bool().ok_or_else(|| self.wrong(key, value)))
            .transpose()
    }

    fn text_if_any(&self, key: &str) -> Result<Option<&str>> {
        self.get(key)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key, value)))
            .transpose()
    }

    fn family(&self) -> Result<Family> {
        let classes = self.get("architectures").and_then(Value::as_array);
        let class = match classes.map(Vec::as_slice) {
            Some([Value::String(class)]) => class.as_str(),
            _ => return Err(self.missing("architectures` with one class`")),
        };
        match class {
            "LlamaForCausalLM" => Ok(Family::Llama),
            "Qwen2ForCausalLM" => Ok(Family::Qwen2),
            "Qwen3ForCausalLM" => Ok(Family::Qwen3),
            "Qwen3MoeForCausalLM" => Ok(Family::Qwen3Moe),
            "Gemma3ForCausalLM" => Ok(Family::Gemma3),
            _ => Err(unsupported(
                self.file,
                format_args!("its architecture is `{}`", shown(class)),
            )),
        }
    }

    /// Keys that change the computation in ways that are not implemented.
    fn refuse_unsupported(&self, family: Family) -> Result<()> {
        for key in [
            "attn_logit_softcapping",
            "final_logit_softcapping",
            "quantization_config",
            "compression_config",
            "shared_expert_intermediate_size",
            "n_shared_experts",
        ] {
            if self.get(key).is_some() {
                return Err(self.not_here(key));
            }
        }
        for key in ["use_sliding_window", "use_bidirectional_attention"] {
            if self.flag_if_any(key)? == Some(true) {
                return Err(self.not_here(key));
            }
        }
        let partial = self.number_if_any("partial_rotary_factor")?;
        if partial.is_some_and(|factor| factor != 1.0) {
            return Err(self.not_here("partial_rotary_factor"));
        }
        if family == Family::Qwen3Moe {
            let step = self.count_if_any("decoder_sparse_step")?;
            if step.is_some_and(|step| step != 1) {
                return Err(self.not_here("decoder_sparse_step"));
            }
            let dense = self.get("mlp_only_layers");
            if dense.is_some_and(|dense| dense.as_array().is_none_or(|list| !list.is_empty())) {
                return Err(self.not_here("mlp_only_layers"));
            }
        }
        if family != Family::Gemma3
            && let Some(types) = self.layer_types()?
            && types.contains(&true)
        {
            return Err(self.not_here("layer_types"));
        }
        Ok(())
    }

    /// Per layer, whether it is windowed.
    fn layer_types(&self) -> Result<Option<Vec<bool>>> {
        let Some(value) = self.get("layer_types") else {
            return Ok(None);
        };
        let kind = |value: &Value| match value.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => Err(self.not_here("layer_types")),
        };
        let list = value
            .as_array()
            .ok_or_else(|| self.wrong("layer_types", value))?;
        list.iter().map(kind).collect::<Result<Vec<_>>>().map(Some)
    }

    /// Biases on queries, keys, and values; biases on the other projections.
    fn biases(&self, family: Family) -> Result<(bool, bool)> {
        let attention = self.flag_if_any("attention_bias")?.unwrap_or(false);
        let feed_forward = self.flag_if_any("mlp_bias")?.unwrap_or(false);
        match (family, attention, feed_forward) {
            (Family::Qwen2, _, false) => Ok((true, false)),
            (_, false, false) => Ok((false, false)),
            (Family::Llama, true, true) => Ok((true, true)),
            // Llama's attention bias covers the output projection too, so alone it has no place.
            (_, true, _) => Err(self.not_here("attention_bias")),
            (_, _, true) => Err(self.not_here("mlp_bias")),
        }
    }

    fn activation(&self) -> Result<Activation> {
        let key = match self.get("hidden_activation") {
            Some(_) => "hidden_activation",
            None => "hidden_act",
        };
        match self.text_if_any(key)? {
            Some("silu" | "swish") => Ok(Activation::Silu),
            Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::GeluTanh),
            Some(_) => Err(self.not_here(key)),
            None => Err(self.missing(key)),
        }
    }

    fn feed_forward(&self, family: Family) -> Result<FeedForward> {
        let activation = self.activation()?;
        if family != Family::Qwen3Moe {
            return Ok(FeedForward::Gated {
                n_inner: self.count("intermediate_size")?,
                activation,
            });
        }
        // transformers 5 writes the new name.
        let n_experts = match self.count_if_any("num_local_experts")? {
            Some(n_experts) => n_experts,
            None => self.count("num_experts")?,
        };
        let renormalise = self.flag_if_any("norm_topk_prob")?;
        Ok(FeedForward::Experts {
            n_inner: self.count("moe_intermediate_size")?,
            n_experts,
            n_active: self.count("num_experts_per_tok")?,
            renormalise: renormalise.ok_or_else(|| self.missing("norm_topk_prob"))?,
            activation,
        })
    }

    /// Rotary settings of full layers, and the base of windowed ones if stated.
    fn positions(&self, is_gemma: bool) -> Result<(Positions, Option<f64>)> {
        let default_theta = if is_gemma { GEMMA_THETA } else { THETA_DEFAULT };
        let mut theta = self.number_if_any("rope_theta")?;
        let mut local_theta = self.number_if_any("rope_local_base_freq")?;
        let mut scale = match self.nested("rope_scaling")? {
            Some(scaling) => scaling.rotary_scale()?,
            None => 1.0,
        };
        if let Some(parameters) = self.nested("rope_parameters")? {
            let full = parameters.nested("full_attention")?;
            let full = full.as_ref().unwrap_or(&parameters);
            theta = full.number_if_any("rope_theta")?.or(theta);
            scale = full.rotary_scale()?;
            if let Some(local) = parameters.nested("sliding_attention")? {
                if local.rotary_scale()? != 1.0 {
                    return Err(local.not_here("factor"));
                }
                local_theta = local.number_if_any("rope_theta")?.or(local_theta);
            }
        }
        let positions = Positions::Rotary {
            theta: theta.unwrap_or(default_theta) as f32,
            scale: scale as f32,
        };
        Ok((positions, local_theta))
    }

    fn nested(&self, key: &str) -> Result<Option<Keys<'_>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Keys {
                file: self.file,
                map,
            })),
            Some(value) => Err(self.wrong(key, value)),
        }
    }

    /// What positions are divided by, of a `rope_scaling` or `rope_parameters` object.
    fn rotary_scale(&self) -> Result<f64> {
        let partial = self.number_if_any("partial_rotary_factor")?;
        if partial.is_some_and(|factor| factor != 1.0) {
            return Err(self.not_here("partial_rotary_factor"));
        }
        let key = match self.get("rope_type") {
            Some(_) => "rope_type",
            None => "type",
        };
        match self.text_if_any(key)? {
            None | Some("default") => Ok(1.0),
            Some("linear") => self.number("factor"),
            Some(_) => Err(self.not_here(key)),
        }
    }

    fn window(&self, local_theta: Option<f64>) -> Result<Window> {
        let stated = match self.count_if_any("sliding_window_pattern")? {
            Some(pattern) => Some(pattern),
            None => self.count_if_any("_sliding_window_pattern")?,
        };
        let window = |full_every| -> Result<Window> {
            Ok(Window {
                n_tokens: self.count("sliding_window")?,
                full_every,
                theta: local_theta.unwrap_or(GEMMA_LOCAL_THETA) as f32,
            })
        };
        let Some(types) = self.layer_types()? else {
            return window(stated.unwrap_or(GEMMA_FULL_EVERY));
        };
        if types.len() != self.count("num_hidden_layers")? {
            return Err(self.not_here("layer_types"));
        }
        // The first full layer fixes the pattern; the whole list must then follow it.
        let full_every = types
            .iter()
            .position(|windowed| !windowed)
            .map_or(0, |idx| idx + 1);
        let follows = types.iter().enumerate().all(|(layer, windowed)| {
            *windowed == (full_every == 0 || !(layer + 1).is_multiple_of(full_every))
        });
        if !follows {
            return Err(self.not_here("layer_types"));
        }
        window(full_every)
    }
}
