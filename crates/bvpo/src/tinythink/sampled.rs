//! What sampled traces say of the variance that is computed exactly elsewhere.

use rand::Rng;

use super::data::{Mode, Pair};
use super::network::{N_PARAMETERS, Network};
use super::pretrain::SequencePass;
use crate::method::loss::{PreferenceLoss, pair_loss};
use crate::method::theory::{distance_sq, dot};

/// The unbiased sample variance `Σ‖g − ḡ‖²/(n − 1)` of `∇ℓ_t` over `n_draws` trace pairs drawn
/// from `π_ref(r|x,y)`, and `‖ḡ − expected‖²`, which is about that variance over `n_draws` where
/// `expected` is the gradient's mean.
pub fn sampled_variance(
    (network, pair): (&Network, &Pair),
    loss: &dyn PreferenceLoss,
    (n_draws, expected): (usize, &[f64]),
    rng: &mut impl Rng,
) -> [f64; 2] {
    let mut mean = vec![0.0; N_PARAMETERS];
    let mut squares = 0.0;
    let share = 1.0 / n_draws.max(1) as f64;
    for drawn in pair.draw(Mode::Resample, n_draws, rng) {
        let passes = [0, 1]
            .map(|side: usize| SequencePass::new(network, pair.sequence(side, drawn[side]), true));
        let scored = [0, 1].map(|side| pair.scored(side, drawn[side], passes[side].logprob));
        let at = pair_loss(loss, &scored[0], &scored[1]);
        let mut gradient = vec![0.0; N_PARAMETERS];
        passes[0].add_score(network, at.chosen, &mut gradient);
        passes[1].add_score(network, at.rejected, &mut gradient);
        squares += dot(&gradient, &gradient);
        for (mean, g) in mean.iter_mut().zip(&gradient) {
            *mean += share * g;
        }
    }
    let n = n_draws as f64;
    let variance = (squares - n * dot(&mean, &mean)) / (n - 1.0).max(1.0);
    [variance, distance_sq(&mean, expected)]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    use super::super::data::{Recipe, Silent, draw_pairs};
    use super::super::exact::ExactPair;
    use super::super::pretrain::initial;
    use super::super::task::{Prompt, Reward};
    use super::*;
    use crate::method::loss::Dpo;

    #[test]
    fn sampled_variances_agree_with_exact_ones() {
        let network = Network::new(initial(4));
        let wanted = Recipe {
            n_pairs: 1,
            reward: Reward::Full,
            silent: Silent::Empty,
        };
        let mut rng = Pcg64Mcg::seed_from_u64(2);
        let pair = draw_pairs(&network, &[Prompt { index: 3 }], wanted, &mut rng).remove(0);
        let loss = Dpo { beta: 0.5 };
        let moved: Vec<f64> = network.theta().iter().map(|x| 1.02 * x).collect();
        let moved = Network::new(moved);
        let exact = ExactPair::new(&moved, &pair).gradients(&loss);
        let known = (1000, exact.trace.as_slice());
        let [variance, distance] = sampled_variance((&moved, &pair), &loss, known, &mut rng);
        // Five standard errors of a variance whose fourth moment is a few times its square.
        let error = (variance / exact.trace_variance - 1.0).abs();
        assert!(error < 0.2, "{variance} {}", exact.trace_variance);
        let expected = exact.trace_variance / 1000.0;
        assert!(distance < 5.0 * expected, "{distance} {expected}");
    }
}
