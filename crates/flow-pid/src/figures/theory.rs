//! Figures of the Gaussian and discrete theory: solvers' times, atoms against truth, Thin-PID's
//! path.

use std::collections::BTreeMap;

use eval::stats::median;
use eval::{Figure, Mark, MeasuredRow, Panel, Scaling, Series};

use super::{by_number, figure, largest, log_log, select, series};
use crate::atoms::ATOM_NAMES;

/// Solver and variant as tagged, and their name in a legend.
const SOLVERS: [(&str, &str, &str); 6] = [
    ("closed-form", "lean", "closed form"),
    ("reduced-thin", "lean", "reduced Thin-PID"),
    ("thin", "lean", "Thin-PID"),
    ("thin", "published", "Thin-PID, projecting always"),
    ("tilde", "lean", "Tilde-PID"),
    ("tilde", "published", "Tilde-PID, projecting always"),
];

fn middles(groups: Vec<(f64, Vec<f64>)>) -> Vec<[f64; 2]> {
    let middle = |(x, values): (f64, Vec<f64>)| Some([x, median(&values).ok()?]);
    groups.into_iter().filter_map(middle).collect()
}

/// Time of every solver against dimension, and iterations of those that iterate.
pub(super) fn times(rows: &[MeasuredRow], timings: &[MeasuredRow]) -> Option<Figure> {
    let panel = |sweep: &str, title: &str| {
        let lines = SOLVERS.iter().map(|(solver, variant, name)| {
            let keys = [("sweep", sweep), ("solver", *solver), ("variant", *variant)];
            let rows = select(timings, "solver-times", "total_cpu_ms", &keys);
            series(*name, Mark::Line, middles(by_number(rows, "d")))
        });
        let lines = lines.flatten().collect();
        log_log(title, "dimension d = d1", "processor time [ms]", lines)
    };
    let iterations = [
        ("thin", "Thin-PID"),
        ("tilde", "Tilde-PID"),
        ("reduced-thin", "reduced"),
    ];
    let counts = iterations.iter().map(|(solver, name)| {
        let keys = [("sweep", "square"), ("solver", *solver)];
        let rows = select(rows, "solver-times", "iterations", &keys);
        series(*name, Mark::Line, middles(by_number(rows, "d")))
    });
    let counts = log_log(
        "iterations, d2 = d",
        "dimension d = d1",
        "iterations",
        counts.flatten().collect(),
    );
    figure(
        "solver-times",
        "Time of every solver against dimension",
        "Processor time until the solver stops, median over channels with independent normal \
         entries. Thin-PID and Tilde-PID run on the same loop and the same matrix routines, each \
         as published (a projection in every iteration) and with the same shortcuts. Runs end \
         after 1,000 iterations at most. The closed form's time does not count what a \
         certificate costs.",
        vec![
            panel("square", "d2 = d, dy = 2"),
            panel("wide", "d2 = 100, dy = 2"),
            panel("ratio", "d2 = 0.6 d, dy = 1"),
            counts,
        ],
    )
}

/// Atoms of the paper's own channels by each solver against the closed form.
pub(super) fn truth(rows: &[MeasuredRow]) -> Option<Figure> {
    let key = |row: &MeasuredRow| {
        let part = |key| row.get(key).unwrap_or_default().to_owned();
        (part("dims"), part("atom"))
    };
    let values = |solver: &str| -> BTreeMap<(String, String), f64> {
        let keys = [("solver", solver)];
        let rows = select(rows, "published-truth", "atom_bits", &keys);
        rows.filter_map(|row| Some((key(row), row.row.value?)))
            .collect()
    };
    let truth = values("closed-form");
    let against = |solver: &str, name: &str| {
        let pairs = values(solver).into_iter();
        let points = pairs.filter_map(|(key, value)| Some([*truth.get(&key)?, value]));
        series(name, Mark::Points, points.collect())
    };
    let ends = truth.values().copied().fold(0.0, f64::max);
    let lines = [
        against("published", "Thin-PID"),
        against("tilde", "Tilde-PID"),
        against("mmi", "MMI"),
        series("equal", Mark::Reference, vec![[0.0, 0.0], [ends, ends]]).filter(|_| ends > 0.0),
    ];
    let panel = Panel {
        x_scaling: Scaling::Linear,
        y_scaling: Scaling::Linear,
        ..log_log(
            "channels of Table 2 and Table C.1",
            "atom by the closed form [bits]",
            "atom by the solver [bits]",
            lines.into_iter().flatten().collect(),
        )
    };
    figure(
        "atoms-against-truth",
        "Atoms against their certified values",
        "Every atom of the seven channels of the paper's tables, R, U1, U2, and S alike. MMI is \
         exact for scalars only and shows how far a decomposition can be off on the same channels.",
        vec![panel],
    )
}

/// Thin-PID's iterates against the optimum.
pub(super) fn path(rows: &[MeasuredRow]) -> Option<Figure> {
    let panel = |metric: &str, title: &str, y_label: &str, y_scaling: Scaling| {
        let lines = ["planar", "8x8x8", "16x16x2"].into_iter().map(|channel| {
            let keys = [("channel", channel)];
            let rows = select(rows, "path", metric, &keys);
            series(channel, Mark::Line, largest(by_number(rows, "iteration")))
        });
        Panel {
            x_scaling: Scaling::Linear,
            y_scaling,
            ..log_log(title, "iteration", y_label, lines.flatten().collect())
        }
    };
    figure(
        "path",
        "Thin-PID's way to the optimum",
        "First: what the objective of each iterate exceeds the certified optimum by. Second: \
         relative distance of the posterior precision to the optimum's, which is unique. Third: \
         relative distance of the iterate to the coupling of the closed form, which is one of \
         many minimisers. \
         Last: spectral norm; at 1 the iterate lies on the boundary, where the run begins and the \
         objective may be undefined.",
        vec![
            panel("gap_bits", "objective", "gap [bits]", Scaling::Log),
            panel(
                "posterior_distance",
                "posterior",
                "relative distance",
                Scaling::Log,
            ),
            panel("distance", "coupling", "relative distance", Scaling::Log),
            panel("norm", "norm", "spectral norm", Scaling::Linear),
        ],
    )
}

/// Atoms of the additive label against the number of classes.
pub(super) fn additive(rows: &[MeasuredRow]) -> Option<Figure> {
    let line = |metric: &str, keys: &[(&str, &str)], name: &str, mark| -> Option<Series> {
        let rows = select(rows, "additive-label", metric, keys);
        series(name, mark, largest(by_number(rows, "levels")))
    };
    let mut lines: Vec<Series> = ATOM_NAMES
        .into_iter()
        .filter_map(|atom| line("atom_bits", &[("atom", atom)], atom, Mark::Line))
        .collect();
    let name = "exact redundancy";
    lines.extend(line("exact_redundancy_bits", &[], name, Mark::Reference));
    let panel = Panel {
        y_scaling: Scaling::Linear,
        ..log_log(
            "Y = 1[z1 + z2 > 0]",
            "classes per source",
            "information [bits]",
            lines,
        )
    };
    figure(
        "additive-label",
        "An additive label is not pure synergy",
        "Exact discrete decomposition of two independent normal sources cut into classes of equal \
         probability. With more classes the redundancy rises to 1 - 1/(2 ln 2).",
        vec![panel],
    )
}
