//! One forward pass over a ragged batch.

use super::block::{Block, FeedForwardWeights, Inner, plain, sized};
use super::engine::Engine;
use super::experts::{Choice, Routing};
use super::{Outputs, States, Step, Tap, TapRow, TapSite};
use crate::kernels::{Angles, Attention, AttentionShape, KeyValues};

/// Buffers of a pass, reused from pass to pass.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) inner: Inner,
    pub(super) logits: Vec<f32>,
    /// The residual stream, `[n_rows * n_hidden]`.
    x: Vec<f32>,
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    mixed: Vec<f32>,
    /// What a layer adds to the residual stream.
    y: Vec<f32>,
    routing: Routing,
}

/// A batch on its way through the layers.
pub(super) struct Pass<'p, 's, 't> {
    engine: &'p Engine,
    steps: &'p mut [Step<'s>],
    tap: Option<&'t mut dyn Tap>,
    rows: Vec<TapRow>,
    full: Option<Angles>,
    windowed: Option<Angles>,
}

impl<'p, 's, 't> Pass<'p, 's, 't> {
    pub(super) fn new(
        engine: &'p Engine,
        steps: &'p mut [Step<'s>],
        tap: Option<&'t mut dyn Tap>,
    ) -> Self {
        let mut rows = Vec::new();
        for (step_idx, step) in steps.iter().enumerate() {
            let n_past = step.sequence.n_tokens();
            rows.extend(step.tokens.iter().enumerate().map(|(idx, token)| TapRow {
                step: step_idx,
                position: n_past + idx,
                token: *token,
            }));
        }
        let positions: Vec<usize> = rows.iter().map(|row| row.position).collect();
        let rotary = engine.rotary.as_ref();
        Self {
            engine,
            steps,
            tap,
            full: rotary.map(|rotary| rotary.full.angles(&positions)),
            windowed: rotary
                .and_then(|rotary| rotary.windowed.as_ref())
                .map(|rotary| rotary.angles(&positions)),
            rows,
        }
    }

    /// Runs all layers and returns the final states of the rows that asked for an output.
    pub(super) fn run(mut self, space: &mut Workspace) -> States {
        let wanted = self.wanted();
        let n_layers = self.engine.blocks.len();
        self.embed(space);
        self.tap_hidden(0, space);
        for layer in 0..n_layers {
            self.attend(layer, space);
            // After the last attention only rows with an output matter; a tap wants to see all.
            if layer + 1 == n_layers && self.tap.is_none() {
                self.keep_rows(&wanted, space);
            }
            self.close(layer, space);
            self.tap_hidden(layer + 1, space);
        }
        if self.tap.is_some() {
            self.keep_rows(&wanted, space);
        }
        self.grow();
        let mut states = States {
            n_rows: wanted.len(),
            values: Vec::new(),
        };
        let engine = self.engine;
        engine.norm.apply(&engine.cpu, &space.x, &mut states.values);
        states
    }

    /// Runs the first `n_layers` layers and returns the residual stream of all rows. Caches of
    /// later
    /// layers stay behind, so the sequences may only be used for the same again.
    pub(super) fn run_until(mut self, n_layers: usize, space: &mut Workspace) -> &[f32] {
        self.embed(space);
        for layer in 0..n_layers {
            self.attend(layer, space);
            self.close(layer, space);
        }
        self.grow();
        &space.x
    }

    /// Indices of the rows whose final state is wanted.
    fn wanted(&self) -> Vec<usize> {
        let mut wanted = Vec::new();
        let mut end = 0;
        for step in &*self.steps {
            let start = end;
            end += step.tokens.len();
            match step.outputs {
                Outputs::None => {}
                Outputs::Last => wanted.push(end - 1),
                Outputs::All => wanted.extend(start..end),
            }
        }
        wanted
    }

    fn embed(&self, space: &mut Workspace) {
        let Engine {
            config,
            embedding,
            position_embedding,
            cpu,
            ..
        } = self.engine;
        let n_hidden = config.n_hidden;
        let x = sized(&mut space.x, self.rows.len() * n_hidden);
        for (row, x) in self.rows.iter().zip(x.chunks_exact_mut(n_hidden)) {
            embedding.row_f32(row.token as usize, x);
        }
        if config.embedding_scale != 1.0 {
            cpu.scale(x, config.embedding_scale);
        }
        if let Some(positions) = position_embedding {
            let vector = sized(&mut space.normed, n_hidden);
            for (row, x) in self.rows.iter().zip(x.chunks_exact_mut(n_hidden)) {
                positions.row_f32(row.position, vector);
                cpu.add(x, vector);
            }
        }
    }

    /// The first half of a block up to the mixed values (`space.mixed`); the caches grow.
    fn attend(&mut self, layer: usize, space: &mut Workspace) {
        let block = &self.engine.blocks[layer];
        self.project(block, space);
        let config = &self.engine.config;
        let window = config.window_of(layer);
        let angles = if window.is_some() {
            &self.windowed
        } else {
            &self.full
        };
        if let Some(angles) = angles {
            let cpu = &self.engine.cpu;
            cpu.rotate(&mut space.query, config.n_heads, angles);
            cpu.rotate(&mut space.key, config.n_kv_heads, angles);
        }
        let width = config.n_kv_heads * config.n_head;
        let mut start = 0;
        for step in &mut *self.steps {
            let end = start + step.tokens.len() * width;
            let cache = &mut step.sequence.own.layers[layer];
            cache.append(&space.key[start..end], &space.value[start..end]);
            start = end;
        }
        let shape = AttentionShape {
            n_heads: config.n_heads,
            n_kv_heads: config.n_kv_heads,
            n_head: config.n_head,
            scale: config.attention_scale,
            window: window.map(|window| window.n_tokens),
        };
        self.mix(layer, shape, space);
    }

    /// Queries, keys, and values of all rows.
    fn project(&self, block: &Block, space: &mut Workspace) {
        let cpu = &self.engine.cpu;
        let n_rows = self.rows.len();
        block.attention_norm.apply(cpu, &space.x, &mut space.normed);
        let query = sized(&mut space.query, n_rows * block.query.matrix.n_out());
        let key = sized(&mut space.key, n_rows * block.key.matrix.n_out());
        let value = sized(&mut space.value, n_rows * block.value.matrix.n_out());
        cpu.apply(
            &[&block.query.matrix, &block.key.matrix, &block.value.matrix],
            &space.normed,
            n_rows,
            &mut [&mut *query, &mut *key, &mut *value],
            &mut space.inner.scratch,
        );
        block.query.add_bias(cpu, query);
        block.key.add_bias(cpu, key);
        block.value.add_bias(cpu, value);
        if let Some(norm) = &block.query_norm {
            norm.apply_in_place(cpu, query, &mut space.mixed);
        }
        if let Some(norm) = &block.key_norm {
            norm.apply_in_place(cpu, key, &mut space.mixed);
        }
    }

    /// Attention of every step to its own cache.
    fn mix(&self, layer: usize, shape: AttentionShape, space: &mut Workspace) {
        let mut segments: Vec<&KeyValues> = Vec::new();
        let mut ends = Vec::with_capacity(self.steps.len());
        for step in &*self.steps {
            let shared = step.sequence.shared.iter();
            segments.extend(shared.map(|segment| &segment.layers[layer]));
            segments.push(&step.sequence.own.layers[layer]);
            ends.push(segments.len());
        }
        let mut start = 0;
        let sequences: Vec<Attention<'_>> = self
            .steps
            .iter()
            .zip(&ends)
            .map(|(step, end)| {
                let segments = &segments[start..*end];
                start = *end;
                Attention {
                    n_tokens: step.tokens.len(),
                    segments,
                }
            })
            .collect();
        let mixed = sized(&mut space.mixed, space.query.len());
        let scratch = &mut space.inner.scratch;
        self.engine
            .cpu
            .attend(shape, &sequences, &space.query, mixed, scratch);
    }

    /// Drops all rows but those of `wanted` (ascending) from the stream and from the mixed values.
    fn keep_rows(&mut self, wanted: &[usize], space: &mut Workspace) {
        let n_rows = self.rows.len();
        for buffer in [&mut space.x, &mut space.mixed] {
            let width = buffer.len() / n_rows;
            for (to, from) in wanted.iter().enumerate() {
                buffer.copy_within(from * width..(from + 1) * width, to * width);
            }
            buffer.truncate(wanted.len() * width);
        }
        self.rows = wanted.iter().map(|row| self.rows[*row]).collect();
    }

    /// The second half of a block: attention's output and the feed-forward layer join the stream.
    fn close(&mut self, layer: usize, space: &mut Workspace) {
        let n_rows = self.rows.len();
        if n_rows == 0 {
            return;
        }
        let engine = self.engine;
        let (cpu, block) = (&engine.cpu, &engine.blocks[layer]);
        let scratch = &mut space.inner.scratch;
        block
            .output
            .apply(cpu, &space.mixed, n_rows, &mut space.y, scratch);
        if let Some(norm) = &block.attention_norm_after {
            norm.apply_in_place(cpu, &mut space.y, &mut space.normed);
        }
        cpu.add(&mut space.x, &space.y);
        block
            .feed_forward_norm
            .apply(cpu, &space.x, &mut space.normed);
        self.feed_forward(layer, &block.feed_forward, space);
        if let Some(norm) = &block.feed_forward_norm_after {
            norm.apply_in_place(cpu, &mut space.y, &mut space.normed);
        }
        cpu.add(&mut space.x, &space.y);
    }

    /// `space.y` from `space.normed`.
    fn feed_forward(&mut self, layer: usize, weights: &FeedForwardWeights, space: &mut Workspace) {
        let cpu = &self.engine.cpu;
        let n_rows = self.rows.len();
        let Workspace {
            inner,
            normed,
            y,
            routing,
            ..
        } = space;
        match weights {
            FeedForwardWeights::Gated(gated) => gated.apply(cpu, normed, n_rows, y, inner),
            FeedForwardWeights::Plain {
                activation,
                up,
                down,
            } => plain(cpu, (*activation, up, down), normed, n_rows, y, inner),
            FeedForwardWeights::Experts {
                router,
                n_active,
                renormalise,
                experts,
            } => {
                let logits = sized(&mut routing.logits, n_rows * experts.len());
                let scratch = &mut inner.scratch;
                cpu.apply(&[router], normed, n_rows, &mut [&mut *logits], scratch);
                if let Some(tap) = &mut self.tap {
                    let rows = &self.rows;
                    tap.router(TapSite { layer, rows }, logits);
                }
                let choice = Choice {
                    n_active: *n_active,
                    renormalise: *renormalise,
                };
                routing.choose(cpu, experts.len(), choice);
                let out = sized(y, normed.len());
                routing.apply(cpu, experts, normed, out, inner);
            }
        }
    }

    fn tap_hidden(&mut self, layer: usize, space: &mut Workspace) {
        if let Some(tap) = &mut self.tap {
            let rows = &self.rows;
            tap.hidden(TapSite { layer, rows }, &mut space.x);
        }
    }

    /// The sequences have seen their tokens.
    fn grow(&mut self) {
        for step in &mut *self.steps {
            step.sequence.own.n_tokens += step.tokens.len();
        }
    }
}
