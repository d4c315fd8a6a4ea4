//! Document bodies as JSON text, serialised once and parsed once.

use std::collections::HashSet;
use std::fmt;
use std::io;

use bytes::Bytes;
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::ser::Formatter;

use super::limits::{MAX_BODY_BYTES, MAX_DEPTH};
use crate::error::{Error, ErrorKind, Result};

/// The body of a document: the text of one JSON object.
///
/// Cheap to clone. `Debug` prints its size, never its content.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::Body;
///
/// let body = Body::parse(r#"{"name":"Ada","logins":3}"#)?;
/// let value: serde_json::Value = body.decode()?;
/// assert_eq!(value["logins"], 3);
/// assert!(Body::parse("[1]").is_err());
/// assert!(Body::parse(r#"{"a":1,"a":2}"#).is_err());
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Body(Bytes);

impl Body {
    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// `Codec` if the value does not serialise; `Invalid` if it is no JSON object, is nested
    /// deeper than [`MAX_DEPTH`], holds an integer outside `i64`, or is larger than
    /// [`MAX_BODY_BYTES`].
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let mut text = Vec::with_capacity(512);
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, Strict { depth: 0 });
        value.serialize(&mut serializer).map_err(encode_error)?;
        if text.first() != Some(&b'{') {
            return Err(Error::invalid("document does not encode to a JSON object"));
        }
        check_size(text.len())?;
        Ok(Self(text.into()))
    }

    /// Checks and takes JSON text from outside.
    ///
    /// # Errors
    ///
    /// `Invalid` if the text is no JSON object, names a member twice, is nested deeper than
    /// [`MAX_DEPTH`], holds an integer outside `i64`, or is larger than [`MAX_BODY_BYTES`].
    pub fn parse(text: impl Into<Bytes>) -> Result<Self> {
        let text = text.into();
        check_size(text.len())?;
        let not_json = |e: serde_json::Error| {
            Error::invalid(format!("body is not valid JSON: {e}")).with_source(e)
        };
        let mut deserializer = serde_json::Deserializer::from_slice(&text);
        Check { depth: 0 }
            .deserialize(&mut deserializer)
            .map_err(not_json)?;
        deserializer.end().map_err(not_json)?;
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(Error::invalid("body is not a JSON object"));
        }
        check_integers(&text)?;
        Ok(Self(text))
    }

    /// Takes text that an engine stored before, without checks.
    #[must_use]
    pub fn from_trusted(text: impl Into<Bytes>) -> Self {
        Self(text.into())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The JSON text as a string.
    ///
    /// # Errors
    ///
    /// `Codec` if a trusted text was not UTF-8.
    pub fn as_str(&self) -> Result<&str> {
        std::str::from_utf8(&self.0)
            .map_err(|e| Error::new(ErrorKind::Codec, "stored body is not UTF-8").with_source(e))
    }

    /// The JSON text, shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the text is empty, which no checked body is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decodes the body.
    ///
    /// # Errors
    ///
    /// `Codec`, with the place and the reason, if the body does not fit `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(|e| {
            Error::new(ErrorKind::Codec, format!("body does not decode: {e}")).with_source(e)
        })
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    ///
    /// `Codec` if a trusted text was not a JSON object.
    pub fn to_object(&self) -> Result<serde_json::Map<String, serde_json::Value>> {
        self.decode()
    }

    /// Whether both bodies are the same JSON value: order of members and white space do not
    /// matter.
    #[must_use]
    pub fn same_value(&self, other: &Self) -> bool {
        self.0 == other.0
            || matches!(
                (self.to_object(), other.to_object()),
                (Ok(a), Ok(b)) if a == b
            )
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

fn check_size(bytes: usize) -> Result<()> {
    if bytes > MAX_BODY_BYTES {
        return Err(Error::invalid(format!(
            "body has {bytes} bytes, allowed are {MAX_BODY_BYTES}"
        )));
    }
    Ok(())
}

fn encode_error(error: serde_json::Error) -> Error {
    let kind = if error.is_io() {
        ErrorKind::Invalid
    } else {
        ErrorKind::Codec
    };
    Error::new(kind, format!("document does not encode: {error}")).with_source(error)
}

/// Compact JSON that refuses what engines do not keep: deep nesting and integers outside `i64`.
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper(&mut self) -> io::Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(io::Error::other(format!(
                "nested deeper than {MAX_DEPTH} levels"
            )));
        }
        Ok(())
    }
}

fn integer_too_large(value: impl fmt::Display) -> io::Error {
    io::Error::other(format!(
        "integer {value} is outside the range of i64, {} to {}",
        i64::MIN,
        i64::MAX
    ))
}

impl Formatter for Strict {
    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        let value = i64::try_from(value).map_err(|_| integer_too_large(value))?;
        self.write_i64(writer, value)
    }

    fn write_i128<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i128) -> io::Result<()> {
        let value = i64::try_from(value).map_err(|_| integer_too_large(value))?;
        self.write_i64(writer, value)
    }

    fn write_u128<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u128) -> io::Result<()> {
        let value = i64::try_from(value).map_err(|_| integer_too_large(value))?;
        self.write_i64(writer, value)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"}")
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.deeper()?;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"]")
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut deserializer = serde_json::Deserializer::from_str(fragment);
        Check { depth: self.depth }
            .deserialize(&mut deserializer)
            .map_err(io::Error::other)?;
        check_integers(fragment.as_bytes()).map_err(io::Error::other)?;
        writer.write_all(fragment.as_bytes())
    }
}

/// Walks any JSON value and refuses deep nesting and members named twice.
#[derive(Clone, Copy)]
struct Check {
    depth: usize,
}

impl Check {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!(
                "nested deeper than {MAX_DEPTH} levels"
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(inner)?;
            if let Some(twice) = seen.replace(name) {
                return Err(serde::de::Error::custom(format_args!(
                    "member {twice:?} is named twice"
                )));
            }
        }
        Ok(())
    }
}

/// Refuses integer literals outside `i64` in text that is known to be JSON. The parser cannot
/// tell: it hands out very large ones as floats.
fn check_integers(json: &[u8]) -> Result<()> {
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => at = end_of_string(json, at),
            b'-' | b'0'..=b'9' => {
                let rest = json.get(at..).unwrap_or_default();
                let length = rest
                    .iter()
                    .position(|b| !matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                    .unwrap_or(rest.len());
                let number = std::str::from_utf8(rest.get(..length).unwrap_or_default());
                let number = number.unwrap_or_default();
                if !number.contains(['.', 'e', 'E']) && number.parse::<i64>().is_err() {
                    return Err(Error::invalid(integer_too_large(number).to_string()));
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

fn end_of_string(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn nested(depth: usize) -> String {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    }

    #[test]
    fn parse_refuses_what_engines_do_not_keep() {
        for good in [
            "{}",
            " {\"a\":1} ",
            r#"{"a":"18446744073709551615"}"#,
            r#"{"a":1e300}"#,
            r#"{"a":-9223372036854775808,"b":9223372036854775807}"#,
            r#"{"a":"\"9999999999999999999"}"#,
            &nested(32),
        ] {
            assert!(Body::parse(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "null",
            "[]",
            "1",
            "\"a\"",
            "{",
            "{}x",
            r#"{"a":1,"a":1}"#,
            r#"{"b":{"a":1,"a":1}}"#,
            r#"{"a":9223372036854775808}"#,
            r#"{"a":-9223372036854775809}"#,
            r#"{"a":99999999999999999999999}"#,
            &nested(33),
        ] {
            let error = Body::parse(bad.to_owned()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        }
    }

    #[test]
    fn encode_refuses_the_same() {
        assert!(Body::encode(&json!({"a": 1})).is_ok());
        let invalid = |v: Value| Body::encode(&v).unwrap_err().kind() == ErrorKind::Invalid;
        assert!(invalid(json!([1])));
        assert!(invalid(json!(null)));
        assert!(invalid(json!({"a": u64::MAX})));
        let deep: Value = serde_json::from_str(&nested(33)).unwrap();
        assert!(invalid(deep));
        let deep: Value = serde_json::from_str(&nested(32)).unwrap();
        assert!(Body::encode(&deep).is_ok());
        let raw = serde_json::value::RawValue::from_string(nested(32)).unwrap();
        assert!(Body::encode(&std::collections::BTreeMap::from([("r", raw)])).is_err());
        let big = "x".repeat(MAX_BODY_BYTES);
        assert!(invalid(json!({"a": big})));
    }

    #[test]
    fn sizes_at_the_limit() {
        let fits = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_BODY_BYTES - 8));
        assert_eq!(Body::parse(fits.clone()).unwrap().len(), MAX_BODY_BYTES);
        assert!(Body::parse(fits + " ").is_err());
    }

    #[test]
    fn equal_as_values() {
        let a = Body::parse(r#"{"a":1,"b":2}"#).unwrap();
        let b = Body::parse(r#"{ "b":2, "a":1 }"#).unwrap();
        assert!(a.same_value(&b));
        assert_eq!(format!("{a:?}"), "Body(13 bytes)");
    }
}
