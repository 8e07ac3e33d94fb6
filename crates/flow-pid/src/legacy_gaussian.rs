//! The random numbers behind the paper's synthetic channels: MT19937 and the polar method, as
//! numpy's legacy generator draws them.
//!
//! They are needed to measure on the paper's own inputs (section 4, E5). No other randomness of
//! this crate comes from here.

use faer::Mat;

const STATE_WORDS: usize = 624;
const SHIFT_WORDS: usize = 397;

/// A stream of standard normal numbers.
#[derive(Clone, Debug)]
pub struct LegacyGaussian {
    state: [u32; STATE_WORDS],
    position: usize,
    spare: Option<f64>,
}

impl LegacyGaussian {
    /// The stream of `numpy.random.seed(seed)`: `init_genrand` of Matsumoto and Nishimura (2002).
    #[must_use]
    pub fn seeded(seed: u32) -> Self {
        let mut state = [seed; STATE_WORDS];
        for k in 1..STATE_WORDS {
            let before = state[k - 1];
            let mixed = (before ^ (before >> 30)).wrapping_mul(1_812_433_253);
            // The index fits: it is below 624.
            state[k] = mixed.wrapping_add(k as u32);
        }
        Self {
            state,
            position: STATE_WORDS,
            spare: None,
        }
    }

    /// The next standard normal number, by Marsaglia's polar method; the second of a pair is
    /// returned first, the first is kept.
    pub fn next_normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        loop {
            let x1 = 2.0 * self.next_uniform() - 1.0;
            let x2 = 2.0 * self.next_uniform() - 1.0;
            let r = x1 * x1 + x2 * x2;
            if r > 0.0 && r < 1.0 {
                let factor = (-2.0 * r.ln() / r).sqrt();
                self.spare = Some(factor * x1);
                return factor * x2;
            }
        }
    }

    /// A matrix filled row by row.
    pub fn matrix(&mut self, rows: usize, columns: usize) -> Mat<f64> {
        let mut out = Mat::zeros(rows, columns);
        for i in 0..rows {
            for j in 0..columns {
                out[(i, j)] = self.next_normal();
            }
        }
        out
    }

    /// A number in [0, 1) with 53 random bits.
    fn next_uniform(&mut self) -> f64 {
        let high = f64::from(self.next_word() >> 5);
        let low = f64::from(self.next_word() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    fn next_word(&mut self) -> u32 {
        if self.position == STATE_WORDS {
            self.refill();
        }
        let mut word = self.state[self.position];
        self.position += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn refill(&mut self) {
        for k in 0..STATE_WORDS {
            let next = self.state[(k + 1) % STATE_WORDS];
            let joined = (self.state[k] & 0x8000_0000) | (next & 0x7fff_ffff);
            let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[k] = self.state[(k + SHIFT_WORDS) % STATE_WORDS] ^ (joined >> 1) ^ twist;
        }
        self.position = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.random.RandomState(0).standard_normal(n)`, numpy 2.4.6: entries 0..5, 311, and 1499
    /// (the last two lie beyond the first and second refill of the state).
    #[test]
    fn the_stream_is_numpy_s_legacy_stream() {
        let mut stream = LegacyGaussian::seeded(0);
        let drawn: Vec<f64> = (0..1500).map(|_| stream.next_normal()).collect();
        for (index, expected) in REFERENCE {
            assert!(
                (drawn[index] - expected).abs() < 1e-15,
                "{index}: {}",
                drawn[index]
            );
        }
    }

    const REFERENCE: [(usize, f64); 7] = [
        (0, 1.764052345967664),
        (1, 0.4001572083672233),
        (2, 0.9787379841057392),
        (3, 2.240893199201458),
        (4, 1.8675579901499675),
        (311, 1.0777438059762627),
        (1499, -0.11422555145018021),
    ];
}
