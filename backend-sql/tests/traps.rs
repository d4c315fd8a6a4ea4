//! What PostgreSQL does otherwise than one would think, and what the store makes of it.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;
#[path = "cases/traps.rs"]
mod traps;
