//! Plain text for people: aligned tables, wrapped paragraphs, plurals.

/// Columns that printed text keeps to.
pub const WIDTH: usize = 100;

/// A table whose columns are as wide as their widest cell, under a header.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(header.iter().copied(), &widths);
    text.push_str(&line(
        widths.iter().map(|width| "-".repeat(*width)),
        &widths,
    ));
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str), &widths));
    }
    text
}

fn line<T: AsRef<str>>(cells: impl Iterator<Item = T>, widths: &[usize]) -> String {
    let padded: Vec<String> = cells
        .zip(widths)
        .map(|(cell, width)| format!("{:<width$}", cell.as_ref()))
        .collect();
    format!("{}\n", padded.join("  ").trim_end())
}

/// A labelled paragraph, wrapped at [`WIDTH`] columns and indented under its first word.
pub fn paragraph(indent: usize, label: &str, label_width: usize, words: &str) -> String {
    let hang = indent + label_width;
    let mut text = format!("{}{label:<label_width$}", " ".repeat(indent));
    let mut column = hang;
    for (word_idx, word) in words.split_whitespace().enumerate() {
        let n_chars = word.chars().count();
        if word_idx > 0 && column + 1 + n_chars > WIDTH {
            text.push('\n');
            text.push_str(&" ".repeat(hang));
            column = hang;
        } else if word_idx > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += n_chars;
    }
    format!("{}\n", text.trim_end())
}

/// Seconds for people: `0.4 s`, `12 s`, `3 min 5 s`.
pub fn seconds(s: f64) -> String {
    if s < 10.0 {
        return format!("{s:.1} s");
    }
    let whole = s.round() as u64;
    if whole < 60 {
        format!("{whole} s")
    } else {
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".into(), "bb".into()],
            vec!["cccc".into(), String::new()],
        ];
        assert_eq!(
            table(&["x", "y"], &rows),
            "x     y\n----  --\na     bb\ncccc\n"
        );
    }

    #[test]
    fn paragraphs_wrap_under_their_first_word() {
        let words = format!("{} {}", "a".repeat(60), "b".repeat(60));
        let text = paragraph(2, "says", 6, &words);
        let expected = format!("  says  {}\n        {}\n", "a".repeat(60), "b".repeat(60));
        assert_eq!(text, expected);
    }

    #[test]
    fn durations_read_well() {
        let spelled: Vec<String> = [0.42, 12.4, 59.6, 185.0].map(seconds).into();
        assert_eq!(spelled, ["0.4 s", "12 s", "1 min 0 s", "3 min 5 s"]);
    }
}
