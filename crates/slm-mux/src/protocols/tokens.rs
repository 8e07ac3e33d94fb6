//! What a protocol costs.

use std::ops::AddAssign;

use model::chat::ChatUsage;
use serde::{Deserialize, Serialize};

/// Tokens and calls that an answer took, as the models report them.
///
/// An engine of this process counts a prompt once per sample, as if each sample were a call of its
/// own; endpoints count as they bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Requests to models.
    pub n_calls: u64,
    /// Tokens of prompts.
    pub n_prompt: u64,
    /// Tokens generated.
    pub n_generated: u64,
}

impl Tokens {
    /// The cost of one request.
    #[must_use]
    pub fn of(usage: &ChatUsage) -> Self {
        Self {
            n_calls: 1,
            n_prompt: usage.n_prompt,
            n_generated: usage.n_generated,
        }
    }

    /// Tokens read and written together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.n_prompt + self.n_generated
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.n_calls += other.n_calls;
        self.n_prompt += other.n_prompt;
        self.n_generated += other.n_generated;
    }
}
