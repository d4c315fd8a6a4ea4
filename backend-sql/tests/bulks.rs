//! Bulks on the real server: one statement for many documents, and what it leaves.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[path = "cases/bulks.rs"]
mod bulks;
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;
