//! The store on a real MariaDB.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[path = "../cases/bulks.rs"]
mod bulks;
mod conformance;
#[path = "../cases/connections.rs"]
mod connections;
#[path = "../cases/cuts.rs"]
mod cuts;
mod functions;
mod limits;
#[path = "../cases/logins.rs"]
mod logins;
mod plans;
#[path = "../support/proxy.rs"]
#[allow(unreachable_pub, reason = "shared by test programs")]
mod proxy;
#[allow(unreachable_pub, dead_code, reason = "shared by the modules")]
mod support;
#[path = "../cases/traps.rs"]
mod traps;
mod values;
mod words;
