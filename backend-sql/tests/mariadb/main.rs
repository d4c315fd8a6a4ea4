//! The store on a real MariaDB.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[path = "../cases/bulks.rs"]
mod bulks;
mod conformance;
#[path = "../cases/connections.rs"]
mod connections;
#[path = "../cases/cuts.rs"]
mod cuts;
mod functions;
mod killed;
mod limits;
#[path = "../cases/logins.rs"]
mod logins;
#[path = "../support/own.rs"]
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod own;
mod plans;
#[path = "../support/proxy.rs"]
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod proxy;
#[path = "../cases/restarts.rs"]
mod restarts;
#[allow(unreachable_pub, dead_code, reason = "shared by the modules")]
mod support;
#[path = "../cases/tls.rs"]
mod tls;
#[path = "../cases/traps.rs"]
mod traps;
mod values;
mod words;
