//! A server that is stopped and started again under writers.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[path = "cases/restarts.rs"]
mod restarts;
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;
