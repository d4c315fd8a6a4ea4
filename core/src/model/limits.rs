//! The limits that hold on every engine alike, so that data can move between engines. Only for
//! bodies one may be narrower: see [`MAX_BODY_BYTES`].

use crate::error::{Error, Result};

/// Longest document id, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 512;
/// Longest sum of routing and id of a routed key, in bytes of UTF-8: the two share one engine id
/// of [`MAX_ID_BYTES`] on engines that have only one.
pub const MAX_ROUTED_KEY_BYTES: usize = 508;
/// Longest collection name, in bytes.
pub const MAX_COLLECTION_NAME_BYTES: usize = 100;
/// Longest field path with its dots, in bytes of UTF-8.
pub const MAX_PATH_BYTES: usize = 512;
/// Deepest nesting of objects and arrays in a body, of segments in a path, of nodes in a filter.
pub const MAX_DEPTH: usize = 32;
/// Most declared fields of a collection.
pub const MAX_FIELDS: usize = 1_000;
/// Largest body, in bytes of JSON text. MariaDB takes none that is longer than its
/// `max_allowed_packet` less 4 KiB, which
/// [`Capabilities::max_body_bytes`](crate::store::Capabilities::max_body_bytes) tells.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Longest keyword value that filters compare, in bytes of UTF-8.
pub const MAX_KEYWORD_BYTES: usize = 1_024;

/// Refuses a size that is not 1 to `most`; `what` says of what it is the size.
pub(crate) fn in_range(what: &str, size: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&size) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{what} {size}, allowed are 1 to {most}"
    )))
}
