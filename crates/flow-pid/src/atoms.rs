//! The four atoms and the informations they come from.

use faer::MatRef;

use crate::channel::{Channel, Dims};
use crate::closed_form::Optimum;
use crate::error::PidError;

/// A decomposition of `I(X1,X2;Y)`, everything in bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Atoms {
    /// Redundancy R: what either source tells.
    pub redundancy: f64,
    /// U1: what source 1 alone tells.
    pub unique1: f64,
    /// U2: what source 2 alone tells.
    pub unique2: f64,
    /// Synergy S: what only both together tell.
    pub synergy: f64,
    /// I(X1;Y).
    pub info1: f64,
    /// I(X2;Y).
    pub info2: f64,
    /// I(X1,X2;Y) under the true distribution.
    pub info12: f64,
    /// Union information J: the least joint information over all couplings.
    pub union: f64,
}

/// The names of the atoms in the paper, in the order of [`Atoms::parts`].
pub const ATOM_NAMES: [&str; 4] = ["R", "U1", "U2", "S"];

impl Atoms {
    /// The atoms of a union information (Appendix A): `U1 = J − I2`, `U2 = J − I1`,
    /// `R = I1 + I2 − J`, `S = I12 − J`. Nothing is clamped.
    #[must_use]
    pub fn of_union(info1: f64, info2: f64, info12: f64, union: f64) -> Self {
        Self {
            redundancy: info1 + info2 - union,
            unique1: union - info2,
            unique2: union - info1,
            synergy: info12 - union,
            info1,
            info2,
            info12,
            union,
        }
    }

    /// The atoms with the union information moved into `[max(I1, I2), min(I1 + I2, I12)]`, where
    /// every atom is non-negative, as the official code does after its iteration.
    ///
    /// Where rounding leaves `I12` below `max(I1, I2)`, the lower end wins.
    #[must_use]
    pub fn of_union_clamped(info1: f64, info2: f64, info12: f64, union: f64) -> Self {
        let low = info1.max(info2);
        let high = (info1 + info2).min(info12).max(low);
        Self::of_union(info1, info2, info12.max(low), union.clamp(low, high))
    }

    /// The certified Gaussian PID of a channel, by the closed form. Nothing is clamped: a synergy
    /// of exactly zero may come out as a rounding error of either sign.
    ///
    /// # Errors
    /// The joint information is infinite or a factorisation failed.
    pub fn of_channel(channel: &Channel) -> Result<Self, PidError> {
        crate::gpid::closed_form::atoms(channel)
    }

    /// The certified Gaussian PID of a covariance of (Y, X1, X2), by the closed form; much faster
    /// than whitening first.
    ///
    /// # Errors
    /// As [`Channel::from_covariance`] and [`Atoms::of_channel`].
    pub fn of_covariance(covariance: MatRef<'_, f64>, dims: Dims) -> Result<Self, PidError> {
        crate::gpid::covariance::atoms_of_covariance(covariance, dims)
    }

    /// The atoms of `[I1, I2, I12]` and `[U1, U2]`, with `J = I2 + U1` and `R = I1 − U1`.
    pub(crate) fn of_closed_form(infos: [f64; 3], uniques: [f64; 2]) -> Self {
        let [info1, info2, info12] = infos;
        let [unique1, unique2] = uniques;
        let union = info2 + unique1;
        Self {
            redundancy: info1 - unique1,
            unique1,
            unique2,
            synergy: info12 - union,
            info1,
            info2,
            info12,
            union,
        }
    }

    /// The same decomposition with the sources' names exchanged.
    #[must_use]
    pub fn exchanged(&self) -> Self {
        Self {
            unique1: self.unique2,
            unique2: self.unique1,
            info1: self.info2,
            info2: self.info1,
            ..*self
        }
    }

    /// The same from an optimum that is already there.
    ///
    /// # Errors
    /// The joint information is infinite.
    pub fn of_optimum(channel: &Channel, optimum: &Optimum) -> Result<Self, PidError> {
        let (info12, union) = (channel.info12_bits()?, optimum.union_bits);
        Ok(Self {
            redundancy: optimum.redundancy_bits(),
            unique1: optimum.unique1_bits,
            unique2: optimum.unique2_bits,
            synergy: info12 - union,
            info1: optimum.info1_bits,
            info2: optimum.info2_bits,
            info12,
            union,
        })
    }

    /// R, U1, U2, S in the order of [`ATOM_NAMES`].
    #[must_use]
    pub fn parts(&self) -> [f64; 4] {
        [self.redundancy, self.unique1, self.unique2, self.synergy]
    }

    /// The largest absolute difference over the four atoms.
    #[must_use]
    pub fn distance_max(&self, other: &Self) -> f64 {
        let pairs = self.parts().into_iter().zip(other.parts());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}
