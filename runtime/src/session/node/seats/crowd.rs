//! How many sessions there are of each principal, and which one makes room for a newcomer when
//! there are as many as may be. What ends with a session is the router's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::session::Session;
use crate::session::Now;
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::keys::SessionKey;
use crate::session::node::types::Principal;

/// Sessions that are counted. Of those without a socket the one comes first that makes room first:
/// never used before used, and then the one that was left first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Crowd {
    people: BTreeMap<Arc<str>, People>,
    detached: BTreeSet<Place>,
}

/// What one principal has of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct People {
    /// In no order.
    sessions: Vec<SessionKey>,
    detached: BTreeSet<Place>,
}

/// Whether it was ever used, and since when it has had no socket.
type Place = (bool, Now, SessionKey);

/// Whether there is room for one more session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vacancy {
    Free,
    /// If this one ends.
    InPlaceOf(SessionKey),
    /// This principal has as many as it may, all with a socket.
    PrincipalFull,
    /// So has the node.
    Full,
}

const COUNTED: &str = "every session is counted";

impl Crowd {
    pub(super) fn enter(&mut self, name: Arc<str>, key: SessionKey) {
        self.people.entry(name).or_default().sessions.push(key);
    }

    /// Every session of a principal.
    pub(super) fn sessions_of(&self, name: &str) -> &[SessionKey] {
        self.people.get(name).map_or(&[], |people| &people.sessions)
    }

    /// A session has lost its socket.
    pub(super) fn detach(&mut self, key: SessionKey, session: &Session) {
        let place = place(key, session);
        self.detached.insert(place);
        if let Some(people) = held(self.people.get_mut(session.principal.user()), COUNTED) {
            people.detached.insert(place);
        }
    }

    /// A session has a socket again.
    pub(super) fn attach(&mut self, key: SessionKey, session: &Session) {
        let place = place(key, session);
        self.detached.remove(&place);
        if let Some(people) = held(self.people.get_mut(session.principal.user()), COUNTED) {
            people.detached.remove(&place);
        }
    }

    pub(super) fn leave(&mut self, key: SessionKey, session: &Session) {
        self.attach(key, session);
        let name = session.principal.user();
        let Some(people) = held(self.people.get_mut(name), COUNTED) else { return };
        people.sessions.retain(|other| *other != key);
        if people.sessions.is_empty() {
            self.people.remove(name);
        }
    }

    /// Whether there is room for one more session beside `sessions`: one of the principal's own
    /// makes room before that of somebody else does.
    pub(super) fn vacancy(
        &self,
        principal: &Principal,
        sessions: usize,
        config: &NodeConfig,
    ) -> Vacancy {
        let first = |places: &BTreeSet<Place>| places.first().map(|(.., key)| *key);
        let people = self.people.get(principal.user());
        if let Some(people) = people.filter(|it| it.count() >= config.sessions_per_principal) {
            return first(&people.detached).map_or(Vacancy::PrincipalFull, Vacancy::InPlaceOf);
        }
        if sessions < config.sessions as usize {
            return Vacancy::Free;
        }
        first(&self.detached).map_or(Vacancy::Full, Vacancy::InPlaceOf)
    }

    pub(super) fn most(&self) -> u32 {
        self.people.values().map(People::count).max().unwrap_or_default()
    }
}

impl People {
    fn count(&self) -> u32 {
        u32::try_from(self.sessions.len()).unwrap_or(u32::MAX)
    }
}

fn place(key: SessionKey, session: &Session) -> Place {
    (session.used, session.detached, key)
}
