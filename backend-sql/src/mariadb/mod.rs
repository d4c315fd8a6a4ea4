//! The store on MariaDB.

mod login;
mod options;
mod shared;
mod store;

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

pub use login::MariaDbLogin;
pub use options::MariaDbOptions;
pub use store::MariaDbStore;
