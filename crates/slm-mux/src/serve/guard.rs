//! Who may ask: checks before any request is read.
//!
//! On the loopback interface the enemy is a page in a browser on this machine: it must not be able
//! to use the router, by its own name or by one that was made to point here.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use model::serve::ApiError;

use super::MuxApp;

/// Refuses what a page in a browser may have sent, and requests without the key.
pub async fn guard(State(app): State<MuxApp>, request: Request, next: Next) -> Response {
    match check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check(app: &MuxApp, request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let settings = app.settings();
    let forbidden = |code, message| Err(ApiError::refused(StatusCode::FORBIDDEN, code, message));
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let host = authority.or_else(|| text(headers, header::HOST));
    if settings.is_loopback && !host.is_some_and(is_loopback) {
        return forbidden(
            "host_not_allowed",
            "this router answers to `localhost`, `127.0.0.1`, and `[::1]` only",
        );
    }
    let site = text(headers, HeaderName::from_static("sec-fetch-site"));
    if headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none") {
        return forbidden(
            "origin_not_allowed",
            "pages in a browser may not use this router",
        );
    }
    if request.uri().path() != "/health" {
        check_key(settings.key.as_deref(), headers)?;
    }
    if request.method() == Method::POST {
        check_content_type(headers)?;
    }
    Ok(())
}

fn check_key(key: Option<&str>, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(key) = key else {
        return Ok(());
    };
    let given = text(headers, header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, given)| given.trim());
    if given.is_some_and(|given| is_same(key, given)) {
        return Ok(());
    }
    let message = "the right bearer key is needed";
    Err(ApiError::refused(
        StatusCode::UNAUTHORIZED,
        "invalid_api_key",
        message,
    ))
}

/// The time taken does not tell how much of the key was right.
fn is_same(ours: &str, given: &str) -> bool {
    let pairs = ours.bytes().zip(given.bytes());
    let differing = pairs.fold(0, |seen, (a, b)| seen | (a ^ b));
    ours.len() == given.len() && differing == 0
}

/// Only JSON: a form that a page sends without asking first is something else.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = text(headers, header::CONTENT_TYPE).and_then(|value| value.split(';').next());
    if kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(ApiError::refused(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the header `Content-Type: application/json` is needed",
    ))
}

/// The only value of a header, if it is text.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Whether `name[:port]` is the loopback interface.
fn is_loopback(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, "")) => name,
            Some((name, port)) if port.strip_prefix(':').is_some_and(is_port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return false,
            None => host,
        },
    };
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_interface_are_its_names() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org:80",
            "localhost:80@example.org",
            "0.0.0.0",
            "[::2]",
            "[::1]x",
            "::1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn keys_are_compared_whole() {
        assert!(is_same("secret", "secret"));
        for other in ["", "secre", "secrets", "Secret"] {
            assert!(!is_same("secret", other), "{other}");
        }
    }
}
