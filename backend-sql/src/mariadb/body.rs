//! Bodies on their way to the server.

use std::borrow::Cow;

use strongroom_core::error::{Error, Result};
use strongroom_core::model::Body;
use strongroom_sql::mariadb::store_body;

/// What a message holds besides a body, in bytes, at most: the key, and what the protocol adds.
pub(crate) const BESIDE: usize = 4 * 1_024;

/// The text that is sent.
///
/// # Errors
///
/// `Invalid` if the server would not take a message so long: it would end the connection.
pub(crate) fn stored(body: &Body, max_packet: usize) -> Result<Cow<'_, str>> {
    let text = store_body(body.as_str()?);
    let most = max_packet.saturating_sub(BESIDE);
    if text.len() > most {
        return Err(Error::invalid(format!(
            "body has {} bytes as it is stored, the server takes at most {most}",
            text.len()
        )));
    }
    Ok(text)
}
