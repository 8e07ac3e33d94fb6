//! Advisory locks that the operating system frees when their holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// A held lock; dropping it frees it.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, waiting at most `patience` for another holder.
    ///
    /// # Errors
    /// Another process holds it (the message names its number), or the file cannot be written.
    pub fn take(path: &Path, patience: Duration) -> Result<Self> {
        const PAUSE: Duration = Duration::from_millis(20);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| Error::io("open the lock", path, e))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(held(path, &mut file)),
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", path, e)),
            }
        }
        let pid = std::process::id().to_string();
        file.set_len(0)
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(|e| Error::io("write the lock", path, e))?;
        Ok(Self { _file: file })
    }
}

fn held(path: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    // Who holds it is a courtesy; not knowing changes nothing.
    let _ = file
        .rewind()
        .and_then(|()| file.read_to_string(&mut holder));
    let folder = path.parent().unwrap_or(path).display().to_string();
    Error::incomplete(format!(
        "`{folder}` is being measured by process {}",
        holder.trim()
    ))
    .hint("wait until it ends and give the same command again, or add `--fresh` for a new run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_a_freed_lock_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lock::take(&path, Duration::ZERO).unwrap();
        let refused = Lock::take(&path, Duration::ZERO).err().unwrap();
        assert_eq!(refused.exit_code(), crate::exit::INCOMPLETE);
        assert!(
            refused
                .to_string()
                .contains(&std::process::id().to_string())
        );
        drop(first);
        assert!(Lock::take(&path, Duration::ZERO).is_ok());
    }
}
