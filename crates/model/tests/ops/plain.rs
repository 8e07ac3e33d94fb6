//! The operations as the formulas say, composed of candle's own differentiable ones: slow, and
//! independent of what is tested.

use candle_core::{D, Device, Result, Tensor};

use model::config::{Activation, Norm};
use model::ops::{
    Affine, AttentionBlock, AttentionOptions, Experts, FeedForwardBlock, NormWeights,
};

/// `x · weightᵀ + bias` for `x` `[.., n_in]`, `weight` `[n_out, n_in]`, `bias` `[n_out]`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.broadcast_matmul(&weight.t()?)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// Softmax over the last dimension.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    log_softmax(x)?.exp()
}

/// Logarithm of the softmax over the last dimension.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    let sum = shifted.exp()?.sum_keepdim(D::Minus1)?;
    shifted.broadcast_sub(&sum.log()?)
}

/// Log-probability of each target, in nats: `logits` `[.., n_vocab]`, `targets` u32 of the leading
/// shape; the result has the shape of `targets`.
pub fn token_logprobs(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    log_softmax(logits)?
        .gather(&targets.unsqueeze(D::Minus1)?.contiguous()?, D::Minus1)?
        .squeeze(D::Minus1)
}

/// [`token_logprobs`] of `linear(x, weight, bias)` without keeping the logits' gradient: the head
/// and its loss in one.
pub fn linear_token_logprobs(x: &Tensor, head: Affine<'_>, targets: &Tensor) -> Result<Tensor> {
    token_logprobs(&linear(x, head.weight, head.bias)?, targets)
}

/// Mean negative log-probability in nats: `−Σ wᵢ lᵢ / Σ wᵢ`. Without weights all are 1; a weight
/// of 0 masks its token out.
pub fn mean_nll(logprobs: &Tensor, weights: Option<&[f64]>) -> Result<Tensor> {
    let flat = logprobs.flatten_all()?;
    let Some(weights) = weights else {
        return flat.mean_all()?.neg();
    };
    let total: f64 = weights.iter().sum();
    if weights.len() != flat.elem_count() || total <= 0.0 {
        candle_core::bail!("{} weights for {} tokens", weights.len(), flat.elem_count());
    }
    let scaled: Vec<f64> = weights.iter().map(|weight| -weight / total).collect();
    let scaled = Tensor::from_vec(scaled, weights.len(), &Device::Cpu)?;
    (flat * scaled.to_dtype(logprobs.dtype())?)?.sum_all()
}

/// `x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³)))`.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    // Composed, because candle's own gradient of GELU has constants of six digits.
    let cubic = ((x * x.sqr()?)? * 0.044_715)?;
    let u = ((x + cubic)? * (2.0 / std::f64::consts::PI).sqrt())?;
    (x * 0.5)?.mul(&(u.tanh()? + 1.0)?)
}

/// `x · σ(x)`.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    x.silu()
}

/// `silu(gate) ⊙ up`.
pub fn silu_gate(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

/// `gelu_tanh(gate) ⊙ up`.
pub fn gelu_gate(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gelu_tanh(gate)? * up
}

/// `x / √(mean x² + eps) · weight` over the last dimension.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let square = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?;
    x.broadcast_div(&square.sqrt()?)?.broadcast_mul(weight)
}

/// `(x − mean) / √(var + eps) · weight + bias` over the last dimension (population variance).
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let y = rms_norm(&centred, weight, eps)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

fn norm(x: &Tensor, by: &NormWeights<'_>) -> Result<Tensor> {
    match by.norm {
        Norm::Rms { eps } => rms_norm(x, by.weight, eps.into()),
        Norm::Layer { eps } => layer_norm(x, by.weight, by.bias, eps.into()),
    }
}

/// Rotates `x` `[n_batch, n_tokens, n_heads, n_head]`; token `t` stands at position `t`.
pub fn rotary(x: &Tensor, theta: f64) -> Result<Tensor> {
    let (_, n_tokens, _, n_head) = x.dims4()?;
    let table = |of: fn(f64) -> f64| {
        let angles = (0..n_tokens).flat_map(|token| {
            let pairs = 0..n_head / 2;
            pairs.map(move |pair| token as f64 * theta.powf(-2.0 * pair as f64 / n_head as f64))
        });
        let values: Vec<f64> = angles.map(of).collect();
        Tensor::from_vec(values, (1, n_tokens, 1, n_head / 2), &Device::Cpu)?.to_dtype(x.dtype())
    };
    let (cos, sin) = (table(f64::cos)?, table(f64::sin)?);
    let first = x.narrow(3, 0, n_head / 2)?;
    let second = x.narrow(3, n_head / 2, n_head / 2)?;
    let low = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
    let high = (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?;
    Tensor::cat(&[low, high], 3)
}

/// Rows `ids` (u32, any shape) of `weight` `[n_vocab, n_hidden]`: shape of `ids`, then `n_hidden`.
pub fn embedding(weight: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let mut dims = ids.dims().to_vec();
    dims.push(weight.dim(1)?);
    weight.index_select(&ids.flatten_all()?, 0)?.reshape(dims)
}

/// Scaled dot-product attention of `q` `[n_batch, n_tokens, n_heads, n_head]` over `k` and `v`
/// `[n_batch, n_tokens, n_kv_heads, n_head]`; query heads share key heads in equal groups. The
/// result has the shape of `q`.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    options: &AttentionOptions<'_>,
) -> Result<Tensor> {
    let (n_batch, n_tokens, n_heads, n_head) = q.dims4()?;
    let n_kv = k.dim(2)?;
    let spread = |x: &Tensor| {
        x.unsqueeze(3)?
            .broadcast_as((n_batch, n_tokens, n_kv, n_heads / n_kv, n_head))?
            .reshape((n_batch, n_tokens, n_heads, n_head))?
            .transpose(1, 2)?
            .contiguous()
    };
    let segments = match options.segments {
        Some(segments) => Some(segments.to_vec2::<u32>()?),
        None => None,
    };
    let mut mask = Vec::with_capacity(n_batch * n_tokens * n_tokens);
    let mut alive = Vec::with_capacity(n_batch * n_tokens);
    for batch in 0..n_batch {
        let segment = |token: usize| segments.as_ref().map_or(1, |all| all[batch][token]);
        for query in 0..n_tokens {
            alive.push(f64::from(u8::from(segment(query) != 0)));
            for key in 0..n_tokens {
                let seen = (!options.causal || key <= query)
                    && options.window.is_none_or(|window| key + window > query)
                    && (segment(query) == segment(key) && segment(key) != 0);
                mask.push(if seen { 0.0 } else { -1e30 });
            }
        }
    }
    let mask = Tensor::from_vec(mask, (n_batch, 1, n_tokens, n_tokens), &Device::Cpu)?;
    let alive = Tensor::from_vec(alive, (n_batch, n_tokens, 1, 1), &Device::Cpu)?;
    let (q, k, v) = (q.transpose(1, 2)?.contiguous()?, spread(k)?, spread(v)?);
    let scores = (q.matmul(&k.t()?.contiguous()?)? * options.scale)?;
    let scores = scores.broadcast_add(&mask.to_dtype(q.dtype())?)?;
    softmax(&scores)?
        .matmul(&v)?
        .transpose(1, 2)?
        .contiguous()?
        .broadcast_mul(&alive.to_dtype(q.dtype())?)
}

/// [`AttentionBlock`] of `x` `[n_batch, n_tokens, n_hidden]`.
pub fn attention_block(
    x: &Tensor,
    block: &AttentionBlock<'_>,
    theta: Option<f64>,
) -> Result<Tensor> {
    let (n_batch, n_tokens, _) = x.dims3()?;
    let normed = norm(x, &block.norm)?;
    let heads = |of: &Affine<'_>, turn: bool| {
        let y = linear(&normed, of.weight, of.bias)?;
        let y = y.reshape((n_batch, n_tokens, (), block.n_head))?;
        match theta {
            Some(theta) if turn => rotary(&y, theta),
            _ => Ok(y),
        }
    };
    let (q, k, v) = (
        heads(&block.query, true)?,
        heads(&block.key, true)?,
        heads(&block.value, false)?,
    );
    let seen = attention(&q, &k, &v, &block.options)?.reshape((n_batch, n_tokens, ()))?;
    x + linear(&seen, block.out.weight, block.out.bias)?
}

/// [`FeedForwardBlock`] of `x` `[.., n_hidden]`.
pub fn feed_forward_block(x: &Tensor, block: &FeedForwardBlock<'_>) -> Result<Tensor> {
    let normed = norm(x, &block.norm)?;
    let up = linear(&normed, block.up.weight, block.up.bias)?;
    let inner = match &block.gate {
        Some(gate) => gated(
            &linear(&normed, gate.weight, gate.bias)?,
            &up,
            block.activation,
        )?,
        None => match block.activation {
            Activation::Silu => silu(&up)?,
            Activation::GeluTanh => gelu_tanh(&up)?,
        },
    };
    x + linear(&inner, block.down.weight, block.down.bias)?
}

fn gated(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Silu => silu_gate(gate, up),
        Activation::GeluTanh => gelu_gate(gate, up),
    }
}

/// Mixture of experts: `yᵢ = Σₖ weights[i, k] · expert(chosen[i, k])(xᵢ)` for `x`
/// `[n_tokens, n_hidden]`, `weights` `[n_tokens, n_active]` (with gradient), `chosen` u32 of the
/// same shape. An expert may be chosen by nobody.
pub fn moe_feed_forward(
    x: &Tensor,
    weights: &Tensor,
    chosen: &Tensor,
    experts: &Experts<'_>,
) -> Result<Tensor> {
    let chosen = chosen.to_vec2::<u32>()?;
    let flat_weights = weights.flatten_all()?;
    let mut y = x.zeros_like()?;
    for expert in 0..experts.gate.dim(0)? {
        let (mut rows, mut slots) = (Vec::new(), Vec::new());
        for (row, of_row) in chosen.iter().enumerate() {
            for (slot, chosen) in of_row.iter().enumerate() {
                if *chosen as usize == expert {
                    rows.push(row as u32);
                    slots.push((row * of_row.len() + slot) as u32);
                }
            }
        }
        if rows.is_empty() {
            continue;
        }
        let n_rows = rows.len();
        let rows = Tensor::from_vec(rows, n_rows, &Device::Cpu)?;
        let slots = Tensor::from_vec(slots, n_rows, &Device::Cpu)?;
        let input = x.index_select(&rows, 0)?;
        let inner = gated(
            &linear(&input, &experts.gate.get(expert)?, None)?,
            &linear(&input, &experts.up.get(expert)?, None)?,
            experts.activation,
        )?;
        let output = linear(&inner, &experts.down.get(expert)?, None)?;
        let share = flat_weights.index_select(&slots, 0)?.unsqueeze(1)?;
        y = y.index_add(&rows, &output.broadcast_mul(&share)?, 0)?;
    }
    Ok(y)
}
