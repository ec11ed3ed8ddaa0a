//! What a client that keeps to no manners can make a node hold.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, body, name};
use steadfast::session::node::{Executed, Execution};

use steadfast::wire::ClientFrame;

#[test]
fn volatile_handlers_of_lost_sockets_count_until_they_end() {
    let mut bench = Bench::with(|config| (config.executions, config.volatile_executions) = (5, 2));
    for _ in 0..20 {
        let conn = bench.attach();
        for _ in 0..3 {
            bench.frame(conn, ClientFrame::Volatile { name: name("nudge"), body: body("{}") });
        }
        bench.bye(conn);
    }
    assert_eq!(bench.executions.len(), 5, "as many as commands, and no more");
    for execution in std::mem::take(&mut bench.executions) {
        assert!(matches!(execution, Execution::Volatile { .. }));
        bench.executed(&execution, Executed::Volatile { publishes: Vec::new() });
    }
    let conn = bench.attach();
    bench.frame(conn, ClientFrame::Volatile { name: name("nudge"), body: body("{}") });
    assert_eq!(bench.executions.len(), 1, "and there is room again");
}
