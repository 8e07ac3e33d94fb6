//! Every recorded game replays legally to its recorded score (§8.1, point 1).

use eval::{Cx, Error, Result, Row};

use crate::rules::Trace;

/// The data set.
pub const DATA: &str = "jaxmarl-hanabi";

pub fn run(cx: &mut Cx) -> Result<()> {
    let path = cx.data(DATA)?.file("jm10k.txt.xz")?;
    let file = std::fs::File::open(&path).map_err(|e| Error::io("read", &path, e))?;
    let text = std::io::read_to_string(lzma_rust2::XzReader::new(file, false))
        .map_err(|e| Error::io("unpack", &path, e))?;
    let n_games = text.lines().count() as u64;
    for (game_idx, line) in text.lines().enumerate() {
        let item = format!("game-{game_idx}");
        let row = |equal: bool| Row::new("replayed", f64::from(equal), "1").item(item);
        // An illegal move is a finding about the rules, not a measurement that went wrong.
        cx.row(match replays(line) {
            Ok(equal) => row(equal),
            Err(error) => row(false).tag("why", error),
        })?;
        cx.progress(game_idx as u64 + 1, n_games);
    }
    Ok(())
}

/// Whether the game ends with its last action and with the recorded score.
fn replays(line: &str) -> Result<bool> {
    let trace = Trace::parse(line)?;
    let game = trace.replay(|_, _, _| ())?;
    Ok(game.end().is_some() && Some(game.score_strict()) == trace.score)
}
