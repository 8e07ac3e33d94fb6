//! Random-legal: any legal move, all equally likely.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use crate::rules::{ActionId, Event, View};

use super::Player;

/// Makes a uniformly random legal move.
#[derive(Clone, Copy, Debug)]
pub struct RandomLegal;

impl Player for RandomLegal {
    fn act(&mut self, view: &View<'_>, rng: &mut Pcg64Mcg) -> ActionId {
        pick(view.legal(), rng)
    }

    fn observe(&mut self, _: &View<'_>, _: &Event) {}
}

/// The place of a uniformly random set bit of `mask`, which has one.
pub(crate) fn pick(mask: u64, rng: &mut Pcg64Mcg) -> ActionId {
    // How many bits are set in each byte and those below it.
    let pairs = mask - (mask >> 1 & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    let below_or_in = ((nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(BYTES);
    let skipped = u64::from(rng.random_range(0..(below_or_in >> 56) as u32));
    // Bytes that are skipped whole leave the high bit of theirs set; then one byte is looked up. A
    // loop over the bits would be as long as chance has it, which processors cannot foresee.
    let whole = ((((skipped * BYTES) | HIGH_BITS) - below_or_in) & HIGH_BITS) >> 7;
    let first = (whole.wrapping_mul(BYTES) >> 56) * 8;
    let skipped = skipped - (below_or_in << 8 >> first & 0xff);
    first as ActionId + NTH_BIT[(mask >> first & 0xff) as usize][skipped as usize & 7]
}

/// One in every byte.
const BYTES: u64 = 0x0101_0101_0101_0101;
/// The high bit of every byte.
const HIGH_BITS: u64 = BYTES << 7;

/// The place of the n-th set bit of a byte, n from 0.
const NTH_BIT: [[u8; 8]; 256] = {
    let mut places = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut n) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                places[byte][n] = bit;
                n += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    places
};

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn every_set_bit_is_picked_equally_often_and_no_other() {
        let mut rng = Pcg64Mcg::seed_from_u64(11);
        for mask in [
            1,
            1 << 47,
            0b1010,
            (1 << 48) - 1,
            0x00f0_8001_4000,
            1 | 1 << 63,
            u64::MAX,
        ] {
            let n_draws = 2000 * mask.count_ones();
            let mut counts = [0_u32; 64];
            for _ in 0..n_draws {
                counts[usize::from(pick(mask, &mut rng))] += 1;
            }
            for (bit, count) in counts.into_iter().enumerate() {
                if mask >> bit & 1 == 0 {
                    assert_eq!(count, 0, "bit {bit} of {mask:x}");
                } else {
                    assert!(count.abs_diff(2000) < 240, "bit {bit} of {mask:x}: {count}");
                }
            }
        }
    }
}
