//! Who may ask: the checks that come before any request is read.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::{ApiError, Key};

/// Who may ask a service.
#[derive(Clone, Debug)]
pub struct Access {
    /// The bearer key that requests must carry, where one is asked for. `/health` needs none.
    pub key: Option<Key>,
    /// The service is reached through the loopback interface only: requests whose `Host` header
    /// names anything else come from a page that a browser was led to, and are refused.
    pub is_loopback: bool,
}

impl Default for Access {
    /// Everybody on this machine.
    fn default() -> Self {
        Self {
            key: None,
            is_loopback: true,
        }
    }
}

impl Access {
    /// The routes behind the checks: requests that a page in a browser may have sent are refused,
    /// and so are those without the key, and posts of anything but JSON.
    pub fn guard(self, routes: Router) -> Router {
        routes.layer(from_fn_with_state(Arc::new(self), first))
    }

    fn check(&self, request: &Request) -> Result<(), ApiError> {
        let headers = request.headers();
        self.check_host(request)?;
        check_origin(headers)?;
        if request.uri().path() != "/health" {
            self.check_key(headers)?;
        }
        match *request.method() {
            Method::POST => check_content_type(headers),
            _ => Ok(()),
        }
    }

    /// On the loopback interface the host must be the loopback interface: a name that an attacker
    /// let point here (DNS rebinding) is not.
    fn check_host(&self, request: &Request) -> Result<(), ApiError> {
        if !self.is_loopback {
            return Ok(());
        }
        let host = request
            .uri()
            .authority()
            .map(axum::http::uri::Authority::as_str)
            .or_else(|| text(request.headers(), header::HOST));
        match host {
            Some(host) if is_loopback(host) => Ok(()),
            _ => Err(ApiError::refused(
                StatusCode::FORBIDDEN,
                "host_not_allowed",
                "this server answers to `localhost`, `127.0.0.1`, and `[::1]` only",
            )),
        }
    }

    fn check_key(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let given = text(headers, header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, given)| given.trim());
        match given {
            Some(given) if key.is(given) => Ok(()),
            Some(_) => Err(unauthorized("the bearer key is not the right one")),
            None => Err(unauthorized("a bearer key is needed")),
        }
    }
}

async fn first(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
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
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, port)) if port.is_empty() || is_port(port) => name,
        Some(_) => return false,
        None => match host.split_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A browser says where a page came from. A page of this very server would be the only one allowed,
/// and there is none.
fn check_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_page = headers.contains_key(header::ORIGIN)
        || text(headers, HeaderName::from_static("sec-fetch-site"))
            .is_some_and(|site| site != "none");
    if is_page {
        return Err(ApiError::refused(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "pages in a browser may not use this server",
        ));
    }
    Ok(())
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::refused(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
}

/// Only JSON: a form that a page sends without asking first is something else.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = text(headers, header::CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match kind {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(ApiError::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the header `Content-Type: application/json` is needed",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_interface_are_its_names() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.8.9.1:1",
            "[::1]",
            "[::1]:8080",
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
            "10.0.0.1:80",
            "[::1]x",
            "[::2]:80",
            "::1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
