//! Elasticsearch and OpenSearch for Strongroom.
//!
//! [`EsStore`] implements the family on the official client. A call goes from the family's request
//! through `compile` (pure: documents, questions and models become what the engine is sent) to
//! `wire` (the one place where requests leave, each with a timeout and none with an id in its path),
//! and its reply is judged by `error` (the one place where failures become errors of the family).
//! Which product answers is told by what it answers; they differ in the names of points in time
//! alone.
//!
//! # How documents are kept
//!
//! A collection `users` is a concrete index `users.<16 hex digits>`. The engine reads the outermost
//! declared fields from the body itself: keywords and booleans as `keyword`, integers and times as
//! `long`, floats as `double`. What it could misread stands beside the body: fields within objects,
//! the words of text, the objects of nested fields. A body with a value that does not fit its
//! field's kind, or with a member whose name means something to the engine, is kept unread, with its
//! values beside it. So bodies come back as they were stored, whatever their members are called,
//! and values that do not fit neither fail a write nor answer a query wrongly.
//!
//! Numbers compare exactly. Those that the engine's type does not hold, a fraction in a field of
//! integers or an integer beyond 2^53 in a field of floats, have a key beside them. Filters and sorts
//! find them by it; where they would fall into buckets of aggregations or groups, up to 100,000
//! documents that match are read and computed here, and more of them are `Unsupported`. Typed
//! documents hold no such numbers.
//!
//! Text is read by the words of the core, and the engine is told these: it tells the same texts
//! apart as every other store, and knows neither stems nor stop words. Fields that are given an
//! analyser ([`TextAnalysis`]) are the exception that the user makes: texts and questions are then
//! read by the engine, and what it finds is its own to say.
//!
//! The score of an order by score is the engine's (BM25): the rarer a word is among all documents
//! of the collection, the more it weighs, and the more the shorter the text; conditions add up, and
//! of the objects of a nested field the best counts. Words are counted over all shards first, so
//! equal texts have equal scores, at the price of one more round among the shards. Pages of one
//! question are asked of the same copies of shards. Scores change as documents are written, so a
//! document may be seen twice or not at all on pages while others write; a scan reads one state.
//!
//! A native condition, tagged `elasticsearch` or `opensearch`, is a query as a JSON object and
//! refers to no values. It finds an outermost field in `body.<field>` (booleans as the keywords
//! `true` and `false`, times in milliseconds), one within objects in `f.<field>`, words in
//! `t.<field>`, texts of fields with an analyser in `a.<field>`, ids in `k`, routings in `r`. In
//! names of fields every byte but ASCII letters, digits, `_` and `-` is `%` and two hex digits:
//! `f.address%2ecity`. An outermost field whose name has such a byte is in `f` too.
//!
//! # Adding fields
//!
//! `ensure` writes the documents of a collection anew when fields are added, each under its guard
//! and with its write id, and they keep their versions: for everybody else nothing has changed.
//! Writers that know the former model only write the added fields as well from then on, because the
//! engine refuses them once and they look the model up. If it is cut off, the next `ensure` finishes
//! it; until then searches by the added fields may leave documents out.
//!
//! # How exact answers are
//!
//! Filters, pages, counts, extremes and groups are exact. Terms by count are, as long as a field
//! has at most 20,000 different values on a shard, and tell how far off they may be; by key they
//! always are. The least frequent terms of a field with more than 65,535 values are `Unsupported`.
//! Cardinalities may be off by 1 %. A scan shows one state of each shard. More buckets of
//! histograms than the engine allows are `Invalid`.
//!
//! `Unsupported`, naming the feature: transactions, atomic bulks, unique fields, functions, filters
//! nested deeper than 27 levels, and searching for words of more than 240 bytes.
//!
//! # What it taught
//!
//! **Version.** Sequence number, primary term and index number fit `Version`: compared for equality
//! only, no revision, no order. Sequence numbers begin anew in a new index, where the first write
//! of a document gets the very numbers that its predecessor had, so the third part is not a nicety.
//! It is drawn at random and is part of the concrete index's name and of an alias by which every
//! write addresses it with `require_alias`; an index that was dropped is then neither written to
//! nor brought back by a write, and no check of the identity can come too early. Two creators are
//! told apart by the alias of which the engine allows one write index. A version of a search hit
//! is the version of the body in that hit, which may be old: a save based on it conflicts, as it
//! should.
//!
//! **Decision.** The engine decides `Any`, `Absent` and `Exactly` in one step. `Present` and every
//! patch take a load and a guarded write, and begin anew when the guard does not hold: `Contended`
//! has to exist, and callers of unguarded patches meet it under load. A conflict does not tell the
//! version that was there, only in prose; it is loaded, so `actual` is what is there now, which is
//! what a caller reloads anyway, and it costs a round trip only to those who lost.
//!
//! **Visibility.** Loads are realtime and searches are not; one capability and `refresh` say all
//! there is. An index must not be searched for the document to write: writes that need the version
//! load it.
//!
//! **Failure.** A timeout, a reset and most answers of 5xx are `Indeterminate`; the write id in the
//! document resolves them. Proof that nothing was written is rare: a connection that was not made,
//! 429, a cluster block, an answer of 4xx. 503 is none, because the engine resends within itself
//! before it gives up. The same resending lets a write meet itself, so a conflict is not believed
//! before the document was loaded and bears another write id; where the primary has changed since
//! the version expected, even that is no proof, and the write is `Indeterminate`. One gap is left:
//! if the connection between two nodes breaks after a write was applied, the coordinating node
//! sends it on again within the same primary term, and if yet another writer wrote in between, the
//! conflict is false. A short list of the last write ids in each document would close it; a
//! guarded write cannot keep it without having loaded the document. Deletes leave no write id: a
//! delete whose reply was lost stays `Indeterminate`, as the capability says, and one that met
//! itself is told as `NotFound`.
//!
//! **Bulk.** Items of one request succeed and fail one by one, in order, also on one key, as the
//! family wants it. Errors are not cloneable, so a request that failed as a whole makes an error
//! for each of its items anew.
//!
//! **Ids.** In bodies of `_bulk`, `_mget` and `_search` no id is hostile. Storing a lone document by
//! a request of its own costs a tenth less than a bulk of one, so that is done where the id is
//! short and has nothing but letters, digits, dashes and underscores. Routing in a query string would be split at commas: routed searches
//! filter by a stored copy and ask every shard.
//!
//! **Queries.** Ids sort as UTF-8 bytes in a keyword copy. The engine tells -0.0 from 0.0, refuses
//! terms over 32,766 bytes, and nests queries 30 deep where the family allows 32. Reading a part of
//! a document rewrites its numbers (the integer `-0` becomes `0`) and takes a member `a.b` for a
//! path, so parts are cut here.
//!
//! # What is known to be weaker
//!
//! - `age` of a loaded document is not told, because the engine keeps no time of writing by its own
//!   clock; an unguarded write whose reply was lost is resolved by its write id alone.
//! - A write by the former model that the engine had already let in when fields were added, and
//!   that took effect only after the documents had been read to be written anew, is not found by
//!   the added fields until the document is written again.
//! - A document may have at most 10,000 objects in nested fields, the engine's own limit.
//!
//! # Examples
//!
//! ```no_run
//! # async fn example() -> strongroom_core::Result<()> {
//! use strongroom_core::store::Schema;
//! use strongroom_es::{EsOptions, EsStore};
//!
//! let options = EsOptions::default().shards(6).replicas(1);
//! let store = EsStore::connect_with("https://user:password@search.example:9200", options).await?;
//! println!("{}", store.server_info().await?.version);
//! # Ok(())
//! # }
//! ```

mod aggregate;
mod analysis;
mod answer;
mod bulk;
mod compile;
mod connection;
mod error;
mod explain;
mod extend;
mod group;
mod index;
mod load;
mod matching;
mod page;
mod product;
mod reading;
mod requests;
mod save;
mod scan;
mod schema;
mod search;
mod store;
mod wire;

pub use analysis::{AnalyserName, TextAnalysis};
pub use connection::{Compression, EsCredentials};
pub use store::{EsOptions, EsStore};
