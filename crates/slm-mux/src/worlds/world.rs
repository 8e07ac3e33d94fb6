//! A world of models and questions.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use eval::{Error, Result};

use crate::samples::{Code, SampleTable};

/// How able the models are, on the scale of the log odds of a question of middle difficulty.
#[derive(Clone, Debug, PartialEq)]
pub enum Models {
    /// Given values.
    Fixed(Vec<f64>),
    /// So many draws of a normal distribution with this mean and deviation.
    Drawn(usize, f64, f64),
}

/// The four numbers of a world, and the models.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldSpec {
    /// The models.
    pub models: Models,
    /// Deviation of the log odds between questions.
    pub spread: f64,
    /// Share of that variance that all models have in common: the correlation of their
    /// difficulties, from 0 to 1.
    pub correlation: f64,
    /// Wrong answers of each model on a question, equally likely but for the temptation.
    pub n_wrong: usize,
    /// Probability that a wrong sample is the question's common wrong answer.
    pub temptation: f64,
}

/// Probabilities of every answer of every model on every question.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    n_models: usize,
    /// `[question][model]`: probabilities, the right answer first, then the common wrong one.
    answers: Vec<Vec<Vec<f64>>>,
}

impl WorldSpec {
    /// Draws the questions of a world.
    #[must_use]
    pub fn draw(&self, n_questions: usize, random: &mut impl Rng) -> World {
        let abilities: Vec<f64> = match &self.models {
            Models::Fixed(values) => values.clone(),
            Models::Drawn(n, mean, deviation) => {
                (0..*n).map(|_| mean + deviation * normal(random)).collect()
            }
        };
        self.with_abilities(&abilities, n_questions, random)
    }

    /// Draws two halves of questions for the same models.
    #[must_use]
    pub fn draw_halves(&self, n_questions: usize, random: &mut impl Rng) -> [World; 2] {
        let whole = self.draw(2 * n_questions, random);
        let mut first = whole.answers;
        let second = first.split_off(n_questions);
        [first, second].map(|answers| World {
            n_models: whole.n_models,
            answers,
        })
    }

    fn with_abilities(
        &self,
        abilities: &[f64],
        n_questions: usize,
        random: &mut impl Rng,
    ) -> World {
        let (common, own) = (self.correlation.sqrt(), (1.0 - self.correlation).sqrt());
        let answers = (0..n_questions)
            .map(|_| {
                let shared = normal(random);
                let one = |ability: &f64| {
                    let ease = common * shared + own * normal(random);
                    self.answers(ability + self.spread * ease)
                };
                abilities.iter().map(one).collect()
            })
            .collect();
        World {
            n_models: abilities.len(),
            answers,
        }
    }

    fn answers(&self, log_odds: f64) -> Vec<f64> {
        let right = 1.0 / (1.0 + (-log_odds).exp());
        let n_wrong = self.n_wrong.max(1);
        let wrong = 1.0 - right;
        let each = wrong * (1.0 - self.temptation) / n_wrong as f64;
        let mut answers = vec![each; n_wrong + 1];
        answers[0] = right;
        answers[1] += wrong * self.temptation;
        answers
    }
}

impl World {
    /// Number of models.
    #[must_use]
    pub fn n_models(&self) -> usize {
        self.n_models
    }

    /// Number of questions.
    #[must_use]
    pub fn n_questions(&self) -> usize {
        self.answers.len()
    }

    /// The probabilities of one model's answers to a question, the right one first.
    #[must_use]
    pub fn answers(&self, question: usize, model: usize) -> &[f64] {
        &self.answers[question][model]
    }

    /// The probability of a right sample, mean over questions.
    #[must_use]
    pub fn accuracies(&self) -> Vec<f64> {
        let mean = |model: usize| {
            let rights = self.answers.iter().map(|models| models[model][0]);
            rights.sum::<f64>() / self.answers.len().max(1) as f64
        };
        (0..self.n_models).map(mean).collect()
    }

    /// `n_samples` samples of every model on every question.
    ///
    /// # Errors
    /// There is no model or no sample.
    pub fn samples(&self, n_samples: usize, random: &mut impl Rng) -> Result<SampleTable> {
        if self.n_models == 0 || n_samples == 0 {
            return Err(Error::usage("a world needs a model and a sample"));
        }
        let models = (0..self.n_models)
            .map(|model| format!("m{model}"))
            .collect();
        let mut codes = Vec::with_capacity(self.answers.len() * self.n_models * n_samples);
        for answers in self.answers.iter().flatten() {
            for _ in 0..n_samples {
                codes.push(draw(answers, random));
            }
        }
        SampleTable::from_codes(models, n_samples, codes)
    }
}

fn draw(answers: &[f64], random: &mut impl Rng) -> Code {
    let mut rest: f64 = random.random();
    for (code, share) in answers.iter().enumerate() {
        rest -= share;
        if rest < 0.0 {
            return code as Code;
        }
    }
    // Rounding left a sliver beyond the last answer.
    (answers.len() - 1) as Code
}

fn normal(random: &mut impl Rng) -> f64 {
    StandardNormal.sample(random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn spec(correlation: f64) -> WorldSpec {
        WorldSpec {
            models: Models::Fixed(vec![0.0, 1.0]),
            spread: 2.0,
            correlation,
            n_wrong: 3,
            temptation: 0.5,
        }
    }

    #[test]
    fn probabilities_add_up_and_samples_follow_them() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(1);
        let world = spec(0.5).draw(40, &mut random);
        for question in 0..40 {
            let total: f64 = world.answers(question, 1).iter().sum();
            assert!((total - 1.0).abs() < 1e-12);
        }
        let table = world.samples(500, &mut random).unwrap();
        let measured = table.accuracies();
        for (measured, expected) in measured.iter().zip(world.accuracies()) {
            assert!((measured - expected).abs() < 0.02, "{measured} {expected}");
        }
    }

    #[test]
    fn correlation_is_that_of_the_difficulties() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(2);
        let odds = |world: &World, model| -> Vec<f64> {
            let p = (0..world.n_questions()).map(|q| world.answers(q, model)[0]);
            p.map(|p| (p / (1.0 - p)).ln()).collect()
        };
        for rho in [0.0, 0.6, 1.0] {
            let world = spec(rho).draw(4000, &mut random);
            let (a, b) = (odds(&world, 0), odds(&world, 1));
            let found = eval::stats::pearson(&a, &b, 0.95).unwrap();
            assert!((found.interval.value - rho).abs() < 0.05, "{rho}");
        }
    }
}
