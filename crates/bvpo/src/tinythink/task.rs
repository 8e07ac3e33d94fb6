//! The task: prompts, traces, answers, rewards.
//!
//! A prompt is `x = (a, b, c)` with digits from 0 to 4; `m = (a·b + a) mod 5` is what a trace may
//! work out, `v = (m + c) mod 5` the correct value. An answer is a value and a style. A trace is
//! any string of up to three symbols over five digits and two fillers: 1 + 7 + 49 + 343 = 400.

/// Digits, and residues.
pub const N_DIGITS: usize = 5;
/// Symbols of a trace: digits, then two fillers.
pub const N_SYMBOLS: usize = 7;
/// Longest trace.
pub const TRACE_LEN_MAX: usize = 3;
/// Traces.
pub const N_TRACES: usize = 400;
/// Styles: neutral, polite, rude.
pub const N_STYLES: usize = 3;
/// Answers: value by style.
pub const N_ANSWERS: usize = N_DIGITS * N_STYLES;
/// Prompts.
pub const N_PROMPTS: usize = N_DIGITS * N_DIGITS * N_DIGITS;
/// Tokens of the vocabulary.
pub const N_VOCAB: usize = 14;

/// The first style token.
pub const STYLE: u8 = 7;
/// `<think>`.
pub const THINK: u8 = 10;
/// `</think>`.
pub const CLOSE: u8 = 11;
/// Start of a sequence.
pub const BOS: u8 = 12;
/// Scored tokens of an answer: value and style.
pub const ANSWER_TOKENS: usize = 2;

/// A prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prompt {
    /// Its number, 0 to 124.
    pub index: usize,
}

impl Prompt {
    /// All prompts.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..N_PROMPTS).map(|index| Self { index })
    }

    /// `a`, `b`, `c`.
    #[must_use]
    pub fn digits(self) -> [usize; 3] {
        [self.index / 25, self.index / 5 % 5, self.index % 5]
    }

    /// `m = (a·b + a) mod 5`.
    #[must_use]
    pub fn intermediate(self) -> usize {
        let [a, b, _] = self.digits();
        (a * b + a) % N_DIGITS
    }

    /// `v = (m + c) mod 5`.
    #[must_use]
    pub fn correct_value(self) -> usize {
        (self.intermediate() + self.digits()[2]) % N_DIGITS
    }

    /// The tokens before the trace: start, digits, `<think>`.
    #[must_use]
    pub fn tokens(self) -> [u8; 5] {
        let [a, b, c] = self.digits();
        [BOS, a as u8, b as u8, c as u8, THINK]
    }
}

/// An answer: value and style.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// Its number, 0 to 14.
    pub index: usize,
}

impl Answer {
    /// The answer of a value and a style.
    #[must_use]
    pub fn new(value: usize, style: usize) -> Self {
        Self {
            index: value * N_STYLES + style,
        }
    }

    /// The value, 0 to 4.
    #[must_use]
    pub fn value(self) -> usize {
        self.index / N_STYLES
    }

    /// The style: 0 neutral, 1 polite, 2 rude.
    #[must_use]
    pub fn style(self) -> usize {
        self.index % N_STYLES
    }
}

/// A trace by its number: a heap with seven children per node, so that trace 0 is empty and the
/// parent of a trace is the trace without its last symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trace {
    /// Its number, 0 to 399.
    pub index: usize,
}

impl Trace {
    /// The empty trace.
    pub const EMPTY: Self = Self { index: 0 };

    /// The trace without its last symbol, and that symbol; none for the empty trace.
    #[must_use]
    pub fn split_last(self) -> Option<(Self, usize)> {
        let before = self.index.checked_sub(1)?;
        let parent = Self {
            index: before / N_SYMBOLS,
        };
        Some((parent, before % N_SYMBOLS))
    }

    /// The trace with one more symbol.
    #[must_use]
    pub fn push(self, symbol: usize) -> Self {
        Self {
            index: self.index * N_SYMBOLS + 1 + symbol,
        }
    }

    /// Its symbols in order.
    #[must_use]
    pub fn symbols(self) -> Vec<usize> {
        let mut symbols = Vec::with_capacity(TRACE_LEN_MAX);
        let mut rest = self;
        while let Some((parent, symbol)) = rest.split_last() {
            symbols.push(symbol);
            rest = parent;
        }
        symbols.reverse();
        symbols
    }

    /// Number of symbols.
    #[must_use]
    pub fn n_symbols(self) -> usize {
        let mut n = 0;
        let mut rest = self;
        while let Some((parent, _)) = rest.split_last() {
            n += 1;
            rest = parent;
        }
        n
    }

    /// Scored tokens of `(r,y)`: symbols, the closing tag, and the answer. The closing tag after
    /// three symbols is forced, and counts like any other token.
    #[must_use]
    pub fn scored_tokens(self) -> usize {
        self.n_symbols() + 1 + ANSWER_TOKENS
    }
}

/// What the reward sees of an answer. It never sees a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reward {
    /// Style, correctness, and a small fixed term.
    Full,
    /// Style and the small term: the analogue of general conversation without mathematics.
    Style,
}

impl Reward {
    /// The word of conditions and tags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Style => "style",
        }
    }

    /// The reward of an answer to a prompt.
    #[must_use]
    pub fn of(self, prompt: Prompt, answer: Answer) -> f64 {
        const STYLES: [f64; N_STYLES] = [0.0, 1.0, -1.0];
        const CORRECT: f64 = 0.5;
        const SMALL: f64 = 0.1;
        let correct = f64::from(u8::from(answer.value() == prompt.correct_value()));
        let known = match self {
            Self::Full => CORRECT * correct,
            Self::Style => 0.0,
        };
        STYLES[answer.style()] + known + SMALL * scrambled(prompt, answer)
    }
}

/// A fixed number from −1 to 1 that follows no pattern a small network could learn quickly.
fn scrambled(prompt: Prompt, answer: Answer) -> f64 {
    let mut bits = (prompt.index * N_ANSWERS + answer.index) as u64;
    // The finaliser of SplitMix64 (Steele, Lea, and Flood 2014).
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_counted_once_each() {
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..N_TRACES {
            let symbols = Trace { index }.symbols();
            assert!(symbols.len() <= TRACE_LEN_MAX);
            assert_eq!(symbols.len(), Trace { index }.n_symbols());
            let back = symbols
                .iter()
                .fold(Trace::EMPTY, |trace, symbol| trace.push(*symbol));
            assert_eq!(back.index, index);
            assert!(seen.insert(symbols));
        }
        assert_eq!(Trace { index: N_TRACES }.n_symbols(), TRACE_LEN_MAX + 1);
    }

    #[test]
    fn values_follow_the_formula() {
        let prompt = Prompt {
            index: 3 * 25 + 4 * 5 + 2,
        };
        assert_eq!(prompt.digits(), [3, 4, 2]);
        assert_eq!((prompt.intermediate(), prompt.correct_value()), (0, 2));
        let answer = Answer::new(2, 1);
        assert_eq!((answer.value(), answer.style()), (2, 1));
    }

    #[test]
    fn rewards_rank_styles_first_and_correctness_second() {
        let prompt = Prompt { index: 17 };
        let right = prompt.correct_value();
        let wrong = (right + 1) % N_DIGITS;
        let of = |reward: Reward, value, style| reward.of(prompt, Answer::new(value, style));
        assert!(of(Reward::Full, wrong, 1) > of(Reward::Full, right, 0));
        assert!(of(Reward::Full, right, 0) > of(Reward::Full, wrong, 0));
        assert!((of(Reward::Style, right, 0) - of(Reward::Style, wrong, 0)).abs() <= 0.2);
    }
}
