//! How many threads the operations may use: one setting for the process, one override for a scope.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

static PROCESS: AtomicUsize = AtomicUsize::new(1);

thread_local! {
    static SCOPE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Sets how many threads every operation of this process may use (0 counts as 1). A cell calls it
/// once with its setting; until then operations use one.
pub fn set_threads(n_threads: usize) {
    PROCESS.store(n_threads.max(1), Ordering::Relaxed);
}

/// Threads that an operation called here would use.
#[must_use]
pub fn threads() -> usize {
    SCOPE
        .get()
        .unwrap_or_else(|| PROCESS.load(Ordering::Relaxed))
}

/// Runs `work` with `n_threads` for the operations called on this thread, whatever the process's
/// setting.
pub fn with_threads<R>(n_threads: usize, work: impl FnOnce() -> R) -> R {
    struct Restore(Option<usize>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SCOPE.set(self.0);
        }
    }
    let _restore = Restore(SCOPE.replace(Some(n_threads.max(1))));
    work()
}

/// Does every task, on as many threads as [`threads`] allows. Tasks own what they write, so the
/// result depends neither on the threads nor on the order in which tasks are done.
pub(crate) fn each<I: Send>(tasks: Vec<I>, work: impl Fn(I) + Send + Sync) {
    let pool = match threads() {
        n_threads if n_threads > 1 && tasks.len() > 1 => pool(n_threads),
        _ => None,
    };
    match pool {
        Some(pool) => pool.install(|| tasks.into_par_iter().with_max_len(1).for_each(work)),
        None => tasks.into_iter().for_each(work),
    }
}

/// The pool with `n_threads`, made at its first use and kept. None when the system refuses
/// threads: the work is then done without.
fn pool(n_threads: usize) -> Option<Arc<ThreadPool>> {
    static POOLS: Mutex<BTreeMap<usize, Arc<ThreadPool>>> = Mutex::new(BTreeMap::new());
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.get(&n_threads) {
        return Some(pool.clone());
    }
    let made = ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .thread_name(|index| format!("ops-{index}"))
        .build()
        .ok()?;
    let made = Arc::new(made);
    pools.insert(n_threads, made.clone());
    Some(made)
}

/// Consecutive ranges over `0..n`, each of `size` but the last.
pub(crate) fn chunks(n: usize, size: usize) -> Vec<Range<usize>> {
    (0..n)
        .step_by(size.max(1))
        .map(|start| start..(start + size).min(n))
        .collect()
}

/// At most [`GROUPS`] consecutive ranges over `0..n` of whole multiples of `size`: each sums the
/// weights' gradients on its own, and the sums are added in order.
pub(crate) fn groups(n: usize, size: usize) -> Vec<Range<usize>> {
    let n_chunks = n.div_ceil(size.max(1));
    chunks(n, n_chunks.div_ceil(GROUPS).max(1) * size.max(1))
}

/// Partial sums of a weight's gradient, whatever the number of threads. Four keeps four cores busy
/// and costs one thread only the addition of three small matrices.
const GROUPS: usize = 4;
