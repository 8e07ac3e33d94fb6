//! Errors as OpenAI's clients understand them: a status and `{"error": {…}}`.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    param: Option<String>,
    code: Option<&'static str>,
    retry_after_s: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            param: None,
            code: None,
            retry_after_s: None,
        }
    }

    /// 400: the request makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// 400: the parameter `param` is wrong.
    pub fn parameter(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::invalid(message);
        error.param = Some(param.into());
        error.code = Some("invalid_value");
        error
    }

    /// 400: the parameter `param` asks for something this server does not do.
    pub fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::parameter(param, message);
        error.code = Some("unsupported_parameter");
        error
    }

    /// Another status with the type of a faulty request.
    pub fn refused(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let mut error = Self::new(status, "invalid_request_error", message);
        error.code = Some(code);
        error
    }

    /// 429: all places are taken.
    pub fn busy(n_requests: usize, retry_after_s: u64) -> Self {
        let message =
            format!("{n_requests} requests are being answered; try again in {retry_after_s} s");
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        error.code = Some("rate_limit_exceeded");
        error.retry_after_s = Some(retry_after_s);
        error
    }

    /// 504: the answer took longer than the server allows.
    pub fn timeout(seconds: f64) -> Self {
        let message = format!("no answer within {seconds} s; ask for fewer tokens");
        let mut error = Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout_error", message);
        error.code = Some("timeout");
        error
    }

    /// 503: the server is going down.
    pub fn stopping() -> Self {
        let message = "the server is shutting down";
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        error.code = Some("shutting_down");
        error
    }

    /// 500: the engine failed.
    pub fn internal(message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message);
        error.code = Some("internal_error");
        error
    }

    /// The same error with this code.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same error about this parameter.
    #[must_use]
    pub fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The JSON document, as it stands in a body or in an event of a stream.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({ "error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        } })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.document())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::GATEWAY_TIMEOUT {
            // The same question would take as long again: OpenAI's clients honour this header.
            let name = HeaderName::from_static("x-should-retry");
            headers.insert(name, HeaderValue::from_static("false"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
