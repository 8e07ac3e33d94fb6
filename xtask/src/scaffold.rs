//! `new`: a paper of two hand-written files that runs, reports, and passes the tests at once.
//!
//! It writes a folder below `crates/` in one step and edits no existing file: papers, crates, and
//! workspace members are found by place.

use std::path::Path;

use eval::{Error, Result, exit};

use crate::cli::NewArgs;
use crate::output;
use crate::workspace::Workspace;

/// The files of a scaffold: path in the crate and template.
const FILES: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../templates/Cargo.toml.txt")),
    ("paper.toml", include_str!("../templates/paper.toml.txt")),
    ("src/main.rs", include_str!("../templates/main.rs.txt")),
];

/// Longest id; it names folders, crates, and programs.
const ID_CHARS_MAX: usize = 40;

/// Words that cannot name a crate: Rust's keywords, its own crates, and names of build outputs.
const RESERVED: [&str; 64] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "bench",
    "benches",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tests",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "xtask",
    "yield",
];

/// What goes into the templates.
struct Filling<'a> {
    id: &'a str,
    arxiv: &'a str,
    version: &'a str,
    title: String,
}

/// Writes the scaffold and prints its folder; the next commands go to stderr.
///
/// # Errors
/// The id or the arXiv identifier makes no sense, the name is taken, or the folder cannot be
/// written.
pub fn new(workspace: &Workspace, args: &NewArgs) -> Result<u8> {
    let filling = filling(args)?;
    check_free(workspace, filling.id)?;
    let folder = workspace.crate_folder(filling.id);
    write(workspace.root(), &folder, &filling)?;
    let id = filling.id;
    output::data(&format!("crates/{id}"))?;
    output::note(&format!(
        "\nThe paper `{id}` is there. Next:\n  \
         cargo xtask show {id}\n  \
         cargo xtask reproduce {id} --scale smoke\n  \
         cargo test --package {id}\n\
         Then write its claims into crates/{id}/paper.toml and its method into \
         crates/{id}/src/main.rs."
    ));
    Ok(exit::COMPLETE)
}

fn filling(args: &NewArgs) -> Result<Filling<'_>> {
    check_id(&args.id)?;
    let (arxiv, version) = split_arxiv(&args.arxiv)?;
    let title = match args.title.as_deref().map(str::trim) {
        None => format!("arXiv {arxiv}"),
        Some(title) if title.is_empty() || title.chars().any(char::is_control) => {
            return Err(Error::usage("`--title` must be one line of text"));
        }
        Some(title) => title.to_owned(),
    };
    Ok(Filling {
        id: &args.id,
        arxiv,
        version,
        title,
    })
}

/// Ids are lowercase words joined by single hyphens, and no word that Rust or cargo keeps.
fn check_id(id: &str) -> Result<()> {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let starts_well = id.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !starts_well || !id.split('-').all(word) || id.len() > ID_CHARS_MAX {
        return Err(Error::usage(format!("`{id}` cannot name a paper")).hint(format!(
            "use at most {ID_CHARS_MAX} lowercase letters, digits, and single hyphens, a letter \
             first: `my-paper`"
        )));
    }
    if RESERVED.contains(&id) {
        return Err(Error::usage(format!(
            "`{id}` cannot name a paper: Rust or cargo keeps it"
        ))
        .hint(format!("try `{id}-paper`")));
    }
    Ok(())
}

/// The identifier without version, and the version: `2510.04417`, `v1`.
fn split_arxiv(text: &str) -> Result<(&str, &str)> {
    let (number, version) = match text.find('v') {
        Some(at) => text.split_at(at),
        None => (text, "v1"),
    };
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let number_is_good = number
        .split_once('.')
        .is_some_and(|(month, count)| digits(month, 4..=4) && digits(count, 4..=5));
    let version_is_good = version.strip_prefix('v').is_some_and(|n| digits(n, 1..=3));
    if number_is_good && version_is_good {
        return Ok((number, version));
    }
    Err(Error::usage(format!("`{text}` is no arXiv identifier"))
        .hint("it looks like 2510.04417 or 2510.04417v1"))
}

/// A name that a crate has, ours or anybody's in the lock file, would be ambiguous to cargo.
fn check_free(workspace: &Workspace, id: &str) -> Result<()> {
    let folder = workspace.crate_folder(id);
    if std::fs::symlink_metadata(&folder).is_ok() {
        return Err(Error::usage(format!("`crates/{id}` exists already"))
            .hint("choose another id; nothing was written"));
    }
    let lock = workspace.root().join("Cargo.lock");
    let text = match std::fs::read_to_string(&lock) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(cause) => return Err(Error::io("read", &lock, cause)),
    };
    let line = format!("name = \"{id}\"");
    if text.lines().any(|known| known == line) {
        return Err(Error::usage(format!("a crate `{id}` is in use already"))
            .hint(format!("try `{id}-paper`")));
    }
    Ok(())
}

/// Writes all files beside their place and moves them there in one step.
fn write(root: &Path, folder: &Path, filling: &Filling<'_>) -> Result<()> {
    let temporary = root.join(format!(".new-{}.{}.tmp", filling.id, std::process::id()));
    let written = FILES
        .iter()
        .try_for_each(|(name, template)| {
            let path = temporary.join(name);
            eval::fs::create_folder(path.parent().unwrap_or(&temporary))?;
            eval::fs::write_atomic(&path, fill(template, filling)?.as_bytes())
        })
        .and_then(|()| {
            std::fs::rename(&temporary, folder).map_err(|e| Error::io("create", folder, e))
        });
    if written.is_err() {
        // The first error is the one that matters.
        let _ = std::fs::remove_dir_all(&temporary);
    }
    written
}

/// Replaces every `{{key}}` of the template, in one pass: a value is never filled itself.
fn fill(template: &str, filling: &Filling<'_>) -> Result<String> {
    let mut parts = template.split("{{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (key, rest) = part.split_once("}}").unwrap_or((part, ""));
        match key {
            "id" => text.push_str(filling.id),
            "arxiv" => text.push_str(filling.arxiv),
            "version" => text.push_str(filling.version),
            "title" => text.push_str(&quoted(&filling.title)?),
            "description" => {
                text.push_str(&quoted(&format!(
                    "{} (arXiv {})",
                    filling.title, filling.arxiv
                ))?);
            }
            _ => {
                return Err(Error::internal(format!(
                    "the template has an unknown key `{key}`"
                )));
            }
        }
        text.push_str(rest);
    }
    Ok(text)
}

/// A text as a TOML string. Every JSON string of text without control characters is one.
fn quoted(text: &str) -> Result<String> {
    serde_json::to_string(text)
        .map_err(|cause| Error::internal("cannot quote the title").caused_by(cause))
}

#[cfg(test)]
mod tests {
    use eval::PaperManifest;

    use super::*;

    fn sample(title: &str) -> Filling<'_> {
        Filling {
            id: "my-paper",
            arxiv: "2510.04417",
            version: "v2",
            title: title.to_owned(),
        }
    }

    #[test]
    fn the_filled_templates_are_what_they_should_be() {
        for title in ["Plain", "It's \"quoted\" \\ and {{id}}: é"] {
            let filling = sample(title);
            let [cargo, paper, code] = FILES.map(|(_, text)| fill(text, &filling).unwrap());
            let cargo: toml::Table = cargo.parse().unwrap();
            assert_eq!(cargo["package"]["name"].as_str(), Some("my-paper"));
            let paper = PaperManifest::parse(&paper, "paper.toml").unwrap();
            assert_eq!(paper.paper.title, title);
            assert_eq!(paper.paper.version, "v2");
            assert!(!code.contains("{{"), "a placeholder is left");
        }
    }

    #[test]
    fn a_template_is_as_tidy_as_the_rest() {
        for (name, text) in FILES {
            for line in fill(text, &sample("T")).unwrap().lines() {
                assert!(line.chars().count() <= 100, "{name}: {line}");
            }
        }
    }

    #[test]
    fn ids_are_lowercase_words_that_rust_does_not_keep() {
        for good in ["a", "my-paper", "x2", "flow-pid2"] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        let long = "a".repeat(ID_CHARS_MAX + 1);
        for bad in [
            "", "-a", "a-", "a--b", "A", "2x", "a_b", "a/b", "..", "match", "std", &long,
        ] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn arxiv_identifiers_have_an_optional_version() {
        assert_eq!(split_arxiv("2510.04417").unwrap(), ("2510.04417", "v1"));
        assert_eq!(split_arxiv("0704.0001v12").unwrap(), ("0704.0001", "v12"));
        for bad in [
            "",
            "2510",
            "2510.1",
            "2510.04417v",
            "x510.04417",
            "2510.04417va",
            "25100.4417",
        ] {
            assert!(split_arxiv(bad).is_err(), "{bad}");
        }
    }
}
