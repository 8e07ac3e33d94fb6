//! The front of a GGUF file: metadata entries and the table of tensors, fully checked.
//!
//! Layout (little-endian): `GGUF`, version, number of tensors, number of entries; per entry key,
//! type, value; per tensor name, dimensions (innermost first), type, offset; padding; data.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use eval::Result;

use super::metadata::{Gguf, Kind, Value};
use crate::weights::DType;
use crate::weights::source::{Cursor, Source, TensorInfo, shown};

/// More tensors than any published file has (experts are stacked).
const N_TENSORS_MAX: u64 = 1 << 15;
/// More metadata entries than any published file has.
const N_ENTRIES_MAX: u64 = 1 << 14;
/// Longest key and tensor name, in bytes; ggml itself stops at 64 for names.
const NAME_BYTES_MAX: u64 = 256;
/// ggml knows four dimensions.
const RANK_MAX: u32 = 4;
/// Where a file does not say otherwise.
const ALIGNMENT_DEFAULT: u64 = 32;
/// Larger than a page of any machine.
const ALIGNMENT_MAX: u64 = 1 << 16;

/// A checked front of a GGUF file.
pub(in crate::weights) struct Header {
    /// The entries.
    pub metadata: Gguf,
    /// Tensors by their name in the file.
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// Reads and checks the front of `source`.
pub(in crate::weights) fn read(source: &Arc<Source>) -> Result<Header> {
    let mut cursor = Cursor::new(source);
    let (n_tensors, n_entries) = counts(source, &mut cursor)?;
    let mut entries = BTreeMap::new();
    for _ in 0..n_entries {
        let at = cursor.at();
        let key = name(source, &mut cursor, "a metadata key")?;
        let value = value(source, &mut cursor, &key)?;
        if entries.insert(key.clone(), value).is_some() {
            return Err(source.damaged(format_args!(
                "the key `{}` at offset {at} is there twice",
                shown(&key)
            )));
        }
    }
    let metadata = Gguf::new(Arc::clone(source), entries);
    let alignment = alignment(source, &metadata)?;
    let mut tensors = BTreeMap::new();
    for _ in 0..n_tensors {
        let at = cursor.at();
        let (name, info) = tensor(source, &mut cursor, alignment)?;
        if tensors.insert(name.clone(), info).is_some() {
            return Err(source.damaged(format_args!(
                "the tensor `{}` at offset {at} is there twice",
                shown(&name)
            )));
        }
    }
    place(source, cursor.at(), alignment, &mut tensors)?;
    Ok(Header { metadata, tensors })
}

/// Magic, version, and the two counts.
fn counts(source: &Source, cursor: &mut Cursor<'_>) -> Result<(u64, u64)> {
    let magic = cursor.take(4, "the magic number")?;
    if magic != b"GGUF" {
        return Err(source.damaged(format_args!(
            "it begins with `{}`, not with `GGUF`",
            magic.escape_ascii()
        )));
    }
    let version = cursor.u32("the version")?;
    match version {
        2 | 3 => {}
        0x0200_0000 | 0x0300_0000 => {
            return Err(source.unsupported("it is written for big-endian machines"));
        }
        _ => {
            return Err(
                source.unsupported(format_args!("its version {version} is neither 2 nor 3"))
            );
        }
    }
    let n_tensors = cursor.u64("the number of tensors")?;
    let n_entries = cursor.u64("the number of metadata entries")?;
    for (count, cap, what) in [
        (n_tensors, N_TENSORS_MAX, "tensors"),
        (n_entries, N_ENTRIES_MAX, "metadata entries"),
    ] {
        // The smallest entry takes 8 + 1 + 4 + 1 bytes, the smallest tensor more.
        if count > cap || count > cursor.left() as u64 / 14 {
            return Err(source.damaged(format_args!(
                "it claims {count} {what}, more than {} bytes can hold or than the limit of {cap}",
                cursor.left()
            )));
        }
    }
    Ok((n_tensors, n_entries))
}

/// A short UTF-8 text that is a name.
fn name(source: &Source, cursor: &mut Cursor<'_>, what: &str) -> Result<String> {
    let at = cursor.at();
    let length = cursor.u64(what)?;
    if length == 0 || length > NAME_BYTES_MAX {
        return Err(source.damaged(format_args!(
            "{what} at offset {at} claims {length} bytes, not 1 to {NAME_BYTES_MAX}"
        )));
    }
    std::str::from_utf8(cursor.take(length, what)?)
        .map(str::to_owned)
        .map_err(|_| source.damaged(format_args!("{what} at offset {at} is not UTF-8")))
}

/// Steps over the value of `key`; it is decoded when somebody asks.
fn value(source: &Source, cursor: &mut Cursor<'_>, key: &str) -> Result<Value> {
    let what = format!("the value of `{}`", shown(key));
    let kind = kind(source, cursor, &what)?;
    if kind != Kind::Array {
        let range = item(source, cursor, kind, &what)?;
        return Ok(Value {
            kind,
            n_items: None,
            range,
        });
    }
    let at = cursor.at();
    let kind = self::kind(source, cursor, &what)?;
    let n_items = cursor.u64(&what)?;
    let start = cursor.at();
    match kind {
        Kind::Array => {
            return Err(source.unsupported(format_args!("{what} at offset {at} nests arrays")));
        }
        Kind::Text => {
            if n_items > cursor.left() as u64 / 8 {
                return Err(source.damaged(format_args!(
                    "{what} at offset {at} claims {n_items} texts in {} bytes",
                    cursor.left()
                )));
            }
            for _ in 0..n_items {
                item(source, cursor, kind, &what)?;
            }
        }
        _ => {
            let n_bytes = n_items.saturating_mul(kind.bytes());
            cursor.skip(n_bytes, &what)?;
        }
    }
    let n_items = usize::try_from(n_items)
        .map_err(|_| source.damaged(format_args!("{what} has {n_items} items")))?;
    Ok(Value {
        kind,
        n_items: Some(n_items),
        range: start..cursor.at(),
    })
}

fn kind(source: &Source, cursor: &mut Cursor<'_>, what: &str) -> Result<Kind> {
    let at = cursor.at();
    let code = cursor.u32(what)?;
    Kind::from_code(code).ok_or_else(|| {
        source.damaged(format_args!(
            "{what} at offset {at} has the unknown type {code}"
        ))
    })
}

/// Steps over one value that is no array; of a text, the range is the text itself.
fn item(source: &Source, cursor: &mut Cursor<'_>, kind: Kind, what: &str) -> Result<Range<usize>> {
    if kind == Kind::Text {
        let length = cursor.u64(what)?;
        return cursor.skip(length, what);
    }
    let range = cursor.skip(kind.bytes(), what)?;
    if kind == Kind::Flag && source.bytes()[range.start] > 1 {
        return Err(source.damaged(format_args!(
            "{what} at offset {} is {}, neither true nor false",
            range.start,
            source.bytes()[range.start]
        )));
    }
    Ok(range)
}

fn alignment(source: &Source, metadata: &Gguf) -> Result<u64> {
    let Some(alignment) = metadata.integer("general.alignment")? else {
        return Ok(ALIGNMENT_DEFAULT);
    };
    match u64::try_from(alignment) {
        Ok(n) if n.is_power_of_two() && (8..=ALIGNMENT_MAX).contains(&n) => Ok(n),
        _ => Err(source.damaged(format_args!(
            "`general.alignment` is {alignment}, not a power of two from 8 to {ALIGNMENT_MAX}"
        ))),
    }
}

/// One row of the tensor table; the range counts from the beginning of the data for now.
fn tensor(
    source: &Source,
    cursor: &mut Cursor<'_>,
    alignment: u64,
) -> Result<(String, TensorInfo)> {
    let at = cursor.at();
    let name = name(source, cursor, "a tensor name")?;
    let what = format!("the tensor `{}` at offset {at}", shown(&name));
    let rank = cursor.u32(&what)?;
    if rank == 0 || rank > RANK_MAX {
        return Err(source.damaged(format_args!("{what} has {rank} dimensions, not 1 to 4")));
    }
    let mut shape = Vec::with_capacity(rank as usize);
    let mut n_elements = 1_u64;
    for _ in 0..rank {
        let n = cursor.u64(&what)?;
        n_elements = n_elements.checked_mul(n).unwrap_or(0);
        shape.push(usize::try_from(n).unwrap_or(0));
    }
    if n_elements == 0 || n_elements > isize::MAX as u64 / 4 {
        return Err(source.damaged(format_args!("{what} has the impossible shape {shape:?}")));
    }
    let code = cursor.u32(&what)?;
    let dtype = dtype(code)
        .ok_or_else(|| source.unsupported(format_args!("{what} has the element type {code}")))?;
    let (n_block, block_bytes) = dtype.block();
    if !shape[0].is_multiple_of(n_block) {
        return Err(source.damaged(format_args!(
            "{what} has rows of {} elements, not whole blocks of {n_block}",
            shape[0]
        )));
    }
    let n_bytes = n_elements / n_block as u64 * block_bytes as u64;
    let offset = cursor.u64(&what)?;
    if !offset.is_multiple_of(alignment) {
        return Err(source.damaged(format_args!(
            "{what} begins at {offset} of the data, not at a multiple of {alignment}"
        )));
    }
    let end = offset
        .checked_add(n_bytes)
        .and_then(|end| usize::try_from(end).ok());
    let Some(end) = end else {
        return Err(source.damaged(format_args!("{what} ends beyond any file")));
    };
    shape.reverse();
    let range = end - n_bytes as usize..end;
    Ok((
        name,
        TensorInfo {
            dtype,
            shape,
            range,
        },
    ))
}

/// Moves ranges to the beginning of the file; none may leave it or touch another.
fn place(
    source: &Source,
    header_end: usize,
    alignment: u64,
    tensors: &mut BTreeMap<String, TensorInfo>,
) -> Result<()> {
    let data = header_end.next_multiple_of(alignment as usize);
    let length = source.bytes().len();
    for (name, info) in tensors.iter_mut() {
        if info.range.end > length.saturating_sub(data) {
            return Err(source.damaged(format_args!(
                "the tensor `{}` ends at {} of the data, but the file has only {} bytes of it",
                shown(name),
                info.range.end,
                length.saturating_sub(data)
            )));
        }
        info.range = info.range.start + data..info.range.end + data;
    }
    let mut order: Vec<(&String, &TensorInfo)> = tensors.iter().collect();
    order.sort_by_key(|(_, info)| info.range.start);
    for pair in order.windows(2) {
        let ((one, before), (other, after)) = (pair[0], pair[1]);
        if after.range.start < before.range.end {
            return Err(source.damaged(format_args!(
                "the tensors `{}` and `{}` overlap at offset {}",
                shown(one),
                shown(other),
                after.range.start
            )));
        }
    }
    Ok(())
}

/// ggml's number of an element type; `None` for those without a reader here.
fn dtype(code: u32) -> Option<DType> {
    Some(match code {
        0 => DType::F32,
        1 => DType::F16,
        2 => DType::Q4_0,
        3 => DType::Q4_1,
        6 => DType::Q5_0,
        7 => DType::Q5_1,
        8 => DType::Q8_0,
        12 => DType::Q4_K,
        13 => DType::Q5_K,
        14 => DType::Q6_K,
        30 => DType::BF16,
        _ => return None,
    })
}
