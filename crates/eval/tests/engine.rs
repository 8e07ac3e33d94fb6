//! Whole-program tests of the engine: the example paper `toy` is run, killed, starved, and resumed
//! as a person would.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use eval::{RunFolder, Summary, Verdict};

/// How often the run is killed; a larger number turns the test into a stress test.
const KILLS: &str = "STRESS_KILLS";

/// A workspace of its own, in which runs are kept.
struct World {
    root: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("crates")).unwrap();
        std::fs::write(root.path().join("Cargo.lock"), "version = 4\n").unwrap();
        std::fs::write(root.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        Self { root }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(toy());
        command
            .arg("run")
            .arg("--root")
            .arg(self.root.path())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn runs(&self) -> Vec<RunFolder> {
        eval::run::runs_of(&self.root.path().join("results"), "toy").unwrap()
    }

    /// The only run.
    fn only_run(&self) -> RunFolder {
        let mut runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }
}

/// The example program, which Cargo builds together with the tests.
fn toy() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples")
        .join(format!("toy{}", std::env::consts::EXE_SUFFIX))
}

/// Every row of a run, as bytes in plan order.
fn rows(run: &RunFolder) -> Vec<u8> {
    let cells = run.plan().unwrap().cells;
    let file = |cell: &eval::Cell| std::fs::read(run.cell(&cell.id()).join("rows.jsonl")).unwrap();
    cells.iter().flat_map(file).collect()
}

fn check_exit(output: &Output, code: u8) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(i32::from(code)), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

fn summary(run: &RunFolder) -> Summary {
    Summary::read(&run.file("summary.json")).unwrap()
}

fn done_cells(run: &RunFolder) -> usize {
    let cells = run.plan().unwrap().cells;
    cells
        .iter()
        .filter(|cell| run.done(&cell.id()).is_some())
        .count()
}

/// Kills a process and its children at once, as a power cut would.
fn kill_tree(mut engine: Child) {
    let children = format!("/proc/{0}/task/{0}/children", engine.id());
    let children = std::fs::read_to_string(children).unwrap_or_default();
    engine.kill().unwrap();
    for child in children.split_whitespace() {
        let _ = Command::new("kill")
            .args(["-9", child])
            .stderr(Stdio::null())
            .status();
    }
    engine.wait().unwrap();
}

#[test]
fn a_run_ends_with_a_summary_and_prints_its_folder() {
    let world = World::new();
    let output = world.run(&[]);
    check_exit(&output, eval::exit::COMPLETE);
    let run = world.only_run();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.trim(), run.path().to_str().unwrap());
    let verdicts: Vec<Verdict> = summary(&run)
        .claims
        .iter()
        .map(|claim| claim.verdict)
        .collect();
    assert_eq!(
        verdicts,
        [
            Verdict::Reproduced,
            Verdict::Supported,
            Verdict::NotAttempted
        ]
    );
}

#[test]
fn rows_survive_kills_at_any_moment() {
    let kills = std::env::var(KILLS)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    let args = ["--set", "n_cells=8", "--set", "rest_ms=25", "--jobs", "2"];
    let calm = World::new();
    check_exit(&calm.run(&args), eval::exit::COMPLETE);
    let wanted = rows(&calm.only_run());

    let (mut world, mut n_midway) = (World::new(), 0);
    for kill in 0..kills {
        let engine = world
            .command(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        // Golden-ratio steps spread the moments over the run's length of about 0.4 s.
        let moment_ms = (f64::from(kill) * 0.618_034).fract() * 400.0;
        std::thread::sleep(Duration::from_millis(moment_ms as u64));
        kill_tree(engine.unwrap());
        n_midway += usize::from(
            world
                .runs()
                .iter()
                .any(|run| (1..24).contains(&done_cells(run))),
        );
        let complete = world
            .runs()
            .iter()
            .any(|run| run.file("summary.json").exists());
        if complete {
            check_exit(&world.run(&args), eval::exit::COMPLETE);
            assert_eq!(rows(&world.runs()[0]), wanted);
            world = World::new();
        }
    }
    check_exit(&world.run(&args), eval::exit::COMPLETE);
    assert_eq!(rows(&world.only_run()), wanted);
    assert!(
        n_midway > 0,
        "some kill must have hit between the first cell and the last"
    );
}

#[test]
fn rows_do_not_depend_on_jobs_or_order() {
    let mut digests = Vec::new();
    for args in [
        &["--jobs", "1"][..],
        &["--jobs", "2"],
        &["--jobs", "3", "--shuffle-cells", "7"],
    ] {
        let world = World::new();
        check_exit(&world.run(args), eval::exit::COMPLETE);
        digests.push((rows(&world.only_run()), summary(&world.only_run()).rows));
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    assert!(!digests[0].1.is_empty());
}

#[test]
fn a_failed_cell_costs_one_cell_and_the_same_command_goes_on() {
    let world = World::new();
    let args = ["--seeds", "1", "--set", "fails=2"];
    let stderr = check_exit(&world.run(&args), eval::exit::INCOMPLETE);
    assert!(stderr.contains("this part was told to fail"), "{stderr}");
    let run = world.only_run();
    assert_eq!(done_cells(&run), 3);
    let claim = &summary(&run).claims[0];
    assert_eq!(
        (claim.verdict, claim.reason.as_str()),
        (Verdict::Incomplete, "1 cell has no result")
    );
    check_exit(&world.run(&args), eval::exit::INCOMPLETE);
    assert_eq!(done_cells(&world.only_run()), 3);
}

#[test]
fn damaged_rows_of_a_finished_cell_are_measured_again() {
    let world = World::new();
    let args = ["--seeds", "1", "--set", "fails=2"];
    check_exit(&world.run(&args), eval::exit::INCOMPLETE);
    let run = world.only_run();
    let cell = run
        .cell(&run.plan().unwrap().cells[0].id())
        .join("rows.jsonl");
    let whole = std::fs::read(&cell).unwrap();
    for damage in [&whole[..whole.len() - 9], b"{\"metric\":\n{}\n", b""] {
        std::fs::write(&cell, damage).unwrap();
        assert_eq!(done_cells(&run), 2);
        check_exit(&world.run(&args), eval::exit::INCOMPLETE);
        assert_eq!(std::fs::read(&cell).unwrap(), whole);
    }
}

#[test]
fn a_torn_journal_does_not_hinder() {
    let world = World::new();
    let args = ["--seeds", "1", "--set", "fails=2"];
    check_exit(&world.run(&args), eval::exit::INCOMPLETE);
    let journal = world.only_run().file("journal.jsonl");
    let mut torn = std::fs::read(&journal).unwrap();
    torn.truncate(torn.len() - 5);
    std::fs::write(&journal, torn).unwrap();
    check_exit(&world.run(&args), eval::exit::INCOMPLETE);
    let text = std::fs::read_to_string(&journal).unwrap();
    assert!(
        text.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
}

#[test]
fn a_second_process_on_the_same_run_is_refused() {
    let world = World::new();
    let args = ["--seeds", "1", "--set", "hangs=0"];
    let first = world
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while world.runs().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let stderr = check_exit(&world.run(&args), eval::exit::INCOMPLETE);
    assert!(
        stderr.contains(&format!("process {}", first.id())),
        "{stderr}"
    );
    assert!(stderr.contains("--fresh"), "{stderr}");
    kill_tree(first);
}

#[test]
fn an_interrupt_ends_in_order_and_keeps_what_is_finished() {
    let world = World::new();
    let args = ["--seeds", "1", "--set", "hangs=3"];
    let engine = world
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while world.runs().is_empty() || done_cells(&world.only_run()) < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = Command::new("kill")
        .args(["-INT", &engine.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    let output = engine.wait_with_output().unwrap();
    let stderr = check_exit(&output, eval::exit::INTERRUPTED);
    assert!(
        stderr.contains("go on with `cargo xtask reproduce toy`"),
        "{stderr}"
    );
    assert_eq!(done_cells(&world.only_run()), 3);
    assert_eq!(
        world.only_run().record().unwrap().status,
        eval::run::RunStatus::Incomplete
    );
}

#[test]
fn a_full_disk_is_said_and_nothing_finished_is_lost() {
    let world = World::new();
    let args = ["--seeds", "1", "--set", "n_darts=4000"];
    // A limit on file size makes writes fail as a full disk does, without root's help.
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$@\"";
    let toy = toy();
    let root = world.root.path();
    let mut starved = Command::new("bash");
    starved
        .args(["-c", script, "bash"])
        .arg(&toy)
        .arg("run")
        .arg("--root")
        .arg(root)
        .args(args);
    let stderr = check_exit(&starved.output().unwrap(), eval::exit::INCOMPLETE);
    assert!(stderr.contains("rows.jsonl"), "{stderr}");
    check_exit(&world.run(&args), eval::exit::COMPLETE);
    assert_eq!(
        world.only_run().record().unwrap().status,
        eval::run::RunStatus::Complete
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let world = World::new();
    std::fs::write(world.root.path().join("results"), "a file").unwrap();
    let stderr = check_exit(&world.run(&[]), eval::exit::INTERNAL);
    assert!(stderr.contains("results"), "{stderr}");
}

#[test]
fn senseless_requests_are_usage_errors_before_any_folder() {
    let world = World::new();
    for (args, words) in [
        (&["--claims", "C9"][..], "did you mean"),
        (&["--seeds", "0"], "measures nothing"),
        (&["--jobs", "0"], "measures nothing"),
        (&["--claims", "C3"], "no cell is selected"),
        (&["--set", "n_cells=0"], "no cell is selected"),
        (&["--set", "n_dart=3"], "did you mean `n_darts`?"),
        (&["--set", "n_darts=many"], "the configuration refuses"),
        (&["--scale", "huge"], "is no scale"),
        (&["--resume", "nosuch"], "there is no run `nosuch`"),
    ] {
        let stderr = check_exit(&world.run(args), eval::exit::USAGE);
        assert!(stderr.contains(words), "{args:?}: {stderr}");
        assert!(!world.root.path().join("results").exists(), "{args:?}");
    }
}

#[test]
fn a_missing_input_makes_claims_not_attempted_and_says_the_command() {
    let world = World::new();
    let output = world.run(&["--set", "needs=digits"]);
    check_exit(&output, eval::exit::INPUTS);
    let claim = &summary(&world.only_run()).claims[0];
    assert_eq!(claim.verdict, Verdict::NotAttempted);
    assert!(
        claim.reason.contains("cargo xtask data fetch digits"),
        "{}",
        claim.reason
    );
}

#[test]
fn smoke_issues_no_verdicts() {
    let world = World::new();
    check_exit(&world.run(&["--scale", "smoke"]), eval::exit::COMPLETE);
    let run = world.only_run();
    assert!(
        summary(&run)
            .claims
            .iter()
            .all(|claim| claim.verdict == Verdict::NotAttempted)
    );
}

#[test]
fn the_plan_tells_what_would_run_and_what_is_there() {
    let world = World::new();
    let args = [
        "--seeds", "1", "--set", "fails=2", "--plan", "--format", "json",
    ];
    let plan = |world: &World| -> serde_json::Value {
        serde_json::from_slice(&world.run(&args).stdout).unwrap()
    };
    let before = plan(&world);
    assert_eq!(
        (before["n_would_run"].as_u64(), before["n_there"].as_u64()),
        (Some(4), Some(0))
    );
    assert!(world.runs().is_empty(), "a plan leaves nothing behind");
    check_exit(&world.run(&args[..4]), eval::exit::INCOMPLETE);
    let after = plan(&world);
    assert_eq!(
        (after["n_would_run"].as_u64(), after["n_there"].as_u64()),
        (Some(1), Some(3))
    );
}

#[test]
fn a_run_of_other_settings_is_not_resumed() {
    let world = World::new();
    check_exit(
        &world.run(&["--seeds", "1", "--set", "fails=2"]),
        eval::exit::INCOMPLETE,
    );
    check_exit(&world.run(&["--seeds", "2"]), eval::exit::COMPLETE);
    assert_eq!(world.runs().len(), 2);
    let name = world.runs()[0].name();
    std::fs::write(world.root.path().join("Cargo.toml"), "[profile.release]\n").unwrap();
    let stderr = check_exit(&world.run(&["--resume", &name]), eval::exit::USAGE);
    assert!(stderr.contains("other code"), "{stderr}");
}

#[test]
fn a_run_can_be_summarized_again_from_its_rows() {
    let world = World::new();
    check_exit(&world.run(&[]), eval::exit::COMPLETE);
    let run = world.only_run();
    let before = summary(&run);
    std::fs::remove_file(run.file("summary.json")).unwrap();
    let output = Command::new(toy())
        .arg("summarize")
        .arg(run.path())
        .output()
        .unwrap();
    check_exit(&output, eval::exit::COMPLETE);
    assert_eq!(summary(&run), before);
}

#[test]
fn no_test_reaches_outside_its_folder() {
    let world = World::new();
    check_exit(&world.run(&["--seeds", "1"]), eval::exit::COMPLETE);
    let entries = |path: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        entries(world.root.path()),
        ["Cargo.lock", "Cargo.toml", "crates", "results"]
    );
}
