//! The table of a collection. Changes of tables cannot be taken back, so each is one statement that
//! can be sent again.

use strongroom_core::model::{FieldDeclaration, Model};

use super::{MariaDb, value};
use crate::dialect::{Dialect, column_name, has_column, index_name, is_ordered, unique_index_name};

pub(super) fn create(model: &Model) -> String {
    let table = MariaDb.identifier(model.name().as_str());
    let (routing, key) = if model.is_routed() {
        ("routing VARBINARY(512) NOT NULL, ", "id, routing")
    } else {
        ("", "id")
    };
    let mut create = format!(
        "CREATE TABLE IF NOT EXISTS {table} (id VARBINARY(512) NOT NULL, {routing}\
         version BIGINT NOT NULL, write_id BINARY(16) NOT NULL, written_at BIGINT NOT NULL, \
         tok BIGINT NOT NULL DEFAULT 0, \
         body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL"
    );
    for field in model.fields().filter(|field| has_column(field)) {
        create.push_str(", ");
        create.push_str(&column(field));
    }
    create.push_str(&format!(", PRIMARY KEY ({key})"));
    for (kind, name, columns) in model.fields().flat_map(|field| indexes(model, None, field)) {
        create.push_str(&format!(", {kind} {name} ({columns})"));
    }
    create.push_str(
        ") ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin",
    );
    create
}

/// `None` if the table stays as it is.
pub(super) fn extend(stored: &Model, wanted: &Model) -> Option<String> {
    let mut changes = Vec::new();
    for field in wanted.fields() {
        let there = stored.field(field.path.as_str());
        if has_column(field) && !there.is_some_and(has_column) {
            changes.push(format!("ADD COLUMN IF NOT EXISTS {}", column(field)));
        }
    }
    for field in wanted.fields() {
        let there = stored.field(field.path.as_str());
        for (kind, name, columns) in indexes(wanted, there, field) {
            changes.push(format!("ADD {kind} IF NOT EXISTS {name} ({columns})"));
        }
    }
    let table = MariaDb.identifier(wanted.name().as_str());
    (!changes.is_empty()).then(|| format!("ALTER TABLE {table} {}", changes.join(", ")))
}

fn column(field: &FieldDeclaration) -> String {
    format!(
        "{} {} GENERATED ALWAYS AS {} STORED",
        MariaDb.identifier(&column_name(&field.path)),
        value::column_type(field.kind),
        value::of_column(field.kind, &field.path)
    )
}

/// The indexes that `field` demands and `there` has not: what makes one, its name, its columns.
fn indexes(
    model: &Model,
    there: Option<&FieldDeclaration>,
    field: &FieldDeclaration,
) -> Vec<(&'static str, String, String)> {
    let column = MariaDb.identifier(&column_name(&field.path));
    let mut indexes = Vec::new();
    if field.unique && !there.is_some_and(|f| f.unique) {
        let name = MariaDb.identifier(&unique_index_name(model, &field.path));
        indexes.push(("UNIQUE KEY", name, column.clone()));
    }
    if is_ordered(field) && field.indexed && !there.is_some_and(|f| f.indexed) {
        let name = MariaDb.identifier(&index_name(model, &field.path));
        let routing = if model.is_routed() { ", routing" } else { "" };
        indexes.push(("KEY", name, format!("{column}, id{routing}")));
    }
    indexes
}
