//! Records the compiler and the target of the build, which every run's provenance names.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.as_deref().map_or("unknown", str::trim);
    let variable = |name| std::env::var(name).unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=BUILD_TOOLCHAIN={version}");
    println!(
        "cargo::rustc-env=BUILD_TARGET={}, {}",
        variable("PROFILE"),
        variable("TARGET")
    );
    println!("cargo::rerun-if-changed=build.rs");
}
