//! Hostile GGUF files.

use model::weights::Checkpoint;

use crate::allocation::peak_bytes;
use crate::attacks::{LIMIT_BYTES, refused};
use crate::build::{File, Value, small, text};

fn gguf_refused(attack: &str, bytes: Vec<u8>, fragment: &str) {
    let file = "attack.gguf";
    refused(
        attack,
        file,
        || Checkpoint::from_gguf_bytes(file, bytes),
        fragment,
    );
}

/// A change of a sound file, and a fragment of the message it leads to.
type Change = (&'static str, fn(&mut File), &'static str);

const CHANGES: &[Change] = &[
    ("version 1", |file| file.version = 1, "version 1"),
    ("version 4", |file| file.version = 4, "version 4"),
    ("big-endian", |file| file.version = 3 << 24, "big-endian"),
    (
        "giant tensor count",
        |file| file.n_tensors = Some(u64::MAX),
        "tensors",
    ),
    (
        "plausible tensor count",
        |file| file.n_tensors = Some(30_000),
        "tensors",
    ),
    (
        "one tensor too many",
        |file| {
            let n = file.tensors.len() as u64;
            file.n_tensors = Some(n + 1);
        },
        "a tensor name",
    ),
    (
        "giant entry count",
        |file| file.n_entries = Some(1 << 60),
        "metadata entries",
    ),
    (
        "one entry too many",
        |file| {
            let n = file.entries.len() as u64;
            file.n_entries = Some(n + 1);
        },
        "damaged",
    ),
    (
        "duplicate key",
        |file| {
            file.entries
                .push(("general.name".to_owned(), text("again")));
        },
        "the key `general.name`",
    ),
    (
        "duplicate tensor",
        |file| {
            file.add("blk.0.attn_q.weight", &[16, 32], |_| 0.0);
        },
        "`blk.0.attn_q.weight`",
    ),
    (
        "empty key",
        |file| file.set("", Value::U32(1)),
        "claims 0 bytes",
    ),
    (
        "long key",
        |file| file.set(&"k".repeat(257), Value::U32(1)),
        "claims 257 bytes",
    ),
    (
        "long tensor name",
        |file| {
            file.add(&"t".repeat(257), &[4], |_| 0.0);
        },
        "claims 257 bytes",
    ),
    (
        "unknown value type",
        |file| file.set("x", Value::Raw(13, vec![0; 8])),
        "unknown type 13",
    ),
    (
        "third truth",
        |file| file.set("x", Value::Raw(7, vec![2])),
        "neither true nor false",
    ),
    (
        "giant text",
        |file| {
            file.set("x", Value::Raw(8, (u64::MAX - 7).to_le_bytes().to_vec()));
        },
        "needs 18446744073709551608 bytes",
    ),
    (
        "giant array",
        |file| {
            file.set(
                "x",
                Value::Raw(
                    9,
                    [&4_u32.to_le_bytes()[..], &(1_u64 << 62).to_le_bytes()].concat(),
                ),
            );
        },
        "`x`",
    ),
    (
        "giant array of texts",
        |file| {
            file.set(
                "x",
                Value::Raw(
                    9,
                    [&8_u32.to_le_bytes()[..], &(1_u64 << 40).to_le_bytes()].concat(),
                ),
            );
        },
        "claims 1099511627776 texts",
    ),
    (
        "nested arrays",
        |file| {
            file.set(
                "x",
                Value::Raw(9, [&9_u32.to_le_bytes()[..], &1_u64.to_le_bytes()].concat()),
            );
        },
        "nests arrays",
    ),
    (
        "zero alignment",
        |file| file.set("general.alignment", Value::U32(0)),
        "`general.alignment` is 0",
    ),
    (
        "zero rotary base",
        |file| file.set("llama.rope.freq_base", Value::F32(0.0)),
        "the rotary theta is 0",
    ),
    (
        "vanishing rotary scale",
        |file| {
            let tiny = 1e-300_f64.to_le_bytes().to_vec();
            file.set("llama.rope.scaling.factor", Value::Raw(12, tiny));
        },
        "the rotary scale is 0",
    ),
    (
        "odd alignment",
        |file| file.set("general.alignment", Value::U32(24)),
        "`general.alignment` is 24",
    ),
    (
        "giant alignment",
        |file| file.set("general.alignment", Value::U32(1 << 31)),
        "general.alignment",
    ),
    (
        "alignment of another type",
        |file| file.set("general.alignment", text("32")),
        "general.alignment",
    ),
    (
        "no dimensions",
        |file| file.tensor("output_norm.weight").dimensions = vec![],
        "0 dimensions",
    ),
    (
        "five dimensions",
        |file| file.tensor("output_norm.weight").dimensions = vec![1; 5],
        "5 dimensions",
    ),
    (
        "empty tensor",
        |file| file.tensor("output_norm.weight").dimensions = vec![0],
        "impossible shape",
    ),
    (
        "overflowing shape",
        |file| {
            file.tensor("output_norm.weight").dimensions = vec![1 << 33, 1 << 33];
        },
        "impossible shape",
    ),
    (
        "huge shape",
        |file| file.tensor("output_norm.weight").dimensions = vec![1 << 50],
        "ends at",
    ),
    (
        "cut block",
        |file| {
            let tensor = file.tensor("output_norm.weight");
            (tensor.kind, tensor.dimensions) = (8, vec![48]);
        },
        "whole blocks of 32",
    ),
    (
        "unknown element type",
        |file| file.tensor("output_norm.weight").kind = 99,
        "element type 99",
    ),
    (
        "ternary elements",
        |file| file.tensor("output_norm.weight").kind = 34,
        "element type 34",
    ),
    (
        "quantised vector",
        |file| file.tensor("output_norm.weight").kind = 8,
        "the vector `model.norm.weight`",
    ),
    (
        "misaligned offset",
        |file| file.tensor("output_norm.weight").offset = Some(33),
        "multiple of 32",
    ),
    (
        "offset beyond the file",
        |file| file.tensor("output_norm.weight").offset = Some(1 << 40),
        "ends at",
    ),
    (
        "offset that overflows",
        |file| {
            file.tensor("output_norm.weight").offset = Some(u64::MAX - 31);
        },
        "beyond any file",
    ),
    (
        "overlapping tensors",
        |file| file.tensor("output_norm.weight").offset = Some(0),
        "overlap",
    ),
    (
        "missing tensor",
        |file| {
            file.tensors
                .retain(|tensor| tensor.name != "blk.1.ffn_up.weight");
        },
        "`model.layers.1.mlp.up_proj.weight` of [64, 32] is missing",
    ),
    (
        "no embedding",
        |file| {
            file.tensors
                .retain(|tensor| tensor.name != "token_embd.weight");
        },
        "no tensor `token_embd.weight`",
    ),
    (
        "layer beyond the last",
        |file| file.add("blk.2.attn_norm.weight", &[32], |_| 0.0),
        "has no place",
    ),
    (
        "layer of another spelling",
        |file| file.add("blk.01.attn_norm.weight", &[32], |_| 0.0),
        "has no place",
    ),
    (
        "attention sinks",
        |file| file.add("blk.0.attn_sinks.weight", &[4], |_| 0.0),
        "attn_sinks",
    ),
    (
        "shared expert",
        |file| file.add("blk.0.ffn_up_shexp.weight", &[4], |_| 0.0),
        "ffn_up_shexp",
    ),
    (
        "rotary table",
        |file| file.add("rope_freqs.weight", &[2], |_| 1.0),
        "rope_freqs.weight",
    ),
    (
        "control characters",
        |file| file.add("blk.0.\u{1b}[31m\n", &[4], |_| 0.0),
        "\\u{1b}[31m\\n",
    ),
    (
        "transposed matrix",
        |file| file.tensor("blk.0.attn_k.weight").dimensions.reverse(),
        "shape [32, 8]",
    ),
    (
        "head of another height",
        |file| {
            file.tensor("blk.0.attn_q.weight").dimensions = vec![32, 15];
        },
        "shape [15, 32]",
    ),
    (
        "NaN",
        |file| {
            file.tensor("blk.1.ffn_up.weight").bytes[400..404]
                .copy_from_slice(&f32::NAN.to_le_bytes());
        },
        "`model.layers.1.mlp.up_proj.weight` has a value that is not finite",
    ),
    (
        "infinity",
        |file| {
            let bytes = f32::NEG_INFINITY.to_le_bytes();
            file.tensor("output_norm.weight").bytes[..4].copy_from_slice(&bytes);
        },
        "not finite",
    ),
    (
        "infinite scale of a block",
        |file| {
            let tensor = file.tensor("token_embd.weight");
            (tensor.kind, tensor.bytes) = (8, vec![0; 340]);
            tensor.bytes[35] = 0x7c;
        },
        "`model.embed_tokens.weight` has a value that is not finite",
    ),
    (
        "no architecture",
        |file| file.entries.clear(),
        "general.architecture",
    ),
    (
        "unknown architecture",
        |file| file.set("general.architecture", text("mamba")),
        "`mamba`",
    ),
    (
        "architecture of another type",
        |file| file.set("general.architecture", Value::U32(1)),
        "cannot be read as a text",
    ),
    (
        "missing key",
        |file| file.entries.retain(|(key, _)| key != "llama.block_count"),
        "`llama.block_count`",
    ),
    (
        "key of another type",
        |file| file.set("llama.block_count", text("2")),
        "cannot be read as a whole number",
    ),
    (
        "negative count",
        |file| {
            file.set(
                "llama.block_count",
                Value::Raw(5, (-1_i32).to_le_bytes().to_vec()),
            );
        },
        "`llama.block_count` is -1",
    ),
    (
        "billions of layers",
        |file| file.set("llama.block_count", Value::U32(u32::MAX)),
        "n_layers",
    ),
    (
        "millions of layers",
        |file| file.set("llama.block_count", Value::U32(1 << 24)),
        "is missing",
    ),
    (
        "no heads",
        |file| file.set("llama.attention.head_count", Value::U32(0)),
        "n_heads = 0",
    ),
    (
        "infinite epsilon",
        |file| {
            file.set(
                "llama.attention.layer_norm_rms_epsilon",
                Value::F32(f32::INFINITY),
            );
        },
        "finite floating-point number",
    ),
    (
        "another vocabulary",
        |file| file.set("llama.vocab_size", Value::U32(11)),
        "`llama.vocab_size` is 11",
    ),
    (
        "partial rotation",
        |file| file.set("llama.rope.dimension_count", Value::U32(2)),
        "rope.dimension_count",
    ),
    (
        "yarn",
        |file| file.set("llama.rope.scaling.type", text("yarn")),
        "`yarn`",
    ),
    (
        "soft-capping",
        |file| file.set("llama.final_logit_softcapping", Value::F32(30.0)),
        "final_logit_softcapping",
    ),
    (
        "experts in llama",
        |file| file.set("llama.expert_count", Value::U32(8)),
        "experts",
    ),
    (
        "sliding window in llama",
        |file| {
            file.set("llama.attention.sliding_window", Value::U32(8));
        },
        "sliding-window",
    ),
    (
        "part of a split file",
        |file| file.set("split.count", Value::U32(2)),
        "split",
    ),
];

#[test]
fn every_hostile_gguf_is_refused_by_name() {
    gguf_refused("empty", Vec::new(), "the magic number");
    gguf_refused(
        "another format",
        b"PK\x03\x04 and more".to_vec(),
        "not with `GGUF`",
    );
    gguf_refused(
        "header alone",
        b"GGUF\x03\0\0\0".to_vec(),
        "the number of tensors",
    );
    for (attack, change, fragment) in CHANGES {
        let mut file = small("llama");
        change(&mut file);
        gguf_refused(attack, file.bytes(), fragment);
    }
}

#[test]
fn hostile_experts_are_refused_by_name() {
    let stacked = "blk.0.ffn_up_exps.weight";
    let mut flat = small("qwen3moe");
    flat.tensor(stacked).dimensions = vec![32, 24];
    gguf_refused(
        "flat experts",
        flat.bytes(),
        "not experts, rows, and columns",
    );
    let mut many = small("qwen3moe");
    let tensor = many.tensor(stacked);
    tensor.dimensions = vec![1, 1, 1 << 17];
    tensor.bytes = vec![0; 4 << 17];
    gguf_refused(
        "a hundred thousand experts",
        many.bytes(),
        "more than 65536 tensors",
    );
    let mut absurd = small("qwen3moe");
    absurd.set("qwen3moe.expert_count", Value::U32(1 << 24));
    gguf_refused("millions of experts", absurd.bytes(), "shape [3, 32]");
}

/// A megabyte of the smallest things that a header can list must not become hundreds.
#[test]
fn files_full_of_tiny_entries_stay_within_memory() {
    let mut entries = small("llama");
    for idx in 0..16_000 {
        entries
            .entries
            .push((format!("k{idx}"), Value::Raw(0, vec![1])));
    }
    let (checkpoint, peak) = peak_bytes(|| Checkpoint::from_gguf_bytes("x", entries.bytes()));
    assert!(checkpoint.is_ok() && peak < LIMIT_BYTES, "{peak} bytes");
    entries.n_entries = Some((1 << 14) + 1);
    gguf_refused("more entries", entries.bytes(), "limit of 16384");
    let mut tensors = small("llama");
    for idx in 0..32_000 {
        tensors.add(&format!("{:0>250}", idx), &[1], |_| 0.0);
    }
    gguf_refused("many tensors", tensors.bytes(), "has no place");
    let mut bytes = small("llama");
    let header = [&0_u32.to_le_bytes()[..], &(48_u64 << 20).to_le_bytes()].concat();
    bytes.set("x", Value::Raw(9, [header, vec![7; 48 << 20]].concat()));
    let file = bytes.bytes();
    let (checkpoint, peak) = peak_bytes(|| Checkpoint::from_gguf_bytes("long array", file));
    assert!(
        checkpoint.is_ok() && peak < 1 << 20,
        "{peak} bytes for an array nobody asked for"
    );
}

#[test]
fn non_finite_values_are_found_in_every_type() {
    let bytes = |kind: u32, n: usize, at: usize, value: [u8; 2]| {
        let mut file = small("llama");
        // 10 rows of 256 elements would not fit the configuration: the width is part of it.
        file.set("llama.embedding_length", Value::U32(256));
        let tensor = file.tensor("token_embd.weight");
        (tensor.kind, tensor.dimensions) = (kind, vec![256, 10]);
        tensor.bytes = vec![0; n];
        tensor.bytes[at..at + 2].copy_from_slice(&value);
        let mut wide = file;
        for tensor in &mut wide.tensors[1..] {
            for n in &mut tensor.dimensions {
                if *n == 32 {
                    *n = 256;
                }
            }
            let n: u64 = tensor.dimensions.iter().product();
            tensor.bytes = vec![0; 4 * n as usize];
        }
        wide.bytes()
    };
    let (half, single) = ([0, 0x7e], [0xc0, 0x7f]);
    // ggml's number, bytes of 2560 elements, offset of a value in the middle, its bits.
    for (kind, n, at, value) in [
        (0, 10_240, 4002, single),
        (1, 5120, 4000, half),
        (30, 5120, 4000, single),
        (2, 1440, 18 * 7, half),
        (3, 1600, 20 * 7, half),
        (3, 1600, 20 * 7 + 2, half),
        (6, 1760, 22 * 7, half),
        (7, 1920, 24 * 7, half),
        (7, 1920, 24 * 7 + 2, half),
        (8, 2720, 34 * 7, half),
        (12, 1440, 144 * 7, half),
        (12, 1440, 144 * 7 + 2, half),
        (13, 1760, 176 * 7, half),
        (13, 1760, 176 * 7 + 2, half),
        (14, 2100, 210 * 7 + 208, half),
    ] {
        let attack = format!("type {kind} at {at}");
        gguf_refused(
            &attack,
            bytes(kind, n, at, value),
            "`model.embed_tokens.weight` has a value",
        );
        let sound = Checkpoint::from_gguf_bytes("sound", bytes(kind, n, at, [0, 0])).unwrap();
        sound.verify_finite().unwrap();
    }
}
