//! Text from a stranger, made fit for a message to a person.

use super::secret::Secret;

/// Characters that an error message quotes of what a server said.
pub(super) const QUOTED_CHARS_MAX: usize = 300;

/// Quotes what a server said, after taking out the key: a server may repeat it, and a quote that is
/// cut short could keep a part that no later search finds.
#[derive(Clone, Copy)]
pub(super) struct Quoter<'a>(pub(super) Option<&'a Secret>);

impl Quoter<'_> {
    /// `text` without the key.
    pub(super) fn scrub(self, text: String) -> String {
        match self.0 {
            Some(secret) => secret.scrub(text),
            None => text,
        }
    }

    /// `text` without the key, in one short line.
    pub(super) fn quote(self, text: &str, n_chars_max: usize) -> String {
        quote(&self.scrub(text.to_owned()), n_chars_max)
    }
}

/// `text` in one line of at most `n_chars_max` characters: control characters and those that turn
/// the direction of writing are escaped, and what is left out is counted.
pub(super) fn quote(text: &str, n_chars_max: usize) -> String {
    let text = text.trim();
    let mut quoted = String::new();
    let mut n_left = text.chars();
    for (char_idx, c) in text.chars().enumerate() {
        if char_idx == n_chars_max {
            quoted.push_str(&format!("… ({} more characters)", n_left.count()));
            break;
        }
        n_left.next();
        if is_unprintable(c) {
            quoted.extend(c.escape_unicode());
        } else {
            quoted.push(c);
        }
    }
    quoted
}

/// Control codes reach a terminal's command parser; the others change how a line reads.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || c == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quote_is_one_short_line_without_control_codes() {
        assert_eq!(quote(" a\u{1b}[2Jb\n", 10), "a\\u{1b}[2Jb");
        assert_eq!(quote("é\u{202e}x", 10), "é\\u{202e}x");
        assert_eq!(quote("abcdef", 4), "abcd… (2 more characters)");
        assert_eq!(quote("abcd", 4), "abcd");
    }
}
