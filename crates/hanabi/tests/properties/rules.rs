//! The engine against a slow game written from the text of the rules.

use hanabi::rules::{Card, Game};
use proptest::prelude::*;

use crate::slow_game::{SlowCard, SlowGame};
use crate::{Recipe, recipes};

/// Colour and rank of a card by its text, which is how people would compare two tables.
fn read(card: Card) -> (usize, usize) {
    let text = card.to_string();
    let mut characters = text.chars();
    let colour = "RYGWB".find(characters.next().unwrap()).unwrap();
    (
        colour,
        characters.next().unwrap().to_digit(10).unwrap() as usize,
    )
}

fn on_paper(recipe: &Recipe) -> SlowGame {
    let cards: Vec<(usize, usize)> = recipe.deck().cards().iter().map(|c| read(*c)).collect();
    SlowGame::deal(recipe.n_players, &cards)
}

fn same_hand(game: &Game, slow: &SlowGame, seat: usize) -> Result<(), TestCaseError> {
    let hand = &slow.hands[seat];
    let cards: Vec<(usize, usize)> = game.hand(seat).iter().map(|card| read(*card)).collect();
    let wanted: Vec<(usize, usize)> = hand.iter().map(|card| (card.colour, card.rank)).collect();
    prop_assert_eq!(cards, wanted);
    let orders: Vec<usize> = game.orders(seat).iter().map(|o| usize::from(*o)).collect();
    prop_assert_eq!(
        orders,
        hand.iter().map(|card| card.order).collect::<Vec<_>>()
    );
    for (slot, (known, card)) in game.knowledge(seat).iter().zip(hand).enumerate() {
        for (colour, rank) in (0..5).flat_map(|colour| (1..=5).map(move |rank| (colour, rank))) {
            let possible = known.mask() >> (colour * 5 + rank - 1) & 1 == 1;
            prop_assert_eq!(
                possible,
                card.may_be(colour, rank),
                "slot {} of {}",
                slot,
                seat
            );
        }
        prop_assert!(
            card.may_be(card.colour, card.rank),
            "a hint excluded the truth"
        );
    }
    Ok(())
}

fn same(game: &Game, slow: &SlowGame) -> Result<(), TestCaseError> {
    prop_assert_eq!(game.end().map(|end| end.word()), slow.end());
    for id in 0..64 {
        let legal = slow.is_legal(id);
        prop_assert_eq!(game.legal() >> id & 1 == 1, legal, "id {}", id);
        prop_assert_eq!(game.is_legal(id as u8), legal, "id {}", id);
    }
    prop_assert_eq!(usize::from(game.tokens()), slow.tokens);
    prop_assert_eq!(usize::from(game.lives()), slow.lives);
    prop_assert_eq!(game.n_deck(), slow.deck.len());
    prop_assert_eq!(game.seat(), slow.to_move);
    for colour in 0..5 {
        prop_assert_eq!(usize::from(game.fireworks()[colour]), slow.height(colour));
    }
    for identity in 0..25 {
        let is_it = |card: &&SlowCard| card.colour * 5 + card.rank - 1 == identity;
        let n_there = slow.discards.iter().filter(is_it).count();
        prop_assert_eq!(usize::from(game.discarded()[identity]), n_there);
    }
    let points = slow.played.len();
    prop_assert_eq!(usize::from(game.score_points()), points);
    let strict = if slow.lives == 0 { 0 } else { points };
    prop_assert_eq!(usize::from(game.score_strict()), strict);
    (0..slow.hands.len()).try_for_each(|seat| same_hand(game, slow, seat))
}

/// Every card of the deck is in exactly one place, and every count within its bounds.
fn conserved(game: &Game) -> Result<(), TestCaseError> {
    let mut copies = *game.discarded();
    for (colour, height) in game.fireworks().iter().enumerate() {
        (0..usize::from(*height)).for_each(|rank| copies[colour * 5 + rank] += 1);
    }
    let in_hands = (0..game.n_players()).flat_map(|seat| game.hand(seat));
    let in_deck = &game.deck().cards()[50 - game.n_deck()..];
    in_hands
        .chain(in_deck)
        .for_each(|card| copies[card.index()] += 1);
    let wanted = [3, 2, 2, 2, 1].repeat(5);
    prop_assert_eq!(copies.as_slice(), wanted.as_slice());
    prop_assert!(game.tokens() <= 8 && game.lives() <= 3 && game.score_points() <= 25);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_is_the_game_on_paper_in_every_turn(recipe in recipes()) {
        let mut slow = on_paper(&recipe);
        let mut verdict = Ok(());
        let game = recipe.play(usize::MAX, |game, id| {
            if verdict.is_ok() {
                verdict = same(game, &slow).and_then(|()| conserved(game));
            }
            slow.make(usize::from(id));
        });
        verdict?;
        same(&game, &slow)?;
        conserved(&game)?;
    }

    #[test]
    fn an_illegal_action_changes_nothing_and_says_why(recipe in recipes(), id in any::<u8>()) {
        let game = recipe.play(recipe.picks.len(), |_, _| ());
        prop_assume!(!game.is_legal(id));
        let mut after = game.clone();
        let error = after.apply(id).unwrap_err().to_string();
        let turn = game.n_turns() + 1;
        prop_assert!(
            error.starts_with(&format!("action {id} in turn {turn} is illegal: ")),
            "{}", error
        );
        prop_assert_eq!(after, game);
    }
}

/// The generator of games reaches what the properties are about.
#[test]
fn the_games_of_these_tests_end_in_more_than_one_way() {
    let mut ends = std::collections::BTreeMap::new();
    for deck_seed in 0..120 {
        let picks = (0..90_u64).map(|turn| (turn * 40_503 + deck_seed * 977) as u16);
        let recipe = Recipe {
            n_players: 2 + (deck_seed % 4) as usize,
            deck_seed,
            careful: deck_seed % 3 > 0,
            picks: picks.collect(),
        };
        let end = recipe.play(usize::MAX, |_, _| ()).end().unwrap().word();
        *ends.entry(end).or_insert(0) += 1;
    }
    assert!(ends["life"] >= 20 && ends["cards"] >= 20, "{ends:?}");
}
