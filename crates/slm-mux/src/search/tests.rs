//! Tests of the search: all exact methods against each other, and against two referees that share
//! nothing with them, a slow loop over sets and an integer program.

use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, Problem, SolveOutcome, Variable};
use proptest::prelude::*;

use super::bound::search_from;
use super::*;

/// So many random cases, whose failures are not written to files.
fn cases(n: u32) -> ProptestConfig {
    ProptestConfig {
        cases: n,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A pool of random bits: each cell right with 1/2, consistently wrong with 1/4.
fn bits(n_models: usize, n_questions: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(0u8..4, n_questions), n_models)
}

fn pool_of(cells: &[Vec<u8>]) -> Pool {
    let bits = |wanted: &dyn Fn(u8) -> bool| -> Vec<Vec<bool>> {
        let row = |row: &Vec<u8>| row.iter().map(|cell| wanted(*cell)).collect();
        cells.iter().map(row).collect()
    };
    Pool::of_bits(&bits(&|c| c < 2), &bits(&|c| c == 2)).unwrap()
}

fn objectives() -> Vec<Objective> {
    let lambdas = [
        Lambda::new(0, 1),
        Some(Lambda::HALF),
        Some(Lambda::ONE),
        Lambda::new(3, 2),
        Lambda::new(2, 1),
    ];
    let with = |form| {
        lambdas
            .into_iter()
            .flatten()
            .map(move |lambda| Objective { form, lambda })
    };
    with(Form::Printed).chain(with(Form::Conditional)).collect()
}

/// Counts by loops over cells, with sets instead of bits.
fn slow_counts(cells: &[Vec<u8>], models: &[usize]) -> (i64, i64) {
    let (mut union, mut contradiction) = (0, 0);
    let has = |question: usize, wanted: fn(u8) -> bool| {
        models.iter().any(|m| wanted(cells[*m][question]))
    };
    for question in 0..cells[0].len() {
        let (right, wrong) = (has(question, |c| c < 2), has(question, |c| c == 2));
        union += i64::from(right);
        contradiction += i64::from(right && wrong);
    }
    (union, contradiction)
}

/// The objective as a fraction over a common denominator that all subsets share.
fn slow_score(objective: &Objective, counts: (i64, i64), n: i64) -> (i64, i64) {
    let lambda2 = (2.0 * objective.lambda.value()) as i64;
    let (u, c) = counts;
    match objective.form {
        Form::Printed => (2 * u - lambda2 * c, 1),
        Form::Conditional if u == 0 => (0, 1),
        Form::Conditional => (2 * u * u - lambda2 * c * n, u),
    }
}

/// All subsets by their masks, compared as the specification says.
fn slow_best(cells: &[Vec<u8>], objective: &Objective, size: usize) -> Vec<usize> {
    let n = cells[0].len() as i64;
    let mut best: Option<((i64, i64), i64, Vec<usize>)> = None;
    for mask in 0u32..1 << cells.len() {
        if mask.count_ones() as usize != size {
            continue;
        }
        let models: Vec<usize> = (0..cells.len()).filter(|m| mask >> m & 1 == 1).collect();
        let counts = slow_counts(cells, &models);
        let score = slow_score(objective, counts, n);
        let wins = best.as_ref().is_none_or(|(known, union, subset)| {
            let (left, right) = (score.0 * known.1, known.0 * score.1);
            left > right
                || (left == right
                    && (counts.0 > *union || (counts.0 == *union && models < *subset)))
        });
        if wins {
            best = Some((score, counts.0, models));
        }
    }
    best.unwrap().2
}

/// The integer program: y_m chosen, u_x covered, w_x touched by a wrong model, c_x both.
struct Program {
    problem: Problem,
    chosen: Vec<Variable>,
    union: Vec<Variable>,
    contradiction: Vec<Variable>,
}

impl Program {
    /// `weights` are those of a chosen model, of a covered question, and of a contradiction.
    fn new(cells: &[Vec<u8>], size: usize, weights: (&[f64], f64, f64)) -> Self {
        let mut problem = Problem::new(OptimizationDirection::Maximize);
        let chosen: Vec<Variable> = weights
            .0
            .iter()
            .map(|w| problem.add_binary_var(*w))
            .collect();
        let n_questions = cells[0].len();
        let mut program = Self {
            union: (0..n_questions)
                .map(|_| problem.add_binary_var(weights.1))
                .collect(),
            contradiction: (0..n_questions)
                .map(|_| problem.add_binary_var(weights.2))
                .collect(),
            problem,
            chosen,
        };
        let all: Vec<Variable> = program.chosen.clone();
        program.sum(&all, ComparisonOp::Eq, size as f64);
        for question in 0..n_questions {
            program.tie(cells, question);
        }
        program
    }

    fn sum(&mut self, variables: &[Variable], op: ComparisonOp, bound: f64) {
        let mut sum = LinearExpr::empty();
        for variable in variables {
            sum.add(*variable, 1.0);
        }
        self.problem.add_constraint(sum, op, bound);
    }

    /// u_x = OR of the right models; w_x = OR of the wrong ones; c_x = u_x AND w_x.
    fn tie(&mut self, cells: &[Vec<u8>], question: usize) {
        let touched = self.problem.add_binary_var(0.0);
        let (union, contradiction) = (self.union[question], self.contradiction[question]);
        let of = |wanted: &dyn Fn(u8) -> bool| -> Vec<Variable> {
            let models = (0..cells.len()).filter(|m| wanted(cells[*m][question]));
            models.map(|m| self.chosen[m]).collect()
        };
        let (right, wrong) = (of(&|c| c < 2), of(&|c| c == 2));
        for (whole, parts) in [(union, right), (touched, wrong)] {
            let mut cover = LinearExpr::empty();
            cover.add(whole, 1.0);
            for part in parts {
                cover.add(part, -1.0);
                let above = [(whole, 1.0), (part, -1.0)];
                self.problem.add_constraint(above, ComparisonOp::Ge, 0.0);
            }
            self.problem.add_constraint(cover, ComparisonOp::Le, 0.0);
        }
        let both = [(contradiction, 1.0), (union, -1.0), (touched, -1.0)];
        self.problem.add_constraint(both, ComparisonOp::Ge, -1.0);
        for part in [union, touched] {
            let below = [(contradiction, 1.0), (part, -1.0)];
            self.problem.add_constraint(below, ComparisonOp::Le, 0.0);
        }
    }

    /// The chosen models; none where nothing fits the constraints.
    fn solve(&self) -> Option<Vec<usize>> {
        let SolveOutcome::Solution(solution) = self.problem.solve().ok()? else {
            return None;
        };
        let is_chosen = |m: &usize| solution.var_value(self.chosen[*m]) > 0.5;
        Some((0..self.chosen.len()).filter(is_chosen).collect())
    }
}

/// The optimum by integer programs: for the printed form one for the score and the union, for the
/// conditional form one for each possible union; then one for the order of indices.
fn program_best(cells: &[Vec<u8>], objective: &Objective, size: usize) -> Vec<usize> {
    let n = cells[0].len() as i64;
    let lambda = objective.lambda.value();
    let free = vec![0.0; cells.len()];
    let counts = match objective.form {
        Form::Printed => {
            // Scores are multiples of 1/2, so a thousandth of the union only breaks ties.
            let weights = (&free[..], 1.0 + 1e-3, -lambda);
            let models = Program::new(cells, size, weights).solve().unwrap();
            slow_counts(cells, &models)
        }
        Form::Conditional => {
            let least = |union: i64| {
                let mut program = Program::new(cells, size, (&free, 0.0, -1.0));
                let questions = program.union.clone();
                program.sum(&questions, ComparisonOp::Eq, union as f64);
                Some(slow_counts(cells, &program.solve()?))
            };
            let candidates = (0..=n).filter_map(least);
            let value = |(u, c): &(i64, i64)| {
                let (u, c) = (*u as f64, *c as f64);
                u / n as f64 - lambda * c / f64::max(u, 1.0)
            };
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
            candidates
                .max_by(|a, b| {
                    if close(value(a), value(b)) {
                        a.0.cmp(&b.0)
                    } else {
                        value(a).total_cmp(&value(b))
                    }
                })
                .unwrap()
        }
    };
    // Among the subsets with these counts, the lexicographically smallest.
    let order: Vec<f64> = (0..cells.len())
        .map(|m| f64::from(1u32 << (cells.len() - 1 - m)))
        .collect();
    let mut program = Program::new(cells, size, (&order, 0.0, 0.0));
    let (union, contradiction) = (program.union.clone(), program.contradiction.clone());
    program.sum(&union, ComparisonOp::Eq, counts.0 as f64);
    // Without a weight, contradictions are no part of the score.
    if lambda > 0.0 {
        program.sum(&contradiction, ComparisonOp::Eq, counts.1 as f64);
    }
    program.solve().unwrap()
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn exact_methods_return_the_same_subset(cells in bits(9, 21), size in 1usize..=4) {
        let pool = pool_of(&cells);
        for objective in objectives() {
            let slow = slow_best(&cells, &objective, size);
            let found = exhaustive(&pool, &objective, size);
            prop_assert_eq!(&found.models, &slow, "{:?}", objective);
            prop_assert_eq!(found.counts, pool.counts(&slow));
            let bounded = branch_and_bound(&pool, &objective, size, u64::MAX);
            prop_assert!(bounded.is_certified);
            prop_assert_eq!(&bounded.found.models, &slow, "{:?}", objective);
            prop_assert_eq!(bounded.found.counts, found.counts);
            // A bad start: now the bounds alone decide what is cut.
            let models: Vec<usize> = (9 - size..9).collect();
            let bad = Found { counts: pool.counts(&models), models, n_evaluated: 0 };
            let from_bad = search_from(&pool, &objective, u64::MAX, bad.clone());
            prop_assert_eq!(&from_bad.found.models, &slow, "{:?}", objective);
            let cut = search_from(&pool, &objective, 3, bad);
            prop_assert!(cut.score_max >= objective.score(found.counts, 21));
            for heuristic in [
                greedy(&pool, &objective, size),
                greedy_swap(&pool, &objective, size),
                beam(&pool, &objective, size, 4),
            ] {
                let key = |counts| objective.key(counts, pool.n_questions());
                prop_assert_eq!(heuristic.models.len(), size);
                prop_assert!(key(heuristic.counts) <= key(found.counts));
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn the_integer_program_agrees(cells in bits(7, 12), size in 1usize..=3) {
        let pool = pool_of(&cells);
        for objective in objectives() {
            let found = exhaustive(&pool, &objective, size);
            prop_assert_eq!(
                program_best(&cells, &objective, size),
                found.models,
                "{:?}", objective
            );
        }
    }
}

fn random_cells(n_models: usize, n_questions: usize, seed: u64) -> Vec<Vec<u8>> {
    use rand::SeedableRng;
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    let mut row = || {
        (0..n_questions)
            .map(|_| random.random_range(0..4))
            .collect()
    };
    (0..n_models).map(|_| row()).collect()
}

#[test]
fn pools_larger_than_a_block_and_a_word_are_searched_whole() {
    for (n_models, n_questions) in [(70, 130), (33, 64), (32, 65), (65, 1)] {
        let cells = random_cells(n_models, n_questions, 5);
        let pool = pool_of(&cells);
        for objective in [Objective::PRINTED, Objective::PLOTTED] {
            let found = exhaustive(&pool, &objective, 2);
            assert_eq!(found.n_evaluated, n_subsets(n_models, 2));
            let mut best: Option<(Key, Vec<usize>)> = None;
            for a in 0..n_models {
                for b in a + 1..n_models {
                    let (u, c) = slow_counts(&cells, &[a, b]);
                    let counts = Counts {
                        union: u as u32,
                        contradiction: c as u32,
                    };
                    let key = objective.key(counts, n_questions);
                    if best.as_ref().is_none_or(|(best, _)| key > *best) {
                        best = Some((key, vec![a, b]));
                    }
                }
            }
            assert_eq!(found.models, best.unwrap().1);
            let bounded = branch_and_bound(&pool, &objective, 2, u64::MAX);
            assert_eq!(bounded.found.models, found.models);
        }
    }
}

#[test]
fn a_search_that_is_cut_short_states_a_bound_that_holds() {
    let pool = pool_of(&random_cells(40, 100, 9));
    for objective in [Objective::PRINTED, Objective::PLOTTED] {
        let optimum = exhaustive(&pool, &objective, 4);
        let score = objective.score(optimum.counts, 100);
        for nodes_max in [1, 10, 100] {
            let cut = branch_and_bound(&pool, &objective, 4, nodes_max);
            assert!(!cut.is_certified);
            assert!(cut.score_max >= score);
            assert!(objective.score(cut.found.counts, 100) <= score);
            assert_eq!(cut, branch_and_bound(&pool, &objective, 4, nodes_max));
        }
    }
}

#[test]
fn greedy_has_no_guarantee_because_the_objective_is_not_submodular() {
    // D = {x}, R_a = {x}, W_b = W_c = {x}: adding b to {a} costs one, to {a, c} nothing.
    let pool = pool_of(&[vec![0], vec![2], vec![2]]);
    let value = |models: &[usize]| Objective::PRINTED.value(pool.counts(models), 1);
    assert_eq!(value(&[0, 2]) - value(&[0]), -1.0);
    assert_eq!(value(&[0, 1, 2]) - value(&[0, 2]), 0.0);
}

#[test]
fn an_empty_validation_split_gives_the_first_models() {
    let pool = Pool::of_bits(&vec![Vec::new(); 5], &vec![Vec::new(); 5]).unwrap();
    for objective in [Objective::PRINTED, Objective::PLOTTED] {
        assert_eq!(exhaustive(&pool, &objective, 2).models, [0, 1]);
        let bounded = branch_and_bound(&pool, &objective, 2, 1000);
        assert_eq!(
            (bounded.found.models, bounded.is_certified),
            (vec![0, 1], true)
        );
        assert_eq!(greedy_swap(&pool, &objective, 2).models, [0, 1]);
    }
}

#[test]
fn sizes_beyond_the_pool_take_every_model_and_size_zero_none() {
    let pool = pool_of(&random_cells(3, 10, 1));
    let objective = Objective::PRINTED;
    assert_eq!(exhaustive(&pool, &objective, 9).models, [0, 1, 2]);
    assert_eq!(
        branch_and_bound(&pool, &objective, 9, 100).found.models,
        [0, 1, 2]
    );
    assert_eq!(exhaustive(&pool, &objective, 0).models, [0usize; 0]);
    assert_eq!(n_subsets(1000, 3), 166_167_000);
    assert_eq!(n_subsets(3, 4), 0);
}

#[test]
fn bits_come_from_samples_by_the_robust_level() {
    use crate::samples::{NO_ANSWER, SampleTable};
    let x = NO_ANSWER;
    let names = vec!["m".to_owned()];
    let codes = vec![
        0, 0, 1, /**/ 1, 1, 1, /**/ x, x, x, /**/ 0, 2, 1,
    ];
    let table = SampleTable::from_codes(names.clone(), 3, codes).unwrap();
    let counts = |level| {
        let pool = Pool::of_table(&table, level).unwrap();
        let wrong: u32 = pool.wrong(0).iter().map(|word| word.count_ones()).sum();
        (pool.counts(&[0]).union, wrong)
    };
    // Consistently wrong is the second question alone: failures are no answer.
    assert_eq!((counts(1), counts(2), counts(3)), ((2, 1), (1, 1), (0, 1)));
    assert!(Pool::of_table(&table, 0).is_err());
    assert!(Pool::of_table(&table, 4).is_err());
    let one = SampleTable::from_codes(names, 1, vec![0, 1]).unwrap();
    let pool = Pool::of_table(&one, 1).unwrap();
    // One sample cannot be consistent.
    assert_eq!(pool.wrong(0), [0]);
}

#[test]
fn a_model_cannot_be_right_and_consistently_wrong() {
    assert!(Pool::of_bits(&[vec![true]], &[vec![true]]).is_err());
    assert!(Pool::of_bits(&[vec![true]], &[vec![false, true]]).is_err());
}
