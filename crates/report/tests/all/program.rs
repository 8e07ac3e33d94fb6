//! The program: exit codes, hints, staleness, the gate.

use std::path::Path;
use std::process::{Command, Output};

use eval::{Scale, Verdict};

use crate::support::{Workspace, claims};

const RUN: &str = "20261122T180000Z-abcdef12";

fn report(root: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_report"))
        .current_dir(root)
        .env_remove(eval::env::WORKSPACE_ROOT)
        .args(args)
        .output()
        .unwrap()
}

fn check(root: &Path, args: &[&str], code: i32, wanted: &str) -> String {
    let output = report(root, args);
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    assert!(
        out.contains(wanted) || err.contains(wanted),
        "{args:?}: {wanted}\n{out}\n{err}"
    );
    out
}

#[test]
fn help_lists_the_exit_codes() {
    let workspace = Workspace::new();
    check(
        workspace.root(),
        &["--help"],
        0,
        "3 a gated claim fell below its baseline",
    );
    check(workspace.root(), &["tabel"], 2, "unrecognized subcommand");
}

#[test]
fn a_run_is_found_by_folder_name_and_paper() {
    let workspace = Workspace::new();
    workspace.run(RUN, Scale::Quick, claims());
    let root = workspace.root();
    let qualified = format!("demo/{RUN}");
    let by_path = format!("results/demo/{RUN}");
    for word in [RUN, "demo", &qualified, &by_path] {
        check(root, &["table", word], 0, "✓ reproduced");
    }
    check(root, &["table", "dmo"], 2, "did you mean `demo`?");
}

#[test]
fn json_is_the_summary() {
    let workspace = Workspace::new();
    let path = workspace.run(RUN, Scale::Quick, claims());
    let out = check(
        workspace.root(),
        &["table", "demo", "--format", "json"],
        0,
        "",
    );
    let shown: eval::Summary = serde_json::from_str(&out).unwrap();
    assert_eq!(
        shown,
        eval::Summary::read(&path.join("summary.json")).unwrap()
    );
}

#[test]
fn an_unfinished_run_says_how_to_go_on() {
    let workspace = Workspace::new();
    let path = workspace.run(RUN, Scale::Quick, claims());
    std::fs::remove_file(path.join("summary.json")).unwrap();
    let resume = format!("cargo xtask reproduce demo --resume {RUN}");
    let by_path = path.to_string_lossy().into_owned();
    for args in [
        ["render", &by_path],
        ["table", "demo"],
        ["page", "demo"],
        ["compare", "demo"],
    ] {
        check(workspace.root(), &args, 5, &resume);
    }
}

#[test]
fn changed_code_makes_every_verdict_stale_everywhere() {
    let workspace = Workspace::new();
    workspace.run(RUN, Scale::Quick, claims());
    let root = workspace.root();
    workspace.change_code();
    let out = check(
        root,
        &["table", "demo", "--format", "csv"],
        0,
        "then: reproduced",
    );
    assert!(!out.contains(",reproduced,"), "{out}");
    assert!(
        out.contains(",not attempted,"),
        "what was never measured cannot be stale"
    );
    let out = check(
        root,
        &["compare", "demo", "--format", "json"],
        0,
        "\"verdict\": \"stale\"",
    );
    assert!(out.contains("\"recorded\": \"reproduced\""));
    let out = check(root, &["page", "demo"], 0, "report.html");
    let page = std::fs::read_to_string(out.lines().next().unwrap()).unwrap();
    assert!(page.contains("no verdict below counts"));
    assert!(!page.contains("</span>reproduced</span></h3>"));
    check(root, &["baseline", "demo"], 2, "is stale");
}

#[test]
fn the_baseline_takes_complete_runs_that_issue_verdicts() {
    let workspace = Workspace::new();
    let root = workspace.root();
    workspace.run("1-smoke", Scale::Smoke, claims());
    check(root, &["baseline", "demo/1-smoke"], 2, "scale smoke");
    let path = workspace.run("2-broken", Scale::Quick, claims());
    workspace.fail_a_cell(&path, "out of memory");
    check(root, &["baseline", "demo/2-broken"], 5, "--resume 2-broken");
    workspace.run("3-good", Scale::Quick, claims());
    check(root, &["baseline", "demo/3-good"], 0, "baseline.json");
    let baseline = root.join("results/demo/baseline.json");
    assert_eq!(eval::Summary::read(&baseline).unwrap().run, "3-good");
}

#[test]
fn the_gate_names_the_claims_that_fell() {
    let workspace = Workspace::new();
    let root = workspace.root();
    workspace.run("1", Scale::Quick, claims());
    check(
        root,
        &["compare", "demo", "--gate"],
        2,
        "no paper has a baseline",
    );
    check(root, &["baseline", "demo"], 0, "baseline.json");
    check(root, &["compare", "demo", "--gate"], 0, "");
    let mut fallen = claims();
    fallen[1].verdict = Verdict::Approximate;
    fallen[3].verdict = Verdict::Inconclusive;
    fallen[3].gate = false;
    workspace.run("2", Scale::Quick, fallen);
    let wanted = "error: below the baseline: demo C2: was reproduced, is approximate\n";
    check(root, &["compare", "demo", "--gate"], 3, wanted);
    check(root, &["compare", "demo/1", "demo/2", "--gate"], 0, "");
    workspace.run("3", Scale::Smoke, claims());
    check(root, &["compare", "demo", "--gate"], 2, "scale smoke");
}

#[test]
fn only_differences_are_kept() {
    let workspace = Workspace::new();
    let root = workspace.root();
    workspace.run("1", Scale::Quick, claims());
    let mut changed = claims();
    let counts = changed[0].estimate.as_ref().unwrap().counts();
    changed[0].estimate = Some(eval::Estimate::deterministic(5e-13, 120, counts, "largest"));
    workspace.run("2", Scale::Full, changed);
    let args = [
        "compare",
        "demo/1",
        "demo/2",
        "--only-diff",
        "--format",
        "csv",
    ];
    let out = check(root, &args, 0, "drift: neither has an interval");
    assert_eq!(
        out.lines().count(),
        3,
        "a heading and one claim in two columns: {out}"
    );
    check(
        root,
        &["compare", "demo/1", "demo/2"],
        0,
        "scales differ: demo 1 is quick, demo 2 is full",
    );
}

#[test]
fn without_operands_every_newest_run_is_compared() {
    let workspace = Workspace::new();
    let root = workspace.root();
    check(root, &["compare"], 5, "cargo xtask reproduce --all");
    workspace.run("1", Scale::Quick, claims());
    check(root, &["baseline", "demo"], 0, "");
    for format in ["table", "markdown", "csv", "json", "latex", "html"] {
        check(root, &["compare", "--format", format], 0, "baseline");
    }
    check(root, &["compare", "baseline", "published"], 0, "0.79 bits");
}
