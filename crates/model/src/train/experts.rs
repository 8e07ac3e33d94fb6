//! Mixture-of-experts blocks: router, choice, weights, and what the router decided.

use candle_core::{D, Device, Tensor};
use eval::{Error, Result};

use super::block;
use super::decoder::Decoder;
use super::hooks::Hook;
use super::names::{feed_forward_norm, in_layer};
use super::tensor::{OrFail, to_f64};
use crate::config::FeedForward;
use crate::infer::TapSite;
use crate::ops::{self, Experts};

/// What the router of one block decided.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The block, from 0.
    pub layer: usize,
    /// Softmax of the router logits (hooks included) over all experts, `[n_rows, n_experts]`,
    /// differentiable; one row per token of the padded batch.
    pub probabilities: Tensor,
    /// Chosen experts of each row, most likely first, the smallest index among equals:
    /// `[n_rows * n_active]`.
    pub chosen: Vec<u32>,
    /// Experts per row.
    pub n_active: usize,
}

/// `x + experts(norm(x))` with the router's logits handed to `hook`.
pub(super) fn block(
    decoder: &Decoder,
    site: TapSite<'_>,
    states: &Tensor,
    hook: &mut dyn Hook,
) -> Result<(Tensor, Routing)> {
    let layer = site.layer;
    let own = |rest: &str| in_layer(layer, rest);
    let doing = format!("compute the experts of layer {layer}");
    let (n_rows, n_hidden) = (site.rows.len(), decoder.config().n_hidden);
    let normed = block::norm(decoder, &own(feed_forward_norm(decoder.config())), states)
        .and_then(|normed| normed.reshape((n_rows, n_hidden)))
        .or_fail(&doing)?;
    let router = decoder.parameters().get(&own("mlp.gate.weight"))?;
    let mut logits = ops::linear(&normed, router, None).or_fail(&doing)?;
    if !hook.is_idle() {
        logits = hook.router(site, logits)?;
    }
    let (weights, routing) = choose(decoder, layer, &logits)?;
    let output = || -> candle_core::Result<Tensor> {
        let chosen = (n_rows, routing.n_active);
        let chosen = Tensor::from_slice(&routing.chosen, chosen, &Device::Cpu)?;
        let stack = |which: &str| {
            let name = own(&format!("mlp.experts.{which}_proj.weight"));
            match decoder.parameters().find(&name) {
                Some(tensor) => Ok(tensor),
                None => candle_core::bail!("there is no parameter `{name}`"),
            }
        };
        let FeedForward::Experts { activation, .. } = decoder.config().feed_forward else {
            candle_core::bail!("layer {layer} has no experts");
        };
        let experts = Experts {
            gate: stack("gate")?,
            up: stack("up")?,
            down: stack("down")?,
            activation,
        };
        let output = ops::moe_feed_forward(&normed, &weights, &chosen, &experts)?;
        let output = output.reshape(states.shape())?;
        let name = own("post_feedforward_layernorm");
        states + block::norm_after(decoder, &name, output)?
    };
    Ok((output().or_fail(&doing)?, routing))
}

/// Softmax over all experts, the `n_active` most likely, and their weights `[n_rows, n_active]`.
fn choose(decoder: &Decoder, layer: usize, logits: &Tensor) -> Result<(Tensor, Routing)> {
    let FeedForward::Experts {
        n_active,
        n_experts,
        renormalise,
        ..
    } = decoder.config().feed_forward
    else {
        return Err(Error::internal(format!("layer {layer} has no experts")));
    };
    let doing = format!("route the tokens of layer {layer}");
    let probabilities = ops::softmax(logits).or_fail(&doing)?;
    let values = to_f64(&probabilities).or_fail(&doing)?;
    let mut chosen = Vec::with_capacity(values.len() / n_experts * n_active);
    for row in values.chunks_exact(n_experts) {
        if row.iter().any(|value| value.is_nan()) {
            return Err(Error::internal(format!(
                "router logits of layer {layer} are not finite"
            )));
        }
        chosen.extend(most_likely(row, n_active));
    }
    let weigh = || -> candle_core::Result<Tensor> {
        let n_rows = chosen.len() / n_active;
        let index = Tensor::from_slice(&chosen, (n_rows, n_active), &Device::Cpu)?;
        let weights = probabilities.gather(&index, D::Minus1)?;
        if renormalise {
            weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)
        } else {
            Ok(weights)
        }
    };
    let weights = weigh().or_fail(&doing)?;
    let routing = Routing {
        layer,
        probabilities,
        chosen,
        n_active,
    };
    Ok((weights, routing))
}

/// Indices of the `count` largest values, largest first, the smallest index among equals.
fn most_likely(row: &[f64], count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    order.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]));
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_index_wins_among_equals() {
        assert_eq!(most_likely(&[0.1, 0.4, 0.1, 0.4], 3), [1, 3, 0]);
    }
}
