//! The loops of inference against slow, plain references.
//!
//! Oracles: candle's own de-quantisation for the block layouts, sums in `f64` for products,
//! normalisation, softmax and attention, a naive integer product for rounded activations. On top of
//! that, one property for every loop: the same bits on every instruction set that this machine has,
//! in every batch, and on any number of threads.

#![expect(clippy::unwrap_used, reason = "a failure to unwrap fails the test")]

/// Attention to cached keys and values.
mod attention;
/// Activations, normalisation, softmax, rotation.
mod loops;
/// Packed weights times activations.
mod products;

use std::io::Write;

use model::kernels::{Cpu, Isa, Threads};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// One processor per instruction set of this machine; says which are missing.
pub fn cpus() -> Vec<Cpu> {
    let mut cpus = Vec::new();
    for isa in Isa::ALL {
        match Cpu::with_isa(isa, Threads::ONE) {
            Ok(cpu) => cpus.push(cpu),
            Err(error) => {
                let note = format!("NOT TESTED HERE: {error}\n");
                // A closed stderr must not fail a test.
                let _ = std::io::stderr().write_all(note.as_bytes());
            }
        }
    }
    cpus
}

/// Values within ±2.
pub fn values(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-2.0..2.0)).collect()
}

/// Patterns, so that `NaN` and −0 are told apart.
pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}
