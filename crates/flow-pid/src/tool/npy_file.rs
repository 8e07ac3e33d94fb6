//! NumPy's `.npy` files: one or two axes of numbers, truth values, or texts.
//!
//! Format versions 1 to 3 (NumPy Enhancement Proposal 1). Pickled objects are refused: reading
//! them would run code.

use std::path::Path;

use eval::{Error, Result};

use super::table::{Column, Values, check_size, unreadable};

/// What a header says.
struct Header {
    /// Type of a value, for example `<f8`.
    kind: String,
    by_column: bool,
    rows: usize,
    columns: usize,
    /// Where values begin.
    start: usize,
}

/// Reads the array; an axis of items, or items by features named `c0`, `c1`, ….
///
/// # Errors
/// The file cannot be read, is cut short, has more than two axes, or holds objects.
pub(super) fn read(path: &Path) -> Result<Vec<Column>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let header = header(path, &bytes)?;
    check_size(path, header.rows, header.columns)?;
    let width = width(&header.kind).ok_or_else(|| {
        Error::inputs(format!(
            "`{}` holds values of type `{}`, which are not read",
            path.display(),
            header.kind
        ))
        .hint("store numbers, truth values, or fixed-length text: array.astype(float)")
    })?;
    let needed = header.rows * header.columns * width;
    let body = bytes
        .get(header.start..header.start + needed)
        .ok_or_else(|| {
            unreadable(
                path,
                "NumPy",
                format!(
                    "{needed} bytes of values are announced, {} are there",
                    bytes.len() - header.start
                ),
            )
        })?;
    let columns = (0..header.columns).map(|column| {
        let cell = |row: usize| {
            let k = if header.by_column {
                column * header.rows + row
            } else {
                row * header.columns + column
            };
            &body[k * width..(k + 1) * width]
        };
        let values = if header.kind.as_bytes()[1] == b'U' {
            Values::Texts((0..header.rows).map(|row| text(cell(row))).collect())
        } else {
            let number = |row| number(&header.kind, cell(row)).filter(|x| !x.is_nan());
            Values::Numbers((0..header.rows).map(number).collect())
        };
        Column {
            name: format!("c{column}"),
            values,
        }
    });
    Ok(columns.collect())
}

/// Bytes of a value of a type that is read.
fn width(kind: &str) -> Option<usize> {
    let known = [
        "<f8", "<f4", "<i8", "<i4", "<i2", "|i1", "|u1", "<u2", "<u4", "<u8", "|b1",
    ];
    if known.contains(&kind) {
        return kind[2..].parse().ok();
    }
    let letters: usize = kind.strip_prefix("<U")?.parse().ok()?;
    letters
        .checked_mul(4)
        .filter(|bytes| (4..1 << 16).contains(bytes))
}

fn number(kind: &str, cell: &[u8]) -> Option<f64> {
    /// Largest integer below which `f64` holds every integer.
    const EXACT_MAX: u64 = 1 << 53;
    let mut wide = [0_u8; 8];
    wide[..cell.len()].copy_from_slice(cell);
    let unsigned = u64::from_le_bytes(wide);
    let unused = 64 - 8 * cell.len() as u32;
    let signed = ((unsigned << unused) as i64) >> unused;
    match kind.as_bytes()[1] {
        b'f' if cell.len() == 8 => Some(f64::from_bits(unsigned)),
        b'f' => Some(f64::from(f32::from_bits(unsigned as u32))),
        b'i' if signed.unsigned_abs() <= EXACT_MAX => Some(signed as f64),
        b'u' | b'b' if unsigned <= EXACT_MAX => Some(unsigned as f64),
        // A gap would be wrong: the value is there. Infinity is refused by name later.
        _ => Some(f64::INFINITY),
    }
}

/// A text of four-byte letters, padded with zeros.
fn text(cell: &[u8]) -> Option<String> {
    let letters = cell.chunks_exact(4).map(|four| {
        let mut wide = [0; 4];
        wide.copy_from_slice(four);
        char::from_u32(u32::from_le_bytes(wide)).unwrap_or(char::REPLACEMENT_CHARACTER)
    });
    let text: String = letters.take_while(|letter| *letter != '\0').collect();
    (!text.is_empty()).then_some(text)
}

fn header(path: &Path, bytes: &[u8]) -> Result<Header> {
    let bad = |why: &str| unreadable(path, "NumPy", why.to_owned());
    if bytes.len() < 12 || &bytes[..6] != b"\x93NUMPY" {
        return Err(bad("it does not begin as one"));
    }
    let (length, first) = match bytes[6] {
        1 => (usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), 10),
        2 | 3 => {
            let four = [bytes[8], bytes[9], bytes[10], bytes[11]];
            (u32::from_le_bytes(four) as usize, 12)
        }
        _ => return Err(bad("its format version is unknown")),
    };
    let start = first + length;
    let text = bytes
        .get(first..start)
        .and_then(|text| std::str::from_utf8(text).ok())
        .ok_or_else(|| bad("its header is cut short"))?;
    let kind = after(text, "'descr':").and_then(|rest| rest.strip_prefix('\''));
    let kind = kind.and_then(|rest| rest.split('\'').next());
    let order = after(text, "'fortran_order':");
    let shape = after(text, "'shape':").and_then(|rest| rest.strip_prefix('('));
    let shape = shape.and_then(|rest| rest.split(')').next());
    let (Some(kind), Some(order), Some(shape)) = (kind, order, shape) else {
        return Err(bad("its header lacks type, order, or shape"));
    };
    let axes: Option<Vec<usize>> = shape
        .split(',')
        .map(str::trim)
        .filter(|axis| !axis.is_empty())
        .map(|axis| axis.parse().ok())
        .collect();
    let (rows, columns) = match axes.as_deref() {
        Some([rows]) => (*rows, 1),
        Some([rows, columns]) => (*rows, *columns),
        Some(_) => {
            return Err(Error::inputs(format!(
                "`{}` has shape ({shape}), not one or two axes",
                path.display()
            ))
            .hint("store items by features: array.reshape(len(array), -1)"));
        }
        None => return Err(bad("its shape is no list of sizes")),
    };
    Ok(Header {
        kind: kind.to_owned(),
        by_column: order.starts_with("True"),
        rows,
        columns,
        start,
    })
}

/// What follows a key, without leading blanks.
fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_once(key).map(|(_, rest)| rest.trim_start())
}
