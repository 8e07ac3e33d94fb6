//! Which cells a run has.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::run::{FORMAT, Plan};
use crate::{Cell, Claim, Effort};

/// The plan of the selected claims: the cells of every experiment they rest on, in the paper's
/// order; if no claim was named, every cell.
///
/// # Errors
/// Two cells are the same, or no cell is selected.
pub fn plan(cells: Vec<Cell>, claims: &[&Claim], all: bool, effort: Effort) -> Result<Plan> {
    let mut seen = BTreeMap::new();
    for cell in &cells {
        if seen.insert(cell.id(), ()).is_some() {
            return Err(Error::internal(format!(
                "the cell `{}` is planned twice",
                cell.id()
            )));
        }
    }
    let attempted = claims.iter().filter(|claim| is_in_reach(claim, effort));
    let wanted: BTreeSet<&str> = attempted
        .flat_map(|claim| claim.experiments.iter().map(String::as_str))
        .collect();
    let cells: Vec<Cell> = cells
        .into_iter()
        .filter(|cell| all || wanted.contains(cell.experiment.as_str()))
        .collect();
    if cells.is_empty() {
        let ids = claims
            .iter()
            .map(|claim| claim.id.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let message = format!(
            "no cell is selected by the claims {ids} at scale {}",
            effort.scale
        );
        return Err(Error::usage(message).hint("choose other claims, or a larger `--scale`"));
    }
    let claims = claims.iter().map(|claim| claim.id.clone()).collect();
    Ok(Plan {
        format: FORMAT,
        claims,
        cells,
    })
}

/// Whether the claim is attempted at this scale.
pub fn is_in_reach(claim: &Claim, effort: Effort) -> bool {
    claim.scale_min.is_none_or(|scale| effort.scale >= scale)
}

/// Every input that some cell of the plan needs.
pub fn inputs_needed(plan: &Plan) -> BTreeSet<String> {
    plan.cells
        .iter()
        .flat_map(|cell| cell.needs.iter().cloned())
        .collect()
}
