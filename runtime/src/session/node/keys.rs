//! Keys by which a machine of the node names what another one holds. They say nothing about it:
//! whoever has one can only hand it back to its owner.

use crate::session::table::Key;

/// Kind of the rows that [`super::seats::Seats`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SessionRow {}
/// Kind of the rows that [`super::leases::Leases`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LeaseRow {}
/// Kind of the executions that [`super::effects::Effects`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExecutionRow {}
/// Kind of the store operations that [`super::effects::Effects`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OperationRow {}

pub(super) type SessionKey = Key<SessionRow>;
pub(super) type LeaseKey = Key<LeaseRow>;
pub(super) type OperationKey = Key<OperationRow>;

/// Where an attachment sits once it has its WELCOME: a session, and the lease that the session
/// holds. The two live and end together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Seat {
    pub(super) session: SessionKey,
    pub(super) lease: LeaseKey,
}
