//! `hanabi judge`.

use eval::output::{data, note};
use eval::{Error, Result, exit};
use model::chat::block_on;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use super::args::{Format, JudgeArgs};
use super::files::{Sink, read};
use super::open::Models;
use crate::judges::{
    Calibration, Judge, ProbeReport, calibrate, judge_game, pairs, probe_judge, report,
};
use crate::protocol::GameRecord;

/// Puts judges to the test, or has them score records; gives the exit code.
///
/// # Errors
/// A judge cannot be opened or does not answer, or the records cannot be read or written.
pub fn judge(args: &JudgeArgs) -> Result<u8> {
    let mut models = Models::new(&args.models, true);
    let judges: Vec<Box<dyn Judge>> = args
        .judges
        .iter()
        .map(|text| models.judge(text, args.seed))
        .collect::<Result<_>>()?;
    let judges: Vec<&dyn Judge> = judges.iter().map(|judge| &**judge).collect();
    match &args.records {
        Some(path) => {
            let shown = path.display().to_string();
            let records = GameRecord::read_all(&read(path)?, &shown)?;
            score_records(args, records, &judges)?;
        }
        None => test_judges(args, &judges)?,
    }
    Ok(exit::COMPLETE)
}

fn test_judges(args: &JudgeArgs, judges: &[&dyn Judge]) -> Result<()> {
    let pairs = pairs(args.pairs as usize, &mut Pcg64Mcg::seed_from_u64(args.seed))?;
    let mut reports = Vec::new();
    for judge in judges {
        note(&format!("`{}` scores {} pairs", judge.name(), pairs.len()));
        let probed = block_on(probe_judge(*judge, &pairs, &pairs, args.seed))??;
        reports.push(report(judge.name(), &probed)?);
    }
    match args.format {
        Format::Json => {
            let document = json!({ "format": 1, "seed": args.seed, "judges": reports });
            data(&format!("{document:#}\n"))
        }
        Format::Text => data(&reports.iter().map(told).collect::<String>()),
    }
}

/// A report for a person.
fn told(report: &ProbeReport) -> String {
    let number = |value: Option<f64>| value.map_or("none".to_owned(), |v| format!("{v:.3}"));
    let mut text = format!(
        "{} ({} pairs, {} without a score)\n  with known agreement: Pearson {}, Spearman {}, \
         quadratic kappa {}, mean absolute error {:.3}\n  places changed: {:+.3} (size {:.3}); \
         padded: {:+.3} (size {:.3})\n  wrong slot number: {:.3} (truth 0.500)\n  reasons dealt \
         out anew: {:.3} -> {:.3} (truth {:.3} -> {:.3})\n  score, pairs, mean agreement:",
        report.judge,
        report.n,
        report.n_without_score,
        number(report.pearson),
        number(report.spearman),
        number(report.kappa_quadratic),
        report.mean_absolute_error,
        report.swapped[0],
        report.swapped[1],
        report.padded[0],
        report.padded[1],
        report.wrong_slot,
        report.shuffled[0],
        report.shuffled[1],
        report.shuffled_truth[0],
        report.shuffled_truth[1],
    );
    for (score, n, agreement) in &report.curve {
        text.push_str(&format!(" {score}:{n}:{agreement:.2}"));
    }
    text.push('\n');
    text
}

fn score_records(
    args: &JudgeArgs,
    mut records: Vec<GameRecord>,
    judges: &[&dyn Judge],
) -> Result<()> {
    for record in &mut records {
        for judge in judges {
            block_on(judge_game(record, *judge))??;
        }
    }
    if let Some(out) = &args.out {
        let mut sink = Sink::open(Some(out))?;
        for record in &records {
            sink.write(&record.to_lines()?)?;
        }
    }
    let mut found = Vec::new();
    for judge in judges {
        found.push((
            judge.name().to_owned(),
            against_exact(&records, judge.name())?,
        ));
    }
    match args.format {
        Format::Json => {
            let judges: Vec<Value> = found
                .iter()
                .map(|(name, orders)| json!({ "judge": name, "orders": orders.clone().map(value) }))
                .collect();
            data(&format!("{:#}\n", json!({ "format": 1, "judges": judges })))
        }
        Format::Text => {
            let line = |(name, orders): &(String, [Calibration; 2])| {
                let words = ["first order", "second order"].into_iter().zip(orders);
                words
                    .map(|(order, c)| {
                        let kappa = c.kappa.map_or("none".to_owned(), |v| format!("{v:.3}"));
                        let error = c.mean_absolute_error;
                        format!(
                            "{name}, {order}: {} hints, quadratic kappa {kappa} with the intents, \
                             mean absolute error {error:.3}\n",
                            c.n
                        )
                    })
                    .collect::<String>()
            };
            data(&found.iter().map(line).collect::<String>())
        }
    }
}

fn value(found: Calibration) -> Value {
    json!({
        "n": found.n, "pearson": found.pearson, "spearman": found.spearman,
        "kappa_quadratic": found.kappa, "mean_absolute_error": found.mean_absolute_error,
    })
}

/// A judge's scores of recorded hints against the agreement of their intents, by order.
fn against_exact(records: &[GameRecord], judge: &str) -> Result<[Calibration; 2]> {
    let (mut scores, mut truth) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for hint in records.iter().flat_map(GameRecord::hints) {
        let judged = hint
            .judged
            .iter()
            .rev()
            .find(|judged| judged.judge == judge);
        let (Some(judged), Some(agreements)) = (judged, hint.agreements()) else {
            continue;
        };
        for (order, score) in [judged.first, judged.second].into_iter().enumerate() {
            if let Some(score) = score {
                scores[order].push(score);
                truth[order].push(agreements[order]);
            }
        }
    }
    if scores.iter().any(Vec::is_empty) {
        return Err(
            Error::inputs(format!("`{judge}` scored no hint of these records"))
                .hint("hints have statements where graded players or language models gave them"),
        );
    }
    let [first, second] = scores;
    Ok([
        calibrate(&first, &truth[0], 10)?,
        calibrate(&second, &truth[1], 5)?,
    ])
}
