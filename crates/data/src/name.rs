//! Names from outside that become paths, arguments, or addresses: checked before any use.
//!
//! A name that could leave its folder, start an option, or hide in a terminal is refused when the
//! manifest is read, so that no later step has to think of it again.

/// Whether `name` may name a data set: `uci-multiple-features`, `models/smollm2-135m`.
pub(crate) fn check_dataset(name: &str) -> Result<(), String> {
    let word = name.strip_prefix("models/").unwrap_or(name);
    let fits = word.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c))
        && word != "models";
    if fits {
        return Ok(());
    }
    Err(format!(
        "`{}` is no name of a data set: lowercase letters, digits, `-`, `.`, and `_`, after \
         `models/` for weights",
        name.escape_debug()
    ))
}

/// Whether `path` stays below the folder it is joined to, on every platform.
pub(crate) fn check_relative(path: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("`{}` {why}", path.escape_debug()));
    if path.is_empty() {
        return Err("a file name must not be empty".to_owned());
    }
    if path
        .chars()
        .any(|c| c.is_control() || c == '\\' || c == ':')
    {
        return refuse("has a control character, a backslash, or a colon");
    }
    if path
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return refuse("must be a relative path without empty, `.`, or `..` parts");
    }
    // Temporary files and locks of the cache begin with a dot.
    if path
        .split('/')
        .any(|part| part.starts_with(".part-") || part == ".lock")
    {
        return refuse("is a name the cache keeps for itself");
    }
    Ok(())
}

/// Whether `word` can be a Python package, a version, or a repository: no option, no space.
pub(crate) fn check_word(word: &str, also: &str) -> Result<(), String> {
    let fits = word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || also.contains(c))
        && !word
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..");
    if fits {
        return Ok(());
    }
    let word = word.escape_debug();
    Err(format!(
        "`{word}` must begin with a letter or digit; after it `{also}` are allowed too"
    ))
}

/// Whether `host` is an address files can be fetched from: `https`, or this machine itself.
pub(crate) fn check_host(host: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/[]".contains(c);
    let rest = match host.split_once("://") {
        Some(("https", rest)) => rest,
        Some(("http", rest)) if is_loopback(rest) => rest,
        _ => {
            return Err(format!(
                "`{}` must begin with `https://`",
                host.escape_debug()
            ));
        }
    };
    if rest.is_empty() || !rest.chars().all(plain) || host.ends_with('/') {
        return Err(format!(
            "`{}` is no host without a closing slash",
            host.escape_debug()
        ));
    }
    Ok(())
}

/// Percent-encodes what may not stand in the path of an address; slashes stay.
pub(crate) fn encode_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn is_loopback(rest: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
        rest.strip_prefix(name)
            .is_some_and(|after| after.is_empty() || after.starts_with([':', '/']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_its_folder_is_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "a\\b",
            "C:x",
            "a\nb",
            "..",
            ".part-x",
            "a/.lock",
        ] {
            assert!(check_relative(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a/b.json", "a..b", ".hidden", "données.csv"] {
            assert_eq!(check_relative(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn a_data_set_has_at_most_the_folder_of_weights_before_its_name() {
        for bad in [
            "",
            "models",
            "models/",
            "a/b",
            "../a",
            "A",
            "-a",
            "models/../a",
            "x/models/y",
        ] {
            assert!(check_dataset(bad).is_err(), "{bad:?}");
        }
        for good in ["gsm8k", "models/smollm2-135m", "a.b_c-1"] {
            assert_eq!(check_dataset(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn a_word_cannot_be_an_option_of_a_helper_program() {
        assert!(check_word("--index-url", "-").is_err());
        assert!(check_word("a b", "-").is_err());
        assert!(check_word("org/../x", "/.").is_err());
        assert_eq!(check_word("gemma3-270m", "-._"), Ok(()));
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for bad in [
            "http://example.org",
            "http://127.0.0.1.example.org",
            "ftp://x",
            "https://x/",
        ] {
            assert!(check_host(bad).is_err(), "{bad:?}");
        }
        for good in [
            "https://example.org",
            "http://127.0.0.1:8080",
            "http://localhost/base",
        ] {
            assert_eq!(check_host(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn an_encoded_path_keeps_its_slashes() {
        assert_eq!(encode_path("a b/é?#.txt"), "a%20b/%C3%A9%3F%23.txt");
    }
}
