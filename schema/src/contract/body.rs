//! What travels, as a contract's facts tell it: places within a body, and what may stand there. A
//! writer's places are held against a reader's.

use std::collections::{BTreeMap, BTreeSet};

/// What begins the next step of a path. None of them is in a name.
pub(super) const STEPS: [char; 4] = ['.', '[', '{', '|'];

/// What the facts say of a body, a reply or a key: its places, from the whole down to the fields of
/// fields.
#[derive(Default)]
pub(super) struct Body<'a>(BTreeMap<&'a str, Place<'a>>);

/// What may stand in one place.
#[derive(Default)]
struct Place<'a> {
    kind: Option<&'a str>,
    optional: bool,
    nullable: bool,
    closed: bool,
    aliases: Vec<&'a str>,
    values: BTreeSet<&'a str>,
    /// Every other fact: bounds, patterns.
    bounds: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Body<'a> {
    /// A fact about the place `path`, with the words that follow it.
    pub(super) fn say(&mut self, path: &'a str, words: &'a str, says: &'a str) {
        let place = self.0.entry(path).or_default();
        match words.split_once(' ').unwrap_or((words, "")) {
            ("", "") => {
                // What the derive sees of an `Option` is its type.
                let inner = says.strip_prefix("Option<").and_then(|it| it.strip_suffix('>'));
                place.nullable |= inner.is_some();
                place.kind = Some(inner.unwrap_or(says));
            }
            ("optional", _) => place.optional = true,
            ("nullable", _) => place.nullable = true,
            ("closed", _) => place.closed = true,
            ("alias", alias) => place.aliases.push(alias),
            ("value", value) => {
                place.values.insert(value);
            }
            _ => {
                place.bounds.insert((words, says));
            }
        }
    }

    /// What this one, as it is written, does not have or has otherwise than `reader` can read.
    pub(super) fn unread_by(&self, reader: &Self, tell: &mut dyn FnMut(String)) {
        for (path, wanted) in &reader.0 {
            match self.written(path, wanted) {
                Some(given) => given.unread(wanted, &mut |why| tell(format!("{path} {why}"))),
                None if !wanted.optional && self.has_parent(path) && !is_choice(path) => {
                    tell(format!("{path} is not written"));
                }
                None => {}
            }
        }
        for path in self.0.keys() {
            let Some(parent) = parent(path) else { continue };
            if reader.reads(path) || !reader.0.contains_key(parent) {
                continue;
            }
            let closed = reader.0.get(parent).is_some_and(|place| place.closed);
            match is_choice(path) {
                true => tell(format!("{path} is not known")),
                false if closed => tell(format!("{path} is not allowed")),
                false => {}
            }
        }
    }

    /// The place under its name, or under another one by which a reader takes it.
    fn written(&self, path: &str, wanted: &Place<'_>) -> Option<&Place<'a>> {
        self.0.get(path).or_else(|| {
            let parent = parent(path)?;
            wanted.aliases.iter().find_map(|alias| self.0.get(&*format!("{parent}.{alias}")))
        })
    }

    fn reads(&self, path: &str) -> bool {
        let alias = || {
            let parent = parent(path)?;
            let name = path.strip_prefix(parent)?.strip_prefix('.')?;
            let siblings = self.0.iter().filter(|(other, _)| self::parent(other) == Some(parent));
            siblings.map(|(_, place)| place).find(|place| place.aliases.contains(&name))
        };
        self.0.contains_key(path) || alias().is_some()
    }

    /// What is in a field that is not there is not asked for. The derive does not mention the whole.
    fn has_parent(&self, path: &str) -> bool {
        parent(path)
            .is_none_or(|parent| self.0.contains_key(parent) || self::parent(parent).is_none())
    }
}

impl Place<'_> {
    fn unread(&self, wanted: &Place<'_>, tell: &mut dyn FnMut(String)) {
        if self.kind != wanted.kind {
            let word = |kind: Option<&str>| kind.unwrap_or("nothing certain").to_owned();
            tell(format!("is {}, and {} is read", word(self.kind), word(wanted.kind)));
        }
        if self.nullable && !wanted.nullable {
            tell("may be null".into());
        }
        if self.optional && !wanted.optional {
            tell("may be left out".into());
        }
        // Without a list every value may come.
        if !wanted.values.is_empty() {
            for value in self.values.difference(&wanted.values) {
                tell(format!("may be {value}"));
            }
            if self.values.is_empty() {
                tell("may be any value".into());
            }
        }
        for (word, says) in wanted.bounds.difference(&self.bounds) {
            tell(format!("need not keep to `{word}: {says}`"));
        }
    }
}

fn is_choice(path: &str) -> bool {
    path.rfind(STEPS).is_some_and(|at| path[at..].starts_with('|'))
}

/// The place that a place is in.
fn parent(path: &str) -> Option<&str> {
    path.rfind(STEPS).map(|at| &path[..at])
}
