//! How numbers are written for people.
//!
//! The width of the interval decides how many digits a value deserves: the half-width is shown with
//! two significant digits, and value and ends get the same last place. Numbers below 1e-3 or from
//! 1e6 on are written with an exponent. A number that is not zero never looks like zero.

use eval::Estimate;

/// Significant digits of a number that comes without an interval.
const DIGITS: usize = 4;
/// From here on numbers are written with an exponent.
const LARGE: f64 = 1e6;
/// Below this, numbers are written with an exponent.
const SMALL: f64 = 1e-3;

/// A number without an interval, with at most four significant digits.
///
/// ```
/// use report::number::plain;
/// assert_eq!(plain(1.23456e-9), "1.235e-9");
/// assert_eq!(plain(0.5), "0.5");
/// assert_eq!(plain(12345.0), "12345");
/// ```
#[must_use]
pub fn plain(value: f64) -> String {
    if !value.is_finite() {
        return "not a number".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.fract() == 0.0 && value.abs() < LARGE {
        return format!("{value:.0}");
    }
    if (SMALL..LARGE).contains(&value.abs()) {
        let n_decimals = (DIGITS as i32 - 1 - exponent(value)).max(0) as usize;
        let text = format!("{value:.n_decimals$}");
        return if n_decimals > 0 {
            trim(&text).to_owned()
        } else {
            text
        };
    }
    scientific(value, DIGITS - 1, Trailing::Trimmed)
}

/// A number that stands beside another one, with enough digits to tell the two apart.
///
/// ```
/// use report::number::beside;
/// assert_eq!(beside(0.54737798, Some(0.54737791)), "0.54737798");
/// assert_eq!(beside(0.7941, Some(0.79)), "0.7941");
/// assert_eq!(beside(0.25, Some(0.25)), "0.25");
/// ```
#[must_use]
pub fn beside(value: f64, other: Option<f64>) -> String {
    const DIGITS_MAX: usize = 16;
    let text = plain(value);
    let Some(other) = other.filter(|other| *other != value && plain(*other) == text) else {
        return text;
    };
    let at = |number: f64, n_decimals: usize| format!("{number:.n_decimals$}");
    // One digit more than the first that differs, so that rounding does not exaggerate.
    (DIGITS..DIGITS_MAX)
        .find(|n_decimals| at(value, *n_decimals) != at(other, *n_decimals))
        .map_or(text, |n_decimals| at(value, n_decimals + 1))
}

/// A number as somebody printed it: the shortest text that reads back to it.
///
/// ```
/// assert_eq!(report::number::as_printed(0.79), "0.79");
/// assert_eq!(report::number::as_printed(1e-8), "1e-8");
/// ```
#[must_use]
pub fn as_printed(value: f64) -> String {
    if value == 0.0 || (SMALL..LARGE).contains(&value.abs()) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

/// A value and the ends of its interval, all with the same last place.
///
/// ```
/// let [value, low, high] = report::number::with_interval(0.79312, 0.7811, 0.8052);
/// assert_eq!([value, low, high], ["0.793", "0.781", "0.805"]);
/// ```
#[must_use]
pub fn with_interval(value: f64, low: f64, high: f64) -> [String; 3] {
    let numbers = [value, low, high];
    let half_width = (high - low) / 2.0;
    let largest = numbers
        .iter()
        .fold(0.0_f64, |largest, x| largest.max(x.abs()));
    if !half_width.is_finite() || half_width <= 0.0 || !largest.is_finite() {
        return numbers.map(plain);
    }
    let place = exponent(half_width) - 1;
    if (SMALL..LARGE).contains(&largest) {
        let n_decimals = (-place).max(0) as usize;
        // More digits than a double carries would be invented.
        if n_decimals > 12 {
            return numbers.map(plain);
        }
        return numbers.map(|x| fixed(x, n_decimals));
    }
    // Each number has its own exponent, so each needs its own count of digits to end at `place`.
    numbers.map(|x| {
        if x == 0.0 {
            return "0".to_owned();
        }
        let n_decimals = (exponent(x) - place).clamp(0, 12) as usize;
        scientific(x, n_decimals, Trailing::Kept)
    })
}

/// What was measured, in one line: `0.793 [0.781, 0.805] bits (n = 5)`. `published` is the number
/// it stands beside.
#[must_use]
pub fn measured(estimate: &Estimate, unit: &str, published: Option<f64>) -> String {
    let unit = unit_suffix(unit);
    let n = estimate.n;
    if estimate.deterministic {
        return format!(
            "{}{unit}, no interval (n = {n})",
            beside(estimate.value, published)
        );
    }
    let [value, low, high] = with_interval(estimate.value, estimate.low, estimate.high);
    format!("{value} [{low}, {high}]{unit} (n = {n})")
}

/// The counts behind a number: `120 tried, 0 failed, 3 unparsed`.
#[must_use]
pub fn counts(estimate: &Estimate) -> String {
    format!(
        "{} tried, {} failed, {} unparsed",
        estimate.attempted, estimate.failed, estimate.unparsed
    )
}

/// A published number with its unit, or a dash where the paper gives none.
#[must_use]
pub fn published(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(
        || "–".to_owned(),
        |value| format!("{}{}", as_printed(value), unit_suffix(unit)),
    )
}

/// The unit after a number: nothing for a pure number, else a space and the unit.
#[must_use]
pub fn unit_suffix(unit: &str) -> String {
    const UNIT_CHARS_MAX: usize = 40;
    if unit == "1" || unit.is_empty() {
        String::new()
    } else {
        format!(" {}", crate::text::line(unit, UNIT_CHARS_MAX))
    }
}

/// A count with its noun: `1 cell`, `2 cells`.
#[must_use]
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A duration for people: `42 s`, `3 min 07 s`, `2 h 05 min`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    if seconds < 60.0 {
        return format!("{} s", plain(seconds));
    }
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole % 3600 / 60)
    }
}

/// A length in bytes for people: `512 B`, `1.5 MiB`.
#[must_use]
pub fn bytes(n_bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut amount = n_bytes as f64;
    let mut unit_idx = 0;
    while amount >= 1024.0 && unit_idx + 1 < UNITS.len() {
        amount /= 1024.0;
        unit_idx += 1;
    }
    if unit_idx == 0 {
        format!("{n_bytes} B")
    } else {
        format!("{amount:.1} {}", UNITS[unit_idx])
    }
}

/// The exponent of the first significant digit.
fn exponent(value: f64) -> i32 {
    value.abs().log10().floor() as i32
}

/// A fixed number of decimals, unless that would make a number that is not zero look like zero.
fn fixed(value: f64, n_decimals: usize) -> String {
    let text = format!("{value:.n_decimals$}");
    let shows_zero = text.bytes().all(|b| !b.is_ascii_digit() || b == b'0');
    match (shows_zero, value == 0.0) {
        (false, _) => text,
        (true, true) => "0".to_owned(),
        (true, false) => scientific(value, 0, Trailing::Kept),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trailing {
    Kept,
    Trimmed,
}

fn scientific(value: f64, n_decimals: usize, zeros: Trailing) -> String {
    let text = format!("{value:.n_decimals$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if zeros == Trailing::Trimmed && mantissa.contains('.') => {
            format!("{}e{exponent}", trim(mantissa))
        }
        _ => text,
    }
}

/// Drops zeros at the end of a decimal fraction.
fn trim(text: &str) -> &str {
    text.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::Counts;

    #[test]
    fn four_significant_digits_and_never_a_false_zero() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (0.001234567, "0.001235"),
            (0.000_999, "9.99e-4"),
            (1.2e-9, "1.2e-9"),
            (-1.2e-300, "-1.2e-300"),
            (123_456.7, "123457"),
            (1_234_567.0, "1.235e6"),
            (99.999, "100"),
            (999_999.9, "1000000"),
            (f64::NAN, "not a number"),
        ];
        for (value, want) in cases {
            assert_eq!(plain(value), want, "{value:e}");
        }
    }

    #[test]
    fn the_interval_decides_the_digits() {
        let cases = [
            ((0.5, 0.4, 0.6), ["0.50", "0.40", "0.60"]),
            ((0.50001, 0.499, 0.501), ["0.5000", "0.4990", "0.5010"]),
            ((1234.5, 1000.0, 1500.0), ["1234", "1000", "1500"]),
            ((3e-9, 2e-9, 4e-9), ["3.0e-9", "2.0e-9", "4.0e-9"]),
            ((1e-5, -0.02, 0.02), ["1e-5", "-0.020", "0.020"]),
            ((0.0, -0.02, 0.02), ["0", "-0.020", "0.020"]),
            ((1e-4, 1e-12, 2e-4), ["1.00e-4", "1e-12", "2.00e-4"]),
            ((2.5e7, 2.4e7, 2.6e7), ["2.50e7", "2.40e7", "2.60e7"]),
            ((1.0, 1.0, 1.0), ["1", "1", "1"]),
        ];
        for ((value, low, high), want) in cases {
            let shown = with_interval(value, low, high);
            assert_eq!(shown, want, "{value:e} [{low:e}, {high:e}]");
        }
    }

    #[test]
    fn no_number_but_zero_is_shown_as_zero() {
        let looks_zero = |text: &str| text.bytes().all(|b| b"0.-".contains(&b));
        for exponent in -30..30 {
            let value = 10_f64.powi(exponent);
            assert!(!looks_zero(&plain(value)), "{value:e}");
            for half in [1e-3 * value, 0.1 * value, 1.0, 1e5] {
                let [shown, _, _] = with_interval(value, value - half, value + half);
                assert!(!looks_zero(&shown), "{value:e} ± {half:e}: {shown}");
            }
        }
        assert_eq!(with_interval(0.0, -1.0, 1.0)[0], "0");
    }

    #[test]
    fn exact_computations_have_no_interval() {
        let counts = Counts {
            attempted: 7,
            failed: 0,
            unparsed: 0,
        };
        let exact = Estimate::deterministic(1.25e-13, 7, counts, "max");
        assert_eq!(
            measured(&exact, "bits", None),
            "1.25e-13 bits, no interval (n = 7)"
        );
        let random = Estimate {
            deterministic: false,
            low: 1e-13,
            high: 2e-13,
            ..exact
        };
        assert_eq!(
            measured(&random, "1", None),
            "1.25e-13 [1.00e-13, 2.00e-13] (n = 7)"
        );
    }

    #[test]
    fn durations_and_lengths_are_for_people() {
        assert_eq!(duration(0.25), "0.25 s");
        assert_eq!(duration(187.2), "3 min 07 s");
        assert_eq!(duration(7512.0), "2 h 05 min");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(plural(1, "cell", "cells"), "1 cell");
    }
}
