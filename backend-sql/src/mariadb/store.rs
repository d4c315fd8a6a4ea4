//! The store.

use crate::family::names::*;
use crate::store::store;

use super::bulk::at_once;
use super::options::MariaDbOptions;
use super::shared::{self, Shared, Work};
use super::{load, schema, transaction};

/// Documents in a MariaDB database. Clones share the connections.
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
/// use strongroom_sqlx::{MariaDbOptions, MariaDbStore};
///
/// # async fn example() -> Result<(), strongroom_core::Error> {
/// let options = MariaDbOptions::from_url("mariadb://ada@127.0.0.1/app")?;
/// let store = MariaDbStore::connect(options).await?;
/// let model = Model::builder("users").build()?;
/// store.ensure(EnsureRequest::new(model.clone())).await?;
/// let write = Write::put(Key::new("ada")?, Body::parse(r#"{"age":36}"#)?, Expected::Absent);
/// store.save(SaveRequest::new(model, write)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MariaDbStore {
    shared: Arc<Shared>,
}

impl MariaDbStore {
    /// Connects to a server and makes the database ready for the store: three tables and some
    /// functions whose names begin with `strongroom_`. A dropped future may leave some of them; the
    /// next call makes the others.
    ///
    /// The words of text are kept by triggers, which collections that declare text get with their
    /// tables. They write in the name of the user who made them, so making one takes the privilege
    /// `TRIGGER`, and that user has to stay; who writes documents needs no rights to the words. Where
    /// the server writes a binary log, it lets only users with the privilege `SUPER` make functions
    /// and triggers, unless it is set to `log_bin_trust_function_creators = ON`.
    ///
    /// A database of a version without an index of words gets it here, for all documents that are
    /// there. Others can write at the same time.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the server does not answer; `Unauthorized` if it refuses the user or the
    /// user may not make tables, functions or triggers; `Contended` if another change of the schema,
    /// or a writer's lock, is waited for too long; `Config` for a server that is none of the versions
    /// that the store knows, has no TLS where that is asked for, or a certificate that is not trusted,
    /// and for a database that is not there or has the format of a later version; and what the
    /// function of [`log_in`](MariaDbOptions::log_in) fails with.
    pub async fn connect(options: MariaDbOptions) -> Result<Self> {
        let connected = async {
            let shared = shared::connect(options).await?;
            let look: Work<_> = Box::new(|c, _| Box::pin(schema::is_prepared(c)));
            if !shared.run(Around::Read, None, look).await? {
                let prepare: Work<_> = Box::new(|c, _| Box::pin(schema::prepare(c)));
                shared.run(Around::Schema, None, prepare).await?;
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

store!(MariaDbStore);
