//! This implementation before the suite: the application of ADAPTER.md, and the adapters of our
//! server and our client.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod application;
pub mod client;
pub mod lines;
pub mod process;
pub mod relay;
pub mod server;

use std::sync::Arc;

use futures_util::FutureExt;
use steadfast_conformance::{Adapter, Pipes};
use tokio::io::{AsyncRead, AsyncWrite, duplex, split};

/// How many bytes may wait on the way to an adapter.
const PIPE_BYTES: usize = 256 * 1024;

/// Both ends of an adapter's pipes.
pub type Ends = (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>);

/// An adapter in this process.
pub fn adapter<F>(adapt: impl Fn(Ends) -> F + Send + Sync + 'static) -> Adapter
where
    F: Future<Output = ()> + Send + 'static,
{
    let adapt = Arc::new(adapt);
    Adapter::Inside(Arc::new(move || {
        let (here, there) = duplex(PIPE_BYTES);
        let (reader, writer) = split(there);
        tokio::spawn(adapt((Box::new(reader), Box::new(writer))));
        let (reader, writer) = split(here);
        std::future::ready(Pipes { reader: Box::new(reader), writer: Box::new(writer) }).boxed()
    }))
}
