//! Passwords: where they come from, and that nobody is told.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[path = "cases/logins.rs"]
mod logins;
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;
