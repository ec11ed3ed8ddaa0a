//! The server as a process of its own, which runs until a signal: `tally_server <port>`.

use std::time::Duration;

use steadfast_e2e::{App, TallyServer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("which port?")?.parse()?;
    let server = TallyServer::builder(App::default()).allow_anonymous();
    let server = server.limits(|limits| limits.drain_spread = Duration::from_millis(20)).build();
    Ok(server.serve_until_signal(("127.0.0.1", port), Duration::from_secs(20)).await?)
}
