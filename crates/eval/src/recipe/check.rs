//! Whether a recipe makes sense, before anything is measured.

use std::collections::BTreeSet;

use crate::claim::{Recipe, RecipeKind};

/// The selectors that a recipe takes besides metric, source, tags, and `unit_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Takes {
    arms: bool,
    x: bool,
    unit_by: bool,
}

fn takes(kind: RecipeKind) -> Option<Takes> {
    let plain = Takes {
        arms: false,
        x: false,
        unit_by: false,
    };
    match kind {
        RecipeKind::Max
        | RecipeKind::Min
        | RecipeKind::Mean
        | RecipeKind::Median
        | RecipeKind::Proportion => Some(plain),
        RecipeKind::PairedDifference | RecipeKind::Ratio => Some(Takes {
            arms: true,
            unit_by: true,
            ..plain
        }),
        RecipeKind::GrowthExponent => Some(Takes { x: true, ..plain }),
        RecipeKind::Pearson | RecipeKind::Spearman => Some(Takes {
            x: true,
            unit_by: true,
            ..plain
        }),
        // What a paper's own estimate reads is the paper's affair.
        RecipeKind::Custom => None,
    }
}

/// Whether the selectors of a recipe fit its kind.
///
/// `paired_difference` and `ratio` need `arm`, `a`, and `b`; `growth_exponent`, `pearson`, and
/// `spearman` need `x`; the others have none of them. Whatever pairs values needs `unit_by` to
/// know which belong together. A `custom` recipe may use any of them.
///
/// # Errors
/// The first thing that does not fit, as a fragment that names the key and what to do.
pub fn check(recipe: &Recipe) -> Result<(), String> {
    if recipe.metric.trim().is_empty() {
        return Err("`metric` is empty; name the metric of the rows that count".to_owned());
    }
    let keys = &recipe.unit_by;
    let distinct: BTreeSet<&String> = keys.iter().collect();
    if distinct.len() < keys.len() || keys.iter().any(|key| key.trim().is_empty()) {
        return Err("`unit_by` has an empty or repeated key; name each key once".to_owned());
    }
    let Some(takes) = takes(recipe.recipe) else {
        return Ok(());
    };
    let name = name(recipe.recipe);
    for (key, value, taken) in [
        ("arm", &recipe.arm, takes.arms),
        ("a", &recipe.a, takes.arms),
        ("b", &recipe.b, takes.arms),
        ("x", &recipe.x, takes.x),
    ] {
        match (value.as_deref().map(str::trim), taken) {
            (Some(""), true) => return Err(format!("`{key}` is empty")),
            (None, true) => return Err(format!("recipe `{name}` needs `{key}`")),
            (Some(_), false) => {
                return Err(format!("recipe `{name}` has no use for `{key}`; remove it"));
            }
            (Some(_), true) | (None, false) => {}
        }
    }
    if takes.arms && recipe.a == recipe.b {
        return Err("`a` and `b` are the same arm; name two".to_owned());
    }
    if takes.arms && recipe.arm.as_ref().is_some_and(|arm| keys.contains(arm)) {
        return Err("`unit_by` holds the key of `arm`, so no unit is in both arms".to_owned());
    }
    if takes.unit_by && keys.is_empty() {
        return Err(format!(
            "recipe `{name}` needs `unit_by`, to know which values belong together"
        ));
    }
    let correlates = matches!(recipe.recipe, RecipeKind::Pearson | RecipeKind::Spearman);
    if correlates && recipe.x.as_ref() == Some(&recipe.metric) {
        return Err("`x` and `metric` are the same metric; name two".to_owned());
    }
    Ok(())
}

/// The word of `paper.toml`.
fn name(kind: RecipeKind) -> &'static str {
    match kind {
        RecipeKind::Max => "max",
        RecipeKind::Min => "min",
        RecipeKind::Mean => "mean",
        RecipeKind::Median => "median",
        RecipeKind::Proportion => "proportion",
        RecipeKind::PairedDifference => "paired_difference",
        RecipeKind::Ratio => "ratio",
        RecipeKind::GrowthExponent => "growth_exponent",
        RecipeKind::Pearson => "pearson",
        RecipeKind::Spearman => "spearman",
        RecipeKind::Custom => "custom",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<String> {
        let recipe: Recipe = toml::from_str(&format!("metric = \"m\"\n{text}")).unwrap();
        check(&recipe).err()
    }

    const ARMS: &str = "arm = \"solver\"\na = \"ours\"\nb = \"theirs\"\nunit_by = [\"seed\"]";

    #[test]
    fn the_smallest_sensible_recipe_of_each_kind_passes() {
        for kind in ["max", "min", "mean", "median", "proportion", "custom"] {
            assert_eq!(problem(&format!("recipe = \"{kind}\"")), None, "{kind}");
        }
        for kind in ["paired_difference", "ratio"] {
            assert_eq!(
                problem(&format!("recipe = \"{kind}\"\n{ARMS}")),
                None,
                "{kind}"
            );
        }
        assert_eq!(problem("recipe = \"growth_exponent\"\nx = \"d\""), None);
        for kind in ["pearson", "spearman"] {
            let text = format!("recipe = \"{kind}\"\nx = \"d\"\nunit_by = [\"seed\"]");
            assert_eq!(problem(&text), None, "{kind}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for kind in ["paired_difference", "ratio"] {
            for key in ["arm", "a", "b", "unit_by"] {
                let kept: Vec<&str> = ARMS
                    .lines()
                    .filter(|line| !line.starts_with(&format!("{key} ")))
                    .collect();
                let said = problem(&format!("recipe = \"{kind}\"\n{}", kept.join("\n"))).unwrap();
                assert!(
                    said.contains(&format!("`{key}`")),
                    "{kind} without {key}: {said}"
                );
            }
        }
        for kind in ["growth_exponent", "pearson", "spearman"] {
            let said = problem(&format!("recipe = \"{kind}\"\nunit_by = [\"seed\"]")).unwrap();
            assert!(said.contains("`x`"), "{said}");
        }
        for kind in ["pearson", "spearman"] {
            let said = problem(&format!("recipe = \"{kind}\"\nx = \"d\"")).unwrap();
            assert!(said.contains("`unit_by`"), "{said}");
        }
    }

    #[test]
    fn what_has_no_use_is_refused() {
        for kind in ["max", "min", "mean", "median", "proportion"] {
            for key in ["arm", "a", "b", "x"] {
                let said = problem(&format!("recipe = \"{kind}\"\n{key} = \"v\"")).unwrap();
                assert!(said.contains(&format!("`{key}`")), "{said}");
            }
        }
        assert!(problem(&format!("recipe = \"ratio\"\n{ARMS}\nx = \"d\"")).is_some());
    }

    #[test]
    fn nonsense_is_refused() {
        let same = ARMS.replace("theirs", "ours");
        assert!(problem(&format!("recipe = \"ratio\"\n{same}")).is_some());
        let unpaired = ARMS.replace("\"seed\"", "\"solver\"");
        assert!(problem(&format!("recipe = \"ratio\"\n{unpaired}")).is_some());
        assert!(problem("recipe = \"mean\"\nunit_by = [\"a\", \"a\"]").is_some());
        assert!(problem("recipe = \"pearson\"\nx = \"m\"\nunit_by = [\"seed\"]").is_some());
        let nameless: Recipe = toml::from_str("recipe = \"mean\"\nmetric = \" \"").unwrap();
        assert!(check(&nameless).is_err());
    }
}
