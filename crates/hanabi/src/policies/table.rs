//! A table of players of one policy, and a game between them.

use eval::{Error, Result};
use rand_pcg::Pcg64Mcg;

use crate::rules::{ActionId, Deck, Event, Game, View};

use super::{Blind, Cheat, Hat, RandomLegal, Simple, Value};

/// A player who sees what a seat may see.
pub trait Player {
    /// The id of a legal move for the own turn.
    fn act(&mut self, view: &View<'_>, rng: &mut Pcg64Mcg) -> ActionId;

    /// Hears what happened, after it did; `view` is the own one.
    fn observe(&mut self, view: &View<'_>, event: &Event);
}

/// A rung of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ladder {
    /// Plays a random slot.
    Blind,
    /// Makes a random legal move.
    RandomLegal,
    /// Simple, after Quuxplusone's Hanabi.
    Simple,
    /// Value, after the same.
    Value,
    /// Recommendations by hat guessing, after Cox et al. (2015).
    Hat,
    /// Sees all hands.
    Cheat,
}

impl Ladder {
    /// All rungs, the weakest first.
    pub const ALL: [Self; 6] = [
        Self::Blind,
        Self::RandomLegal,
        Self::Simple,
        Self::Value,
        Self::Hat,
        Self::Cheat,
    ];

    /// The name in rows and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blind => "blind",
            Self::RandomLegal => "random-legal",
            Self::Simple => "simple",
            Self::Value => "value",
            Self::Hat => "hat",
            Self::Cheat => "cheat",
        }
    }

    /// The rung of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|rung| rung.name() == name)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::name).join(", ");
                Error::usage(format!("there is no policy `{name}`"))
                    .hint(format!("policies are {known}"))
            })
    }

    /// A player of this policy for a table of `n_players`.
    #[must_use]
    pub fn seat(self, n_players: usize) -> Seat {
        match self {
            Self::Blind => Seat::Blind(Blind),
            Self::RandomLegal => Seat::RandomLegal(RandomLegal),
            Self::Simple => Seat::Simple(Simple::new(n_players)),
            Self::Value => Seat::Value(Value::new(n_players)),
            Self::Hat => Seat::Hat(Hat::new(n_players)),
            Self::Cheat => Seat::Cheat(Cheat),
        }
    }
}

/// A player of the ladder. An enum rather than trait objects: the ceiling sees more than a view.
#[derive(Clone, Debug)]
pub enum Seat {
    /// See [`Ladder::Blind`].
    Blind(Blind),
    /// See [`Ladder::RandomLegal`].
    RandomLegal(RandomLegal),
    /// See [`Ladder::Simple`].
    Simple(Simple),
    /// See [`Ladder::Value`].
    Value(Value),
    /// See [`Ladder::Hat`].
    Hat(Hat),
    /// See [`Ladder::Cheat`].
    Cheat(Cheat),
}

impl Seat {
    fn act(&mut self, game: &Game, rng: &mut Pcg64Mcg) -> ActionId {
        let view = game.view(game.seat());
        match self {
            Self::Blind(player) => player.act(&view, rng),
            Self::RandomLegal(player) => player.act(&view, rng),
            Self::Simple(player) => player.act(&view, rng),
            Self::Value(player) => player.act(&view, rng),
            Self::Hat(player) => player.act(&view, rng),
            Self::Cheat(player) => player.act(game),
        }
    }

    /// Whether it hears what others do.
    const fn listens(&self) -> bool {
        match self {
            Self::Blind(_) | Self::RandomLegal(_) | Self::Cheat(_) => false,
            Self::Simple(_) | Self::Value(_) | Self::Hat(_) => true,
        }
    }

    fn observe(&mut self, view: &View<'_>, event: &Event) {
        match self {
            Self::Blind(_) | Self::RandomLegal(_) | Self::Cheat(_) => {}
            Self::Simple(player) => player.observe(view, event),
            Self::Value(player) => player.observe(view, event),
            Self::Hat(player) => player.observe(view, event),
        }
    }
}

/// Plays a game to its end, one player per seat; `heard` is told of every move.
///
/// # Errors
/// The number of seats is not that of a game, or a player makes an illegal move.
pub fn play(
    seats: &mut [Seat],
    deck: Deck,
    rng: &mut Pcg64Mcg,
    mut heard: impl FnMut(&Game, ActionId),
) -> Result<Game> {
    let mut game = Game::new(seats.len(), deck)?;
    let somebody_listens = seats.iter().any(Seat::listens);
    while game.end().is_none() {
        let id = seats[game.seat()].act(&game, rng);
        let event = game.apply(id)?;
        if somebody_listens {
            for (seat, player) in seats.iter_mut().enumerate() {
                player.observe(&game.view(seat), &event);
            }
        }
        heard(&game, id);
    }
    Ok(game)
}
