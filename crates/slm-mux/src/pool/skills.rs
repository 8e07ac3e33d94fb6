//! Ten skills with exact answers, written in characters.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// A skill. Every question ends with `=`, every answer with a line feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skill {
    /// `37+48=` → `85`: two numbers below 100.
    Add,
    /// `83-47=` → `36`: the result is not negative.
    Subtract,
    /// `37*6=` → `222`: two digits times one.
    Multiply,
    /// `37?48=` → `<`.
    Compare,
    /// `M3927=` → `9`: the largest digit.
    Max,
    /// `S3927=` → `2379`: digits in order.
    Sort,
    /// `R3927=` → `7293`.
    Reverse,
    /// `P3927=` → `1`: whether the sum of the digits is odd.
    Parity,
    /// `G36,24=` → `12`: the greatest common divisor.
    Gcd,
    /// `B37=` → `100101`: base 2.
    Binary,
}

impl Skill {
    /// All skills, in the order of mixtures.
    pub const ALL: [Self; 10] = [
        Self::Add,
        Self::Subtract,
        Self::Multiply,
        Self::Compare,
        Self::Max,
        Self::Sort,
        Self::Reverse,
        Self::Parity,
        Self::Gcd,
        Self::Binary,
    ];

    /// Name in rows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Subtract => "subtract",
            Self::Multiply => "multiply",
            Self::Compare => "compare",
            Self::Max => "max",
            Self::Sort => "sort",
            Self::Reverse => "reverse",
            Self::Parity => "parity",
            Self::Gcd => "gcd",
            Self::Binary => "binary",
        }
    }

    /// A question with its answer.
    pub fn draw(self, random: &mut impl Rng) -> Exercise {
        let (a, b): (u32, u32) = (random.random_range(0..100), random.random_range(0..100));
        match self {
            Self::Add => Exercise::new(format!("{a}+{b}="), a + b),
            Self::Subtract => {
                let (large, small) = (a.max(b), a.min(b));
                Exercise::new(format!("{large}-{small}="), large - small)
            }
            Self::Multiply => {
                let digit = b % 10;
                Exercise::new(format!("{a}*{digit}="), a * digit)
            }
            Self::Compare => {
                let sign = match a.cmp(&b) {
                    std::cmp::Ordering::Less => '<',
                    std::cmp::Ordering::Equal => '=',
                    std::cmp::Ordering::Greater => '>',
                };
                Exercise::new(format!("{a}?{b}="), sign)
            }
            Self::Gcd => {
                let (a, b) = (a.max(1), b.max(1));
                Exercise::new(format!("G{a},{b}="), gcd(a, b))
            }
            Self::Binary => Exercise::new(format!("B{a}="), format!("{a:b}")),
            Self::Max | Self::Sort | Self::Reverse | Self::Parity => self.of_digits(random),
        }
    }

    fn of_digits(self, random: &mut impl Rng) -> Exercise {
        let n_digits = random.random_range(3..=5);
        let digits: Vec<u8> = (0..n_digits)
            .map(|_| random.random_range(0..10u8))
            .collect();
        let written = |digits: &[u8]| -> String {
            let chars = digits.iter().map(|digit| char::from(b'0' + digit));
            chars.collect()
        };
        let (letter, answer) = match self {
            Self::Max => {
                let largest = digits.iter().copied().max().unwrap_or_default();
                ('M', written(&[largest]))
            }
            Self::Sort => {
                let mut sorted = digits.clone();
                sorted.sort_unstable();
                ('S', written(&sorted))
            }
            Self::Reverse => {
                let reversed: Vec<u8> = digits.iter().rev().copied().collect();
                ('R', written(&reversed))
            }
            _ => ('P', (digits.iter().sum::<u8>() % 2).to_string()),
        };
        Exercise::new(format!("{letter}{}=", written(&digits)), answer)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exercise {
    /// The question, up to and with `=`.
    pub question: String,
    /// The answer, without the line feed.
    pub answer: String,
}

impl Exercise {
    fn new(question: String, answer: impl ToString) -> Self {
        Self {
            question,
            answer: answer.to_string(),
        }
    }

    /// The question with hints in front of its `=`: `37+48 85,12=`.
    #[must_use]
    pub fn hinted(question: &str, hints: &[&str]) -> String {
        let open = question.strip_suffix('=').unwrap_or(question);
        format!("{open} {}=", hints.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn value(digits: &str) -> u32 {
        digits.parse().unwrap()
    }

    /// An independent reading of a question: the answer is checked, not recomputed the same way.
    fn is_right(skill: Skill, question: &str, answer: &str) -> bool {
        let body = question.strip_suffix('=').unwrap();
        let pair = |sign: char| {
            let (a, b) = body.split_once(sign).unwrap();
            (value(a.trim_start_matches('G')), value(b))
        };
        let sorted = |text: &str| {
            let mut chars: Vec<char> = text.chars().collect();
            chars.sort_unstable();
            chars
        };
        match skill {
            Skill::Add => pair('+').0 + pair('+').1 == value(answer),
            Skill::Subtract => pair('-').1 + value(answer) == pair('-').0,
            Skill::Multiply => (0..pair('*').1).map(|_| pair('*').0).sum::<u32>() == value(answer),
            Skill::Compare => {
                let (a, b) = pair('?');
                answer == ["<", "=", ">"][(a >= b) as usize + (a > b) as usize]
            }
            Skill::Max => {
                body[1..].contains(answer)
                    && body[1..]
                        .chars()
                        .all(|d| d <= answer.chars().next().unwrap())
            }
            Skill::Sort => sorted(&body[1..]) == answer.chars().collect::<Vec<_>>(),
            Skill::Reverse => body[1..].bytes().eq(answer.bytes().rev()),
            Skill::Parity => {
                let n_odd = body[1..].bytes().filter(|d| d % 2 == 1).count();
                value(answer) as usize == n_odd % 2
            }
            Skill::Gcd => {
                let (a, b) = pair(',');
                let divides = |d: u32| a % d == 0 && b % d == 0;
                (1..=100).filter(|d| divides(*d)).max() == Some(value(answer))
            }
            Skill::Binary => u32::from_str_radix(answer, 2).unwrap() == value(&body[1..]),
        }
    }

    #[test]
    fn every_answer_is_right() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(3);
        for skill in Skill::ALL {
            for _ in 0..300 {
                let exercise = skill.draw(&mut random);
                let (question, answer) = (&exercise.question, &exercise.answer);
                assert!(is_right(skill, question, answer), "{question}{answer}");
            }
        }
    }

    #[test]
    fn hints_stand_before_the_equals_sign() {
        assert_eq!(Exercise::hinted("37+48=", &["85", "12"]), "37+48 85,12=");
    }
}
