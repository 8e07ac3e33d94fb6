//! The order in which rows are visited: a new permutation each epoch, from the seed alone.

use eval::Cell;
use eval::engine::StreamKey;
use rand::seq::SliceRandom;

/// Index of the entry at place `at` of the endless order over `n` entries.
#[derive(Debug)]
pub struct Order {
    seed: u64,
    n: usize,
    epoch: Option<(u64, Vec<usize>)>,
}

impl Order {
    /// An order over `n` entries, at least one.
    pub fn new(seed: u64, n: usize) -> Self {
        Self {
            seed,
            n: n.max(1),
            epoch: None,
        }
    }

    /// The entry at this place.
    pub fn entry(&mut self, at: u64) -> usize {
        let epoch = at / self.n as u64;
        let place = (at % self.n as u64) as usize;
        match &self.epoch {
            Some((known, order)) if *known == epoch => order[place],
            _ => {
                let order = self.permutation(epoch);
                let entry = order[place];
                self.epoch = Some((epoch, order));
                entry
            }
        }
    }

    fn permutation(&self, epoch: u64) -> Vec<usize> {
        let cell = Cell::new("train", self.seed).with("epoch", epoch);
        let key = StreamKey {
            paper: "bvpo",
            cell: &cell,
            purpose: "order",
        };
        let mut order: Vec<usize> = (0..self.n).collect();
        order.shuffle(&mut key.stream());
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_everything_once_in_an_order_of_its_own() {
        let mut order = Order::new(3, 20);
        let mut epoch =
            |e: u64| -> Vec<usize> { (0..20).map(|i| order.entry(20 * e + i)).collect() };
        let (first, second) = (epoch(0), epoch(1));
        assert_ne!(first, second);
        assert_eq!(epoch(0), first, "going back changes nothing");
        for mut seen in [first, second] {
            seen.sort_unstable();
            assert_eq!(seen, (0..20).collect::<Vec<_>>());
        }
    }
}
