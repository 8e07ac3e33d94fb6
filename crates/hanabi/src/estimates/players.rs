//! Correlations across the players of populations, and what their difference hangs on.

use eval::stats::sum;
use eval::{Claim, Estimate, MeasuredRow, Result};

use super::columns::Columns;

const EXACT: [&str; 2] = ["first_order", "second_order"];
const ABILITIES: [&str; 3] = [
    "ability_first_order",
    "ability_second_order",
    "ability_skill",
];

/// r1 − r2: which order of theory of mind goes more with the score, the claim's metric. `orders`
/// are the two scores that count.
pub fn gap_of_correlations(
    claim: &Claim,
    rows: &[MeasuredRow],
    orders: [&str; 2],
) -> Result<Option<Estimate>> {
    let score = claim.estimate.metric.as_str();
    let Some(columns) = Columns::of(claim, rows, &[score, orders[0], orders[1]])? else {
        return Ok(None);
    };
    columns.bootstrap(claim, "r1 − r2", |players| {
        columns.gap(orders, score, players)
    })
}

/// r1 − r2 for the measured agreements.
pub fn gap(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    gap_of_correlations(claim, rows, EXACT)
}

/// corr(X2, t2) − corr(X2, t1): positive where the second-order score follows the second ability.
pub fn what_the_second_order_score_tracks(
    claim: &Claim,
    rows: &[MeasuredRow],
) -> Result<Option<Estimate>> {
    let [first, second, _] = ABILITIES;
    let Some(columns) = Columns::of(claim, rows, &["second_order", first, second])? else {
        return Ok(None);
    };
    columns.bootstrap(claim, "corr(X2, t2) − corr(X2, t1)", |players| {
        columns.gap([second, first], "second_order", players)
    })
}

/// Reliability of a mean over games (§3.3): 1 − (mean variance of a player's mean) / (variance
/// over players of these means), which is sb² / (sb² + sw² / G) with sb² by difference.
fn reliability(columns: &Columns, order: usize, players: &[usize]) -> f64 {
    let means = columns.column(
        ["first_order_by_game", "second_order_by_game"][order],
        players,
    );
    let within = columns.column(
        ["first_order_variance", "second_order_variance"][order],
        players,
    );
    let n = means.len() as f64;
    let mean = sum(&means) / n;
    let squares: Vec<f64> = means.iter().map(|x| (x - mean) * (x - mean)).collect();
    1.0 - (sum(&within) / n) / (sum(&squares) / (n - 1.0))
}

const FOR_RELIABILITY: [&str; 4] = [
    "first_order_by_game",
    "second_order_by_game",
    "first_order_variance",
    "second_order_variance",
];

/// rel(X2) / rel(X1): how much less exactly the second order is measured.
pub fn ratio_of_reliabilities(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let Some(columns) = Columns::of(claim, rows, &FOR_RELIABILITY)? else {
        return Ok(None);
    };
    let whole = columns.everybody();
    let what = format!(
        "ratio of reliabilities, {:.3} of the first order and {:.3} of the second",
        reliability(&columns, 0, &whole),
        reliability(&columns, 1, &whole)
    );
    columns.bootstrap(claim, &what, |players| {
        reliability(&columns, 1, players) / reliability(&columns, 0, players)
    })
}

/// r1 − r2 after Spearman's correction of each for the reliability of its score (§3.3).
pub fn corrected_gap(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let score = claim.estimate.metric.as_str();
    let metrics = [&FOR_RELIABILITY[..], &[score]].concat();
    let Some(columns) = Columns::of(claim, rows, &metrics)? else {
        return Ok(None);
    };
    let corrected = |order: usize, players: &[usize]| {
        columns.correlation(FOR_RELIABILITY[order], score, players)
            / reliability(&columns, order, players).sqrt()
    };
    columns.bootstrap(claim, "r1 − r2, each over √reliability", |players| {
        corrected(0, players) - corrected(1, players)
    })
}

/// Mean score of players above the median in all three abilities minus that of players below it
/// in all three: the world's counterpart of two groups of models.
pub fn able_beat_others(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let score = claim.estimate.metric.as_str();
    let metrics = [&ABILITIES[..], &[score]].concat();
    let Some(columns) = Columns::of(claim, rows, &metrics)? else {
        return Ok(None);
    };
    let difference = |players: &[usize]| {
        let abilities = ABILITIES.map(|ability| columns.column(ability, players));
        let medians = abilities
            .each_ref()
            .map(|values| eval::stats::median(values).unwrap_or(f64::NAN));
        let scores = columns.column(score, players);
        let mean = |wanted: &dyn Fn(f64, f64) -> bool| {
            let chosen: Vec<f64> = (0..scores.len())
                .filter(|player| {
                    let pairs = abilities.iter().zip(medians);
                    pairs
                        .into_iter()
                        .all(|(values, median)| wanted(values[*player], median))
                })
                .map(|player| scores[player])
                .collect();
            sum(&chosen) / chosen.len() as f64
        };
        mean(&|value, median| value > median) - mean(&|value, median| value < median)
    };
    columns.bootstrap(claim, "difference of mean scores of two groups", difference)
}

/// Slope of the score on the mean first-order ability of a team minus that on its mean second-order
/// ability, from least squares on both and on the mean skill.
pub fn gap_of_slopes(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let score = claim.estimate.metric.as_str();
    let metrics = [&ABILITIES[..], &[score]].concat();
    let Some(columns) = Columns::of(claim, rows, &metrics)? else {
        return Ok(None);
    };
    let slopes = |players: &[usize]| {
        let predictors = ABILITIES.map(|ability| columns.column(ability, players));
        least_squares(&predictors, &columns.column(score, players))
    };
    let whole = slopes(&columns.everybody());
    let what = format!(
        "slope on mean t1 ({:.2}) − slope on mean t2 ({:.2}), skill held",
        whole[0], whole[1]
    );
    columns.bootstrap(claim, &what, |players| {
        let [first, second, _] = slopes(players);
        first - second
    })
}

/// Slopes of `y` on three predictors with an intercept, by the normal equations of centred columns;
/// not numbers where the predictors depend on each other.
fn least_squares(predictors: &[Vec<f64>; 3], y: &[f64]) -> [f64; 3] {
    let centred = |values: &[f64]| {
        let mean = sum(values) / values.len() as f64;
        values
            .iter()
            .map(|value| value - mean)
            .collect::<Vec<f64>>()
    };
    let columns = predictors.each_ref().map(|values| centred(values));
    let y = centred(y);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let matrix = columns
        .each_ref()
        .map(|a| columns.each_ref().map(|b| dot(a, b)));
    let right = columns.each_ref().map(|a| dot(a, &y));
    // Cramer's rule: three unknowns, and no pivot to choose.
    let determinant = |m: &[[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(&matrix);
    std::array::from_fn(|column| {
        let mut replaced = matrix;
        for (row, value) in replaced.iter_mut().zip(right) {
            row[column] = value;
        }
        determinant(&replaced) / whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_finds_the_slopes_of_an_exact_plane() {
        let column = |seed: u32| -> Vec<f64> {
            (0..20_u32)
                .map(|i| f64::from((i * seed + 7) % 13) / 13.0)
                .collect()
        };
        let predictors = [column(3), column(5), column(8)];
        let y: Vec<f64> = (0..20)
            .map(|i| 4.0 + 2.0 * predictors[0][i] - 0.5 * predictors[1][i] + predictors[2][i])
            .collect();
        let slopes = least_squares(&predictors, &y);
        for (slope, wanted) in slopes.into_iter().zip([2.0, -0.5, 1.0]) {
            assert!((slope - wanted).abs() < 1e-9, "{slopes:?}");
        }
    }
}
