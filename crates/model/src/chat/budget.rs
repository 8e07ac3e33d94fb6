//! What was spent, what may be spent, and the refusal in between.

use std::sync::{Mutex, MutexGuard, PoisonError};

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::interface::{ChatRequest, ChatUsage};
use super::settings::{Budget, Prices};

/// Tokens that a template puts around one message, and around the whole conversation; templates in
/// use stay far below (SmolLM2's own system prompt takes about 30).
const TOKENS_PER_MESSAGE: u64 = 16;
const TOKENS_PER_CONVERSATION: u64 = 64;

/// What an [`super::Endpoint`] has spent since it was opened. Answers from the cache cost nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// Times anything was sent.
    pub n_requests: u64,
    /// Tokens that servers reported.
    pub n_tokens: u64,
    /// Tokens at most of requests whose cost nobody reported: the connection broke, or the answer
    /// came without a count.
    pub n_tokens_uncertain: u64,
    /// Cost of both, in US dollars; 0 without prices.
    pub cost_usd: f64,
}

/// What a plan of requests costs at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostEstimate {
    /// Requests to be sent, if no attempt fails.
    pub n_requests: u64,
    /// Requests that the cache answers.
    pub n_cached: u64,
    /// Tokens of prompts: one per byte at most.
    pub n_prompt_max: u64,
    /// Tokens generated, if every answer runs into its limit.
    pub n_generated_max: u64,
    /// Cost of these, in US dollars, where prices are known.
    pub cost_usd_max: Option<f64>,
}

impl Prices {
    /// Cost of tokens, in US dollars.
    #[must_use]
    pub fn cost_usd(&self, n_prompt: u64, n_generated: u64) -> f64 {
        (n_prompt as f64 * self.prompt_usd_per_million
            + n_generated as f64 * self.generated_usd_per_million)
            / 1e6
    }
}

/// Tokens that a request takes at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) n_prompt: u64,
    pub(super) n_generated: u64,
}

impl Tokens {
    /// The most that one request with `n` samples can take. Servers that read a prompt anew for
    /// each sample charge it as often, hence the product.
    pub(super) fn at_most(request: &ChatRequest) -> Self {
        let n_messages = request.messages.len() as u64;
        let n_bytes: usize = request
            .messages
            .iter()
            .map(|m| m.content.len() + m.reasoning.as_ref().map_or(0, String::len))
            .sum();
        let n_prompt = n_bytes as u64 + TOKENS_PER_MESSAGE * n_messages + TOKENS_PER_CONVERSATION;
        Self::of(n_prompt, request.n_samples, request.n_tokens_max)
    }

    /// `n_prompt` tokens before each of `n_samples` answers of `n_tokens_max`.
    pub(super) fn of(n_prompt: u64, n_samples: usize, n_tokens_max: usize) -> Self {
        Self {
            n_prompt: n_prompt.saturating_mul(n_samples as u64),
            n_generated: (n_tokens_max as u64).saturating_mul(n_samples as u64),
        }
    }

    fn total(self) -> u64 {
        self.n_prompt.saturating_add(self.n_generated)
    }
}

/// The account of one endpoint.
#[derive(Debug)]
pub(super) struct Account {
    limits: Budget,
    prices: Option<Prices>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spent: Spent,
    /// Tokens and cost of requests under way, at most.
    n_tokens_held: u64,
    cost_usd_held: f64,
}

impl Account {
    pub(super) fn new(limits: Budget, prices: Option<Prices>) -> Self {
        Self {
            limits,
            prices,
            state: Mutex::default(),
        }
    }

    pub(super) fn spent(&self) -> Spent {
        self.lock().spent
    }

    pub(super) fn cost_usd(&self, tokens: Tokens) -> Option<f64> {
        self.prices
            .map(|prices| prices.cost_usd(tokens.n_prompt, tokens.n_generated))
    }

    /// Holds what one attempt may take, or refuses it.
    pub(super) fn hold(&self, tokens: Tokens) -> Result<Held<'_>> {
        let cost_usd = self.cost_usd(tokens).unwrap_or(0.0);
        let mut state = self.lock();
        let refuse = |limit: String, setting: &str| {
            Err(Error::incomplete(format!(
                "the budget ends here: one more request could pass {limit}"
            ))
            .hint(format!(
                "raise `budget.{setting}`; answers that are there already are kept"
            )))
        };
        if let Some(limit) = self.limits.n_requests_max
            && state.spent.n_requests >= limit
        {
            return refuse(format!("{limit} requests"), "n_requests_max");
        }
        let n_tokens = (state.spent.n_tokens)
            .saturating_add(state.spent.n_tokens_uncertain)
            .saturating_add(state.n_tokens_held)
            .saturating_add(tokens.total());
        if let Some(limit) = self.limits.n_tokens_max
            && n_tokens > limit
        {
            return refuse(format!("{limit} tokens"), "n_tokens_max");
        }
        if let Some(limit) = self.limits.cost_usd_max
            && state.spent.cost_usd + state.cost_usd_held + cost_usd > limit
        {
            return refuse(format!("{limit} US dollars"), "cost_usd_max");
        }
        state.spent.n_requests += 1;
        state.n_tokens_held = state.n_tokens_held.saturating_add(tokens.total());
        state.cost_usd_held += cost_usd;
        Ok(Held {
            account: self,
            tokens,
            cost_usd,
            is_open: true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an attempt under way may take. Dropped without a word (the caller gave up), it counts as
/// spent, since the server may go on and charge for it.
#[derive(Debug)]
pub(super) struct Held<'a> {
    account: &'a Account,
    tokens: Tokens,
    cost_usd: f64,
    is_open: bool,
}

impl Held<'_> {
    /// The server refused or was never reached: nothing is charged.
    pub(super) fn free(mut self) {
        self.release();
    }

    /// The server counted; a count of nothing at all is no count.
    pub(super) fn settle(mut self, usage: Option<ChatUsage>) {
        let Some(usage) = usage else { return };
        self.release();
        let tokens = Tokens {
            n_prompt: usage.n_prompt,
            n_generated: usage.n_generated,
        };
        let cost_usd = self.account.cost_usd(tokens).unwrap_or(0.0);
        let mut state = self.account.lock();
        state.spent.n_tokens = state.spent.n_tokens.saturating_add(tokens.total());
        state.spent.cost_usd += cost_usd;
    }

    fn release(&mut self) {
        self.is_open = false;
        let mut state = self.account.lock();
        state.n_tokens_held = state.n_tokens_held.saturating_sub(self.tokens.total());
        state.cost_usd_held = (state.cost_usd_held - self.cost_usd).max(0.0);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        self.release();
        let mut state = self.account.lock();
        let n_tokens = state.spent.n_tokens_uncertain;
        state.spent.n_tokens_uncertain = n_tokens.saturating_add(self.tokens.total());
        state.spent.cost_usd += self.cost_usd;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices {
        prompt_usd_per_million: 2.0,
        generated_usd_per_million: 10.0,
    };

    fn tokens(n_prompt: u64, n_generated: u64) -> Tokens {
        Tokens {
            n_prompt,
            n_generated,
        }
    }

    fn usage(n_prompt: u64, n_generated: u64) -> Option<ChatUsage> {
        Some(ChatUsage {
            n_prompt,
            n_generated,
            cost_usd: None,
        })
    }

    #[test]
    fn a_request_under_way_counts_as_the_most_it_can_take() {
        let limits = Budget {
            n_tokens_max: Some(100),
            ..Budget::default()
        };
        let account = Account::new(limits, None);
        let first = account.hold(tokens(20, 40)).unwrap();
        assert!(account.hold(tokens(20, 40)).is_err());
        first.settle(usage(5, 10));
        account.hold(tokens(20, 40)).unwrap().free();
        assert_eq!(account.spent().n_tokens, 15);
        assert_eq!(account.spent().n_requests, 2);
    }

    #[test]
    fn what_nobody_counted_stays_spent() {
        let account = Account::new(Budget::default(), Some(PRICES));
        drop(account.hold(tokens(100, 50)).unwrap());
        account.hold(tokens(100, 50)).unwrap().settle(None);
        let spent = account.spent();
        assert_eq!((spent.n_tokens, spent.n_tokens_uncertain), (0, 300));
        // 2 · (100 · 2 + 50 · 10) / 1e6
        assert!((spent.cost_usd - 0.0014).abs() < 1e-15);
    }

    #[test]
    fn cost_and_request_limits_refuse_before_they_are_passed() {
        let limits = Budget {
            cost_usd_max: Some(0.001),
            n_requests_max: Some(2),
            ..Budget::default()
        };
        let account = Account::new(limits, Some(PRICES));
        let report = account.hold(tokens(0, 101)).unwrap_err().report();
        assert!(report.contains("cost_usd_max"), "{report}");
        account.hold(tokens(0, 100)).unwrap().free();
        account.hold(tokens(0, 100)).unwrap().free();
        let report = account.hold(tokens(0, 1)).unwrap_err().report();
        assert!(report.contains("n_requests_max"), "{report}");
    }
}
