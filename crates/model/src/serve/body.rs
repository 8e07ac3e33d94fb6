//! The body of a request, within limits of bytes and of time.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use tokio::time::timeout;

use super::ApiError;

/// The whole body of a request, if it has at most so many bytes and arrives in time.
///
/// # Errors
/// It is too long (413), comes too slowly (408), or breaks off (400).
pub async fn read_body(
    request: Request,
    n_bytes_max: usize,
    wait: Duration,
) -> Result<Bytes, ApiError> {
    match timeout(wait, to_bytes(request.into_body(), n_bytes_max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(cause)) if is_too_long(&cause) => Err(ApiError::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body has more than {n_bytes_max} bytes"),
        )),
        Ok(Err(_)) => Err(ApiError::invalid("the body broke off")),
        Err(_) => Err(ApiError::refused(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            format!("the body did not arrive within {} s", wait.as_secs_f64()),
        )),
    }
}

/// The crate that limits bodies is axum's own affair; its error is known by its words.
fn is_too_long(cause: &axum::Error) -> bool {
    let mut source = std::error::Error::source(cause);
    while let Some(error) = source {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        source = error.source();
    }
    false
}
