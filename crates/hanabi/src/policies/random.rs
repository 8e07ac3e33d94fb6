//! Random-legal: any legal move, all equally likely.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use crate::rules::{ActionId, Event, View};

use super::Player;

/// Makes a uniformly random legal move.
#[derive(Clone, Copy, Debug)]
pub struct RandomLegal;

impl Player for RandomLegal {
    fn act(&mut self, view: &View<'_>, rng: &mut Pcg64Mcg) -> ActionId {
        pick(view.legal(), rng)
    }

    fn observe(&mut self, _: &View<'_>, _: &Event) {}
}

/// The place of a uniformly random set bit of `mask`, which has one.
pub(crate) fn pick(mask: u64, rng: &mut Pcg64Mcg) -> ActionId {
    let skipped = rng.random_range(0..mask.count_ones());
    let rest = (0..skipped).fold(mask, |rest, _| rest & (rest - 1));
    rest.trailing_zeros() as ActionId
}
