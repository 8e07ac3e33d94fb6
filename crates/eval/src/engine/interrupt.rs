//! Interrupts: the first asks for an orderly end, the second for an immediate one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::{Error, Result};

/// How often this process was asked to stop.
#[derive(Clone, Default)]
pub struct Interrupts(Arc<AtomicUsize>);

impl Interrupts {
    /// Starts counting interrupts and termination requests.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn watch() -> Result<Self> {
        let count = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM] {
            let count = Arc::clone(&count);
            // SAFETY: the handler only adds to an atomic counter, which is allowed in a handler.
            let installed = unsafe {
                signal_hook::low_level::register(signal, move || {
                    count.fetch_add(1, Ordering::Relaxed);
                })
            };
            installed.map_err(|e| Error::internal("cannot watch for interrupts").caused_by(e))?;
        }
        Ok(Self(count))
    }

    /// Requests so far.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A flag that turns true when this cell process is asked to stop.
///
/// # Errors
/// The handlers cannot be installed.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))
            .map_err(|e| Error::internal("cannot watch for interrupts").caused_by(e))?;
    }
    Ok(flag)
}
