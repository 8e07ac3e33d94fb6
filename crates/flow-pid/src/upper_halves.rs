//! The processor's vector registers, left as other code expects them.

/// Clears the upper halves of the vector registers.
///
/// The kernels behind faer's products leave values there, and Intel's processors then make each
/// switch between old and new vector instructions wait: an exponential took 80 ns in place of 5
/// after a product, and a training step of the flows three times as long (measured).
#[inline]
pub(crate) fn clear() {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx") {
        // SAFETY: the instruction exists with AVX (asked above) and keeps the lower halves, the
        // only ones in which code compiled for all processors keeps anything.
        unsafe { std::arch::x86_64::_mm256_zeroupper() }
    }
}
