//! Rotary positions by halves: element `i` and element `i + n_head/2` of a head turn together.

use super::cpu::{Cpu, Work};
use super::elementwise::{load_some, store_some};
use super::lanes::{LANES, Lanes};

/// Frequencies of rotary positions (J. Su and others, 2021, equation 15): pair `i` of a head turns
/// by `position / scale · theta^(−2i / n_head)`.
#[derive(Clone, Debug)]
pub struct Rotary {
    frequencies: Vec<f64>,
}

/// Cosines and sines for the positions of some tokens; computed once, used by every layer.
#[derive(Clone, Debug)]
pub struct Angles {
    n_half: usize,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl Rotary {
    /// Frequencies for heads of `n_head` values, base `theta`, positions divided by `scale`.
    ///
    /// # Panics
    /// `n_head` is odd or zero (a validated configuration has neither).
    #[must_use]
    pub fn new(n_head: usize, theta: f32, scale: f32) -> Self {
        assert!(n_head > 0 && n_head.is_multiple_of(2), "heads of {n_head}");
        let frequencies = (0..n_head / 2)
            .map(|pair| {
                let exponent = -2.0 * pair as f64 / n_head as f64;
                f64::from(theta).powf(exponent) / f64::from(scale)
            })
            .collect();
        Self { frequencies }
    }

    /// Angles of tokens at `positions` (from 0), each rounded once from `f64`.
    #[must_use]
    pub fn angles(&self, positions: &[usize]) -> Angles {
        let n_half = self.frequencies.len();
        let mut cosines = Vec::with_capacity(positions.len() * n_half);
        let mut sines = Vec::with_capacity(positions.len() * n_half);
        for &position in positions {
            for frequency in &self.frequencies {
                let (sine, cosine) = (position as f64 * frequency).sin_cos();
                cosines.push(cosine as f32);
                sines.push(sine as f32);
            }
        }
        Angles {
            n_half,
            cosines,
            sines,
        }
    }
}

impl Cpu {
    /// Turns every head of every token; `x` is `[n_tokens, n_heads · n_head]` for the tokens of
    /// `angles`.
    ///
    /// # Panics
    /// `x` has another number of values.
    pub fn rotate(&self, x: &mut [f32], n_heads: usize, angles: &Angles) {
        let expected = angles.cosines.len() * 2 * n_heads;
        assert_eq!(x.len(), expected, "values of {n_heads} heads per token");
        self.run(Rotate { x, n_heads, angles });
    }
}

struct Rotate<'a> {
    x: &'a mut [f32],
    n_heads: usize,
    angles: &'a Angles,
}

impl Work for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let half = self.angles.n_half;
        for (idx, head) in self.x.chunks_exact_mut(2 * half).enumerate() {
            let angle = idx / self.n_heads * half;
            let (low, high) = head.split_at_mut(half);
            let mut at = 0;
            while at < half {
                let left = half - at;
                // SAFETY: both halves and the angles have `half` values; `Cpu` has checked the
                // instructions.
                unsafe {
                    let cosine = self.angles.cosines.as_ptr().add(angle + at);
                    let sine = self.angles.sines.as_ptr().add(angle + at);
                    let cosine = load_some::<L>(cosine, left);
                    let sine = load_some::<L>(sine, left);
                    let a = load_some::<L>(low.as_ptr().add(at), left);
                    let b = load_some::<L>(high.as_ptr().add(at), left);
                    let first = L::fnma(b, sine, L::mul(a, cosine));
                    let second = L::fma(a, sine, L::mul(b, cosine));
                    store_some::<L>(low.as_mut_ptr().add(at), left, first);
                    store_some::<L>(high.as_mut_ptr().add(at), left, second);
                }
                at += LANES;
            }
        }
    }
}
