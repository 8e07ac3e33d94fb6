//! What happens with ever more samples: T2, T6, and T7.

/// T2: what self-consistency tends to: 1 if the right answer is the strict mode, 1 over the number
/// of modes if it is one of several, else 0.
#[must_use]
pub fn limit_of_plurality(answers: &[f64]) -> f64 {
    share_of_right(answers)
}

/// T6: what the rule tends to: the model with the most peaked distribution decides. Between equal
/// peaks chance decides, as the counts then do.
#[must_use]
pub fn limit_of_rule(worlds: &[Vec<f64>]) -> f64 {
    let peaks: Vec<f64> = worlds.iter().map(|answers| peak(answers)).collect();
    let highest = peak(&peaks);
    let peaked = worlds.iter().zip(&peaks).filter(|(_, p)| **p == highest);
    let rights: Vec<f64> = peaked.map(|(answers, _)| share_of_right(answers)).collect();
    rights.iter().sum::<f64>() / rights.len().max(1) as f64
}

/// T7: what pooled votes tend to: the mode of the mean distribution.
#[must_use]
pub fn limit_of_forest(worlds: &[Vec<f64>]) -> f64 {
    let n_answers = worlds.iter().map(Vec::len).max().unwrap_or(0);
    let mean = |answer: usize| {
        let of = worlds.iter().filter_map(|answers| answers.get(answer));
        of.sum::<f64>() / worlds.len().max(1) as f64
    };
    share_of_right(&(0..n_answers).map(mean).collect::<Vec<f64>>())
}

fn peak(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn share_of_right(answers: &[f64]) -> f64 {
    let highest = peak(answers);
    let n_modes = answers.iter().filter(|p| **p == highest).count();
    match answers.first() {
        Some(right) if *right == highest => 1.0 / n_modes as f64,
        Some(_) | None => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_method_dominates_in_the_limit() {
        let pooling_wins = [vec![0.45, 0.35, 0.20, 0.0], vec![0.40, 0.0, 0.0, 0.60]];
        assert_eq!(limit_of_forest(&pooling_wins), 1.0);
        assert_eq!(limit_of_rule(&pooling_wins), 0.0);
        let rule_wins = [
            vec![0.7, 0.3, 0.0],
            vec![0.10, 0.65, 0.25],
            vec![0.0, 0.6, 0.4],
        ];
        assert_eq!(limit_of_forest(&rule_wins), 0.0);
        assert_eq!(limit_of_rule(&rule_wins), 1.0);
    }

    #[test]
    fn ties_in_the_limit_are_shared() {
        assert_eq!(limit_of_plurality(&[0.4, 0.4, 0.2]), 0.5);
        assert_eq!(limit_of_rule(&[vec![0.6, 0.4], vec![0.4, 0.6]]), 0.5);
    }
}
