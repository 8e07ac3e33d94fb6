//! Files that these commands read and write.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use eval::{Error, Result, output};

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
            None => output::data(text),
        }
    }
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
