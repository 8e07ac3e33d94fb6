//! The weight readers of the crate `model`, compiled from its sources without the rest of it, so
//! that instrumenting them does not mean instrumenting candle.

#[path = "../../tests/weights/build.rs"]
pub mod build;
#[path = "../../src/config.rs"]
pub mod config;
#[path = "../../src/weights/mod.rs"]
pub mod weights;

use weights::Checkpoint;

/// The configuration that the target `safetensors` puts beside its bytes: the smallest there is,
/// of the family whose norms are changed on the way.
pub const CONFIG: &[u8] = br#"{"architectures":["Gemma3ForCausalLM"],"vocab_size":2,
"hidden_size":2,"num_hidden_layers":1,"num_attention_heads":1,"num_key_value_heads":1,
"head_dim":2,"intermediate_size":1,"max_position_embeddings":4,"rms_norm_eps":1e-6,
"query_pre_attn_scalar":2,"sliding_window":2,"hidden_activation":"gelu_pytorch_tanh"}"#;

/// Reads everything that a checkpoint can be asked for.
pub fn read_all(opened: eval::Result<Checkpoint>) {
    let Ok(checkpoint) = opened else {
        return;
    };
    let _ = checkpoint.verify_finite();
    for name in checkpoint.names() {
        let tensor = checkpoint.tensor(name).expect("a listed name has a tensor");
        let values = tensor.to_f32().expect("an opened tensor has all its bytes");
        assert_eq!(values.len(), tensor.shape.iter().product::<usize>());
    }
    if let Some(gguf) = checkpoint.gguf() {
        for key in gguf.keys() {
            let _ = (gguf.text(key), gguf.integer(key), gguf.number(key));
            let _ = (gguf.flag(key), gguf.texts(key), gguf.integers(key));
            let _ = gguf.numbers(key);
        }
    }
}
