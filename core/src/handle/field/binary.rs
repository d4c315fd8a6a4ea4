//! Bytes as documents hold them.

use std::fmt;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Field, FieldType, kinds};
use crate::model::Kind;

/// Bytes that are stored as Base64 text, with the standard alphabet and padding.
///
/// Filters ask only for their presence. `Debug` prints their number.
///
/// # Examples
///
/// ```
/// use strongroom_core::handle::Binary;
///
/// let bytes = Binary::from(vec![0, 255]);
/// assert_eq!(serde_json::to_string(&bytes).unwrap(), r#""AP8=""#);
/// assert_eq!(bytes.len(), 2);
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binary(Vec<u8>);

impl Binary {
    /// The bytes alone.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Binary {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binary({} bytes)", self.0.len())
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = STANDARD
            .decode(text.as_bytes())
            .map_err(|e| de::Error::custom(format_args!("not Base64 text: {e}")))?;
        Ok(Self(bytes))
    }
}

#[diagnostic::do_not_recommend]
impl FieldType for Binary {
    type Kind = kinds::Bytes;
    type Value = Self;
    type Handle<T, K, V> = Field<T, K, V>;
    const KIND: Kind = Kind::Bytes;
    const MANY: bool = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for bytes in [&[][..], &[0], &[0, 255, 7]] {
            let binary = Binary::from(bytes);
            let json = serde_json::to_string(&binary).unwrap();
            assert_eq!(serde_json::from_str::<Binary>(&json).unwrap(), binary);
        }
        for bad in [r#""AP8""#, r#""AP8=\n""#, r#""*""#, "7", "[0]"] {
            assert!(serde_json::from_str::<Binary>(bad).is_err(), "{bad}");
        }
    }
}
