//! A counting allocator: how much the current thread holds at most while it does something.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes held now and at most, since the last [`peak_bytes`] began. May go below zero when a
    /// thread frees what was there before.
    static HELD: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(change: i64) {
    // A thread that is ending has no counter any more, and nobody who reads it.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = now + change;
        held.set((now, most.max(now)));
    });
}

// SAFETY: every call is handed to the system allocator unchanged; counting touches only a
// thread-local cell without destructor, so it neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promises are the ones that the system allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new block may be there at once.
        count(size as i64);
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What `run` returns, and the most bytes that this thread held on top of what it had before.
pub fn peak_bytes<T>(run: impl FnOnce() -> T) -> (T, i64) {
    HELD.set((0, 0));
    let value = run();
    (value, HELD.get().1)
}

#[test]
fn the_counter_sees_what_was_held_at_most() {
    let ((), peak) = peak_bytes(|| {
        let first = std::hint::black_box(vec![1_u8; 1 << 20]);
        drop(first);
        drop(std::hint::black_box(vec![1_u8; 3 << 20]));
    });
    assert!((3 << 20..4 << 20).contains(&peak), "{peak}");
}
