//! What one seat may see.

use super::action::{Action, ActionId};
use super::card::{Card, N_COLOURS, N_IDENTITIES};
use super::game::{End, Game};
use super::knowledge::Knowledge;

/// A game as one seat sees it. The seat's own cards and the order of the deck cannot be reached
/// through it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    game: &'a Game,
    seat: usize,
}

impl<'a> View<'a> {
    pub(super) fn new(game: &'a Game, seat: usize) -> Self {
        Self { game, seat }
    }

    /// The seat that looks.
    #[must_use]
    pub fn seat(&self) -> usize {
        self.seat
    }

    /// Whose turn it is.
    #[must_use]
    pub fn mover(&self) -> usize {
        self.game.seat()
    }

    /// Number of players.
    #[must_use]
    pub fn n_players(&self) -> usize {
        self.game.n_players()
    }

    /// Cards in a full hand.
    #[must_use]
    pub fn hand_size(&self) -> usize {
        self.game.hand_size()
    }

    /// Cards in the hand of `seat`, the own one included.
    #[must_use]
    pub fn n_cards(&self, seat: usize) -> usize {
        self.game.hand(seat).len()
    }

    /// The cards of another seat, oldest first; `None` for the own ones.
    #[must_use]
    pub fn hand(&self, seat: usize) -> Option<&'a [Card]> {
        (seat != self.seat).then(|| self.game.hand(seat))
    }

    /// The cards of the player `offset` seats further.
    ///
    /// # Panics
    /// `offset` is 0 or as large as the number of players: that is the own hand.
    #[must_use]
    pub fn other(&self, offset: usize) -> &'a [Card] {
        assert!(
            offset > 0 && offset < self.n_players(),
            "offset {offset} is the own hand"
        );
        self.game.hand((self.seat + offset) % self.n_players())
    }

    /// What hints left possible for every card of any hand.
    #[must_use]
    pub fn knowledge(&self, seat: usize) -> &'a [Knowledge] {
        self.game.knowledge(seat)
    }

    /// Height of every firework.
    #[must_use]
    pub fn fireworks(&self) -> &'a [u8; N_COLOURS] {
        self.game.fireworks()
    }

    /// Whether `card` is the next of its firework.
    #[must_use]
    pub fn is_playable(&self, card: Card) -> bool {
        self.game.is_playable(card)
    }

    /// Copies of each identity in the discard pile.
    #[must_use]
    pub fn discarded(&self) -> &'a [u8; N_IDENTITIES] {
        self.game.discarded()
    }

    /// Information tokens left.
    #[must_use]
    pub fn tokens(&self) -> u8 {
        self.game.tokens()
    }

    /// The most tokens there can be.
    #[must_use]
    pub fn tokens_max(&self) -> u8 {
        self.game.tokens_max()
    }

    /// Lives left.
    #[must_use]
    pub fn lives(&self) -> u8 {
        self.game.lives()
    }

    /// Cards left to draw.
    #[must_use]
    pub fn n_deck(&self) -> usize {
        self.game.n_deck()
    }

    /// Turns taken.
    #[must_use]
    pub fn n_turns(&self) -> usize {
        self.game.n_turns()
    }

    /// Why the game is over, or `None` while it goes on.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.game.end()
    }

    /// Ids of the legal actions of the seat, one bit each; none while it is another's turn. Which
    /// hints another may give would tell the seat its own cards.
    #[must_use]
    pub fn legal(&self) -> u64 {
        if self.seat == self.game.seat() {
            self.game.legal()
        } else {
            0
        }
    }

    /// The action with that id.
    #[must_use]
    pub fn action(&self, id: ActionId) -> Option<Action> {
        self.game.action(id)
    }

    /// The id of `action`.
    #[must_use]
    pub fn id_of(&self, action: Action) -> ActionId {
        self.game.id_of(action)
    }
}
