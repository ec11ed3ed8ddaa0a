//! Running a configuration through the checker, and what came of it.

use std::fmt::Write as _;
use std::time::Duration;

use stateright::{Checker, HasDiscoveries, Model as _};

use crate::marks::Mark;
use crate::model::Model;
use crate::settings::Settings;

/// Whether a configuration belongs to the test command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Seconds.
    Small,
    /// Minutes, and a million states or more.
    Large,
}

/// Something to explore.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// For reports.
    pub name: &'static str,
    /// How long it takes.
    pub size: Size,
    /// What is in it.
    pub settings: Settings,
    /// What must happen in it somewhere.
    pub reaches: &'static [Mark],
}

/// A property that does not hold, and how to get there.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The rule's name.
    pub property: &'static str,
    /// The actions that lead there, and what was found.
    pub path: String,
}

/// What came of an exploration.
#[derive(Debug, Clone)]
pub struct Explored {
    /// The configuration.
    pub name: &'static str,
    /// States that differ.
    pub unique_states: usize,
    /// Successors that were made, known ones among them.
    pub generated_states: usize,
    /// The longest path, in actions.
    pub max_depth: usize,
    /// Properties that do not hold.
    pub violations: Vec<Violation>,
    /// What must happen somewhere, and whether it did.
    pub sometimes: Vec<(&'static str, bool)>,
    /// Whether nothing was left out.
    pub exhaustive: bool,
    /// How long it took.
    pub seconds: f64,
}

/// How far an exploration has got.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// States that differ.
    pub unique_states: usize,
    /// The longest path, in actions.
    pub max_depth: usize,
    /// How long it took.
    pub seconds: f64,
}

impl Configuration {
    /// Explores every state, or stops at the first broken rule. Breadth first where it is small, so
    /// that a path to a broken rule is a shortest one; depth first where it is large, so that few
    /// states wait at a time.
    #[must_use]
    pub fn explore(&self, threads: usize) -> Explored {
        self.explore_watched(threads, Duration::from_millis(20), |_| {})
    }

    /// The same, with a look at it each `interval`.
    #[must_use]
    pub fn explore_watched(
        &self,
        threads: usize,
        interval: Duration,
        watch: impl FnMut(Progress),
    ) -> Explored {
        let model = Model::new(self.settings.clone());
        let builder = model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
        match self.size {
            Size::Small => self.run(builder.spawn_bfs(), interval, watch),
            Size::Large => self.run(builder.spawn_dfs(), interval, watch),
        }
    }

    #[expect(clippy::disallowed_types, reason = "a report says how long it took")]
    fn run(
        &self,
        checker: impl Checker<Model>,
        interval: Duration,
        mut watch: impl FnMut(Progress),
    ) -> Explored {
        let started = std::time::Instant::now();
        while !checker.is_done() {
            std::thread::sleep(interval);
            let (unique_states, max_depth) = (checker.unique_state_count(), checker.max_depth());
            watch(Progress { unique_states, max_depth, seconds: started.elapsed().as_secs_f64() });
        }
        let checker = checker.join();
        let violations: Vec<Violation> =
            checker.discoveries().into_iter().map(|(name, path)| told(name, path)).collect();
        let marks = &checker.model().marks;
        Explored {
            name: self.name,
            unique_states: checker.unique_state_count(),
            generated_states: checker.state_count(),
            max_depth: checker.max_depth(),
            // Nothing bounds the checker but its first discovery.
            exhaustive: violations.is_empty(),
            violations,
            sometimes: self.reaches.iter().map(|mark| (mark.name(), marks.has(*mark))).collect(),
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}

fn told(
    property: &'static str,
    path: stateright::Path<crate::state::State, crate::action::Action>,
) -> Violation {
    let steps = path.into_vec();
    let mut text = String::new();
    for (_, action) in &steps {
        if let Some(action) = action {
            let _ = writeln!(text, "{action:?}");
        }
    }
    if let Some((rule, detail)) = steps.last().and_then(|(state, _)| state.ledger.broken()) {
        let _ = writeln!(text, "{}: {detail}", rule.name());
    }
    Violation { property, path: text }
}
