//! Reads axum's request extensions, and implements its extractor and response traits: feature `axum`.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath};
use axum::response::{IntoResponse, Response};
use http::Extensions;
use http::request::Parts;

use super::current::CurrentTask;
use super::reply::CancelledResponse;

pub(super) fn matched_route(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}

pub(super) fn connected(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)
}

/// Extracts the task of the request; without a layer, the current task, if any.
impl<S: Sync> FromRequestParts<S> for CurrentTask {
    type Rejection = Infallible;

    async fn from_request_parts(request: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(request.extensions.get::<Self>().cloned().unwrap_or_else(Self::of_thread))
    }
}

impl IntoResponse for CancelledResponse {
    fn into_response(self) -> Response {
        CancelledResponse::into_response::<Body>(self)
    }
}
