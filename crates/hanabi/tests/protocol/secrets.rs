//! Two states that differ only in the acting seat's own hand and in the order of the deck.

use hanabi::policies::Ladder;
use hanabi::protocol::{
    Bot, Chronicle, Graded, HintHeard, Player, Turn, interpretation, system, turn,
};
use hanabi::rules::{ActionId, Card, Deck, Event, Game};
use hanabi::world::Ability;
use model::chat::block_on;
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A deck that gives the same game to everybody but `seat` for these actions: the hand that `seat`
/// holds after them and the cards still in the deck are dealt anew, within what hints told.
fn twin(game: &Game, deck: &Deck, seat: usize, rng: &mut Pcg64Mcg) -> Option<Deck> {
    let orders = game.orders(seat);
    let undealt: Vec<usize> = (50 - game.n_deck()..50).collect();
    let mut pool: Vec<Card> = orders
        .iter()
        .map(|order| deck.card(usize::from(*order)))
        .collect();
    pool.extend(undealt.iter().map(|order| deck.card(*order)));
    pool.shuffle(rng);
    let mut cards = *deck.cards();
    // The slots that allow least choose first.
    let mut slots: Vec<usize> = (0..orders.len()).collect();
    slots.sort_by_key(|slot| game.knowledge(seat)[*slot].mask().count_ones());
    for slot in slots {
        let mask = game.knowledge(seat)[slot].mask();
        let place = pool.iter().position(|card| mask & card.bit() != 0)?;
        cards[usize::from(orders[slot])] = pool.swap_remove(place);
    }
    for (order, card) in undealt.into_iter().zip(pool) {
        cards[order] = card;
    }
    Some(Deck::new(&cards).unwrap())
}

/// The first moves of a game of reference policies.
fn opening(n_players: usize, deck: Deck, n_turns: usize, seed: u64) -> (Game, Vec<ActionId>) {
    let rungs = [Ladder::Simple, Ladder::Value, Ladder::RandomLegal];
    let mut bots: Vec<Bot> = (0..n_players)
        .map(|seat| Bot::new(rungs[seat % 3], n_players, seed + seat as u64).unwrap())
        .collect();
    let mut game = Game::new(n_players, deck).unwrap();
    let mut actions = Vec::new();
    while game.end().is_none() && actions.len() < n_turns {
        let seat = game.seat();
        let action = moved(&mut bots[seat], &game).action;
        let event = game.apply(action).unwrap();
        for (seat, bot) in bots.iter_mut().enumerate() {
            bot.observe(&game.view(seat), &event);
        }
        actions.push(action);
    }
    (game, actions)
}

fn moved(player: &mut dyn Player, game: &Game) -> Turn {
    let view = game.view(game.seat());
    block_on(player.act(view)).unwrap().unwrap()
}

/// Everything that the one to move is told or would do, as text.
fn seen(deck: Deck, n_players: usize, actions: &[ActionId], seat: usize) -> Vec<String> {
    let ability = |first_order, second_order, skill| Ability {
        first_order,
        second_order,
        skill,
    };
    let mut players: Vec<Box<dyn Player>> = vec![
        Box::new(Graded::new(ability(1.0, 1.0, 1.0), 5)),
        Box::new(Graded::new(ability(0.5, 0.5, 0.5), 6)),
    ];
    for rung in [
        Ladder::Blind,
        Ladder::RandomLegal,
        Ladder::Simple,
        Ladder::Value,
        Ladder::Hat,
    ] {
        players.push(Box::new(Bot::new(rung, n_players, 7).unwrap()));
    }
    let mut game = Game::new(n_players, deck).unwrap();
    let (mut chronicle, mut seen) = (Chronicle::default(), Vec::new());
    for action in actions {
        let event = game.apply(*action).unwrap();
        if let Event::Hinted {
            from,
            to,
            hint,
            touched,
            ..
        } = event
            && usize::from(to) == seat
        {
            let heard = HintHeard {
                from: usize::from(from),
                hint,
                touched,
            };
            seen.push(interpretation(&game.view(seat), &chronicle, heard));
            for player in &mut players {
                let reading = block_on(player.interpret(game.view(seat), heard)).unwrap();
                seen.push(format!("{:?}", reading.unwrap()));
            }
        }
        for player in &mut players {
            player.observe(&game.view(seat), &event);
        }
        chronicle.push(&event);
    }
    assert_eq!(game.seat(), seat);
    seen.push(system(&game.view(seat)));
    seen.push(turn(&game.view(seat), &chronicle));
    for player in &mut players {
        seen.push(format!("{:?}", moved(&mut **player, &game)));
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn own_cards_and_the_deck_reach_neither_prompts_nor_moves(seed in any::<u64>()) {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let n_players = rng.random_range(2..=5_usize);
        let deck = Deck::shuffled(&mut rng);
        let n_turns = rng.random_range(0..40_usize);
        let (game, actions) = opening(n_players, deck, n_turns, seed);
        prop_assume!(game.end().is_none());
        let seat = game.seat();
        let other = (0..20).find_map(|_| twin(&game, &deck, seat, &mut rng));
        prop_assume!(other.is_some_and(|other| other != deck));
        let here = seen(deck, n_players, &actions, seat);
        let there = seen(other.unwrap(), n_players, &actions, seat);
        prop_assert_eq!(here, there);
    }
}

/// The property would not be worth much if hands hardly ever differed.
#[test]
fn twins_differ_in_the_hand_that_is_hidden() {
    let mut rng = Pcg64Mcg::seed_from_u64(3);
    let mut n_different = 0;
    for seed in 0..50 {
        let deck = Deck::shuffled(&mut rng);
        let (game, actions) = opening(4, deck, 12, seed);
        let Some(other) = twin(&game, &deck, game.seat(), &mut rng) else {
            continue;
        };
        let mut again = Game::new(4, other).unwrap();
        for action in actions {
            again.apply(action).unwrap();
        }
        n_different += u32::from(again.hand(game.seat()) != game.hand(game.seat()));
        for seat in (0..4).filter(|seat| *seat != game.seat()) {
            assert_eq!(again.hand(seat), game.hand(seat));
        }
    }
    assert!(n_different > 40, "{n_different} of 50");
}
