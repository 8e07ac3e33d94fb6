//! One exact pair of TinyThink: 800 sequences with their score vectors, gradients, and variance.
//!
//! `exact_pair/reference` is a pair at the reference policy, `exact_pair/moved` at a policy some
//! way from it, where more Chebyshev nodes are needed; `exact_pair/ideal` is the ideal gradient
//! alone. Sketch: 800 backward passes of at most 10 tokens through 10,368 weights, 4 operations
//! each, are 0.33 GFLOP; a dozen weighted sums of 800 vectors are 0.2 GFLOP.

use std::hint::black_box;

use bvpo::method::loss::Dpo;
use bvpo::tinythink::data::{Pair, Recipe, Silent, draw_pairs};
use bvpo::tinythink::exact::ExactPair;
use bvpo::tinythink::network::{N_PARAMETERS, Network};
use bvpo::tinythink::pretrain::{Pretraining, initial};
use bvpo::tinythink::task::{Prompt, Reward};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

#[path = "../../model/benches/peers/cpu_time.rs"]
mod cpu_time;

fn case() -> (Network, Network, Pair) {
    // A little training gives the traces uneven probabilities, as they have in a run.
    let recipe = Pretraining {
        n_steps: 200,
        ..Pretraining::default()
    };
    let start = recipe.train(1, |_, _| true);
    let noise = initial(2);
    let moved = start.iter().zip(&noise).map(|(x, n)| x + 0.1 * n).collect();
    let network = Network::new(start);
    let wanted = Recipe {
        n_pairs: 1,
        reward: Reward::Full,
        silent: Silent::Empty,
    };
    let prompts = [Prompt { index: 38 }];
    let pair = draw_pairs(&network, &prompts, wanted, &mut Pcg64Mcg::seed_from_u64(3)).remove(0);
    (network, Network::new(moved), pair)
}

fn exact_pair(criterion: &mut Criterion<cpu_time::CpuTime>) {
    let (reference, moved, pair) = case();
    let loss = Dpo { beta: 0.1 };
    for (name, network) in [("reference", &reference), ("moved", &moved)] {
        criterion.bench_function(&format!("exact_pair/{name}"), |bencher| {
            bencher.iter(|| ExactPair::new(black_box(network), &pair).gradients(&loss));
        });
    }
    criterion.bench_function("exact_pair/ideal", |bencher| {
        bencher.iter(|| {
            let mut gradient = vec![0.0; N_PARAMETERS];
            ExactPair::new(black_box(&moved), &pair).add_marginal(&loss, 1.0, &mut gradient);
            gradient
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(cpu_time::CpuTime).sample_size(10);
    targets = exact_pair
}
criterion_main!(benches);
