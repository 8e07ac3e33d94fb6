//! Gradients of single sequences, and what is computed from them: Gram matrices, dot products.

use eval::{Error, Result};

use super::batch::Batch;
use super::gradients::Gradients;
use super::parameters::Parameters;
use candle_core::Tensor;

/// One flat gradient per sequence, `n_trainable` long, in the order of [`Parameters::flat`].
///
/// `loss` is called with one sequence at a time, at the padded length of the whole batch, so a
/// sequence's gradient does not depend on its neighbours, and is exactly that of a separate
/// backward pass.
///
/// # Errors
/// `loss` fails, or does not reach every trainable parameter.
pub fn per_sequence_gradients(
    batch: &Batch,
    parameters: &Parameters,
    mut loss: impl FnMut(&Batch) -> Result<Tensor>,
) -> Result<Vec<Vec<f32>>> {
    (0..batch.n_sequences())
        .map(|row| Gradients::of(&loss(&batch.slice(row, row + 1))?, parameters)?.flat())
        .collect()
}

/// Matrix of dot products of `n_vectors` vectors that need not fit into memory together,
/// `[n_vectors * n_vectors]` row-major, each product accumulated in double precision.
///
/// `vector(i)` computes vector `i`. At most `n_kept` of them (at least 2) are held at a time; those
/// of a block are computed again for every block before it, so `n_kept ≥ n_vectors` computes each
/// once.
///
/// # Errors
/// `vector` fails, or vectors differ in length.
pub fn gram_matrix(
    n_vectors: usize,
    n_kept: usize,
    mut vector: impl FnMut(usize) -> Result<Vec<f32>>,
) -> Result<Vec<f64>> {
    let mut gram = vec![0.0; n_vectors * n_vectors];
    let n_block = if n_kept >= n_vectors {
        n_vectors.max(1)
    } else {
        (n_kept / 2).max(1)
    };
    let starts: Vec<usize> = (0..n_vectors).step_by(n_block).collect();
    let mut block = |start: usize| -> Result<Vec<Vec<f32>>> {
        let end = (start + n_block).min(n_vectors);
        (start..end).map(&mut vector).collect()
    };
    for (order, &start) in starts.iter().enumerate() {
        let own = block(start)?;
        fill(&mut gram, n_vectors, (start, &own), (start, &own))?;
        for &other_start in &starts[order + 1..] {
            let other = block(other_start)?;
            fill(&mut gram, n_vectors, (start, &own), (other_start, &other))?;
        }
    }
    Ok(gram)
}

fn fill(
    gram: &mut [f64],
    n_vectors: usize,
    (row_start, rows): (usize, &[Vec<f32>]),
    (column_start, columns): (usize, &[Vec<f32>]),
) -> Result<()> {
    for (i, row) in rows.iter().enumerate() {
        for (j, column) in columns.iter().enumerate() {
            let (row_idx, column_idx) = (row_start + i, column_start + j);
            if column_idx >= row_idx {
                let product = dot(row, column)?;
                gram[row_idx * n_vectors + column_idx] = product;
                gram[column_idx * n_vectors + row_idx] = product;
            }
        }
    }
    Ok(())
}

/// Dot product in double precision, in an order that depends on the length alone.
///
/// # Errors
/// Lengths differ.
pub fn dot(a: &[f32], b: &[f32]) -> Result<f64> {
    // Independent sums let the compiler use vector registers without changing the result.
    const LANES: usize = 16;
    if a.len() != b.len() {
        return Err(Error::usage(format!(
            "dot product of {} and {} numbers",
            a.len(),
            b.len()
        )));
    }
    let mut sums = [0.0_f64; LANES];
    let (a, b) = (a.chunks(LANES), b.chunks(LANES));
    for (a, b) in a.zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    }
    Ok(sums.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_any_size_give_the_same_matrix() {
        let vectors: Vec<Vec<f32>> = (0..7)
            .map(|i| {
                (0..40)
                    .map(|j| ((i * 31 + j * 17) % 23) as f32 - 11.0)
                    .collect()
            })
            .collect();
        let product = |a: &[f32], b: &[f32]| {
            let terms = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            terms.sum::<f64>()
        };
        for n_kept in [1, 2, 3, 4, 6, 7, 100] {
            let gram = gram_matrix(7, n_kept, |i| Ok(vectors[i].clone())).unwrap();
            for i in 0..7 {
                for j in 0..7 {
                    // Small integers: every order of summation is exact.
                    assert_eq!(gram[i * 7 + j], product(&vectors[i], &vectors[j]));
                }
            }
        }
    }

    #[test]
    fn vectors_of_different_lengths_are_refused() {
        assert!(dot(&[1.0], &[1.0, 2.0]).is_err());
        assert!(gram_matrix(2, 2, |i| Ok(vec![1.0; i + 1])).is_err());
    }
}
