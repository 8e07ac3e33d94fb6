//! The state of a game and its transitions (§2.1). No allocation per move.

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::action::{Action, ActionId, Hint, hand_size};
use super::card::{Card, DECK_SIZE, Deck, N_COLOURS, N_IDENTITIES, N_RANKS};
use super::knowledge::Knowledge;
use super::view::View;

/// Most players.
pub const PLAYERS_MAX: usize = 5;
/// Most cards in a hand.
pub const HAND_SIZE_MAX: usize = 5;
/// Information tokens at the start, and the most there can be.
pub const TOKENS_MAX: u8 = 8;
/// Lives at the start.
pub const LIVES_MAX: u8 = 3;

/// Why a game ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The last life is lost.
    OutOfLives,
    /// All 25 cards are played.
    Complete,
    /// Everybody had a last turn after the deck ran out.
    OutOfCards,
}

impl End {
    /// The word in traces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::OutOfLives => "life",
            Self::Complete => "complete",
            Self::OutOfCards => "cards",
        }
    }
}

/// What everybody saw happen in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A hint was given.
    Hinted {
        /// Who gave it.
        from: u8,
        /// Who was told.
        to: u8,
        /// What was told.
        hint: Hint,
        /// The slots it touched, one bit each.
        touched: u8,
        /// Tokens before it was paid for.
        tokens_before: u8,
    },
    /// A card was discarded.
    Discarded {
        /// By whom.
        seat: u8,
        /// From which slot.
        slot: u8,
        /// Which card it was.
        card: Card,
        /// Whether a card was drawn in its place.
        drew: bool,
    },
    /// A card was played.
    Played {
        /// By whom.
        seat: u8,
        /// From which slot.
        slot: u8,
        /// Which card it was.
        card: Card,
        /// Whether it fitted its firework.
        success: bool,
        /// Whether a card was drawn in its place.
        drew: bool,
    },
}

/// One seat's cards; slot 0 is the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hand {
    /// Place of each card in the deck.
    pub(super) orders: [u8; HAND_SIZE_MAX],
    pub(super) cards: [Card; HAND_SIZE_MAX],
    pub(super) knowledge: [Knowledge; HAND_SIZE_MAX],
    pub(super) n_cards: u8,
    /// Colours and ranks in the hand as ten bits: what may be hinted.
    hintable: u16,
}

impl Hand {
    const EMPTY: Self = Self {
        orders: [0; HAND_SIZE_MAX],
        cards: [Card::from_index(0); HAND_SIZE_MAX],
        knowledge: [Knowledge::NOTHING; HAND_SIZE_MAX],
        n_cards: 0,
        hintable: 0,
    };

    fn push(&mut self, order: u8, card: Card) {
        let slot = usize::from(self.n_cards);
        self.orders[slot] = order;
        self.cards[slot] = card;
        self.knowledge[slot] = Knowledge::NOTHING;
        self.n_cards += 1;
        self.hintable |= HINT_BITS[card.index()];
    }

    fn remove(&mut self, slot: usize) -> Card {
        let card = self.cards[slot];
        close_gap(&mut self.orders, slot);
        close_gap(&mut self.cards, slot);
        close_gap(&mut self.knowledge, slot);
        self.n_cards -= 1;
        let left = &self.cards[..usize::from(self.n_cards)];
        self.hintable = left
            .iter()
            .fold(0, |bits, card| bits | HINT_BITS[card.index()]);
        card
    }

    fn hint(&mut self, hint: Hint) -> u8 {
        let mask = hint.mask();
        let mut touched = 0;
        for slot in 0..usize::from(self.n_cards) {
            let hit = mask & self.cards[slot].bit() != 0;
            touched |= u8::from(hit) << slot;
            self.knowledge[slot] = self.knowledge[slot].after_mask(mask, hit);
        }
        touched
    }
}

/// Moves what is above `slot` one down. A loop of known length: the call of a general move costs
/// more than the five elements do.
fn close_gap<T: Copy>(slots: &mut [T; HAND_SIZE_MAX], slot: usize) {
    for idx in 0..HAND_SIZE_MAX - 1 {
        slots[idx] = slots[idx + usize::from(idx >= slot)];
    }
}

/// Colour and rank of every identity as bits of [`Hand::hintable`].
const HINT_BITS: [u16; N_IDENTITIES] = {
    let mut bits = [0; N_IDENTITIES];
    let mut identity = 0;
    while identity < N_IDENTITIES {
        let card = Card::from_index(identity);
        bits[identity] = 1 << card.colour().index() | 1 << (N_COLOURS + card.rank() as usize - 1);
        identity += 1;
    }
    bits
};

/// A game in progress or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Game {
    n_players: u8,
    hand_size: u8,
    deck: Deck,
    n_dealt: u8,
    pub(super) hands: [Hand; PLAYERS_MAX],
    fireworks: [u8; N_COLOURS],
    discarded: [u8; N_IDENTITIES],
    n_discarded: u8,
    tokens: u8,
    tokens_max: u8,
    lives: u8,
    seat: u8,
    n_turns: u16,
    last_turns: i8,
    end: Option<End>,
}

impl Game {
    /// A game of `n_players` with the cards of `deck`; seat 0 starts.
    ///
    /// # Errors
    /// The game is for two to five.
    pub fn new(n_players: usize, deck: Deck) -> Result<Self> {
        Self::with_limits(n_players, deck, TOKENS_MAX, LIVES_MAX)
    }

    /// A game with other limits than eight tokens and three lives (question Q4).
    ///
    /// # Errors
    /// The game is for two to five, and needs at least one token and one life, at most eight and
    /// three.
    pub fn with_limits(n_players: usize, deck: Deck, tokens: u8, lives: u8) -> Result<Self> {
        let hand_size = hand_size(n_players)?;
        if tokens == 0 || tokens > TOKENS_MAX || lives == 0 || lives > LIVES_MAX {
            return Err(
                Error::inputs(format!("a game of {tokens} tokens and {lives} lives"))
                    .hint("there are 1 to 8 tokens and 1 to 3 lives"),
            );
        }
        let mut game = Self {
            n_players: n_players as u8,
            hand_size: hand_size as u8,
            deck,
            n_dealt: 0,
            hands: [Hand::EMPTY; PLAYERS_MAX],
            fireworks: [0; N_COLOURS],
            discarded: [0; N_IDENTITIES],
            n_discarded: 0,
            tokens,
            tokens_max: tokens,
            lives,
            seat: 0,
            n_turns: 0,
            last_turns: n_players as i8,
            end: None,
        };
        for seat in 0..n_players {
            for _ in 0..hand_size {
                game.draw(seat);
            }
        }
        Ok(game)
    }

    fn draw(&mut self, seat: usize) -> bool {
        if usize::from(self.n_dealt) == DECK_SIZE {
            return false;
        }
        let card = self.deck.card(usize::from(self.n_dealt));
        self.hands[seat].push(self.n_dealt, card);
        self.n_dealt += 1;
        true
    }

    /// Ids of all legal actions, one bit each; none after the end.
    #[must_use]
    pub fn legal(&self) -> u64 {
        if self.end.is_some() {
            return 0;
        }
        let hand = u64::from(self.hand_size);
        let own = (1_u64 << self.hands[usize::from(self.seat)].n_cards) - 1;
        let mut legal = own << hand;
        if self.tokens < self.tokens_max {
            legal |= own;
        }
        if self.tokens > 0 {
            let n_others = u64::from(self.n_players) - 1;
            let colours = 2 * hand;
            let ranks = colours + n_others * N_COLOURS as u64;
            for place in 0..n_others {
                let bits = u64::from(self.hands[self.seat_at(place as u8 + 1)].hintable);
                let few = (1 << N_COLOURS) - 1;
                legal |= (bits & few) << (colours + place * N_COLOURS as u64);
                legal |= (bits >> N_COLOURS) << (ranks + place * N_RANKS as u64);
            }
        }
        legal
    }

    fn seat_at(&self, offset: u8) -> usize {
        let seat = self.seat + offset;
        usize::from(if seat >= self.n_players {
            seat - self.n_players
        } else {
            seat
        })
    }

    /// Makes the move with that id.
    ///
    /// # Errors
    /// The game is over, or the move is not legal; the message says why.
    pub fn apply(&mut self, id: ActionId) -> Result<Event> {
        match self.action(id) {
            Some(action) if self.permits(action) => Ok(self.make(action)),
            _ => Err(self.illegal(id)),
        }
    }

    /// Whether that one action is legal: its bit of [`Game::legal`] without the others.
    #[must_use]
    pub fn is_legal(&self, id: ActionId) -> bool {
        self.action(id).is_some_and(|action| self.permits(action))
    }

    fn permits(&self, action: Action) -> bool {
        let n_own = self.hands[usize::from(self.seat)].n_cards;
        let possible = match action {
            Action::Discard(slot) => slot < n_own && self.tokens < self.tokens_max,
            Action::Play(slot) => slot < n_own,
            Action::Hint { offset, hint } => {
                let wanted = match hint {
                    Hint::Colour(colour) => colour.index(),
                    Hint::Rank(rank) => N_COLOURS + usize::from(rank) - 1,
                };
                self.tokens > 0 && self.hands[self.seat_at(offset)].hintable >> wanted & 1 == 1
            }
        };
        possible && self.end.is_none()
    }

    fn illegal(&self, id: ActionId) -> Error {
        let turn = self.n_turns + 1;
        let why = match (self.end, self.action(id)) {
            (Some(end), _) => format!("the game is over ({})", end.word()),
            (None, None) => format!("a game of {} has no such action", self.n_players),
            (None, Some(Action::Discard(_))) if self.tokens == self.tokens_max => {
                "no discard while all tokens are there".to_owned()
            }
            (None, Some(Action::Discard(slot) | Action::Play(slot))) => {
                format!("slot {slot} is empty")
            }
            (None, Some(Action::Hint { .. })) if self.tokens == 0 => {
                "there is no token to pay for a hint".to_owned()
            }
            (None, Some(Action::Hint { .. })) => "the hint touches no card".to_owned(),
        };
        Error::inputs(format!("action {id} in turn {turn} is illegal: {why}"))
            .hint("legal actions are the bits of `Game::legal`")
    }

    /// The action with that id in this game, legal or not.
    #[must_use]
    pub fn action(&self, id: ActionId) -> Option<Action> {
        Action::from_id(id, usize::from(self.n_players), usize::from(self.hand_size))
    }

    /// The id of `action` in this game.
    #[must_use]
    pub fn id_of(&self, action: Action) -> ActionId {
        action.id(usize::from(self.n_players), usize::from(self.hand_size))
    }

    /// Makes a move known to be legal: what simulations call that picked it from [`Game::legal`].
    ///
    /// # Panics
    /// There is no such action at all.
    pub fn apply_legal(&mut self, id: ActionId) -> Event {
        debug_assert!(self.legal() >> id & 1 == 1, "action {id} is illegal");
        let Some(action) = self.action(id) else {
            panic!("a game of {} has no action {id}", self.n_players);
        };
        self.make(action)
    }

    fn make(&mut self, action: Action) -> Event {
        let deck_was_empty = usize::from(self.n_dealt) == DECK_SIZE;
        let event = match action {
            Action::Discard(slot) => self.discard(slot),
            Action::Play(slot) => self.play(slot),
            Action::Hint { offset, hint } => self.hint(offset, hint),
        };
        if deck_was_empty {
            self.last_turns -= 1;
        }
        self.n_turns += 1;
        self.end = if self.lives == 0 {
            Some(End::OutOfLives)
        } else if self.fireworks == [N_RANKS as u8; N_COLOURS] {
            Some(End::Complete)
        } else if self.last_turns <= 0 {
            Some(End::OutOfCards)
        } else {
            None
        };
        self.seat = self.seat_at(1) as u8;
        event
    }

    fn discard(&mut self, slot: u8) -> Event {
        let seat = self.seat;
        let card = self.hands[usize::from(seat)].remove(usize::from(slot));
        self.bury(card);
        self.tokens += 1;
        let drew = self.draw(usize::from(seat));
        Event::Discarded {
            seat,
            slot,
            card,
            drew,
        }
    }

    fn play(&mut self, slot: u8) -> Event {
        let seat = self.seat;
        let card = self.hands[usize::from(seat)].remove(usize::from(slot));
        let firework = &mut self.fireworks[card.colour().index()];
        let success = card.rank() == *firework + 1;
        if success {
            *firework += 1;
            if card.rank() == N_RANKS as u8 && self.tokens < self.tokens_max {
                self.tokens += 1;
            }
        } else {
            self.lives -= 1;
            self.bury(card);
        }
        let drew = self.draw(usize::from(seat));
        Event::Played {
            seat,
            slot,
            card,
            success,
            drew,
        }
    }

    fn bury(&mut self, card: Card) {
        self.discarded[card.index()] += 1;
        self.n_discarded += 1;
    }

    fn hint(&mut self, offset: u8, hint: Hint) -> Event {
        let to = self.seat_at(offset);
        let touched = self.hands[to].hint(hint);
        let tokens_before = self.tokens;
        self.tokens -= 1;
        Event::Hinted {
            from: self.seat,
            to: to as u8,
            hint,
            touched,
            tokens_before,
        }
    }

    /// What `seat` may see.
    #[must_use]
    pub fn view(&self, seat: usize) -> View<'_> {
        View::new(self, seat)
    }

    /// Number of players.
    #[must_use]
    pub fn n_players(&self) -> usize {
        usize::from(self.n_players)
    }

    /// Cards in a full hand.
    #[must_use]
    pub fn hand_size(&self) -> usize {
        usize::from(self.hand_size)
    }

    /// Whose turn it is.
    #[must_use]
    pub fn seat(&self) -> usize {
        usize::from(self.seat)
    }

    /// Turns taken.
    #[must_use]
    pub fn n_turns(&self) -> usize {
        usize::from(self.n_turns)
    }

    /// The cards of a hand, oldest first: for the table, never for the seat itself (see [`View`]).
    #[must_use]
    pub fn hand(&self, seat: usize) -> &[Card] {
        let hand = &self.hands[seat];
        &hand.cards[..usize::from(hand.n_cards)]
    }

    /// Places in the deck of the cards of a hand, oldest first.
    #[must_use]
    pub fn orders(&self, seat: usize) -> &[u8] {
        let hand = &self.hands[seat];
        &hand.orders[..usize::from(hand.n_cards)]
    }

    /// What hints left possible for every card of a hand.
    #[must_use]
    pub fn knowledge(&self, seat: usize) -> &[Knowledge] {
        let hand = &self.hands[seat];
        &hand.knowledge[..usize::from(hand.n_cards)]
    }

    /// Height of every firework.
    #[must_use]
    pub fn fireworks(&self) -> &[u8; N_COLOURS] {
        &self.fireworks
    }

    /// Whether `card` is the next of its firework.
    #[must_use]
    pub fn is_playable(&self, card: Card) -> bool {
        card.rank() == self.fireworks[card.colour().index()] + 1
    }

    /// Copies of each identity in the discard pile, misplays included.
    #[must_use]
    pub fn discarded(&self) -> &[u8; N_IDENTITIES] {
        &self.discarded
    }

    /// Cards in the discard pile.
    #[must_use]
    pub fn n_discarded(&self) -> usize {
        usize::from(self.n_discarded)
    }

    /// Information tokens left.
    #[must_use]
    pub fn tokens(&self) -> u8 {
        self.tokens
    }

    /// The most tokens there can be in this game.
    #[must_use]
    pub fn tokens_max(&self) -> u8 {
        self.tokens_max
    }

    /// Lives left.
    #[must_use]
    pub fn lives(&self) -> u8 {
        self.lives
    }

    /// Cards left to draw.
    #[must_use]
    pub fn n_deck(&self) -> usize {
        DECK_SIZE - usize::from(self.n_dealt)
    }

    /// Turns left once the deck is empty; as many as players before that.
    #[must_use]
    pub fn last_turns(&self) -> usize {
        usize::try_from(self.last_turns).unwrap_or(0)
    }

    /// The deck in dealing order.
    #[must_use]
    pub fn deck(&self) -> &Deck {
        &self.deck
    }

    /// Why the game is over, or `None` while it goes on.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Sum of the fireworks whatever the lives.
    #[must_use]
    pub fn score_points(&self) -> u8 {
        self.fireworks.iter().sum()
    }

    /// Sum of the fireworks, 0 if all lives are lost.
    #[must_use]
    pub fn score_strict(&self) -> u8 {
        if self.lives == 0 {
            0
        } else {
            self.score_points()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Colour;

    /// Legality spelt out from the text of the rules.
    fn legal_by_the_book(game: &Game) -> u64 {
        let mut legal = 0;
        for id in 0..Action::n_ids(game.n_players(), game.hand_size()) as u8 {
            let fine = match game.action(id).unwrap() {
                Action::Discard(slot) => {
                    usize::from(slot) < game.hand(game.seat()).len() && game.tokens() < TOKENS_MAX
                }
                Action::Play(slot) => usize::from(slot) < game.hand(game.seat()).len(),
                Action::Hint { offset, hint } => {
                    let to = (game.seat() + usize::from(offset)) % game.n_players();
                    game.tokens() > 0 && game.hand(to).iter().any(|card| hint.touches(*card))
                }
            };
            legal |= u64::from(fine && game.end().is_none()) << id;
        }
        legal
    }

    fn random_game(n_players: usize, seed: u64, mut check: impl FnMut(&Game, &Event)) -> Game {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let mut game = Game::new(n_players, Deck::shuffled(&mut rng)).unwrap();
        while game.end().is_none() {
            let legal = game.legal();
            assert_eq!(legal, legal_by_the_book(&game));
            assert!((0..=255).all(|id| game.is_legal(id) == (id < 64 && legal >> id & 1 == 1)));
            let ids: Vec<u8> = (0..64).filter(|id| legal >> id & 1 == 1).collect();
            // Fewer plays than a random player makes, so that games last to their other ends.
            let calm: Vec<u8> = ids
                .iter()
                .copied()
                .filter(|id| {
                    !matches!(game.action(*id), Some(Action::Play(slot))
                    if !game.is_playable(game.hand(game.seat())[usize::from(slot)]))
                })
                .collect();
            let pool = if calm.is_empty() || rng.random_bool(0.02) {
                &ids
            } else {
                &calm
            };
            let id = pool[rng.random_range(0..pool.len())];
            let event = game.apply(id).unwrap();
            check(&game, &event);
        }
        game
    }

    #[test]
    fn no_card_is_lost_and_every_count_stays_in_its_bounds() {
        let mut ends = std::collections::BTreeSet::new();
        for seed in 0..400 {
            let n_players = 2 + (seed % 4) as usize;
            let game = random_game(n_players, seed, |game, _| {
                let in_hands: usize = (0..game.n_players())
                    .map(|seat| game.hand(seat).len())
                    .sum();
                let seen = in_hands + game.n_discarded() + usize::from(game.score_points());
                assert_eq!(seen + game.n_deck(), DECK_SIZE);
                assert!(game.tokens() <= TOKENS_MAX && game.lives() <= LIVES_MAX);
                for seat in 0..game.n_players() {
                    for (card, known) in game.hand(seat).iter().zip(game.knowledge(seat)) {
                        assert!(known.mask() & card.bit() != 0, "a hint excluded the truth");
                    }
                }
            });
            ends.insert(game.end().unwrap());
            assert!(game.apply_after_end());
        }
        // The third, a complete game, is among the cheating policy's tests.
        let wanted = [End::OutOfLives, End::OutOfCards];
        assert!(wanted.iter().all(|end| ends.contains(end)), "{ends:?}");
    }

    impl Game {
        fn apply_after_end(&self) -> bool {
            let error = self.clone().apply(0).unwrap_err().to_string();
            error.contains("the game is over")
        }
    }

    #[test]
    fn after_the_last_card_everybody_has_one_more_turn() {
        for seed in 0..200 {
            let n_players = 2 + (seed % 4) as usize;
            let mut turns_after = None;
            let game = random_game(n_players, seed, |game, _| {
                if let Some(turns) = &mut turns_after {
                    *turns += 1;
                } else if game.n_deck() == 0 {
                    turns_after = Some(0);
                }
            });
            if game.end() == Some(End::OutOfCards) {
                assert_eq!(turns_after, Some(n_players));
            }
        }
    }

    #[test]
    fn illegal_moves_say_why() {
        let mut game = Game::new(2, Deck::sorted()).unwrap();
        let why = |game: &mut Game, id: u8| game.apply(id).unwrap_err().to_string();
        assert!(why(&mut game, 0).contains("no discard while all tokens are there"));
        assert!(why(&mut game, 20).contains("no such action"));
        assert!(why(&mut game, 255).contains("no such action"));
        // Seat 1 holds R3 R4 R4 R5 Y1... by the sorted deck: R3, R4, R4, R5 and a yellow 1.
        let blue = game.id_of(Action::Hint {
            offset: 1,
            hint: Hint::Colour(Colour::Blue),
        });
        assert!(why(&mut game, blue).contains("touches no card"));
        assert!(Game::new(1, Deck::sorted()).is_err() && Game::new(6, Deck::sorted()).is_err());
    }

    #[test]
    fn three_misplays_end_the_game() {
        // Seat 0 of two holds R1 R1 R1 R2 R2 by the sorted deck; seat 1 R3 R3 R4 R4 R5.
        let mut game = Game::new(2, Deck::sorted()).unwrap();
        for _ in 0..4 {
            game.apply(5).unwrap();
        }
        assert_eq!((game.lives(), game.end()), (0, Some(End::OutOfLives)));
        assert_eq!((game.score_points(), game.score_strict()), (1, 0));
    }

    #[test]
    fn a_completed_colour_gives_a_token() {
        // Red in order in the first hand, then everything else.
        let red: Vec<Card> = (1..=5).map(|rank| Card::new(Colour::Red, rank)).collect();
        let mut rest = Deck::sorted().cards().to_vec();
        for card in &red {
            let place = rest.iter().position(|one| one == card).unwrap();
            rest.remove(place);
        }
        let deck = Deck::new(&[red, rest].concat()).unwrap();
        let mut game = Game::new(2, deck).unwrap();
        for rank in 1..=5 {
            game.apply(5).unwrap();
            assert_eq!(game.fireworks()[0], rank);
            if rank < 5 {
                let hint = Hint::Colour(Colour::Red);
                game.apply(game.id_of(Action::Hint { offset: 1, hint }))
                    .unwrap();
            }
        }
        assert_eq!(game.tokens(), TOKENS_MAX - 4 + 1);
    }
}
