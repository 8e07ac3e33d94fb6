//! Marks around the parts of a conversation while a template renders it.
//!
//! Looking for a message's words in the rendered text would find them in the template's own words
//! too (a message that says `user`). So each part is rendered between two private-use characters,
//! which no template treats specially, and these are looked for.

use eval::{Error, Result};

use super::prompt::{Part, Prompt};
use super::python::{stripped, stripped_end};
use crate::chat::{Message, Role};

/// Which text of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The trace of thought.
    Reasoning,
    /// What is said.
    Content,
}

impl Slot {
    /// What the text is to a reader.
    pub(super) fn part(self, role: Role) -> Part {
        match (self, role) {
            (Self::Reasoning, _) => Part::Reasoning,
            (Self::Content, Role::System) => Part::System,
            (Self::Content, Role::User) => Part::User,
            (Self::Content, Role::Tool) => Part::Tool,
            (Self::Content, Role::Assistant) => Part::Answer,
        }
    }
}

/// Private-use characters that stand around the parts while a template renders.
pub(super) struct Marks;

/// First of the characters (Supplementary Private Use Area-A).
const FIRST_MARK: u32 = 0xF_0000;
/// Begin and end of reasoning, begin and end of content, and a place.
const MARKS_PER_MESSAGE: u32 = 5;
/// The area holds 65,534 characters.
const MESSAGES_MAX: usize = 13_000;

impl Marks {
    /// Marks for these messages.
    ///
    /// # Errors
    /// A text holds such characters itself, or there are too many messages.
    pub(super) fn new(messages: &[Message], template: &str) -> Result<Self> {
        if messages.len() > MESSAGES_MAX {
            return Err(Error::usage(format!(
                "a conversation of {} messages; the limit is {MESSAGES_MAX}",
                messages.len()
            )));
        }
        let texts = messages.iter().flat_map(|message| {
            [
                message.content.as_str(),
                message.reasoning.as_deref().unwrap_or_default(),
            ]
        });
        if texts
            .chain([template])
            .any(|text| text.chars().any(is_mark))
        {
            return Err(Error::inputs(
                "a message holds private-use characters that mark the parts of a prompt",
            )
            .hint("take the characters from U+F0000 to U+FFFFD out"));
        }
        Ok(Self)
    }

    fn mark(&self, index: usize, offset: u32) -> char {
        let index = u32::try_from(index).unwrap_or_default();
        char::from_u32(FIRST_MARK + index * MARKS_PER_MESSAGE + offset).unwrap_or('\u{F0000}')
    }

    /// Stands in front of a text.
    pub(super) fn begin(&self, index: usize, slot: Slot) -> char {
        self.mark(index, if slot == Slot::Reasoning { 0 } else { 2 })
    }

    fn end(&self, index: usize, slot: Slot) -> char {
        self.mark(index, if slot == Slot::Reasoning { 1 } else { 3 })
    }

    /// Stands where something is to be put in.
    pub(super) fn place(&self, index: usize) -> char {
        self.mark(index, 4)
    }

    /// Puts marks around a text, inside the white space at its ends: templates trim it.
    pub(super) fn wrap(&self, index: usize, slot: Slot, text: &str) -> String {
        let (before, core, after) = around(text);
        if core.is_empty() {
            return text.to_owned();
        }
        let (begin, end) = (self.begin(index, slot), self.end(index, slot));
        format!("{before}{begin}{core}{end}{after}")
    }

    /// The text without any marks.
    pub(super) fn removed(&self, text: &str) -> String {
        text.chars().filter(|&letter| !is_mark(letter)).collect()
    }

    /// Reads the marks of a rendered text. A part counts only if it is whole and unchanged.
    pub(super) fn parsed(&self, messages: &[Message], given: &str) -> Result<Prompt> {
        let mut prompt = Prompt::from_parts(&[]);
        let mut outside = String::new();
        let mut rest = given;
        while let Some(letter) = rest.chars().next() {
            let after = &rest[letter.len_utf8()..];
            rest = after;
            if !is_mark(letter) {
                outside.push(letter);
                continue;
            }
            let number = u32::from(letter) - FIRST_MARK;
            let index = usize::try_from(number / MARKS_PER_MESSAGE).unwrap_or(usize::MAX);
            let (slot, begins) = match number % MARKS_PER_MESSAGE {
                0 => (Slot::Reasoning, true),
                2 => (Slot::Content, true),
                1 => (Slot::Reasoning, false),
                _ => (Slot::Content, false),
            };
            let Some(message) = messages.get(index).filter(|_| begins) else {
                continue;
            };
            let text = match slot {
                Slot::Reasoning => stripped(message.reasoning.as_deref().unwrap_or_default()),
                Slot::Content => stripped(&message.content),
            };
            let whole = after.strip_prefix(text);
            if let Some(left) = whole.and_then(|left| left.strip_prefix(self.end(index, slot))) {
                if !outside.is_empty() {
                    prompt.push(Part::Template, None, &outside);
                    outside.clear();
                }
                prompt.push(slot.part(message.role), Some(index), text);
                rest = left;
            }
        }
        if !outside.is_empty() {
            prompt.push(Part::Template, None, &outside);
        }
        Ok(prompt)
    }
}

fn is_mark(letter: char) -> bool {
    ('\u{F0000}'..='\u{FFFFD}').contains(&letter)
}

/// White space in front, text, white space behind.
pub(super) fn around(text: &str) -> (&str, &str, &str) {
    let kept = stripped_end(text);
    let core = stripped(kept);
    (&text[..kept.len() - core.len()], core, &text[kept.len()..])
}
