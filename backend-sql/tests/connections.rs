//! What becomes of connections when calls are cut off, refused or lost.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[path = "cases/connections.rs"]
mod connections;
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;
