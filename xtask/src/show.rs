//! `show`: one paper's claims with places, published numbers, tests, and limits; no build.

use eval::{Claim, PaperManifest, Result, exit, verdict};

use crate::cli::Format;
use crate::workspace::Workspace;
use crate::{output, text};

/// Prints a paper.
///
/// # Errors
/// The paper does not exist, or its `paper.toml` cannot be understood.
pub fn show(workspace: &Workspace, paper: &str, format: Format) -> Result<u8> {
    workspace.check_papers(&[paper.to_owned()])?;
    let manifest = workspace.manifest(paper)?;
    match format {
        Format::Json => output::json(&manifest)?,
        Format::Table => output::data(&page(&manifest))?,
    }
    Ok(exit::COMPLETE)
}

fn page(manifest: &PaperManifest) -> String {
    let paper = &manifest.paper;
    let mut page = text::paragraph(0, "", 0, &format!("{}: {}", paper.id, paper.title));
    let seeds = manifest.seeds;
    let identity = [
        ("arXiv", format!("{}{}", paper.arxiv, paper.version)),
        ("authors", paper.authors.join(", ")),
        ("idea", paper.idea.clone()),
        ("limits", paper.limits.clone()),
        (
            "seeds",
            format!(
                "smoke {}, quick {}, full {}, paper {}",
                seeds.smoke, seeds.quick, seeds.full, seeds.paper
            ),
        ),
    ];
    for (label, words) in identity {
        page.push_str(&text::paragraph(0, label, 9, &words));
    }
    for claim in &manifest.claims {
        page.push('\n');
        page.push_str(&block(claim));
    }
    page
}

fn block(claim: &Claim) -> String {
    let heading = format!("{} ({}; {})", claim.id, claim.place, claim.tier);
    let mut block = text::paragraph(0, "", 0, &heading);
    for (label, words) in lines(claim) {
        block.push_str(&text::paragraph(2, label, 13, &words));
    }
    block
}

fn lines(claim: &Claim) -> Vec<(&'static str, String)> {
    let published = match (claim.published, claim.resolution) {
        (None, _) => "no number".to_owned(),
        (Some(value), None) => format!("{value}{}", unit(claim)),
        (Some(value), Some(step)) => format!("{value}{}, last digit {step}", unit(claim)),
    };
    let test = match claim.test.bound.or(claim.published) {
        Some(bound) => verdict::describe(&claim.test, bound, &claim.unit),
        None => "states no bound".to_owned(),
    };
    let mut lines = vec![
        ("says", claim.says.clone()),
        ("published", published),
        ("we measure", claim.measures.clone()),
        ("test", test),
        ("experiments", claim.experiments.join(", ")),
    ];
    if let Some(control) = &claim.control {
        lines.push(("control", control.says.clone()));
    }
    if let Some(scale) = claim.scale_min {
        lines.push(("from scale", scale.to_string()));
    }
    if let Some(beyond) = &claim.beyond {
        lines.push(("beyond", beyond.clone()));
    }
    if !claim.gate {
        lines.push(("gate", "not watched by `--gate`".to_owned()));
    }
    lines
}

/// The unit behind a number; pure numbers have none.
fn unit(claim: &Claim) -> String {
    if claim.unit == "1" {
        String::new()
    } else {
        format!(" {}", claim.unit)
    }
}
