//! The store on PostgreSQL.

mod login;
mod options;
mod shared;
mod store;

mod connection;
mod server;
mod statements;

mod bulk;
mod load;
mod write;

mod schema;
mod transaction;

mod body;
pub(crate) mod error;
mod row;

pub use login::PostgresLogin;
pub use options::PostgresOptions;
pub use store::PostgresStore;
