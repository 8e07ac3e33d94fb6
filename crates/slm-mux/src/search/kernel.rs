//! The innermost loop: what each candidate would add to a prefix, 32 candidates side by side.
//!
//! Written once as plain loops over lanes and compiled for several instruction sets; the counts are
//! integers, so all give the same.

use super::pool::{LANES, Pool};

/// What one block of candidates counts together with the prefix.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// |R_S ∪ R_m|.
    pub(super) union: [u64; LANES],
    /// |(R_S ∪ R_m) \ (W_S ∪ W_m)|.
    pub(super) clear: [u64; LANES],
}

/// The bits of a prefix.
#[derive(Clone, Debug)]
pub(super) struct Prefix {
    pub(super) right: Vec<u64>,
    pub(super) wrong: Vec<u64>,
}

impl Prefix {
    pub(super) fn empty(pool: &Pool) -> Self {
        Self {
            right: vec![0; pool.n_words()],
            wrong: vec![0; pool.n_words()],
        }
    }

    /// Sets this prefix to `other` and one more model.
    pub(super) fn extend(&mut self, other: &Self, pool: &Pool, model: usize) {
        let bits = pool.right(model).iter().zip(pool.wrong(model)).enumerate();
        for (word, (right, wrong)) in bits {
            self.right[word] = other.right[word] | right;
            self.wrong[word] = other.wrong[word] | wrong;
        }
    }

    /// |R_S| and |R_S \ W_S|.
    pub(super) fn counts(&self) -> (u32, u32) {
        let mut counts = (0, 0);
        for (right, wrong) in self.right.iter().zip(&self.wrong) {
            counts.0 += right.count_ones();
            counts.1 += (right & !wrong).count_ones();
        }
        counts
    }
}

/// Which code the processor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Whatever every processor of the target has.
    Plain,
    /// A count instruction for one word.
    #[cfg(target_arch = "x86_64")]
    Popcnt,
    /// A count instruction for eight words.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Unit {
    /// The best of this machine.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("popcnt") && is_x86_feature_detected!("avx2") {
                return Self::Popcnt;
            }
        }
        Self::Plain
    }

    /// |(R_S ∪ R_m) \ (W_S ∪ W_m)| of every lane.
    #[inline]
    pub(super) fn clear(self, block: &[[u64; 2 * LANES]], prefix: &Prefix) -> [u64; LANES] {
        match self {
            Self::Plain => clear(block, prefix),
            // SAFETY: only `detect` makes this value, and it has asked the processor.
            #[cfg(target_arch = "x86_64")]
            Self::Popcnt => unsafe { clear_popcnt(block, prefix) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { clear_avx512(block, prefix) },
        }
    }

    /// Union as well.
    #[inline]
    pub(super) fn both(self, block: &[[u64; 2 * LANES]], prefix: &Prefix) -> Block {
        match self {
            Self::Plain => both(block, prefix),
            // SAFETY: as in `clear`.
            #[cfg(target_arch = "x86_64")]
            Self::Popcnt => unsafe { both_popcnt(block, prefix) },
            // SAFETY: as in `clear`.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { both_avx512(block, prefix) },
        }
    }
}

#[inline(always)]
fn clear(block: &[[u64; 2 * LANES]], prefix: &Prefix) -> [u64; LANES] {
    let mut counts = [0; LANES];
    for (row, (right, wrong)) in block.iter().zip(prefix.right.iter().zip(&prefix.wrong)) {
        let (of_right, of_wrong) = row.split_at(LANES);
        for lane in 0..LANES {
            let clear = (right | of_right[lane]) & !(wrong | of_wrong[lane]);
            counts[lane] += u64::from(clear.count_ones());
        }
    }
    counts
}

#[inline(always)]
fn both(block: &[[u64; 2 * LANES]], prefix: &Prefix) -> Block {
    let mut counts = Block {
        union: [0; LANES],
        clear: [0; LANES],
    };
    for (row, (right, wrong)) in block.iter().zip(prefix.right.iter().zip(&prefix.wrong)) {
        let (of_right, of_wrong) = row.split_at(LANES);
        for lane in 0..LANES {
            let union = right | of_right[lane];
            let clear = union & !(wrong | of_wrong[lane]);
            counts.union[lane] += u64::from(union.count_ones());
            counts.clear[lane] += u64::from(clear.count_ones());
        }
    }
    counts
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn clear_popcnt(block: &[[u64; 2 * LANES]], prefix: &Prefix) -> [u64; LANES] {
    clear(block, prefix)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt,avx512f,avx512vpopcntdq")]
fn clear_avx512(block: &[[u64; 2 * LANES]], prefix: &Prefix) -> [u64; LANES] {
    clear(block, prefix)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn both_popcnt(block: &[[u64; 2 * LANES]], prefix: &Prefix) -> Block {
    both(block, prefix)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt,avx512f,avx512vpopcntdq")]
fn both_avx512(block: &[[u64; 2 * LANES]], prefix: &Prefix) -> Block {
    both(block, prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_counts_the_same() {
        let mut state = 1u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state ^ (state >> 29)
        };
        let mut block = vec![[0; 2 * LANES]; 5];
        block.iter_mut().flatten().for_each(|word| *word = next());
        let prefix = Prefix {
            right: (0..5).map(|_| next()).collect(),
            wrong: (0..5).map(|_| next()).collect(),
        };
        let unit = Unit::detect();
        assert_eq!(unit.clear(&block, &prefix), clear(&block, &prefix));
        assert_eq!(
            unit.both(&block, &prefix).union,
            both(&block, &prefix).union
        );
        assert_eq!(unit.both(&block, &prefix).clear, clear(&block, &prefix));
        #[cfg(target_arch = "x86_64")]
        if unit == Unit::Avx512 {
            let popcnt = Unit::Popcnt.both(&block, &prefix);
            assert_eq!(popcnt.clear, clear(&block, &prefix));
        }
    }
}
