//! The closed form against certified optima of 200 random problems that other software found.
//!
//! `fixtures/make_certified.py` minimised over an unconstrained parametrisation with scipy's
//! L-BFGS-B and torch's derivatives, and evaluated both bounds with numpy; the channels are drawn
//! again here from numpy's legacy stream.

use flow_pid::legacy_gaussian::LegacyGaussian;
use flow_pid::{Channel, Optimum, Solver, ThinPidConfig};
use serde::Deserialize;

/// The project's bar in bits.
const BAR_BITS: f64 = 1e-10;
/// Enclosures wider than this decide nothing at that bar: the optimiser had not converged.
const ENCLOSURE_BITS: f64 = 2e-11;

#[derive(Deserialize)]
struct Fixture {
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    seed: u32,
    dims: (usize, usize, usize),
    low: f64,
    high: f64,
}

impl Problem {
    fn channel(&self) -> Channel {
        let (d1, d2, dy) = self.dims;
        let mut stream = LegacyGaussian::seeded(self.seed);
        let h1 = stream.matrix(d1, dy);
        let h2 = stream.matrix(d2, dy);
        Channel::with_independent_noise(h1, h2).unwrap()
    }
}

fn problems() -> Vec<Problem> {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/certified.json")).unwrap();
    fixture.problems
}

#[test]
fn the_closed_form_lies_in_200_independent_enclosures_up_to_64_dimensions() {
    let (mut n_tight, mut largest) = (0, 0);
    for problem in problems() {
        let union = Optimum::of(&problem.channel()).unwrap().union_bits;
        let (d1, d2, dy) = problem.dims;
        let (below, above) = (problem.low - union, union - problem.high);
        assert!(below < BAR_BITS, "{:?}: {below:e}", problem.dims);
        assert!(above < BAR_BITS, "{:?}: {above:e}", problem.dims);
        if problem.high - problem.low < ENCLOSURE_BITS {
            n_tight += 1;
            largest = largest.max(d1).max(d2).max(dy);
        }
    }
    assert!(n_tight >= 200, "{n_tight} enclosures are tight");
    assert_eq!(largest, 64);
}

#[test]
fn thin_pid_reduced_or_not_reaches_the_enclosures_of_small_problems() {
    let solvers = [
        Solver::ThinPid(ThinPidConfig::tight()),
        Solver::ReducedThinPid(ThinPidConfig::tight()),
    ];
    let small = |problem: &Problem| problem.dims.0.max(problem.dims.1).max(problem.dims.2) <= 24;
    let mut n_solved = 0;
    for problem in problems().into_iter().filter(small) {
        for solver in solvers {
            let solution = solver.solve(&problem.channel()).unwrap();
            let error = solution.union_bits().unwrap() - problem.high;
            let (name, dims) = (solver.name(), problem.dims);
            assert!(error.abs() < BAR_BITS, "{name} {dims:?}: {error:e}");
        }
        n_solved += 1;
    }
    assert_eq!(n_solved, 7);
}
