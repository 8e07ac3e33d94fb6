//! A writer of small GGUF files, sound or not: every count and offset can be overruled.

/// A metadata value.
pub enum Value {
    Text(String),
    U32(u32),
    F32(f32),
    Texts(Vec<String>),
    I32s(Vec<i32>),
    /// Type number and bytes as they are.
    Raw(u32, Vec<u8>),
}

/// A tensor: dimensions innermost first, ggml's type number, bytes.
pub struct Tensor {
    pub name: String,
    pub dimensions: Vec<u64>,
    pub kind: u32,
    pub bytes: Vec<u8>,
    /// Overrules where the data begins.
    pub offset: Option<u64>,
}

/// A file in the making.
pub struct File {
    pub version: u32,
    pub entries: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
    /// Overrules the number of tensors.
    pub n_tensors: Option<u64>,
    /// Overrules the number of entries.
    pub n_entries: Option<u64>,
}

pub const ALIGNMENT: usize = 32;

impl File {
    pub fn new(architecture: &str) -> Self {
        let entries = vec![("general.architecture".to_owned(), text(architecture))];
        Self {
            version: 3,
            entries,
            tensors: Vec::new(),
            n_tensors: None,
            n_entries: None,
        }
    }

    /// Adds or replaces an entry.
    pub fn set(&mut self, key: &str, value: Value) {
        self.entries.retain(|(other, _)| other != key);
        self.entries.push((key.to_owned(), value));
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        let mut tensors = self.tensors.iter_mut();
        tensors.find(|tensor| tensor.name == name).unwrap()
    }

    /// Adds a tensor of singles: `shape` outermost first.
    pub fn add(&mut self, name: &str, shape: &[usize], value: impl Fn(usize) -> f32) {
        let n: usize = shape.iter().product();
        self.tensors.push(Tensor {
            name: name.to_owned(),
            dimensions: shape.iter().rev().map(|n| *n as u64).collect(),
            kind: 0,
            bytes: (0..n).flat_map(|idx| value(idx).to_le_bytes()).collect(),
            offset: None,
        });
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        let n_tensors = self.n_tensors.unwrap_or(self.tensors.len() as u64);
        let n_entries = self.n_entries.unwrap_or(self.entries.len() as u64);
        out.extend(n_tensors.to_le_bytes());
        out.extend(n_entries.to_le_bytes());
        for (key, value) in &self.entries {
            put_text(&mut out, key);
            put_value(&mut out, value);
        }
        let mut next = 0;
        for tensor in &self.tensors {
            put_text(&mut out, &tensor.name);
            out.extend((tensor.dimensions.len() as u32).to_le_bytes());
            for n in &tensor.dimensions {
                out.extend(n.to_le_bytes());
            }
            out.extend(tensor.kind.to_le_bytes());
            out.extend(tensor.offset.unwrap_or(next as u64).to_le_bytes());
            next += tensor.bytes.len().next_multiple_of(ALIGNMENT);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
            out.extend(&tensor.bytes);
        }
        out
    }
}

pub fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) => {
            out.extend(8_u32.to_le_bytes());
            put_text(out, text);
        }
        Value::U32(n) => {
            out.extend(4_u32.to_le_bytes());
            out.extend(n.to_le_bytes());
        }
        Value::F32(x) => {
            out.extend(6_u32.to_le_bytes());
            out.extend(x.to_le_bytes());
        }
        Value::Texts(texts) => {
            out.extend(9_u32.to_le_bytes());
            out.extend(8_u32.to_le_bytes());
            out.extend((texts.len() as u64).to_le_bytes());
            for text in texts {
                put_text(out, text);
            }
        }
        Value::I32s(items) => {
            out.extend(9_u32.to_le_bytes());
            out.extend(5_u32.to_le_bytes());
            out.extend((items.len() as u64).to_le_bytes());
            for item in items {
                out.extend(item.to_le_bytes());
            }
        }
        Value::Raw(kind, bytes) => {
            out.extend(kind.to_le_bytes());
            out.extend(bytes);
        }
    }
}

/// How large a sound model is; four query heads, two key heads, ten tokens.
pub struct Sizes {
    pub n_layers: usize,
    pub n_hidden: usize,
    pub n_head: usize,
    pub n_inner: usize,
}

/// A sound model with two layers of the given architecture. Element `i` of tensor number `t` is
/// `t + i / 1024`.
pub fn small(architecture: &str) -> File {
    layers(architecture, 2)
}

/// As [`small`], with `n_layers` layers.
pub fn layers(architecture: &str, n_layers: usize) -> File {
    let sizes = Sizes {
        n_layers,
        n_hidden: 32,
        n_head: 4,
        n_inner: 64,
    };
    sized(architecture, &sizes)
}

/// As [`small`], of any size. Experts are an eighth as wide as a dense layer.
pub fn sized(architecture: &str, sizes: &Sizes) -> File {
    let mut file = File::new(architecture);
    let mut set = |key: &str, value| file.set(&format!("{architecture}.{key}"), value);
    let count = |n: usize| Value::U32(n as u32);
    set("block_count", count(sizes.n_layers));
    set("context_length", Value::U32(64));
    set("embedding_length", count(sizes.n_hidden));
    set("attention.head_count", Value::U32(4));
    set("attention.head_count_kv", Value::U32(2));
    set("attention.key_length", count(sizes.n_head));
    set("attention.value_length", count(sizes.n_head));
    set("attention.layer_norm_rms_epsilon", Value::F32(1e-5));
    set("rope.freq_base", Value::F32(50_000.0));
    if architecture == "gemma3" {
        set("attention.sliding_window", Value::U32(16));
    }
    if architecture == "qwen3moe" {
        set("expert_count", Value::U32(3));
        set("expert_used_count", Value::U32(2));
        set("expert_feed_forward_length", count(sizes.n_inner / 8));
    } else {
        set("feed_forward_length", count(sizes.n_inner));
    }
    file.set("general.name", text("small"));
    file.set(
        "tokenizer.ggml.tokens",
        Value::Texts((0..10).map(|idx| format!("<{idx}>")).collect()),
    );
    file.set("tokenizer.ggml.token_type", Value::I32s(vec![1; 10]));
    let tensors = tensors(architecture, sizes);
    for (number, (name, shape)) in tensors.iter().enumerate() {
        file.add(name, shape, |idx| number as f32 + idx as f32 / 1024.0);
    }
    file
}

/// Names and shapes, outermost dimension first.
fn tensors(architecture: &str, sizes: &Sizes) -> Vec<(String, Vec<usize>)> {
    let (hidden, head, inner) = (sizes.n_hidden, sizes.n_head, sizes.n_inner);
    let mut tensors: Vec<(String, Vec<usize>)> = vec![
        ("token_embd.weight".to_owned(), vec![10, hidden]),
        ("output_norm.weight".to_owned(), vec![hidden]),
    ];
    for layer in 0..sizes.n_layers {
        let mut add = |name: &str, shape: &[usize]| {
            tensors.push((format!("blk.{layer}.{name}"), shape.to_vec()));
        };
        add("attn_norm.weight", &[hidden]);
        add("attn_q.weight", &[4 * head, hidden]);
        add("attn_k.weight", &[2 * head, hidden]);
        add("attn_v.weight", &[2 * head, hidden]);
        add("attn_output.weight", &[hidden, 4 * head]);
        add("ffn_norm.weight", &[hidden]);
        if architecture == "qwen2" {
            add("attn_q.bias", &[4 * head]);
            add("attn_k.bias", &[2 * head]);
            add("attn_v.bias", &[2 * head]);
        }
        if matches!(architecture, "qwen3" | "qwen3moe" | "gemma3") {
            add("attn_q_norm.weight", &[head]);
            add("attn_k_norm.weight", &[head]);
        }
        if architecture == "gemma3" {
            add("post_attention_norm.weight", &[hidden]);
            add("post_ffw_norm.weight", &[hidden]);
        }
        if architecture == "qwen3moe" {
            add("ffn_gate_inp.weight", &[3, hidden]);
            add("ffn_gate_exps.weight", &[3, inner / 8, hidden]);
            add("ffn_up_exps.weight", &[3, inner / 8, hidden]);
            add("ffn_down_exps.weight", &[3, hidden, inner / 8]);
        } else {
            add("ffn_gate.weight", &[inner, hidden]);
            add("ffn_up.weight", &[inner, hidden]);
            add("ffn_down.weight", &[hidden, inner]);
        }
    }
    tensors
}
