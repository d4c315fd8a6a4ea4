//! Bodies on their way to `jsonb` and back.
//!
//! `jsonb` keeps numbers as decimal numbers and would make whole ones of `1e16` and of `-0`, and
//! it cannot hold the character NUL. So a body is rewritten where it has such things, which few
//! bodies have; all others are sent as they are.

use std::borrow::Cow;

use bytes::Bytes;
use strongroom_core::error::Result;
use strongroom_core::model::Body;

/// The text that is sent.
pub(crate) fn stored(body: &Body) -> Result<Cow<'_, str>> {
    let text = body.as_str()?;
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut at, mut copied, mut within_text) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                within_text = !within_text;
                at += 1;
            }
            b'\\' => {
                let pair = match bytes.get(at..at + 6) {
                    Some(br"\u0000") => Some(r"\u0001\u0001"),
                    Some(br"\u0001") => Some(r"\u0001\u0002"),
                    _ => None,
                };
                if let Some(pair) = pair {
                    out.push_str(text.get(copied..at).unwrap_or_default());
                    out.push_str(pair);
                    at += 6;
                    copied = at;
                } else {
                    // What is escaped cannot end the text.
                    at += 2;
                }
            }
            b'-' | b'0'..=b'9' if !within_text => {
                let rest = bytes.get(at..).unwrap_or_default();
                let length = rest.iter().take_while(|b| is_of_number(**b)).count();
                let number = text.get(at..at + length).unwrap_or_default();
                if let Some(plain) = plain(number) {
                    out.push_str(text.get(copied..at).unwrap_or_default());
                    out.push_str(&plain);
                    copied = at + length;
                }
                at += length.max(1);
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(text));
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

/// The number in a form that `jsonb` gives back as a number with a fraction, if it needs one.
fn plain(number: &str) -> Option<String> {
    if number == "-0" {
        return Some("-0.0".to_owned());
    }
    if !number.bytes().any(|b| matches!(b, b'e' | b'E')) {
        return None;
    }
    let value: f64 = number.parse().ok()?;
    (value.fract() == 0.0).then(|| format!("{value:.1}"))
}

/// The body that was stored as this text.
pub(crate) fn loaded(stored: &[u8]) -> Body {
    const MARK: &[u8] = br"\u0001";
    // Few bodies have an escaped character at all.
    if !stored.contains(&b'\\') || !stored.windows(MARK.len()).any(|window| window == MARK) {
        return Body::from_trusted(Bytes::copy_from_slice(stored));
    }
    let mut out = Vec::with_capacity(stored.len());
    let mut at = 0;
    while let Some(&byte) = stored.get(at) {
        let taken = match stored.get(at..at + 2 * MARK.len()) {
            Some(br"\u0001\u0001") => {
                out.extend_from_slice(br"\u0000");
                2 * MARK.len()
            }
            Some(br"\u0001\u0002") => {
                out.extend_from_slice(MARK);
                2 * MARK.len()
            }
            _ if byte == b'\\' => {
                out.extend_from_slice(stored.get(at..at + 2).unwrap_or(b"\\"));
                2
            }
            _ => {
                out.push(byte);
                1
            }
        };
        at += taken;
    }
    Body::from_trusted(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, wanted: &str) {
        let body = Body::from_trusted(body.to_owned());
        let sent = stored(&body).unwrap();
        assert_eq!(sent, wanted);
        assert!(loaded(sent.as_bytes()).same_value(&body));
    }

    #[test]
    fn only_what_the_engine_would_change_is_rewritten() {
        for same in [
            r#"{"a":1,"b":-1.50,"c":"1e16 \\u0000 \" -0","d":1e-7,"é":[true,null]}"#,
            "{}",
        ] {
            let body = Body::from_trusted(same);
            assert!(matches!(stored(&body).unwrap(), Cow::Borrowed(_)), "{same}");
            check(same, same);
        }
        check(r#"{"a":1e16}"#, r#"{"a":10000000000000000.0}"#);
        check(r#"{"a":[-0,1.5E+1,-0.0]}"#, r#"{"a":[-0.0,15.0,-0.0]}"#);
        check(
            r#"{"\u0000":"\u0001\\\u0000"}"#,
            r#"{"\u0001\u0001":"\u0001\u0002\\\u0001\u0001"}"#,
        );
    }
}
