//! The three sweeps of E4: sizes, cells, and channels with independent normal entries.
//!
//! `square` has d1 = d2 = d and dy = 2, `wide` d1 = d, d2 = 100 and dy = 2, `ratio` d1 = d,
//! d2 = 0.6 d and dy = 1.

use eval::{Cell, Cx, Result};

use super::{condition, normal_matrix, number};
use crate::channel::{Channel, Dims};

/// Sizes d of each sweep.
pub struct Sizes {
    /// d1 = d2.
    pub square: &'static [usize],
    /// d2 = 100.
    pub wide: &'static [usize],
    /// d2 = 0.6 d1.
    pub ratio: &'static [usize],
}

/// One exclusive cell per sweep, size, and seed. `range` is `large` from a smaller source of
/// `large_min` dimensions on, else `small`.
pub fn cells(experiment: &str, sizes: &Sizes, n_seeds: u64, large_min: usize) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (sweep, sizes) in [
        ("square", sizes.square),
        ("wide", sizes.wide),
        ("ratio", sizes.ratio),
    ] {
        for d in sizes {
            let is_large = dims(sweep, *d).x2 >= large_min;
            let range = if is_large { "large" } else { "small" };
            for seed in 0..n_seeds {
                let cell = Cell::new(experiment, seed)
                    .with("sweep", sweep)
                    .with("d", d);
                cells.push(cell.with("range", range).exclusive());
            }
        }
    }
    cells
}

/// The cell's channel.
pub fn channel(cx: &Cx, cell: &Cell) -> Result<Channel> {
    let dims = dims(condition(cell, "sweep")?, number(cell, "d")?);
    let mut rng = cx.rng("channel");
    let h1 = normal_matrix(dims.x1, dims.y, &mut rng);
    let h2 = normal_matrix(dims.x2, dims.y, &mut rng);
    Ok(Channel::with_independent_noise(h1, h2)?)
}

fn dims(sweep: &str, d: usize) -> Dims {
    let (x2, y) = match sweep {
        "square" => (d, 2),
        "wide" => (100, 2),
        _ => (d * 3 / 5, 1),
    };
    Dims { y, x1: d, x2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ranges_are_those_of_the_sweeps() {
        let sizes = Sizes {
            square: &[99, 100],
            wide: &[400],
            ratio: &[50, 200],
        };
        let cells = cells("e", &sizes, 2, 100);
        let of_seed_0: Vec<String> = cells
            .iter()
            .filter(|cell| cell.seed == 0 && cell.exclusive)
            .map(|cell| {
                ["sweep", "d", "range"]
                    .map(|key| cell.get(key).unwrap())
                    .join(" ")
            })
            .collect();
        let expected = [
            "square 99 small",
            "square 100 large",
            "wide 400 large",
            "ratio 50 small",
            "ratio 200 large",
        ];
        assert_eq!(
            (of_seed_0, cells.len()),
            (expected.map(String::from).to_vec(), 10)
        );
        assert_eq!(
            dims("ratio", 200),
            Dims {
                y: 1,
                x1: 200,
                x2: 120
            }
        );
    }
}
