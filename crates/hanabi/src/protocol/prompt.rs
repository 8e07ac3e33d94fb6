//! What language models are told (§2.4), from a seat's own view and public events alone.
//!
//! The paper's wording is unknown; this text is ours. Equal views and equal histories give equal
//! bytes.

use std::fmt::Write as _;

use super::player::HintHeard;
use crate::rules::{
    Action, ActionId, Card, Colour, Event, Hint, Knowledge, N_IDENTITIES, N_RANKS, View,
};

/// Everything that happened, one line per turn, as everybody saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chronicle {
    lines: Vec<String>,
}

impl Chronicle {
    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        self.lines.push(tell(event));
    }

    /// The last `n` lines.
    #[must_use]
    pub fn last(&self, n: usize) -> &[String] {
        &self.lines[self.lines.len().saturating_sub(n)..]
    }
}

/// An event in words.
#[must_use]
pub fn tell(event: &Event) -> String {
    match *event {
        Event::Hinted {
            from,
            to,
            hint,
            touched,
            ..
        } => {
            let (what, slots) = (hint_words(hint), slot_list(touched));
            format!("player {from} told player {to} about {what} (slots {slots})")
        }
        Event::Discarded {
            seat, slot, card, ..
        } => format!("player {seat} discarded {} from slot {slot}", words(card)),
        Event::Played {
            seat,
            slot,
            card,
            success,
            ..
        } => {
            let outcome = if success { "it fits" } else { "a life is lost" };
            format!(
                "player {seat} played {} from slot {slot}: {outcome}",
                words(card)
            )
        }
    }
}

fn words(card: Card) -> String {
    format!("{} {}", card.colour().word(), card.rank())
}

/// What a hint names, in words.
#[must_use]
pub fn hint_words(hint: Hint) -> String {
    match hint {
        Hint::Colour(colour) => format!("colour {}", colour.word()),
        Hint::Rank(rank) => format!("rank {rank}"),
    }
}

fn slot_list(touched: u8) -> String {
    let slots = (0..8).filter(|slot| touched >> slot & 1 == 1);
    let slots: Vec<String> = slots.map(|slot: u8| slot.to_string()).collect();
    slots.join(", ")
}

/// An action of the seat in words.
#[must_use]
pub fn action_words(view: &View<'_>, id: ActionId) -> String {
    match view.action(id) {
        Some(Action::Discard(slot)) => format!("discard slot {slot}"),
        Some(Action::Play(slot)) => format!("play slot {slot}"),
        Some(Action::Hint { offset, hint }) => {
            let to = (view.seat() + usize::from(offset)) % view.n_players();
            format!("tell player {to} about {}", hint_words(hint))
        }
        None => "nothing".to_owned(),
    }
}

/// The rules, the seat, and the form of answers.
#[must_use]
pub fn system(view: &View<'_>) -> String {
    format!(
        "{}\nAnswer with one JSON object and nothing else.",
        rules(view)
    )
}

/// The rules and the seat.
#[must_use]
pub fn rules(view: &View<'_>) -> String {
    let (n_players, hand, seat) = (view.n_players(), view.hand_size(), view.seat());
    let (tokens, last) = (view.tokens_max(), n_players - 1);
    format!(
        "You play the cooperative card game Hanabi. All players win or lose together.\n\
         There are {n_players} players, player 0 to player {last}; you are player {seat}.\n\
         The deck has 50 cards in the colours red, yellow, green, white, and blue. Each colour has \
         three 1s, two 2s, two 3s, two 4s, and one 5.\n\
         Each player holds {hand} cards in slots 0 to {}; slot 0 is the oldest. You see all hands \
         but your own.\n\
         The aim is one firework per colour, built from 1 up to 5; each card in a firework is one \
         point, 25 at most.\n\
         In your turn you do exactly one of three things:\n\
         - Tell another player all cards of one colour or one rank in that hand, at least one. \
         This costs one of {tokens} tokens.\n\
         - Discard a card, which brings a token back; not allowed while all tokens are there.\n\
         - Play a card. If it is the next one of its colour, its firework grows; a 5 brings a \
         token back. If not, it is discarded and a life is lost.\n\
         After a play or discard you draw a card; older cards move to lower slots.\n\
         The game ends when all lives are lost, when all fireworks are complete, or when everybody \
         has had one more turn after the deck ran out.\n\
         A hint has an intent: play (play the card in that slot), save (keep it), dispose (it is \
         useless), or info (no particular card).",
        hand - 1
    )
}

/// The state as the seat sees it.
#[must_use]
pub fn state(view: &View<'_>, chronicle: &Chronicle) -> String {
    let mut text = String::new();
    let heights = Colour::ALL.map(|c| format!("{} {}", c.word(), view.fireworks()[c.index()]));
    let (tokens, tokens_max) = (view.tokens(), view.tokens_max());
    let (lives, deck) = (view.lives(), view.n_deck());
    let _ = writeln!(text, "Fireworks: {}", heights.join(", "));
    let _ = writeln!(
        text,
        "Tokens: {tokens} of {tokens_max}. Lives: {lives}. Deck: {deck} cards."
    );
    let _ = writeln!(text, "Discards: {}", discards(view));
    for offset in 1..view.n_players() {
        let seat = (view.seat() + offset) % view.n_players();
        let known = view.knowledge(seat).iter();
        let cards = view.other(offset).iter().zip(known).enumerate();
        let cards: Vec<String> = cards
            .map(|(slot, (card, known))| {
                format!(
                    "slot {slot} {} (knows {})",
                    words(*card),
                    known_words(*known)
                )
            })
            .collect();
        let _ = writeln!(text, "Player {seat} holds: {}", cards.join("; "));
    }
    let own = view.knowledge(view.seat()).iter().enumerate();
    let own: Vec<String> = own
        .map(|(slot, known)| format!("slot {slot} is {}", known_words(*known)))
        .collect();
    let _ = writeln!(text, "Your own cards: {}", own.join("; "));
    let last = chronicle.last(view.n_players());
    let last = if last.is_empty() {
        "none".to_owned()
    } else {
        last.join("; ")
    };
    let _ = writeln!(text, "Last moves: {last}");
    text
}

fn discards(view: &View<'_>) -> String {
    let piles = (0..N_IDENTITIES).filter(|identity| view.discarded()[*identity] > 0);
    let piles: Vec<String> = piles
        .map(|identity| {
            let card = words(Card::from_index(identity));
            match view.discarded()[identity] {
                1 => card,
                n => format!("{card} ({n} times)"),
            }
        })
        .collect();
    if piles.is_empty() {
        "none".to_owned()
    } else {
        piles.join(", ")
    }
}

/// What hints left possible, in words: colours, then ranks.
fn known_words(known: Knowledge) -> String {
    let colours: Vec<&str> = Colour::ALL
        .into_iter()
        .filter(|colour| known.allows_colour(*colour))
        .map(Colour::word)
        .collect();
    let ranks: Vec<String> = (1..=N_RANKS as u8)
        .filter(|rank| known.allows_rank(*rank))
        .map(|rank| rank.to_string())
        .collect();
    let colours = match colours.len() {
        5 => "any colour".to_owned(),
        _ => colours.join(" or "),
    };
    match ranks.len() {
        5 if known == Knowledge::NOTHING => "any card".to_owned(),
        5 => format!("{colours}, any rank"),
        _ => format!("{colours}, rank {}", ranks.join(" or ")),
    }
}

/// The state and the legal actions by their ids.
#[must_use]
pub fn situation(view: &View<'_>, chronicle: &Chronicle) -> String {
    let mut text = state(view, chronicle);
    text.push_str("Legal actions:\n");
    for id in legal_ids(view) {
        let _ = writeln!(text, "{id}: {}", action_words(view, id));
    }
    text
}

/// The message to the one to move.
#[must_use]
pub fn turn(view: &View<'_>, chronicle: &Chronicle) -> String {
    let mut text = situation(view, chronicle);
    text.push_str(
        "It is your turn. Reply with {\"action\": number}. If the action is a hint, add your \
         reason, and what the other player will think you mean: {\"action\": number, \
         \"rationale\": text, \"intent\": {\"kind\": \"play\" or \"save\" or \"dispose\" or \
         \"info\", \"slot\": number}, \"prediction\": text, \"predicted_intent\": {\"kind\": …, \
         \"slot\": number}}. Slots are those of the player you tell; leave the slot out for \
         \"info\".",
    );
    text
}

/// The message to the one who was just told something.
#[must_use]
pub fn interpretation(view: &View<'_>, chronicle: &Chronicle, heard: HintHeard) -> String {
    let mut text = state(view, chronicle);
    let _ = writeln!(text, "{}", heard_words(heard));
    text.push_str(
        "Why? Reply with {\"interpretation\": text, \"intent\": {\"kind\": \"play\" or \"save\" or \
         \"dispose\" or \"info\", \"slot\": number}}. The slot is one of yours; leave it out for \
         \"info\".",
    );
    text
}

/// A hint in words, to the one who got it.
#[must_use]
pub fn heard_words(heard: HintHeard) -> String {
    let (from, what) = (heard.from, hint_words(heard.hint));
    let slots = slot_list(heard.touched);
    format!("Player {from} just told you about {what}: slots {slots}.")
}

/// Ids of the legal actions, ascending.
pub fn legal_ids(view: &View<'_>) -> impl Iterator<Item = ActionId> + use<> {
    let legal = view.legal();
    (0..64).filter(move |id| legal >> id & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Deck, Game};

    #[test]
    fn the_first_turn_reads_as_written() {
        let game = Game::new(5, Deck::sorted()).unwrap();
        let view = game.view(0);
        let text = turn(&view, &Chronicle::default());
        assert!(
            text.starts_with(
                "Fireworks: red 0, yellow 0, green 0, white 0, blue 0\n\
             Tokens: 8 of 8. Lives: 3. Deck: 30 cards.\nDiscards: none\n\
             Player 1 holds: slot 0 red 2 (knows any card); slot 1 red 3"
            ),
            "{text}"
        );
        assert!(text.contains("Your own cards: slot 0 is any card; slot 1 is"));
        assert!(
            text.contains("Last moves: none\nLegal actions:\n4: play slot 0\n"),
            "{text}"
        );
        assert!(
            text.contains("14: tell player 2 about colour yellow\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_known_after_hints_is_said() {
        let red = Knowledge::NOTHING.after(Hint::Colour(Colour::Red), true);
        assert_eq!(known_words(red), "red, any rank");
        let neither = Knowledge::NOTHING
            .after(Hint::Colour(Colour::Red), false)
            .after(Hint::Rank(1), false)
            .after(Hint::Rank(5), false);
        let wanted = "yellow or green or white or blue, rank 2 or 3 or 4";
        assert_eq!(known_words(neither), wanted);
    }
}
