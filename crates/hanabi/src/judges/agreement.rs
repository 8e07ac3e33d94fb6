//! Agreement of two raters beyond chance.

use eval::{Error, Result};

/// Cohen's kappa (Cohen, Educational and Psychological Measurement 20, 1960) of two ratings of the
/// same items in categories `0..n_categories`.
///
/// # Errors
/// As [`weighted_kappa`].
pub fn cohen_kappa(a: &[usize], b: &[usize], n_categories: usize) -> Result<f64> {
    kappa(a, b, n_categories, |i, j| f64::from(i != j))
}

/// Cohen's kappa with quadratic weights (Cohen, Psychological Bulletin 70, 1968): disagreements
/// count by the square of their distance.
///
/// # Errors
/// There are no items, the lists differ in length, a rating is no category, or both raters use one
/// and the same category alone, so that chance explains everything.
pub fn weighted_kappa(a: &[usize], b: &[usize], n_categories: usize) -> Result<f64> {
    kappa(a, b, n_categories, |i, j| {
        let distance = i as f64 - j as f64;
        distance * distance
    })
}

fn kappa(
    a: &[usize],
    b: &[usize],
    n_categories: usize,
    weight: impl Fn(usize, usize) -> f64,
) -> Result<f64> {
    if a.len() != b.len() || a.is_empty() {
        let (n_a, n_b) = (a.len(), b.len());
        return Err(Error::inputs(format!("kappa of {n_a} and {n_b} ratings")));
    }
    if let Some(rating) = a.iter().chain(b).find(|rating| **rating >= n_categories) {
        return Err(Error::inputs(format!(
            "rating {rating} is none of {n_categories} categories"
        )));
    }
    let n = a.len() as f64;
    let (mut row, mut column) = (vec![0.0; n_categories], vec![0.0; n_categories]);
    let mut observed = 0.0;
    for (i, j) in a.iter().zip(b) {
        row[*i] += 1.0;
        column[*j] += 1.0;
        observed += weight(*i, *j) / n;
    }
    let mut by_chance = 0.0;
    for (i, in_row) in row.iter().enumerate() {
        for (j, in_column) in column.iter().enumerate() {
            by_chance += weight(i, j) * in_row * in_column / (n * n);
        }
    }
    if by_chance == 0.0 {
        return Err(Error::inputs(
            "kappa has no value: both raters used one and the same category alone",
        ));
    }
    Ok(1.0 - observed / by_chance)
}
