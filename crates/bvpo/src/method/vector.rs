//! The same code compiled for wider vector registers, where the processor has them.
//!
//! Additions and multiplications stay separate and in the same order, so results have the same
//! bits everywhere.

/// Runs `work`, compiled for the widest vector registers that this processor has.
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
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
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn wide<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn middle<R>(work: impl FnOnce() -> R) -> R {
    work()
}
