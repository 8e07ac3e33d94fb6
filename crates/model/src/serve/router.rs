//! The routes.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::params::check_model;
use super::{Access, ApiError, App, chat, completions, read_body, sse};

/// The server as a service; it can be put on any socket.
///
/// `GET /health` says that the process lives and needs no key; all else is OpenAI's protocol.
pub fn router(app: App) -> Router {
    let settings = app.settings();
    let access = Access {
        key: settings.key.clone(),
        is_loopback: settings.is_loopback,
    };
    let routes = Router::new()
        .route("/health", get(health))
        .route("/v1/models", get(models))
        // A name may hold slashes.
        .route("/v1/models/{*id}", get(model))
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/completions", post(text_completions))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(app);
    access.guard(routes)
}

async fn health() -> Response {
    sse::json_response(&json!({ "status": "ok" }))
}

fn described(app: &App) -> Value {
    json!({
        "id": app.settings().model_id,
        "object": "model",
        "created": app.started_s(),
        "owned_by": "local",
    })
}

async fn models(State(app): State<App>) -> Response {
    sse::json_response(&json!({ "object": "list", "data": [described(&app)] }))
}

async fn model(State(app): State<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    check_model(&app, &id)?;
    Ok(sse::json_response(&described(&app)))
}

async fn chat_completions(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let body = body(&app, request).await?;
    chat::answer(app, &body).await
}

async fn text_completions(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let body = body(&app, request).await?;
    completions::answer(app, &body).await
}

async fn body(app: &App, request: Request) -> Result<Bytes, ApiError> {
    let limits = app.limits();
    read_body(request, limits.n_body_bytes_max, limits.body_wait).await
}

async fn no_route() -> Response {
    let message = "there is nothing here; the routes are GET /health, GET /v1/models, \
                   POST /v1/chat/completions, and POST /v1/completions";
    ApiError::refused(StatusCode::NOT_FOUND, "unknown_url", message).into_response()
}

async fn no_method() -> Response {
    let message = "this route has another method";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    ApiError::refused(status, "method_not_allowed", message).into_response()
}
