//! Dates for templates that ask for one. There is no clock here: the caller says what day it is.

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

/// A moment as `strftime_now` of a template shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Date {
    /// Year, 1 to 9999.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl Date {
    /// Midnight of a day.
    ///
    /// # Errors
    /// There is no such day.
    pub fn day(year: u16, month: u8, day: u8) -> Result<Self> {
        let date = Self {
            year,
            month,
            day,
            hour: 0,
            minute: 0,
            second: 0,
        };
        date.validate()?;
        Ok(date)
    }

    fn validate(&self) -> Result<()> {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let n_days = match self.month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        let date = (1..=9999).contains(&self.year) && (1..=n_days).contains(&self.day);
        if date && self.hour < 24 && self.minute < 60 && self.second < 60 {
            return Ok(());
        }
        Err(Error::usage(format!("there is no such moment: {self:?}")))
    }

    /// Days since Sunday (Sakamoto's congruence for the Gregorian calendar).
    fn weekday(&self) -> usize {
        const SHIFT: [usize; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let month = usize::from(self.month.clamp(1, 12));
        let year = usize::from(self.year) - usize::from(month < 3);
        (year + year / 4 - year / 100 + year / 400 + SHIFT[month - 1] + usize::from(self.day)) % 7
    }

    /// Days since the first of January.
    fn day_of_year(&self) -> u16 {
        let months = (1..self.month).map(|month| {
            let lengths = 28..=31_u8;
            lengths
                .rev()
                .find(|&day| Self::day(self.year, month, day).is_ok())
                .map_or(0, u16::from)
        });
        months.sum::<u16>() + u16::from(self.day)
    }

    /// Writes the moment as Python's `strftime` does in the C locale.
    ///
    /// # Errors
    /// The moment does not exist, or a directive is not among those of the C standard that need
    /// neither time zone nor week numbers.
    pub(super) fn format(&self, pattern: &str) -> Result<String> {
        self.validate()?;
        let mut out = String::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            let (bare, directive) = match letters.next() {
                Some('-') => (true, letters.next()),
                other => (false, other),
            };
            let text = directive.and_then(|directive| self.directive(directive));
            let Some(text) = text else {
                let directive = directive.map_or(String::new(), String::from);
                return Err(Error::inputs(format!(
                    "the date format `{pattern}` uses `%{directive}`, which is not known here"
                )));
            };
            out.push_str(if bare { strip_zeros(&text) } else { &text });
        }
        Ok(out)
    }

    fn directive(&self, directive: char) -> Option<String> {
        let month = MONTHS[usize::from(self.month) - 1];
        let day = DAYS[self.weekday()];
        let noon = (self.hour + 11) % 12 + 1;
        Some(match directive {
            'Y' => format!("{}", self.year),
            'y' => format!("{:02}", self.year % 100),
            'm' => format!("{:02}", self.month),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'H' => format!("{:02}", self.hour),
            'I' => format!("{noon:02}"),
            'M' => format!("{:02}", self.minute),
            'S' => format!("{:02}", self.second),
            'f' => "000000".to_owned(),
            'p' => if self.hour < 12 { "AM" } else { "PM" }.to_owned(),
            'B' => month.to_owned(),
            'b' | 'h' => month[..3].to_owned(),
            'A' => day.to_owned(),
            'a' => day[..3].to_owned(),
            'j' => format!("{:03}", self.day_of_year()),
            'w' => format!("{}", self.weekday()),
            'u' => format!("{}", (self.weekday() + 6) % 7 + 1),
            'F' => format!("{}-{:02}-{:02}", self.year, self.month, self.day),
            'T' => format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }
}

fn strip_zeros(text: &str) -> &str {
    let rest = text.trim_start_matches(['0', ' ']);
    if rest.is_empty() { "0" } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected texts computed with `datetime.strftime` of CPython 3.11.
    #[test]
    fn dates_are_written_as_python_writes_them() {
        let date = Date {
            hour: 15,
            minute: 4,
            second: 9,
            ..Date::day(2024, 2, 5).unwrap()
        };
        let check = |pattern: &str, expected: &str| {
            assert_eq!(date.format(pattern).unwrap(), expected, "{pattern}");
        };
        check("%d %b %Y", "05 Feb 2024");
        check(
            "%A, %B %-d, %Y %I:%M %p",
            "Monday, February 5, 2024 03:04 PM",
        );
        check(
            "%Y-%m-%dT%H:%M:%S %a %j %y %% %u %w",
            "2024-02-05T15:04:09 Mon 036 24 % 1 1",
        );
        let leap = Date::day(2000, 12, 31).unwrap();
        assert_eq!(leap.format("%j %A %F").unwrap(), "366 Sunday 2000-12-31");
        let midnight = leap.format("%I %p %-H").unwrap();
        assert_eq!(midnight, "12 AM 0");
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        assert!(Date::day(2023, 2, 29).is_err());
        assert!(Date::day(1900, 2, 29).is_err());
        assert!(Date::day(2024, 13, 1).is_err());
        assert!(Date::day(2024, 4, 31).is_err());
        assert!(Date::day(2024, 1, 1).unwrap().format("%Q").is_err());
        assert!(Date::day(2024, 1, 1).unwrap().format("%").is_err());
    }
}
