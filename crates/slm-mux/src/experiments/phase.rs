//! X5: where the rule beats self-consistency of the better model, over samples, wrong answers, the
//! gap between the models, and the correlation of their errors. Exact given the questions (T3).

use eval::{Cell, Cx, Effort, Result, Row};

use super::generator;
use crate::paper::Config;
use crate::rule::Ranking;
use crate::theory::{Agreement, Modal, WrongAnswers, rule_accuracy};
use crate::worlds::{Models, WorldSpec};

/// Name of the experiment.
pub const PHASE: &str = "phase-diagram";

const KS: [usize; 3] = [3, 5, 9];
const GAPS: [f64; 6] = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0];
const CORRELATIONS: [f64; 4] = [0.0, 0.5, 0.8, 1.0];

pub fn cells(effort: Effort) -> Vec<Cell> {
    effort.seeds().map(|seed| Cell::new(PHASE, seed)).collect()
}

pub fn run(cx: &mut Cx, config: &Config) -> Result<()> {
    for gap in GAPS {
        for correlation in CORRELATIONS {
            let spec = WorldSpec {
                models: Models::Fixed(vec![0.5, 0.5 - gap]),
                spread: 1.5,
                correlation,
                n_wrong: 1,
                temptation: 0.0,
            };
            // The same stream everywhere: settings are compared on the same difficulties.
            let mut random = generator(cx, "questions");
            let world = spec.draw(config.n_questions, &mut random);
            for (m, wrong) in WrongAnswers::NAMED {
                for k in KS {
                    let agreement = Agreement::new(k, wrong);
                    let (mut rule, mut single) = (0.0, 0.0);
                    for question in 0..world.n_questions() {
                        let modals: Vec<Modal> = (0..2)
                            .map(|model| agreement.modal(world.answers(question, model)[0]))
                            .collect();
                        rule += rule_accuracy(&modals, &Ranking::list_order(2));
                        single += modals[0].accuracy();
                    }
                    let difference = (rule - single) / world.n_questions() as f64;
                    let row = Row::new("mux_minus_sc", 100.0 * difference, "points");
                    cx.row(
                        row.tag("k", k)
                            .tag("m", m)
                            .tag("gap", gap)
                            .tag("correlation", correlation),
                    )?;
                }
            }
        }
    }
    Ok(())
}
