//! One request over its own connection, and its answer as plain bytes.
//!
//! The connection is driven from within the call, so there is no task to spawn and nothing is left when the caller
//! drops the call.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use crate::answer::Answer;
use crate::client::Client;
use crate::connect::{Wire, connect};
use crate::error::{ClientError, Stage};

const USER_AGENT: &str = concat!("pm-client/", env!("CARGO_PKG_VERSION"));
const JSON: &str = "application/json";

/// What is asked. The path is encoded and has no slash first.
pub(crate) struct Ask {
    method: Method,
    path: String,
    body: Bytes,
    accept: &'static str,
    more: Option<(HeaderName, HeaderValue)>,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Ask {
        Ask::with_body(Method::GET, path, Bytes::new())
    }

    pub(crate) fn with_body(method: Method, path: impl Into<String>, body: impl Into<Bytes>) -> Ask {
        Ask { method, path: path.into(), body: body.into(), accept: JSON, more: None }
    }

    pub(crate) fn accept(self, accept: &'static str) -> Ask {
        Ask { accept, ..self }
    }

    /// One more header.
    pub(crate) fn header(self, name: HeaderName, value: HeaderValue) -> Ask {
        Ask { more: Some((name, value)), ..self }
    }
}

/// Sends the request and reads the whole answer, within the client's limits.
pub(crate) async fn call(client: &Client, ask: Ask) -> Result<Answer, ClientError> {
    let limit = moment_in(client.timeout);
    let mut opened = open_by(client, ask, limit).await?;
    within(client, opened.answer.url.clone(), limit, async {
        opened.collect(client.max_body).await?;
        Ok(opened.answer)
    })
    .await
}

/// Sends the request and reads the head of the answer, within the client's limits.
pub(crate) async fn open(client: &Client, ask: Ask) -> Result<Opened, ClientError> {
    open_by(client, ask, moment_in(client.timeout)).await
}

/// So much from now; a length beyond what the clock can count is as good as a century.
pub(crate) fn moment_in(length: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(length).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400))
}

async fn open_by(client: &Client, ask: Ask, limit: Instant) -> Result<Opened, ClientError> {
    let url = client.endpoint.url(&ask.path);
    let (request, with_token) = request(client, ask, &url)?;
    let wire = connect(client, &url).await?;
    within(client, url.clone(), limit, exchange(wire, request, url, with_token)).await
}

async fn within<T>(
    client: &Client,
    url: String,
    limit: Instant,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    match timeout_at(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(ClientError::TimedOut { url, after: client.timeout, stage: Stage::Answer }),
    }
}

/// The request, and whether a token is in it.
fn request(client: &Client, ask: Ask, url: &str) -> Result<(Request<Full<Bytes>>, bool), ClientError> {
    let token = client.token.header().map_err(|error| ClientError::Token {
        url: url.to_owned(),
        text: error.text,
        source: error.source,
    })?;
    let with_token = token.is_some();
    let mut request = Request::builder()
        .method(ask.method)
        .uri(format!("{}{}", client.endpoint.prefix, ask.path))
        .header(header::HOST, client.endpoint.authority())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, ask.accept)
        .header(header::CONNECTION, "close");
    if !ask.body.is_empty() {
        request = request.header(header::CONTENT_TYPE, JSON);
    }
    let token = token.map(|token| (header::AUTHORIZATION, token));
    for (name, value) in token.into_iter().chain(ask.more) {
        request = request.header(name, value);
    }
    // Endpoint and ids were made of valid parts; a path beyond 64 KiB is what is left to fail.
    let request = request.body(Full::new(ask.body)).map_err(|error| {
        let url: String = url.chars().take(200).collect();
        ClientError::Unsendable { url, text: format!("{error}; shorten the id or the filter") }
    })?;
    Ok((request, with_token))
}

/// An answer of which the head is here, and the body is still to come.
pub(crate) struct Opened {
    pub(crate) answer: Answer,
    incoming: Incoming,
    driver: Driver,
    received: u64,
}

async fn exchange(
    wire: Box<dyn Wire>,
    request: Request<Full<Bytes>>,
    url: String,
    with_token: bool,
) -> Result<Opened, ClientError> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(wire)).await.map_err(|error| early_end(&url, 0, error))?;
    let mut driver = Driver(Some(Box::pin(async {
        // What ended the connection, the reader of the answer hears too.
        let _ = connection.await;
    })));
    let response = driver.beside(sender.send_request(request)).await.map_err(|error| early_end(&url, 0, error))?;
    let (head, incoming) = response.into_parts();
    let text = |name| text(&head.headers, name);
    let answer = Answer {
        url,
        status: head.status,
        content_type: text(header::CONTENT_TYPE),
        location: text(header::LOCATION),
        retry_after: text(header::RETRY_AFTER),
        challenge: text(header::WWW_AUTHENTICATE),
        with_token,
        body: Bytes::new(),
    };
    Ok(Opened { answer, incoming, driver, received: 0 })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

impl Opened {
    /// The next piece of the body; `None` at its end. Nothing is lost when this is dropped before it is done.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.driver.beside(self.incoming.frame()).await {
            let frame = frame.map_err(|error| early_end(&self.answer.url, self.received, error))?;
            if let Ok(data) = frame.into_data() {
                self.received += data.len() as u64;
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// How many bytes of the body have come.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Reads the body to its end, and puts it into the answer.
    pub(crate) async fn collect(&mut self, max_body: u64) -> Result<(), ClientError> {
        let too_large = |url: &str| ClientError::TooLarge { url: url.to_owned(), limit: max_body };
        if self.incoming.size_hint().lower() > max_body {
            return Err(too_large(&self.answer.url));
        }
        let mut body = BytesMut::new();
        while let Some(data) = self.chunk().await? {
            if self.received > max_body {
                return Err(too_large(&self.answer.url));
            }
            body.extend_from_slice(&data);
        }
        self.answer.body = body.freeze();
        Ok(())
    }
}

fn early_end(url: &str, received: u64, error: hyper::Error) -> ClientError {
    let url = url.to_owned();
    #[cfg(feature = "tls")]
    if crate::tls::is_about_trust(&error) {
        return ClientError::Tls { url, source: error.into() };
    }
    if error.is_parse() && received == 0 {
        let source = Some(error.into());
        return ClientError::NotPm { url, content_type: None, excerpt: String::new(), source };
    }
    ClientError::Cut { url, received, source: error.into() }
}

/// A connection, for as long as it has something to do.
struct Driver(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Driver {
    /// Runs `work` to its end, and the connection beside it.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = work.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                // What ended the connection, `work` hears too: poll it once more.
                if self.0.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
                    self.0 = None;
                    continue;
                }
                return Poll::Pending;
            }
        })
        .await
    }
}
