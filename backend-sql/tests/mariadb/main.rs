//! The store on a real MariaDB.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

mod conformance;
#[path = "../cases/connections.rs"]
mod connections;
#[path = "../cases/cuts.rs"]
mod cuts;
mod limits;
#[path = "../support/proxy.rs"]
#[allow(unreachable_pub, reason = "shared by test programs")]
mod proxy;
#[allow(unreachable_pub, dead_code, reason = "shared by the modules")]
mod support;
#[path = "../cases/traps.rs"]
mod traps;
