//! Functions that make small data sets from a seed, so that they need no source at all.
//!
//! A generator uses integers and a portable random stream only: the same seed gives the same bytes
//! on every platform, which the manifest's digest then pins.

use std::fmt::Write as _;

use eval::suggest::nearest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Makes the bytes of a file from a seed.
pub type Generator = fn(u64) -> Vec<u8>;

/// The generators by name.
pub const GENERATORS: [(&str, Generator); 1] = [("noisy-xor", noisy_xor)];

/// Rows that [`noisy_xor`] draws.
pub const NOISY_XOR_ROWS: usize = 4096;

/// The generator named `function`.
pub(crate) fn find(function: &str) -> Result<Generator, String> {
    let found = GENERATORS.iter().find(|(name, _)| *name == function);
    found.map(|(_, generator)| *generator).ok_or_else(|| {
        let names = GENERATORS.map(|(name, _)| name);
        match nearest(function, names) {
            Some(near) => format!("there is no function `{function}`; did you mean `{near}`?"),
            None => format!(
                "there is no function `{function}`; there is {}",
                names.join(", ")
            ),
        }
    })
}

/// The exclusive-or gate behind a binary symmetric channel: CSV with the columns `x1,x2,y`.
///
/// `x1` and `x2` are independent fair bits, and `y` is `x1 XOR x2` flipped with probability 1/8.
/// In the whole population each source alone says nothing about `y`, while both together say
/// 1 − h(1/8) ≈ 0.4564 bits (h: binary entropy), all of it synergy; T. M. Cover and J. A. Thomas,
/// *Elements of Information Theory*, 2nd edition, section 7.1.4. A drawn sample deviates from it.
#[must_use]
pub fn noisy_xor(seed: u64) -> Vec<u8> {
    let mut stream = ChaCha8Rng::seed_from_u64(seed);
    let mut csv = String::from("x1,x2,y\n");
    for _ in 0..NOISY_XOR_ROWS {
        let bits = stream.next_u32();
        let (x1, x2) = (bits & 1, bits >> 1 & 1);
        let flip = u32::from(bits >> 2 & 7 == 0);
        // Writing to a `String` cannot fail.
        let _ = writeln!(csv, "{x1},{x2},{}", x1 ^ x2 ^ flip);
    }
    csv.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutual information in bits of two columns of counts, by its definition.
    fn information(pairs: &[(usize, usize)], n_left: usize) -> f64 {
        let n = pairs.len() as f64;
        let count = |f: &dyn Fn(&(usize, usize)) -> bool| {
            pairs.iter().filter(|pair| f(pair)).count() as f64 / n
        };
        let mut bits = 0.0;
        for a in 0..n_left {
            for b in 0..2 {
                let joint = count(&|pair| *pair == (a, b));
                let product = count(&|pair| pair.0 == a) * count(&|pair| pair.1 == b);
                if joint > 0.0 {
                    bits += joint * (joint / product).log2();
                }
            }
        }
        bits
    }

    fn rows(seed: u64) -> Vec<[usize; 3]> {
        let csv = String::from_utf8(noisy_xor(seed)).unwrap();
        let row = |line: &str| {
            let values: Vec<usize> = line.split(',').map(|bit| bit.parse().unwrap()).collect();
            [values[0], values[1], values[2]]
        };
        csv.lines().skip(1).map(row).collect()
    }

    #[test]
    fn noisy_xor_has_the_information_of_the_closed_form() {
        let h = |p: f64| -p * p.log2() - (1.0 - p) * (1.0 - p).log2();
        for seed in 0..5 {
            let rows = rows(seed);
            assert_eq!(rows.len(), NOISY_XOR_ROWS);
            let alone: Vec<_> = rows.iter().map(|[x1, _, y]| (*x1, *y)).collect();
            let both: Vec<_> = rows.iter().map(|[x1, x2, y]| (x1 + 2 * x2, *y)).collect();
            // Under independence 2 n ln(2) I is chi-squared with one degree of freedom, so
            // I > 15.1 / (2 n ln 2) has probability 1e-4.
            let bound = 15.1 / (2.0 * NOISY_XOR_ROWS as f64 * 2.0_f64.ln());
            assert!(information(&alone, 2) < bound, "seed {seed}");
            // Standard error: sd(log2 ratio) / sqrt(n) = 0.929 / 64 = 0.0145; four of them.
            assert!(
                (information(&both, 4) - (1.0 - h(0.125))).abs() < 0.058,
                "seed {seed}"
            );
        }
    }

    #[test]
    fn the_seed_alone_decides_the_bytes() {
        assert_eq!(noisy_xor(7), noisy_xor(7));
        assert_ne!(noisy_xor(7), noisy_xor(8));
    }

    #[test]
    fn a_misspelt_function_is_named_with_the_nearest() {
        let why = find("noisy-xr").unwrap_err();
        assert!(why.contains("did you mean `noisy-xor`?"), "{why}");
    }
}
