//! `model score`.

use eval::{Error, Result, output};
use model::generate::{LanguageModel, ScoreRequest};
use model::serve::Codec;
use serde_json::{Value, json};

use super::args::{Format, ScoreArgs};
use super::document::print_json;
use super::load::load;

/// Prints the log-probability of each continuation.
///
/// # Errors
/// The weights cannot be loaded, or a continuation is empty.
pub fn score(args: &ScoreArgs) -> Result<()> {
    args.model.device.require_cpu()?;
    let loaded = load(&args.model)?;
    let prompt = loaded.codec.encode(&args.prompt)?.ids;
    let continuations = args
        .continuations
        .iter()
        .map(|text| loaded.codec.encode_piece(text))
        .collect::<Result<Vec<_>>>()?;
    let request = ScoreRequest {
        prompt,
        continuations: continuations.clone(),
    };
    let scores = loaded.model.score(std::slice::from_ref(&request))?;
    let score = scores
        .first()
        .ok_or_else(|| Error::internal("the engine gave no score"))?;
    let rows = args.continuations.iter().zip(&continuations);
    let rows: Vec<(&String, &Vec<u32>, &Vec<f32>)> = rows
        .zip(&score.logprobs)
        .map(|((text, ids), logprobs)| (text, ids, logprobs))
        .collect();
    let total = |logprobs: &[f32]| logprobs.iter().map(|l| f64::from(*l)).sum::<f64>();
    match args.format {
        Format::Json => {
            let rows: Vec<Value> = rows
                .iter()
                .map(|(text, ids, logprobs)| {
                    json!({
                        "continuation": text,
                        "tokens": ids,
                        "logprobs_nats": logprobs,
                        "total_nats": total(logprobs),
                    })
                })
                .collect();
            print_json(&json!({
                "format": 1, "model": loaded.model.name(), "scores": rows, "usage": score.usage,
            }))
        }
        Format::Text => {
            let line = |(text, ids, logprobs): &(&String, &Vec<u32>, &Vec<f32>)| {
                let (total, n) = (total(logprobs), ids.len());
                format!("{total:>12.5} nats  {n:>4} tokens  {:?}\n", text.as_str())
            };
            output::data(&rows.iter().map(line).collect::<String>())
        }
    }
}
