//! Where a run comes from: commit, toolchain, machine, time.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use crate::digest::Digest;
use crate::run::Machine;

/// Compiler of the build.
pub const TOOLCHAIN: &str = env!("BUILD_TOOLCHAIN");
/// Profile and target of the build.
pub const TARGET: &str = env!("BUILD_TARGET");

/// The present time, UTC, RFC 3339 to the second.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The present time as the start of a folder's name: `20261122T183600Z`.
pub fn stamp() -> String {
    now().replace(['-', ':'], "")
}

/// The commit and whether the working tree differs from it, where git knows.
pub fn git(root: &Path) -> (Option<String>, Option<bool>) {
    let ask = |args: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(args)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let dirty = ask(&["status", "--porcelain", "--untracked-files=no"]);
    (
        ask(&["rev-parse", "HEAD"]),
        dirty.map(|changes| !changes.is_empty()),
    )
}

/// The digest of `Cargo.lock`, where it is there.
pub fn lock_digest(root: &Path) -> Option<Digest> {
    Digest::of_file(&root.join("Cargo.lock")).ok()
}

/// This machine.
pub fn machine() -> Machine {
    use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
    let wanted = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(wanted);
    // A machine that does not describe itself can still be measured on.
    let system = system.ok();
    let cpu = system.as_ref().and_then(|system| system.cpus().first());
    Machine {
        cpu: cpu.map_or_else(|| "unknown".to_owned(), |cpu| cpu.brand().trim().to_owned()),
        n_cores: n_cores(),
        ram_bytes: system.as_ref().map_or(0, System::total_memory),
        os: System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned()),
    }
}

/// Cores that this process may use.
pub fn n_cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}
