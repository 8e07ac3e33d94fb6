//! Every slip is found before `cargo` is started.

use crate::fake::Fake;

/// The words must lead to exit code 2, with `expected` on stderr and nothing on stdout, and
/// nothing may be started.
fn refused(fake: &Fake, words: &str, expected: &str) {
    fake.cargo("exit 1");
    let answer = fake.xtask(words);
    assert_eq!(answer.code, 2, "{words}: {}", answer.stderr);
    assert!(
        answer.stderr.contains(expected),
        "{words}: {}",
        answer.stderr
    );
    assert_eq!(answer.stdout, "", "{words}");
    assert_eq!(fake.started(), "", "{words}: something was started");
}

#[test]
fn an_unknown_paper_names_the_nearest() {
    let fake = Fake::new();
    for command in ["reproduce", "plan", "show", "report"] {
        refused(&fake, &format!("{command} alpa"), "did you mean `alpha`?");
    }
}

#[test]
fn an_unknown_claim_names_the_nearest() {
    refused(
        &Fake::new(),
        "reproduce alpha --claims C1,C9",
        "no claim `C9`",
    );
}

#[test]
fn nothing_selected_is_refused() {
    let fake = Fake::new();
    refused(&fake, "reproduce", "required");
    refused(
        &fake,
        "reproduce alpha --claims ,",
        "`--claims` selects no claim",
    );
    refused(&fake, "reproduce alpha --seeds 0", "at least 1 is needed");
    refused(&fake, "reproduce alpha --jobs 0", "at least 1 is needed");
    refused(
        &fake,
        "reproduce alpha --seeds many",
        "a whole number is needed",
    );
}

#[test]
fn all_without_a_paper_is_refused() {
    let fake = Fake::new();
    std::fs::remove_file(fake.root().join("crates/alpha/paper.toml")).unwrap();
    refused(
        &fake,
        "reproduce --all",
        "there is no paper in this workspace",
    );
}

#[test]
fn an_unknown_scale_names_the_known_ones() {
    let fake = Fake::new();
    refused(&fake, "reproduce alpha --scale qick", "quick");
    refused(
        &fake,
        "reproduce alpha --scale huge",
        "smoke, quick, full, paper",
    );
}

#[test]
fn only_local_is_a_place_so_far() {
    let fake = Fake::new();
    refused(
        &fake,
        "reproduce alpha --on slurm",
        "`slurm` comes with the cluster issue",
    );
    refused(
        &fake,
        "reproduce alpha --on mars",
        "only `local` is there so far",
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let fake = Fake::new();
    fake.paper("beta");
    fake.write("results/alpha/R1/run.json", "{}");
    refused(
        &fake,
        "reproduce alpha --resume R1 --fresh",
        "cannot be used with",
    );
    refused(
        &fake,
        "reproduce alpha --resume R1 --scale full",
        "cannot be used with",
    );
    refused(
        &fake,
        "reproduce alpha beta --resume R1",
        "`--resume` goes with one paper",
    );
    refused(
        &fake,
        "reproduce --all --claims C1",
        "`--claims` goes with one paper",
    );
    refused(
        &fake,
        "reproduce --all --set k=v",
        "`--set` goes with one paper",
    );
    refused(&fake, "reproduce alpha --all", "cannot be used with");
    refused(
        &fake,
        "reproduce alpha --plan --gate",
        "cannot be used with",
    );
    refused(&fake, "reproduce alpha --set k", "`key=value` is needed");
}

#[test]
fn a_run_that_does_not_exist_names_the_nearest() {
    let fake = Fake::new();
    fake.write("results/alpha/20251122T1800-abcd/run.json", "{}");
    refused(
        &fake,
        "reproduce alpha --resume 20251122T1801-abcd",
        "did you mean `20251122T1800-abcd`?",
    );
}

#[test]
fn a_baseline_needs_verdicts_on_every_claim() {
    let fake = Fake::new();
    refused(
        &fake,
        "reproduce alpha --save-baseline --claims C1",
        "would lose the other claims",
    );
    refused(
        &fake,
        "reproduce alpha --save-baseline --scale smoke",
        "issues no verdicts",
    );
    refused(
        &fake,
        "reproduce alpha --gate",
        "has no baseline to compare with",
    );
}

#[test]
fn a_paper_file_with_an_unknown_key_is_refused_before_the_build() {
    let fake = Fake::new();
    let text = fake
        .read("crates/alpha/paper.toml")
        .replace("unit = \"bits\"", "unt = \"bits\"");
    fake.write("crates/alpha/paper.toml", &text);
    refused(&fake, "reproduce alpha", "did you mean `unit`?");
}

#[test]
fn operands_and_actions_that_name_nothing_are_refused() {
    let fake = Fake::new();
    refused(&fake, "compare alpha baselin", "did you mean `baseline`?");
    refused(&fake, "compare alpha --format xml", "markdown");
    refused(&fake, "data fetsh", "did you mean `fetch`?");
    refused(&fake, "bench shred", "did you mean `shared`?");
    refused(&fake, "bench shared", "has no benchmark");
}

#[test]
fn a_folder_that_is_no_workspace_is_refused() {
    let fake = Fake::new();
    std::fs::remove_dir_all(fake.root().join("crates")).unwrap();
    refused(&fake, "list", "is no workspace");
}
