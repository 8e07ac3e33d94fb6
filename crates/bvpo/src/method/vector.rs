//! The same code compiled for wider vector registers, where the processor has them.
//!
//! Additions and multiplications stay separate and in the same order, so results have the same
//! bits everywhere.

/// Something to compute. A closure would do, but nothing makes the compiler inline one, and what is
/// not inlined is compiled for the narrowest registers.
pub trait Work {
    /// What it gives.
    type Output;

    /// Computes it; implementations are `#[inline(always)]`, and so is all that they call.
    fn run(self) -> Self::Output;
}

/// Runs `work`, compiled for the widest vector registers that this processor has.
pub fn vectorised<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was detected on this processor.
            return unsafe { wide(work) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was detected on this processor.
            return unsafe { middle(work) };
        }
    }
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn wide<W: Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn middle<W: Work>(work: W) -> W::Output {
    work.run()
}
