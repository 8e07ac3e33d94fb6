//! Trains a tiny decoder to repeat what it has read, and prints the loss.
//!
//! A sequence is a random word of 8 letters, a mark, and the same word again; the loss counts the
//! second half alone. Without attention to the first half no model does better than ln 16 = 2.77
//! nats per letter; this one copies almost perfectly within two minutes on one core.
//!
//!     cargo run --release -p model --example train_tiny

use std::io::Write;

use eval::Error;
use model::config::{Activation, DecoderConfig, FeedForward, Norm, Positions};
use model::train::{
    AdamW, AdamWConfig, Batch, Decay, DecayOn, Decoder, Gradients, Init, Precision, Schedule,
    mean_loss,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

const N_LETTERS: usize = 16;
const N_WORD: usize = 8;
const MARK: u32 = N_LETTERS as u32;
const N_STEPS: u64 = 600;

fn config() -> DecoderConfig {
    DecoderConfig {
        architecture: "local".to_owned(),
        n_vocab: N_LETTERS + 1,
        n_hidden: 64,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 4,
        n_head: 16,
        n_context: 2 * N_WORD + 1,
        norm: Norm::Rms { eps: 1e-5 },
        norm_after: false,
        norm_qk: false,
        positions: Positions::Rotary {
            theta: 10_000.0,
            scale: 1.0,
        },
        bias_qkv: false,
        bias_out: false,
        attention_scale: 0.25,
        window: None,
        feed_forward: FeedForward::Gated {
            n_inner: 128,
            activation: Activation::Silu,
        },
        embedding_scale: 1.0,
        tied: false,
    }
}

fn batch(stream: &mut ChaCha20Rng) -> eval::Result<Batch> {
    let sequence = |_| {
        let word: Vec<u32> = (0..N_WORD)
            .map(|_| (stream.next_u64() % N_LETTERS as u64) as u32)
            .collect();
        [&word[..], &[MARK], &word].concat()
    };
    Batch::new(&(0..64).map(sequence).collect::<Vec<_>>())
}

fn main() -> eval::Result<()> {
    let mut output = std::io::stdout().lock();
    let decoder = Decoder::new(config(), &Init::gpt2(1), Precision::F32)?;
    let settings = AdamWConfig {
        weight_decay: 0.1,
        decay_on: DecayOn::Projections,
        ..AdamWConfig::default()
    };
    let mut optimizer = AdamW::new(settings, decoder.parameters())?;
    let decay = Decay::Cosine {
        n_steps: N_STEPS,
        floor: 0.1,
    };
    let (peak, n_warmup) = (3e-3, 50);
    let schedule = Schedule {
        peak,
        n_warmup,
        decay,
    };
    let mut stream = ChaCha20Rng::seed_from_u64(2);
    for step in 0..N_STEPS {
        let batch = batch(&mut stream)?;
        let logprobs = decoder.logprobs(&batch, &mut ())?;
        let loss = mean_loss(&logprobs, &batch, &batch.targets_from(&[N_WORD + 1; 64])?)?;
        let mut gradients = Gradients::of(&loss, decoder.parameters())?;
        gradients.clip(1.0)?;
        optimizer.step(decoder.parameters(), &gradients, schedule.rate(step))?;
        if step % 50 == 0 || step + 1 == N_STEPS {
            let loss = loss
                .to_scalar::<f32>()
                .map_err(|cause| Error::internal("cannot read the loss").caused_by(cause))?;
            writeln!(output, "{step:4} {loss:.4}")
                .map_err(|cause| Error::internal("cannot write").caused_by(cause))?;
        }
    }
    Ok(())
}
