//! Loading documents by key.

use strongroom_core::error::Error;
use strongroom_core::model::{Key, RawDocument};
use strongroom_core::store::LoadRequest;

use super::connection::Connection;
use super::row;
use super::statements::Statements;
use crate::failure::Failure;
use crate::work::Around;

/// What loading needs around it: one statement loads any number of documents.
pub(crate) fn around(_statements: &Statements, _request: &LoadRequest) -> Around {
    Around::Read
}

/// Loads one document for each key, in order, from one state of the data.
pub(crate) async fn load(
    connection: &mut Connection,
    statements: &Statements,
    request: &LoadRequest,
) -> Result<Vec<Option<RawDocument>>, Failure> {
    for key in &request.keys {
        statements.model.check_key(key)?;
    }
    let mut documents = match request.keys.as_slice() {
        [] => Vec::new(),
        // One of a list costs the server more than one alone.
        [key] => {
            let get = Statements::with_key(&statements.get, key);
            vec![match get.fetch_optional(connection).await? {
                Some(found) => Some(row::aged_document(&found, 0, key.clone())?),
                None => None,
            }]
        }
        keys => many(connection, statements, keys).await?,
    };
    if !request.source.is_all() {
        for document in documents.iter_mut().flatten() {
            document.body = request.source.apply(&document.body)?;
        }
    }
    Ok(documents)
}

/// One document for each key, in order.
async fn many(
    connection: &mut Connection,
    statements: &Statements,
    keys: &[Key],
) -> Result<Vec<Option<RawDocument>>, Failure> {
    let mut documents = vec![None; keys.len()];
    let keys: Vec<_> = keys.iter().collect();
    let get = statements.with_keys(&statements.get_many, &keys);
    for found in get.fetch_all(connection).await? {
        let at = usize::try_from(row::integer(&found, 0)? - 1).unwrap_or(usize::MAX);
        let (Some(key), Some(slot)) = (keys.get(at), documents.get_mut(at)) else {
            return Err(Error::internal("a document came that was not asked for").into());
        };
        *slot = Some(row::aged_document(&found, 1, (*key).clone())?);
    }
    Ok(documents)
}
