//! A table of text, and how it is written for a terminal, Markdown, CSV, and LaTeX.
//!
//! A [`Sheet`] holds raw text; each writer escapes it for its own sink. HTML is written by
//! [`crate::page`]. This module knows nothing of papers, claims, or runs.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use eval::{Error, Result};

use crate::text;

/// A column of a [`Sheet`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub title: String,
    /// Whether it holds numbers, which are set flush right.
    pub align: Align,
}

/// How the cells of a column are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table of raw text; a line end in a cell starts a second line there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// One sentence that says what is shown.
    pub caption: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<String>>,
    /// Sentences below the table.
    pub notes: Vec<String>,
}

impl Sheet {
    /// A table without rows.
    pub fn new(caption: impl Into<String>, columns: &[(&str, Align)]) -> Self {
        let columns = columns
            .iter()
            .map(|(title, align)| Column {
                title: (*title).to_owned(),
                align: *align,
            })
            .collect();
        Self {
            caption: caption.into(),
            columns,
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The table for a terminal of `n_columns` characters: wrapped, without colour.
    #[must_use]
    pub fn terminal(&self, n_columns: u16) -> String {
        const WIDTH_MIN: u16 = 40;
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(n_columns.max(WIDTH_MIN))
            .set_header(
                self.columns
                    .iter()
                    .map(|column| terminal_cell(&column.title)),
            );
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| terminal_cell(cell)));
        }
        for (column, described) in table.column_iter_mut().zip(&self.columns) {
            if described.align == Align::Right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut shown = format!(
            "{}\n{table}\n",
            text::line(&self.caption, text::CELL_CHARS_MAX)
        );
        for note in &self.notes {
            shown.push_str(&format!("{}\n", text::line(note, text::CELL_CHARS_MAX)));
        }
        shown
    }

    /// The table in Markdown (the dialect with tables).
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut shown = String::from("|");
        for column in &self.columns {
            shown.push_str(&format!(" {} |", markdown_cell(&column.title)));
        }
        shown.push_str("\n|");
        for column in &self.columns {
            shown.push_str(match column.align {
                Align::Left => " --- |",
                Align::Right => " ---: |",
            });
        }
        shown.push('\n');
        for row in &self.rows {
            shown.push('|');
            for cell in row {
                shown.push_str(&format!(" {} |", markdown_cell(cell)));
            }
            shown.push('\n');
        }
        for note in &self.notes {
            shown.push_str(&format!("\n{}\n", markdown_cell(note)));
        }
        shown
    }

    /// The table as CSV (RFC 4180 with `\n`), formulas defused.
    ///
    /// # Errors
    /// A row is not as long as the heading, which would be a mistake of this crate.
    pub fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let broken = |e: csv::Error| Error::internal("cannot write a CSV table").caused_by(e);
        let heading = self.columns.iter().map(|column| text::csv(&column.title));
        writer.write_record(heading).map_err(broken)?;
        for row in &self.rows {
            let cells = row.iter().map(|cell| text::csv(&cut(cell)));
            writer.write_record(cells).map_err(broken)?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|e| Error::internal("cannot write a CSV table").caused_by(e.into_error()))?;
        String::from_utf8(bytes).map_err(|e| Error::internal("CSV is not text").caused_by(e))
    }

    /// The table as a LaTeX `tabular` with the rules of the package `booktabs`.
    #[must_use]
    pub fn latex(&self) -> String {
        let mut shown = String::from("% needs \\usepackage{booktabs} and \\usepackage{array}\n");
        shown.push_str(&format!(
            "% {}\n",
            latex_cell(&self.caption).replace('\n', " ")
        ));
        shown.push_str(&format!(
            "\\begin{{tabular}}{{@{{}}{}@{{}}}}\n\\toprule\n",
            self.layout()
        ));
        let heading: Vec<String> = self.columns.iter().map(|c| latex_cell(&c.title)).collect();
        shown.push_str(&format!("{} \\\\\n\\midrule\n", heading.join(" & ")));
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| latex_cell(cell)).collect();
            shown.push_str(&format!("{} \\\\\n", cells.join(" & ")));
        }
        shown.push_str("\\bottomrule\n\\end{tabular}\n");
        for note in &self.notes {
            shown.push_str(&format!(
                "\n\\par\\smallskip\\noindent {}\n",
                latex_cell(note)
            ));
        }
        shown
    }

    /// Long columns of words are set as paragraphs that share the width of the line.
    fn layout(&self) -> String {
        const LONG_CHARS: usize = 28;
        let widest = |idx: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(idx));
            cells
                .flat_map(|cell| cell.lines())
                .map(|line| line.chars().count())
                .max()
                .unwrap_or(0)
        };
        let broken = |idx: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(idx))
                .any(|cell| cell.contains('\n'))
        };
        // Only paragraphs can hold a line break.
        let long: Vec<bool> = (0..self.columns.len())
            .map(|idx| broken(idx) || (!self.right(idx) && widest(idx) > LONG_CHARS))
            .collect();
        let n_long = long.iter().filter(|long| **long).count().max(1);
        let share = 0.85 / n_long as f64;
        let paragraph = format!(">{{\\raggedright\\arraybackslash}}p{{{share:.2}\\linewidth}}");
        let kinds = long
            .iter()
            .enumerate()
            .map(|(idx, long)| match (*long, self.right(idx)) {
                (true, _) => paragraph.as_str(),
                (false, true) => "r",
                (false, false) => "l",
            });
        kinds.collect()
    }

    fn right(&self, column_idx: usize) -> bool {
        self.columns[column_idx].align == Align::Right
    }
}

fn cut(cell: &str) -> String {
    text::block(cell, text::CELL_CHARS_MAX)
}

fn terminal_cell(cell: &str) -> String {
    cut(cell).replace('\t', " ")
}

fn markdown_cell(cell: &str) -> String {
    text::markdown(&cut(cell))
}

fn latex_cell(cell: &str) -> String {
    text::latex(&cut(cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> Sheet {
        let mut sheet = Sheet::new("a | caption", &[("name", Align::Left), ("n", Align::Right)]);
        let attack = "<script>a</script> | =x \u{1b}[2J\u{202e} ]]> \\end{tabular} & \"q\"";
        sheet.rows.push(vec![attack.to_owned(), "-1.5".to_owned()]);
        sheet
            .rows
            .push(vec!["=HYPERLINK(\"x\")".to_owned(), "@n".to_owned()]);
        sheet
            .rows
            .push(vec!["x".repeat(10_000_000), "2".to_owned()]);
        sheet
    }

    #[test]
    fn hostile_cells_are_harmless_in_every_format() {
        let sheet = hostile();
        let outputs = [
            sheet.terminal(80),
            sheet.markdown(),
            sheet.csv().unwrap(),
            sheet.latex(),
        ];
        for output in &outputs {
            assert!(
                !output.contains('\u{1b}') && !output.contains('\u{202e}'),
                "{output:.300}"
            );
            assert!(output.len() < 20_000, "ten megabytes are capped");
        }
        let [_, markdown, csv, latex] = outputs;
        assert!(!markdown.contains("<script>") && markdown.contains("\\| =x"));
        assert!(
            csv.contains("\"'=HYPERLINK(\"\"x\"\")\",'@n\n"),
            "{csv:.600}"
        );
        assert!(csv.contains(",-1.5\n"), "numbers stay numbers");
        assert_eq!(latex.matches("\\end{tabular}").count(), 1);
    }

    #[test]
    fn a_narrow_terminal_is_respected() {
        let mut sheet = Sheet::new("c", &[("one", Align::Left), ("two", Align::Left)]);
        sheet.rows.push(vec![
            "many words that must wrap ".repeat(6),
            "two".to_owned(),
        ]);
        for width in [60_u16, 80, 120] {
            for line in sheet.terminal(width).lines() {
                let shown = unicode_width::UnicodeWidthStr::width(line);
                assert!(shown <= usize::from(width), "{width}: {line}");
            }
        }
    }

    #[test]
    fn the_csv_reads_back() {
        let mut sheet = Sheet::new("c", &[("a", Align::Left), ("b", Align::Left)]);
        sheet
            .rows
            .push(vec!["quote \" comma , line\nend".to_owned(), String::new()]);
        let text = sheet.csv().unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(&record[0], "quote \" comma , line\nend");
    }
}
