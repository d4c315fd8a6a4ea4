//! The vocabulary of the family: names, ids, paths, versions, bodies and collection models.
//!
//! Each type is parsed once, at the edge, and cannot hold a value that an engine would have to
//! refuse or escape in a special way.

mod body;
mod collection;
mod expected;
mod key;
mod limits;
mod name;
mod path;
mod raw;
mod timestamp;
mod union;
mod value;
mod version;
mod write_id;

pub use body::Body;
pub use collection::{FieldDeclaration, Kind, Model, ModelBuilder, UnknownFields};
pub use expected::Expected;
pub use key::{DocumentId, Key, Routing};
pub(crate) use limits::in_range;
pub use limits::{
    MAX_BODY_BYTES, MAX_COLLECTION_NAME_BYTES, MAX_DEPTH, MAX_FIELDS, MAX_ID_BYTES,
    MAX_KEYWORD_BYTES, MAX_PATH_BYTES, MAX_ROUTED_KEY_BYTES,
};
pub use name::CollectionName;
pub use path::FieldPath;
pub use raw::RawDocument;
pub use timestamp::Timestamp;
pub use value::Scalar;
pub use version::Version;
pub use write_id::WriteId;
