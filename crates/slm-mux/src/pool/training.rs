//! A small decoder trained on its own mixture of skills.

use std::path::Path;

use eval::{Error, Result};
use model::config::{Activation, DecoderConfig, FeedForward, Norm, Positions};
use model::train::{
    AdamW, AdamWConfig, Batch, Decay, DecayOn, Decoder, Gradients, Init, OrFail, Precision,
    Progress, Schedule, mean_loss, save_training,
};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, Gamma};
use serde::{Deserialize, Serialize};

use super::alphabet::{END, encode, n_vocab};
use super::skills::{Exercise, Skill};
use crate::protocols::derived_seed;

/// Longest question with hints and answer, in tokens: `99+99 198,198=198\n` and the like.
pub const N_TOKENS_MAX: usize = 32;
/// Gradients above this norm are scaled down to it.
const CLIP: f64 = 1.0;
/// Training reports the mean loss over so many steps.
const N_STEPS_REPORTED: u64 = 50;

/// How a member of the pool is trained. All numbers are ours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Updates.
    pub n_steps: u64,
    /// Exercises of one update.
    pub n_batch: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Width of the decoder; it has two layers and heads of 16.
    pub n_hidden: usize,
    /// Concentration of the Dirichlet distribution that mixtures come from.
    pub concentration: f64,
    /// Share of exercises that carry hints, for members that are trained on hints.
    pub hinted_share: f64,
    /// Probability that a hint is right.
    pub hint_accuracy: f64,
}

/// One member of a pool, before it is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Which pool.
    pub pool_seed: u64,
    /// Which of the pool.
    pub number: usize,
}

impl Member {
    /// Name in the pool: `member-3`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("member-{}", self.number)
    }

    /// Whether it is trained on hints: every second member is.
    #[must_use]
    pub fn reads_hints(&self) -> bool {
        self.number % 2 == 1
    }

    /// The random stream of one purpose.
    #[must_use]
    pub fn stream(&self, purpose: &str) -> ChaCha20Rng {
        let (pool, number) = (self.pool_seed.to_string(), self.number.to_string());
        ChaCha20Rng::seed_from_u64(derived_seed(&["pool", &pool, &number, purpose]))
    }

    /// Its share of each skill, drawn from a symmetric Dirichlet distribution.
    ///
    /// # Errors
    /// The concentration is no positive number.
    pub fn mixture(&self, concentration: f64) -> Result<Vec<f64>> {
        let gamma = Gamma::new(concentration, 1.0).map_err(|cause| {
            Error::usage(format!("a mixture of concentration {concentration}")).caused_by(cause)
        })?;
        let mut stream = self.stream("mixture");
        let weights: Vec<f64> = Skill::ALL
            .iter()
            .map(|_| gamma.sample(&mut stream))
            .collect();
        let total: f64 = weights.iter().sum();
        Ok(weights.into_iter().map(|weight| weight / total).collect())
    }
}

/// The mean training loss over some steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// Steps made.
    pub step: u64,
    /// Mean loss of answers since the point before, in nats per token.
    pub loss_nats: f64,
}

/// The shape of every member.
#[must_use]
pub fn decoder_config(n_hidden: usize) -> DecoderConfig {
    const N_HEAD: usize = 16;
    DecoderConfig {
        architecture: "local".to_owned(),
        n_vocab: n_vocab(),
        n_hidden,
        n_layers: 2,
        n_heads: n_hidden / N_HEAD,
        n_kv_heads: n_hidden / N_HEAD,
        n_head: N_HEAD,
        n_context: N_TOKENS_MAX,
        norm: Norm::Rms { eps: 1e-5 },
        norm_after: false,
        norm_qk: false,
        positions: Positions::Learned,
        bias_qkv: false,
        bias_out: false,
        attention_scale: 1.0 / (N_HEAD as f32).sqrt(),
        window: None,
        feed_forward: FeedForward::Plain {
            n_inner: 4 * n_hidden,
            activation: Activation::GeluTanh,
        },
        embedding_scale: 1.0,
        tied: true,
    }
}

/// Trains a member, saves it into `folder`, and returns its learning curve. `go_on` is asked before
/// every update.
///
/// # Errors
/// A setting makes no sense, training was stopped, or the disk refuses.
pub fn train(
    member: Member,
    training: &Training,
    folder: &Path,
    go_on: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Vec<CurvePoint>> {
    let init = Init::gpt2(derived_seed(&[
        "weights",
        &member.pool_seed.to_string(),
        &member.number.to_string(),
    ]));
    let decoder = Decoder::new(decoder_config(training.n_hidden), &init, Precision::F32)?;
    let config = AdamWConfig {
        beta2: 0.99,
        decay_on: DecayOn::Matrices,
        ..AdamWConfig::default()
    };
    let mut optimizer = AdamW::new(config, decoder.parameters())?;
    let schedule = Schedule {
        peak: training.rate,
        n_warmup: (training.n_steps / 20).max(1),
        decay: Decay::Cosine {
            n_steps: training.n_steps,
            floor: 0.05,
        },
    };
    schedule.validate()?;
    let mixture = member.mixture(training.concentration)?;
    let mut stream = member.stream("exercises");
    let (mut curve, mut sum, mut n_summed) = (Vec::new(), 0.0, 0u64);
    for step in 0..training.n_steps {
        go_on(step)?;
        let (batch, starts) = exercises(member, training, &mixture, &mut stream)?;
        let logprobs = decoder.logprobs(&batch, &mut ())?;
        let loss = mean_loss(&logprobs, &batch, &batch.targets_from(&starts)?)?;
        let mut gradients = Gradients::of(&loss, decoder.parameters())?;
        gradients.clip(CLIP)?;
        optimizer.step(decoder.parameters(), &gradients, schedule.rate(step))?;
        sum += f64::from(loss.to_scalar::<f32>().or_fail("read a loss")?);
        n_summed += 1;
        if (step + 1) % N_STEPS_REPORTED == 0 || step + 1 == training.n_steps {
            curve.push(CurvePoint {
                step: step + 1,
                loss_nats: sum / n_summed as f64,
            });
            (sum, n_summed) = (0.0, 0);
        }
    }
    let progress = Progress {
        step: training.n_steps,
        n_consumed: training.n_steps * training.n_batch as u64,
        schedule,
    };
    save_training(folder, &decoder, &optimizer, &progress)?;
    Ok(curve)
}

/// One batch, and where each answer starts.
fn exercises(
    member: Member,
    training: &Training,
    mixture: &[f64],
    stream: &mut ChaCha20Rng,
) -> Result<(Batch, Vec<usize>)> {
    let (mut sequences, mut starts) = (Vec::new(), Vec::new());
    for _ in 0..training.n_batch {
        let skill = drawn(mixture, stream);
        let exercise = skill.draw(stream);
        let hinted = member.reads_hints() && stream.random_bool(training.hinted_share);
        let question = if hinted {
            let hints = [
                hint(&exercise, skill, training.hint_accuracy, stream),
                hint(&exercise, skill, training.hint_accuracy, stream),
            ];
            Exercise::hinted(&exercise.question, &[&hints[0], &hints[1]])
        } else {
            exercise.question.clone()
        };
        let mut tokens = encode(&question)?;
        starts.push(tokens.len());
        tokens.extend(encode(&exercise.answer)?);
        tokens.push(END);
        sequences.push(tokens);
    }
    Ok((Batch::new(&sequences)?, starts))
}

/// The right answer with the given probability, or else that of another exercise of the skill.
fn hint(exercise: &Exercise, skill: Skill, accuracy: f64, stream: &mut ChaCha20Rng) -> String {
    if stream.random_bool(accuracy) {
        exercise.answer.clone()
    } else {
        skill.draw(stream).answer
    }
}

fn drawn(mixture: &[f64], stream: &mut impl Rng) -> Skill {
    let mut left: f64 = stream.random();
    for (skill, share) in Skill::ALL.iter().zip(mixture) {
        left -= share;
        if left < 0.0 {
            return *skill;
        }
    }
    // Shares sum to one up to rounding.
    Skill::ALL[Skill::ALL.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAINING: Training = Training {
        n_steps: 30,
        n_batch: 16,
        rate: 3e-3,
        n_hidden: 32,
        concentration: 0.3,
        hinted_share: 0.5,
        hint_accuracy: 0.7,
    };
    const MEMBER: Member = Member {
        pool_seed: 1,
        number: 1,
    };

    #[test]
    fn mixtures_are_shares_and_differ_between_members() {
        let shares = MEMBER.mixture(0.3).unwrap();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let other = Member {
            number: 2,
            ..MEMBER
        };
        assert_ne!(shares, other.mixture(0.3).unwrap());
        assert!(MEMBER.mixture(-1.0).is_err());
    }

    #[test]
    fn batches_fit_and_answers_are_targets() {
        let mixture = vec![0.1; 10];
        let mut stream = MEMBER.stream("test");
        for _ in 0..50 {
            let (batch, starts) = exercises(MEMBER, &TRAINING, &mixture, &mut stream).unwrap();
            for (row, start) in starts.iter().enumerate() {
                let tokens = batch.row(row);
                assert_eq!(tokens[start - 1], encode("=").unwrap()[0]);
                assert_eq!(tokens.last(), Some(&END));
            }
        }
    }

    #[test]
    fn training_learns_something_and_repeats_itself() {
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str| {
            train(
                MEMBER,
                &TRAINING,
                &folder.path().join(name),
                &mut |_| Ok(()),
            )
            .unwrap()
        };
        let (once, again) = (run("a"), run("b"));
        assert_eq!(once, again);
        let uniform = (n_vocab() as f64).ln();
        assert!(once[0].loss_nats < uniform, "{once:?} against {uniform}");
    }
}
