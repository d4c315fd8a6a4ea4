//! The embedded SQLite engine of Strongroom.
//!
//! A call comes in as a checked request ([`store`]) and goes one of two ways. Reads take a
//! connection from a pool (`pool`) and run on it (`load`, `search`, `group`, `aggregate`, `explain`,
//! `schema`); a scan has one of its own (`scan`). Writes go to the desk of the one connection that
//! writes (`writer`), where concurrent ones are carried out together and acknowledged after one
//! commit (`write`, `bulk`, `matching`). A transaction (`transaction`) owns that connection until
//! it ends. The text of the statements comes from `strongroom-sql`, and for the hot ones from
//! `statements`. What the statements call is registered by `functions` and `buckets`.
//!
//! Invariants: the file is in WAL mode and synchronous as the options say on every connection
//! (`connection`); there is one writer for each store, so that writes of one process never meet
//! as locks; a lock of another process is waited for on another thread; errors of the driver are
//! mapped in `error` and nowhere else.
//!
//! [`store`]: strongroom_core::store

mod aggregate;
mod bodies;
mod buckets;
mod bulk;
mod computed;
mod connection;
mod error;
mod explain;
mod functions;
mod group;
mod load;
mod matching;
mod member;
mod options;
mod pool;
mod scan;
mod schema;
mod search;
mod shared;
mod statements;
mod store;
mod transaction;
mod user_functions;
mod write;
mod writer;

pub use connection::HookConnection;
pub use options::{MissingFile, SqliteOptions, Synchronous, WriteMode};
pub use store::SqliteStore;
