//! The correlation between the two scores, which nobody published: every value it might have.

use eval::{Cx, Result, Row};

/// Steps on each side of zero.
const N_STEPS: i32 = 500;

pub fn run(cx: &mut Cx) -> Result<()> {
    for step in -N_STEPS + 1..N_STEPS {
        let r12 = f64::from(step) / f64::from(N_STEPS);
        cx.row(Row::new("r12", r12, "r").item(step))?;
    }
    Ok(())
}
