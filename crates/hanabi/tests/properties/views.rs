//! What a seat must not learn: its own cards and the order of the deck.

use std::fmt::Write as _;

use hanabi::policies::{Blind, Hat, Player, RandomLegal, Simple, Value};
use hanabi::rules::{Card, Deck, Game, View};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::{Recipe, recipes};

/// Another deck with which the same actions look the same to `seat`: its cards and those not yet
/// dealt change places, as far as the hints on its cards allow.
fn other_deck(game: &Game, seat: usize, seed: u64) -> Deck {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut cards: Vec<Card> = game.deck().cards().to_vec();
    let own: Vec<usize> = game.orders(seat).iter().map(|o| usize::from(*o)).collect();
    let hidden: Vec<usize> = own.iter().copied().chain(50 - game.n_deck()..50).collect();
    let allowed = |order: usize, card: Card| {
        let slot = own.iter().position(|own| *own == order);
        slot.is_none_or(|slot| game.knowledge(seat)[slot].mask() & card.bit() != 0)
    };
    for _ in 0..200 {
        let one = hidden[rng.random_range(0..hidden.len())];
        let other = hidden[rng.random_range(0..hidden.len())];
        if allowed(one, cards[other]) && allowed(other, cards[one]) {
            cards.swap(one, other);
        }
    }
    Deck::new(&cards).unwrap()
}

/// Everything a view tells, as text.
fn told(view: &View<'_>) -> String {
    let mut text = String::new();
    for seat in 0..view.n_players() {
        let hand = view.hand(seat);
        writeln!(
            text,
            "{hand:?} {} {:?}",
            view.n_cards(seat),
            view.knowledge(seat)
        )
        .unwrap();
    }
    let counts = (
        view.tokens(),
        view.tokens_max(),
        view.lives(),
        view.n_deck(),
        view.n_turns(),
    );
    let place = (
        view.seat(),
        view.mover(),
        view.hand_size(),
        view.legal(),
        view.end(),
    );
    let piles = (view.fireworks(), view.discarded());
    writeln!(text, "{counts:?} {place:?} {piles:?}").unwrap();
    text
}

/// Plays the actions with `deck`, the bots at `seat` listening; what they would do next.
fn heard(deck: Deck, recipe: &Recipe, actions: &[u8], seat: usize) -> (Game, Vec<u8>) {
    let n_players = recipe.n_players;
    let mut bots: Vec<Box<dyn Player>> = vec![
        Box::new(Blind),
        Box::new(RandomLegal),
        Box::new(Simple::new(n_players)),
        Box::new(Value::new(n_players)),
        Box::new(Hat::new(n_players)),
    ];
    let mut game = Game::new(n_players, deck).unwrap();
    for id in actions {
        let event = game.apply(*id).unwrap();
        bots.iter_mut()
            .for_each(|bot| bot.observe(&game.view(seat), &event));
    }
    let mut moves = Vec::new();
    if game.end().is_none() && game.seat() == seat {
        let mut rng = Pcg64Mcg::seed_from_u64(recipe.deck_seed);
        moves.extend(
            bots.iter_mut()
                .map(|bot| bot.act(&game.view(seat), &mut rng)),
        );
    }
    (game, moves)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn states_that_differ_in_hidden_cards_only_look_and_are_played_the_same(
        recipe in recipes(),
        further in 0..5_usize,
        seed in any::<u64>(),
    ) {
        let mut actions = Vec::new();
        let game = recipe.play(recipe.picks.len(), |_, id| actions.push(id));
        // Often the one to move, whose bots are asked; sometimes another seat.
        let seat = (game.seat() + further.saturating_sub(2)) % recipe.n_players;
        let deck = other_deck(&game, seat, seed);
        let (one, moves) = heard(recipe.deck(), &recipe, &actions, seat);
        let (other, moves_other) = heard(deck, &recipe, &actions, seat);
        prop_assert_eq!(told(&one.view(seat)), told(&other.view(seat)));
        prop_assert_eq!(moves, moves_other);
    }
}

/// The property above is about something: the hidden cards do differ, and others see it.
#[test]
fn the_other_deck_is_another_and_only_the_seat_itself_does_not_see_it() {
    let mut n_differ = 0;
    for deck_seed in 0..40 {
        let picks = (0..20_u64).map(|turn| (turn * 40_503 + deck_seed) as u16);
        let recipe = Recipe {
            n_players: 3,
            deck_seed,
            careful: true,
            picks: picks.collect(),
        };
        let mut actions = Vec::new();
        let game = recipe.play(12, |_, id| actions.push(id));
        let seat = game.seat();
        let (one, _) = heard(recipe.deck(), &recipe, &actions, seat);
        let (other, _) = heard(other_deck(&game, seat, 3), &recipe, &actions, seat);
        let neighbour = (seat + 1) % 3;
        n_differ += usize::from(told(&one.view(neighbour)) != told(&other.view(neighbour)));
        assert!(one.view(seat).hand(seat).is_none());
        assert!(one.view(neighbour).hand(seat).is_some());
    }
    assert!(n_differ > 35, "{n_differ} of 40");
}
