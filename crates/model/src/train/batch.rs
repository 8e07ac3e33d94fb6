//! Ragged token sequences, padded on the right.

use candle_core::{Device, Tensor};
use eval::{Error, Result};

/// Token sequences of one computation, padded on the right to the longest.
///
/// Attention is causal, so padding on the right reaches no real token: a row's numbers do not
/// depend on how far it is padded, beyond the rounding of matrix products of another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    ids: Vec<u32>,
    lengths: Vec<usize>,
    n_tokens: usize,
}

impl Batch {
    /// Pads `sequences` with id 0.
    ///
    /// # Errors
    /// There is no sequence, or one is empty.
    pub fn new<S: AsRef<[u32]>>(sequences: &[S]) -> Result<Self> {
        let lengths: Vec<usize> = sequences.iter().map(|s| s.as_ref().len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        Self::padded_to(sequences, longest)
    }

    /// Pads `sequences` with id 0 to `n_tokens`, so that every batch of a run has one shape.
    ///
    /// # Errors
    /// There is no sequence, one is empty, or one is longer than `n_tokens`.
    pub fn padded_to<S: AsRef<[u32]>>(sequences: &[S], n_tokens: usize) -> Result<Self> {
        if sequences.is_empty() {
            return Err(Error::usage("a batch needs at least one sequence"));
        }
        let mut ids = vec![0; sequences.len() * n_tokens];
        let mut lengths = Vec::with_capacity(sequences.len());
        for (row_idx, sequence) in sequences.iter().enumerate() {
            let sequence = sequence.as_ref();
            if sequence.is_empty() || sequence.len() > n_tokens {
                return Err(Error::usage(format!(
                    "sequence {row_idx} of a batch has {} tokens; 1 to {n_tokens} fit",
                    sequence.len()
                )));
            }
            let start = row_idx * n_tokens;
            ids[start..start + sequence.len()].copy_from_slice(sequence);
            lengths.push(sequence.len());
        }
        Ok(Self {
            ids,
            lengths,
            n_tokens,
        })
    }

    /// Rows.
    #[must_use]
    pub fn n_sequences(&self) -> usize {
        self.lengths.len()
    }

    /// Columns: the padded length.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Real tokens of each row.
    #[must_use]
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Row-major ids, padding included.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The real tokens of row `row_idx`.
    #[must_use]
    pub fn row(&self, row_idx: usize) -> &[u32] {
        let start = row_idx * self.n_tokens;
        &self.ids[start..start + self.lengths[row_idx]]
    }

    /// 1 at every real token, 0 at padding: `[n_sequences * n_tokens]`.
    #[must_use]
    pub fn real(&self) -> Vec<f32> {
        self.weights(|_, _| 1.0)
    }

    /// Weights of a loss that predicts every real token but the first of its row.
    #[must_use]
    pub fn all_targets(&self) -> Vec<f32> {
        self.weights(|_, token_idx| if token_idx == 0 { 0.0 } else { 1.0 })
    }

    /// Weights of a loss on the tokens of each row from `starts[row]` on (an answer after its
    /// prompt).
    ///
    /// # Errors
    /// There is not one start per row, or a start is 0 (nothing precedes the first token).
    pub fn targets_from(&self, starts: &[usize]) -> Result<Vec<f32>> {
        if starts.len() != self.n_sequences() || starts.contains(&0) {
            return Err(Error::usage(format!(
                "{} rows need as many starts, each at least 1, not {starts:?}",
                self.n_sequences()
            )));
        }
        Ok(self.weights(|row, token| if token >= starts[row] { 1.0 } else { 0.0 }))
    }

    /// The rows `from..to` at the same padded length.
    pub(super) fn slice(&self, from: usize, to: usize) -> Self {
        Self {
            ids: self.ids[from * self.n_tokens..to * self.n_tokens].to_vec(),
            lengths: self.lengths[from..to].to_vec(),
            n_tokens: self.n_tokens,
        }
    }

    /// Ids as a tensor `[n_sequences * n_tokens]`.
    pub(super) fn tensor(&self) -> candle_core::Result<Tensor> {
        Tensor::from_slice(&self.ids, self.ids.len(), &Device::Cpu)
    }

    fn weights(&self, weight: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let mut weights = vec![0.0; self.ids.len()];
        for (row_idx, &length) in self.lengths.iter().enumerate() {
            for token_idx in 0..length {
                weights[row_idx * self.n_tokens + token_idx] = weight(row_idx, token_idx);
            }
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_and_padding_weighs_nothing() {
        let batch = Batch::new(&[vec![5, 6, 7], vec![8]]).unwrap();
        assert_eq!(batch.ids(), [5, 6, 7, 8, 0, 0]);
        assert_eq!(batch.row(1), [8]);
        assert_eq!(batch.real(), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(batch.all_targets(), [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        let weights = batch.targets_from(&[2, 1]).unwrap();
        assert_eq!(weights, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn empty_rows_and_starts_without_a_past_are_refused() {
        assert!(Batch::new::<Vec<u32>>(&[]).is_err());
        assert!(Batch::new(&[vec![1], vec![]]).is_err());
        assert!(Batch::padded_to(&[vec![1, 2]], 1).is_err());
        let batch = Batch::new(&[vec![1, 2]]).unwrap();
        assert!(batch.targets_from(&[0]).is_err());
        assert!(batch.targets_from(&[1, 1]).is_err());
    }
}
