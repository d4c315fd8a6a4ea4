//! The statements of a collection that no compiler writes.
//!
//! The text of a statement about many documents grows with their number. So that few texts are in
//! use, which each connection prepares once, such a statement is made for a power of two, and what
//! is missing is filled up with repetitions that change nothing.

use std::sync::{Arc, OnceLock};

use strongroom_core::model::{Key, Kind, Model};
use strongroom_sql::mariadb::{NOW, StampsAhead, stamped_anew, stamped_over, stamps_of};
use strongroom_sql::{Dialect, MariaDb};

use super::body::BESIDE;
use super::row::{self, Query};

/// Holds where a document can be written once more.
const HAS_NEXT: &str = "(d.version & 4294967295) < 4294967295";

/// Most documents that one statement writes, a power of two: 5 or 6 values each, of 65,535.
pub(crate) const MOST: usize = 1_024;
/// Most keys of one statement, a power of two: 1 or 2 values each.
const MOST_KEYS: usize = 16_384;

/// A statement for each power of two.
#[derive(Debug)]
pub(crate) struct Sized {
    texts: Vec<OnceLock<Arc<str>>>,
    before: String,
    each: String,
    between: &'static str,
    behind: String,
}

impl Sized {
    /// A statement for this number of things, which repeats a part of its text so often.
    fn new(
        most: usize,
        before: String,
        each: impl Into<String>,
        between: &'static str,
        behind: String,
    ) -> Self {
        let sizes = most.trailing_zeros() + 1;
        Self {
            texts: (0..sizes).map(|_| OnceLock::new()).collect(),
            before,
            each: each.into(),
            between,
            behind,
        }
    }

    /// How many things the statement for `number` things takes.
    pub(crate) fn size(number: usize) -> usize {
        number.max(1).next_power_of_two()
    }

    /// The statement that takes [`size`](Self::size) things.
    pub(crate) fn text(&self, number: usize) -> Arc<str> {
        let size = Self::size(number);
        let make = || {
            let parts = vec![self.each.as_str(); size].join(self.between);
            format!("{}{parts}{}", self.before, self.behind).into()
        };
        let place = usize::try_from(size.trailing_zeros()).unwrap_or(usize::MAX);
        match self.texts.get(place) {
            Some(text) => text.get_or_init(make).clone(),
            None => make(),
        }
    }
}

/// The statements that put a body and stamp it, and tell the stamps that it has then.
#[derive(Debug)]
pub(crate) struct Stamping {
    /// Values as for the statement that does not stamp. Rows: stamps.
    pub(crate) insert: Arc<str>,
    /// Values as for the statement that does not stamp. There is no row where nothing was
    /// written. Rows: version, stamps.
    pub(crate) replace_exactly: Arc<str>,
    /// As `replace_exactly`.
    pub(crate) replace_present: Arc<str>,
    /// Not for every model.
    pub(crate) ahead: Option<Ahead>,
}

/// The statements that stamp bodies at places that are known.
#[derive(Debug)]
pub(crate) struct Ahead {
    pub(crate) stamps: StampsAhead,
    /// As the statement that does not stamp, with the place behind the body. Rows: key, version,
    /// token, stamps.
    pub(crate) write_many: Sized,
    /// As `replace_exactly` of those that do not stamp, with the time of creation behind all, which
    /// the document has to have already. The time of the change is the number that the server calls
    /// the last that it inserted.
    pub(crate) replace_same: Arc<str>,
}

/// The statements of one collection. Values are bound in the order of the text: where it writes
/// them, the write id and the body; then the key, as id and routing; then the expected version.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) model: Arc<Model>,
    /// Whether one document may take what another has.
    pub(crate) has_unique: bool,
    /// Whether triggers keep words of text. Where one inserts something, the number is lost that the
    /// server calls the last that it inserted.
    pub(crate) has_text: bool,
    /// Longest message that the server takes, in bytes.
    pub(crate) max_packet: usize,
    /// Version, write id, age and body of one document.
    pub(crate) get: Arc<str>,
    /// The same and the server's time, of a document that nobody else writes until the transaction
    /// ends.
    pub(crate) get_locked: Arc<str>,
    /// The key, and then the columns of `get`, of many.
    pub(crate) get_many: Sized,
    pub(crate) version: Arc<str>,
    /// Version, write id, body, key.
    pub(crate) insert: Arc<str>,
    pub(crate) replace_exactly: Arc<str>,
    /// Row: the new version. There is none where nothing was written.
    pub(crate) replace_present: Arc<str>,
    pub(crate) delete_exactly: Arc<str>,
    pub(crate) delete: Arc<str>,
    /// Key and version of those of many that are there, and the server's time. Nobody else writes
    /// them until the transaction ends. They are locked in the order of their keys.
    pub(crate) lock_many: Sized,
    /// Guarded puts of documents that are all different: see [`super::bulk::at_once`]. Values of
    /// each: version, write id, token, body, key. Rows: key, version, token.
    pub(crate) write_many: Sized,
    /// Puts of documents that are there and locked, whatever is in them. Values of each: version,
    /// write id, 1 (or 0 for a repetition that changes nothing), body, key.
    pub(crate) overwrite_many: Sized,
    pub(crate) delete_many: Sized,
    /// For models with stamps.
    pub(crate) stamping: Option<Stamping>,
}

impl Statements {
    pub(crate) fn new(model: Arc<Model>, max_packet: usize) -> Self {
        let t = MariaDb.identifier(model.name().as_str());
        let has_unique = model.fields().any(|field| field.unique);
        let has_text = model.fields().any(|field| field.kind == Kind::Text);
        let routed = model.is_routed();
        let (names, key, values) = if routed {
            (
                "id, routing",
                "d.id = ? AND d.routing = ?",
                "(?, ?, CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS INTEGER), ?, ?, ?, ?)",
            )
        } else {
            (
                "id",
                "d.id = ?",
                "(?, ?, CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS INTEGER), ?, ?, ?)",
            )
        };
        let (of_many, each, between) = if routed {
            ("", "(d.id = ? AND d.routing = ?)", " OR ")
        } else {
            ("d.id IN (", "?", ", ")
        };
        let end_of_many = if routed { "" } else { ")" };
        let seen = format!("d.version, d.write_id, {NOW} - d.written_at, d.body");
        let set = format!("write_id = ?, body = ?, written_at = {NOW}");
        // The order of the key's own index is that of the keys, and others' documents are not
        // locked on the way to these.
        let of_keys = |what: String, behind: String| {
            let before = format!("{what} WHERE {of_many}");
            Sized::new(
                MOST_KEYS,
                before,
                each,
                between,
                format!("{end_of_many}{behind}"),
            )
        };
        let columns = format!("version, write_id, written_at, tok, body, {names}");
        let insert_many = format!("INSERT INTO {t} ({columns}) VALUES ");
        let is_taken = format!(
            "{t}.version = -VALUES(version) OR VALUES(tok) < 0 AND {}",
            HAS_NEXT.replace("d.", &format!("{t}."))
        );
        let if_taken =
            |name: &str| format!("{name} = IF({t}.tok = VALUES(tok), VALUES({name}), {t}.{name})");
        let if_real = |name: &str| format!("{name} = IF(VALUES(tok), VALUES({name}), {t}.{name})");
        let has_stamps = model.created().is_some() || model.updated().is_some();
        let of_document = names.replace("id", "d.id").replace("routing", "d.routing");
        // Of an update the server tells nothing: the number that it calls the last inserted is lost
        // where triggers insert something. So the document is inserted again, locked, where it is as
        // expected, which replaces it.
        let replace = |condition: &str, body: &str, told: &str| -> Arc<str> {
            format!(
                "INSERT INTO {t} (write_id, body, {names}, version, written_at) \
                 SELECT ?, ?, {of_document}, d.version, d.written_at FROM {t} AS d \
                 WHERE {key} AND {condition} FOR UPDATE ON DUPLICATE KEY UPDATE \
                 body = {body}, write_id = VALUES(write_id), written_at = {NOW}, \
                 version = {t}.version + 1 RETURNING {told}"
            )
            .into()
        };
        let stamping = has_stamps.then(|| {
            let told = stamps_of(&model, "body");
            let over = stamped_over(&model, "VALUES(body)", &format!("{t}.body"));
            let places = if routed { "?, ?" } else { "?" };
            let replaced = format!("version, {told}");
            let anew = stamped_anew(&model, "?");
            let ahead = StampsAhead::new(&model).map(|stamps| {
                // Columns are set one after another: the body has the time that was set before it.
                let anew = stamps.anew("written_at");
                let each = format!("(?, ?, {NOW}, ?, {anew}, {places})");
                let time = format!("{t}.written_at");
                let over = stamps.over("VALUES(body)", &format!("{t}.body"), &time);
                let behind = format!(
                    " ON DUPLICATE KEY UPDATE tok = IF({is_taken}, VALUES(tok), {t}.tok), \
                     written_at = IF({t}.tok = VALUES(tok), {NOW}, {t}.written_at), \
                     body = IF({t}.tok = VALUES(tok), {over}, {t}.body), {}, \
                     version = {t}.version + ({t}.tok = VALUES(tok)) \
                     RETURNING {names}, version, tok, {told}",
                    if_taken("write_id"),
                );
                let same = stamps.is_created("d.body", "?");
                Ahead {
                    write_many: Sized::new(MOST, insert_many.clone(), each, ", ", behind),
                    replace_same: format!(
                        "UPDATE {t} AS d SET write_id = ?, body = {}, written_at = {NOW}, \
                         version = d.version + 1 WHERE {key} AND d.version = ? AND {same}",
                        stamps.over_same("?")
                    )
                    .into(),
                    stamps,
                }
            });
            Stamping {
                insert: format!(
                    "INSERT INTO {t} (written_at, version, write_id, body, {names}) \
                     VALUES ({NOW}, ?, ?, {anew}, {places}) RETURNING {told}"
                )
                .into(),
                replace_exactly: replace("d.version = ?", &over, &replaced),
                replace_present: replace(HAS_NEXT, &over, &replaced),
                ahead,
            }
        });
        Self {
            get: format!("SELECT {seen} FROM {t} AS d WHERE {key}").into(),
            get_locked: format!("SELECT {seen}, {NOW} FROM {t} AS d WHERE {key} FOR UPDATE").into(),
            get_many: of_keys(
                format!("SELECT {names}, {seen} FROM {t} AS d FORCE INDEX (PRIMARY)"),
                String::new(),
            ),
            version: format!("SELECT d.version FROM {t} AS d WHERE {key}").into(),
            insert: format!(
                "INSERT INTO {t} (written_at, version, write_id, body, {names}) VALUES ({NOW}, \
                 ?, ?, ?, {})",
                if routed { "?, ?" } else { "?" }
            )
            .into(),
            replace_exactly: format!(
                "UPDATE {t} AS d SET {set}, version = d.version + 1 WHERE {key} AND d.version = ?"
            )
            .into(),
            replace_present: replace(HAS_NEXT, "VALUES(body)", "version"),
            delete_exactly: format!("DELETE d FROM {t} AS d WHERE {key} AND d.version = ?").into(),
            delete: format!("DELETE d FROM {t} AS d WHERE {key}").into(),
            lock_many: of_keys(
                format!("SELECT {names}, d.version, {NOW} FROM {t} AS d FORCE INDEX (PRIMARY)"),
                format!(" ORDER BY {names} FOR UPDATE"),
            ),
            write_many: Sized::new(
                MOST,
                insert_many.clone(),
                values,
                ", ",
                format!(
                    " ON DUPLICATE KEY UPDATE tok = IF({is_taken}, VALUES(tok), {t}.tok), \
                     {}, {}, written_at = IF({t}.tok = VALUES(tok), {NOW}, {t}.written_at), \
                     version = {t}.version + ({t}.tok = VALUES(tok)) \
                     RETURNING {names}, version, tok",
                    if_taken("body"),
                    if_taken("write_id"),
                ),
            ),
            overwrite_many: Sized::new(
                MOST,
                insert_many,
                values,
                ", ",
                format!(
                    " ON DUPLICATE KEY UPDATE {}, {}, written_at = IF(VALUES(tok), {NOW}, {t}.written_at), {}",
                    if_real("version"),
                    if_real("write_id"),
                    if_real("body"),
                ),
            ),
            delete_many: of_keys(
                format!("DELETE d FROM {t} AS d FORCE INDEX (PRIMARY)"),
                String::new(),
            ),
            has_unique,
            has_text,
            max_packet,
            stamping,
            model,
        }
    }

    /// Those that stamp bodies at places that are known.
    pub(crate) fn ahead(&self) -> Option<&Ahead> {
        self.stamping.as_ref()?.ahead.as_ref()
    }

    /// Binds a key.
    pub(crate) fn bind_key<'q>(query: Query<'q>, key: &Key) -> Query<'q> {
        let query = query.bind(key.id().as_str().as_bytes().to_vec());
        match key.routing() {
            Some(routing) => query.bind(routing.as_str().as_bytes().to_vec()),
            None => query,
        }
    }

    /// A statement whose first values are a key.
    pub(crate) fn with_key<'q>(sql: &Arc<str>, key: &Key) -> Query<'q> {
        Self::bind_key(row::statement(sql), key)
    }

    /// Cuts a list of keys into parts that [`with_keys`](Self::with_keys) takes.
    pub(crate) fn parts_of_keys<'k>(&self, keys: &'k [&'k Key]) -> Vec<&'k [&'k Key]> {
        let most = self.max_packet.saturating_sub(BESIDE);
        let mut parts = Vec::new();
        let (mut begin, mut longest) = (0, 0);
        for (at, key) in keys.iter().enumerate() {
            let routing = key.routing().map_or(0, |routing| routing.as_str().len());
            // Room for what the protocol adds to each value.
            let length = key.id().as_str().len() + routing + 16;
            longest = length.max(longest);
            let number = at - begin + 1;
            if at > begin && (number > MOST_KEYS || Sized::size(number) * longest > most) {
                parts.extend(keys.get(begin..at));
                (begin, longest) = (at, length);
            }
        }
        parts.extend(keys.get(begin..).filter(|rest| !rest.is_empty()));
        parts
    }

    /// A statement about many keys, [`MOST_KEYS`] at most, which are no longer than a message.
    pub(crate) fn with_keys<'q>(&self, sql: &Sized, keys: &[&Key]) -> Query<'q> {
        let mut query = row::statement(&sql.text(keys.len()));
        for key in keys {
            query = Self::bind_key(query, key);
        }
        if let Some(last) = keys.last() {
            for _ in keys.len()..Sized::size(keys.len()) {
                query = Self::bind_key(query, last);
            }
        }
        query
    }
}
