//! The unit ball of the spectral norm: membership by a Cholesky factor, the nearest point by a
//! singular value decomposition, all in memory that is allocated once.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::BlockStructure;
use faer::linalg::matmul::{matmul, triangular};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Mat, MatRef, Par};

use crate::error::PidError;
use crate::linalg::{spectral_map, symmetric_eigen};

/// Work space for points `X` of shape `rows × columns`, `rows` being the smaller side where speed
/// matters.
pub(super) struct Ball {
    /// `I − XXᵀ`, lower triangle.
    pub inner: Mat<f64>,
    /// Cholesky factor of `inner`, possibly with a ridge, where it exists.
    pub factor: Mat<f64>,
    svd_u: Mat<f64>,
    svd_v: Mat<f64>,
    svd_s: Diag<f64>,
    memory: MemBuffer,
}

impl Ball {
    /// Work space that also serves systems of size `dy` with as many right-hand sides as columns.
    pub(super) fn new(rows: usize, columns: usize, dy: usize) -> Self {
        let vectors = ComputeSvdVectors::Thin;
        let (wide, rank) = (rows.max(columns), rows.min(columns));
        let svd = svd_scratch::<f64>(
            rows,
            columns,
            vectors,
            vectors,
            Par::Seq,
            Default::default(),
        );
        let size = wide.max(dy);
        let scratch = svd
            .or(llt::factor::cholesky_in_place_scratch::<f64>(
                size,
                Par::Seq,
                Default::default(),
            ))
            .or(llt::solve::solve_in_place_scratch::<f64>(
                size,
                size,
                Par::Seq,
            ));
        Self {
            inner: Mat::zeros(rows, rows),
            factor: Mat::zeros(rows, rows),
            svd_u: Mat::zeros(rows, rank),
            svd_v: Mat::zeros(columns, rank),
            svd_s: Diag::zeros(rank),
            memory: MemBuffer::new(scratch),
        }
    }

    /// Forms `I − XXᵀ` and its Cholesky factor; false where there is none, so that some singular
    /// value of `X` is 1 or more.
    pub(super) fn form_inner(&mut self, x: &Mat<f64>) -> bool {
        triangular::matmul(
            self.inner.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Replace,
            x.as_ref(),
            BlockStructure::Rectangular,
            x.transpose(),
            BlockStructure::Rectangular,
            -1.0,
            Par::Seq,
        );
        for k in 0..self.inner.nrows() {
            self.inner[(k, k)] += 1.0;
        }
        self.factor_inner_plus(0.0)
    }

    /// The Cholesky factor of `I − XXᵀ + ridge·I`; false where there is none.
    pub(super) fn factor_inner_plus(&mut self, ridge: f64) -> bool {
        self.factor.copy_from(&self.inner);
        for k in 0..self.factor.nrows() {
            self.factor[(k, k)] += ridge;
        }
        factor_lower(&mut self.factor, &mut self.memory)
    }

    /// Replaces the singular values of `X` above 1 by 1.
    pub(super) fn clip(&mut self, x: &mut Mat<f64>) -> Result<(), PidError> {
        let found = svd(
            x.as_ref(),
            self.svd_s.as_mut(),
            Some(self.svd_u.as_mut()),
            Some(self.svd_v.as_mut()),
            Par::Seq,
            MemStack::new(&mut self.memory),
            Default::default(),
        );
        if found.is_err() {
            return clip_by_eigenvalues(x);
        }
        for k in 0..self.svd_u.ncols() {
            let clipped = self.svd_s[k].clamp(0.0, 1.0);
            let column = self.svd_u.col_mut(k);
            column.iter_mut().for_each(|entry| *entry *= clipped);
        }
        let (u, v) = (self.svd_u.as_ref(), self.svd_v.transpose());
        matmul(x.as_mut(), Accum::Replace, u, v, 1.0, Par::Seq);
        Ok(())
    }

    /// Replaces the lower triangle by its Cholesky factor; false where there is none.
    pub(super) fn cholesky_in_place(&mut self, a: &mut Mat<f64>) -> bool {
        factor_lower(a, &mut self.memory)
    }

    /// Solves `L Lᵀ Z = B` in place, `L` the lower triangle of `factor`.
    pub(super) fn solve_in_place(&mut self, factor: &Mat<f64>, b: &mut Mat<f64>) {
        let stack = MemStack::new(&mut self.memory);
        llt::solve::solve_in_place(factor.as_ref(), b.as_mut(), Par::Seq, stack);
    }
}

/// The clip where the singular value decomposition did not converge, which happens on some matrices
/// whose singular values agree to the last bits: `X ← U diag(min(1, 1/σ)) Uᵀ X` with the
/// eigenvectors `U` of `XXᵀ`.
fn clip_by_eigenvalues(x: &mut Mat<f64>) -> Result<(), PidError> {
    let (values, vectors) = symmetric_eigen((&*x * x.transpose()).as_ref())?;
    let clip = spectral_map(&values, vectors.as_ref(), |square| {
        1.0 / square.sqrt().max(1.0)
    });
    *x = clip * &*x;
    Ok(())
}

/// `I + VᵀV`, lower triangle.
pub(super) fn add_gram_to_identity(out: &mut Mat<f64>, v: MatRef<'_, f64>) {
    add_gram(out, v, Accum::Replace);
    for k in 0..out.nrows() {
        out[(k, k)] += 1.0;
    }
}

/// `VᵀV` written or added to the lower triangle.
pub(super) fn add_gram(out: &mut Mat<f64>, v: MatRef<'_, f64>, accum: Accum) {
    triangular::matmul(
        out.as_mut(),
        BlockStructure::TriangularLower,
        accum,
        v.transpose(),
        BlockStructure::Rectangular,
        v,
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
}

fn factor_lower(a: &mut Mat<f64>, memory: &mut MemBuffer) -> bool {
    let stack = MemStack::new(memory);
    let (regularisation, parameters) = (Default::default(), Default::default());
    llt::factor::cholesky_in_place(a.as_mut(), regularisation, Par::Seq, stack, parameters).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    #[test]
    fn both_ways_to_clip_agree() {
        let outside = mat![[0.9, -0.8, 0.3], [0.4, 1.1, -0.2]];
        let (mut one, mut other) = (outside.clone(), outside);
        Ball::new(2, 3, 1).clip(&mut one).unwrap();
        clip_by_eigenvalues(&mut other).unwrap();
        assert!((one - other).norm_max() < 1e-14);
    }
}
