//! What every hostile file must meet: a named error, little memory, never a panic; and files that
//! are cut, absent, or no weights at all.

use std::path::{Path, PathBuf};

use model::weights::Checkpoint;

use crate::allocation::peak_bytes;
use crate::build::{ALIGNMENT, small};

/// What opening a hostile file may hold at most.
pub const LIMIT_BYTES: i64 = 64 << 20;

/// Opens, reads everything there is, and hands back what went wrong first.
pub fn read_all(open: impl FnOnce() -> eval::Result<Checkpoint>) -> eval::Result<()> {
    let checkpoint = open()?;
    checkpoint.verify_finite()?;
    for name in checkpoint.names() {
        checkpoint.tensor(name)?.to_f32()?;
    }
    if let Some(gguf) = checkpoint.gguf() {
        for key in gguf.keys() {
            // Values of any type and content may be there; asking must not panic.
            let _ = (
                gguf.text(key),
                gguf.integer(key),
                gguf.number(key),
                gguf.flag(key),
            );
            let _ = (gguf.texts(key), gguf.integers(key), gguf.numbers(key));
        }
    }
    Ok(())
}

/// The file must be refused with `fragment`, a hint, its name, and within the memory limit.
pub fn refused(
    attack: &str,
    file: &str,
    open: impl FnOnce() -> eval::Result<Checkpoint>,
    fragment: &str,
) {
    let (result, peak) = peak_bytes(|| read_all(open));
    let Err(error) = result else {
        panic!("{attack}: accepted");
    };
    let message = error.to_string();
    assert!(message.contains(fragment), "{attack}: {message}");
    assert!(
        message.contains(file),
        "{attack} does not name the file: {message}"
    );
    assert!(
        message.len() < 1000,
        "{attack}: {} bytes of message",
        message.len()
    );
    assert!(!message.contains(['\u{1b}', '\n']), "{attack}: {message:?}");
    assert!(error.next_step().is_some(), "{attack} names no next step");
    assert!(peak < LIMIT_BYTES, "{attack}: {peak} bytes");
}

/// The configuration of a sound model.
pub fn config() -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    std::fs::read(fixtures.join("tiny-llama/config.json")).unwrap()
}

/// Its tensors.
pub fn sound_safetensors() -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    std::fs::read(fixtures.join("tiny-llama/model.safetensors")).unwrap()
}

/// Every prefix of a sound file is refused, through the file system as users meet it.
#[test]
fn truncated_files_are_refused_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.gguf");
    let bytes = small("llama").bytes();
    let last = ALIGNMENT;
    for n in (0..bytes.len() - last).step_by(61) {
        std::fs::write(&path, &bytes[..n]).unwrap();
        refused("truncation", "cut.gguf", || Checkpoint::open(&path), "");
    }
    std::fs::write(folder.path().join("config.json"), config()).unwrap();
    let path = folder.path().join("model.safetensors");
    let bytes = sound_safetensors();
    for n in (0..bytes.len()).step_by(61) {
        std::fs::write(&path, &bytes[..n]).unwrap();
        refused(
            "truncation",
            "model.safetensors",
            || Checkpoint::open(folder.path()),
            "",
        );
    }
}

#[test]
fn paths_that_are_no_weights_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let refused = |path: PathBuf, fragment: &str| {
        let error = Checkpoint::open(&path).err().unwrap();
        assert!(error.to_string().contains(fragment), "{error}");
        assert!(error.next_step().is_some(), "{error}");
    };
    refused(at("no.gguf"), "there is no file");
    refused(folder.path().to_owned(), "0 `.gguf` files");
    std::fs::write(at("a.bin"), "x").unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/dev/zero", at("endless.gguf")).unwrap();
        refused(at("endless.gguf"), "not a regular file");
        std::fs::remove_file(at("endless.gguf")).unwrap();
    }
    std::fs::create_dir(at("folder.safetensors")).unwrap();
    refused(at("folder.safetensors"), "0 `.gguf` files");
    refused(at("a.bin"), "neither a `.gguf` nor a `.safetensors` file");
    std::fs::write(at("a.safetensors"), "x").unwrap();
    refused(at("a.safetensors"), "config.json`");
    for name in ["a.gguf", "b.gguf"] {
        std::fs::write(at(name), small("llama").bytes()).unwrap();
    }
    refused(folder.path().to_owned(), "2 `.gguf` files");
    std::fs::remove_file(at("b.gguf")).unwrap();
    assert!(Checkpoint::open(folder.path()).is_ok());
    std::fs::write(at("config.json"), vec![b' '; (1 << 20) + 1]).unwrap();
    refused(folder.path().to_owned(), "longer than 1048576 bytes");
    std::fs::write(at("config.json"), config()).unwrap();
    refused(folder.path().to_owned(), "model.safetensors.index.json");
}
