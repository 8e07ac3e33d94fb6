//! Preference training of TinyThink with any loss and estimator.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::data::{Mode, Pair};
use super::exact::ExactPair;
use super::network::{N_PARAMETERS, Network};
use super::optimizer::{Adam, cosine};
use super::pretrain::SequencePass;
use super::task::ANSWER_TOKENS;
use crate::method::estimator::{
    Adaptive, AdaptiveWeight, Empty, Estimator, Example, ImportanceWeighted, MeanOfTraces, Mix,
    Shrink, Trace as TraceEstimator, Union,
};
use crate::method::loss::{PreferenceLoss, Scored};
use crate::method::theory::{Population, Randomness, distance_sq};

/// Which gradient is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// `g_t`.
    Trace,
    /// `g_e`.
    Empty,
    /// `α g_t + (1−α) g_e`.
    Mix(f64),
    /// The mean of `g_t` over K trace pairs.
    Mean(usize),
    /// The importance-weighted loss of K trace pairs.
    Weighted(usize),
    /// The union of both data sets.
    Union,
    /// `α g_t`, nothing else.
    Shrink(f64),
    /// The mix at the weight estimated from two replicates.
    Adaptive,
    /// The mix at the exact optimal weight, computed anew every so many steps.
    Oracle,
    /// `∇ℓ_m`, every trace counted.
    Marginal,
}

impl Method {
    /// The word of conditions and tags.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Trace => "trace".to_owned(),
            Self::Empty => "empty".to_owned(),
            Self::Mix(alpha) => format!("mix-{alpha}"),
            Self::Mean(n) => format!("mean-{n}"),
            Self::Weighted(n) => format!("iw-{n}"),
            Self::Union => "union".to_owned(),
            Self::Shrink(alpha) => format!("shrink-{alpha}"),
            Self::Adaptive => "adaptive".to_owned(),
            Self::Oracle => "oracle".to_owned(),
            Self::Marginal => "marginal".to_owned(),
        }
    }

    /// The estimator at the present weights.
    fn estimator(self, alpha: f64, weight: AdaptiveWeight) -> Box<dyn Estimator> {
        match self {
            Self::Trace => Box::new(TraceEstimator),
            Self::Empty => Box::new(Empty),
            Self::Mix(alpha) => Box::new(Mix { alpha }),
            Self::Mean(n_traces) => Box::new(MeanOfTraces { n_traces }),
            Self::Weighted(n_traces) => Box::new(ImportanceWeighted { n_traces }),
            Self::Union => Box::new(Union),
            Self::Shrink(alpha) => Box::new(Shrink { alpha }),
            Self::Adaptive => Box::new(Adaptive { weight }),
            Self::Oracle | Self::Marginal => Box::new(Mix { alpha }),
        }
    }
}

/// A training run.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// The pairs.
    pub pairs: &'a [Pair],
    /// The preference loss.
    pub loss: &'a dyn PreferenceLoss,
    /// The gradient.
    pub method: Method,
    /// Stored or fresh traces.
    pub mode: Mode,
    /// Peak learning rate of AdamW (cosine decay, a tenth of the steps warm-up, no weight decay).
    pub rate: f64,
    /// Steps.
    pub n_steps: usize,
    /// Pairs per step; every pair is visited once before any is again.
    pub n_batch: usize,
    /// Pairs over which the optimal weight of [`Method::Oracle`] is computed.
    pub n_oracle_pairs: usize,
}

/// Steps between two computations of the optimal weight.
const ORACLE_EVERY: usize = 20;

/// What a step leaves behind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepReport {
    /// The weight of the trace gradient, where the method has one that moves.
    pub alpha: Option<f64>,
    /// `α̂` for a single trace draw, where two replicates were drawn.
    pub alpha_estimated: Option<f64>,
    /// Scored tokens so far, both sides and both modes.
    pub n_tokens: usize,
}

/// One pair's forward passes.
struct Visit<'a> {
    pair: &'a Pair,
    traces: Vec<[SequencePass; 2]>,
    scored: [Vec<Scored>; 2],
    empty: Option<[SequencePass; 2]>,
    coin: f64,
    n_tokens: usize,
}

impl<'a> Visit<'a> {
    fn new(
        network: &Network,
        (pair, mode): (&'a Pair, Mode),
        estimator: &dyn Estimator,
        rng: &mut impl Rng,
    ) -> Self {
        let coin = rng.random();
        let draws = pair.draw(mode, estimator.n_traces(), rng);
        let mut scored = [Vec::new(), Vec::new()];
        let mut n_tokens = 0;
        let mut traces = Vec::with_capacity(draws.len());
        for drawn in draws {
            let passes = [0, 1].map(|side: usize| {
                let pass = SequencePass::new(network, pair.sequence(side, drawn[side]), true);
                scored[side].push(pair.scored(side, drawn[side], pass.logprob));
                n_tokens += drawn[side].scored_tokens();
                pass
            });
            traces.push(passes);
        }
        let empty = estimator.uses_empty().then(|| {
            n_tokens += pair.silent_tokens();
            [0, 1].map(|side: usize| SequencePass::new(network, pair.silent_sequence(side), true))
        });
        Self {
            pair,
            traces,
            scored,
            empty,
            coin,
            n_tokens,
        }
    }

    fn example(&self) -> Example<'_> {
        let empty = |side: usize| match &self.empty {
            Some(passes) => self.pair.scored_silent(side, passes[side].logprob),
            None => Scored::default(),
        };
        Example {
            chosen: &self.scored[0],
            rejected: &self.scored[1],
            empty_chosen: empty(0),
            empty_rejected: empty(1),
            answer_tokens: [ANSWER_TOKENS; 2],
            coin: self.coin,
        }
    }

    /// Adds the estimator's gradient times `scale`.
    fn add(
        &self,
        network: &Network,
        (loss, estimator): (&dyn PreferenceLoss, &dyn Estimator),
        scale: f64,
        gradient: &mut [f64],
    ) {
        let weights = estimator.weights(loss, &self.example());
        for (draw, passes) in self.traces.iter().enumerate() {
            passes[0].add_score(network, scale * weights.chosen[draw], gradient);
            passes[1].add_score(network, scale * weights.rejected[draw], gradient);
        }
        if let Some([plus, minus]) = &self.empty {
            plus.add_score(network, scale * weights.empty_chosen, gradient);
            minus.add_score(network, scale * weights.empty_rejected, gradient);
        }
    }

    /// The same pair seen through the `draw`-th trace alone.
    fn add_trace_draw(
        &self,
        network: &Network,
        loss: &dyn PreferenceLoss,
        (draw, scale): (usize, f64),
        gradient: &mut [f64],
    ) {
        let (Some(plus), Some(minus)) = (self.scored[0].get(draw), self.scored[1].get(draw)) else {
            return;
        };
        let at = crate::method::loss::pair_loss(loss, plus, minus);
        self.traces[draw][0].add_score(network, scale * at.chosen, gradient);
        self.traces[draw][1].add_score(network, scale * at.rejected, gradient);
    }
}

impl Training<'_> {
    /// Trains from `reference`; `see` is called before every step and after the last with the
    /// parameters, and ends the run by returning false.
    pub fn run(
        &self,
        reference: &[f64],
        rng: &mut impl Rng,
        mut see: impl FnMut(usize, &Network, &StepReport) -> bool,
    ) -> Vec<f64> {
        let mut network = Network::new(reference.to_vec());
        let mut adam = Adam::new(N_PARAMETERS, 0.0);
        let mut order: Vec<usize> = Vec::new();
        let mut report = StepReport::default();
        let mut weight = AdaptiveWeight::new(0.9);
        let mut alpha = 0.5;
        let n_warmup = self.n_steps / 10;
        for step in 0..self.n_steps {
            if !see(step, &network, &report) {
                return network.theta().to_vec();
            }
            if self.method == Method::Oracle && step % ORACLE_EVERY == 0 {
                alpha = self.optimal_weight(&network);
                report.alpha = Some(alpha);
            }
            let mut batch = Vec::with_capacity(self.n_batch);
            while batch.len() < self.n_batch {
                if order.is_empty() {
                    order = (0..self.pairs.len()).collect();
                    order.shuffle(rng);
                }
                batch.extend(order.pop().map(|index| &self.pairs[index]));
            }
            let gradient = self.gradient(&network, &batch, (alpha, &mut weight, &mut report), rng);
            let mut theta = network.theta().to_vec();
            let rate = self.rate * cosine(step, n_warmup, self.n_steps);
            adam.step(&mut theta, &gradient, rate);
            network = Network::new(theta);
        }
        see(self.n_steps, &network, &report);
        network.theta().to_vec()
    }

    fn gradient(
        &self,
        network: &Network,
        batch: &[&Pair],
        (alpha, weight, report): (f64, &mut AdaptiveWeight, &mut StepReport),
        rng: &mut impl Rng,
    ) -> Vec<f64> {
        let mut gradient = vec![0.0; N_PARAMETERS];
        let share = 1.0 / batch.len().max(1) as f64;
        if self.method == Method::Marginal {
            for pair in batch {
                ExactPair::new(network, pair).add_marginal(self.loss, share, &mut gradient);
            }
            return gradient;
        }
        let estimator = self.method.estimator(alpha, *weight);
        let visits: Vec<Visit> = batch
            .iter()
            .map(|pair| Visit::new(network, (*pair, self.mode), estimator.as_ref(), rng))
            .collect();
        report.n_tokens += visits.iter().map(|visit| visit.n_tokens).sum::<usize>();
        if self.method == Method::Adaptive {
            return self.adaptive_gradient(network, &visits, (weight, report));
        }
        for visit in &visits {
            visit.add(
                network,
                (self.loss, estimator.as_ref()),
                share,
                &mut gradient,
            );
        }
        gradient
    }

    /// The mix whose weight two replicates of the batch's trace gradient suggest (F8).
    fn adaptive_gradient(
        &self,
        network: &Network,
        visits: &[Visit],
        (weight, report): (&mut AdaptiveWeight, &mut StepReport),
    ) -> Vec<f64> {
        let share = 1.0 / visits.len().max(1) as f64;
        let [mut first, mut second, mut empty] = [0; 3].map(|_| vec![0.0; N_PARAMETERS]);
        for visit in visits {
            visit.add_trace_draw(network, self.loss, (0, share), &mut first);
            visit.add_trace_draw(network, self.loss, (1, share), &mut second);
            visit.add(network, (self.loss, &Empty), share, &mut empty);
        }
        let products = first.iter().zip(&second).zip(&empty);
        let distance = products.map(|((a, b), e)| (a - e) * (b - e)).sum();
        weight.observe(distance, 0.5 * distance_sq(&first, &second));
        let alpha = weight.alpha(Adaptive::N_TRACES);
        report.alpha = Some(alpha);
        report.alpha_estimated = Some(weight.alpha(1));
        let mixed = first.iter().zip(&second).zip(&empty);
        mixed
            .map(|((a, b), e)| alpha * 0.5 * (a + b) + (1.0 - alpha) * e)
            .collect()
    }

    /// `α*` at this batch size over the first pairs, traces and data random.
    fn optimal_weight(&self, network: &Network) -> f64 {
        let pairs = self.pairs.iter().take(self.n_oracle_pairs);
        let gradients: Vec<_> = pairs
            .map(|pair| ExactPair::new(network, pair).gradients(self.loss))
            .collect();
        let population = Population::of(&gradients);
        population
            .moments(self.n_batch, Randomness::TracesAndData)
            .alpha_star()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    use super::super::data::{Recipe, Silent, draw_pairs};
    use super::super::pretrain::initial;
    use super::super::task::{Prompt, Reward};
    use super::*;
    use crate::method::loss::Dpo;

    const LOSS: Dpo = Dpo { beta: 0.5 };

    fn pairs(reference: &[f64]) -> Vec<Pair> {
        let recipe = Recipe {
            n_pairs: 4,
            reward: Reward::Full,
            silent: Silent::Empty,
        };
        let prompts: Vec<Prompt> = [3, 50].map(|index| Prompt { index }).to_vec();
        let network = Network::new(reference.to_vec());
        draw_pairs(&network, &prompts, recipe, &mut Pcg64Mcg::seed_from_u64(2))
    }

    fn training(pairs: &[Pair], method: Method) -> Training<'_> {
        Training {
            pairs,
            loss: &LOSS,
            method,
            mode: Mode::Resample,
            rate: 1e-3,
            n_steps: 4,
            n_batch: 2,
            n_oracle_pairs: 1,
        }
    }

    #[test]
    fn every_method_lowers_its_loss_or_at_least_moves_the_same_way_twice() {
        let reference = initial(4);
        let pairs = pairs(&reference);
        for method in [
            Method::Trace,
            Method::Empty,
            Method::Mix(0.5),
            Method::Mean(2),
            Method::Weighted(2),
            Method::Union,
            Method::Shrink(0.5),
            Method::Adaptive,
            Method::Marginal,
        ] {
            let run = || {
                let mut rng = Pcg64Mcg::seed_from_u64(3);
                training(&pairs, method).run(&reference, &mut rng, |_, _, _| true)
            };
            let theta = run();
            assert_eq!(theta, run(), "{}", method.name());
            assert!(theta != reference && theta.iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn batch_gradients_are_means_of_exact_ones_in_expectation() {
        let reference = initial(4);
        let pairs = pairs(&reference);
        let network = Network::new(reference);
        let batch: Vec<&Pair> = pairs.iter().take(2).collect();
        let exact: Vec<_> = batch
            .iter()
            .map(|pair| ExactPair::new(&network, pair).gradients(&LOSS))
            .collect();
        let population = Population::of(&exact);
        // The empty gradient has no randomness at all.
        let empty = gradient_of(&training(&pairs, Method::Empty), &network, &batch);
        assert!(distance_sq(&empty, &population.empty) < 1e-18);
        let marginal = gradient_of(&training(&pairs, Method::Marginal), &network, &batch);
        assert!(distance_sq(&marginal, &population.marginal) < 1e-18);
    }

    fn gradient_of(training: &Training, network: &Network, batch: &[&Pair]) -> Vec<f64> {
        let mut rng = Pcg64Mcg::seed_from_u64(5);
        let (mut weight, mut report) = (AdaptiveWeight::new(0.9), StepReport::default());
        training.gradient(network, batch, (0.5, &mut weight, &mut report), &mut rng)
    }
}
