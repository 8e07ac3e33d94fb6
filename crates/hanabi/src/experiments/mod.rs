//! What is measured: cells and their rows.

mod grid;
mod judged;
mod ladder;
mod language;
mod population;
mod recorded;
mod teams;
mod unknown;

use eval::{Cell, Cx, Effort, Error, Result, Scale};

use crate::paper::Config;

/// Name of the experiment that replays recorded games.
pub const RECORDED: &str = "recorded-games";
/// Name of the experiment that plays the reference policies.
pub const LADDER: &str = "ladder";
/// Name of the experiment that varies both abilities of whole teams.
pub const GRID: &str = "ability-grid";
/// Name of the experiment that measures players of varied abilities.
pub const POPULATION: &str = "population";
/// Name of the experiment that measures such players under other rules.
pub const REGIMES: &str = "other-regimes";
/// Name of the experiment whose seats differ.
pub const CROSS: &str = "cross-play";
/// Name of the experiment that raises one ability of one seat.
pub const ONE_SEAT: &str = "one-seat";
/// Name of the experiment that lists what the unknown correlation may be.
pub const UNKNOWN: &str = "unknown-correlation";

/// Name of the experiment that tests judges without a language model, and beginning of the names of
/// those that test one.
pub const JUDGES: &str = "judge-calibration";
/// Name of the experiment whose players are judged by their words.
pub const JUDGED_POPULATION: &str = "judged-population";
/// Beginning of the names of experiments that ask a language model, one per model: CoordQA items.
pub const COORDQA: &str = "coordqa";
/// The same: whole games.
pub const LANGUAGE_GAMES: &str = "language-games";

/// Every cell, in canonical order. At smoke none needs an input: claims that rest on recorded games
/// or on language models are then not attempted, and say so.
pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let mut cells = Vec::new();
    if effort.scale != Scale::Smoke {
        cells.push(Cell::new(RECORDED, 0).needs(recorded::DATA));
    }
    cells.push(Cell::new(UNKNOWN, 0));
    cells.extend(ladder::cells(config, effort));
    cells.extend(grid::cells(config, effort));
    cells.extend(population::cells(config, effort));
    cells.extend(population::cells_of_other_regimes(config, effort));
    cells.extend(teams::cells(config, effort));
    cells.extend(judged::cells(config, effort));
    cells.extend(language::cells(config, effort));
    cells
}

/// Measures one cell.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    if let Some(done) = language::run(cx, cell) {
        return done;
    }
    match cell.experiment.as_str() {
        RECORDED => recorded::run(cx),
        UNKNOWN => unknown::run(cx),
        LADDER => ladder::run(cx, config, cell),
        GRID => grid::run(cx, config, cell),
        POPULATION => population::run(cx, config, cell),
        REGIMES => population::run_other_regime(cx, config, cell),
        CROSS => teams::run_cross(cx, config, cell),
        ONE_SEAT => teams::run_one_seat(cx, config, cell),
        JUDGES => judged::run_judge(cx, cell),
        JUDGED_POPULATION => judged::run_population(cx, cell),
        other => Err(Error::internal(format!("there is no experiment `{other}`"))),
    }
}

/// A condition of the cell as a number.
fn condition<T: std::str::FromStr>(cell: &Cell, key: &str) -> Result<T> {
    let text = cell.get(key).unwrap_or_default();
    text.parse()
        .map_err(|_| Error::internal(format!("cell `{}` has `{text}` for `{key}`", cell.id())))
}

/// The generator of a cell's games, seeded from its named stream: games need millions of draws.
fn games_rng(cx: &Cx, purpose: &str) -> rand_pcg::Pcg64Mcg {
    use rand::SeedableRng;
    rand_pcg::Pcg64Mcg::from_rng(&mut cx.rng(purpose))
}

#[cfg(test)]
mod tests {
    use eval::PaperManifest;

    use super::*;

    fn planned(scale: Scale, config: &Config) -> Vec<Cell> {
        cells(config, Effort { scale, n_seeds: 2 })
    }

    #[test]
    fn smoke_needs_no_input_and_no_language_model() {
        let config = Config::default();
        let smoke = planned(Scale::Smoke, &config);
        assert!(smoke.iter().all(|cell| cell.needs.is_empty()));
        let quick = planned(Scale::Quick, &config);
        assert!(quick.iter().any(|cell| cell.needs.len() == 2));
        let without = Config {
            language_models: false,
            ..config
        };
        let needs = planned(Scale::Quick, &without).into_iter();
        let needs: Vec<String> = needs.flat_map(|cell| cell.needs).collect();
        assert_eq!(needs, [recorded::DATA]);
    }

    #[test]
    fn claims_without_cells_at_smoke_say_that_they_are_not_attempted() {
        let manifest =
            PaperManifest::parse(include_str!("../../paper.toml"), "paper.toml").unwrap();
        let smoke = planned(Scale::Smoke, &Config::default());
        for claim in manifest.select(&[]).unwrap() {
            let has_cells = claim
                .experiments
                .iter()
                .all(|name| smoke.iter().any(|cell| cell.experiment == *name));
            assert_eq!(has_cells, claim.scale_min.is_none(), "claim {}", claim.id);
        }
    }
}
