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

use strongroom_core::model::{FieldDeclaration, Kind, Model};
use strongroom_core::query::{TextQuery, Words};

use super::{MariaDb, value};
use crate::dialect::{DOCUMENT, Dialect, words_name};
use crate::param::Writer;

/// How much of a word the index holds, in bytes: of longer ones it knows the beginning.
const INDEXED_PART: usize = 128;
/// Most words that a document is looked up by, for which the server joins as many tables. The longest
/// ones are taken, which are rare as a rule.
const MAX_LOOKUPS: usize = 6;
/// Up to this length in bytes, the words that two texts have in common are left as they are when one
/// becomes the other. Finding them takes time with the square of the length.
const COMPARED: usize = 20_000;

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
            "CREATE TABLE IF NOT EXISTS {table} (word VARBINARY({INDEXED_PART}) NOT NULL, \
             id VARBINARY(512) NOT NULL, {routing}PRIMARY KEY (word, {key})) \
             ENGINE=InnoDB ROW_FORMAT=DYNAMIC"
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
) -> bool {
    let index = Index::new(model, field);
    let mut words: Vec<&str> = Vec::with_capacity(query.words().len());
    for word in query.words() {
        if !words.contains(&word.as_str()) {
            words.push(word);
        }
    }
    let is_cut = words.iter().any(|word| is_cut(word));
    if query.mode() == Words::Any {
        index.look_up(sql, &words);
        return !is_cut;
    }
    let is_phrase = query.mode() == Words::Phrase && query.words().len() > 1;
    let is_whole = words.len() <= MAX_LOOKUPS;
    words.sort_by_key(|word| Reverse(word.len()));
    for (at, word) in words.iter().take(MAX_LOOKUPS).enumerate() {
        sql.text(if at > 0 { " AND " } else { "" });
        index.look_up(sql, std::slice::from_ref(word));
    }
    is_whole && !is_cut && !is_phrase
}

/// Whether the index may have no more than the beginning of a word.
fn is_cut(word: &str) -> bool {
    word.len() >= INDEXED_PART
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

    fn look_up(&self, sql: &mut Writer<'_>, words: &[&str]) {
        let table = &self.table;
        sql.text(if self.routed {
            format!("({DOCUMENT}.id, {DOCUMENT}.routing) IN (SELECT w.id, w.routing FROM {table}")
        } else {
            format!("{DOCUMENT}.id IN (SELECT w.id FROM {table}")
        });
        sql.text(" AS w WHERE w.word");
        let is_one = words.len() == 1;
        for (at, word) in words.iter().enumerate() {
            sql.text(match (is_one, at) {
                (true, _) => " = ",
                (false, 0) => " IN (",
                (false, _) => ", ",
            });
            if is_cut(word) {
                sql.text("LEFT(CAST(").bind(*word);
                sql.text(format!(" AS BINARY), {INDEXED_PART})"));
            } else {
                sql.bind(*word);
            }
        }
        sql.text(if is_one { ")" } else { "))" });
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

    /// Adds the word that a loop is at, under this key. A text may have it twice, which a handler
    /// passes over: after an `ON DUPLICATE KEY UPDATE` here, that of the statement around the
    /// trigger would lock documents twice, so that two of them could wait for each other.
    fn insert(&self, key: &str) -> String {
        format!(
            "INSERT INTO {} (word, {}) VALUES (entry, {key});",
            self.table, self.key
        )
    }

    /// Takes away the word that a loop is at, under the key of the row `OLD`. It is looked up by its
    /// key, however short the table seems to be, so that nobody waits for another document's words.
    ///
    /// Only this form of the statement takes the hint. The table has no other name in it, which the
    /// server would say that it misses where it plans a statement wrongly, and which could be the name
    /// of a collection.
    fn delete(&self) -> String {
        let table = &self.table;
        let routing = if self.routed {
            format!(" AND {table}.routing = OLD.routing")
        } else {
            String::new()
        };
        format!(
            "DELETE {table} FROM {table} FORCE INDEX (PRIMARY) \
             WHERE {table}.word = entry AND {table}.id = OLD.id{routing};"
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
            "{LOOP_VARIABLES} {PASS_OVER} SET rest = {}; {}",
            self.words("NEW.body"),
            for_each_word(&self.insert(&self.key_of("NEW")))
        );
        self.trigger("INSERT", &program)
    }

    fn on_delete(&self) -> String {
        let program = format!(
            "{LOOP_VARIABLES} SET rest = {}; {}",
            self.words("OLD.body"),
            for_each_word(&self.delete())
        );
        self.trigger("DELETE", &program)
    }

    fn on_update(&self) -> String {
        // A word that fills its entry may have it together with others.
        let if_not_in = |words: &str, then: &str| {
            format!(
                "IF is_long OR until - at > {INDEXED_PART} \
                 OR LOCATE(SUBSTR(rest, at, until - at + 1), {words}) = 0 THEN {then} END IF;"
            )
        };
        let insert = self.insert(&self.key_of("NEW"));
        let program = format!(
            "{LOOP_VARIABLES} DECLARE gone, come LONGBLOB; DECLARE is_long BOOLEAN; {PASS_OVER} \
             IF NOT ({} <=> {}) THEN \
             SET gone = COALESCE({}, ''), come = COALESCE({}, ''), \
             is_long = LENGTH(gone) + LENGTH(come) > {COMPARED}; \
             SET rest = gone; {} SET rest = come; {} END IF;",
            self.around_text("OLD.body"),
            self.around_text("NEW.body"),
            self.words("OLD.body"),
            self.words("NEW.body"),
            for_each_word(&if_not_in("come", &self.delete())),
            for_each_word(&if_not_in("gone", &insert)),
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
        let insert = for_each_word(&self.insert(&format!("last_id{more}")));
        let documents = &self.documents;
        format!(
            "BEGIN NOT ATOMIC \
             DECLARE last_id, last_routing VARBINARY(512) DEFAULT ''; \
             {LOOP_VARIABLES} DECLARE number BIGINT DEFAULT 0; \
             DECLARE is_done BOOLEAN DEFAULT FALSE; \
             DECLARE CONTINUE HANDLER FOR NOT FOUND SET is_done = TRUE; \
             {PASS_OVER} DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END; \
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

/// What the loops need, which go over the words of `rest`, byte by byte: each word has a space before
/// it, at `at`, and one behind it, at `until`.
const LOOP_VARIABLES: &str = "DECLARE rest, entry LONGBLOB; DECLARE at, until BIGINT;";

/// What is done where a word is there already.
const PASS_OVER: &str = "DECLARE CONTINUE HANDLER FOR 1062 BEGIN END;";

/// A program that carries out another one at each word of `rest`, whose entry is `entry` then. The
/// server writes the values of a statement's variables down whenever it carries the statement out,
/// so that none may read the whole text.
fn for_each_word(program: &str) -> String {
    format!(
        "SET at = 1, until = LOCATE(' ', rest, 2); \
         WHILE until > 0 DO IF until > at + 1 THEN \
         SET entry = SUBSTR(rest, at + 1, LEAST(until - at - 1, {INDEXED_PART})); {program} END IF; \
         SET at = until, until = LOCATE(' ', rest, at + 1); END WHILE;"
    )
}
