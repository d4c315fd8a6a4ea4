//! Signing cursors that go through other hands.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Cursor;
use crate::error::{Error, ErrorKind, Result};

/// Shortest secret, in bytes.
const MIN_SECRET_BYTES: usize = 16;
/// So that nothing else that is signed with the secret passes as a cursor.
const DOMAIN: &[u8] = b"strongroom cursor 2\0";

/// A secret that cursors are signed by, with HMAC-SHA256.
///
/// A database that [has one](crate::handle::DatabaseBuilder::cursor_key) hands out signed cursors
/// and takes no others, so that a client can neither make up a place in a query nor change one.
/// Processes that serve each other's cursors need the same secret. `Debug` does not print it.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
/// # fn main() -> Result<()> { run(async |_, _| {
/// use strongroom_core::query::CursorKey;
///
/// # let secret = [7; 32];
/// let db = Database::builder(Arc::new(MemoryStore::new()))
///     .cursor_key(CursorKey::new(secret)?)
///     .build();
/// let users = db.collection::<User>();
/// users.ensure().await?;
/// users.insert_many(["ada", "bob"].map(User::new)).await?;
///
/// // A cursor of one tenant is none of another.
/// let ours = users.with_cursor_context("tenant 7");
/// let page = ours.find(Filter::all()).limit(1).page().await?;
/// let text = page.cursor().expect("more follow").to_string();
/// let rest = ours.find(Filter::all()).after(text.parse()?).page().await?;
/// assert_eq!(rest[0].name, "bob");
/// let theirs = users.with_cursor_context("tenant 8");
/// let error = theirs.find(Filter::all()).after(text.parse()?).page().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// # Ok(()) }) }
/// ```
#[derive(Clone)]
pub struct CursorKey {
    signing: Hmac<Sha256>,
    former: Vec<Hmac<Sha256>>,
}

impl CursorKey {
    /// Takes a secret: at least 16 bytes, best 32 random ones.
    ///
    /// # Errors
    ///
    /// `Config` if it is shorter.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self> {
        let secret = secret.as_ref();
        if secret.len() < MIN_SECRET_BYTES {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "secret of cursors has {} bytes, the least is {MIN_SECRET_BYTES}",
                    secret.len()
                ),
            ));
        }
        let signing = Hmac::new_from_slice(secret).map_err(|e| {
            Error::new(ErrorKind::Config, "secret of cursors is not allowed").with_source(e)
        })?;
        Ok(Self {
            signing,
            former: Vec::new(),
        })
    }

    /// Takes cursors that were signed by `former`, too: while a secret is replaced by this one.
    #[must_use]
    pub fn accepting(mut self, former: Self) -> Self {
        self.former.push(former.signing);
        self.former.extend(former.former);
        self
    }

    /// Signs a cursor, bound to a context, such as a tenant, if there is one.
    ///
    /// # Errors
    ///
    /// `Internal` if the cursor has no text form.
    pub fn sign(&self, cursor: Cursor, context: Option<&str>) -> Result<Cursor> {
        let mac = told(&self.signing, &cursor, context)?;
        Ok(cursor.signed(mac.finalize().into_bytes().into()))
    }

    /// Checks that a cursor was signed by this key, or by one that it accepts, for the context. It
    /// takes as long for a signature that is nearly true as for one that is not at all.
    ///
    /// # Errors
    ///
    /// `Invalid` if it was not signed, or by another key, for another context, or was changed
    /// afterwards.
    pub fn verify(&self, cursor: &Cursor, context: Option<&str>) -> Result<()> {
        let signature = cursor.signature().ok_or_else(|| {
            Error::invalid("cursor is not signed, and only signed ones are taken")
        })?;
        for key in std::iter::once(&self.signing).chain(&self.former) {
            if told(key, cursor, context)?.verify_slice(signature).is_ok() {
                return Ok(());
            }
        }
        Err(Error::invalid(
            "cursor was signed by another key or for another context, or was changed afterwards",
        ))
    }
}

/// What is signed: every part with its length, so that no two cursors and contexts are alike.
fn told(key: &Hmac<Sha256>, cursor: &Cursor, context: Option<&str>) -> Result<Hmac<Sha256>> {
    let payload = cursor
        .payload()
        .map_err(|e| Error::internal("a cursor has no text form").with_source(e))?;
    let mut mac = key.clone();
    mac.update(DOMAIN);
    mac.update(&[u8::from(context.is_some())]);
    let context = context.unwrap_or_default().as_bytes();
    let length = u64::try_from(context.len()).unwrap_or(u64::MAX);
    mac.update(&length.to_le_bytes());
    mac.update(context);
    mac.update(&payload);
    Ok(mac)
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CursorKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Filter, Position, Sort};
    use super::*;
    use crate::model::{Key, Scalar};

    fn key(byte: u8) -> CursorKey {
        CursorKey::new([byte; 32]).unwrap()
    }

    fn cursor(value: Option<Scalar>) -> Cursor {
        let position = Position {
            values: vec![value],
            key: Key::routed("eu", "ada \u{1F980}").unwrap(),
        };
        let sort = [Sort::ascending("n".parse().unwrap())];
        Cursor::new(
            position,
            &"users".parse().unwrap(),
            &Filter::all(),
            &sort,
            None,
        )
    }

    #[track_caller]
    fn refused(key: &CursorKey, text: &str, context: Option<&str>) {
        // Damage is seen at the latest when the signature is looked at.
        let verified = text.parse().and_then(|cursor| key.verify(&cursor, context));
        let error = verified.expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }

    #[test]
    fn what_was_signed_comes_back() {
        let values = [
            None,
            Some(true.into()),
            Some(i64::MIN.into()),
            Some(5.0.into()),
            Some((0.1 + 0.2).into()),
            Some(1e300.into()),
            Some((-0.0).into()),
            Some("\u{0}\"ß".into()),
        ];
        for value in values {
            let unsigned = cursor(value);
            for context in [None, Some(""), Some("tenant 7")] {
                let text = key(1).sign(unsigned.clone(), context).unwrap().to_string();
                let back: Cursor = text.parse().unwrap();
                key(1).verify(&back, context).unwrap();
                assert_eq!(back.to_string(), text);
                for other in [None, Some(""), Some("tenant 7"), Some("tenant 70")] {
                    if other != context {
                        refused(&key(1), &text, other);
                    }
                }
                refused(&key(2), &text, context);
            }
        }
    }

    #[test]
    fn no_byte_can_be_changed() {
        let text = key(1)
            .sign(cursor(Some(7.into())), None)
            .unwrap()
            .to_string();
        for at in 0..text.len() {
            for byte in *b"A1_." {
                let mut bytes = text.clone().into_bytes();
                if std::mem::replace(&mut bytes[at], byte) != byte {
                    refused(&key(1), &String::from_utf8(bytes).unwrap(), None);
                }
            }
            refused(&key(1), &text[..at], None);
        }
        let unsigned = cursor(Some(7.into()));
        refused(&key(1), &unsigned.to_string(), None);
        // A signature that belongs to another place.
        let other = key(1).sign(cursor(Some(8.into())), None).unwrap();
        let moved = unsigned.signed(*other.signature().unwrap());
        refused(&key(1), &moved.to_string(), None);
    }

    #[test]
    fn secrets_are_replaced_and_never_shown() {
        let old = key(1).sign(cursor(None), None).unwrap();
        let new = key(2).accepting(key(1));
        new.verify(&old, None).unwrap();
        let signed = new.sign(cursor(None), None).unwrap();
        key(2).verify(&signed, None).unwrap();
        assert!(key(1).verify(&signed, None).is_err());
        key(3).accepting(new).verify(&old, None).unwrap();
        assert_eq!(format!("{:?}", key(65)), "CursorKey { .. }");
        for (bytes, good) in [(0, false), (15, false), (16, true), (1_000, true)] {
            let made = CursorKey::new(vec![0; bytes]);
            assert_eq!(made.is_ok(), good, "{bytes}");
        }
        assert_eq!(
            CursorKey::new("short").unwrap_err().kind(),
            ErrorKind::Config
        );
    }
}
