//! The replay page in a real browser: a script presses keys and reads what is shown.
//!
//! Where no Chromium or Chrome is installed, that is said loudly and these tests check nothing.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod browser;
mod games;
mod steps;

use std::io::Write;

/// Says what a test could not check.
fn not_checked(what: &str) {
    let line = format!("NOT CHECKED, no Chromium or Chrome on this machine: {what}\n");
    // Past the capture of the test harness, which swallows what passing tests print.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
