//! PostgreSQL for Strongroom: [`PostgresStore`].
//!
//! A store holds a pool of bare connections. A call takes one, sends as few statements as its
//! answer needs, and gives it back only when it knows that the connection is idle; all others are
//! thrown away and ended at the server.
//!
//! Modules, in reading order: `options`, `store`, `pool`, `statements`, `write`, `bulk`, `load`,
//! `search`, `schema`, `transaction`, `scan`, `error`; `body` and `row` translate.

#[cfg(feature = "postgres")]
mod postgres;

#[cfg(feature = "postgres")]
pub use postgres::{PostgresLogin, PostgresOptions, PostgresStore};
