//! Estimates that no stock recipe gives, from stored rows.

mod gains;

use eval::{Claim, Error, Estimate, MeasuredRow, Result};

/// The estimate of a claim whose recipe is `custom`.
///
/// # Errors
/// The claim is unknown here, or its rows cannot be understood.
pub fn estimate(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    match claim.id.as_str() {
        "C10" => Ok(gains::worst(claim, rows)),
        id => Err(Error::internal(format!(
            "claim `{id}` has recipe `custom` and no estimate here"
        ))),
    }
}
