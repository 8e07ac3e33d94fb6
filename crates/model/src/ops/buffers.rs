//! Working memory that is used again instead of being given back to the system.
//!
//! A training step asks for the same sizes again and again; fresh pages cost more than the
//! arithmetic on them. Buffers come back with whatever they held: their users write before they
//! read, and builds with assertions fill them with not-a-number to show who does not.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};

use super::real::Real;

/// Bytes that one pool keeps at most; what comes back beyond that is freed.
const KEPT_BYTES_MAX: usize = 1 << 30;

/// Buffers waiting to be used again, by length.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    shelf: Mutex<Shelf<T>>,
}

#[derive(Debug)]
struct Shelf<T> {
    by_length: BTreeMap<usize, Vec<Vec<T>>>,
    kept_bytes: usize,
}

impl<T> Pool<T> {
    pub(crate) const fn new() -> Self {
        Self {
            shelf: Mutex::new(Shelf {
                by_length: BTreeMap::new(),
                kept_bytes: 0,
            }),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<T>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slice from the pool of its type; goes back when dropped.
#[derive(Debug)]
pub(crate) struct Buffer<T: Real>(Vec<T>);

impl<T: Real> Buffer<T> {
    /// `n` elements of unknown content.
    pub(crate) fn of_length(n: usize) -> Self {
        let mut values = Self::found(n).unwrap_or_else(|| vec![T::ZERO; n]);
        if cfg!(debug_assertions) {
            values.fill(T::UNDEFINED);
        }
        Self(values)
    }

    /// `n` zeros.
    pub(crate) fn zeros(n: usize) -> Self {
        let Some(mut values) = Self::found(n) else {
            // Fresh pages are zeros without being written.
            return Self(vec![T::ZERO; n]);
        };
        values.fill(T::ZERO);
        Self(values)
    }

    fn found(n: usize) -> Option<Vec<T>> {
        let mut shelf = T::pool().shelf();
        let found = shelf.by_length.get_mut(&n)?.pop()?;
        shelf.kept_bytes -= n * size_of::<T>();
        Some(found)
    }

    /// Its elements, which do not come back.
    pub(crate) fn into_vec(mut self) -> Vec<T> {
        std::mem::take(&mut self.0)
    }
}

impl<T: Real> Drop for Buffer<T> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.0);
        let size = values.len() * size_of::<T>();
        let mut shelf = T::pool().shelf();
        if size > 0 && shelf.kept_bytes + size <= KEPT_BYTES_MAX {
            shelf.kept_bytes += size;
            shelf
                .by_length
                .entry(values.len())
                .or_default()
                .push(values);
        }
    }
}

impl<T: Real> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Real> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// Puts the memory of a tensor that nobody else holds where [`Buffer`] finds it again.
pub(crate) fn recycle(tensor: &Tensor) {
    struct Take;
    impl InplaceOp1 for Take {
        fn name(&self) -> &'static str {
            "recycle"
        }

        fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> Result<()> {
            match storage {
                CpuStorage::F32(values) => drop(Buffer(std::mem::take(values))),
                CpuStorage::F64(values) => drop(Buffer(std::mem::take(values))),
                _ => {}
            }
            Ok(())
        }
    }
    // What cannot be taken is freed as any tensor.
    let _ = tensor.inplace_op1(&Take);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_tensor_is_used_again() {
        let buffer = Buffer::<f32>::of_length(77_778);
        let address = buffer.as_ptr();
        let tensor = Tensor::from_vec(buffer.into_vec(), 77_778, &candle_core::Device::Cpu);
        recycle(&tensor.unwrap());
        assert_eq!(Buffer::<f32>::of_length(77_778).as_ptr(), address);
    }

    #[test]
    fn a_buffer_is_used_again_and_zeros_are_zeros() {
        // A length that no other test asks for, so that the pool's shelf is ours.
        let first = Buffer::<f32>::of_length(77_777);
        let address = first.as_ptr();
        drop(first);
        let second = Buffer::<f32>::zeros(77_777);
        assert_eq!(second.as_ptr(), address);
        assert!(second.iter().all(|value| *value == 0.0));
    }
}
