//! Conversations rendered byte for byte as Hugging Face renders them
//! (`fixtures/text/make_chats.py`).

use std::collections::BTreeMap;

use model::chat::{Message, Role};
use model::text::{ChatTemplate, Date, Ending, Json, RenderOptions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    tokens: BTreeMap<String, String>,
    conversations: BTreeMap<String, Vec<Turn>>,
    settings: Vec<Setting>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Turn {
    role: Role,
    content: String,
    reasoning_content: Option<String>,
}

#[derive(Deserialize)]
struct Setting {
    ending: String,
    tools: Option<Vec<Json>>,
    #[serde(default)]
    variables: BTreeMap<String, Json>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    conversation: String,
    setting: usize,
    text: Option<String>,
    error: Option<String>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/text/chats.json")).unwrap()
}

fn template(name: &str, tokens: &BTreeMap<String, String>) -> ChatTemplate {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/text/templates");
    let source = std::fs::read_to_string(format!("{folder}/{name}.jinja")).unwrap();
    ChatTemplate::new(&source, name, tokens.clone()).unwrap()
}

fn options(setting: &Setting) -> RenderOptions {
    RenderOptions {
        tools: setting.tools.clone(),
        variables: setting.variables.clone(),
        date: Some(Date::day(2024, 7, 26).unwrap()),
        ..RenderOptions::ending(match setting.ending.as_str() {
            "answer" => Ending::Answer,
            "closed" => Ending::Closed,
            "continue" => Ending::Continue,
            other => panic!("{other}"),
        })
    }
}

fn messages(turns: &[Turn]) -> Vec<Message> {
    let message = |turn: &Turn| Message {
        role: turn.role,
        content: turn.content.clone(),
        reasoning: turn.reasoning_content.clone(),
    };
    turns.iter().map(message).collect()
}

#[test]
fn every_conversation_is_rendered_as_hugging_face_renders_it() {
    let fixture = fixture();
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<&str, ChatTemplate> = BTreeMap::new();
    for case in &fixture.cases {
        let template = seen
            .entry(&case.template)
            .or_insert_with(|| template(&case.template, &fixture.tokens));
        let messages = messages(&fixture.conversations[&case.conversation]);
        let found = template.render(&messages, &options(&fixture.settings[case.setting]));
        let place = format!("{} {} {}", case.template, case.conversation, case.setting);
        match (found, &case.text, &case.error) {
            (Ok(found), Some(text), _) if found == *text => {}
            (Err(_), None, Some(_)) => {}
            (found, text, error) => wrong.push((place, found, text, error)),
        }
    }
    assert!(fixture.cases.len() > 500);
    assert_eq!(seen.len(), 10);
    let some = &wrong[..wrong.len().min(3)];
    assert!(
        wrong.is_empty(),
        "{} of {} differ: {some:#?}",
        wrong.len(),
        fixture.cases.len()
    );
}

#[test]
fn what_a_template_raises_is_in_the_error() {
    let fixture = fixture();
    let mut n_raised = 0;
    for case in &fixture.cases {
        let Some(error) = case
            .error
            .as_ref()
            .filter(|error| error.contains("roles must"))
        else {
            continue;
        };
        let template = template(&case.template, &fixture.tokens);
        let messages = messages(&fixture.conversations[&case.conversation]);
        let found = template.render(&messages, &options(&fixture.settings[case.setting]));
        let found = found.unwrap_err();
        assert!(found.to_string().contains(error.as_str()), "{found}");
        assert!(found.to_string().contains(&case.template), "{found}");
        n_raised += 1;
    }
    assert!(n_raised > 10, "{n_raised}");
}
