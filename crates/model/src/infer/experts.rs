//! Mixture of experts: every row goes to a few experts, every expert sees its rows together.

use super::block::{Gated, Inner, sized};
use crate::kernels::Cpu;

/// Working memory of a routed layer.
#[derive(Debug, Default)]
pub(super) struct Routing {
    /// Router logits, then probabilities: `[n_rows * n_experts]`.
    pub(super) logits: Vec<f32>,
    /// Per expert: the rows sent to it and their weights.
    sent: Vec<Vec<(usize, f32)>>,
    x: Vec<f32>,
    y: Vec<f32>,
}

/// How rows choose experts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) n_active: usize,
    pub(super) renormalise: bool,
}

impl Routing {
    /// Softmax over all experts, then the `n_active` most likely of each row (the smaller index
    /// among equals), renormalised if asked for (N. Shazeer and others, 2017, section 2.1; with the
    /// softmax first, as Qwen3-MoE has it).
    pub(super) fn choose(&mut self, cpu: &Cpu, n_experts: usize, choice: Choice) {
        self.sent.resize_with(n_experts, Vec::new);
        self.sent.iter_mut().for_each(Vec::clear);
        let mut order: Vec<usize> = Vec::with_capacity(n_experts);
        for (row, probabilities) in self.logits.chunks_exact_mut(n_experts).enumerate() {
            cpu.softmax(probabilities);
            order.clear();
            order.extend(0..n_experts);
            order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
            let active = &order[..choice.n_active];
            let sum: f32 = active.iter().map(|expert| probabilities[*expert]).sum();
            let total = if choice.renormalise { sum } else { 1.0 };
            for expert in active {
                self.sent[*expert].push((row, probabilities[*expert] / total));
            }
        }
    }

    /// Adds every chosen expert's output to its rows of `out`, in the order of experts.
    pub(super) fn apply(
        &mut self,
        cpu: &Cpu,
        experts: &[Gated],
        input: &[f32],
        out: &mut [f32],
        inner: &mut Inner,
    ) {
        out.fill(0.0);
        for (expert, sent) in experts.iter().zip(&self.sent) {
            let n_hidden = expert.n_hidden();
            if sent.is_empty() {
                continue;
            }
            let x = sized(&mut self.x, sent.len() * n_hidden);
            for ((row, _), x) in sent.iter().zip(x.chunks_exact_mut(n_hidden)) {
                x.copy_from_slice(&input[row * n_hidden..][..n_hidden]);
            }
            expert.apply(cpu, &self.x, sent.len(), &mut self.y, inner);
            for ((row, weight), y) in sent.iter().zip(self.y.chunks_exact(n_hidden)) {
                cpu.add_scaled(&mut out[row * n_hidden..][..n_hidden], y, *weight);
            }
        }
    }
}
