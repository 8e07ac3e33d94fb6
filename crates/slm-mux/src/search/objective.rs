//! O(S) = Union − λ · Contradiction, as printed and as plotted, compared without rounding.

use std::cmp::Ordering;

/// What the contradictions are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By the number of questions, |D|: the definition as printed.
    Printed,
    /// By the number of questions that some model gets right: the second official code, and what
    /// the paper's figure shows.
    Conditional,
}

/// The weight λ of a contradiction, a fraction from 0 to [`Lambda::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lambda {
    numerator: u16,
    denominator: u16,
}

impl Lambda {
    /// λ = 1, the paper's.
    pub const ONE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// λ = 1/2, the default of the second official code.
    pub const HALF: Self = Self {
        numerator: 1,
        denominator: 2,
    };

    /// `numerator / denominator`; none where the denominator is 0.
    #[must_use]
    pub fn new(numerator: u16, denominator: u16) -> Option<Self> {
        (denominator > 0).then_some(Self {
            numerator,
            denominator,
        })
    }

    /// As a floating-point number.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

/// What a subset of models counts on |D| questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions that some model gets right.
    pub union: u32,
    /// Of those, questions on which some model is consistently wrong.
    pub contradiction: u32,
}

/// An objective: form and λ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objective {
    /// What the contradictions are divided by.
    pub form: Form,
    /// Their weight.
    pub lambda: Lambda,
}

impl Objective {
    /// As printed, λ = 1.
    pub const PRINTED: Self = Self {
        form: Form::Printed,
        lambda: Lambda::ONE,
    };

    /// As plotted, λ = 1.
    pub const PLOTTED: Self = Self {
        form: Form::Conditional,
        lambda: Lambda::ONE,
    };

    /// O(S) of counts on `n_questions` questions, as an exact fraction. A subset that gets nothing
    /// right, and any subset without questions, has 0.
    #[must_use]
    pub fn score(&self, counts: Counts, n_questions: usize) -> Score {
        let (p, q) = (
            i64::from(self.lambda.numerator),
            i64::from(self.lambda.denominator),
        );
        let (u, c) = (i64::from(counts.union), i64::from(counts.contradiction));
        let d = n_questions as i64;
        if u == 0 || d == 0 {
            return Score {
                numerator: 0,
                denominator: 1,
            };
        }
        match self.form {
            Form::Printed => Score {
                numerator: q * u - p * c,
                denominator: q * d,
            },
            Form::Conditional => Score {
                numerator: q * u * u - p * c * d,
                denominator: q * d * u,
            },
        }
    }

    /// O(S) with what breaks ties: the union.
    #[must_use]
    pub fn key(&self, counts: Counts, n_questions: usize) -> Key {
        Key {
            score: self.score(counts, n_questions),
            union: counts.union,
        }
    }

    /// O(S) as a floating-point number.
    #[must_use]
    pub fn value(&self, counts: Counts, n_questions: usize) -> f64 {
        self.score(counts, n_questions).value()
    }
}

/// An exact value of an objective; the denominator is positive.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    numerator: i64,
    denominator: i64,
}

impl Score {
    /// As a floating-point number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        let product = |a: i64, b: i64| i128::from(a) * i128::from(b);
        product(self.numerator, other.denominator).cmp(&product(other.numerator, self.denominator))
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

/// Score, then union: the order of subsets up to their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The objective.
    pub score: Score,
    /// The first tie-break.
    pub union: u32,
}
