//! Input that is no game: an error that names what is wrong and where, in bounded time.

use std::time::{Duration, Instant};

use hanabi::rules::{Deck, Game, HanabLive, Trace};
use serde_json::{Value, json};

/// A legal document of two players who misplay until the lives are gone.
fn document() -> Value {
    let deck: Vec<Value> = Deck::sorted()
        .cards()
        .iter()
        .map(|card| json!({"suitIndex": card.colour().index(), "rank": card.rank()}))
        .collect();
    // Seat 0 holds the red 1s and 2s, seat 1 starts with a red 3: both play their oldest card.
    let plays = [0, 5, 1, 6].map(|order| json!({"type": 0, "target": order}));
    json!({"players": ["a", "b"], "deck": deck, "actions": plays})
}

fn refused(document: &Value, parts: &[&str]) {
    let result = HanabLive::parse(&document.to_string()).and_then(|live| live.to_trace());
    let report = result.unwrap_err().report();
    for part in parts {
        assert!(report.contains(part), "no `{part}` in: {report}");
    }
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = document();
    change(&mut document);
    document
}

#[test]
fn the_unchanged_document_is_a_game() {
    let text = document().to_string();
    let trace = HanabLive::parse(&text).unwrap().to_trace().unwrap();
    assert_eq!((trace.actions, trace.score), (vec![5, 5, 5, 5], Some(0)));
}

#[test]
fn fifty_cards_that_are_no_deck_are_named() {
    refused(
        &changed(|d| d["deck"][0] = d["deck"][49].clone()),
        &["2 of card R1", "has 3"],
    );
    let short = |d: &mut Value| drop(d["deck"].as_array_mut().unwrap().pop());
    refused(&changed(short), &["0 of card B5"]);
    refused(
        &changed(|d| d["deck"][7]["rank"] = json!(6)),
        &["card 7", "rank 6"],
    );
    refused(
        &changed(|d| d["deck"][7]["suitIndex"] = json!(5)),
        &["card 7", "suitIndex 5"],
    );
}

#[test]
fn an_action_after_the_end_is_named_with_its_turn() {
    let late = |d: &mut Value| {
        let actions = d["actions"].as_array_mut().unwrap();
        actions.push(json!({"type": 0, "target": 2}));
    };
    refused(&changed(late), &["turn 5", "the game is over (life)"]);
    let deck = Deck::sorted();
    let trace = Trace::parse(&format!("2 {deck} 5,5,5,5,5")).unwrap();
    let error = trace.replay(|_, _, _| ()).unwrap_err().to_string();
    assert!(
        error.contains("turn 5") && error.contains("the game is over"),
        "{error}"
    );
}

#[test]
fn a_hint_that_touches_nothing_is_named_with_its_turn() {
    let empty = |d: &mut Value| d["actions"][0] = json!({"type": 2, "target": 1, "value": 4});
    refused(&changed(empty), &["turn 1", "touches no card"]);
    let mut game = Game::new(2, Deck::sorted()).unwrap();
    let error = game.apply(14).unwrap_err().to_string();
    assert!(
        error.contains("turn 1") && error.contains("touches no card"),
        "{error}"
    );
}

#[test]
fn fields_of_another_type_are_named_with_their_place() {
    refused(
        &changed(|d| d["deck"][3]["rank"] = json!("3")),
        &["string \"3\"", "expected u8"],
    );
    refused(
        &changed(|d| d["deck"][3]["rank"] = json!(-1)),
        &["-1", "u8"],
    );
    refused(
        &changed(|d| d["deck"][3]["rank"] = json!(1e300)),
        &["expected u8"],
    );
    refused(&changed(|d| d["deck"][3] = json!([0, 1])), &["deck"]);
    refused(
        &changed(|d| d["players"] = json!({"a": 1})),
        &["map", "sequence"],
    );
    refused(&changed(|d| d["actions"] = json!(null)), &["null"]);
    refused(&changed(|d| d["actions"][0]["type"] = json!(300)), &["300"]);
    refused(
        &changed(|d| d["actions"][0]["kind"] = json!(0)),
        &["unknown field `kind`"],
    );
    refused(
        &changed(|d| d["actions"][0]["type"] = json!(7)),
        &["action 1", "type 7"],
    );
    let no_players = |d: &mut Value| drop(d.as_object_mut().unwrap().remove("players"));
    refused(&changed(no_players), &["players"]);
    refused(
        &changed(|d| d["players"] = json!([])),
        &["game of 0 players"],
    );
    for odd in [json!(null), json!(7), json!("game"), json!([]), json!({})] {
        refused(&odd, &["no Hanab Live game"]);
    }
}

#[test]
fn truncated_and_huge_input_ends_soon_and_says_so() {
    let start = Instant::now();
    let text = document().to_string();
    for end in (0..text.len()).step_by(7) {
        let report = HanabLive::parse(&text[..end]).unwrap_err().report();
        assert!(report.contains("line 1"), "{report}");
    }
    let deep = format!("{}1", "[".repeat(900_000));
    assert!(HanabLive::parse(&deep).is_err());
    let deep = format!("{{\"notes\":{}", "[".repeat(900_000));
    assert!(HanabLive::parse(&deep).is_err());
    let huge = format!("{{\"id\":\"{}\"}}", "x".repeat(5 << 20));
    let error = HanabLive::parse(&huge).unwrap_err().to_string();
    assert!(error.contains("5242889 bytes"), "{error}");
    let endless = format!("2 {} {}", Deck::sorted(), "5,".repeat(3 << 20));
    let error = Trace::parse(&endless).unwrap_err().to_string();
    assert!(error.contains("more than 400 actions"), "{error}");
    assert!(Trace::parse(&"R1".repeat(3 << 20)).is_err());
    assert!(Trace::parse(&format!("2 {} 5", "R1".repeat(3 << 20))).is_err());
    assert!(Trace::parse(&format!("{} x", "9".repeat(5 << 20))).is_err());
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn control_codes_never_leave_an_error_message_raw() {
    for text in [
        "2 \u{1b}[31mR1 5",
        "\u{7}\u{1b}]0;x\u{7} R1 5",
        "2 R\u{0} 5",
    ] {
        let error = Trace::parse(text).unwrap_err().report();
        let raw = error.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(raw, None, "{error:?}");
    }
}
