//! Estimates that no stock recipe gives, from stored rows. Only here may published numbers be read.

mod columns;
mod grid;
mod judges;
mod players;
mod published;
mod samples;

use eval::{Claim, Error, Estimate, MeasuredRow, Result};

use crate::statistics::{meng, steiger, williams};

/// The estimate of a claim whose recipe is `custom`.
///
/// # Errors
/// The claim is unknown here, or its rows cannot be understood.
pub fn estimate(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    match claim.id.as_str() {
        "C2" | "C2-strict" | "Q4-2-players" | "Q4-3-players" | "Q4-4-players" | "Q4-4-tokens"
        | "Q4-1-life" => players::gap(claim, rows),
        "C2-by-game" | "C2-strict-by-game" => players::gap_of_correlations(
            claim,
            rows,
            ["first_order_by_game", "second_order_by_game"],
        ),
        "C2-corrected" => players::corrected_gap(claim, rows),
        "C2-published" => published::share_of_significant_gaps(rows, williams, "Williams'"),
        "C2-published-steiger" => published::share_of_significant_gaps(rows, steiger, "Steiger's"),
        "C2-published-meng" => published::share_of_significant_gaps(rows, meng, "Meng's"),
        "C2-needed" => published::models_needed(rows),
        "C3-recorded" => published::reasoning_wins(rows, f64::NEG_INFINITY),
        "C3-above-floor" => published::reasoning_wins(rows, 0.0),
        "C3-difference" => published::reasoning_difference(claim, rows),
        "C3-world" => players::able_beat_others(claim, rows),
        "Q1-first" | "Q1-first-strict" => grid::effect(claim, rows, grid::of_first),
        "Q1-second" | "Q1-second-strict" => grid::effect(claim, rows, grid::of_second),
        "Q1-order" | "Q1-order-strict" => grid::effect(claim, rows, grid::of_first_over_second),
        "Q1-interaction" => grid::effect(claim, rows, grid::interaction),
        "Q4-cross" | "Q4-cross-strict" => players::gap_of_slopes(claim, rows),
        "Q4-track" => players::what_the_second_order_score_tracks(claim, rows),
        "Q5-order" => samples::with_the_published_order(claim, rows),
        "Q5-power" => samples::power(claim, rows),
        "Q5-needed" => samples::needed(claim, rows),
        "Q5-reliability" => players::ratio_of_reliabilities(claim, rows),
        "Q6-lenient" => players::gap_of_correlations(
            claim,
            rows,
            ["first_order_lenient", "second_order_lenient"],
        ),
        "Q6-severe" => {
            players::gap_of_correlations(claim, rows, ["first_order_severe", "second_order_severe"])
        }
        "Q6-integers" => players::gap_of_correlations(
            claim,
            rows,
            ["first_order_integers", "second_order_integers"],
        ),
        "C5-overlap" | "C5-smollm2" | "C5-gemma3" => judges::kappa(claim, rows),
        "Q2-attenuation" => judges::attenuation(claim, rows),
        "Q2-corrected-first" | "Q2-corrected-second" => judges::correction_error(claim, rows),
        "Q3-smollm2-first" | "Q3-smollm2-second" | "Q3-gemma3-first" | "Q3-gemma3-second" => {
            judges::above_guessing(claim, rows)
        }
        other => Err(Error::internal(format!(
            "claim `{other}` has recipe `custom` and no estimate here"
        ))),
    }
}
