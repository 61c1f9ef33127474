//! One request over a connection of its own, and its answer as bytes.
//!
//! The call itself drives the connection, so no task is spawned and nothing is left behind when the call is dropped.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use crate::answer::Answer;
use crate::connect::{Connection, connect};
use crate::error::{Ceiling, ClientError, Stage};
use crate::settings::Settings;

const USER_AGENT: &str = concat!("pm-client/", env!("CARGO_PKG_VERSION"));
const JSON: &str = "application/json";

/// A request. The path is percent-encoded and has no leading slash.
pub(crate) struct Request {
    method: Method,
    path: String,
    body: Bytes,
    accept: &'static str,
    more: Option<(HeaderName, HeaderValue)>,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>) -> Request {
        Request::with_body(Method::GET, path, Bytes::new())
    }

    pub(crate) fn with_body(method: Method, path: impl Into<String>, body: impl Into<Bytes>) -> Request {
        Request { method, path: path.into(), body: body.into(), accept: JSON, more: None }
    }

    pub(crate) fn accept(self, accept: &'static str) -> Request {
        Request { accept, ..self }
    }

    /// Sets one header beyond the usual ones.
    pub(crate) fn header(self, name: HeaderName, value: HeaderValue) -> Request {
        Request { more: Some((name, value)), ..self }
    }
}

/// Sends the request and reads the whole answer, within the client's limits.
pub(crate) async fn call(settings: &Settings, request: Request) -> Result<Answer, ClientError> {
    let limit = settings.deadline_in(settings.timeout);
    let mut opened = open_by(settings, request, limit).await?;
    within(settings, opened.answer.url.clone(), limit, async {
        opened.collect(settings.max_body).await?;
        check_memory(&opened.answer.body, &opened.answer.url, settings.max_memory)?;
        Ok(opened.answer)
    })
    .await
}

/// Refuses JSON that would take more memory than this once it is read.
pub(crate) fn check_memory(json: &[u8], url: &str, limit: u64) -> Result<(), ClientError> {
    match pm_wire::memory_of(json) > limit {
        true => Err(ClientError::TooMuch { url: url.to_owned(), ceiling: Ceiling::Memory, limit }),
        false => Ok(()),
    }
}

/// Sends the request and reads the head of the answer, within the client's limits.
pub(crate) async fn open(settings: &Settings, request: Request) -> Result<Opened, ClientError> {
    open_by(settings, request, settings.deadline_in(settings.timeout)).await
}

async fn open_by(settings: &Settings, request: Request, limit: Instant) -> Result<Opened, ClientError> {
    let url = settings.endpoint.url(&request.path);
    let (request, with_token) = encode(settings, request, &url)?;
    let connection = connect(settings, &url).await?;
    within(settings, url.clone(), limit, exchange(connection, request, url, with_token)).await
}

async fn within<T>(
    settings: &Settings,
    url: String,
    limit: Instant,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    match timeout_at(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(ClientError::TimedOut { url, after: settings.timeout, stage: Stage::Answer }),
    }
}

/// Encodes the request, and returns `true` beside it if it has a token.
fn encode(settings: &Settings, request: Request, url: &str) -> Result<(http::Request<Full<Bytes>>, bool), ClientError> {
    let token = settings.token.header().map_err(|error| ClientError::Token {
        url: url.to_owned(),
        text: error.text,
        source: error.source,
    })?;
    let with_token = token.is_some();
    let mut builder = http::Request::builder()
        .method(request.method)
        .uri(format!("{}{}", settings.endpoint.prefix, request.path))
        .header(header::HOST, settings.endpoint.authority())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, request.accept)
        .header(header::CONNECTION, "close");
    if !request.body.is_empty() {
        builder = builder.header(header::CONTENT_TYPE, JSON);
    }
    let token = token.map(|token| (header::AUTHORIZATION, token));
    for (name, value) in token.into_iter().chain(request.more) {
        builder = builder.header(name, value);
    }
    // Endpoint and ids consist of valid parts, so only a path beyond 64 KiB can fail.
    let encoded = builder.body(Full::new(request.body)).map_err(|error| {
        let url: String = url.chars().take(200).collect();
        ClientError::Unsendable { url, text: format!("{error}; shorten the id or the filter") }
    })?;
    Ok((encoded, with_token))
}

/// An answer whose head has arrived and whose body is still to be read.
pub(crate) struct Opened {
    pub(crate) answer: Answer,
    incoming: Incoming,
    driver: Driver,
    received: u64,
}

async fn exchange(
    connection: Box<dyn Connection>,
    request: http::Request<Full<Bytes>>,
    url: String,
    with_token: bool,
) -> Result<Opened, ClientError> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|error| early_end(&url, 0, error))?;
    let mut driver = Driver(Some(Box::pin(async {
        // The reader of the answer receives the error that ended the connection as well.
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
    /// Returns the next piece of the body, or `None` at its end. Dropping the future early loses nothing.
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

    /// Returns the number of bytes of the body that have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Reads the rest of the body into the answer.
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

/// The future that drives a connection, until it is done.
struct Driver(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Driver {
    /// Runs `work` to its end while driving the connection.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = work.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                // `work` receives the error that ended the connection as well: poll it once more.
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
