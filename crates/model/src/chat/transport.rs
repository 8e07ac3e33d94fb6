//! One HTTP exchange within limits of time and size. It decides nothing about trying again.

use std::sync::Once;
use std::time::Duration;

use eval::{Error, Result};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, Url};
use tokio::time::timeout;

use super::quote::Quoter;
use super::retry::Fault;
use super::secret::Secret;
use super::settings::{EndpointSettings, Timeouts, is_loopback};

/// A refusal is explained in a few sentences; no more of it is read.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// A client for one server.
pub(super) struct Transport {
    client: Client,
    address: Url,
    secret: Option<Secret>,
    timeouts: Timeouts,
    response_bytes_max: usize,
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) body: Body,
}

/// The body as far as it was read.
#[derive(Debug)]
pub(super) enum Body {
    /// All of it; of a refusal at most [`ERROR_BYTES_MAX`].
    Whole(Vec<u8>),
    /// More than allowed; reading stopped after this many bytes at most.
    TooLarge { n_bytes_read: usize },
}

impl Transport {
    pub(super) fn new(settings: &EndpointSettings) -> Result<Self> {
        install_crypto();
        let (address, secret) = settings.check()?;
        let mut client = Client::builder()
            // A redirect could carry key and conversation to whoever it names.
            .redirect(reqwest::redirect::Policy::none())
            // All repetition is ours, so that all of it is recorded.
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(Duration::from_millis(settings.timeouts.connect_ms))
            .pool_max_idle_per_host(settings.n_concurrent)
            .user_agent(concat!("model/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&address) {
            client = client.no_proxy();
        }
        if address.scheme() == "http" {
            // Nothing is verified, so a machine without certificates can still reach itself.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|cause| {
            Error::internal("cannot set up the HTTP client")
                .caused_by(cause.without_url())
                .hint("https needs the system's certificates; `SSL_CERT_FILE` can name them")
        })?;
        Ok(Self {
            client,
            address,
            secret,
            timeouts: settings.timeouts,
            response_bytes_max: settings.response_bytes_max,
        })
    }

    /// The address, which [`EndpointSettings`] guarantees to carry no secret.
    pub(super) fn address(&self) -> &str {
        self.address.as_str()
    }

    /// Quotes what the server says, without the key.
    pub(super) fn quoter(&self) -> Quoter<'_> {
        Quoter(self.secret.as_ref())
    }

    /// Sends `json` to `path` below the address; without a body, asks for `path`.
    pub(super) async fn exchange(&self, path: &str, json: Option<&[u8]>) -> Result<Reply, Fault> {
        let total = Duration::from_millis(self.timeouts.total_ms);
        let whole = async {
            let response = self.send(path, json).await?;
            self.read(response).await
        };
        timeout(total, whole)
            .await
            .unwrap_or(Err(Fault::TimeoutTotal))
    }

    async fn send(&self, path: &str, json: Option<&[u8]>) -> Result<Response, Fault> {
        // Paths are ours and relative, so joining cannot fail or leave the server.
        let url = self.address.join(path).map_err(|_| Fault::Connect)?;
        let mut request = match json {
            Some(json) => self
                .client
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .body(json.to_vec()),
            None => self.client.get(url),
        }
        .header(ACCEPT, "application/json");
        if let Some(secret) = &self.secret {
            let bearer = secret.bearer().map_err(|_| Fault::Connect)?;
            request = request.header(AUTHORIZATION, bearer);
        }
        let first_byte = Duration::from_millis(self.timeouts.first_byte_ms);
        match timeout(first_byte, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let error = error.without_url();
                tracing::debug!(%error, "nothing usable came back");
                Err(match (error.is_connect(), error.is_timeout()) {
                    (true, true) => Fault::TimeoutConnect,
                    (true, false) => Fault::Connect,
                    (false, _) => Fault::Broken,
                })
            }
            Err(_) => Err(Fault::TimeoutFirstByte),
        }
    }

    async fn read(&self, mut response: Response) -> Result<Reply, Fault> {
        let status = response.status();
        let header = |name| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let (retry_after, content_type) = (header(RETRY_AFTER), header(CONTENT_TYPE));
        let body = if status.is_success() {
            self.read_answer(&mut response).await?
        } else {
            // What is left of a refusal when its body breaks off is still the refusal.
            Body::Whole(self.read_refusal(&mut response).await)
        };
        Ok(Reply {
            status: status.as_u16(),
            retry_after,
            content_type,
            body,
        })
    }

    async fn read_answer(&self, response: &mut Response) -> Result<Body, Fault> {
        let limit = self.response_bytes_max;
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Ok(Body::TooLarge { n_bytes_read: 0 });
        }
        let mut bytes = Vec::new();
        while let Some(piece) = self.next_piece(response).await? {
            if bytes.len() + piece.len() > limit {
                let n_bytes_read = bytes.len() + piece.len();
                return Ok(Body::TooLarge { n_bytes_read });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Body::Whole(bytes))
    }

    async fn read_refusal(&self, response: &mut Response) -> Vec<u8> {
        let limit = self.response_bytes_max.min(ERROR_BYTES_MAX);
        let mut bytes = Vec::new();
        while let Ok(Some(piece)) = self.next_piece(response).await {
            let n_bytes = piece.len().min(limit - bytes.len());
            bytes.extend_from_slice(&piece[..n_bytes]);
            if bytes.len() == limit {
                break;
            }
        }
        bytes
    }

    async fn next_piece(
        &self,
        response: &mut Response,
    ) -> Result<Option<impl std::ops::Deref<Target = [u8]> + use<>>, Fault> {
        let between = Duration::from_millis(self.timeouts.between_bytes_ms);
        match timeout(between, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => {
                tracing::debug!(error = %error.without_url(), "the answer broke off");
                Err(Fault::Broken)
            }
            Err(_) => Err(Fault::TimeoutBetweenBytes),
        }
    }
}

/// `rustls` takes its cryptography from the process; the first one to install it wins, and a
/// program that brought its own keeps it.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
