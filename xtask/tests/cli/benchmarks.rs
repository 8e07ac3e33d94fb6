//! Benchmarks of ours beside peers, with a `cargo` and a `python3` made for the test.

use crate::fake::Fake;

/// A workspace whose crate `shared` has one benchmark, `group/16`, with a median of 2 ms.
fn workspace() -> Fake {
    let fake = Fake::new();
    let root = fake.root().display().to_string();
    fake.write("crates/shared/benches/speed.rs", "//! Speed.\n");
    fake.cargo(&format!(
        r#"case $1 in
        metadata) echo '{{"target_directory":"{root}/target"}}';;
        bench) echo chatter
            new=$CRITERION_HOME/group/16/new; mkdir -p $new
            echo '{{"full_id":"group/16"}}' > $new/benchmark.json
            echo '{{"median":{{"point_estimate":2e6}}}}' > $new/estimates.json;;
        esac"#
    ));
    fake
}

/// Declares a peer with two comparisons, of which the script knows one.
fn declare_peer(fake: &Fake) {
    fake.write(
        "crates/shared/benches/peers/other.toml",
        r#"format = 1
requires = ["other==1.0"]
script = "other.py"
environment = { OMP_NUM_THREADS = "1" }
[[compare]]
name = "size 16"
ours = "group/16"
unit = "ms"
clock = "cpu"
[[compare]]
name = "size 32"
ours = "group/32"
unit = "s"
"#,
    );
}

/// A `python3` that makes environments whose `python` installs and prints one time.
fn python_works(fake: &Fake) {
    let root = fake.root().display().to_string();
    fake.tool(
        "python3",
        &format!(
            r#"mkdir -p $4/bin
cat > $4/bin/python <<'END'
#!/bin/sh
echo "python $OMP_NUM_THREADS $*" >> {root}/started
[ "$1" = -m ] || echo '{{"name":"size 16","seconds":0.004,"cpu_seconds":0.006}}'
END
chmod +x $4/bin/python"#
        ),
    );
}

#[test]
fn medians_are_rows_without_a_peer() {
    let fake = workspace();
    let answer = fake.xtask("bench --format json");
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let rows = &answer.json()["rows"];
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["crate"], "shared");
    assert_eq!(
        (&rows[0]["name"], &rows[0]["unit"]),
        (&"group/16".into(), &"ms".into())
    );
    assert_eq!(rows[0]["ours"], 2.0);
    assert!(rows[0]["peer"].is_null() && rows[0]["speedup"].is_null());
    assert!(
        fake.started().contains("bench --workspace --bench speed"),
        "{}",
        fake.started()
    );
    assert!(answer.stderr.contains("chatter"));
}

#[test]
fn a_peer_is_installed_once_and_measured_beside_ours() {
    let fake = workspace();
    declare_peer(&fake);
    python_works(&fake);
    for n_installs in [1, 1] {
        let answer = fake.xtask("bench shared --peers --format json");
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let rows = &answer.json()["rows"];
        assert_eq!(
            (&rows[1]["name"], &rows[1]["ours"]),
            (&"size 16".into(), &2.0.into())
        );
        assert_eq!(
            (&rows[1]["peer"], &rows[1]["speedup"]),
            (&6.0.into(), &3.0.into())
        );
        assert!(rows[2]["peer"].is_null());
        let note = rows[2]["note"].as_str().unwrap();
        assert!(note.contains("printed no `size 32`"), "{note}");
        assert!(note.contains("no benchmark `group/32` ran"), "{note}");
        assert_eq!(fake.started().matches("pip install").count(), n_installs);
    }
    assert!(fake.started().contains("other==1.0"), "{}", fake.started());
    assert!(fake.started().contains("python 1 /"), "{}", fake.started());
}

#[test]
fn an_absent_peer_is_said_loudly_and_keeps_its_row() {
    let fake = workspace();
    declare_peer(&fake);
    fake.tool("python3", "echo 'no module named venv' >&2\nexit 1");
    let answer = fake.xtask("bench shared --peers --format json");
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(
        answer.stderr.contains("PEER ABSENT: `other`"),
        "{}",
        answer.stderr
    );
    let rows = &answer.json()["rows"];
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert!(rows[1]["peer"].is_null() && rows[1]["ours"] == 2.0);
    assert!(
        rows[1]["note"]
            .as_str()
            .unwrap()
            .contains("peer `other` absent")
    );
}

#[test]
fn a_declaration_with_an_unknown_key_is_refused_before_the_benchmarks() {
    let fake = workspace();
    fake.write(
        "crates/shared/benches/peers/other.toml",
        "format = 1\nrequire = []\n",
    );
    let answer = fake.xtask("bench shared");
    assert_eq!(answer.code, 2, "{}", answer.stderr);
    assert!(answer.stderr.contains("other.toml"), "{}", answer.stderr);
    assert_eq!(fake.started(), "");
}

#[test]
fn benchmarks_that_fail_are_a_failed_build() {
    let fake = workspace();
    fake.cargo("[ $1 = metadata ] && echo '{\"target_directory\":\"t\"}' && exit 0\nexit 101");
    assert_eq!(fake.xtask("bench shared").code, 101);
}

#[test]
fn peers_can_be_chosen_by_name() {
    let fake = workspace();
    declare_peer(&fake);
    python_works(&fake);
    let declaration = fake.read("crates/shared/benches/peers/other.toml");
    fake.write("crates/shared/benches/peers/llama.cpp.toml", &declaration);
    let answer = fake.xtask("bench shared --peers=llama.cpp --format json");
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.json()["rows"].as_array().unwrap().len(), 3);
    assert!(
        answer.stderr.contains("peer `other` was not asked for"),
        "{}",
        answer.stderr
    );
    assert_eq!(fake.started().matches("pip install").count(), 1);
    let answer = fake.xtask("bench shared --peers=othr");
    assert_eq!(answer.code, 2);
    assert!(
        answer.stderr.contains("did you mean `other`?"),
        "{}",
        answer.stderr
    );
}

#[test]
fn weights_are_linked_into_one_folder_for_benchmarks_and_peers() {
    let fake = workspace();
    let root = fake.root().display().to_string();
    declare_peer(&fake);
    python_works(&fake);
    let declaration = fake.read("crates/shared/benches/peers/other.toml");
    let with = format!("size = \"60 MB\"\nweights = [\"tiny\", \"absent\"]\n{declaration}");
    fake.write("crates/shared/benches/peers/other.toml", &with);
    fake.write("cache/tiny.gguf", "");
    let digest = "0".repeat(64);
    fake.write(
        "inputs.json",
        &format!(
            r#"{{"format":1,"inputs":{{"models/tiny":{{"version":"1","licence":"MIT",
            "state":{{"state":"present"}},"files":{{"tiny.gguf":
            {{"path":"{root}/cache/tiny.gguf","bytes":0,"sha256":"{digest}"}}}}}}}}}}"#
        ),
    );
    fake.program(
        "data",
        &format!("echo \"data $*\" >> {root}/started\ncat {root}/inputs.json"),
    );
    let cargo = fake.read("bin/cargo");
    let cargo = cargo.replace(
        "bench) echo chatter",
        &format!("build) cat {root}/artifacts;;\nbench) ls $MODEL_WEIGHTS >> {root}/started"),
    );
    fake.write("bin/cargo", &cargo);
    let answer = fake.xtask("bench shared --peers");
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("(60 MB)"), "{}", answer.stderr);
    assert!(
        answer.stderr.contains("WEIGHTS ABSENT"),
        "{}",
        answer.stderr
    );
    assert!(
        fake.started().contains("\ntiny.gguf\n"),
        "{}",
        fake.started()
    );
    // Without peers nothing is fetched.
    fake.xtask("bench shared");
    assert!(
        fake.started()
            .contains("data resolve --offline models/tiny"),
        "{}",
        fake.started()
    );
}
