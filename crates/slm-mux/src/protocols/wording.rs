//! How a protocol speaks: everything that depends on the benchmark and on the kind of model.

use model::chat::Message;
use serde::{Deserialize, Serialize};

use super::question::Question;

/// Puts questions into words and reads answers out of them.
///
/// The protocols decide who is asked what and when; a wording decides how it is said. The paper
/// gives its prompts in Appendix A; these are ours.
pub trait Wording: Send + Sync {
    /// Asks a question afresh.
    fn ask(&self, question: &Question) -> Vec<Message>;

    /// Asks again after a round of debate: `own` is what this agent said, `peers` what the others
    /// said, in full.
    fn reconsider(&self, question: &Question, own: &str, peers: &[&str]) -> Vec<Message>;

    /// Asks for one answer in view of `proposals`.
    fn aggregate(&self, question: &Question, proposals: &[&str]) -> Vec<Message>;

    /// Asks whether `candidate` is right in one respect, to be answered by "yes" or "no".
    fn verify(&self, question: &Question, candidate: &str, aspect: Aspect) -> Vec<Message>;

    /// The normalised answer in a text; `None` where none can be read.
    fn read(&self, text: &str) -> Option<String>;

    /// Texts that end an answer.
    fn stop(&self) -> Vec<String>;

    /// Tokens of an answer at most.
    fn n_tokens_max(&self) -> usize;
}

/// What a verifier looks at (Multi-Agent Verification, arXiv 2502.20379).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Each step, one by one.
    Steps,
    /// The logic that holds the steps together.
    Logic,
    /// Facts that are taken for granted.
    Facts,
    /// Units and magnitudes.
    Units,
    /// Special cases that were forgotten.
    EdgeCases,
    /// The methods of the field.
    Domain,
    /// The answer as a whole.
    Overall,
}

impl Aspect {
    /// All aspects of the published verifier list.
    pub const ALL: [Self; 7] = [
        Self::Steps,
        Self::Logic,
        Self::Facts,
        Self::Units,
        Self::EdgeCases,
        Self::Domain,
        Self::Overall,
    ];

    /// What a chat model is told to look at.
    #[must_use]
    pub fn instruction(self) -> &'static str {
        match self {
            Self::Steps => "Check every step of the calculation or argument on its own.",
            Self::Logic => "Check that each conclusion follows from what comes before it.",
            Self::Facts => "Check every fact that is used against the question and what is known.",
            Self::Units => "Check units, signs, and orders of magnitude.",
            Self::EdgeCases => "Check whether a special case was forgotten.",
            Self::Domain => "Check that the methods of the field are used as they should be.",
            Self::Overall => "Check whether the final answer is right.",
        }
    }
}

/// A verifier's verdict in a text: the first "yes"/"true" or "no"/"false" that stands as a word of
/// its own; `None` where there is neither.
///
/// ```
/// # use slm_mux::protocols::read_approval;
/// assert_eq!(read_approval("Yes, it is."), Some(true));
/// assert_eq!(read_approval("The answer is FALSE"), Some(false));
/// assert_eq!(read_approval("I know nothing"), None);
/// ```
#[must_use]
pub fn read_approval(text: &str) -> Option<bool> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .map(str::to_lowercase)
        .find_map(|word| match word.as_str() {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        })
}
