//! Estimates that no stock recipe gives, from stored rows. Only here may published numbers be read.

mod players;
mod published;

use eval::{Claim, Error, Estimate, MeasuredRow, Result};

/// The estimate of a claim whose recipe is `custom`.
///
/// # Errors
/// The claim is unknown here, or its rows cannot be understood.
pub fn estimate(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    match claim.id.as_str() {
        "C2" | "C2-strict" => players::gap_of_correlations(claim, rows),
        "C2-published" => published::share_of_significant_gaps(rows),
        "C3-recorded" => published::reasoning_wins(rows),
        "Q4-track" => players::what_the_second_order_score_tracks(claim, rows),
        "Q5-order" => players::samples_with_the_published_order(claim, rows),
        other => Err(Error::internal(format!(
            "claim `{other}` has recipe `custom` and no estimate here"
        ))),
    }
}
