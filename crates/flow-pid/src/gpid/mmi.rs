//! The minimum-mutual-information decomposition (MMI-PID), exact where target and both sources are
//! scalar and jointly Gaussian (section 5.1 of the paper; Barrett 2015).

use crate::atoms::Atoms;

/// The ground truth of a scalar Gaussian system from its three informations, all in bits.
///
/// `R = min(I1, I2)`, so the union information is `max(I1, I2)`.
#[must_use]
pub fn scalar(info1_bits: f64, info2_bits: f64, info12_bits: f64) -> Atoms {
    Atoms::of_union(
        info1_bits,
        info2_bits,
        info12_bits,
        info1_bits.max(info2_bits),
    )
}

/// The scalar channel `X_i = h_i Y + n_i`, `Var Y = Var n_i = 1`, `Cov(n1, n2) = rho`: its truth
/// from elementary functions alone.
///
/// Where `rho = ±1` the sources share one noise; the truth exists there only if `h2 = ±h1`, and
/// otherwise is infinite, which the caller sees as an infinite synergy.
#[must_use]
pub fn scalar_channel(h1: f64, h2: f64, rho: f64) -> Atoms {
    let info = |snr: f64| 0.5 * (1.0 + snr).log2();
    let determinant = 1.0 - rho * rho;
    let joint = if determinant == 0.0 && h2 == rho * h1 {
        h1 * h1
    } else {
        (h1 * h1 - 2.0 * rho * h1 * h2 + h2 * h2) / determinant
    };
    scalar(info(h1 * h1), info(h2 * h2), info(joint))
}
