//! Text from strangers, made safe for each sink.
//!
//! Model answers, error output, tags, and reasons are data from outside. Every function here takes
//! raw text and returns what one sink may show: control and direction codes become visible, length
//! is capped, and the sink's own syntax is escaped. HTML escaping itself is left to the template
//! engine. This module knows nothing of tables or files.

use eval::digest::Digest;

/// Most characters of a text shown in one cell of a table.
pub const CELL_CHARS_MAX: usize = 600;
/// Most characters of a text shown as a block: error output, an excerpt of a transcript.
pub const BLOCK_CHARS_MAX: usize = 4000;

/// The text with every control and direction code made visible; line ends and tabs stay.
///
/// ```
/// assert_eq!(report::text::visible("\u{1b}[31mred\u{202e}"), "␛[31mred⟨U+202E⟩");
/// ```
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        push_visible(&mut shown, c);
    }
    shown
}

fn push_visible(shown: &mut String, c: char) {
    match c {
        '\n' | '\t' => shown.push(c),
        '\u{7f}' => shown.push('␡'),
        // The block of control pictures has one sign for each of the first 32 codes.
        c if u32::from(c) < 0x20 => {
            shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'));
        }
        c if is_hidden(c) => shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
        c => shown.push(c),
    }
}

/// Codes that change what a reader sees without being seen: C1 controls, marks and overrides of
/// direction, separators of lines and paragraphs, tag characters, and characters outside XML.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// One line of at most `n_chars_max` characters; line ends and tabs become spaces.
#[must_use]
pub fn line(text: &str, n_chars_max: usize) -> String {
    let cut = head(text, n_chars_max);
    let mut shown = visible(cut).replace(['\n', '\t'], " ");
    if cut.len() < text.len() {
        shown.push_str(&format!(" … (cut, {} bytes in all)", text.len()));
    }
    shown
}

/// The start of a text, at most `n_chars_max` characters, with its line ends.
#[must_use]
pub fn block(text: &str, n_chars_max: usize) -> String {
    let cut = head(text, n_chars_max);
    let mut shown = visible(cut);
    if cut.len() < text.len() {
        shown.push_str(&format!("\n… (cut, {} bytes in all)", text.len()));
    }
    shown
}

/// The end of a text, at most `n_chars_max` characters, with its line ends.
#[must_use]
pub fn tail(text: &str, n_chars_max: usize) -> String {
    let start = text
        .char_indices()
        .rev()
        .nth(n_chars_max.saturating_sub(1))
        .map_or(0, |(i, _)| i);
    let shown = visible(&text[start..]);
    if start == 0 {
        shown
    } else {
        format!("(cut, {} bytes in all) …\n{shown}", text.len())
    }
}

/// A name for a data frame: whole if short, else its start with a digest that keeps it distinct.
#[must_use]
pub fn key(text: &str) -> std::borrow::Cow<'_, str> {
    const KEY_BYTES_MAX: usize = 1024;
    const KEY_CHARS: usize = 200;
    if text.len() <= KEY_BYTES_MAX {
        return text.into();
    }
    let digest = Digest::of(text.as_bytes());
    format!(
        "{}… ({} bytes, sha256 {})",
        head(text, KEY_CHARS),
        text.len(),
        &digest.as_hex()[..16]
    )
    .into()
}

fn head(text: &str, n_chars_max: usize) -> &str {
    text.char_indices()
        .nth(n_chars_max)
        .map_or(text, |(end, _)| &text[..end])
}

/// A cell of a Markdown table: no syntax of Markdown or HTML survives; line ends become `<br>`.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("<br>"),
            '\t' => shown.push(' '),
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' | '!' => {
                shown.push('\\');
                shown.push(c);
            }
            c => push_visible(&mut shown, c),
        }
    }
    shown
}

/// A cell of a LaTeX table, for any engine in text mode; line ends become `\newline`.
#[must_use]
pub fn latex(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\newline "),
            '\t' => shown.push(' '),
            '\\' => shown.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => {
                shown.push('\\');
                shown.push(c);
            }
            '~' => shown.push_str("\\textasciitilde{}"),
            '^' => shown.push_str("\\textasciicircum{}"),
            '<' => shown.push_str("\\textless{}"),
            '>' => shown.push_str("\\textgreater{}"),
            '|' => shown.push_str("\\textbar{}"),
            // Braces keep `\\ [` at the start of a row from being read as a distance.
            '[' => shown.push_str("{[}"),
            ']' => shown.push_str("{]}"),
            '-' | '`' | '\'' | ',' => {
                // Empty braces keep two signs from joining into a dash or a quotation mark.
                if shown.ends_with([c, '?', '!']) {
                    shown.push_str("{}");
                }
                shown.push(c);
            }
            c => push_math(&mut shown, c),
        }
    }
    shown
}

/// Signs that classic LaTeX knows in mathematics only.
fn push_math(shown: &mut String, c: char) {
    let math = match c {
        '≤' => "\\leq",
        '≥' => "\\geq",
        '≈' => "\\approx",
        '±' => "\\pm",
        '×' => "\\times",
        '−' => "-",
        '→' => "\\to",
        '·' => "\\cdot",
        '✓' => "\\surd",
        '✗' => "\\times",
        _ => {
            return match c {
                '…' => shown.push_str("\\dots{}"),
                '–' => shown.push_str("--"),
                c => push_visible(shown, c),
            };
        }
    };
    shown.push_str(&format!("${math}$"));
}

/// A cell of a CSV file before quoting: what a spreadsheet would take for a formula gets a leading
/// apostrophe. Plain numbers stay numbers.
#[must_use]
pub fn csv(text: &str) -> String {
    let shown = visible(text);
    // Spreadsheets skip white space before they look for a formula.
    let first = shown.trim_start().chars().next();
    let formula = matches!(first, Some('=' | '+' | '-' | '@' | '|' | '%'));
    if formula && shown.parse::<f64>().is_err() {
        format!("'{shown}")
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_codes_become_visible() {
        assert_eq!(
            visible("a\u{0}b\r\u{7f}\u{85}\u{200f}"),
            "a␀b␍␡⟨U+0085⟩⟨U+200F⟩"
        );
        assert_eq!(
            visible("line\n\tתקווה 👩‍🔬"),
            "line\n\tתקווה 👩‍🔬",
            "ordinary text stays"
        );
    }

    #[test]
    fn ten_megabytes_are_cut_and_the_cut_is_said() {
        let long = "é".repeat(5_000_000);
        assert_eq!(line(&long, 3), "ééé … (cut, 10000000 bytes in all)");
        assert_eq!(tail(&long, 2), "(cut, 10000000 bytes in all) …\néé");
        assert!(block(&long, BLOCK_CHARS_MAX).len() < 3 * BLOCK_CHARS_MAX);
        assert!(key(&long).len() < 600);
        assert_ne!(key(&long), key(&format!("{long}x")));
        assert_eq!(line("abc", 3), "abc");
    }

    #[test]
    fn markdown_syntax_does_not_survive() {
        let attack = "a|b <script>alert(1)</script> [x](javascript:y) `c`\n*d*";
        let shown = markdown(attack);
        let want = "a\\|b &lt;script&gt;alert(1)&lt;/script&gt; \\[x\\](javascript:y) \
                    \\`c\\`<br>\\*d\\*";
        assert_eq!(shown, want);
    }

    #[test]
    fn latex_specials_are_text() {
        let shown = latex("\\input{x} 100% a_b^c $y$ #1 ~ [2] ≤ --");
        let want = "\\textbackslash{}input\\{x\\} 100\\% a\\_b\\textasciicircum{}c \\$y\\$ \\#1 \
                    \\textasciitilde{} {[}2{]} $\\leq$ -{}-";
        assert_eq!(shown, want);
    }

    #[test]
    fn formulas_are_defused_and_numbers_are_kept() {
        for attack in [
            "=1+1",
            "+cmd|' /C calc'!A0",
            "-2+3",
            "@SUM(A1)",
            " =1",
            "\n=1",
            "\t=1",
        ] {
            assert!(csv(attack).starts_with('\''), "{attack:?}");
        }
        assert_eq!(csv("-1.5e-9"), "-1.5e-9");
        assert_eq!(csv("plain"), "plain");
    }
}
