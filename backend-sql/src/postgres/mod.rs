//! The store on PostgreSQL.

mod family;
mod login;
mod options;
mod shared;
mod store;

mod pool;
mod statements;

mod bulk;
mod computed;
mod load;
mod matching;
mod write;

mod aggregate;
mod explain;
mod group;
mod scan;
mod search;

mod schema;
mod transaction;

mod body;
mod error;
mod row;

pub use login::PostgresLogin;
pub use options::PostgresOptions;
pub use store::PostgresStore;
