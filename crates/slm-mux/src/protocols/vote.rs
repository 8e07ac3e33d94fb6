//! Plurality votes over answers as they come.

/// The answer given most often and how often; of several, the one seen first. Answers that could
/// not be read do not vote.
///
/// ```
/// # use slm_mux::protocols::plurality;
/// assert_eq!(plurality([Some("b"), Some("a"), None, Some("a")]), Some(("a", 2)));
/// assert_eq!(plurality([Some("b"), Some("a")]), Some(("b", 1)));
/// assert_eq!(plurality([None]), None);
/// ```
pub fn plurality<'a>(
    answers: impl IntoIterator<Item = Option<&'a str>>,
) -> Option<(&'a str, usize)> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for answer in answers.into_iter().flatten() {
        match counts.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, count)) => *count += 1,
            None => counts.push((answer, 1)),
        }
    }
    let mut best: Option<(&str, usize)> = None;
    for (answer, count) in counts {
        if best.is_none_or(|(_, most)| count > most) {
            best = Some((answer, count));
        }
    }
    best
}
