//! Estimates that no stock recipe gives, from stored rows. Only here may published numbers be read.

mod paired;

use eval::{Claim, Error, Estimate, MeasuredRow, Result};

/// The estimate of a claim whose recipe is `custom`.
///
/// # Errors
/// The claim is unknown here, or its rows cannot be understood.
pub fn estimate(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    // Comparisons of two arms and reliabilities are one computation each, whatever the claim.
    if claim.estimate.arm.is_some() {
        return paired::difference(claim, rows);
    }
    if claim.estimate.metric == "mode_right" {
        return paired::auroc(claim, rows);
    }
    Err(Error::internal(format!(
        "claim `{}` has recipe `custom` and no estimate here",
        claim.id
    )))
}
