//! The routes.

use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use model::serve::ApiError;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::MuxApp;
use super::body::{Asked, check_model};
use super::guard::guard;
use super::response::document;
use crate::protocols::{Poll, Seat, poll};

/// The router as a service; it can be put on any socket.
pub fn router(app: MuxApp) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/chat/completions", post(chat_completions))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

async fn health() -> Response {
    json_response(&json!({ "status": "ok" }))
}

fn described(app: &MuxApp) -> Value {
    let names = app.members().iter().map(|member| &member.name);
    json!({
        "id": app.settings().model_id,
        "object": "model",
        "created": app.started_s(),
        "owned_by": "local",
        "members": names.collect::<Vec<_>>(),
    })
}

async fn models(State(app): State<MuxApp>) -> Response {
    json_response(&json!({ "object": "list", "data": [described(&app)] }))
}

async fn model(State(app): State<MuxApp>, Path(id): Path<String>) -> Result<Response, ApiError> {
    check_model(&app, &id)?;
    Ok(json_response(&described(&app)))
}

async fn chat_completions(
    State(app): State<MuxApp>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = body(&app, request).await?;
    let asked = Asked::read(&app, &body)?;
    let _place = app.place()?;
    let wait = app.settings().answer_wait;
    let polled = timeout(wait, ask_members(&app, &asked)).await;
    let poll = polled.map_err(|_| ApiError::timeout(wait.as_secs_f64()))??;
    // Chance decides only where the policy says so, and then by the request's seed.
    let mut random = ChaCha20Rng::seed_from_u64(asked.request.sampling.seed);
    let chosen = poll.mux(&app.settings().policy, app.ranking(), &mut random);
    Ok(json_response(&document(&app, &asked, &poll, &chosen)))
}

async fn ask_members(app: &MuxApp, asked: &Asked) -> Result<Poll, ApiError> {
    let read = |text: &str| asked.answer.read(text);
    let seats = app.members().iter().map(|member| Seat {
        name: &member.name,
        model: &*member.model,
        request: asked.request.clone(),
        read: &read,
    });
    let seats: Vec<Seat<'_>> = seats.collect();
    let polled = poll(&seats, asked.k, asked.early_exit).await;
    polled.map_err(|error| ApiError::internal(error.report()).with_code("models_failed"))
}

/// The whole body, within the limits of bytes and of time.
async fn body(app: &MuxApp, request: Request) -> Result<Bytes, ApiError> {
    let (n_max, wait) = (app.settings().n_body_bytes_max, app.settings().body_wait);
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large = || {
        ApiError::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body has more than {n_max} bytes"),
        )
    };
    if announced.is_some_and(|n_bytes| n_bytes > n_max as u64) {
        return Err(too_large());
    }
    match timeout(wait, to_bytes(request.into_body(), n_max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) if announced.is_none() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::invalid("the body broke off")),
        Err(_) => Err(ApiError::refused(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            format!("the body did not arrive within {} s", wait.as_secs_f64()),
        )),
    }
}

/// One JSON document. It holds what a person asked: no cache may keep it.
fn json_response(document: &Value) -> Response {
    let mut response = Json(document).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

async fn no_route() -> Response {
    let message = "there is nothing here; the routes are GET /health, GET /v1/models, and \
                   POST /v1/chat/completions";
    ApiError::refused(StatusCode::NOT_FOUND, "unknown_url", message).into_response()
}

async fn no_method() -> Response {
    let message = "this route has another method";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    ApiError::refused(status, "method_not_allowed", message).into_response()
}
