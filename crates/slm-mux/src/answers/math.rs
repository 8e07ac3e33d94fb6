//! MATH: the first boxed expression, normalised by string rules.

use super::number::Number;

/// The boxed answer by the string rules, and as a number where it is one.
pub(super) fn exact(text: &str) -> Option<String> {
    let answer = official(text)?;
    Some(match number(&answer) {
        Some(number) => number.to_string(),
        None => answer,
    })
}

/// As the released code: the first `\boxed{…}` with balanced braces, then the usual string rules.
pub(super) fn official(text: &str) -> Option<String> {
    let answer = normalise(boxed(text)?);
    (!answer.is_empty()).then_some(answer)
}

/// A number in the notation that the string rules leave: `\frac{a}{b}`, decimals, commas.
fn number(text: &str) -> Option<Number> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    if let Some((above, below)) = fraction(rest) {
        return Number::parse(&format!("{sign}{above}/{below}"));
    }
    Number::parse(text)
}

/// The two arguments of a text that is one `\frac{a}{b}`.
fn fraction(text: &str) -> Option<(&str, &str)> {
    let (above, rest) = argument(text.strip_prefix("\\frac")?)?;
    let (below, rest) = argument(rest)?;
    rest.is_empty().then_some((above, below))
}

/// The first `\boxed{…}` (or `\fbox{…}`) whose braces balance.
fn boxed(text: &str) -> Option<&str> {
    let mark = |from: &str| {
        let at = ["\\boxed", "\\fbox"].map(|mark| from.find(mark).map(|at| at + mark.len()));
        at.into_iter().flatten().min()
    };
    let mut rest = text;
    while let Some(at) = mark(rest) {
        rest = &rest[at..];
        if let Some((inside, _)) = argument(rest) {
            return Some(inside);
        }
    }
    None
}

/// What stands in the braces with which a text begins, and what follows.
fn argument(text: &str) -> Option<(&str, &str)> {
    let inside = text.trim_start().strip_prefix('{')?;
    let mut depth = 1;
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some((&inside[..at], &inside[at + 1..]));
        }
    }
    None
}

/// The string rules, in the order in which the released code applies them.
fn normalise(text: &str) -> String {
    let mut text = text.replace('\n', "").replace("\\!", "");
    text = text.replace("\\\\", "\\");
    for (from, to) in [
        ("tfrac", "frac"),
        ("dfrac", "frac"),
        ("\\left", ""),
        ("\\right", ""),
        ("^{\\circ}", ""),
        ("^\\circ", ""),
        ("\\$", ""),
    ] {
        text = text.replace(from, to);
    }
    // Units follow a text command: only what stands before it counts.
    if let Some((before, _)) = text.split_once("\\text{ ") {
        text = before.to_owned();
    }
    text = text.replace("\\%", "").replace(['%', '$'], "");
    text = text.replace(" .", " 0.").replace("{.", "{0.");
    if text.starts_with('.') {
        text.insert(0, '0');
    }
    if let Some((name, value)) = text.split_once('=')
        && name.trim().chars().count() <= 2
        && !value.contains('=')
    {
        text = value.to_owned();
    }
    text = brace_roots(&text).replace(' ', "");
    text = brace_fractions(&text);
    if text == "0.5" {
        text = "\\frac{1}{2}".to_owned();
    }
    slash_to_fraction(&text)
}

/// `\sqrt3` becomes `\sqrt{3}`.
fn brace_roots(text: &str) -> String {
    let mut parts = text.split("\\sqrt");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\\sqrt");
        let mut chars = part.chars();
        match chars.next() {
            Some(first) if first != '{' && first != '[' => {
                out.push_str(&format!("{{{first}}}{}", chars.as_str()));
            }
            Some(_) | None => out.push_str(part),
        }
    }
    out
}

/// `\frac12` and `\frac1{72}` become `\frac{1}{2}` and `\frac{1}{72}`.
fn brace_fractions(text: &str) -> String {
    let mut parts = text.split("\\frac");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\\frac");
        let mut chars = part.chars();
        match (chars.next(), chars.next()) {
            (Some(above), Some('{')) if above != '{' => {
                out.push_str(&format!("{{{above}}}{{{}", chars.as_str()));
            }
            (Some(above), Some(below)) if above != '{' => {
                out.push_str(&format!("{{{above}}}{{{below}}}{}", chars.as_str()));
            }
            _ => out.push_str(part),
        }
    }
    out
}

/// `a/b` with two whole numbers becomes `\frac{a}{b}`.
fn slash_to_fraction(text: &str) -> String {
    let whole = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    match text.split_once('/') {
        Some((above, below)) if whole(above) && whole(below) => {
            format!("\\frac{{{above}}}{{{below}}}")
        }
        Some(_) | None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, exactly: &str, officially: &str) {
        let boxed = format!("so \\boxed{{{text}}} follows, not \\boxed{{9999}}");
        assert_eq!(exact(&boxed).as_deref(), Some(exactly), "exact: {text}");
        assert_eq!(official(&boxed).as_deref(), Some(officially), "{text}");
    }

    #[test]
    fn string_rules_bring_spellings_together() {
        check("\\dfrac{1}{2}", "1/2", "\\frac{1}{2}");
        check("\\frac12", "1/2", "\\frac{1}{2}");
        check("\\frac1{72}", "1/72", "\\frac{1}{72}");
        check("0.5", "1/2", "\\frac{1}{2}");
        check("3/4", "3/4", "\\frac{3}{4}");
        check("x=5", "5", "5");
        check("90^\\circ", "90", "90");
        check("50\\%", "50", "50");
        check("12\\text{ cm}", "12", "12");
        check("\\left( 1, 2 \\right)", "(1,2)", "(1,2)");
        check("2\\sqrt3", "2\\sqrt{3}", "2\\sqrt{3}");
        check("\\text{east}", "\\text{east}", "\\text{east}");
    }

    #[test]
    fn equal_fractions_stay_apart_officially_only() {
        check("\\frac{411}{333}", "137/111", "\\frac{411}{333}");
        check("\\frac{137}{111}", "137/111", "\\frac{137}{111}");
        check("3.50", "7/2", "3.50");
        check("-\\frac{2}{4}", "-1/2", "-\\frac{2}{4}");
    }

    #[test]
    fn braces_must_balance() {
        assert_eq!(official("\\boxed{1 + {2}"), None);
        assert_eq!(official("no box: 5"), None);
        let later = "\\boxed 7, that is \\boxed{\\frac{1}{3}}";
        assert_eq!(exact(later).as_deref(), Some("1/3"));
        assert_eq!(official("\\boxed{}"), None);
    }
}
