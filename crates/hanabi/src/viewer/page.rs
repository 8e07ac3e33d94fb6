//! The page: template, style, script, and the games as data.

use eval::{Error, Result};

use super::replay::Replay;

const TEMPLATE: &str = include_str!("viewer.html");
const STYLE: &str = include_str!("viewer.css");
const SCRIPT: &str = include_str!("viewer.js");

/// One self-contained HTML page with the games, which a browser shows without a network.
///
/// # Errors
/// There is no game to show.
pub fn page(title: &str, games: &[Replay]) -> Result<String> {
    if games.is_empty() {
        return Err(Error::usage("there is no game to show").hint("give a file with games"));
    }
    let games = serde_json::to_string(&numbered(games))
        .map_err(|e| Error::internal("games cannot be written").caused_by(e))?;
    // Inside a script element only `<` can begin something else than data.
    let games = games.replace('<', "\\u003c");
    // Filled from the end, so that nothing that was filled in is looked at again.
    let mut page = String::new();
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        match name {
            "title" => page.push_str(&escaped(title)),
            "style" => page.push_str(STYLE),
            "script" => page.push_str(SCRIPT),
            "games" => page.push_str(&games),
            other => {
                return Err(Error::internal(format!("the page has no part `{other}`")));
            }
        }
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

/// The games with their numbers in the titles.
fn numbered(games: &[Replay]) -> Vec<Replay> {
    let mut games = games.to_vec();
    for (place, game) in games.iter_mut().enumerate() {
        game.title = format!("{}. {}", place + 1, game.title);
    }
    games
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Deck, HanabLive, Trace};

    fn replay(name: &str) -> Replay {
        let trace = Trace {
            n_players: 2,
            deck: Deck::sorted(),
            actions: vec![5, 5, 5],
            score: None,
        };
        let live = HanabLive::from_trace(&trace, &[name.into(), "b".into()]).unwrap();
        Replay::from_live(&live, "x").unwrap()
    }

    #[test]
    fn the_page_asks_nothing_from_anywhere() {
        let page = page("Games", &[replay("a")]).unwrap();
        for sign in [
            "http:", "https:", "//cdn", "src=", "@import", "url(", "<link", "fetch(",
        ] {
            assert!(!page.contains(sign), "`{sign}` in the page");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(!page.contains("{{") && page.ends_with("</html>\n"));
    }

    #[test]
    fn names_and_titles_cannot_become_markup() {
        let evil = "</script><img src=x onerror=alert(1)>{{script}}";
        let page = page(evil, &[replay(evil)]).unwrap();
        assert!(!page.contains("<img") && !page.contains("</script><"));
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("\\u003c/script>\\u003cimg"));
    }
}
