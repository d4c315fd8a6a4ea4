//! SQL servers for Strongroom: PostgreSQL (`PostgresStore`) and MariaDB (`MariaDbStore`).
//!
//! A store holds a pool of bare connections. A call takes one, sends as few statements as its
//! answer needs, and gives it back only when it knows that the connection is idle; all others are
//! thrown away and ended at the server.
//!
//! Each server has a folder: `options` and `login`, `store`, `statements`, `write`, `bulk`, `load`,
//! `schema`, `transaction`, in reading order. What does not depend on the server is
//! beside the folders:
//!
//! - `options`, `login`: what the options of all servers have, and what connections are opened with.
//! - `pool`: the connections, and the end of those that were abandoned.
//! - `shared`: what a store and its transactions share, and how a call is carried out.
//! - `family`: the trait family, for stores and transactions alike.
//! - `store`: what a user holds of a store.
//! - `session`, `transaction`: a transaction with its connection, and what a user holds of it.
//! - `levels`: the stack of a transaction and its savepoints.
//! - `write`, `bulk`: how single writes and bulks are carried out; `outcomes`, `slots`: what they come to, item by item and
//!   document by document.
//! - `ask`: questions and the rows that answer them; `search`, `aggregate`, `group`, `matching`: what
//!   is asked.
//! - `scan`, `pages`: scans outside of transactions, and where a scan stands.
//! - `failure`, `work`: why a call fails, and what it needs around it.

// Without a server there is nothing to speak to.
#![cfg(any(feature = "mariadb", feature = "postgres"))]

mod aggregate;
mod ask;
mod bulk;
mod explain;
mod failure;
mod family;
mod group;
mod levels;
mod login;
mod matching;
mod options;
mod outcomes;
mod pages;
mod pool;
mod scan;
mod search;
mod session;
mod shared;
mod slots;
mod store;
mod transaction;
mod work;
mod write;

#[cfg(feature = "mariadb")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;

pub use login::Login;
#[cfg(feature = "mariadb")]
pub use mariadb::{MariaDbLogin, MariaDbOptions, MariaDbStore};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresLogin, PostgresOptions, PostgresStore};
