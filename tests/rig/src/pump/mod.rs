//! The one way in which a test takes the outputs of a core: in the core's own order, until there is
//! none, as the drivers do. It decides nothing: what an output means in a test is the harness's
//! business.

mod client;
mod node;

pub use client::{ClientHarness, pump_client};
pub use node::{Begun, NodeHarness, pump_node};

use steadfast::session::Now;
use steadfast::session::client::Client;
use steadfast::session::node::Node;

/// Outputs that one input may cause: far more than any test needs.
const OUTPUTS: u32 = 100_000;

/// A core that has something to say for ever, without another input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endless;

/// What one call of a pump has carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pumped {
    /// Outputs taken.
    pub outputs: u32,
    /// Rounds in which sockets took something.
    pub transmissions: u32,
    /// Executions handed out ahead of their order.
    pub ahead: u32,
    /// Times that executions went back unbegun.
    pub given_back: u32,
}

impl Pumped {
    /// Whether there was anything to carry out.
    #[must_use]
    pub const fn moved(&self) -> bool {
        self.outputs + self.transmissions > 0
    }

    const fn output(&mut self) -> Result<(), Endless> {
        self.outputs += 1;
        self.ends()
    }

    const fn transmission(&mut self) -> Result<(), Endless> {
        self.transmissions += 1;
        self.ends()
    }

    const fn ends(&self) -> Result<(), Endless> {
        if self.outputs + self.transmissions < OUTPUTS { Ok(()) } else { Err(Endless) }
    }
}

/// What a node still wants done although everything has been pumped: nothing, or its pump is wrong.
/// What is found is taken.
pub fn left_at_node(node: &mut Node, now: Now) -> Option<String> {
    node.poll_output(now).map(|output| format!("{output:?}"))
}

/// The same of a client.
pub fn left_at_client(client: &mut Client) -> Option<String> {
    client.poll_output().map(|event| format!("{event:?}"))
}

/// For tests whose rules are assertions.
///
/// # Panics
/// When something is left.
#[track_caller]
pub fn assert_nothing_is_left(left: Option<String>) {
    assert_eq!(left, None, "no output is left behind");
}
