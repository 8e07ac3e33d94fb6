//! Stored blocks against ggml's reference: `gguf.quants.dequantize` of the Python package gguf
//! 0.19.0 on random bits (`fixtures/weights/make.py`).

use std::borrow::Cow;
use std::path::Path;

use model::weights::{DType, TensorView};
use safetensors::SafeTensors;

const KINDS: [(&str, DType); 11] = [
    ("F32", DType::F32),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("Q4_0", DType::Q4_0),
    ("Q4_1", DType::Q4_1),
    ("Q5_0", DType::Q5_0),
    ("Q5_1", DType::Q5_1),
    ("Q8_0", DType::Q8_0),
    ("Q4_K", DType::Q4_K),
    ("Q5_K", DType::Q5_K),
    ("Q6_K", DType::Q6_K),
];

fn check(test: impl Fn(&str, TensorView<'_>, &[f32])) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    let file = std::fs::read(path.join("blocks.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    for (name, dtype) in KINDS {
        let bytes = tensors.tensor(&format!("{name}.bytes")).unwrap().data();
        let values = tensors.tensor(&format!("{name}.values")).unwrap().data();
        let values: Vec<f32> = values
            .chunks_exact(4)
            .map(|c| f32::from_le_bytes(c.try_into().unwrap()))
            .collect();
        // Two rows of whole blocks.
        let view = TensorView {
            dtype,
            shape: vec![2, values.len() / 2],
            bytes: Cow::Borrowed(bytes),
        };
        test(name, view, &values);
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_type_decodes_to_the_bits_of_the_reference() {
    check(|name, view, values| {
        assert_eq!(bits(&view.to_f32().unwrap()), bits(values), "{name}");
    });
}

#[test]
fn a_row_alone_equals_the_row_of_the_whole() {
    check(|name, view, values| {
        let n_columns = view.shape[1];
        let mut row = vec![f32::NAN; n_columns];
        view.row_to_f32(1, &mut row).unwrap();
        assert_eq!(bits(&row), bits(&values[n_columns..]), "{name}");
        let rows = view.rows(1..2).unwrap();
        assert_eq!(rows.shape, [1, n_columns]);
        assert_eq!(
            bits(&rows.to_f32().unwrap()),
            bits(&values[n_columns..]),
            "{name}"
        );
        assert!(view.row_to_f32(2, &mut row).is_err());
        assert!(view.row_to_f32(0, &mut row[1..]).is_err());
        assert!(view.rows(1..3).is_err());
        #[expect(clippy::reversed_empty_ranges, reason = "what a caller may get wrong")]
        let reversed = view.rows(1..0);
        assert!(reversed.is_err());
    });
}

#[test]
fn shape_and_bytes_that_disagree_are_refused() {
    check(|name, view, _| {
        let short = TensorView {
            bytes: Cow::Borrowed(&view.bytes[1..]),
            ..view.clone()
        };
        assert!(short.to_f32().is_err(), "{name}");
        assert!(short.rows(0..1).is_err(), "{name}");
        let absurd = TensorView {
            shape: vec![usize::MAX, 32, 1024],
            ..view.clone()
        };
        assert!(absurd.to_f32().is_err(), "{name}");
        let empty = TensorView {
            shape: Vec::new(),
            ..view
        };
        assert!(empty.to_f32().is_err(), "{name}");
    });
}
