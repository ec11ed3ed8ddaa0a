//! Taking a client core's outputs. What its socket takes causes events, so both go on until neither
//! has anything.

use steadfast::session::client::{Client, Event};

use super::{Endless, Pumped};

/// What a harness does for a client core.
pub trait ClientHarness {
    /// The core.
    fn client(&mut self) -> &mut Client;

    /// Does it, or passes it on.
    fn event(&mut self, event: Event);

    /// The current socket takes what there is, if it takes anything now; says whether it took
    /// something.
    fn transmit(&mut self) -> bool;
}

/// Takes outputs until there is none.
///
/// # Errors
/// When there is no end to them.
pub fn pump_client(harness: &mut impl ClientHarness) -> Result<Pumped, Endless> {
    let mut pumped = Pumped::default();
    let mut quiet = false;
    loop {
        let before = pumped.outputs;
        while let Some(event) = harness.client().poll_output() {
            pumped.output()?;
            harness.event(event);
        }
        if quiet && pumped.outputs == before {
            return Ok(pumped);
        }
        // A core that was asked and had no frame may have something to tell all the same.
        quiet = !harness.transmit();
        if !quiet {
            pumped.transmission()?;
        }
    }
}
