//! Fields that the server's functions make while a document is written.

use sqlx_mysql::MySqlConnection;
use strongroom_core::error::Result;
use strongroom_core::model::{Body, Scalar};
use strongroom_core::store::{Computed, Made, Write};

use super::body;
use super::row::{self, Of};
use super::statements::Statements;
use crate::failure::Failure;

/// Lets the server make the computed fields of `changed`, which is the document with all other
/// changes of the write, and sets them in it.
pub(crate) async fn onto(
    connection: &mut MySqlConnection,
    statements: &Statements,
    write: &Write,
    changed: Body,
) -> Result<(Body, Made), Failure> {
    let calls: Vec<_> = write.computed.iter().filter_map(Computed::call).collect();
    if calls.is_empty() {
        return Ok(write.computed_onto(changed)?);
    }
    let model = &statements.model;
    let asked = strongroom_sql::mariadb::evaluate(
        model,
        &calls,
        &body::stored(&changed, statements.max_packet)?,
    )?;
    let found = row::query(&asked).fetch_one(connection).await?;
    let made = (0..calls.len()).map(|at| row::scalar(&found, at, Of::Function));
    let made = made.collect::<Result<Vec<Option<Scalar>>, _>>()?;
    let mut write = write.clone();
    let open = write.computed.iter_mut().filter(|c| c.call().is_some());
    for (computed, made) in open.zip(made) {
        computed.make(made, model)?;
    }
    Ok(write.computed_onto(changed)?)
}
