//! The hot statements of a collection, as text that is written once and prepared once for each
//! connection.
//!
//! Parameters keep their places in all of them: ?1 id, ?2 version, ?3 write id, ?4 time of
//! writing, ?5 body, ?6 routing, ?7 expected version.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{CollectionName, Key, Model};
use strongroom_sql::{Dialect, Sqlite};

/// The statements of one collection.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) collection: CollectionName,
    pub(crate) routed: bool,
    /// Version, write id, time of writing, body.
    pub(crate) get: Box<str>,
    pub(crate) version: Box<str>,
    /// Inserts, or does nothing where there is a document.
    pub(crate) insert: Box<str>,
    /// Inserts or replaces; gives the version.
    pub(crate) upsert: Box<str>,
    /// Replaces the document at version ?7.
    pub(crate) replace_exactly: Box<str>,
    /// Replaces whatever document is there; gives the version.
    pub(crate) replace_present: Box<str>,
    pub(crate) delete_exactly: Box<str>,
    pub(crate) delete: Box<str>,
}

/// A version whose revision is this cannot be counted up.
const LAST_REVISION: i64 = 0xffff_ffff;

impl Statements {
    /// # Errors
    ///
    /// `Invalid` for a name that SQLite keeps for itself.
    pub(crate) fn new(collection: &CollectionName, routed: bool) -> Result<Self> {
        if collection.as_str().starts_with("sqlite_") {
            return Err(Error::invalid(format!(
                "collection name \"{collection}\" begins with `sqlite_`, which SQLite keeps for itself"
            ))
            .with_collection(collection.clone()));
        }
        let table = Sqlite.identifier(collection.as_str());
        let (key, column, value, conflict) = if routed {
            (
                "id = ?1 AND routing = ?6",
                ", routing",
                ", ?6",
                "routing, id",
            )
        } else {
            ("id = ?1", "", "", "id")
        };
        let insert = format!(
            "INSERT INTO {table} (id, version, write_id, written_at, body{column}) \
             VALUES (?1, ?2, ?3, ?4, ?5{value}) ON CONFLICT ({conflict}) DO"
        );
        let countable = format!("version & {LAST_REVISION} < {LAST_REVISION}");
        Ok(Self {
            collection: collection.clone(),
            routed,
            get: format!("SELECT version, write_id, written_at, body FROM {table} WHERE {key}")
                .into(),
            version: format!("SELECT version FROM {table} WHERE {key}").into(),
            insert: format!("{insert} NOTHING").into(),
            upsert: format!(
                "{insert} UPDATE SET version = version + 1, write_id = excluded.write_id, \
                 written_at = excluded.written_at, body = excluded.body \
                 WHERE {countable} RETURNING version"
            )
            .into(),
            replace_exactly: format!(
                "UPDATE {table} SET version = ?2, write_id = ?3, written_at = ?4, body = ?5 \
                 WHERE {key} AND version = ?7"
            )
            .into(),
            replace_present: format!(
                "UPDATE {table} SET version = version + 1, write_id = ?3, written_at = ?4, \
                 body = ?5 WHERE {key} AND {countable} RETURNING version"
            )
            .into(),
            delete_exactly: format!("DELETE FROM {table} WHERE {key} AND version = ?7").into(),
            delete: format!("DELETE FROM {table} WHERE {key}").into(),
        })
    }

    /// # Errors
    ///
    /// `Invalid` if a key has a routing where the collection is not routed, or the reverse.
    pub(crate) fn check_key(&self, key: &Key) -> Result<()> {
        if self.routed == key.routing().is_some() {
            return Ok(());
        }
        let what = if self.routed {
            "is routed: its keys demand a routing"
        } else {
            "is not routed: its keys have no routing"
        };
        Err(
            Error::invalid(format!("collection {} {what}", self.collection))
                .with_collection(self.collection.clone())
                .with_key(key.clone()),
        )
    }
}

/// The statements of every collection that was used, by name and whether it is routed.
#[derive(Debug, Default)]
pub(crate) struct StatementsOf {
    known: RwLock<HashMap<CollectionName, [Option<Arc<Statements>>; 2]>>,
}

impl StatementsOf {
    /// # Errors
    ///
    /// `Invalid` for a name that SQLite keeps for itself.
    pub(crate) fn get(&self, model: &Model) -> Result<Arc<Statements>> {
        let routed = model.is_routed();
        let pick = |pair: &[Option<Arc<Statements>>; 2]| {
            let [plain, with_routing] = pair;
            (if routed { with_routing } else { plain }).clone()
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(model.name()).and_then(pick) {
            return Ok(found);
        }
        drop(known);
        let made = Arc::new(Statements::new(model.name(), routed)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let [plain, with_routing] = known.entry(model.name().clone()).or_default();
        *(if routed { with_routing } else { plain }) = Some(made.clone());
        Ok(made)
    }
}
