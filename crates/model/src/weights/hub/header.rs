//! The front of a safetensors file: eight bytes of length, then JSON, then the data.
//!
//! The data must be covered by tensors completely and without overlap, as the format demands.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use eval::Result;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use super::capped::Capped;
use crate::weights::DType;
use crate::weights::source::{Cursor, Source, TensorInfo, shown};

/// Longest header: the largest published single file (36 thousand expert tensors) needs 5 MB.
const HEADER_BYTES_MAX: u64 = 8 << 20;
/// More dimensions than any decoder's tensor has.
const RANK_MAX: usize = 8;

/// Reads and checks the front of `source`.
pub(in crate::weights) fn read(source: &Source) -> Result<BTreeMap<String, TensorInfo>> {
    let mut cursor = Cursor::new(source);
    let length = cursor.u64("the length of the header")?;
    if length > HEADER_BYTES_MAX {
        return Err(source.damaged(format_args!(
            "its header claims {length} bytes, more than the limit of {HEADER_BYTES_MAX}"
        )));
    }
    let header = cursor.take(length, "the header")?;
    let data = cursor.at();
    let members: Capped<Member> = serde_json::from_slice(header).map_err(|cause| {
        source.damaged(format_args!("its header is wrong: {}", shown_cause(&cause)))
    })?;
    let mut tensors = BTreeMap::new();
    for (name, member) in members.0 {
        let info = tensor(source, &name, member, data)?;
        tensors.insert(name, info);
    }
    cover(source, data, &tensors)?;
    Ok(tensors)
}

/// Messages of the JSON reader quote the file.
pub(super) fn shown_cause(cause: &serde_json::Error) -> String {
    let text: String = cause.to_string().chars().take(300).collect();
    text.escape_debug().collect()
}

fn tensor(source: &Source, name: &str, member: Member, data: usize) -> Result<TensorInfo> {
    let name = shown(name);
    let Some(dtype) = dtype(&member.dtype) else {
        return Err(source.unsupported(format_args!(
            "the tensor `{name}` has the element type `{}`",
            shown(&member.dtype)
        )));
    };
    let n_elements = member
        .shape
        .iter()
        .try_fold(1_usize, |product, n| product.checked_mul(*n))
        .filter(|n| *n > 0 && *n <= isize::MAX as usize / 4);
    let Some(n_elements) = n_elements else {
        return Err(source.damaged(format_args!(
            "the tensor `{name}` has the impossible shape {:?}",
            member.shape
        )));
    };
    let (start, end) = member.data_offsets;
    let n_bytes = n_elements * dtype.block().1;
    if end.checked_sub(start) != Some(n_bytes) {
        return Err(source.damaged(format_args!(
            "the tensor `{name}` of shape {:?} needs {n_bytes} bytes, but lies at {start}..{end}",
            member.shape
        )));
    }
    if end > source.bytes().len() - data {
        return Err(source.damaged(format_args!(
            "the tensor `{name}` ends at {end} of the data, but the file has only {} bytes of it",
            source.bytes().len() - data
        )));
    }
    Ok(TensorInfo {
        dtype,
        shape: member.shape,
        range: start + data..end + data,
    })
}

/// The tensors must follow each other without hole or overlap, to the end of the file.
fn cover(source: &Source, data: usize, tensors: &BTreeMap<String, TensorInfo>) -> Result<()> {
    let mut order: Vec<(&String, &Range<usize>)> = tensors
        .iter()
        .map(|(name, info)| (name, &info.range))
        .collect();
    order.sort_by_key(|(_, range)| range.start);
    let mut end = data;
    for (name, range) in order {
        if range.start != end {
            let what = if range.start < end {
                "overlaps the one before"
            } else {
                "leaves a hole"
            };
            return Err(source.damaged(format_args!(
                "the tensor `{}` begins at {} of the data and not at {}: it {what}",
                shown(name),
                range.start - data,
                end - data
            )));
        }
        end = range.end;
    }
    if end != source.bytes().len() {
        return Err(source.damaged(format_args!(
            "{} bytes at offset {end} belong to no tensor",
            source.bytes().len() - end
        )));
    }
    Ok(())
}

fn dtype(name: &str) -> Option<DType> {
    match name {
        "F32" => Some(DType::F32),
        "F16" => Some(DType::F16),
        "BF16" => Some(DType::BF16),
        _ => None,
    }
}

/// One entry of the header.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    dtype: String,
    #[serde(deserialize_with = "shape")]
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// A shape, with a limit on its rank before anything is stored.
fn shape<'de, D>(deserializer: D) -> std::result::Result<Vec<usize>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(ShapeVisitor)
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Vec<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Vec<usize>, A::Error> {
        let mut shape = Vec::new();
        while let Some(n) = access.next_element()? {
            if shape.len() == RANK_MAX {
                return Err(A::Error::custom(format_args!(
                    "a shape has more than {RANK_MAX} dimensions"
                )));
            }
            shape.push(n);
        }
        Ok(shape)
    }
}
