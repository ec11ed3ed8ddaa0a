//! The way from an HTTP request to a socket: reads what the core asks about a request, and writes
//! its answer. Who is let in is decided in [`crate::session::node::admission`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::auth::Shown;
use super::connection;
use super::engine::Engine;
use super::gate::Admitted;
use crate::host;
use crate::session::millis;
use crate::session::node::admission::{Door, HELLO_BYTES, Refusal, UpgradeRequest};
use crate::transport::{Form, MessageBytes, Socket, Stream};
use crate::wire::Codec;

/// A request that is upgraded.
struct LetIn {
    upgrade: OnUpgrade,
    admitted: Admitted,
    /// Proves that the request was understood (RFC 6455 4.2.2).
    accept_key: HeaderValue,
}

/// Answers an upgrade request, and serves the socket in a task of its own.
pub(super) fn upgrade(engine: &Arc<Engine>, mut request: Request) -> Response {
    match accept(engine, &mut request) {
        Ok((accepted, codec)) => {
            // Without the header the query has named it, and the answer names none.
            let named = request.headers().contains_key(header::SEC_WEBSOCKET_PROTOCOL);
            let subprotocol = named.then_some(codec.subprotocol());
            let answer = switching(subprotocol, &accepted.accept_key);
            host::spawn(serve(Arc::clone(engine), accepted, codec, shown(&request)));
            answer
        }
        Err(refusal) => refuse(engine, &mut request, refusal),
    }
}

/// A page is told by a close, since it sees no status; everybody else by the status.
fn refuse(engine: &Arc<Engine>, request: &mut Request, refusal: Refusal) -> Response {
    refuse_by_close(engine, request, refusal)
        .unwrap_or_else(|| refused(refusal, engine.env.limits.retry_after))
}

fn refuse_by_close(
    engine: &Arc<Engine>,
    request: &mut Request,
    refusal: Refusal,
) -> Option<Response> {
    let limits = &engine.env.limits;
    // Beside the sockets that are served, so that a full server can say so.
    let most = limits.connections.saturating_add(limits.handshakes);
    let (answer, accepted, close) = {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>()?;
        let asked = asked(request);
        let (close, subprotocol) = asked.refused_by_close(refusal)?;
        let accept_key = HeaderValue::from_str(&derive_accept_key(asked.key)).ok()?;
        let admitted = engine.gate.admit(most)?;
        let answer = switching(subprotocol, &accept_key);
        (answer, LetIn { upgrade, admitted, accept_key }, close)
    };
    let engine = Arc::clone(engine);
    host::spawn(async move {
        // Nothing is said on it.
        if let Some(socket) = open(&engine, accepted.upgrade, Form::Text).await {
            connection::refuse(&engine, socket, close).await;
        }
        drop(accepted.admitted);
    });
    Some(answer)
}

/// The same for a server of its own, which has nothing at other paths.
pub(super) fn upgrade_root(engine: &Arc<Engine>, mut request: Request) -> Response {
    match request.uri().path() {
        "/" => upgrade(engine, request),
        _ => refuse(engine, &mut request, Refusal::Elsewhere),
    }
}

fn accept(engine: &Arc<Engine>, request: &mut Request) -> Result<(LetIn, Codec), Refusal> {
    let env = &engine.env;
    let leaving = engine.gate.is_leaving();
    let door = Door { codecs: &env.config.codecs, origins: env.origins.as_deref(), leaving };
    let asked = asked(request);
    let codec = door.admit(&asked)?;
    let accept_key =
        HeaderValue::from_str(&derive_accept_key(asked.key)).map_err(|_| Refusal::Key)?;
    let admitted = engine.gate.admit(env.limits.connections).ok_or(Refusal::Full)?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(Refusal::Connection)?;
    Ok((LetIn { upgrade, admitted, accept_key }, codec))
}

fn asked(request: &Request) -> UpgradeRequest<'_> {
    let headers = request.headers();
    let mut subprotocols: Vec<&str> = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).collect();
    if !headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        let query = request.uri().query().unwrap_or_default();
        let named = query.split('&').filter_map(|pair| pair.strip_prefix("subprotocol="));
        subprotocols.extend(named);
    }
    let bytes = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    UpgradeRequest {
        get: request.method() == Method::GET && request.version() == Version::HTTP_11,
        websocket: has_token(headers, &header::CONNECTION, "upgrade")
            && has_token(headers, &header::UPGRADE, "websocket"),
        version_13: bytes(header::SEC_WEBSOCKET_VERSION) == Some(b"13"),
        key: bytes(header::SEC_WEBSOCKET_KEY).unwrap_or_default(),
        origin: bytes(header::ORIGIN),
        subprotocols,
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
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

fn switching(subprotocol: Option<&str>, accept_key: &HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept_key.clone());
    if let Some(name) = subprotocol.and_then(|name| HeaderValue::from_str(name).ok()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    response
}

fn refused(refusal: Refusal, retry_after: Duration) -> Response {
    let mut response = Response::new(Body::from(format!("{}\n", refusal.reason())));
    *response.status_mut() =
        StatusCode::from_u16(refusal.status()).expect("the core answers with HTTP statuses");
    let headers = response.headers_mut();
    if refusal.names_upgrade() {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    if refusal.may_pass() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(millis(retry_after).div_ceil(1_000)));
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

async fn serve(engine: Arc<Engine>, accepted: LetIn, codec: Codec, shown: Shown) {
    let LetIn { upgrade, admitted, .. } = accepted;
    if let Some(socket) = open(&engine, upgrade, codec.into()).await {
        connection::run(engine, socket, codec, shown).await;
    }
    drop(admitted);
}

/// The socket, once HTTP has let go of it.
async fn open(engine: &Engine, upgrade: OnUpgrade, form: Form) -> Option<Socket<Stream>> {
    match tokio::time::timeout(engine.env.config.handshake, upgrade).await {
        Ok(Ok(upgraded)) => {
            let (stream, begun) = let_go(upgraded);
            let then = engine.env.config.frame_bytes as usize;
            let message_bytes = MessageBytes { first: HELLO_BYTES, then };
            let config = &engine.env.transport;
            return Some(Socket::server(stream, form, &begun, config, message_bytes));
        }
        Ok(Err(error)) => tracing::debug!(%error, "the upgrade failed"),
        Err(_) => tracing::debug!("the upgrade took too long"),
    }
    None
}
