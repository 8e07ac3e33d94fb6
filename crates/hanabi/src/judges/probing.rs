//! A judge put to the test on pairs whose agreement is known.

use eval::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use super::calibration::{Calibration, calibrate};
use super::interface::{Judge, Judgement, Order, Question};
use super::pairs::{Pair, Probe, probe, shuffled};

/// Questions under way at the same time; endpoints have limits of their own below this.
const N_CONCURRENT: usize = 8;

/// Has a judge score every pair, in order.
///
/// # Errors
/// As [`Judge::score`].
pub async fn judge_pairs(
    judge: &dyn Judge,
    pairs: &[Pair],
    order: Order,
) -> Result<Vec<Judgement>> {
    let asked = pairs.iter().map(|pair| {
        judge.score(Question {
            order,
            a: &pair.a,
            b: &pair.b,
        })
    });
    // Collected first: a lazy map over borrowed futures is not general enough for the compiler.
    let asked: Vec<_> = asked.collect();
    stream::iter(asked)
        .buffered(N_CONCURRENT)
        .try_collect()
        .await
}

/// One pair under one probe with its score.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Which pair.
    pub pair_idx: usize,
    /// What was done to it; `None`: the reasons were dealt out anew.
    pub probe: Option<Probe>,
    /// Exact agreement of what the judge saw, 0–1.
    pub agreement: f64,
    /// What the judge said.
    pub judgement: Judgement,
}

/// Has a judge score `pairs` plainly, and the first of them, `probed`, under every probe and with
/// reasons dealt out anew by `seed`.
///
/// # Errors
/// As [`Judge::score`].
pub async fn probe_judge(
    judge: &dyn Judge,
    pairs: &[Pair],
    probed: &[Pair],
    seed: u64,
) -> Result<Vec<Probed>> {
    let mut asked = Vec::new();
    for which in Probe::ALL {
        let shown = if which == Probe::Plain { pairs } else { probed };
        let changed = shown.iter().enumerate();
        asked.extend(
            changed.filter_map(|(idx, pair)| Some((idx, Some(which), probe(pair, which)?))),
        );
    }
    let dealt = shuffled(probed, &mut Pcg64Mcg::seed_from_u64(seed));
    asked.extend(
        dealt
            .into_iter()
            .enumerate()
            .map(|(idx, pair)| (idx, None, pair)),
    );
    let shown: Vec<Pair> = asked.iter().map(|(_, _, pair)| pair.clone()).collect();
    let judged = judge_pairs(judge, &shown, Order::First).await?;
    let probed = asked.into_iter().zip(judged);
    Ok(probed
        .map(|((pair_idx, probe, pair), judgement)| Probed {
            pair_idx,
            probe,
            agreement: pair.agreement(),
            judgement,
        })
        .collect())
}

/// What a test of a judge found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeReport {
    /// The judge.
    pub judge: String,
    /// Pairs with a score.
    pub n: usize,
    /// Pairs without one.
    pub n_without_score: usize,
    /// Correlation of scores with agreement.
    pub pearson: Option<f64>,
    /// The same of ranks.
    pub spearman: Option<f64>,
    /// On the scale from 0 to 1.
    pub mean_absolute_error: f64,
    /// Cohen's kappa with quadratic weights.
    pub kappa_quadratic: Option<f64>,
    /// Mean change of the score (0–1) when the statements change places, and the mean size of it.
    pub swapped: [f64; 2],
    /// The same when one statement is padded.
    pub padded: [f64; 2],
    /// Mean score (0–1) where only the slot number is wrong; the truth is one half.
    pub wrong_slot: f64,
    /// Mean score (0–1) of the pairs, and of the same with reasons dealt out anew.
    pub shuffled: [f64; 2],
    /// True means of the same.
    pub shuffled_truth: [f64; 2],
    /// Score, pairs with it, and their mean agreement.
    pub curve: Vec<(u8, usize, f64)>,
}

/// Sums up a test.
///
/// # Errors
/// The judge gave no score at all.
pub fn report(judge: &str, probed: &[Probed]) -> Result<ProbeReport> {
    let max = f64::from(Order::First.score_max());
    let of = |which: Option<Probe>| probed.iter().filter(move |one| one.probe == which);
    let score = |one: &Probed| one.judgement.score.map(|score| f64::from(score) / max);
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let plain: Vec<(u8, f64)> = of(Some(Probe::Plain))
        .filter_map(|one| Some((one.judgement.score?, one.agreement)))
        .collect();
    let (scores, truth): (Vec<u8>, Vec<f64>) = plain.iter().copied().unzip();
    let Calibration {
        n,
        pearson,
        spearman,
        mean_absolute_error,
        kappa,
        curve,
    } = calibrate(&scores, &truth, Order::First.score_max())?;
    let change = |which: Probe| {
        let changes = of(Some(which)).filter_map(|one| {
            let before = of(Some(Probe::Plain)).find(|plain| plain.pair_idx == one.pair_idx)?;
            Some(score(one)? - score(before)?)
        });
        let changes: Vec<f64> = changes.collect();
        let sizes = changes.iter().map(|change| change.abs()).collect();
        [mean(changes), mean(sizes)]
    };
    let scores_of = |which| mean(of(which).filter_map(score).collect());
    let truth_of = |which| mean(of(which).map(|one| one.agreement).collect());
    Ok(ProbeReport {
        judge: judge.to_owned(),
        n,
        n_without_score: of(Some(Probe::Plain)).count() - n,
        pearson,
        spearman,
        mean_absolute_error,
        kappa_quadratic: kappa,
        swapped: change(Probe::Swapped),
        padded: change(Probe::Padded),
        wrong_slot: scores_of(Some(Probe::WrongSlot)),
        shuffled: [scores_of(Some(Probe::Plain)), scores_of(None)],
        shuffled_truth: [truth_of(Some(Probe::Plain)), truth_of(None)],
        curve: curve
            .into_iter()
            .map(|point| (point.score, point.n, point.agreement))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Exact, Overlap, pairs};
    use super::*;

    fn tested(judge: &dyn Judge) -> ProbeReport {
        let pairs = pairs(400, &mut Pcg64Mcg::seed_from_u64(1)).unwrap();
        let probed = model::chat::block_on(probe_judge(judge, &pairs, &pairs, 7)).unwrap();
        report(judge.name(), &probed.unwrap()).unwrap()
    }

    #[test]
    fn the_exact_judge_passes_every_test() {
        let found = tested(&Exact);
        assert_eq!((found.n, found.n_without_score), (400, 0));
        assert!((found.pearson.unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(
            (found.kappa_quadratic, found.mean_absolute_error),
            (Some(1.0), 0.0)
        );
        assert_eq!((found.swapped, found.padded), ([0.0; 2], [0.0; 2]));
        assert_eq!(found.wrong_slot, 0.5);
        assert_eq!(found.shuffled, found.shuffled_truth);
    }

    #[test]
    fn shuffled_reasons_drop_judged_agreement_to_the_base_rate() {
        for judge in [&Exact as &dyn Judge, &Overlap] {
            let found = tested(judge);
            let [plain, dealt] = found.shuffled;
            assert!(plain > dealt + 0.05, "{}: {plain} {dealt}", found.judge);
        }
        let found = tested(&Exact);
        assert!((found.shuffled[1] - found.shuffled_truth[1]).abs() < 1e-12);
    }

    #[test]
    fn the_judge_of_words_is_fair_to_places_and_unfair_to_length() {
        let found = tested(&Overlap);
        assert_eq!(found.swapped, [0.0; 2]);
        assert!(found.padded[0] < -0.1, "{:?}", found.padded);
        assert!(
            found.wrong_slot > 0.7,
            "one word of several differs: {}",
            found.wrong_slot
        );
        assert!(found.pearson.unwrap() > 0.2);
    }
}
