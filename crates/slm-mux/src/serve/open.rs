//! From words on the command line to members.

use eval::Result;
use model::chat::ModelOptions;

use super::Member;

/// Opens whoever a word names.
///
/// # Errors
/// It names nobody, weights or recordings are absent, or an endpoint has no address or no budget.
pub fn open(word: &str, options: &ModelOptions) -> Result<Member> {
    Ok(Member {
        name: word.to_owned(),
        model: options.open(&word.parse()?)?,
    })
}
