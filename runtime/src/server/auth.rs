//! Who may connect: what a client shows, and the hook that says who it is. Knows no kind of token.

use std::net::SocketAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::service::BoxFuture;
use crate::session::Build;
use crate::session::node::{Denied, Identity, Principal};
use crate::wire::InstanceId;

/// What a client showed.
#[derive(Clone)]
#[non_exhaustive]
pub struct Credentials {
    /// The token of HELLO; else that of the upgrade request's `Authorization: Bearer` header.
    pub token: Option<String>,
    /// Where the connection comes from: the proxy's address behind a proxy. `None` if the server
    /// that the router was mounted in does not tell
    /// (`into_make_service_with_connect_info::<SocketAddr>()`).
    pub peer: Option<SocketAddr>,
    /// The client process, random and stable across its reconnects (PROTOCOL.md 4.9). Proves
    /// nothing to others.
    pub instance: InstanceId,
    /// What the client was built from: its version, its contract's fingerprint, and how it fits this
    /// server. Nobody is refused for it (PROTOCOL.md 4.1, 4.19): a hook that does not want to serve a
    /// version says no here.
    pub client: Arc<Build>,
}

// By hand: a token has no business in a log.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("peer", &self.peer)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// What a client showed before its HELLO was looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) token: Option<String>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) instance: Option<InstanceId>,
}

impl Shown {
    /// With what its HELLO says.
    pub(super) fn credentials(self, token: Option<String>, client: Arc<Build>) -> Credentials {
        Credentials {
            token: token.or(self.token),
            peer: self.peer,
            instance: self.instance.unwrap_or(InstanceId(0)),
            client,
        }
    }
}

/// The hook, boxed.
pub(super) type AuthHook =
    Arc<dyn Fn(Credentials) -> BoxFuture<Result<Identity, Denied>> + Send + Sync>;

/// Boxes a hook.
pub(super) fn hook<F, R, I>(check: F) -> AuthHook
where
    F: Fn(Credentials) -> R + Send + Sync + 'static,
    R: Future<Output = Result<I, Denied>> + Send + 'static,
    I: Into<Identity> + 'static,
{
    Arc::new(move |credentials| {
        let answer = check(credentials);
        Box::pin(async move { answer.await.map(Into::into) })
    })
}

/// Asks for a bearer token, and `check` for whose it is. Without a token the client is refused
/// (4201).
///
/// ```
/// use steadfast::server::{Denied, Principal, bearer};
///
/// let hook = bearer(|token| async move {
///     match token.strip_prefix("user:") {
///         Some(user) => Ok(Principal::new(user)),
///         None => Err(Denied::new("no such token")),
///     }
/// });
/// # let _ = hook;
/// ```
pub fn bearer<F, R, I>(
    check: F,
) -> impl Fn(Credentials) -> BoxFuture<Result<Identity, Denied>> + Send + Sync + 'static
where
    F: Fn(String) -> R + Send + Sync + 'static,
    R: Future<Output = Result<I, Denied>> + Send + 'static,
    I: Into<Identity> + 'static,
{
    move |credentials| match credentials.token {
        Some(token) => {
            let answer = check(token);
            Box::pin(async move { answer.await.map(Into::into) })
        }
        None => Box::pin(std::future::ready(Err(Denied::new("a token is needed")))),
    }
}

/// Everybody is somebody else, told apart by the client process: stable across reconnects, which
/// resuming needs, and a hash, so that showing the principal to others gives nothing away.
pub(super) fn anonymous(credentials: &Credentials) -> Identity {
    let mut hash = Sha256::new();
    hash.update(b"steadfast anonymous ");
    hash.update(credentials.instance.0.to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let id: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Principal::new(format!("anonymous-{id}")).into()
}

impl From<Principal> for Identity {
    /// Good until the connection ends.
    fn from(principal: Principal) -> Self {
        Self::new(principal)
    }
}

impl Denied {
    /// A refusal, with what a log should say.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl From<&str> for Denied {
    fn from(reason: &str) -> Self {
        Self::new(reason)
    }
}

impl From<String> for Denied {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}
