//! The routes.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use model::serve::{ApiError, event_stream, json_response, read_body};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::MuxApp;
use super::body::{Asked, check_model};
use super::response::Answered;
use crate::protocols::{Poll, Seat, poll};

/// The router as a service; it can be put on any socket.
pub fn router(app: MuxApp) -> Router {
    let access = app.settings().access.clone();
    let routes = Router::new()
        .route("/health", get(health))
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/chat/completions", post(chat_completions))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(app);
    access.guard(routes)
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
    let settings = app.settings();
    let body = read_body(request, settings.n_body_bytes_max, settings.body_wait).await?;
    let asked = Asked::read(&app, &body)?;
    let _place = app.place()?;
    let wait = settings.answer_wait;
    let polled = tokio::select! {
        polled = timeout(wait, ask_members(&app, &asked)) => polled,
        () = app.is_cut() => return Err(ApiError::stopping()),
    };
    let poll = polled.map_err(|_| ApiError::timeout(wait.as_secs_f64()))??;
    // Chance decides only where the policy says so, and then by the request's seed.
    let mut random = ChaCha20Rng::seed_from_u64(asked.request.sampling.seed);
    let chosen = poll.mux(&settings.policy, app.ranking(), &mut random);
    let answered = Answered::new(&app, &asked, &poll, &chosen);
    if asked.is_stream {
        // Nothing is known before the vote is over, and then everything is.
        let documents = answered.chunks().into_iter().map(Ok);
        return Ok(event_stream(stream::iter(documents)));
    }
    Ok(json_response(&answered.document()))
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
