//! The store on a real MariaDB.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

mod conformance;
mod support;
