//! The Gaussian broadcast channel: `X_i = H_i Y + n_i` in whitened coordinates (section 3.2).
//!
//! A [`Channel`] always has identity covariance for the target and for each noise block. Only the
//! cross-covariance of the two noises of the *true* distribution is kept beside `H1` and `H2`; it
//! enters the joint information, hence the synergy, and nothing else.

use faer::{Mat, MatRef};

use crate::error::PidError;
use crate::linalg::{
    block_diagonal, check_finite, cholesky, identity_plus_gram, log2_det, solve_lower,
    spectral_map, stack_rows, symmetric_eigen,
};

/// Relative size below which an eigenvalue of a covariance counts as zero.
///
/// `f64` resolves a covariance's eigenvalues to about `dimension · 2⁻⁵²` of the largest one; the
/// factor 64 leaves room for how the covariance itself was summed.
const SINGULAR_RELATIVE: f64 = 64.0 * f64::EPSILON;

/// Relative difference of mirrored entries above which a matrix is not taken as symmetric.
const ASYMMETRY_RELATIVE: f64 = 1e-10;

/// Side of the tiles in which a covariance is compared with its transpose.
const TILE: usize = 64;

/// Smallest pivot of the noises' factor with which the joint information is taken from it: the
/// variance given the other source, its square, then still has twelve digits.
const PIVOT_MIN: f64 = 1e-2;

/// Sizes of target and sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dims {
    /// Coordinates of the target Y.
    pub y: usize,
    /// Coordinates of source X1.
    pub x1: usize,
    /// Coordinates of source X2.
    pub x2: usize,
}

impl Dims {
    /// Coordinates of (Y, X1, X2) together.
    #[must_use]
    pub fn total(self) -> usize {
        self.y + self.x1 + self.x2
    }
}

/// A whitened Gaussian broadcast channel.
#[derive(Clone, Debug)]
pub struct Channel {
    h1: Mat<f64>,
    h2: Mat<f64>,
    cross: Mat<f64>,
}

impl Channel {
    /// A channel whose two noises are independent: `X_i = H_i Y + n_i`, all covariances identity.
    ///
    /// # Errors
    /// A matrix is empty or not finite, or the two disagree on the target's size.
    pub fn with_independent_noise(h1: Mat<f64>, h2: Mat<f64>) -> Result<Self, PidError> {
        let cross = Mat::zeros(h1.nrows(), h2.nrows());
        Self::new(h1, h2, cross)
    }

    /// A channel with `Cov(n1, n2) = cross`; the noise blocks themselves are identity.
    ///
    /// # Errors
    /// A matrix is empty, not finite, or of the wrong shape, or the joint noise has a negative
    /// variance.
    pub fn new(h1: Mat<f64>, h2: Mat<f64>, cross: Mat<f64>) -> Result<Self, PidError> {
        for (h, what) in [(&h1, "channel 1"), (&h2, "channel 2")] {
            if h.nrows() == 0 || h.ncols() == 0 {
                return Err(PidError::Empty { what });
            }
            check_finite(h.as_ref(), what)?;
        }
        if h1.ncols() != h2.ncols() {
            let (expected, found) = ((h2.nrows(), h1.ncols()), h2.shape());
            return Err(PidError::Dimensions {
                what: "channel 2",
                expected,
                found,
            });
        }
        let what = "the noises' cross-covariance";
        let expected = (h1.nrows(), h2.nrows());
        if cross.shape() != expected {
            return Err(PidError::Dimensions {
                what,
                expected,
                found: cross.shape(),
            });
        }
        check_finite(cross.as_ref(), what)?;
        Ok(Self { h1, h2, cross })
    }

    /// The channel of a covariance ordered as target, source 1, source 2.
    ///
    /// Whitening uses symmetric square roots, as the official code does; the decomposition does not
    /// depend on which root is taken, the path of Thin-PID does.
    ///
    /// # Errors
    /// The matrix has the wrong shape, is not finite or not symmetric, the target's covariance or
    /// a source's covariance given the target is singular, or a variance is negative.
    pub fn from_covariance(covariance: MatRef<'_, f64>, dims: Dims) -> Result<Self, PidError> {
        check_covariance(covariance, dims)?;
        let block = |row: usize, rows: usize, col: usize, cols: usize| {
            covariance.submatrix(row, col, rows, cols)
        };
        let (at_1, at_2) = (dims.y, dims.y + dims.x1);
        let target_root = inverse_root(block(0, dims.y, 0, dims.y))?;
        let target_root = target_root.regular().ok_or(PidError::SingularTarget)?;
        // K_i = Σ_{XiY} Σ_Y^{-1/2}, so that Σ_ni = Σ_Xi − K_i K_iᵀ without any inverse of Σ_Y.
        let k1 = block(at_1, dims.x1, 0, dims.y) * &target_root;
        let k2 = block(at_2, dims.x2, 0, dims.y) * &target_root;
        let noise_1 = block(at_1, dims.x1, at_1, dims.x1) - &k1 * k1.transpose();
        let noise_2 = block(at_2, dims.x2, at_2, dims.x2) - &k2 * k2.transpose();
        let scale_1 = variance_max(block(at_1, dims.x1, at_1, dims.x1));
        let scale_2 = variance_max(block(at_2, dims.x2, at_2, dims.x2));
        let root_1 = noise_root(noise_1.as_ref(), scale_1, 1)?;
        let root_2 = noise_root(noise_2.as_ref(), scale_2, 2)?;
        let cross = block(at_1, dims.x1, at_2, dims.x2) - &k1 * k2.transpose();
        Self::new(&root_1 * k1, &root_2 * k2, &root_1 * cross * &root_2)
    }

    /// The whitened channel from target to source 1, `d1 × dy`.
    #[must_use]
    pub fn h1(&self) -> MatRef<'_, f64> {
        self.h1.as_ref()
    }

    /// The whitened channel from target to source 2, `d2 × dy`.
    #[must_use]
    pub fn h2(&self) -> MatRef<'_, f64> {
        self.h2.as_ref()
    }

    /// The true cross-covariance of the whitened noises, `d1 × d2`.
    #[must_use]
    pub fn cross(&self) -> MatRef<'_, f64> {
        self.cross.as_ref()
    }

    /// Sizes of target and sources.
    #[must_use]
    pub fn dims(&self) -> Dims {
        Dims {
            y: self.h1.ncols(),
            x1: self.h1.nrows(),
            x2: self.h2.nrows(),
        }
    }

    /// The same system with the sources' names exchanged.
    #[must_use]
    pub fn swapped(&self) -> Self {
        Self {
            h1: self.h2.clone(),
            h2: self.h1.clone(),
            cross: self.cross.transpose().to_owned(),
        }
    }

    /// Two systems that have nothing to do with each other, side by side.
    #[must_use]
    pub fn beside(&self, other: &Self) -> Self {
        Self {
            h1: block_diagonal(self.h1(), other.h1()),
            h2: block_diagonal(self.h2(), other.h2()),
            cross: block_diagonal(self.cross(), other.cross()),
        }
    }

    /// The covariance of (Y, X1, X2) in whitened coordinates.
    #[must_use]
    pub fn covariance(&self) -> Mat<f64> {
        let h = stack_rows(self.h1(), self.h2());
        let noise = self.noise();
        let signal = &h * h.transpose();
        let dy = self.h1.ncols();
        Mat::from_fn(dy + h.nrows(), dy + h.nrows(), |i, j| {
            match (i < dy, j < dy) {
                (true, true) => f64::from(u8::from(i == j)),
                (true, false) => h[(j - dy, i)],
                (false, true) => h[(i - dy, j)],
                (false, false) => signal[(i - dy, j - dy)] + noise[(i - dy, j - dy)],
            }
        })
    }

    /// The channel with each `H_i` replaced by the triangular factor `R_i` of `H_i = Q_i R_i`,
    /// and independent noises.
    ///
    /// The union information depends on the sources only through `H_iᵀH_i = R_iᵀR_i`, so it is the
    /// same; joint information and synergy are not, unless the noises are independent.
    #[must_use]
    pub fn reduced(&self) -> Self {
        let h1 = self.h1.qr().thin_R().to_owned();
        let h2 = self.h2.qr().thin_R().to_owned();
        let cross = Mat::zeros(h1.nrows(), h2.nrows());
        Self { h1, h2, cross }
    }

    /// `I(X1;Y) = ½ log2 det(I + H1ᵀH1)` in bits.
    ///
    /// # Errors
    /// The determinant overflows.
    pub fn info1_bits(&self) -> Result<f64, PidError> {
        information_bits(self.h1())
    }

    /// `I(X2;Y)` in bits.
    ///
    /// # Errors
    /// As [`Channel::info1_bits`].
    pub fn info2_bits(&self) -> Result<f64, PidError> {
        information_bits(self.h2())
    }

    /// `I(X1,X2;Y) = ½ log2 det(I + Hᵀ Σ_n⁻¹ H)` in bits, with the true joint noise `Σ_n`.
    ///
    /// Where the joint noise is singular (one source is a copy of the other), directions without
    /// noise *and* without signal are dropped; the official code adds `1e-7 I` instead.
    ///
    /// # Errors
    /// [`PidError::InfiniteInformation`] where a direction has signal and no noise,
    /// [`PidError::NegativeVariance`] where the joint noise is no covariance.
    pub fn info12_bits(&self) -> Result<f64, PidError> {
        if let Some(signal) = self.signal_given_first() {
            return information_bits(signal.as_ref());
        }
        let h = stack_rows(self.h1(), self.h2());
        let (values, vectors) = symmetric_eigen(self.noise().as_ref())?;
        let floor = SINGULAR_RELATIVE * h.nrows() as f64 * values.last().copied().unwrap_or(1.0);
        if values[0] < -floor {
            let what = "the joint noise";
            return Err(PidError::NegativeVariance {
                what,
                eigenvalue: values[0],
            });
        }
        let mut signal = vectors.transpose() * &h;
        // Signal in a direction whose variance is known only to `floor` is resolved to its root.
        let signal_floor = floor.sqrt() * h.norm_max().max(1.0);
        for (k, &variance) in values.iter().enumerate() {
            for j in 0..h.ncols() {
                if variance > floor {
                    signal[(k, j)] /= variance.sqrt();
                } else if signal[(k, j)].abs() > signal_floor {
                    return Err(PidError::InfiniteInformation);
                } else {
                    signal[(k, j)] = 0.0;
                }
            }
        }
        information_bits(signal.as_ref())
    }

    /// `[H1; L⁻¹(H2 − CᵀH1)]` with `C` the noises' cross-covariance and `L Lᵀ = I − CᵀC`: the joint
    /// channel in coordinates of independent noises. `None` where the joint noise is close to
    /// singular, so that digits would be lost.
    fn signal_given_first(&self) -> Option<Mat<f64>> {
        if self.cross.norm_max() == 0.0 {
            return Some(stack_rows(self.h1(), self.h2()));
        }
        let gram = self.cross.transpose() * &self.cross;
        let inner = Mat::from_fn(gram.nrows(), gram.ncols(), |i, j| {
            f64::from(u8::from(i == j)) - gram[(i, j)]
        });
        let lower = cholesky(inner.as_ref(), "I - CᵀC").ok()?;
        if (0..lower.nrows()).any(|k| lower[(k, k)] < PIVOT_MIN) {
            return None;
        }
        let given = &self.h2 - self.cross.transpose() * &self.h1;
        let whitened = solve_lower(lower.as_ref(), given.as_ref());
        Some(stack_rows(self.h1(), whitened.as_ref()))
    }

    fn noise(&self) -> Mat<f64> {
        let d1 = self.h1.nrows();
        let n = d1 + self.h2.nrows();
        Mat::from_fn(n, n, |i, j| match (i < d1, j < d1) {
            (true, false) => self.cross[(i, j - d1)],
            (false, true) => self.cross[(j, i - d1)],
            _ => f64::from(u8::from(i == j)),
        })
    }
}

/// `½ log2 det(I + HᵀH)`, through the smaller of the two Gram matrices.
fn information_bits(h: MatRef<'_, f64>) -> Result<f64, PidError> {
    let gram = if h.ncols() <= h.nrows() {
        identity_plus_gram(h)
    } else {
        identity_plus_gram(h.transpose())
    };
    Ok(0.5 * log2_det(gram.as_ref(), "a channel's Gram matrix")?)
}

pub(crate) fn check_covariance(covariance: MatRef<'_, f64>, dims: Dims) -> Result<(), PidError> {
    for (size, what) in [
        (dims.y, "the target"),
        (dims.x1, "source 1"),
        (dims.x2, "source 2"),
    ] {
        if size == 0 {
            return Err(PidError::Empty { what });
        }
    }
    let (what, expected) = ("the covariance", (dims.total(), dims.total()));
    if covariance.shape() != expected {
        return Err(PidError::Dimensions {
            what,
            expected,
            found: covariance.shape(),
        });
    }
    let n = dims.total();
    let regular = (0..n).all(|k| covariance[(k, k)].is_finite());
    if let (true, None) = (regular, first_asymmetry(covariance)) {
        return Ok(());
    }
    check_finite(covariance, what)?;
    match first_asymmetry(covariance) {
        None => Ok(()),
        Some((row, column)) => Err(PidError::NotSymmetric {
            row,
            column,
            difference: covariance[(row, column)] - covariance[(column, row)],
        }),
    }
}

/// Row and column of an entry below the diagonal that is not its mirror image, or not a number.
///
/// In tiles, so that the mirrored entries of a large matrix stay in the cache.
fn first_asymmetry(covariance: MatRef<'_, f64>) -> Option<(usize, usize)> {
    let n = covariance.nrows();
    let roots: Vec<f64> = (0..n).map(|k| covariance[(k, k)].abs().sqrt()).collect();
    for tile in (0..n).step_by(TILE) {
        for below in (tile..n).step_by(TILE) {
            for column in tile..(tile + TILE).min(n) {
                let first = below.max(column + 1);
                let len = (below + TILE).min(n).saturating_sub(first);
                if len == 0 {
                    continue;
                }
                let lower = covariance.col(column).subrows(first, len);
                let upper = covariance.row(column).subcols(first, len);
                let bound = ASYMMETRY_RELATIVE * roots[column];
                let pairs = lower.iter().zip(upper.iter()).zip(&roots[first..]);
                let differs = |((one, other), root): ((&f64, &f64), &f64)| {
                    let difference: f64 = one - other;
                    difference.abs() > bound * root || difference.is_nan()
                };
                if let Some(k) = pairs.map(differs).position(|differs| differs) {
                    return Some((first + k, column));
                }
            }
        }
    }
    None
}

/// A symmetric inverse square root, or the eigenvalue that forbids it.
enum InverseRoot {
    Regular(Mat<f64>),
    Singular { eigenvalue: f64 },
}

impl InverseRoot {
    fn regular(self) -> Option<Mat<f64>> {
        match self {
            Self::Regular(root) => Some(root),
            Self::Singular { .. } => None,
        }
    }
}

fn inverse_root(a: MatRef<'_, f64>) -> Result<InverseRoot, PidError> {
    inverse_root_above(a, variance_max(a))
}

fn inverse_root_above(a: MatRef<'_, f64>, scale: f64) -> Result<InverseRoot, PidError> {
    let (values, vectors) = symmetric_eigen(a)?;
    let eigenvalue = values[0];
    if eigenvalue <= SINGULAR_RELATIVE * a.nrows() as f64 * scale {
        return Ok(InverseRoot::Singular { eigenvalue });
    }
    Ok(InverseRoot::Regular(spectral_map(
        &values,
        vectors.as_ref(),
        |v| 1.0 / v.sqrt(),
    )))
}

/// `Σ_ni^{-1/2}`; the noise counts as singular relative to the source's own variance `scale`.
fn noise_root(noise: MatRef<'_, f64>, scale: f64, source: u8) -> Result<Mat<f64>, PidError> {
    match inverse_root_above(noise, scale)? {
        InverseRoot::Regular(root) => Ok(root),
        InverseRoot::Singular { eigenvalue } if eigenvalue < -ASYMMETRY_RELATIVE * scale => {
            let what = if source == 1 {
                "the noise of source 1"
            } else {
                "the noise of source 2"
            };
            Err(PidError::NegativeVariance { what, eigenvalue })
        }
        InverseRoot::Singular { .. } => Err(PidError::SingularNoise { source }),
    }
}

fn variance_max(a: MatRef<'_, f64>) -> f64 {
    (0..a.nrows()).map(|k| a[(k, k)]).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    const SCALAR: Dims = Dims { y: 1, x1: 1, x2: 1 };

    fn refused(covariance: Mat<f64>, dims: Dims) -> PidError {
        Channel::from_covariance(covariance.as_ref(), dims).unwrap_err()
    }

    #[test]
    fn whitening_undoes_scales_and_mixings() {
        let channel = Channel::new(
            mat![[1.0, 0.5], [-0.3, 2.0]],
            mat![[0.7, -1.0]],
            mat![[0.2], [-0.4]],
        )
        .unwrap();
        let again =
            Channel::from_covariance(channel.covariance().as_ref(), channel.dims()).unwrap();
        assert!((again.h1() - channel.h1()).norm_max() < 1e-14);
        assert!((again.h2() - channel.h2()).norm_max() < 1e-14);
        assert!((again.cross() - channel.cross()).norm_max() < 1e-14);
    }

    #[test]
    fn joint_information_matches_the_scalar_formula() {
        let (a, b, rho) = (1.3, 0.4, -0.6);
        let channel = Channel::new(mat![[a]], mat![[b]], mat![[rho]]).unwrap();
        let snr = (a * a - 2.0 * rho * a * b + b * b) / (1.0 - rho * rho);
        let expected = 0.5 * (1.0_f64 + snr).log2();
        assert!((channel.info12_bits().unwrap() - expected).abs() < 1e-14);
    }

    #[test]
    fn a_copied_source_adds_nothing_and_a_noiseless_combination_is_named() {
        let copy = Channel::new(mat![[1.0]], mat![[1.0]], mat![[1.0]]).unwrap();
        assert!((copy.info12_bits().unwrap() - 0.5).abs() < 1e-14);
        let leak = Channel::new(mat![[1.0]], mat![[2.0]], mat![[1.0]]).unwrap();
        assert_eq!(leak.info12_bits(), Err(PidError::InfiniteInformation));
        let impossible = Channel::new(mat![[1.0]], mat![[2.0]], mat![[1.5]]).unwrap();
        assert!(matches!(
            impossible.info12_bits(),
            Err(PidError::NegativeVariance { .. })
        ));
    }

    #[test]
    fn each_degenerate_covariance_has_its_own_name() {
        let good = mat![[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 3.0]];
        assert!(Channel::from_covariance(good.as_ref(), SCALAR).is_ok());
        let mut nan = good.clone();
        nan[(2, 1)] = f64::NAN;
        assert!(matches!(
            refused(nan, SCALAR),
            PidError::NotFinite {
                row: 2,
                column: 1,
                ..
            }
        ));
        let mut skew = good.clone();
        skew[(2, 1)] = 0.5;
        assert!(matches!(
            refused(skew, SCALAR),
            PidError::NotSymmetric {
                row: 2,
                column: 1,
                ..
            }
        ));
        let constant = mat![[0.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, 1.0, 3.0]];
        assert_eq!(refused(constant, SCALAR), PidError::SingularTarget);
        let noiseless = mat![[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 3.0]];
        assert_eq!(
            refused(noiseless, SCALAR),
            PidError::SingularNoise { source: 1 }
        );
        let negative = mat![[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 0.5]];
        assert!(matches!(
            refused(negative, SCALAR),
            PidError::NegativeVariance { .. }
        ));
        let dims = Dims { y: 1, x1: 2, x2: 1 };
        assert!(matches!(
            refused(good.clone(), dims),
            PidError::Dimensions { .. }
        ));
        let dims = Dims { y: 1, x1: 2, x2: 0 };
        assert_eq!(refused(good, dims), PidError::Empty { what: "source 2" });
    }

    #[test]
    fn channels_of_different_targets_are_refused() {
        let result = Channel::with_independent_noise(Mat::zeros(2, 3), Mat::zeros(2, 2));
        assert!(matches!(
            result,
            Err(PidError::Dimensions {
                what: "channel 2",
                ..
            })
        ));
    }
}
