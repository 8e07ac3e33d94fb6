//! The server on a socket.
//!
//! It listens on the loopback interface unless it is told otherwise in so many words. An interrupt
//! or a request to terminate lets running answers end for a while; a second one ends them at once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use eval::{Error, Result, exit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::{App, router};

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    host: IpAddr,
    port: u16,
}

impl Address {
    /// An address of this machine; port 0 takes a free one.
    ///
    /// # Errors
    /// Other machines could reach it, and `allows_remote` does not say that they may.
    pub fn new(host: IpAddr, port: u16, allows_remote: bool) -> Result<Self> {
        if host.is_loopback() || allows_remote {
            return Ok(Self { host, port });
        }
        Err(
            Error::usage(format!("other machines could reach `{host}`")).hint(format!(
                "leave out `--host`, or add `--allow-remote` and set {} to a key",
                super::KEY_VARIABLE
            )),
        )
    }

    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.is_loopback()
    }
}

/// Why the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was asked to terminate (SIGTERM): that is how a server ends.
    Terminated,
    /// It was interrupted (SIGINT).
    Interrupted,
}

impl Outcome {
    /// The exit code of [`eval::exit`]: 0 for a request to terminate, 130 for an interrupt.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Terminated => exit::COMPLETE,
            Self::Interrupted => exit::INTERRUPTED,
        }
    }
}

/// Routes for a socket, and how their serving ends.
pub struct Service {
    /// The routes, behind [`Access::guard`](super::Access::guard).
    pub routes: Router,
    /// Open connections; further ones wait to be accepted.
    pub n_connections_max: usize,
    /// For running answers to end after the service was asked to stop.
    pub stop_wait: Duration,
    /// Called when that time is over, or at a second signal: answers that still run are to end
    /// with an error, for which they have a moment.
    pub cut: Box<dyn FnOnce() + Send>,
}

impl From<App> for Service {
    fn from(app: App) -> Self {
        let limits = app.settings().limits.clone();
        Self {
            routes: router(app.clone()),
            n_connections_max: limits.n_connections_max,
            stop_wait: limits.stop_wait,
            cut: Box::new(move || app.engine().stop()),
        }
    }
}

/// Serves until a signal comes. `ready` hears the address once connections are accepted.
///
/// # Errors
/// The address cannot be listened on, or signals cannot be watched.
pub async fn listen(
    service: impl Into<Service>,
    address: Address,
    ready: impl FnOnce(SocketAddr),
) -> Result<Outcome> {
    let service = service.into();
    let socket = SocketAddr::new(address.host, address.port);
    let failed = |cause: io::Error| {
        Error::internal(format!("cannot listen on {socket}"))
            .caused_by(cause)
            .hint("another program may have the port; `--port 0` takes a free one")
    };
    let listener = TcpListener::bind(socket).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let mut signals = Signals::watch()?;
    let (stop, mut stopped) = watch::channel(false);
    let limited = Limited {
        listener,
        places: Arc::new(Semaphore::new(service.n_connections_max)),
    };
    let shutdown = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let server = axum::serve(limited, service.routes).with_graceful_shutdown(shutdown);
    let mut serving = tokio::spawn(async move { server.await });
    ready(bound);
    let outcome = signals.next().await;
    let _ = stop.send(true);
    tokio::select! {
        ended = timeout(service.stop_wait, &mut serving) => {
            if ended.is_ok() {
                return Ok(outcome);
            }
        }
        _ = signals.next() => {}
    }
    // What still runs is told so, and has a moment to say it to its client.
    (service.cut)();
    let _ = timeout(LAST_WORDS, &mut serving).await;
    serving.abort();
    Ok(outcome)
}

/// For the errors of cut answers to reach their clients.
const LAST_WORDS: Duration = Duration::from_secs(1);

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn watch() -> Result<Self> {
        let watch = |kind| {
            signal(kind).map_err(|e| Error::internal("cannot watch for signals").caused_by(e))
        };
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Outcome {
        tokio::select! {
            _ = self.interrupt.recv() => Outcome::Interrupted,
            _ = self.terminate.recv() => Outcome::Terminated,
        }
    }
}

/// A listener that accepts so many connections at a time.
struct Limited {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small events must not wait for one another.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            stream,
            _place: place,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that frees its place when it is closed.
struct Connection {
    stream: TcpStream,
    _place: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
