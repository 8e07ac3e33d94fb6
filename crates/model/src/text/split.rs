//! How byte-level BPE vocabularies cut a text into words before merging.
//!
//! Each family published a regular expression with it. They all use one look-ahead, `\s+(?!\S)`,
//! for which most tokenizers bring a backtracking engine. Here the expressions run without it on a
//! linear-time engine, and the look-ahead is done by hand: a run of white space in front of a word
//! gives its last character back. The words are the same; the time is linear in the text (the
//! engine's guarantee), whatever a stranger wrote.

use std::ops::Range;

use eval::{Error, Result};
use regex::Regex;

/// GPT-2's expression (Radford et al. 2019, `encoder.py`) without its look-ahead.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";
/// Llama 3's (`tokenizer.json` of the published model) without its look-ahead.
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
);
/// Qwen2's: Llama 3's with single digits.
const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
);

/// One pass over the pieces that the pass before left.
#[derive(Debug)]
struct Pass {
    pattern: Regex,
    give_back: GiveBack,
}

/// Which matches of white space stand in for `\s+(?!\S)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GiveBack {
    /// None: the pattern had no look-ahead.
    Never,
    /// All of them.
    Always,
    /// Those without a line break: the others matched `\s*[\r\n]+`, which stands before it.
    WithoutLineBreak,
}

/// The words of one family of vocabularies.
#[derive(Debug)]
pub(super) struct Splitter {
    passes: Vec<Pass>,
    /// A word that is a token as a whole is not merged up to (Llama 3).
    pub(super) whole_words: bool,
}

/// What `tokenizer.ggml.pre` may say, by family.
const FAMILIES: [(&[&str], Family); 5] = [
    (&["gpt-2", "phi-2", "olmo", "mpt"], Family::Gpt2),
    (
        &["smollm", "starcoder", "refact", "command-r", "codeshell"],
        Family::Digits,
    ),
    (&["llama-bpe", "llama3", "llama-v3"], Family::Llama3),
    (&["qwen2", "deepseek-r1-qwen", "stablelm2"], Family::Qwen2),
    (&["default"], Family::Default),
];

/// Vocabularies that are cut alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Gpt2,
    Digits,
    Llama3,
    Qwen2,
    Default,
}

impl Splitter {
    /// The splitter that a GGUF file asks for by the name in `tokenizer.ggml.pre`.
    ///
    /// # Errors
    /// The name is unknown: another splitter would give other ids for the same text.
    pub(super) fn named(name: &str) -> Result<Self> {
        let known = FAMILIES.iter().find(|(names, _)| names.contains(&name));
        let Some(&(_, family)) = known else {
            let names: Vec<&str> = FAMILIES
                .iter()
                .flat_map(|(names, _)| *names)
                .copied()
                .collect();
            return Err(Error::inputs(format!(
                "`tokenizer.ggml.pre` is `{name}`, a way to cut words that is not known here"
            ))
            .hint(format!(
                "known are {}; a hub folder with `tokenizer.json` needs no such name",
                names.join(", ")
            )));
        };
        let passes: &[(&str, GiveBack)] = match family {
            Family::Gpt2 => &[(GPT2, GiveBack::Always)],
            Family::Digits => &[(r"\p{N}", GiveBack::Never), (GPT2, GiveBack::Always)],
            Family::Llama3 => &[(LLAMA3, GiveBack::WithoutLineBreak)],
            Family::Qwen2 => &[(QWEN2, GiveBack::WithoutLineBreak)],
            // llama.cpp's own mixture for files that name no family.
            Family::Default => &[
                (r"[\p{P}$+<=>^~|]+", GiveBack::Never),
                (GPT2, GiveBack::Always),
                (r"\p{N}+", GiveBack::Never),
                ("[0-9][0-9][0-9]", GiveBack::Never),
            ],
        };
        let passes = passes.iter().map(|&(pattern, give_back)| {
            let pattern = Regex::new(pattern).map_err(|cause| {
                Error::internal(format!("cannot compile `{pattern}`")).caused_by(cause)
            })?;
            Ok(Pass { pattern, give_back })
        });
        Ok(Self {
            passes: passes.collect::<Result<_>>()?,
            whole_words: family == Family::Llama3,
        })
    }

    /// The words of `text`: consecutive, never empty, together the whole text.
    pub(super) fn words(&self, text: &str) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        if !text.is_empty() {
            pieces.push(0..text.len());
        }
        for pass in &self.passes {
            let mut finer = Vec::with_capacity(pieces.len());
            for piece in pieces {
                pass.cut(text, piece, &mut finer);
            }
            pieces = finer;
        }
        pieces
    }
}

impl Pass {
    /// Cuts one piece into matches and the gaps between them.
    fn cut(&self, text: &str, piece: Range<usize>, out: &mut Vec<Range<usize>>) {
        // The piece is looked at on its own: what follows it does not count.
        let inside = &text[piece.clone()];
        let mut at = 0;
        while let Some(found) = self.pattern.find_at(inside, at) {
            let end = match self.given_back(found.as_str()) {
                Some(n_bytes) if found.end() < inside.len() => found.end() - n_bytes,
                _ => found.end(),
            };
            if found.start() > at {
                out.push(piece.start + at..piece.start + found.start());
            }
            out.push(piece.start + found.start()..piece.start + end);
            at = end;
        }
        if at < inside.len() {
            out.push(piece.start + at..piece.end);
        }
    }

    /// Bytes of the last character of a match that `\s+(?!\S)` would not have taken. A run of one
    /// character stays: there the expressions fall through to `\s+`.
    fn given_back(&self, found: &str) -> Option<usize> {
        let whole = match self.give_back {
            GiveBack::Never => return None,
            GiveBack::Always => found.chars().all(char::is_whitespace),
            GiveBack::WithoutLineBreak => found
                .chars()
                .all(|letter| letter.is_whitespace() && !matches!(letter, '\r' | '\n')),
        };
        let last = found.chars().next_back()?.len_utf8();
        (whole && last < found.len()).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
    use tokenizers::{
        OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior,
    };

    use super::*;

    fn check(name: &str, text: &str, expected: &str) {
        let words = Splitter::named(name).unwrap().words(text);
        let words: Vec<&str> = words.into_iter().map(|range| &text[range]).collect();
        assert_eq!(words.join("|"), expected, "{name}");
    }

    #[test]
    fn families_cut_where_their_expressions_say() {
        check(
            "gpt-2",
            "I'm  fine\n\n ok 123",
            "I|'m| | fine|\n\n| ok| 123",
        );
        check("smollm", "x 12", "x| |1|2");
        check(
            "llama-bpe",
            "Hi  there12345\n\n  x!\n",
            "Hi| | there|123|45|\n\n| | x|!\n",
        );
        check("qwen2", "a12 'S\t\tb", "a|1|2| '|S|\t|\tb");
        check("default", "a<b 1234", "a|<|b| |123|4");
        check("gpt-2", "a  ", "a|  ");
        check("gpt-2", "", "");
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = Splitter::named("mystery").unwrap_err();
        assert!(error.to_string().contains("`mystery`"));
        assert!(error.next_step().unwrap().contains("llama-bpe"));
    }

    /// The published expressions, look-ahead included, on the hub's backtracking engine.
    fn published(pattern: &str, text: &str) -> Vec<String> {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).unwrap();
        let mut pieces = PreTokenizedString::from(text);
        split.pre_tokenize(&mut pieces).unwrap();
        let pieces = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
        let pieces = pieces.into_iter().map(|(piece, _, _)| piece.to_owned());
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

    proptest! {
        #[test]
        fn words_equal_the_published_expression_on_a_backtracking_engine(
            text in r"[ a-zé'stLL0-9٣\n\r\t\u{a0}\u{3000}!.<\u{301}日😀]{0,40}"
        ) {
            let look_ahead = r"\s+(?!\S)|\s+";
            for (name, pattern) in [("gpt-2", GPT2), ("llama-bpe", LLAMA3), ("qwen2", QWEN2)] {
                let pattern = pattern.strip_suffix(r"\s+").unwrap().to_owned() + look_ahead;
                let words = Splitter::named(name).unwrap().words(&text);
                let words: Vec<&str> = words.into_iter().map(|range| &text[range]).collect();
                prop_assert_eq!(words, published(&pattern, &text), "{}", name);
            }
        }

        #[test]
        fn words_are_the_whole_text_in_order(text in any::<String>()) {
            for (names, _) in FAMILIES {
                let mut at = 0;
                for word in Splitter::named(names[0]).unwrap().words(&text) {
                    prop_assert_eq!(word.start, at);
                    prop_assert!(word.end > word.start);
                    at = word.end;
                }
                prop_assert_eq!(at, text.len());
            }
        }
    }
}
