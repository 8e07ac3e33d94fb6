//! GSM8K: the number after four hashes, else the last number of the text.

use super::number::Number;

/// The last marked number, else the last number, read exactly.
pub(super) fn exact(text: &str) -> Option<String> {
    let marked = text
        .rmatch_indices("####")
        .map(|(at, mark)| &text[at + mark.len()..])
        .find_map(|rest| number_at_start(rest, true));
    let found = marked.or_else(|| last_number(text, true))?;
    Number::parse(&found).map(|number| number.to_string())
}

/// As the released code: a number stops at a thousands comma, leading zeros are cut off as text,
/// and numbers are compared as text.
pub(super) fn official(text: &str) -> Option<String> {
    let marked = text
        .rmatch_indices("####")
        .map(|(at, mark)| &text[at + mark.len()..])
        .find_map(|rest| number_at_start(rest, false));
    let found = marked.or_else(|| last_number(text, false))?;
    let (sign, digits) = match found.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", found.as_str()),
    };
    let cut = digits.trim_start_matches('0');
    Some(match cut {
        "" => "0".to_owned(),
        cut => format!("{sign}{cut}"),
    })
}

/// The number with which a text begins, after spaces and, where `commas`, a currency sign.
fn number_at_start(text: &str, commas: bool) -> Option<String> {
    let text = text.trim_start_matches([' ', '\t']);
    let text = if commas {
        text.trim_start_matches(['$', '€', '£', '*', ' '])
    } else {
        text
    };
    let length = length_of_number(text, commas);
    (length > 0).then(|| text[..length].to_owned())
}

fn last_number(text: &str, commas: bool) -> Option<String> {
    let mut last = None;
    let mut at = 0;
    while at < text.len() {
        if !text.is_char_boundary(at) {
            at += 1;
            continue;
        }
        let length = length_of_number(&text[at..], commas);
        if length > 0 {
            // A sign that follows a digit or a letter is an operator or a hyphen.
            let glued = text[..at]
                .chars()
                .next_back()
                .is_some_and(char::is_alphanumeric);
            let start = at + usize::from(glued && text[at..].starts_with('-'));
            last = Some(text[start..at + length].to_owned());
        }
        at += length.max(1);
    }
    last
}

/// How many bytes at the start of the text are a number: sign, digits, perhaps groups of three
/// after commas, perhaps a decimal part.
fn length_of_number(text: &str, commas: bool) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    if !digit(at) {
        return 0;
    }
    while digit(at) {
        at += 1;
    }
    let group = |at: usize| (1..=3).all(|step| digit(at + step)) && !digit(at + 4);
    while commas && bytes.get(at) == Some(&b',') && group(at) {
        at += 4;
    }
    if bytes.get(at) == Some(&b'.') && digit(at + 1) {
        at += 1;
        while digit(at) {
            at += 1;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, exactly: Option<&str>, officially: Option<&str>) {
        assert_eq!(exact(text).as_deref(), exactly, "exact: {text}");
        assert_eq!(official(text).as_deref(), officially, "official: {text}");
    }

    #[test]
    fn plain_answers_are_read_alike() {
        check("So 3 + 4 = 7.\n#### 7", Some("7"), Some("7"));
        check("#### 5\nno, wait\n#### 6", Some("6"), Some("6"));
        check("She has -12 left", Some("-12"), Some("-12"));
        check("no number at all", None, None);
        check("", None, None);
    }

    #[test]
    fn the_official_pattern_stops_at_a_thousands_comma() {
        check("#### 1,200", Some("1200"), Some("1"));
        check("in total 1,200,000 eggs", Some("1200000"), Some("0"));
    }

    #[test]
    fn the_official_comparison_is_textual() {
        check("#### 0.5", Some("1/2"), Some(".5"));
        check("#### 18.0", Some("18"), Some("18.0"));
        check("#### 3.50", Some("7/2"), Some("3.50"));
        check("#### 0", Some("0"), Some("0"));
        check("#### 007", Some("7"), Some("7"));
    }

    #[test]
    fn currency_and_lists_are_told_apart() {
        check("#### $30", Some("30"), Some("30"));
        check("the days 1,2 and 3", Some("3"), Some("3"));
        check("from 10-4", Some("4"), Some("4"));
        check("#### ten, that is 10", Some("10"), Some("10"));
    }
}
