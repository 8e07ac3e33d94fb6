//! GPQA: one letter from A to D.

/// The letter of the last explicit statement: `##Answer: X##`, "answer is (X)", "answer: X", each
/// as whole words; else a letter alone on a line, the last one; else the last "(X)".
pub(super) fn exact(text: &str) -> Option<String> {
    last_statement(text)
        .or_else(|| alone(text).last())
        .or_else(|| in_parentheses(text))
        .map(String::from)
}

/// As the released code: the first "answer" that is followed, after punctuation and spaces, by a
/// letter from A to D, in either case and whatever follows the letter. Only then `## X ##`, a
/// letter alone on a line, the last "(X)", and the last " X".
pub(super) fn official(text: &str) -> Option<String> {
    after_answer(text)
        .or_else(|| between_hashes(text))
        .or_else(|| alone(text).next())
        .or_else(|| in_parentheses(text))
        .or_else(|| after_space(text))
        .map(String::from)
}

fn letter(c: char) -> Option<char> {
    let c = c.to_ascii_uppercase();
    ('A'..='D').contains(&c).then_some(c)
}

fn is_filler(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            ':' | '-' | '*' | '(' | '[' | '{' | '"' | '\'' | '#' | '.'
        )
}

fn after_answer(text: &str) -> Option<char> {
    let lower = text.to_ascii_lowercase();
    let mut found = lower.match_indices("answer").filter_map(|(at, word)| {
        let rest = text[at + word.len()..].trim_start_matches(is_filler);
        rest.chars().next().and_then(letter)
    });
    found.next()
}

fn last_statement(text: &str) -> Option<char> {
    let lower = text.to_ascii_lowercase();
    let found = lower.match_indices("answer").filter_map(|(at, word)| {
        let rest = text[at + word.len()..].trim_start_matches(is_filler);
        let rest = match rest.get(..2) {
            Some(is) if is.eq_ignore_ascii_case("is") => rest[2..].trim_start_matches(is_filler),
            Some(_) | None => rest,
        };
        let mut chars = rest.chars();
        // A capital letter that is a word of its own; "a" may be an article.
        let first = chars.next().filter(char::is_ascii_uppercase)?;
        let ends = chars.next().is_none_or(|next| !next.is_alphanumeric());
        letter(first).filter(|_| ends)
    });
    found.last()
}

fn between_hashes(text: &str) -> Option<char> {
    text.match_indices("##").find_map(|(at, mark)| {
        let rest = text[at + mark.len()..].trim_start();
        let first = rest.chars().next().and_then(letter)?;
        rest[1..].trim_start().starts_with("##").then_some(first)
    })
}

/// Letters that stand alone on a line, in order.
fn alone(text: &str) -> impl Iterator<Item = char> {
    text.lines().filter_map(|line| {
        let mut chars = line.trim().trim_end_matches('.').chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if c.is_ascii_uppercase() => letter(c),
            _ => None,
        }
    })
}

fn in_parentheses(text: &str) -> Option<char> {
    let mut found = text.rmatch_indices('(').filter_map(|(at, _)| {
        let mut chars = text[at + 1..].chars();
        let first = chars.next().filter(char::is_ascii_uppercase)?;
        (chars.next() == Some(')')).then(|| letter(first))?
    });
    found.next()
}

fn after_space(text: &str) -> Option<char> {
    let mut found = text.rmatch_indices(' ').filter_map(|(at, _)| {
        let mut chars = text[at + 1..].chars();
        let first = chars.next().filter(char::is_ascii_uppercase)?;
        let ends = chars.next().is_none_or(|next| !next.is_alphanumeric());
        letter(first).filter(|_| ends)
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, exactly: Option<&str>, officially: Option<&str>) {
        assert_eq!(exact(text).as_deref(), exactly, "exact: {text}");
        assert_eq!(official(text).as_deref(), officially, "official: {text}");
    }

    #[test]
    fn the_asked_for_form_is_read_alike() {
        check("because …\n##Answer: B##", Some("B"), Some("B"));
        check("## C ##", None, Some("C"));
        check("I choose\nD", Some("D"), Some("D"));
        check("it must be (A)", Some("A"), Some("A"));
        check("nothing here", None, None);
    }

    #[test]
    fn early_use_of_the_word_decides_officially() {
        let end = "\n##Answer: B##";
        for (start, letter) in [
            ("the answer cannot be determined yet", "C"),
            ("the answer depends on the mass", "D"),
            ("we find the answer as follows", "A"),
        ] {
            check(&format!("{start}{end}"), Some("B"), Some(letter));
        }
        check("answer by elimination", None, Some("B"));
        check("The answer is C.", Some("C"), Some("C"));
        check("The answer is C, I thought of D", Some("C"), Some("D"));
    }

    #[test]
    fn texts_of_other_scripts_do_not_break_it() {
        check("Antwort: ß (é) 答案 answer: D", Some("D"), Some("D"));
        check("answer: é", None, None);
    }
}
