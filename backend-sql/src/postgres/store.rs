//! The store.

use crate::family::names::*;
use crate::store::store;

use super::bulk::at_once;
use super::options::PostgresOptions;
use super::shared::{self, Shared, Work};
use super::{load, schema, transaction};

/// Documents in a PostgreSQL database. Clones share the connections.
///
/// Any number of stores and processes can use one database at once. A dropped future leaves the
/// store usable: a write that was under way takes place entirely or not at all, and before any
/// write that is called later.
///
/// # Examples
///
/// ```no_run
/// use strongroom_core::model::{Body, Expected, Key, Model};
/// use strongroom_core::store::{EnsureRequest, Save, SaveRequest, Schema, Write};
/// use strongroom_sqlx::{PostgresOptions, PostgresStore};
///
/// # async fn example() -> Result<(), strongroom_core::Error> {
/// let options = PostgresOptions::from_url("postgres://ada@127.0.0.1/app")?;
/// let store = PostgresStore::connect(options).await?;
/// let model = Model::builder("users").build()?;
/// store.ensure(EnsureRequest::new(model.clone())).await?;
/// let write = Write::put(Key::new("ada")?, Body::parse(r#"{"age":36}"#)?, Expected::Absent);
/// store.save(SaveRequest::new(model, write)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

impl PostgresStore {
    /// Connects to a server and makes the database ready for the store: two tables and some
    /// functions whose names begin with `strongroom_`, in the current schema or the one that the
    /// options name.
    ///
    /// A database of a former version is brought up to date, in one transaction: writers of
    /// collections that get indexes wait for its end. It takes the user who owns the tables.
    ///
    /// A dropped future leaves the database as it was, or ready for the store.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the server does not answer; `Unauthorized` if it refuses the user or the
    /// user may not make tables; `Contended` if another change of the schema, or a writer's lock, is
    /// waited for too long; `Timeout` if the server ends what takes too long by its own limits;
    /// `Config` for a server that is older than PostgreSQL 17, has no TLS where that is asked for, or
    /// a certificate that is not trusted, and for a database that is not there, is not in UTF-8 or has
    /// the format of a later version; and what the function of
    /// [`log_in`](PostgresOptions::log_in) fails with.
    pub async fn connect(options: PostgresOptions) -> Result<Self> {
        let connected = async {
            let shared = shared::open(options)?;
            let look: Work<_> = Box::new(|c, _| Box::pin(schema::is_prepared(c)));
            if !shared.run(Around::Read, None, look).await? {
                let name = shared.options.schema.clone();
                let prepare: Work<_> = Box::new(move |c, _| {
                    Box::pin(async move { schema::prepare(c, name.as_deref()).await })
                });
                shared.run(Around::Transaction, None, prepare).await?;
            }
            Ok(shared)
        };
        let shared = connected.await;
        let shared = shared.map_err(|e: Error| e.with_operation(Operation::Connect))?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

store!(PostgresStore);
