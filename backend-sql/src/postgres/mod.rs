//! The store on PostgreSQL.

mod login;
mod options;
mod shared;
mod store;

mod server;
mod statements;

mod bulk;
mod computed;
mod load;
mod write;

mod explain;

mod schema;
mod transaction;

mod body;
pub(crate) mod error;
mod row;

pub use login::PostgresLogin;
pub use options::PostgresOptions;
pub use store::PostgresStore;
