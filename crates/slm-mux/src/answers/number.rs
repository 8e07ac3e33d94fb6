//! A number read exactly from how people write it.

/// A reduced fraction; the denominator is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    numerator: i128,
    denominator: i128,
}

impl Number {
    /// Reads `-3`, `1,200`, `$1,200.50`, `18.`, `3.50`, `75%` (as 75), `7/8`, and nothing else.
    /// Numbers of more than 30 digits are refused rather than rounded.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '$' | '€' | '£' | '%' | ','))
            .collect();
        let text = text.strip_suffix('.').unwrap_or(&text);
        match text.split_once('/') {
            Some((above, below)) => {
                let (above, below) = (Self::decimal(above)?, Self::decimal(below)?);
                Self::reduced(
                    above.numerator.checked_mul(below.denominator)?,
                    above.denominator.checked_mul(below.numerator)?,
                )
            }
            None => Self::decimal(text),
        }
    }

    /// Reads what a program printed: also `70000.0` and `7e4`.
    #[must_use]
    pub fn of_float(value: f64) -> Option<Self> {
        value
            .is_finite()
            .then(|| Self::parse(&format!("{value}")))
            .flatten()
    }

    fn decimal(text: &str) -> Option<Self> {
        const DIGITS_MAX: usize = 30;
        let (sign, digits) = match text.strip_prefix(['-', '−']) {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all = [whole, part].concat();
        let is_number = !all.is_empty() && all.bytes().all(|b| b.is_ascii_digit());
        if !is_number || all.len() > DIGITS_MAX {
            return None;
        }
        let numerator: i128 = all.parse().ok()?;
        Self::reduced(sign * numerator, 10i128.pow(part.len() as u32))
    }

    fn reduced(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 {
            return None;
        }
        let (mut a, mut b) = (numerator.unsigned_abs(), denominator.unsigned_abs());
        while b > 0 {
            (a, b) = (b, a % b);
        }
        let divisor = i128::try_from(a.max(1)).ok()? * denominator.signum();
        Some(Self {
            numerator: numerator / divisor,
            denominator: denominator / divisor,
        })
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            below => write!(f, "{}/{below}", self.numerator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_one_spelling() {
        for (text, expected) in [
            ("18", "18"),
            ("18.0", "18"),
            ("18.", "18"),
            ("$1,200.50", "2401/2"),
            ("-3", "-3"),
            ("3.50", "7/2"),
            ("14/4", "7/2"),
            ("0.5", "1/2"),
            ("75 %", "75"),
            ("411/333", "137/111"),
            ("-0", "0"),
            ("2/-4", "-1/2"),
        ] {
            let found = Number::parse(text).map(|number| number.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "x", "1 apple", "1/0", "1.2.3", "--1", "1e5"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        assert_eq!(Number::parse(&"9".repeat(31)), None);
        assert_eq!(Number::of_float(f64::NAN), None);
        assert_eq!(Number::of_float(70000.0).unwrap().to_string(), "70000");
    }
}
