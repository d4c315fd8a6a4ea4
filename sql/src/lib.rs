//! From Strongroom's requests to SQL: pure compilers, no driver, no I/O.
//!
//! A checked request goes in, a [`Statement`] comes out: text in which every value is a
//! placeholder, and the values to bind. What differs between databases is behind the open trait
//! [`Dialect`]; another database implements it in its own crate and needs no edit of this one.
//!
//! Modules, in reading order:
//!
//! - [`param`]: values to bind, and the statement they belong to.
//! - [`dialect`]: what a database has to say about its SQL.
//! - [`mod@aggregate`]: aggregations, and from their rows to the reply.
//! - [`filter`]: filters as conditions.
//! - [`mod@group`]: the first documents of each group.
//! - [`page`]: pages with their sort keys and cursors, and counts.
//! - [`mod@scan`]: all that matches, for scans and for writes of what matches.
//! - [`explain`]: what a question comes to, for its explanation.
//! - [`sqlite`]: the dialect of SQLite, with its tables.
//! - [`postgres`]: the dialect of PostgreSQL, with its tables.
//! - [`mariadb`]: the dialect of MariaDB, with its tables.
//! - `dates`, `pattern`: what several dialects write alike.
//!
//! Invariants: a value never becomes part of the text; an identifier is always quoted by the
//! dialect; nesting of the text grows with the logarithm of a list's length, because databases
//! limit the depth of expressions.

pub mod aggregate;
mod dates;
pub mod dialect;
pub mod explain;
pub mod filter;
pub mod group;
pub mod mariadb;
pub mod page;
pub mod param;
mod pattern;
pub mod postgres;
pub mod scan;
pub mod sqlite;

pub use aggregate::aggregate;
pub use dialect::{Dialect, Leaves, Lookup};
pub use explain::asked;
pub use group::group;
pub use mariadb::MariaDb;
pub use page::{count, find};
pub use param::{Param, Statement, Writer};
pub use postgres::Postgres;
pub use scan::{matching, scan};
pub use sqlite::Sqlite;

#[cfg(test)]
mod tests;
