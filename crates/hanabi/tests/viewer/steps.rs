//! Stepping through games, by keys and by clicks.

use hanabi::rules::{Colour, Game, View};
use hanabi::viewer::{Replay, page};
use hanabi::world::Regime;
use serde_json::{Value, json};

use crate::{browser, games, not_checked};

/// Presses a key, and reads what the page shows.
const HELPERS: &str = "
    const key = (name) => document.dispatchEvent(
        new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }));
    const text = (selector) => document.querySelector(selector).textContent;
    const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
    const cards = () => all('.hand', (hand) => [...hand.querySelectorAll('.slot')].map((slot) => [
        slot.querySelector('.card').textContent,
        ...[...slot.querySelectorAll('.known')].map((line) =>
            [...line.querySelectorAll('.may')].map((letter) => letter.textContent).join('')),
    ]));
    const said = (what) => text(`[data-said=${what}]`);
";

fn shown(games: &[Replay], width: u32, script: &str) -> Option<Value> {
    let page = page("Games of a test", games).unwrap();
    let script = format!("{HELPERS}{script}");
    let browser = browser::find()?;
    Some(browser::result_of(&browser, &page, width, &script))
}

fn three_games() -> Vec<Replay> {
    let names = (0..3).map(|seat| format!("graded {seat}")).collect();
    vec![
        Replay::from_record(&games::record(), "a record").unwrap(),
        Replay::from_world(&games::world(), Regime::STANDARD, names, "Intent world").unwrap(),
        Replay::from_live(&games::live(), "a document").unwrap(),
    ]
}

/// Cards as a seat sees them, or the table: face, possible colours, possible ranks.
fn seen(game: &Game, view: Option<&View<'_>>) -> Value {
    let hand = |seat: usize| {
        let cards = game.hand(seat).iter().zip(game.knowledge(seat));
        let card = |(card, known): (&hanabi::rules::Card, &hanabi::rules::Knowledge)| {
            let hidden = view.is_some_and(|view| view.hand(seat).is_none());
            let face = if hidden {
                "?".to_owned()
            } else {
                card.to_string()
            };
            let colours = Colour::ALL.into_iter().filter(|c| known.allows_colour(*c));
            let colours: String = colours.map(Colour::letter).collect();
            let ranks = (1..=5_u8).filter(|rank| known.allows_rank(*rank));
            let ranks: String = ranks.map(|rank| rank.to_string()).collect();
            json!([face, colours, ranks])
        };
        cards.map(card).collect::<Vec<_>>()
    };
    json!((0..game.n_players()).map(hand).collect::<Vec<_>>())
}

#[test]
fn every_step_shows_every_seat_what_the_rules_let_it_see() {
    let record = games::record();
    let script = "
        result = [];
        const last = Number(document.getElementById('slider').max);
        for (let step = 0; step <= last; step += 1) {
            const views = ['t', '0', '1', '2', '3'].map((view) => { key(view); return cards(); });
            result.push([text('#place'), views]);
            key('ArrowRight');
        }";
    let replay = Replay::from_record(&record, "a record").unwrap();
    let Some(found) = shown(&[replay], 1200, script) else {
        return not_checked("what each seat sees in every step");
    };
    let trace = record.trace().unwrap();
    let mut game = Game::new(4, trace.deck).unwrap();
    let n_steps = trace.actions.len();
    assert_eq!(found.as_array().unwrap().len(), n_steps + 1);
    for step in 0..=n_steps {
        assert_eq!(found[step][0], json!(format!("{step} / {n_steps}")));
        assert_eq!(found[step][1][0], seen(&game, None), "table, step {step}");
        for seat in 0..4 {
            let wanted = seen(&game, Some(&game.view(seat)));
            assert_eq!(found[step][1][seat + 1], wanted, "seat {seat}, step {step}");
        }
        if step < n_steps {
            game.apply(trace.actions[step]).unwrap();
        }
    }
}

#[test]
fn keys_and_buttons_step_and_stop_at_both_ends() {
    let script = "
        const place = () => text('#place');
        const places = [place()];
        key('ArrowLeft'); places.push(place());
        key('ArrowRight'); places.push(place());
        document.getElementById('on').click(); places.push(place());
        document.getElementById('back').click(); places.push(place());
        key('End'); places.push(place());
        key('ArrowRight'); places.push(place());
        const end = text('#move');
        key('Home'); places.push(place());
        document.querySelector('#log [data-step=\"3\"]').click(); places.push(place());
        const current = all('#log [aria-current]', (button) => button.textContent);
        const caption = text('#move');
        key('PageDown'); key('PageDown'); places.push(place());
        const game = document.getElementById('game').value;
        result = { places, end, current, caption, game, hash: location.hash,
                   disabled: document.getElementById('back').disabled };";
    let games = three_games();
    let Some(found) = shown(&games, 1200, script) else {
        return not_checked("keys, buttons, and the list of moves");
    };
    let n = games[0].steps.len() - 1;
    let wanted = [0, 0, 1, 2, 1, n, n, 0, 3].map(|step| format!("{step} / {n}"));
    let places: Vec<&str> = found["places"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_str().unwrap())
        .collect();
    assert_eq!(places[..9], wanted);
    assert_eq!(places[9], format!("0 / {}", games[2].steps.len() - 1));
    let words = &games[0].steps[3].made.as_ref().unwrap().words;
    assert!(
        found["current"][0]
            .as_str()
            .unwrap()
            .contains(words.as_str()),
        "{found}"
    );
    assert!(
        found["caption"].as_str().unwrap().contains(words.as_str()),
        "{found}"
    );
    assert!(
        found["end"]
            .as_str()
            .unwrap()
            .contains("The game is over: "),
        "{found}"
    );
    assert_eq!(found["game"], "2");
    assert_eq!(found["hash"], "#game=2&step=0&view=table");
    assert_eq!(found["disabled"], true);
}

#[test]
fn statements_are_shown_to_the_table_and_to_those_who_made_them() {
    let script = "
        const statements = () => ['rationale', 'prediction', 'reading'].map(said);
        key('ArrowDown');
        const step = Number(document.getElementById('slider').value);
        const table = statements(), scores = all('#statements td', (cell) => cell.textContent);
        const touched = all('.touched', (slot) => Number(slot.dataset.slot));
        const by = FROM, to = TO;
        key(String(by)); const hinter = statements();
        key(String(to)); const recipient = statements();
        const leaked = document.querySelectorAll('#statements table').length;
        key('ArrowUp'); key('ArrowUp');
        result = { step, table, scores, touched, hinter, recipient, leaked };";
    let record = games::record();
    let turn = record
        .turns
        .iter()
        .find(|turn| turn.hint.is_some())
        .unwrap();
    let hint = turn.hint.as_ref().unwrap();
    let script = script
        .replace("FROM", &turn.seat.to_string())
        .replace("TO", &hint.to.to_string());
    let games = three_games();
    let Some(found) = shown(&games, 1200, &script) else {
        return not_checked("statements and judges' scores");
    };
    let [rationale, prediction, reading] = hint.statements().unwrap();
    assert_eq!(found["step"], turn.turn);
    for (place, statement) in [rationale, prediction, reading].into_iter().enumerate() {
        let table = found["table"][place].as_str().unwrap();
        assert!(table.contains(&statement.text), "{table}");
        let hidden = "not known to this seat";
        let (hinter, recipient) = (&found["hinter"][place], &found["recipient"][place]);
        assert_eq!(*hinter == hidden, place == 2, "{hinter}");
        assert_eq!(*recipient == hidden, place < 2, "{recipient}");
    }
    let [first, second] = hint.agreements().unwrap();
    let scores = json!([
        "exact agreement (0–1)",
        first.to_string(),
        second.to_string(),
        "a judge",
        "7",
        "–"
    ]);
    assert_eq!(found["scores"], scores);
    assert_eq!(found["leaked"], 0, "a seat sees the scores of judges");
    let touched = games[0].steps[turn.turn as usize]
        .made
        .as_ref()
        .unwrap()
        .touched;
    let slots: Vec<u8> = (0..5).filter(|slot| touched >> slot & 1 == 1).collect();
    assert_eq!(found["touched"], json!(slots));
}

#[test]
fn hostile_names_stay_text_and_nothing_is_loaded() {
    let script = "
        key('PageDown'); key('PageDown');
        const name = text('.hand .name');
        key('ArrowRight');
        result = { name, title: document.title, images: document.images.length,
                   loaded: performance.getEntriesByType('resource').length };";
    let Some(found) = shown(&three_games(), 1200, script) else {
        return not_checked("that hostile names stay text");
    };
    assert_eq!(found["name"], json!(games::EVIL));
    assert_eq!(found["title"], "Games of a test");
    assert_eq!((&found["images"], &found["loaded"]), (&json!(0), &json!(0)));
}

#[test]
fn a_narrow_window_needs_no_scrolling_to_the_side() {
    let script = "
        const sizes = [];
        for (let i = 0; i < 30; i += 1) {
            sizes.push(document.documentElement.scrollWidth);
            key('ArrowRight');
        }
        const controls = all('.controls button', (b) => b.getBoundingClientRect().height)
            .filter((height) => height > 0);
        result = { width: innerWidth, widest: Math.max(...sizes), lowest: Math.min(...controls) };";
    for game in three_games() {
        let Some(found) = shown(&[game], 400, script) else {
            return not_checked("the page at 400 pixels");
        };
        let width = found["width"].as_f64().unwrap();
        assert!(width <= 500.0, "the browser made the window {width} wide");
        assert!(found["widest"].as_f64().unwrap() <= width, "{found}");
        assert!(found["lowest"].as_f64().unwrap() >= 36.0, "{found}");
    }
}
