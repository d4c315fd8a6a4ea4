//! The index of the words of text.
//!
//! Each text field of a collection has a table of its own, named `<collection>:w:<field>`: a row for
//! each different word of each document, with the document's key, kept in the order of the words.
//! Triggers on the collection's table keep it true, within the statement that writes the document:
//! who sees a document sees its words, in a transaction, in a scan, and after a rollback.
//!
//! No two documents have a row in common, so writers of different documents do not wait for each
//! other's words. A write that leaves a text as it is does not touch its words.

use std::cmp::Reverse;

use strongroom_core::error::Result;
use strongroom_core::model::{FieldDeclaration, Kind, Model};
use strongroom_core::query::{TextQuery, Words};

use super::{MariaDb, value};
use crate::dialect::{DOCUMENT, Dialect, words_name};
use crate::param::Writer;

/// How much of a word the index holds, in characters: of longer ones it knows the beginning.
const INDEXED_PART: usize = 64;
/// Most words that a document is looked up by, for which the server joins as many tables. The longest
/// ones are taken, which are rare as a rule.
const MAX_LOOKUPS: usize = 6;
/// How much text is taken apart at once, in characters. The server makes a list of the words, which is
/// longer than the text, and no text that is longer than its messages.
const PIECE: usize = 50_000;
/// Up to this length in characters, the words that two texts have in common are left as they are
/// when one becomes the other. Finding them takes time with the square of the length.
const COMPARED: usize = 4_000;

/// The type of a text within the server's programs.
const TEXT: &str = "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";

/// The text fields that are indexed.
pub(super) fn fields(model: &Model) -> impl Iterator<Item = &FieldDeclaration> {
    model.fields().filter(|field| field.kind == Kind::Text)
}

/// The statements that make the index of a field, of the documents that are there. Each can be sent
/// again.
///
/// The triggers are made in such an order that no moment between two of the statements leaves words
/// behind that a document has no longer. The last statement adds what was written before.
pub(super) fn make(model: &Model, field: &FieldDeclaration) -> Vec<String> {
    let index = Index::new(model, field);
    let (table, key) = (&index.table, &index.key);
    let routing = if model.is_routed() {
        "routing VARBINARY(512) NOT NULL, "
    } else {
        ""
    };
    vec![
        format!(
            "CREATE TABLE IF NOT EXISTS {table} (word VARBINARY({}) NOT NULL, \
             id VARBINARY(512) NOT NULL, {routing}PRIMARY KEY (word, {key})) \
             ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
            INDEXED_PART * 4
        ),
        index.on_delete(),
        index.on_update(),
        index.on_insert(),
        index.fill(),
    ]
}

/// The tables of the index of a collection. The triggers go with the table of the documents.
pub(super) fn tables(model: &Model) -> Vec<String> {
    let names = fields(model).map(|field| words_name(model, &field.path));
    names.map(|name| MariaDb.identifier(&name)).collect()
}

/// Writes the condition that tells by the index which documents may have the words, and no fewer.
/// The answer is whether it tells which ones have them.
pub(super) fn lookup(
    sql: &mut Writer<'_>,
    model: &Model,
    field: &FieldDeclaration,
    query: &TextQuery,
) -> Result<bool> {
    let index = Index::new(model, field);
    let mut words: Vec<String> = Vec::with_capacity(query.words().len());
    let mut is_cut = false;
    for word in query.words() {
        let part: String = word.chars().take(INDEXED_PART).collect();
        is_cut |= part.chars().count() == INDEXED_PART;
        if !words.contains(&part) {
            words.push(part);
        }
    }
    let is_phrase = query.mode() == Words::Phrase && query.words().len() > 1;
    if query.mode() == Words::Any {
        index.look_up(sql, &words);
        return Ok(!is_cut);
    }
    words.sort_by_key(|word| Reverse(word.len()));
    let is_whole = words.len() <= MAX_LOOKUPS;
    for (at, word) in words.iter().take(MAX_LOOKUPS).enumerate() {
        sql.text(if at > 0 { " AND " } else { "" });
        index.look_up(sql, std::slice::from_ref(word));
    }
    Ok(is_whole && !is_cut && !is_phrase)
}

/// The index of one field.
struct Index<'m> {
    field: &'m FieldDeclaration,
    routed: bool,
    /// The table of the documents.
    documents: String,
    /// The name of the table of words, and the table itself.
    name: String,
    table: String,
    /// The columns of a document's key.
    key: &'static str,
}

impl<'m> Index<'m> {
    fn new(model: &Model, field: &'m FieldDeclaration) -> Self {
        let name = words_name(model, &field.path);
        Self {
            field,
            routed: model.is_routed(),
            documents: MariaDb.identifier(model.name().as_str()),
            table: MariaDb.identifier(&name),
            name,
            key: if model.is_routed() {
                "id, routing"
            } else {
                "id"
            },
        }
    }

    fn look_up(&self, sql: &mut Writer<'_>, words: &[String]) {
        let table = &self.table;
        sql.text(if self.routed {
            format!("({DOCUMENT}.id, {DOCUMENT}.routing) IN (SELECT w.id, w.routing FROM {table}")
        } else {
            format!("{DOCUMENT}.id IN (SELECT w.id FROM {table}")
        });
        sql.text(" AS w WHERE w.word");
        match words {
            [word] => sql.text(" = ").bind(word.as_str()),
            words => {
                for (at, word) in words.iter().enumerate() {
                    sql.text(if at > 0 { ", " } else { " IN (" });
                    sql.bind(word.as_str());
                }
                sql.text(")")
            }
        };
        sql.text(")");
    }

    /// The words of a body, as [`value::words_of_member`] gives them.
    fn words(&self, body: &str) -> String {
        if self.field.many {
            value::words_of_leaves(&self.field.path, body)
        } else {
            value::words_of_member(&self.field.path, body)
        }
    }

    /// What of a body does not change unless its words may.
    fn around_text(&self, body: &str) -> String {
        let path = &self.field.path;
        // The server would compare JSON otherwise than texts.
        if self.field.many {
            format!("CONCAT({})", value::outermost(path, body))
        } else {
            format!("CONCAT({})", value::member(path, body))
        }
    }

    /// The columns of the key in a row that a program calls so.
    fn key_of(&self, row: &str) -> String {
        if self.routed {
            format!("{row}.id, {row}.routing")
        } else {
            format!("{row}.id")
        }
    }

    /// Inserts the words of a piece under this key, those that meet the condition.
    fn insert(&self, key: &str, condition: &str) -> String {
        format!(
            "INSERT INTO {} (word, {}) SELECT e.word, {key} FROM {} \
             WHERE e.word <> ''{condition} ORDER BY e.word \
             ON DUPLICATE KEY UPDATE word = VALUES(word);",
            self.table,
            self.key,
            listed()
        )
    }

    /// Deletes the words of a piece under the key of the row `OLD`, those that meet the condition.
    fn delete(&self, condition: &str) -> String {
        let routing = if self.routed {
            " AND w.routing = OLD.routing"
        } else {
            ""
        };
        // Each word is looked up by its key, however short the table seems to be, so that nobody
        // waits for another document's words.
        format!(
            "DELETE w FROM {} STRAIGHT_JOIN {} AS w FORCE INDEX (PRIMARY) \
             WHERE w.word = CAST(e.word AS BINARY) AND w.id = OLD.id{routing}{condition};",
            listed(),
            self.table
        )
    }

    fn trigger(&self, event: &str, program: &str) -> String {
        let name = format!("{}:{}", self.name, event.to_ascii_lowercase());
        format!(
            "CREATE OR REPLACE TRIGGER {} AFTER {event} ON {} FOR EACH ROW BEGIN {program} END",
            MariaDb.identifier(&name),
            self.documents
        )
    }

    fn on_insert(&self) -> String {
        let program = format!(
            "DECLARE rest, piece {TEXT}; DECLARE cut BIGINT; SET rest = {}; {}",
            self.words("NEW.body"),
            in_pieces(&self.insert(&self.key_of("NEW"), ""))
        );
        self.trigger("INSERT", &program)
    }

    fn on_delete(&self) -> String {
        let program = format!(
            "DECLARE rest, piece {TEXT}; DECLARE cut BIGINT; SET rest = {}; {}",
            self.words("OLD.body"),
            in_pieces(&self.delete(""))
        );
        self.trigger("DELETE", &program)
    }

    fn on_update(&self) -> String {
        // A word that fills its entry may be the beginning of another one.
        let is_not_in = |words: &str| {
            format!(
                " AND (is_long OR CHAR_LENGTH(e.word) = {INDEXED_PART} \
                 OR LOCATE(CONCAT(' ', e.word, ' '), {words}) = 0)"
            )
        };
        let program = format!(
            "DECLARE gone, come, rest, piece {TEXT}; DECLARE cut BIGINT; DECLARE is_long BOOLEAN; \
             IF NOT ({} <=> {}) THEN \
             SET gone = COALESCE({}, ''), come = COALESCE({}, ''), \
             is_long = CHAR_LENGTH(gone) + CHAR_LENGTH(come) > {COMPARED}; \
             SET rest = gone; {} SET rest = come; {} END IF;",
            self.around_text("OLD.body"),
            self.around_text("NEW.body"),
            self.words("OLD.body"),
            self.words("NEW.body"),
            in_pieces(&self.delete(&is_not_in("come"))),
            in_pieces(&self.insert(&self.key_of("NEW"), &is_not_in("gone"))),
        );
        self.trigger("UPDATE", &program)
    }

    /// A program that adds the words of the documents that are there. It reads each document under
    /// a lock, which it gives up soon, so that it adds no words that are gone meanwhile.
    fn fill(&self) -> String {
        let (more, behind, order) = if self.routed {
            (
                ", last_routing",
                "d.id >= last_id AND (d.id > last_id OR d.routing > last_routing)",
                "d.id, d.routing",
            )
        } else {
            ("", "d.id > last_id", "d.id")
        };
        let words = self.words(&format!("{DOCUMENT}.body"));
        let columns = self.key_of(DOCUMENT);
        let insert = in_pieces(&self.insert(&format!("last_id{more}"), ""));
        let documents = &self.documents;
        format!(
            "BEGIN NOT ATOMIC \
             DECLARE last_id, last_routing VARBINARY(512) DEFAULT ''; \
             DECLARE rest, piece {TEXT}; DECLARE cut, number BIGINT DEFAULT 0; \
             DECLARE is_done BOOLEAN DEFAULT FALSE; \
             DECLARE CONTINUE HANDLER FOR NOT FOUND SET is_done = TRUE; \
             DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END; \
             START TRANSACTION; \
             WHILE NOT is_done DO \
             SELECT {columns}, {words} INTO last_id{more}, rest \
             FROM {documents} AS {DOCUMENT} FORCE INDEX (PRIMARY) \
             WHERE {behind} ORDER BY {order} LIMIT 1 LOCK IN SHARE MODE; \
             IF NOT is_done THEN {insert} END IF; \
             SET number = number + 1; \
             IF number % 100 = 0 THEN COMMIT; START TRANSACTION; END IF; \
             END WHILE; COMMIT; END"
        )
    }
}

/// The words of a piece, as rows: the beginnings of those that are long. Words hold nothing that JSON
/// would take for itself.
fn listed() -> String {
    format!(
        "JSON_TABLE(CONCAT('[\"', REPLACE(piece, ' ', '\",\"'), '\"]'), '$[*]' COLUMNS \
         (word VARCHAR({INDEXED_PART}) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PATH '$')) AS e"
    )
}

/// A program that carries out a statement for each piece of the text `rest`.
fn in_pieces(statement: &str) -> String {
    format!(
        "WHILE rest <> '' DO SET cut = LOCATE(' ', rest, {PIECE}); \
         SET piece = IF(cut > 0, LEFT(rest, cut), rest), \
         rest = IF(cut > 0, SUBSTR(rest, cut), ''); {statement} END WHILE;"
    )
}
