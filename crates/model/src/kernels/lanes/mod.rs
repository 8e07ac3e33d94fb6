//! Sixteen lanes of `f32` or `i32`: the one vector type that all loops are written over.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod interface;
mod scalar;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use interface::{LANES, Lanes};
pub(super) use scalar::Scalar;
