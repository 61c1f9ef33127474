//! Serves axum's applications over guarded connections: feature `axum`.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use axum::extract::ConnectInfo;
use axum::serve::{IncomingStream, Listener, Serve};
use http::{Request, Response};
use tower_service::Service;

use super::connection::{Connection, ConnectionGuard};

/// Serves an axum application like `axum::serve`, over [guarded connections](Connection): a kill reaches requests whose
/// client does not read, and websockets are the task of their request until they are closed.
///
/// `app` is a `Router` or another service; handlers can extract `ConnectInfo` of the listener's address.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let app = axum::Router::new().layer(pm::tower::TasksLayer::new());
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// pm::tower::serve(listener, app).await
/// # }
/// ```
pub fn serve<L, S>(listener: L, app: S) -> Serve<GuardedListener<L>, GuardedApp<S>, OnGuarded<S, L::Addr>>
where
    L: Listener<Addr: Clone + Send + Sync + 'static>,
    S: Service<Request<axum::body::Body>, Response = Response<axum::body::Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    axum::serve(GuardedListener { listener }, GuardedApp { app })
}

/// A listener whose connections are guarded; made by [`serve`].
#[derive(Debug)]
pub struct GuardedListener<L> {
    listener: L,
}

impl<L: Listener> Listener for GuardedListener<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, L::Addr) {
        let (stream, address) = self.listener.accept().await;
        (Connection::new(stream), address)
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}

/// An application that knows the connection of each request; made by [`serve`].
#[derive(Clone, Debug)]
pub struct GuardedApp<S> {
    app: S,
}

impl<L, S> Service<IncomingStream<'_, GuardedListener<L>>> for GuardedApp<S>
where
    L: Listener<Addr: Clone>,
    S: Clone,
{
    type Response = OnGuarded<S, L::Addr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, GuardedListener<L>>) -> Self::Future {
        let (guard, address) = (stream.io().guard(), stream.remote_addr().clone());
        ready(Ok(OnGuarded { app: self.app.clone(), guard, address }))
    }
}

/// An application on one connection; made by [`serve`].
#[derive(Clone, Debug)]
pub struct OnGuarded<S, A> {
    app: S,
    guard: ConnectionGuard,
    address: A,
}

impl<S, A, B> Service<Request<B>> for OnGuarded<S, A>
where
    S: Service<Request<B>>,
    A: Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.app.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.guard.clone());
        request.extensions_mut().insert(ConnectInfo(self.address.clone()));
        self.app.call(request)
    }
}
