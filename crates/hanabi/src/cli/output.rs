//! The only place of these commands that prints: data to stdout, everything else to stderr.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use eval::{Error, Result};

/// Where data goes: a file, or stdout.
pub struct Sink {
    file: Option<(PathBuf, File)>,
}

impl Sink {
    /// A new file at `path`, or stdout.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let create = |path: &Path| {
            let file = File::create(path).map_err(|e| Error::io("create", path, e))?;
            Ok::<_, Error>((path.to_owned(), file))
        };
        Ok(Self {
            file: path.map(create).transpose()?,
        })
    }

    /// Writes data. A reader of stdout that has seen enough is no failure.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, text: &str) -> Result<()> {
        match &mut self.file {
            Some((path, file)) => file
                .write_all(text.as_bytes())
                .map_err(|e| Error::io("write", path, e)),
            None => data(text),
        }
    }
}

/// Writes data to stdout.
///
/// # Errors
/// stdout cannot be written for another reason than a reader that went away.
pub fn data(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::internal("cannot write to stdout").caused_by(cause))
        }
        _ => Ok(()),
    }
}

/// A line for a person, to stderr.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The text of a file that is read whole, at most 1 GiB.
///
/// # Errors
/// It cannot be read, is too large, or is not UTF-8.
pub fn read(path: &Path) -> Result<String> {
    const BYTES_MAX: u64 = 1 << 30;
    let io = |e| Error::io("read", path, e);
    let n_bytes = std::fs::metadata(path).map_err(io)?.len();
    if n_bytes > BYTES_MAX {
        let path = path.display();
        return Err(Error::inputs(format!("`{path}` has {n_bytes} bytes"))
            .hint("at most 1 GiB is read at once: split the file between games"));
    }
    std::fs::read_to_string(path).map_err(io)
}
