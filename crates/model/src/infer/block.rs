//! Weights of one block, packed, and the small layers made of them.

use eval::Result;

use super::load::Loader;
use crate::config::{Activation, DecoderConfig, FeedForward, Norm};
use crate::kernels::{Cpu, Matrix, Scratch};

/// One transformer block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) attention_norm: NormWeights,
    pub(super) query: Projection,
    pub(super) key: Projection,
    pub(super) value: Projection,
    pub(super) query_norm: Option<NormWeights>,
    pub(super) key_norm: Option<NormWeights>,
    pub(super) output: Projection,
    pub(super) attention_norm_after: Option<NormWeights>,
    pub(super) feed_forward_norm: NormWeights,
    pub(super) feed_forward: FeedForwardWeights,
    pub(super) feed_forward_norm_after: Option<NormWeights>,
}

/// A matrix with or without a bias.
#[derive(Debug)]
pub(super) struct Projection {
    pub(super) matrix: Matrix,
    pub(super) bias: Option<Vec<f32>>,
}

/// A normalisation with its weights.
#[derive(Debug)]
pub(super) struct NormWeights {
    kind: Norm,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// A feed-forward layer.
#[derive(Debug)]
pub(super) enum FeedForwardWeights {
    Gated(Gated),
    Plain {
        activation: Activation,
        up: Projection,
        down: Projection,
    },
    Experts {
        router: Matrix,
        n_active: usize,
        renormalise: bool,
        experts: Vec<Gated>,
    },
}

/// `down(activation(gate x) ⊙ up x)`.
#[derive(Debug)]
pub(super) struct Gated {
    activation: Activation,
    gate: Projection,
    up: Projection,
    down: Projection,
}

/// Working memory of feed-forward layers.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) scratch: Scratch,
    gate: Vec<f32>,
    up: Vec<f32>,
}

impl Block {
    pub(super) fn load(loader: &Loader<'_>, config: &DecoderConfig, layer: usize) -> Result<Self> {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let norm = |part: &str| NormWeights::load(loader, config.norm, &name(part));
        let qkv = |part: &str| Projection::load(loader, &name(part), config.bias_qkv);
        let (Norm::Rms { eps } | Norm::Layer { eps }) = config.norm;
        let head_norm = |part: &str| -> Result<Option<NormWeights>> {
            config
                .norm_qk
                .then(|| NormWeights::load(loader, Norm::Rms { eps }, &name(part)))
                .transpose()
        };
        let after = |part: &str| config.norm_after.then(|| norm(part)).transpose();
        let before_feed_forward = if config.norm_after {
            "pre_feedforward_layernorm"
        } else {
            "post_attention_layernorm"
        };
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            query: qkv("self_attn.q_proj")?,
            key: qkv("self_attn.k_proj")?,
            value: qkv("self_attn.v_proj")?,
            query_norm: head_norm("self_attn.q_norm")?,
            key_norm: head_norm("self_attn.k_norm")?,
            output: Projection::load(loader, &name("self_attn.o_proj"), config.bias_out)?,
            attention_norm_after: after("post_attention_layernorm")?,
            feed_forward_norm: norm(before_feed_forward)?,
            feed_forward: FeedForwardWeights::load(loader, config, &name("mlp"))?,
            feed_forward_norm_after: after("post_feedforward_layernorm")?,
        })
    }
}

impl Projection {
    fn load(loader: &Loader<'_>, name: &str, has_bias: bool) -> Result<Self> {
        let bias = has_bias.then(|| loader.vector(&format!("{name}.bias")));
        Ok(Self {
            matrix: loader.matrix(&format!("{name}.weight"))?,
            bias: bias.transpose()?,
        })
    }

    /// Adds the bias, if there is one, to every row of `out`.
    pub(super) fn add_bias(&self, cpu: &Cpu, out: &mut [f32]) {
        if let Some(bias) = &self.bias {
            cpu.add(out, bias);
        }
    }

    /// `out = W·x + b` for `n_rows` rows.
    pub(super) fn apply(
        &self,
        cpu: &Cpu,
        x: &[f32],
        n_rows: usize,
        out: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        let out = sized(out, n_rows * self.matrix.n_out());
        cpu.apply(&[&self.matrix], x, n_rows, &mut [&mut *out], scratch);
        self.add_bias(cpu, out);
    }
}

impl NormWeights {
    pub(super) fn load(loader: &Loader<'_>, kind: Norm, name: &str) -> Result<Self> {
        Ok(Self {
            kind,
            weight: loader.vector(&format!("{name}.weight"))?,
            bias: match kind {
                Norm::Rms { .. } => Vec::new(),
                Norm::Layer { .. } => loader.vector(&format!("{name}.bias"))?,
            },
        })
    }

    /// Normalises every row of `x` into `out`.
    pub(super) fn apply(&self, cpu: &Cpu, x: &[f32], out: &mut Vec<f32>) {
        let out = sized(out, x.len());
        match self.kind {
            Norm::Rms { eps } => cpu.rms_norm(x, &self.weight, eps, out),
            Norm::Layer { eps } => cpu.layer_norm(x, &self.weight, &self.bias, eps, out),
        }
    }

    /// Normalises every row of `x` in place; `spare` is working memory.
    pub(super) fn apply_in_place(&self, cpu: &Cpu, x: &mut [f32], spare: &mut Vec<f32>) {
        match self.kind {
            Norm::Rms { eps } => cpu.rms_norm_in_place(x, &self.weight, eps),
            Norm::Layer { .. } => {
                self.apply(cpu, x, spare);
                x.copy_from_slice(spare);
            }
        }
    }
}

impl FeedForwardWeights {
    fn load(loader: &Loader<'_>, config: &DecoderConfig, name: &str) -> Result<Self> {
        let part =
            |part: &str| Projection::load(loader, &format!("{name}.{part}"), config.bias_out);
        Ok(match config.feed_forward {
            FeedForward::Gated { activation, .. } => {
                Self::Gated(Gated::load(loader, activation, name, config.bias_out)?)
            }
            FeedForward::Plain { activation, .. } => Self::Plain {
                activation,
                up: part("up_proj")?,
                down: part("down_proj")?,
            },
            FeedForward::Experts {
                n_experts,
                n_active,
                renormalise,
                activation,
                ..
            } => {
                let expert = |idx: usize| {
                    Gated::load(loader, activation, &format!("{name}.experts.{idx}"), false)
                };
                Self::Experts {
                    router: loader.matrix(&format!("{name}.gate.weight"))?,
                    n_active,
                    renormalise,
                    experts: (0..n_experts).map(expert).collect::<Result<_>>()?,
                }
            }
        })
    }
}

impl Gated {
    fn load(
        loader: &Loader<'_>,
        activation: Activation,
        name: &str,
        has_bias: bool,
    ) -> Result<Self> {
        let part = |part: &str| Projection::load(loader, &format!("{name}.{part}"), has_bias);
        Ok(Self {
            activation,
            gate: part("gate_proj")?,
            up: part("up_proj")?,
            down: part("down_proj")?,
        })
    }

    /// Width of input and output.
    pub(super) fn n_hidden(&self) -> usize {
        self.gate.matrix.n_in()
    }

    pub(super) fn apply(
        &self,
        cpu: &Cpu,
        x: &[f32],
        n_rows: usize,
        out: &mut Vec<f32>,
        inner: &mut Inner,
    ) {
        let gate = sized(&mut inner.gate, n_rows * self.gate.matrix.n_out());
        let up = sized(&mut inner.up, n_rows * self.up.matrix.n_out());
        let matrices = [&self.gate.matrix, &self.up.matrix];
        let outs = &mut [&mut *gate, &mut *up];
        cpu.apply(&matrices, x, n_rows, outs, &mut inner.scratch);
        self.gate.add_bias(cpu, gate);
        self.up.add_bias(cpu, up);
        match self.activation {
            Activation::Silu => cpu.silu_gate(gate, up),
            Activation::GeluTanh => cpu.gelu_tanh_gate(gate, up),
        }
        self.down.apply(cpu, gate, n_rows, out, &mut inner.scratch);
    }
}

/// `down(activation(up x))`.
pub(super) fn plain(
    cpu: &Cpu,
    (activation, up, down): (Activation, &Projection, &Projection),
    x: &[f32],
    n_rows: usize,
    out: &mut Vec<f32>,
    inner: &mut Inner,
) {
    up.apply(cpu, x, n_rows, &mut inner.up, &mut inner.scratch);
    match activation {
        Activation::Silu => cpu.silu(&mut inner.up),
        Activation::GeluTanh => cpu.gelu_tanh(&mut inner.up),
    }
    down.apply(cpu, &inner.up, n_rows, out, &mut inner.scratch);
}

/// Makes `buffer` hold exactly `n` values, whatever they are: every place is written next.
pub(super) fn sized(buffer: &mut Vec<f32>, n: usize) -> &mut [f32] {
    buffer.resize(n, 0.0);
    buffer
}
