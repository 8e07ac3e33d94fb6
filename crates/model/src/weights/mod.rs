//! Weight files: GGUF and safetensors, one view of both.

mod checkpoint;
mod dequantise;
mod finite;
mod gguf;
mod hub;
mod layout;
mod save;
mod slots;
mod source;
mod tensor;

pub use checkpoint::Checkpoint;
pub use gguf::Gguf;
pub use layout::layout;
pub use save::save_checkpoint;
pub use tensor::{DType, TensorView};
