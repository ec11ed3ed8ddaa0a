//! The way from an HTTP request to a socket (RFC 6455 4.2, PROTOCOL.md 2.1). Owns what is checked
//! before the upgrade; refuses to upgrade what would have to be closed at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::connection::{self, Counted, HELLO_BYTES};
use super::shared::{Shared, Shown};
use crate::driver;
use crate::session::millis;
use crate::transport::{Socket, Stream};
use crate::wire::Codec;

/// Why a request is not upgraded.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    reason: &'static str,
    retry_after: Option<Duration>,
}

impl Refusal {
    const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason, retry_after: None }
    }
}

/// Answers an upgrade request, and serves the socket in a task of its own.
pub(super) fn upgrade(shared: &Arc<Shared>, mut request: Request) -> Response {
    match accept(shared, &mut request) {
        Ok((upgrade, counted, codec, accept_key)) => {
            let shown = shown(&request);
            driver::spawn(serve(Arc::clone(shared), counted, upgrade, codec, shown));
            switching(codec, &accept_key)
        }
        Err(refusal) => refused(&refusal),
    }
}

/// The same for a server of its own, which has nothing at other paths.
pub(super) fn upgrade_root(shared: &Arc<Shared>, request: Request) -> Response {
    match request.uri().path() {
        "/" => upgrade(shared, request),
        _ => refused(&Refusal::new(StatusCode::NOT_FOUND, "the WebSocket endpoint is at /")),
    }
}

fn accept(
    shared: &Arc<Shared>,
    request: &mut Request,
) -> Result<(OnUpgrade, Counted, Codec, HeaderValue), Refusal> {
    let key = check_handshake(request)?;
    check_origin(shared.origins.as_deref(), request.headers())?;
    let codec = choose_codec(&shared.config.codecs, request.headers()).ok_or(Refusal::new(
        StatusCode::BAD_REQUEST,
        "no subprotocol that this server speaks: offer steadfast.v1.json",
    ))?;
    let accept_key = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is not one"))?;
    let busy = |reason| Refusal {
        status: StatusCode::SERVICE_UNAVAILABLE,
        reason,
        retry_after: Some(shared.limits.retry_after),
    };
    if *shared.leaving.borrow() {
        return Err(busy("this server is leaving"));
    }
    let upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or(Refusal::new(StatusCode::UPGRADE_REQUIRED, "this connection can't be upgraded"))?;
    let counted = Counted::admit(shared)
        .ok_or_else(|| busy("this server has as many connections as it may"))?;
    Ok((upgrade, counted, codec, accept_key))
}

fn check_handshake(request: &Request) -> Result<HeaderValue, Refusal> {
    let headers = request.headers();
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "a WebSocket begins with GET over HTTP/1.1",
        ));
    }
    if !has_token(headers, &header::CONNECTION, "upgrade")
        || !has_token(headers, &header::UPGRADE, "websocket")
    {
        return Err(Refusal::new(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket endpoint"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::new(
            StatusCode::UPGRADE_REQUIRED,
            "Sec-WebSocket-Version: 13 is needed",
        ));
    }
    match headers.get(header::SEC_WEBSOCKET_KEY) {
        // 16 bytes in base64 (RFC 6455 4.1).
        Some(key) if key.len() == 24 && key.as_bytes().ends_with(b"==") => Ok(key.clone()),
        _ => Err(Refusal::new(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing or not one")),
    }
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

fn check_origin(allowed: Option<&[String]>, headers: &HeaderMap) -> Result<(), Refusal> {
    let (Some(allowed), Some(origin)) = (allowed, headers.get(header::ORIGIN)) else {
        return Ok(());
    };
    if allowed.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes())) {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "this origin may not connect"))
}

/// The client's order of preference counts.
fn choose_codec(enabled: &[Codec], headers: &HeaderMap) -> Option<Codec> {
    tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(Codec::from_subprotocol)
        .find(|codec| enabled.contains(codec))
}

fn shown(request: &Request) -> Shown {
    let bearer = |value: &HeaderValue| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    Shown {
        token: request.headers().get(header::AUTHORIZATION).and_then(bearer),
        peer: request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
        instance: None,
    }
}

fn switching(codec: Codec, accept_key: &HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept_key.clone());
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(codec.subprotocol()));
    response
}

fn refused(refusal: &Refusal) -> Response {
    let mut response = Response::new(Body::from(format!("{}\n", refusal.reason)));
    *response.status_mut() = refusal.status;
    if refusal.status == StatusCode::UPGRADE_REQUIRED {
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    if let Some(wait) = refusal.retry_after {
        let seconds = millis(wait).div_ceil(1_000);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The stream that HTTP has let go of, and what HTTP has read of it too many.
fn let_go(upgraded: Upgraded) -> (Stream, Bytes) {
    match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => (Stream::tcp(parts.io.into_inner()), parts.read_buf),
        Err(upgraded) => (Stream::Other(Box::new(TokioIo::new(upgraded))), Bytes::new()),
    }
}

async fn serve(
    shared: Arc<Shared>,
    counted: Counted,
    upgrade: OnUpgrade,
    codec: Codec,
    shown: Shown,
) {
    let limit = shared.config.handshake;
    match tokio::time::timeout(limit, upgrade).await {
        Ok(Ok(upgraded)) => {
            let (stream, begun) = let_go(upgraded);
            let socket = Socket::server(stream, begun, &shared.transport, HELLO_BYTES);
            connection::run(shared, socket, codec, shown).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "the upgrade failed"),
        Err(_) => tracing::debug!("the upgrade took too long"),
    }
    drop(counted);
}
