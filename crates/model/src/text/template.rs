//! Chat templates, rendered as Hugging Face's `apply_chat_template` renders them.
//!
//! The reference is `transformers.utils.chat_template_utils` 5.23 over Jinja 3.1: blocks trimmed,
//! loop controls, `raise_exception`, `strftime_now`, its own `tojson`. A template is a program from
//! a stranger: it runs without files, with a budget of steps and memory, and with no clock.

use std::collections::BTreeMap;
use std::fmt;

use eval::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use regex::Regex;

use super::json::Json;
use super::python::{self, stripped, stripped_end};
use super::strftime::Date;
use crate::chat::{Message, Role};

/// What a template is rendered with besides the messages.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderOptions {
    /// What stands at the end.
    pub ending: Ending,
    /// Tools as JSON schemas; `None` and an empty list differ to templates.
    pub tools: Option<Vec<Json>>,
    /// Further variables (`enable_thinking`).
    pub variables: BTreeMap<String, Json>,
    /// What day `strftime_now` says it is; a template that asks without it is an error.
    pub date: Option<Date>,
    /// What an unknown variable is.
    pub unknown: Unknown,
}

impl RenderOptions {
    /// A conversation that the model is to answer, nothing else set.
    #[must_use]
    pub fn answer() -> Self {
        Self {
            ending: Ending::Answer,
            tools: None,
            variables: BTreeMap::new(),
            date: None,
            unknown: Unknown::Empty,
        }
    }

    /// The same with another ending.
    #[must_use]
    pub fn ending(ending: Ending) -> Self {
        Self {
            ending,
            ..Self::answer()
        }
    }
}

/// What stands at the end of a rendered conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The beginning of the model's turn (`add_generation_prompt`).
    Answer,
    /// The last message, closed.
    Closed,
    /// The last message, left open so that the model continues it (`continue_final_message`).
    Continue,
}

/// What a template gets for a variable that nobody set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing, as with Hugging Face: templates ask for optional variables this way.
    Empty,
    /// An error.
    Refused,
}

/// A chat template with the special tokens it may write.
pub struct ChatTemplate {
    /// `None` for a base model, which has no template.
    environment: Option<Environment<'static>>,
    source: String,
    model: String,
    tokens: BTreeMap<String, String>,
}

/// Name of the only template of an environment. It has no extension, so nothing is escaped.
const NAME: &str = "chat";

/// Longest source that is compiled, in bytes; published ones stay below 20,000.
const SOURCE_MAX_BYTES: usize = 1 << 20;

/// Steps of one rendering, each also good for 64 bytes of text: 256 MB at most.
const FUEL: u64 = 4_000_000;

/// Marks the end of a message that is left open (`transformers` uses the same).
const OPEN_END: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// What `raise_exception` was called with.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate")
            .field("model", &self.model)
            .field("source", &self.source)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl ChatTemplate {
    /// Compiles a template of `model` (a name for messages). `tokens` are the special tokens by
    /// their hub names (`bos_token`, `eos_token`).
    ///
    /// # Errors
    /// The source is no template or unreasonably long.
    pub fn new(source: &str, model: &str, tokens: BTreeMap<String, String>) -> Result<Self> {
        if source.len() > SOURCE_MAX_BYTES {
            return Err(Error::inputs(format!(
                "the chat template of `{model}` has {} bytes; the limit is {SOURCE_MAX_BYTES}",
                source.len()
            )));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(false)
            .build()
            .map_err(|cause| Error::internal("cannot set the syntax up").caused_by(cause))?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_debug(false);
        environment.add_function("raise_exception", |message: String| -> Result<Value, _> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, "raised")
                .with_source(Raised(message)))
        });
        python::install(&mut environment);
        environment
            .add_template_owned(NAME, as_jinja(source)?)
            .map_err(|cause| failure(model, cause))?;
        Ok(Self {
            environment: Some(environment),
            source: source.to_owned(),
            model: model.to_owned(),
            tokens,
        })
    }

    /// The absence of a template: `model` is a base model that continues text. Rendering is an
    /// error that says so.
    #[must_use]
    pub fn none(model: &str) -> Self {
        Self {
            environment: None,
            source: String::new(),
            model: model.to_owned(),
            tokens: BTreeMap::new(),
        }
    }

    /// A plain fallback for base models, taken only by those who ask for it by this name: each turn
    /// is `Role: text` and a blank line, the answer begins after `Assistant:`. No model was trained
    /// on it; what it measures is the base model's continuation.
    ///
    /// # Errors
    /// Never in practice: the template is fixed.
    pub fn plain_turns(model: &str, tokens: BTreeMap<String, String>) -> Result<Self> {
        Self::new(PLAIN_TURNS, model, tokens)
    }

    /// Whether there is a template at all.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.environment.is_some()
    }

    /// The template's source, empty where there is none.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders a conversation to the text that the model continues. Encode it with
    /// [`super::EncodeOptions::CHAT`]: the template writes the token that begins a text itself.
    ///
    /// # Errors
    /// The template raises, asks for what is not there, or drops the message to continue.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String> {
        let open_end = messages.len().checked_sub(1);
        let open_end = open_end.filter(|_| options.ending == Ending::Continue);
        if options.ending == Ending::Continue && open_end.is_none() {
            return Err(Error::usage("there is no message to continue"));
        }
        let values = messages.iter().enumerate().map(|(index, message)| {
            let content = if Some(index) == open_end {
                format!("{}{OPEN_END}", message.content)
            } else {
                message.content.clone()
            };
            value(message, content)
        });
        let text = self.render_values(values.collect(), options)?;
        match (open_end, messages.last()) {
            (Some(_), Some(last)) => self.cut_open(&text, stripped(&last.content)),
            _ => Ok(text),
        }
    }

    fn render_values(&self, messages: Vec<Value>, options: &RenderOptions) -> Result<String> {
        let Some(environment) = &self.environment else {
            return Err(self.absent());
        };
        let mut environment = environment.clone();
        environment.set_undefined_behavior(match options.unknown {
            Unknown::Empty => UndefinedBehavior::Lenient,
            Unknown::Refused => UndefinedBehavior::Strict,
        });
        let date = options.date;
        environment.add_function("strftime_now", move |pattern: String| {
            let refuse = |error: Error| {
                minijinja::Error::new(ErrorKind::InvalidOperation, "raised")
                    .with_source(Raised(error.to_string()))
            };
            let missing = || Error::usage("it asks for the date, and `date` is not set");
            date.ok_or_else(missing)
                .and_then(|date| date.format(&pattern))
                .map_err(refuse)
        });
        let mut context: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, token) in &self.tokens {
            context.insert(name, Value::from(token.as_str()));
        }
        for (name, Json(value)) in &options.variables {
            context.insert(name, value.clone());
        }
        let tools = options.tools.as_ref().map(|tools| {
            let tools = tools.iter().map(|Json(tool)| tool.clone());
            tools.collect::<Value>()
        });
        context.insert("messages", messages.into_iter().collect());
        context.insert("tools", tools.unwrap_or_else(|| Value::from(())));
        context.insert("documents", Value::from(()));
        let answer = options.ending == Ending::Answer;
        context.insert("add_generation_prompt", Value::from(answer));
        environment
            .get_template(NAME)
            .and_then(|template| template.render(Value::from_pairs(context)))
            .map_err(|cause| failure(&self.model, cause))
    }

    /// Cuts everything after the open end (`render_jinja_template` in `transformers`).
    fn cut_open(&self, text: &str, content: &str) -> Result<String> {
        let found = text.rfind(OPEN_END.trim());
        let Some(at) = found.filter(|_| text.contains(content)) else {
            return Err(Error::inputs(format!(
                "the chat template of `{}` changes the last message, so it cannot be continued",
                self.model
            ))
            .hint("end with a question and let the model begin its answer"));
        };
        Ok(if text[at..].starts_with(OPEN_END) {
            text[..at].to_owned()
        } else {
            // The template trimmed the message, so white space before the mark is its own.
            stripped_end(&text[..at]).to_owned()
        })
    }

    fn absent(&self) -> Error {
        Error::inputs(format!(
            "`{}` has no chat template: it is a base model, trained to continue text",
            self.model
        ))
        .hint(
            "ask for a completion, choose an instruction-tuned model, or take the plain fallback \
             by its name (`ChatTemplate::plain_turns`)",
        )
    }
}

/// The template of [`ChatTemplate::plain_turns`].
const PLAIN_TURNS: &str = "{{ bos_token }}{% for message in messages %}\
     {{ message.role | capitalize }}: {{ message.content }}\n\n{% endfor %}\
     {% if add_generation_prompt %}Assistant:{% endif %}";

/// A message as templates know it; reasoning goes under the names that `transformers` gives it.
fn value(message: &Message, content: String) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut pairs: Vec<(&str, Value)> = Vec::new();
    if let Some(reasoning) = &message.reasoning {
        pairs.push(("thinking", Value::from(reasoning.as_str())));
    }
    pairs.push(("role", Value::from(role)));
    pairs.push(("content", Value::from(content)));
    if let Some(reasoning) = &message.reasoning {
        pairs.push(("reasoning_content", Value::from(reasoning.as_str())));
    }
    Value::from_pairs(pairs)
}

/// Makes a template of what Hugging Face's extension adds to the language: `{% generation %}` marks
/// the model's own text and renders its body in a scope of its own. Line ends become `\n`, as in
/// Jinja's lexer.
fn as_jinja(source: &str) -> Result<String> {
    let tag = |name: &str, with: &str| -> Result<(Regex, String)> {
        let pattern = format!(r"\{{%([-+]?)\s*{name}\s*([-+]?)%\}}");
        let pattern = Regex::new(&pattern)
            .map_err(|cause| Error::internal("cannot compile a pattern").caused_by(cause))?;
        Ok((pattern, format!("{{%$1 {with} $2%}}")))
    };
    let (begin, with) = tag("generation", "with")?;
    let (end, end_with) = tag("endgeneration", "endwith")?;
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = begin.replace_all(&source, with.as_str());
    Ok(end.replace_all(&source, end_with.as_str()).into_owned())
}

/// Names what went wrong in a template.
fn failure(model: &str, cause: minijinja::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&cause);
    while let Some(error) = source {
        if let Some(Raised(message)) = error.downcast_ref() {
            return Error::inputs(format!(
                "the chat template of `{model}` refuses the conversation: {message}"
            ))
            .hint("change the order or the roles of the messages as the template asks");
        }
        source = error.source();
    }
    let line = cause
        .line()
        .map_or(String::new(), |line| format!(" in line {line}"));
    let (what, hint) = match cause.kind() {
        ErrorKind::UndefinedError => (
            "uses a variable that is not set",
            "set it in `variables`, or render with `Unknown::Empty`",
        ),
        ErrorKind::SyntaxError => (
            "is no template that can be read",
            "compare it with the publisher's file",
        ),
        ErrorKind::OutOfFuel => (
            "does not end within its budget of steps and memory",
            "shorten the conversation, or take another template",
        ),
        _ => ("fails", "render it with `transformers` to compare"),
    };
    Error::inputs(format!("the chat template of `{model}` {what}{line}"))
        .hint(hint)
        .caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, options: &RenderOptions) -> Result<String> {
        let message = Message {
            role: Role::User,
            content: "hi".to_owned(),
            reasoning: None,
        };
        ChatTemplate::new(source, "m", BTreeMap::new())?.render(&[message], options)
    }

    fn refusal(source: &str, options: &RenderOptions) -> String {
        render(source, options).unwrap_err().to_string()
    }

    #[test]
    fn failures_name_the_model_the_line_and_the_reason() {
        let options = RenderOptions::answer();
        assert!(refusal("{% if %}", &options).contains("`m` is no template"));
        assert!(refusal("{{ raise_exception('no tools') }}", &options).contains("no tools"));
        assert!(refusal("\n\n{{ nothing.at.all }}", &options).contains("line 3"));
        assert!(refusal("{{ strftime_now('%Y') }}", &options).contains("`date` is not set"));
        assert!(refusal("{{ messages | tojson(nonsense=1) }}", &options).contains("fails"));
        let endless = "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}\
                       {% endfor %}";
        assert!(refusal(endless, &options).contains("budget"));
        let long = " ".repeat(SOURCE_MAX_BYTES + 1);
        assert!(refusal(&long, &options).contains("limit"));
    }

    #[test]
    fn unknown_variables_are_empty_or_refused() {
        let mut options = RenderOptions::answer();
        assert_eq!(render("[{{ absent }}]", &options).unwrap(), "[]");
        options.unknown = Unknown::Refused;
        assert!(refusal("[{{ absent }}]", &options).contains("not set"));
        assert_eq!(
            render("{{ absent is defined }}", &options).unwrap(),
            "False"
        );
    }

    #[test]
    fn a_base_model_says_so_and_the_fallback_has_a_name() {
        let options = RenderOptions::answer();
        let error = ChatTemplate::none("Gemma")
            .render(&[], &options)
            .unwrap_err();
        assert!(
            error.to_string().contains("`Gemma` has no chat template"),
            "{error}"
        );
        assert!(error.next_step().unwrap().contains("plain_turns"));
        let tokens = BTreeMap::from([("bos_token".to_owned(), "<bos>".to_owned())]);
        let plain = ChatTemplate::plain_turns("Gemma", tokens).unwrap();
        let messages =
            [(Role::System, "Be brief."), (Role::User, "Hi")].map(|(role, content)| Message {
                role,
                content: content.to_owned(),
                reasoning: None,
            });
        let text = plain.render(&messages, &options).unwrap();
        assert_eq!(text, "<bos>System: Be brief.\n\nUser: Hi\n\nAssistant:");
    }

    #[test]
    fn what_cannot_be_continued_is_refused() {
        let options = RenderOptions::ending(Ending::Continue);
        assert!(refusal("{{ messages[0].content | upper }}", &options).contains("continued"));
        assert!(refusal("nothing", &options).contains("continued"));
        let template = ChatTemplate::new("x", "m", BTreeMap::new()).unwrap();
        assert!(template.render(&[], &options).is_err());
        assert_eq!(
            render("<{{ messages[0].content }}>", &options).unwrap(),
            "<hi"
        );
    }
}
