//! The router on a socket.

use std::net::SocketAddr;

use eval::{Error, Result};
use model::serve::Outcome;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{MuxApp, router};

/// Serves until a signal comes; running answers end first, unless a second signal comes. `ready`
/// hears the address once connections are accepted.
///
/// # Errors
/// The address cannot be listened on, or signals cannot be watched.
pub async fn listen(
    app: MuxApp,
    socket: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> Result<Outcome> {
    let failed = |cause: std::io::Error| {
        Error::internal(format!("cannot listen on {socket}"))
            .caused_by(cause)
            .hint("another program may have the port; `--port 0` takes a free one")
    };
    let listener = TcpListener::bind(socket).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let watch =
        |kind| signal(kind).map_err(|e| Error::internal("cannot watch for signals").caused_by(e));
    let mut interrupt = watch(SignalKind::interrupt())?;
    let mut terminate = watch(SignalKind::terminate())?;
    let (stop, stopped) = oneshot::channel::<()>();
    let service = axum::serve(listener, router(app)).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let serving = tokio::spawn(async move { service.await });
    ready(bound);
    let outcome = tokio::select! {
        _ = interrupt.recv() => Outcome::Interrupted,
        _ = terminate.recv() => Outcome::Terminated,
    };
    let _ = stop.send(());
    let handle = serving.abort_handle();
    tokio::select! {
        _ = serving => {}
        _ = interrupt.recv() => handle.abort(),
        _ = terminate.recv() => handle.abort(),
    }
    Ok(outcome)
}
