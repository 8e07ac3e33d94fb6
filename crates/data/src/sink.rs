//! Checking files, and writing new ones so that only checked bytes ever get the final name.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use eval::digest::Digest;

use crate::manifest::FileEntry;

/// Unfinished files begin so; names of a manifest never do.
pub(crate) const PART_PREFIX: &str = ".part-";

const PIECE_BYTES: usize = 1 << 16;

/// How a file on this machine compares with its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// It has the pinned bytes, or at least the length if only that was asked for.
    Good,
    /// There is no such file.
    Absent,
    /// It has other bytes; the text says which.
    Altered(String),
    /// It cannot be read; the text says why.
    Unreadable(String),
}

/// How much of a file is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Its length: instant.
    Length,
    /// Its length, then every byte.
    Digest,
}

/// Compares the file at `path` with what the manifest says of it.
pub(crate) fn check(path: &Path, entry: &FileEntry, depth: Depth) -> Check {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Check::Absent,
        Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => return Check::Absent,
        Err(cause) => {
            return Check::Unreadable(format!("cannot read `{}`: {cause}", path.display()));
        }
    };
    if !metadata.is_file() {
        return Check::Unreadable(format!("`{}` is not a file", path.display()));
    }
    if metadata.len() != entry.bytes {
        let (found, expected) = (metadata.len(), entry.bytes);
        let path = path.display();
        return Check::Altered(format!(
            "`{path}` has {found} bytes, {expected} are expected"
        ));
    }
    if depth == Depth::Length {
        return Check::Good;
    }
    match Digest::of_file(path) {
        Ok(found) if found == entry.sha256 => Check::Good,
        Ok(found) => {
            let (path, expected) = (path.display(), &entry.sha256);
            Check::Altered(format!(
                "`{path}` has sha256 {found}, {expected} is expected"
            ))
        }
        Err(error) => Check::Unreadable(format!("{error}")),
    }
}

/// A file in the making: a temporary sibling of its final name, deleted unless finished.
pub(crate) struct Sink {
    temporary: tempfile::NamedTempFile,
    target: PathBuf,
    entry: FileEntry,
    written: u64,
}

impl Sink {
    /// Starts the file that will be `target`.
    pub(crate) fn create(target: &Path, entry: &FileEntry) -> Result<Self, String> {
        let folder = target.parent().unwrap_or(Path::new("."));
        let fail = |cause: io::Error| format!("cannot write below `{}`: {cause}", folder.display());
        fs::create_dir_all(folder).map_err(fail)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(PART_PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // What a plain `File::create` would give; the umask still applies.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let temporary = builder.tempfile_in(folder).map_err(fail)?;
        Ok(Self {
            temporary,
            target: target.to_owned(),
            entry: entry.clone(),
            written: 0,
        })
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that may still come.
    pub(crate) fn room(&self) -> u64 {
        self.entry.bytes - self.written
    }

    /// Whether the file is a web page itself.
    pub(crate) fn is_page_wanted(&self) -> bool {
        let name = self.entry.name.to_ascii_lowercase();
        name.ends_with(".html") || name.ends_with(".htm")
    }

    /// Goes back to where `mark` bytes were written.
    pub(crate) fn rewind(&mut self, mark: u64) -> io::Result<()> {
        let file = self.temporary.as_file_mut();
        file.set_len(mark)?;
        file.seek(SeekFrom::Start(mark))?;
        self.written = mark;
        Ok(())
    }

    /// Appends everything of `reader`, and never reads more than one byte beyond what may come.
    pub(crate) fn copy(
        &mut self,
        reader: &mut dyn Read,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), CopyError> {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut reader = reader.take(self.room() + 1);
        loop {
            let n_bytes = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n_bytes) => n_bytes,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(CopyError::Read(cause)),
            };
            let fitting = usize::try_from(self.room())
                .unwrap_or(usize::MAX)
                .min(n_bytes);
            self.temporary
                .write_all(&buffer[..fitting])
                .map_err(|cause| CopyError::Write(self.target.clone(), cause))?;
            self.written += fitting as u64;
            if fitting < n_bytes {
                return Err(if self.is_web_page() {
                    CopyError::WebPage
                } else {
                    CopyError::TooLong(self.entry.bytes)
                });
            }
            told(self.written);
        }
    }

    /// Checks what was written, makes it durable, and gives it its final name.
    pub(crate) fn finish(mut self) -> Result<PathBuf, String> {
        let fail = |cause: io::Error| format!("cannot write `{}`: {cause}", self.target.display());
        self.temporary
            .flush()
            .and_then(|()| self.temporary.as_file().sync_all())
            .map_err(fail)?;
        let what = match check(self.temporary.path(), &self.entry, Depth::Digest) {
            Check::Good => None,
            Check::Absent => Some("the unfinished file was removed by someone else".to_owned()),
            Check::Unreadable(why) => Some(why),
            Check::Altered(_) if self.is_web_page() => Some(CopyError::WebPage.to_string()),
            Check::Altered(_) => Some(self.wrong_bytes()),
        };
        if let Some(what) = what {
            return Err(what);
        }
        let Self {
            temporary, target, ..
        } = self;
        temporary
            .persist(&target)
            .map_err(|e| format!("cannot write `{}`: {}", target.display(), e.error))?;
        // The bytes are safe without this; only the new name might be lost in a power cut.
        if cfg!(unix)
            && let Some(folder) = target.parent()
            && let Ok(folder) = File::open(folder)
        {
            let _ = folder.sync_all();
        }
        Ok(target)
    }

    fn wrong_bytes(&self) -> String {
        let FileEntry { bytes, sha256, .. } = &self.entry;
        if self.written != *bytes {
            return format!("it gave {} bytes, {bytes} are expected", self.written);
        }
        let found = Digest::of_file(self.temporary.path())
            .map_or_else(|error| error.to_string(), |digest| digest.to_string());
        format!("it gave bytes with sha256 {found}, {sha256} is expected")
    }

    /// Whether what came begins like HTML while the file should not: a login or error page.
    fn is_web_page(&self) -> bool {
        let mut head = Vec::new();
        let opened = File::open(self.temporary.path());
        let read = opened.and_then(|file| file.take(256).read_to_end(&mut head));
        let head = String::from_utf8_lossy(&head)
            .trim_start()
            .to_ascii_lowercase();
        read.is_ok()
            && (head.starts_with("<!doctype html") || head.starts_with("<html"))
            && !self.is_page_wanted()
    }
}

/// Why copying stopped.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// The source failed; asking again may help.
    Read(io::Error),
    /// The disk failed or is full.
    Write(PathBuf, io::Error),
    /// The source has more than the expected bytes.
    TooLong(u64),
    /// The source sent a page for a person.
    WebPage,
}

impl std::fmt::Display for CopyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read(cause) => write!(f, "it stopped in the middle: {cause}"),
            Self::Write(path, cause) => write!(f, "cannot write `{}`: {cause}", path.display()),
            Self::TooLong(bytes) => write!(f, "it gave more than the {bytes} bytes expected"),
            Self::WebPage => write!(f, "it sent a web page instead of the file"),
        }
    }
}

/// Removes what killed programs left unfinished in `folder` and below.
pub(crate) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let is_part = entry.file_name().to_string_lossy().starts_with(PART_PREFIX);
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        // Sweeping is housekeeping: what cannot be removed stays.
        let _ = match (is_part, is_folder) {
            (true, true) => fs::remove_dir_all(entry.path()),
            (true, false) => fs::remove_file(entry.path()),
            (false, true) => {
                sweep(&entry.path());
                Ok(())
            }
            (false, false) => Ok(()),
        };
    }
}
