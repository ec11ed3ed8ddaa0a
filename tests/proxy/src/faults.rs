//! The bad network of the demos: what may happen to a connection, and when. All of its chance comes
//! from one seed.

use std::time::Duration;

use crate::{Plan, Proxy, Side, Way};
use fastrand::Rng;
use tokio::time::sleep;

/// What happens to one client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Both sides are closed.
    Cut,
    /// Both sides are reset.
    Reset,
    /// So many more bytes pass, then both sides are closed, most likely inside a frame.
    CutAfter(Way, u64),
    /// Only one side learns of the end.
    HalfOpen(Side),
    /// It is cut, and the next one is cut before the client has seen the server's first frame.
    LostWelcome,
    /// It is cut, and the next one is cut after so many bytes of the resume.
    CutAgain(Way, u64),
    /// Nothing passes for a while; then it is cut.
    StallAndCut(Duration),
    /// Nothing passes for a while; then everything does.
    Stall(Duration),
    /// It is cut, and nobody gets through for a while.
    Refuse(Duration),
}

impl Fault {
    /// Picks one at random.
    #[must_use]
    pub fn any(rng: &mut Rng) -> Self {
        let way = if rng.bool() { Way::Up } else { Way::Down };
        let side = if rng.bool() { Side::Client } else { Side::Server };
        let pause = Duration::from_millis(rng.u64(50..500));
        match rng.u8(0..12) {
            0..=2 => Self::Cut,
            3..=4 => Self::Reset,
            5..=6 => Self::CutAfter(way, rng.u64(0..2_000)),
            7 => Self::HalfOpen(side),
            8 => Self::LostWelcome,
            9 => Self::CutAgain(way, rng.u64(0..1_500)),
            10 => {
                if rng.bool() {
                    Self::StallAndCut(pause)
                } else {
                    Self::Stall(pause)
                }
            }
            _ => Self::Refuse(pause),
        }
    }

    /// Lets it happen, to its end. Returns whether it has ended a connection, or will.
    pub async fn strike(self, proxy: &Proxy) -> bool {
        match self {
            Self::Cut => proxy.cut_all() > 0,
            Self::Reset => proxy.reset_all() > 0,
            Self::CutAfter(way, bytes) => proxy.cut_after(way, bytes),
            Self::HalfOpen(side) => proxy.half_open(side),
            Self::LostWelcome => {
                proxy.lose_welcomes(1);
                proxy.cut_all() > 0
            }
            Self::CutAgain(way, bytes) => {
                proxy.plan(Plan::CutAfter { way, bytes });
                proxy.cut_all() > 0
            }
            Self::Stall(pause) | Self::StallAndCut(pause) => {
                proxy.stall_both();
                sleep(pause).await;
                let cut = matches!(self, Self::StallAndCut(_)) && proxy.cut_all() > 0;
                proxy.resume();
                cut
            }
            Self::Refuse(pause) => {
                proxy.refuse(true);
                let cut = proxy.cut_all() > 0;
                sleep(pause).await;
                proxy.refuse(false);
                cut
            }
        }
    }
}

/// How long the network behaves until the next fault.
#[must_use]
pub fn calm(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(100..700))
}
