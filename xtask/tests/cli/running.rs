//! What is started, in which order, and how the parts add up.

use crate::fake::{Answer, Fake};

/// A workspace whose paper `alpha` ends with `code`, after naming its run folder.
fn workspace(code: u8) -> Fake {
    let fake = Fake::new();
    fake.cargo_builds();
    let root = fake.root().display().to_string();
    let run = fake.run_folder("R1").display().to_string();
    let note = format!("echo \"$(basename $0) $*\" >> {root}/started");
    fake.program(
        "alpha",
        &format!(
            "{note}\necho \"data=$PAPERS_DATA_PROGRAM\" >> {root}/started\n\
            echo measuring >&2\necho {run}\nexit {code}"
        ),
    );
    fake.program("data", &format!("{note}\necho data-says"));
    fake.program(
        "report",
        &format!(
            "{note}\ncase $1 in\nrender) echo {run}/report.html;;\n\
            compare) echo difference; exit ${{GATE:-0}};;\n*) echo \"the $1\";;\nesac"
        ),
    );
    fake
}

fn ends(fake: &Fake, words: &str, code: i32) -> Answer {
    let answer = fake.xtask(words);
    assert_eq!(answer.code, code, "{words}: {}", answer.stderr);
    answer
}

#[test]
fn a_complete_run_is_measured_rendered_and_shown() {
    let fake = workspace(0);
    let root = fake.root().display().to_string();
    let answer = ends(
        &fake,
        "reproduce alpha --scale smoke --seeds 2 --claims C2,C1",
        0,
    );
    let run = format!("{root}/results/alpha/R1");
    assert_eq!(
        answer.stdout,
        format!("the table\nreport: {run}/report.html\n")
    );
    let expected = format!(
        "cargo build --release --workspace --bin alpha --bin data --bin report \
         --message-format=json-render-diagnostics\n\
         alpha run --root {root} --scale smoke --claims C1,C2 --seeds 2\n\
         data={root}/bin/data\n\
         report render --root {root} {run}\n\
         report table --root {root} {run}\n"
    );
    assert_eq!(fake.started(), expected);
    for progress in ["building", "measuring"] {
        assert!(answer.stderr.contains(progress), "{}", answer.stderr);
    }
}

#[test]
fn every_option_reaches_the_paper() {
    let fake = workspace(0);
    fake.write("results/alpha/R1/run.json", "{}");
    ends(
        &fake,
        "reproduce alpha --set a=1 --set b=x=y --jobs 2 --offline",
        0,
    );
    let options = "--scale quick --set a=1 --set b=x=y --jobs 2 --offline\n";
    assert!(fake.started().contains(options), "{}", fake.started());
    ends(&fake, "reproduce alpha --resume R1 --jobs 1", 0);
    assert!(
        fake.started().contains(" --resume R1 --jobs 1\n"),
        "{}",
        fake.started()
    );
    assert!(
        !fake.started().contains("--scale quick --resume"),
        "a resumed run keeps its scale"
    );
    let fake = workspace(0);
    ends(&fake, "reproduce alpha --fresh", 0);
    assert!(
        fake.started().contains("--scale quick --fresh\n"),
        "{}",
        fake.started()
    );
}

#[test]
fn a_run_that_is_not_complete_is_shown_all_the_same() {
    for code in [5, 6, 7] {
        let fake = workspace(code);
        let answer = ends(&fake, "reproduce alpha", i32::from(code));
        assert!(
            answer.stdout.starts_with("the table\nreport: "),
            "{code}: {}",
            answer.stdout
        );
    }
}

#[test]
fn a_run_without_results_is_not_shown() {
    for code in [2, 70, 101] {
        let fake = workspace(code);
        let answer = ends(&fake, "reproduce alpha", i32::from(code));
        assert_eq!(answer.stdout, "", "{code}");
        assert!(!fake.started().contains("report render"), "{code}");
    }
}

#[test]
fn a_run_killed_by_a_signal_is_an_internal_failure() {
    let fake = workspace(0);
    fake.program("alpha", "kill -9 $$");
    let answer = ends(&fake, "reproduce alpha", 70);
    assert!(answer.stderr.contains("signal: 9"), "{}", answer.stderr);
}

#[test]
fn the_code_to_mend_first_is_returned_and_every_paper_gets_its_turn() {
    let fake = workspace(6);
    fake.paper("beta");
    fake.program("beta", "exit 5");
    let answer = ends(&fake, "reproduce beta alpha beta", 6);
    assert!(
        answer.stdout.starts_with("the table\n"),
        "{}",
        answer.stdout
    );
    assert_eq!(fake.started().matches("cargo build").count(), 1);
    assert_eq!(
        answer.stderr.matches("beta: measuring").count(),
        1,
        "each paper once"
    );
    assert_eq!(fake.xtask("reproduce --all").code, 6);
}

#[test]
fn a_failed_build_is_101() {
    let fake = workspace(0);
    fake.cargo("echo 'error: no' >&2\nexit 101");
    let answer = ends(&fake, "reproduce alpha", 101);
    assert!(
        answer.stderr.contains("error: the build failed"),
        "{}",
        answer.stderr
    );
    let fake = Fake::new();
    assert_eq!(fake.xtask("reproduce alpha").code, 101, "no cargo at all");
}

#[test]
fn an_interrupt_waits_for_the_child_and_returns_130() {
    let fake = workspace(0);
    let root = fake.root().display().to_string();
    // What Ctrl-C does: the launcher and the child both get the signal; the child ends in its own
    // time, and with a code of its own.
    fake.program(
        "alpha",
        &format!("kill -INT $PPID\nsleep 0.2\ntouch {root}/ended\nexit 5"),
    );
    let answer = ends(&fake, "reproduce --all", 130);
    assert!(
        fake.root().join("ended").exists(),
        "the child was not waited for"
    );
    assert_eq!(answer.stdout, "");
    assert!(
        !fake.started().contains("report render"),
        "{}",
        fake.started()
    );
}

#[test]
fn json_is_one_document() {
    let fake = workspace(5);
    fake.summary("results/alpha/R1/summary.json", "0");
    let json = ends(&fake, "reproduce alpha --format json", 5).json();
    let paper = &json["papers"][0];
    assert_eq!(json["format"], 1);
    assert_eq!(
        (&paper["paper"], &paper["exit_code"]),
        (&"alpha".into(), &5.into())
    );
    assert_eq!(paper["summary"]["claims"][0]["id"], "C1");
    assert!(
        paper["report"]
            .as_str()
            .unwrap()
            .ends_with("R1/report.html")
    );
}

#[test]
fn a_plan_measures_nothing() {
    for words in ["plan alpha", "reproduce alpha --plan"] {
        let fake = workspace(0);
        let answer = ends(&fake, words, 0);
        assert!(answer.stdout.ends_with("R1\n"), "{}", answer.stdout);
        assert!(
            fake.started()
                .contains("--scale quick --plan --format table"),
            "{words}"
        );
        assert!(!fake.started().contains("report render"), "{words}");
    }
    let fake = workspace(0);
    fake.program("alpha", "echo '{\"cells\":3}'");
    let json = ends(&fake, "plan alpha --format json", 0).json();
    assert_eq!(json["papers"][0]["plan"]["cells"], 3);
}

#[test]
fn the_gate_compares_a_complete_run_with_its_baseline() {
    let fake = workspace(0);
    fake.summary("results/alpha/baseline.json", "0");
    let answer = ends(&fake, "reproduce alpha --gate", 0);
    let compare = "R1 baseline\n";
    assert!(
        fake.started().contains("report compare --root"),
        "{}",
        fake.started()
    );
    assert!(fake.started().ends_with(compare), "{}", fake.started());
    assert!(
        !answer.stdout.contains("difference"),
        "stdout holds table and path alone"
    );
    let report = fake.read("bin/report").replace("${GATE:-0}", "3");
    fake.write("bin/report", &report);
    ends(&fake, "reproduce alpha --gate", 3);
    ends(&fake, "reproduce alpha --gate --save-baseline", 3);
    assert!(
        !fake.started().contains("report baseline"),
        "a fallen baseline is kept"
    );
}

#[test]
fn the_baseline_is_saved_after_a_complete_run_alone() {
    let fake = workspace(0);
    ends(&fake, "reproduce alpha --save-baseline", 0);
    assert!(
        fake.started().contains("report baseline --root"),
        "{}",
        fake.started()
    );
    let fake = workspace(5);
    let answer = ends(&fake, "reproduce alpha --save-baseline", 5);
    assert!(
        !fake.started().contains("report baseline"),
        "{}",
        fake.started()
    );
    assert!(
        answer.stderr.contains("the run is not complete"),
        "{}",
        answer.stderr
    );
}

#[test]
fn compare_report_and_data_are_passed_on() {
    let fake = workspace(0);
    let root = fake.root().display().to_string();
    for (words, started, stdout) in [
        (
            "compare alpha baseline --only-diff --format csv",
            format!("report compare --root {root} alpha baseline --format csv --only-diff\n"),
            "difference\n",
        ),
        (
            "compare",
            format!("report compare --root {root} --format table\n"),
            "difference\n",
        ),
        (
            "report alpha --open",
            format!("report page --root {root} alpha --open\n"),
            "the page\n",
        ),
        (
            "report --all",
            format!("report page --root {root} --all\n"),
            "the page\n",
        ),
        (
            "data fetch --offline x",
            "data fetch --offline x\n".to_owned(),
            "data-says\n",
        ),
        (
            "data list --help",
            "data list --help\n".to_owned(),
            "data-says\n",
        ),
    ] {
        let answer = ends(&fake, words, 0);
        assert!(
            fake.started().ends_with(&started),
            "{words}: {}",
            fake.started()
        );
        assert_eq!(answer.stdout, stdout, "{words}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    use std::process::{Command, Stdio};
    let fake = Fake::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("list")
        .env("PAPERS_ROOT", fake.root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_gate_of_ci_stops_at_the_first_failure() {
    let fake = workspace(0);
    fake.cargo("[ $1 = clippy ] && exit 101\nexit 0");
    let answer = ends(&fake, "ci", 101);
    assert!(
        answer.stderr.contains("ci 1/6: format: ok"),
        "{}",
        answer.stderr
    );
    assert!(
        answer.stderr.contains("ci 2/6: lints: FAILED"),
        "{}",
        answer.stderr
    );
    assert!(!fake.started().contains("cargo test"), "{}", fake.started());
}

#[test]
fn ci_runs_the_checks_of_bindings_and_tells_a_skip_from_a_failure() {
    for (code, said, ends_with) in [
        (0, "ci 4/6: Python bindings: ok", 0),
        (77, "ci 4/6: Python bindings: SKIPPED", 0),
        (3, "ci 4/6: Python bindings: FAILED", 101),
    ] {
        let fake = workspace(0);
        let artifacts = fake.root().join("artifacts").display().to_string();
        fake.cargo(&format!("[ $1 = build ] && cat {artifacts}\nexit 0"));
        let folder = fake.root().join("crates/alpha/python");
        std::fs::create_dir_all(&folder).unwrap();
        let check = folder.join("check");
        std::fs::write(&check, format!("#!/bin/sh\nexit {code}\n")).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&check, executable).unwrap();
        let answer = ends(&fake, "ci", ends_with);
        assert!(answer.stderr.contains(said), "{}", answer.stderr);
    }
}

#[test]
fn ci_says_loudly_that_the_licence_check_is_missing() {
    let fake = workspace(0);
    let artifacts = fake.root().join("artifacts").display().to_string();
    fake.cargo(&format!(
        "[ $1 = deny ] && exit 101\n[ $1 = build ] && cat {artifacts}\nexit 0"
    ));
    let answer = ends(&fake, "ci", 0);
    assert!(answer.stderr.contains("SKIPPED"), "{}", answer.stderr);
    assert!(answer.stdout.contains("the table"), "{}", answer.stdout);
    assert!(fake.started().contains("alpha run"), "{}", fake.started());
}
