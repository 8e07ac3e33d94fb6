//! Chat models that answer nonsense: counted, in bounded time and memory.

use std::sync::Arc;
use std::time::Instant;

use hanabi::protocol::{ChatOptions, ChatPlayer, GameRecord};
use model::chat::{ChatRequest, Scripted};

use super::support::{played, table};

fn with(reply: impl Fn(&ChatRequest) -> String + Send + Sync + 'static) -> GameRecord {
    let model = Arc::new(Scripted::function("hostile", move |request, _| {
        Ok(reply(request))
    }));
    let player = |_| ChatPlayer::new("hostile", model.clone(), ChatOptions::default());
    let start = Instant::now();
    let record = played(table(3, player), 1);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    record
}

/// Every reply is refused twice, the fixed policy moves, and nothing long or unprintable is kept.
fn never_understood(reply: impl Fn(&ChatRequest) -> String + Send + Sync + 'static, why: &str) {
    let record = with(reply);
    for turn in &record.turns {
        assert!(
            turn.replies.fell_back && turn.replies.n_replies == 2,
            "{turn:?}"
        );
        assert_eq!(turn.replies.failures.len(), 2);
        assert!(
            turn.replies.failures[0].contains(why),
            "{:?}",
            turn.replies.failures
        );
        // Nobody spends a life for bad format.
        assert_eq!(turn.lives, 3);
    }
    let n_turns = record.turns.len() as u32;
    assert_eq!(record.end.n_fallbacks, n_turns);
    assert!(record.end.format_failures >= 2 * n_turns);
    let lines = record.to_lines().unwrap();
    assert!(
        lines.len() < 2_000 * record.turns.len(),
        "{} bytes",
        lines.len()
    );
    assert!(!lines.contains("\\u001b") && !lines.contains('\u{1b}'));
    assert_eq!(GameRecord::read_all(&lines, "lines").unwrap(), [record]);
}

#[test]
fn empty_replies_for_ever_end_the_game_by_the_fixed_policy() {
    never_understood(|_| String::new(), "empty");
}

#[test]
fn replies_of_5_megabytes_are_refused_unread() {
    let long = format!("{{\"action\": 5, \"x\": \"{}\"}}", "y".repeat(5 << 20));
    never_understood(move |_| long.clone(), "bytes");
}

#[test]
fn control_codes_are_refused_and_not_kept() {
    never_understood(
        |_| "\u{1b}[2J{\"action\": \"\u{1b}]0;x\u{7}\"}".into(),
        "control",
    );
}

#[test]
fn unknown_types_of_fields_are_refused() {
    for reply in [
        "{\"action\": {\"id\": 5}}",
        "{\"action\": [5]}",
        "{\"action\": null}",
        "[5]",
    ] {
        let why = if reply.starts_with('[') {
            "no JSON object"
        } else {
            "invalid type"
        };
        never_understood(move |_| reply.into(), why);
    }
}

/// Plays the first legal action, and gives half of what a hint needs.
fn first_legal(request: &ChatRequest) -> Option<String> {
    let user = &request.messages.last()?.content;
    let (_, listed) = user.split_once("Legal actions:\n")?;
    Some(listed.split_once(':')?.0.to_owned())
}

#[test]
fn a_legal_hint_without_statements_is_kept_and_its_statements_are_missing() {
    let record = with(|request| match first_legal(request) {
        // With all tokens there, nothing is to be discarded: the first action is a play; hints
        // come from the end of the list.
        Some(_) => {
            let user = &request.messages.last().unwrap().content;
            let hint = user.lines().rfind(|line| line.contains(": tell player"));
            match hint {
                Some(line) => format!("{{\"action\": {}}}", line.split_once(':').unwrap().0),
                None => format!("{{\"action\": {}}}", first_legal(request).unwrap()),
            }
        }
        None => "{\"intent\": {\"kind\": \"info\"}}".into(),
    });
    assert!(record.end.n_hints > 5);
    assert_eq!(record.end.n_hints_without_statements, record.end.n_hints);
    assert_eq!((record.end.first_order, record.end.n_fallbacks), (None, 0));
    let hints = record.turns.iter().filter(|turn| turn.hint.is_some());
    for turn in hints {
        assert_eq!(
            turn.replies.failures.len(),
            2,
            "asked for once more: {turn:?}"
        );
    }
}

#[test]
fn the_second_request_says_what_was_wrong_with_the_first() {
    let record = with(|request| {
        let user = &request.messages.last().unwrap().content;
        let again = user.contains("Your last reply was refused: the reply holds no JSON object");
        match (again, first_legal(request)) {
            (true, Some(action)) => format!("{{\"action\": {action}}}"),
            (true, None) => "{\"intent\": {\"kind\": \"info\"}}".into(),
            (false, _) => "I would play.".into(),
        }
    });
    assert_eq!(record.end.n_fallbacks, 0);
    let all = record.turns.iter();
    assert!(
        all.clone()
            .all(|turn| turn.replies.n_replies == 2 && turn.replies.failures.len() == 1)
    );
}
