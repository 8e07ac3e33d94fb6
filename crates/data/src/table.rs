//! Aligned columns for a terminal.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

/// Lays out `rows` below `header`; one line per row, no trailing spaces.
pub(crate) fn aligned(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header.iter().copied());
    table.add_rows(rows.iter().cloned());
    let last = header.len().saturating_sub(1);
    for (column_idx, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if column_idx == last { 0 } else { 2 }));
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
