//! Connections that are cut under writes, and what the writes are said to have come to.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[path = "cases/cuts.rs"]
mod cuts;
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;
