//! Loading documents by key.

use std::collections::HashMap;

use sqlx_mysql::MySqlConnection;
use strongroom_core::error::Error;
use strongroom_core::model::{Key, RawDocument};
use strongroom_core::store::LoadRequest;

use crate::failure::Failure;
use crate::work::Around;

use super::row;
use super::statements::Statements;

/// What loading needs around it: more keys than one statement takes are looked for in one state of
/// the data.
pub(crate) fn around(statements: &Statements, request: &LoadRequest) -> Around {
    if request.keys.len() < 2 {
        return Around::Read;
    }
    let keys: Vec<_> = request.keys.iter().collect();
    match statements.parts_of_keys(&keys).len() {
        0 | 1 => Around::Read,
        _ => Around::Snapshot,
    }
}

/// Loads one document for each key, in order.
pub(crate) async fn load(
    connection: &mut MySqlConnection,
    statements: &Statements,
    request: &LoadRequest,
) -> Result<Vec<Option<RawDocument>>, Failure> {
    for key in &request.keys {
        statements.model.check_key(key)?;
    }
    let mut documents = match request.keys.as_slice() {
        [] => Vec::new(),
        [key] => {
            let get = Statements::with_key(&statements.get, key);
            let found = row::first(get, connection).await?;
            let found = found.map(|found| row::aged_document(&found, 0, key.clone()));
            vec![found.transpose()?]
        }
        keys => {
            let keys: Vec<_> = keys.iter().collect();
            load_many(connection, statements, &keys).await?
        }
    };
    if !request.source.is_all() {
        for document in documents.iter_mut().flatten() {
            document.body = request.source.apply(&document.body)?;
        }
    }
    Ok(documents)
}

/// Loads the documents of many keys, in their order.
pub(crate) async fn load_many(
    connection: &mut MySqlConnection,
    statements: &Statements,
    keys: &[&Key],
) -> Result<Vec<Option<RawDocument>>, Failure> {
    let mut places: HashMap<&Key, Vec<usize>> = HashMap::with_capacity(keys.len());
    for (place, key) in keys.iter().enumerate() {
        places.entry(key).or_default().push(place);
    }
    let mut documents = vec![None; keys.len()];
    for part in statements.parts_of_keys(keys) {
        let get = statements.with_keys(&statements.get_many, part);
        for found in get.fetch_all(&mut *connection).await? {
            let (key, next) = row::key(&found, statements.model.is_routed())?;
            let Some(places) = places.get(&key) else {
                return Err(Error::internal("a document came that was not asked for").into());
            };
            let document = row::aged_document(&found, next, key)?;
            if let [place] = places.as_slice()
                && let Some(slot) = documents.get_mut(*place)
            {
                *slot = Some(document);
                continue;
            }
            for place in places {
                if let Some(slot) = documents.get_mut(*place) {
                    *slot = Some(document.clone());
                }
            }
        }
    }
    Ok(documents)
}
