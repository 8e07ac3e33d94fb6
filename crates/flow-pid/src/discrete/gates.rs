//! Truth tables whose decomposition is known in closed form.
//!
//! Inputs are uniform over the rows. The values of `AND`, `SUM`, and `RdnXor` are those of Griffith
//! and Koch (2014) and Bertschinger et al. (2014), that of `PwUnq` is in Finn and Lizier (2018);
//! `COPY` is the two-bit copy, on which this decomposition finds no redundancy.

use super::joint::Joint;
use crate::error::PidError;

/// A gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// `Y = X1 ∧ X2`.
    And,
    /// `Y = X1 ∨ X2`.
    Or,
    /// `Y = X1 ⊕ X2`.
    Xor,
    /// `Y = X1 + X2`.
    Sum,
    /// `Y = (X1, X2)`.
    Copy,
    /// `Y = X1`, whatever X2 is.
    Unq,
    /// `Y = X1 = X2`.
    Rdn,
    /// A shared bit beside an exclusive or.
    RdnXor,
    /// A shared bit, a private bit of each source, and an exclusive or, side by side.
    RdnUnqXor,
    /// Exactly one source, never known beforehand which, tells the target.
    PwUnq,
}

impl Gate {
    /// Every gate.
    pub const ALL: [Self; 10] = [
        Self::And,
        Self::Or,
        Self::Xor,
        Self::Sum,
        Self::Copy,
        Self::Unq,
        Self::Rdn,
        Self::RdnXor,
        Self::RdnUnqXor,
        Self::PwUnq,
    ];

    /// The name used in rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::And => "AND",
            Self::Or => "OR",
            Self::Xor => "XOR",
            Self::Sum => "SUM",
            Self::Copy => "COPY",
            Self::Unq => "UNQ",
            Self::Rdn => "RDN",
            Self::RdnXor => "RDNXOR",
            Self::RdnUnqXor => "RDNUNQXOR",
            Self::PwUnq => "PWUNQ",
        }
    }

    /// Rows `(x1, x2, y)`, equally likely.
    fn rows(self) -> Vec<[usize; 3]> {
        let bits = |f: fn(usize, usize) -> usize| {
            let pairs = [(0, 0), (0, 1), (1, 0), (1, 1)];
            pairs.map(|(a, b)| [a, b, f(a, b)]).to_vec()
        };
        match self {
            Self::And => bits(|a, b| a & b),
            Self::Or => bits(|a, b| a | b),
            Self::Xor => bits(|a, b| a ^ b),
            Self::Sum => bits(|a, b| a + b),
            Self::Copy => bits(|a, b| 2 * a + b),
            Self::Unq => bits(|a, _| a),
            Self::Rdn => vec![[0, 0, 0], [1, 1, 1]],
            Self::RdnXor => {
                let row = |k: usize| {
                    let (shared, a, b) = (k >> 2, (k >> 1) & 1, k & 1);
                    [2 * shared + a, 2 * shared + b, 2 * shared + (a ^ b)]
                };
                (0..8).map(row).collect()
            }
            Self::RdnUnqXor => {
                let row = |k: usize| {
                    let (shared, u1, u2) = (k >> 4, (k >> 3) & 1, (k >> 2) & 1);
                    let (a, b) = ((k >> 1) & 1, k & 1);
                    [
                        4 * shared + 2 * u1 + a,
                        4 * shared + 2 * u2 + b,
                        8 * shared + 4 * u1 + 2 * u2 + (a ^ b),
                    ]
                };
                (0..32).map(row).collect()
            }
            Self::PwUnq => vec![[0, 1, 0], [1, 0, 0], [0, 2, 1], [2, 0, 1]],
        }
    }

    /// The distribution.
    ///
    /// # Errors
    /// Never in practice: the tables are fixed.
    pub fn joint(self) -> Result<Joint, PidError> {
        let rows = self.rows();
        let size = |k: usize| 1 + rows.iter().map(|row| row[k]).max().unwrap_or(0);
        let shape = [size(0), size(1), size(2)];
        let mut counts = vec![0; shape.iter().product()];
        for [x1, x2, y] in rows {
            counts[(x1 * shape[1] + x2) * shape[2] + y] += 1;
        }
        Joint::of_counts(shape, &counts)
    }

    /// The known atoms R, U1, U2, S in bits.
    #[must_use]
    pub fn known(self) -> [f64; 4] {
        // I(X1;Y) of AND: the entropy of a quarter minus half a bit.
        let and = 2.0 - 0.75 * 3.0_f64.log2() - 0.5;
        match self {
            Self::And | Self::Or => [and, 0.0, 0.0, 0.5],
            Self::Xor => [0.0, 0.0, 0.0, 1.0],
            Self::Sum => [0.5, 0.0, 0.0, 1.0],
            Self::Copy => [0.0, 1.0, 1.0, 0.0],
            Self::Unq => [0.0, 1.0, 0.0, 0.0],
            Self::Rdn => [1.0, 0.0, 0.0, 0.0],
            Self::RdnXor => [1.0, 0.0, 0.0, 1.0],
            Self::RdnUnqXor => [1.0; 4],
            Self::PwUnq => [0.5, 0.0, 0.0, 0.5],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discrete::broja::{Broja, BrojaConfig};

    #[test]
    fn every_gate_comes_out_as_known() {
        for gate in Gate::ALL {
            let found = Broja::of(&gate.joint().unwrap(), &BrojaConfig::default());
            let found = found.unwrap_or_else(|why| panic!("{}: {why}", gate.name()));
            for (atom, known) in found.atoms.parts().into_iter().zip(gate.known()) {
                let error = (atom - known).abs();
                assert!(error < 2e-10, "{}: {:?}", gate.name(), found.atoms);
            }
        }
    }
}
