//! Where each tensor lies under its hub name, and how the stored one becomes the one handed out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use eval::Result;

use super::source::{Source, TensorInfo, shown};
use super::{DType, TensorView, gguf};
use crate::config::DecoderConfig;

/// More tensors than any published model has, single experts counted.
const N_TENSORS_MAX: usize = 1 << 16;

/// Where a tensor lies, and what has to be done to hand it out.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Which file.
    pub source: usize,
    /// How elements are stored.
    pub dtype: DType,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Its bytes in that file.
    pub range: Range<usize>,
    /// What has to be done.
    pub change: Change,
}

/// How a stored tensor differs from the one that is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Not at all.
    None,
    /// Rows of `n_heads` heads are in the order for interleaved rotation.
    Interleaved {
        /// Heads whose rows these are.
        n_heads: usize,
    },
    /// One is missing from every element.
    LessOne,
}

impl Slot {
    /// The tensor as the hub would have it, from the bytes of its file.
    pub fn view<'a>(&self, file: &'a [u8]) -> Result<TensorView<'a>> {
        let view = TensorView {
            dtype: self.dtype,
            shape: self.shape.clone(),
            bytes: Cow::Borrowed(&file[self.range.clone()]),
        };
        match self.change {
            Change::None => Ok(view),
            Change::Interleaved { n_heads } => Ok(rotate_by_halves(&view, n_heads)),
            Change::LessOne => plus_one(&view),
        }
    }
}

/// Puts one tensor of a GGUF file, or all experts that it stacks, into `slots`.
pub(super) fn place_gguf(
    source: &Source,
    config: &DecoderConfig,
    name: &str,
    info: TensorInfo,
    slots: &mut BTreeMap<String, Slot>,
) -> Result<()> {
    let Some(target) = gguf::target(&config.architecture, name) else {
        return Err(source.unsupported(format_args!(
            "the tensor `{}` has no place in the architecture `{}`",
            shown(name),
            config.architecture
        )));
    };
    let slot = |info: TensorInfo, change| Slot {
        source: 0,
        dtype: info.dtype,
        shape: info.shape,
        range: info.range,
        change,
    };
    match target {
        gguf::Target::One(hub) => add(source, slots, hub, slot(info, Change::None)),
        gguf::Target::Rotated {
            name: hub,
            is_query,
        } => {
            let n_heads = if is_query {
                config.n_heads
            } else {
                config.n_kv_heads
            };
            // Only llama's converter reorders rows. A tensor of another height than the
            // configuration asks for is reported with the rest of the layout.
            let fits = info.shape[0] == n_heads * config.n_head;
            let change = if config.architecture == "llama" && fits {
                Change::Interleaved { n_heads }
            } else {
                Change::None
            };
            add(source, slots, hub, slot(info, change))
        }
        gguf::Target::Experts { layer, part } => {
            let [n_experts, n_rows, n_columns] = info.shape[..] else {
                return Err(source.damaged(format_args!(
                    "the tensor `{}` has the shape {:?}, not experts, rows, and columns",
                    shown(name),
                    info.shape
                )));
            };
            let n_bytes = info.range.len() / n_experts;
            for expert in 0..n_experts {
                let start = info.range.start + expert * n_bytes;
                let hub = format!("model.layers.{layer}.mlp.experts.{expert}.{part}.weight");
                let info = TensorInfo {
                    dtype: info.dtype,
                    shape: vec![n_rows, n_columns],
                    range: start..start + n_bytes,
                };
                add(source, slots, hub, slot(info, Change::None))?;
            }
            Ok(())
        }
    }
}

pub(super) fn add(
    source: &Source,
    slots: &mut BTreeMap<String, Slot>,
    name: String,
    slot: Slot,
) -> Result<()> {
    if slots.len() == N_TENSORS_MAX {
        return Err(source.unsupported(format_args!("it has more than {N_TENSORS_MAX} tensors")));
    }
    if slots.contains_key(&name) {
        return Err(source.damaged(format_args!("the tensor `{}` is there twice", shown(&name))));
    }
    slots.insert(name, slot);
    Ok(())
}

/// Undoes llama.cpp's reordering of query and key rows (`LlamaModel.permute` of its converter):
/// row `2i + p` of a head in the file is row `p · n_head/2 + i` on the hub, for halves `p`. Rows
/// are whole blocks, so nothing is lost.
fn rotate_by_halves(view: &TensorView<'_>, n_heads: usize) -> TensorView<'static> {
    let n_rows = view.shape[0];
    let row_bytes = view.bytes.len() / n_rows;
    let half = n_rows / n_heads / 2;
    let mut bytes = Vec::with_capacity(view.bytes.len());
    for head in 0..n_heads {
        for part in 0..2 {
            for idx in 0..half {
                let row = head * 2 * half + 2 * idx + part;
                bytes.extend_from_slice(&view.bytes[row * row_bytes..(row + 1) * row_bytes]);
            }
        }
    }
    TensorView {
        dtype: view.dtype,
        shape: view.shape.clone(),
        bytes: Cow::Owned(bytes),
    }
}

/// Adds the one that Gemma's hub files leave out, in single precision as transformers does.
fn plus_one(view: &TensorView<'_>) -> Result<TensorView<'static>> {
    let bytes = view
        .to_f32()?
        .iter()
        .flat_map(|w| (1.0 + w).to_le_bytes())
        .collect();
    Ok(TensorView {
        dtype: DType::F32,
        shape: view.shape.clone(),
        bytes: Cow::Owned(bytes),
    })
}

/// Tensors that some files carry although they follow from others: a head that is tied, and the
/// rotary frequencies of old Llama files.
pub(super) fn is_redundant(config: &DecoderConfig, name: &str) -> bool {
    config.tied && name == "lm_head.weight" || name.ends_with(".rotary_emb.inv_freq")
}
