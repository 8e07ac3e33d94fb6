//! Bars of the four atoms with intervals and null bounds, as SVG.

use std::fmt::Write as _;

use super::report::{AtomReport, Report};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 60.0;

/// The picture. Colour carries no meaning of its own: bars are labelled, the null is dashed.
pub(super) fn svg(report: &Report) -> String {
    let atoms = &report.atoms[..report.atoms.len().min(4)];
    let ceiling = report.target.entropy_bits;
    let reaches = atoms.iter().flat_map(|atom| {
        let high = atom.interval.map_or(atom.bits, |[_, high]| high);
        [atom.bits, high, atom.null_bound.unwrap_or(0.0)]
    });
    let top = reaches.fold(ceiling.unwrap_or(0.0), f64::max).max(1e-6) * 1.08;
    let plot_height = HEIGHT - TOP - BOTTOM;
    let y = |bits: f64| TOP + plot_height * (1.0 - (bits / top).clamp(0.0, 1.0));
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" \
         role=\"img\" aria-label=\"Redundant, unique, and synergistic information in bits\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">Partial information decomposition, \
         {} ({} items)</text>",
        report.method, report.n_items
    );
    axis(&mut out, top, &y);
    for (k, atom) in atoms.iter().enumerate() {
        bar(&mut out, k, atom, &y);
    }
    if let Some(entropy) = ceiling {
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {:.1}H{:.1}\" stroke=\"#606060\" stroke-dasharray=\"1 3\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"11\">H(Y) = \
             {entropy:.3}</text>",
            y(entropy),
            WIDTH - RIGHT,
            WIDTH - RIGHT,
            y(entropy) - 4.0
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{:.1}\" font-size=\"11\">bits; whiskers: {:.0} % bootstrap \
         interval; dashed: {:.0} % of shuffled targets</text>\n</svg>",
        HEIGHT - 10.0,
        100.0 * report.level,
        100.0 * report.level
    );
    out
}

/// One bar with whiskers, null bound, and labels.
fn bar(out: &mut String, k: usize, atom: &AtomReport, y: &impl Fn(f64) -> f64) {
    let slot = (WIDTH - LEFT - RIGHT) / 4.0;
    let centre = LEFT + (k as f64 + 0.5) * slot;
    let (x, height) = (centre - 0.3 * slot, y(0.0) - y(atom.bits));
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" \
         fill=\"#4878a8\"/>",
        y(atom.bits),
        0.6 * slot
    );
    if let Some([low, high]) = atom.interval {
        let (a, b) = (y(low), y(high));
        let _ = writeln!(
            out,
            "<path d=\"M{centre:.1} {a:.1}V{b:.1}M{:.1} {a:.1}h12M{:.1} {b:.1}h12\" \
             stroke=\"black\" fill=\"none\"/>",
            centre - 6.0,
            centre - 6.0
        );
    }
    if let Some(bound) = atom.null_bound {
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {:.1}h{:.1}\" stroke=\"#b03030\" stroke-width=\"2\" \
             stroke-dasharray=\"4 3\"/>",
            y(bound),
            0.6 * slot
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{centre:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
         <text x=\"{centre:.1}\" y=\"{:.1}\" text-anchor=\"middle\" \
         font-size=\"11\">{:.3}</text>",
        HEIGHT - BOTTOM + 18.0,
        atom.name,
        HEIGHT - BOTTOM + 33.0,
        atom.bits
    );
}

/// The vertical axis with a handful of round marks.
fn axis(out: &mut String, top: f64, y: &impl Fn(f64) -> f64) {
    let rough = top / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(power);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let mut mark = 0.0;
    while mark <= top {
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {0:.1}H{1:.1}\" stroke=\"#e0e0e0\"/>\n\
             <text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\" \
             font-size=\"11\">{mark:.decimals$}</text>",
            y(mark),
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(mark) + 4.0
        );
        mark += step;
    }
}
