//! Hostile safetensors files.

use model::weights::Checkpoint;

use crate::attacks::{config, refused};

/// A safetensors file of this header and `n_data` zero bytes.
fn safetensors(header: &str, n_data: usize) -> Vec<u8> {
    let length = header.len() as u64;
    [
        &length.to_le_bytes()[..],
        header.as_bytes(),
        &vec![0; n_data],
    ]
    .concat()
}

fn safetensors_refused(attack: &str, bytes: Vec<u8>, fragment: &str) {
    let config = config();
    let file = "attack.safetensors";
    let open = || Checkpoint::from_safetensors_bytes(file, &config, bytes);
    refused(attack, file, open, fragment);
}

/// A header, how many bytes of data follow, and a fragment of the message it leads to.
type Header = (&'static str, &'static str, usize, &'static str);

const HEADERS: &[Header] = &[
    ("no JSON", "GGUF", 0, "its header is wrong"),
    ("no object", "[]", 0, "an object"),
    (
        "nothing",
        "{}",
        0,
        "`model.embed_tokens.weight` of [32, 16] is missing",
    ),
    (
        "unknown member",
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#,
        4,
        "unknown field",
    ),
    (
        "missing member",
        r#"{"a":{"dtype":"F32","shape":[1]}}"#,
        4,
        "missing field",
    ),
    (
        "duplicate name",
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
            "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        8,
        "`a` is there twice",
    ),
    (
        "duplicate notes",
        r#"{"__metadata__":{},"__metadata__":{}}"#,
        0,
        "`__metadata__` is there twice",
    ),
    (
        "unknown element type",
        r#"{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#,
        4,
        "`F8_E4M3`",
    ),
    (
        "negative dimension",
        r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        4,
        "header is wrong",
    ),
    (
        "many dimensions",
        r#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}"#,
        4,
        "more than 8 dimensions",
    ),
    (
        "empty tensor",
        r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#,
        0,
        "impossible shape",
    ),
    (
        "overflowing shape",
        r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#,
        0,
        "impossible shape",
    ),
    (
        "huge shape",
        r#"{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#,
        4,
        "only 4 bytes",
    ),
    (
        "reversed offsets",
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
        4,
        "needs 4 bytes",
    ),
    (
        "wrong length",
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        4,
        "needs 8 bytes",
    ),
    (
        "beyond the file",
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
        4,
        "only 4 bytes",
    ),
    (
        "overlap",
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
        12,
        "overlaps",
    ),
    (
        "hole",
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
            "b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
        12,
        "a hole",
    ),
    (
        "trailing bytes",
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        5,
        "belong to no tensor",
    ),
    (
        "control characters",
        r#"{"a\u001b[31m":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#,
        0,
        "\\u{1b}[31m",
    ),
    (
        "unknown tensor",
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        4,
        "is missing",
    ),
];

#[test]
fn every_hostile_safetensors_is_refused_by_name() {
    for (attack, header, n_data, fragment) in HEADERS {
        safetensors_refused(attack, safetensors(header, *n_data), fragment);
    }
    for (attack, header, n_data, fragment) in [
        (
            "deep nesting",
            &"[".repeat(1 << 20),
            0,
            "its header is wrong",
        ),
        (
            "deep notes",
            &format!("{{\"__metadata__\":{}", "[".repeat(1 << 20)),
            0,
            "EOF",
        ),
        (
            "long name",
            &format!(r#"{{"{}":0}}"#, "n".repeat(257)),
            0,
            "257 bytes",
        ),
        (
            "endless shape",
            &format!(
                r#"{{"a":{{"dtype":"F32","shape":[{}1]}}}}"#,
                "1,".repeat(1 << 21)
            ),
            4,
            "more than 8 dimensions",
        ),
    ] {
        safetensors_refused(attack, safetensors(header, n_data), fragment);
    }
    safetensors_refused("empty", Vec::new(), "the length of the header");
    safetensors_refused("cut length", vec![1; 7], "the length of the header");
    safetensors_refused("giant header", vec![0xff; 100], "more than the limit");
    let beyond = [&1000_u64.to_le_bytes()[..], b"{}"].concat();
    safetensors_refused("header beyond the file", beyond, "needs 1000 bytes");
}

/// Eight megabytes of the smallest members, notes, and escapes.
#[test]
fn headers_full_of_tiny_members_stay_within_memory() {
    let members = |n: usize| {
        let mut header = String::from("{");
        for idx in 0..n {
            let (start, end) = (idx * 4, idx * 4 + 4);
            header.push_str(&format!(
                r#""{idx}":{{"dtype":"F32","shape":[1],"data_offsets":[{start},{end}]}},"#
            ));
        }
        header.pop();
        header + "}"
    };
    let n = 1 << 16;
    safetensors_refused(
        "many members",
        safetensors(&members(n), 4 * n),
        "is missing",
    );
    safetensors_refused(
        "too many members",
        safetensors(&members(n + 1), 0),
        "more than 65536 names",
    );
    let notes = format!(
        r#"{{"__metadata__":{{{}"":""}}}}"#,
        r#""":"","#.repeat(1 << 20)
    );
    safetensors_refused("many notes", safetensors(&notes, 0), "is missing");
    let config = format!("[{}0]", "[],".repeat(300_000)).into_bytes();
    let open = || Checkpoint::from_safetensors_bytes("x", &config, safetensors("{}", 0));
    refused(
        "a configuration of brackets",
        "x/config.json",
        open,
        "no JSON object",
    );
}
