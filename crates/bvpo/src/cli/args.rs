//! The command line: one declaration feeds parser, help, and examples.

use clap::Subcommand;
use eval::Result;

use crate::trainer::{PAIRS_HELP, PairsCommand, TRAIN_HELP, TrainArgs, pairs};

/// Commands beside those of the engine.
#[derive(Debug, Subcommand)]
pub enum Own {
    /// Train a model on preference pairs, or go on with a run that was killed
    #[command(after_help = TRAIN_HELP)]
    Train(Box<TrainArgs>),
    /// Make preference pairs
    #[command(after_help = PAIRS_HELP)]
    Pairs {
        /// From what.
        #[command(subcommand)]
        command: PairsCommand,
    },
}

/// Carries a command out and gives its exit code.
///
/// # Errors
/// The command's own.
pub fn carry_out(command: Own) -> Result<u8> {
    match command {
        Own::Train(args) => args.carry_out(),
        Own::Pairs { command } => pairs(&command),
    }
}
