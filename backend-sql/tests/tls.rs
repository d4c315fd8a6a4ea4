//! TLS, by modes that are said, to a server with certificates of authorities that the test makes.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;
#[path = "cases/tls.rs"]
mod tls;
