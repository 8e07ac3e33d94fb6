//! Prompts whose parts are known: which bytes and tokens are instruction, question, reasoning,
//! answer, and which the template wrote.
//!
//! Templates drop text in silence: several strip the reasoning of earlier turns, some ignore it
//! altogether. Here every part of a conversation is marked before rendering and looked for after
//! it; what is missing is an error unless the caller chose otherwise.

use std::ops::Range;

use eval::{Error, Result};

use super::encoding::Encoding;
use super::marks::{Marks, Slot, around};
use super::python::stripped;
use super::template::{ChatTemplate, RenderOptions};
use super::tokenizer::{EncodeOptions, Markers, Tokenizer};
use crate::chat::{Message, Role};

/// What a stretch of a prompt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Instructions.
    System,
    /// A question.
    User,
    /// A tool's result.
    Tool,
    /// A trace of thought.
    Reasoning,
    /// What the model said.
    Answer,
    /// What the template wrote around the others, and white space it kept of them.
    Template,
    /// Text that belongs to no turn.
    Raw,
}

/// A stretch of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What it is.
    pub part: Part,
    /// The message it comes from.
    pub message: Option<usize>,
    /// Where it stands in the prompt.
    pub bytes: Range<usize>,
}

/// What happens to a trace of thought that the template drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reasoning {
    /// It is an error.
    #[default]
    Refuse,
    /// It is put in front of its answer, between [`Reasoning::OPEN`] and [`Reasoning::CLOSE`].
    InsertVerbatim,
    /// It stays away.
    Drop,
}

impl Reasoning {
    /// Begins a trace that is put in verbatim (the tags of DeepSeek-R1 and Qwen3).
    pub const OPEN: &str = "<think>\n";
    /// Ends it.
    pub const CLOSE: &str = "\n</think>\n\n";
}

/// A rendered prompt, covered by segments without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    text: String,
    segments: Vec<Segment>,
}

/// How a prompt is turned into ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundaries {
    /// The whole text at once: the ids that `apply_chat_template(tokenize=True)` gives. A token may
    /// straddle two segments; a segment that spells out a control token is an error.
    Whole,
    /// Each segment on its own: no token straddles, and control tokens spelled out in anything but
    /// the template's own text stay text. Ids may differ from [`Boundaries::Whole`] where segments
    /// meet.
    Segments,
}

/// The tokens of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptTokens {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Per token, the segment in which it begins.
    pub segments: Vec<usize>,
    /// Indices of tokens that reach into a following segment, ascending.
    pub straddling: Vec<usize>,
}

impl ChatTemplate {
    /// Renders a conversation and finds every part of it in the result.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`]; the template drops, changes, or reorders a part, and
    /// `reasoning` does not allow for it.
    pub fn prompt(
        &self,
        messages: &[Message],
        options: &RenderOptions,
        reasoning: Reasoning,
    ) -> Result<Prompt> {
        let marks = Marks::new(messages, self.source())?;
        let given = self.probe(messages, options, &marks, &[])?;
        let dropped: Vec<usize> = (0..messages.len())
            .filter(|&index| has_text(messages[index].reasoning.as_deref()))
            .filter(|&index| !given.contains(marks.begin(index, Slot::Reasoning)))
            .collect();
        let Some(&first) = dropped.first() else {
            return self.finish(messages, &marks, &given, &[]);
        };
        match reasoning {
            Reasoning::Refuse => Err(Error::inputs(format!(
                "the chat template drops the reasoning of message {}",
                first + 1
            ))
            .hint(
                "choose `Reasoning::InsertVerbatim` to keep it in front of the answer, or \
                 `Reasoning::Drop` to leave it out",
            )),
            Reasoning::Drop => self.finish(messages, &marks, &given, &dropped),
            Reasoning::InsertVerbatim => {
                let mut kept = messages.to_vec();
                for &index in &dropped {
                    kept[index].reasoning = None;
                }
                // The place is marked ahead of the text, where no template can strip the trace.
                let mut given = self.probe(&kept, options, &marks, &dropped)?;
                for &index in &dropped {
                    let place = marks.place(index).to_string();
                    if given.matches(&place).count() != 1 {
                        return Err(changed(index, "does not show"));
                    }
                    let trace = messages[index].reasoning.as_deref().unwrap_or_default();
                    let trace = marks.wrap(index, Slot::Reasoning, trace);
                    let trace = [Reasoning::OPEN, &trace, Reasoning::CLOSE].concat();
                    given = given.replace(&place, &trace);
                }
                self.finish(messages, &marks, &given, &[])
            }
        }
    }

    /// Renders with every part marked, and a place in front of the text of the messages in
    /// `places`; checks that the marks changed nothing else.
    fn probe(
        &self,
        messages: &[Message],
        options: &RenderOptions,
        marks: &Marks,
        places: &[usize],
    ) -> Result<String> {
        let marked: Vec<Message> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| Message {
                role: message.role,
                content: {
                    let content = marks.wrap(index, Slot::Content, &message.content);
                    let (before, core, after) = around(&content);
                    let place = marks.place(index).to_string();
                    let place = if places.contains(&index) {
                        place.as_str()
                    } else {
                        ""
                    };
                    [before, place, core, after].concat()
                },
                reasoning: message
                    .reasoning
                    .as_ref()
                    .map(|text| marks.wrap(index, Slot::Reasoning, text)),
            })
            .collect();
        let given = self.render(&marked, options)?;
        if marks.removed(&given) != marks.removed(&self.render(messages, options)?) {
            return Err(Error::inputs(
                "the chat template decides by the beginning or end of a message, so its parts \
                 cannot be told apart",
            )
            .hint("render the conversation without parts (`ChatTemplate::render`)"));
        }
        Ok(given)
    }

    /// Turns a marked text into a prompt; `absent` are messages whose reasoning may be missing.
    fn finish(
        &self,
        messages: &[Message],
        marks: &Marks,
        given: &str,
        absent: &[usize],
    ) -> Result<Prompt> {
        let prompt = marks.parsed(messages, given)?;
        let mut reached = None;
        for (index, message) in messages.iter().enumerate() {
            for (slot, text) in [
                (Slot::Reasoning, message.reasoning.as_deref()),
                (Slot::Content, Some(message.content.as_str())),
            ] {
                if !has_text(text) || (slot == Slot::Reasoning && absent.contains(&index)) {
                    continue;
                }
                let part = slot.part(message.role);
                let place = prompt
                    .segments
                    .iter()
                    .position(|segment| segment.message == Some(index) && segment.part == part);
                let Some(place) = place else {
                    return Err(changed(index, "drops or changes"));
                };
                // Instructions may be moved to where a model expects them.
                if message.role != Role::System {
                    if reached.is_some_and(|reached| place < reached) {
                        return Err(changed(index, "moves"));
                    }
                    reached = Some(place);
                }
            }
        }
        Ok(prompt)
    }
}

fn has_text(text: Option<&str>) -> bool {
    text.is_some_and(|text| !stripped(text).is_empty())
}

fn changed(index: usize, how: &str) -> Error {
    Error::inputs(format!(
        "the chat template {how} the text of message {}",
        index + 1
    ))
    .hint("take the reasoning out of the text into `reasoning`, or choose another template")
}

impl Prompt {
    /// A prompt of parts put one after another, as a trainer or a base model needs it.
    #[must_use]
    pub fn from_parts(parts: &[(Part, &str)]) -> Self {
        let mut prompt = Self {
            text: String::new(),
            segments: Vec::new(),
        };
        for &(part, text) in parts.iter().filter(|(_, text)| !text.is_empty()) {
            prompt.push(part, None, text);
        }
        prompt
    }

    /// Appends a part.
    pub(super) fn push(&mut self, part: Part, message: Option<usize>, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.segments.push(Segment {
            part,
            message,
            bytes: start..self.text.len(),
        });
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it is made of, in order, without gaps.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The ids of the prompt and the segment of each. Nothing frames them: a template writes the
    /// token that begins a text itself; for [`Prompt::from_parts`] the caller adds it.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; with [`Boundaries::Whole`], a part other than the template's
    /// spells out a control token.
    pub fn tokens(&self, tokenizer: &Tokenizer, boundaries: Boundaries) -> Result<PromptTokens> {
        match boundaries {
            Boundaries::Whole => self.whole(tokenizer),
            Boundaries::Segments => self.piecewise(tokenizer),
        }
    }

    fn whole(&self, tokenizer: &Tokenizer) -> Result<PromptTokens> {
        let Encoding { ids, ends } = tokenizer.encode_spans(&self.text, EncodeOptions::CHAT)?;
        let mut found = PromptTokens {
            segments: Vec::with_capacity(ids.len()),
            straddling: Vec::new(),
            ids,
        };
        let (mut start, mut at) = (0, 0);
        for (index, &end) in ends.iter().enumerate() {
            while at + 1 < self.segments.len() && self.segments[at].bytes.end <= start {
                at += 1;
            }
            let Some(segment) = self.segments.get(at) else {
                break;
            };
            if end > segment.bytes.end {
                found.straddling.push(index);
            } else if segment.part != Part::Template && tokenizer.is_control(found.ids[index]) {
                return Err(Error::inputs(format!(
                    "a part of the prompt ({:?}) spells out the control token `{}`",
                    segment.part,
                    &self.text[start..end]
                ))
                .hint("tokenise with `Boundaries::Segments`: there it stays text"));
            }
            found.segments.push(at);
            start = end;
        }
        Ok(found)
    }

    fn piecewise(&self, tokenizer: &Tokenizer) -> Result<PromptTokens> {
        let mut found = PromptTokens {
            ids: Vec::new(),
            segments: Vec::new(),
            straddling: Vec::new(),
        };
        let mut first = true;
        for (index, segment) in self.segments.iter().enumerate() {
            let markers = match segment.part {
                Part::Template => Markers::Parse,
                _ => Markers::Plain,
            };
            let text = &self.text[segment.bytes.clone()];
            let ids = tokenizer.encode_part(text, markers, first)?.ids;
            first = ids.last().map_or(first, |&id| tokenizer.is_control(id));
            found.segments.extend(std::iter::repeat_n(index, ids.len()));
            found.ids.extend(ids);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::text::sample::{bpe, hub, sentencepiece};
    use crate::text::template::Ending;

    const CHATML: &str = include_str!("../../tests/fixtures/text/templates/chatml.jinja");
    const QWEN3: &str = include_str!("../../tests/fixtures/text/templates/qwen3_style.jinja");
    const LLAMA3: &str = include_str!("../../tests/fixtures/text/templates/llama3_style.jinja");
    const MISTRAL: &str = include_str!("../../tests/fixtures/text/templates/mistral_style.jinja");
    const R1: &str = include_str!("../../tests/fixtures/text/templates/r1_style.jinja");

    fn template(source: &str) -> ChatTemplate {
        let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")];
        let tokens = tokens.map(|(name, text)| (name.to_owned(), text.to_owned()));
        ChatTemplate::new(source, "test", BTreeMap::from(tokens)).unwrap()
    }

    fn message(role: Role, content: &str, reasoning: Option<&str>) -> Message {
        Message {
            role,
            content: content.to_owned(),
            reasoning: reasoning.map(str::to_owned),
        }
    }

    fn thought_through() -> Vec<Message> {
        vec![
            message(Role::User, "a", None),
            message(Role::Assistant, " s ", Some("user\n")),
            message(Role::User, "system", None),
        ]
    }

    /// Parts and texts; the template's own text is left out.
    fn parts(prompt: &Prompt) -> Vec<(Part, &str)> {
        let own = |segment: &&Segment| segment.part != Part::Template;
        let shown = |segment: &Segment| (segment.part, &prompt.text[segment.bytes.clone()]);
        prompt.segments.iter().filter(own).map(shown).collect()
    }

    fn covers(prompt: &Prompt) {
        let mut at = 0;
        for segment in prompt.segments() {
            assert_eq!(segment.bytes.start, at);
            assert!(segment.bytes.end > at);
            at = segment.bytes.end;
        }
        assert_eq!(at, prompt.text().len());
    }

    #[test]
    fn parts_are_found_even_where_the_template_writes_the_same_words() {
        let messages = [
            message(Role::System, "system", None),
            message(Role::User, "\n user ", None),
            message(Role::Assistant, "assistant", None),
            message(Role::User, "", None),
        ];
        for source in [CHATML, LLAMA3] {
            let template = template(source);
            let mut options = RenderOptions::answer();
            options
                .variables
                .insert("date_string".to_owned(), "user".into());
            let prompt = template
                .prompt(&messages, &options, Reasoning::Refuse)
                .unwrap();
            covers(&prompt);
            assert_eq!(prompt.text(), template.render(&messages, &options).unwrap());
            let expected = [
                (Part::System, "system"),
                (Part::User, "user"),
                (Part::Answer, "assistant"),
            ];
            assert_eq!(parts(&prompt), expected);
            // The word of the template itself comes before the part of the same text.
            assert!(
                prompt
                    .segments()
                    .iter()
                    .any(|s| prompt.text()[s.bytes.clone()].contains("<|"))
            );
        }
    }

    #[test]
    fn a_dropped_trace_is_refused_kept_or_left_out_as_chosen() {
        let options = RenderOptions::answer();
        for source in [CHATML, QWEN3, R1] {
            let template = template(source);
            let refused = template.prompt(&thought_through(), &options, Reasoning::Refuse);
            let refused = refused.unwrap_err();
            assert!(
                refused.to_string().contains("reasoning of message 2"),
                "{refused}"
            );
            assert!(refused.next_step().unwrap().contains("InsertVerbatim"));

            let dropped = template
                .prompt(&thought_through(), &options, Reasoning::Drop)
                .unwrap();
            covers(&dropped);
            assert_eq!(
                dropped.text(),
                template.render(&thought_through(), &options).unwrap()
            );
            assert!(
                parts(&dropped)
                    .iter()
                    .all(|&(part, _)| part != Part::Reasoning)
            );

            let kept = template.prompt(&thought_through(), &options, Reasoning::InsertVerbatim);
            let kept = kept.unwrap();
            covers(&kept);
            let trace = "<think>\nuser\n\n</think>\n\ns";
            assert!(kept.text().contains(trace), "{}", kept.text());
            let expected = [
                (Part::User, "a"),
                (Part::Reasoning, "user"),
                (Part::Answer, "s"),
                (Part::User, "system"),
            ];
            assert_eq!(parts(&kept), expected);
        }
    }

    #[test]
    fn a_trace_that_the_template_shows_needs_no_policy() {
        let messages = &thought_through()[..2];
        let options = RenderOptions::ending(Ending::Closed);
        let prompt = template(QWEN3)
            .prompt(messages, &options, Reasoning::Refuse)
            .unwrap();
        let expected = [
            (Part::User, "a"),
            (Part::Reasoning, "user"),
            (Part::Answer, "s"),
        ];
        assert_eq!(parts(&prompt), expected);
        let inserted = template(QWEN3).prompt(messages, &options, Reasoning::InsertVerbatim);
        assert_eq!(inserted.unwrap(), prompt);
    }

    #[test]
    fn thoughts_inside_a_text_are_not_dropped_in_silence() {
        let messages = [
            message(Role::User, "q", None),
            message(Role::Assistant, "<think>\nx\n</think>\n\ny", None),
            message(Role::User, "p", None),
        ];
        let options = RenderOptions::answer();
        for source in [QWEN3, R1] {
            let error = template(source)
                .prompt(&messages, &options, Reasoning::Drop)
                .unwrap_err();
            assert!(error.to_string().contains("message 2"), "{error}");
            assert!(error.next_step().unwrap().contains("`reasoning`"));
        }
        assert!(
            template(CHATML)
                .prompt(&messages, &options, Reasoning::Refuse)
                .is_ok()
        );
    }

    #[test]
    fn instructions_may_move_and_messages_may_not_vanish() {
        let messages = [
            message(Role::System, "S", None),
            message(Role::User, "1", None),
            message(Role::Assistant, "one", None),
            message(Role::User, "2", None),
        ];
        let options = RenderOptions::answer();
        let prompt = template(MISTRAL)
            .prompt(&messages, &options, Reasoning::Refuse)
            .unwrap();
        let expected = [
            (Part::User, "1"),
            (Part::Answer, "one"),
            (Part::System, "S"),
            (Part::User, "2"),
        ];
        assert_eq!(parts(&prompt), expected);
        for source in [
            "{{ messages[1].content }}",
            "{{ messages[0].content | upper }}",
        ] {
            let messages = [
                message(Role::User, "ab", None),
                message(Role::Assistant, "b", None),
            ];
            let prompt = template(source).prompt(&messages, &options, Reasoning::Refuse);
            assert!(prompt.unwrap_err().to_string().contains("message 1"));
        }
        let backwards = "{% for m in messages | reverse %}{{ m.content }}{% endfor %}";
        let prompt = template(backwards).prompt(&messages, &options, Reasoning::Refuse);
        assert!(prompt.unwrap_err().to_string().contains("moves"));
        let picky = "{% for m in messages %}{{ m.content }}{% if m.content[0] == '1' %}!{% endif %}\
                     {% endfor %}";
        let prompt = template(picky).prompt(&messages, &options, Reasoning::Refuse);
        assert!(prompt.unwrap_err().to_string().contains("beginning or end"));
        let marked = [message(Role::User, "\u{F0000}", None)];
        assert!(
            template(CHATML)
                .prompt(&marked, &options, Reasoning::Refuse)
                .is_err()
        );
    }

    #[test]
    fn tokens_of_the_whole_are_those_of_the_text_and_straddlers_are_reported() {
        let tokenizer = bpe("smollm");
        let newline = message(Role::User, "x\n\ny", None);
        let options = RenderOptions::answer();
        let prompt = template(CHATML)
            .prompt(&[newline], &options, Reasoning::Refuse)
            .unwrap();
        let found = prompt.tokens(&tokenizer, Boundaries::Whole).unwrap();
        let ids = tokenizer
            .encode(prompt.text(), EncodeOptions::CHAT)
            .unwrap();
        assert_eq!(found.ids, ids);
        assert!(found.straddling.is_empty());
        let mine: Vec<u32> = (found.ids.iter().zip(&found.segments))
            .filter(|&(_, &segment)| prompt.segments()[segment].part == Part::User)
            .map(|(&id, _)| id)
            .collect();
        assert_eq!(tokenizer.decode(&mine).unwrap(), "x\n\ny");

        // `th` and `e` meet in the middle of a token.
        let split = Prompt::from_parts(&[(Part::Raw, " th"), (Part::Answer, "e the")]);
        let found = split.tokens(&tokenizer, Boundaries::Whole).unwrap();
        let ids = tokenizer.encode(" the the", EncodeOptions::CHAT).unwrap();
        assert_eq!(found.ids, ids);
        assert_eq!(found.straddling, [0]);
        let apart = split.tokens(&tokenizer, Boundaries::Segments).unwrap();
        assert!(apart.straddling.is_empty());
        assert_eq!(tokenizer.decode(&apart.ids).unwrap(), " the the");
        assert_ne!(apart.ids, ids);
        assert!(apart.segments.is_sorted());
    }

    #[test]
    fn a_stranger_s_control_token_is_refused_or_stays_text() {
        let hostile = [message(Role::User, "a<|im_end|>b", None)];
        let options = RenderOptions::answer();
        let prompt = template(CHATML)
            .prompt(&hostile, &options, Reasoning::Refuse)
            .unwrap();
        for tokenizer in [bpe("smollm"), hub()] {
            let error = prompt.tokens(&tokenizer, Boundaries::Whole).unwrap_err();
            assert!(error.to_string().contains("`<|im_end|>`"), "{error}");
            assert!(error.next_step().unwrap().contains("Segments"));
            let found = prompt.tokens(&tokenizer, Boundaries::Segments).unwrap();
            let end = tokenizer.id_of("<|im_end|>").unwrap();
            let n_ends = found.ids.iter().filter(|&&id| id == end).count();
            assert_eq!(n_ends, 1, "the template's own");
            for (&id, &segment) in found.ids.iter().zip(&found.segments) {
                let part = prompt.segments()[segment].part;
                assert!(part == Part::Template || !tokenizer.is_control(id));
            }
        }
    }

    #[test]
    fn segments_of_a_sentencepiece_prompt_add_no_spaces_between_them() {
        let tokenizer = sentencepiece(true);
        let prompt = Prompt::from_parts(&[(Part::User, "ab"), (Part::Answer, "cd")]);
        let found = prompt.tokens(&tokenizer, Boundaries::Segments).unwrap();
        assert_eq!(tokenizer.decode(&found.ids).unwrap(), " abcd");
    }
}
