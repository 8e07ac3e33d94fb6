//! Taps: look at hidden states and router logits inside the engine, or change them.

/// Listens to, and may change, what flows through the decoder.
///
/// The engine calls it only when one is set, once per layer with all rows of the batch. Changes
/// take part in the computation that follows, cached keys and values included.
pub trait Tap {
    /// Hidden states after layer `site.layer` (0 is the embedding, `n_layers` the last block before
    /// the final norm): `[n_rows * n_hidden]`, row-major, one row per entry of `site.rows`.
    fn hidden(&mut self, site: TapSite<'_>, states: &mut [f32]) {
        let _ = (site, states);
    }

    /// Router logits of block `site.layer` (from 0), before the softmax and the choice of experts:
    /// `[n_rows * n_experts]`, row-major.
    fn router(&mut self, site: TapSite<'_>, logits: &mut [f32]) {
        let _ = (site, logits);
    }
}

/// Where in the computation a tap is called.
#[derive(Clone, Copy, Debug)]
pub struct TapSite<'a> {
    /// The layer, counted as the method says.
    pub layer: usize,
    /// The rows of the batch, in the order of the values.
    pub rows: &'a [TapRow],
}

/// One row of a batch: one token of one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapRow {
    /// Which step of the forward call.
    pub step: usize,
    /// Position of the token in its sequence, from 0.
    pub position: usize,
    /// The token.
    pub token: u32,
}
