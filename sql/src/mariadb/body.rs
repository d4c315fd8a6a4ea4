//! Bodies on their way to the server and back.
//!
//! A body is stored as the text that it is, with two exceptions, which few bodies need:
//!
//! - The server's functions look no deeper into JSON than 31 levels, and fail where there are 32, the
//!   most that a body may have. So what is nested at the last level is stored as a text that holds
//!   it, behind a mark. A text at that place which begins with the mark gets it once more.
//! - They do not find a name in which characters are written as escapes without need. So names are
//!   written without them.

use std::borrow::Cow;

/// The deepest objects and arrays that are stored as such.
const DEEPEST: usize = 31;
/// What texts begin with that hold what was nested too deep, as it is written.
const MARK: &str = r"\u0001";

/// The text that is stored.
///
/// # Examples
///
/// ```
/// use strongroom_sql::mariadb::{load_body, store_body};
///
/// assert_eq!(store_body(r#"{"name":"Ada"}"#), r#"{"name":"Ada"}"#);
/// let deep = format!("{}1{}", r#"{"a":"#.repeat(32), "}".repeat(32));
/// let stored = store_body(&deep);
/// assert_eq!(stored.matches(":{").count(), 30);
/// assert_eq!(*load_body(stored.as_bytes()), *deep.as_bytes());
/// ```
#[must_use]
pub fn store_body(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let opened = bytes.iter().filter(|byte| matches!(byte, b'{' | b'['));
    if opened.count() <= DEEPEST && !bytes.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    rewritten(text, |piece| match piece {
        Piece::TooDeep(nested) => {
            let quoted = serde_json::to_string(nested).ok()?;
            Some(format!("\"{MARK}{}", quoted.get(1..)?))
        }
        Piece::Name(name) => plain_name(name),
        Piece::DeepText(text) => {
            let inner = text.get(1..)?;
            let marked = inner.starts_with(MARK);
            marked.then(|| format!("\"{MARK}{inner}"))
        }
    })
}

/// The text that [`store_body`] stored so. What is no UTF-8 stays as it is.
#[must_use]
pub fn load_body(stored: &[u8]) -> Cow<'_, [u8]> {
    let mark = MARK.as_bytes();
    if !stored.contains(&b'\\') || !stored.windows(mark.len()).any(|part| part == mark) {
        return Cow::Borrowed(stored);
    }
    let Ok(text) = std::str::from_utf8(stored) else {
        return Cow::Borrowed(stored);
    };
    let loaded = rewritten(text, |piece| match piece {
        Piece::DeepText(text) => {
            let rest = text.get(1..)?.strip_prefix(MARK)?;
            if rest.starts_with(MARK) {
                return Some(format!("\"{rest}"));
            }
            serde_json::from_str(&format!("\"{rest}")).ok()
        }
        Piece::TooDeep(_) | Piece::Name(_) => None,
    });
    match loaded {
        Cow::Borrowed(_) => Cow::Borrowed(stored),
        Cow::Owned(loaded) => Cow::Owned(loaded.into_bytes()),
    }
}

/// What of a body may have to be written in another way, as it is there.
enum Piece<'t> {
    /// An object or an array that is nested deeper than [`DEEPEST`].
    TooDeep(&'t str),
    /// A name with escapes, in quotation marks.
    Name(&'t str),
    /// A text in an object or an array at the level [`DEEPEST`], in quotation marks.
    DeepText(&'t str),
}

/// The text with the pieces replaced that `change` writes in another way.
fn rewritten(text: &str, change: impl Fn(Piece<'_>) -> Option<String>) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut at, mut copied, mut depth) = (0, 0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let (end, changed) = match byte {
            b'{' | b'[' if depth == DEEPEST => {
                let end = end_of_nested(bytes, at);
                let nested = text.get(at..end).unwrap_or_default();
                (end, change(Piece::TooDeep(nested)))
            }
            b'"' => {
                let end = end_of_text(bytes, at);
                let quoted = text.get(at..end).unwrap_or_default();
                let changed = if depth < DEEPEST && !quoted.contains('\\') {
                    None
                } else if is_name(bytes, end) {
                    change(Piece::Name(quoted))
                } else if depth == DEEPEST {
                    change(Piece::DeepText(quoted))
                } else {
                    None
                };
                (end, changed)
            }
            b'{' | b'[' => {
                depth += 1;
                (at + 1, None)
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                (at + 1, None)
            }
            _ => (at + 1, None),
        };
        if let Some(changed) = changed {
            out.push_str(text.get(copied..at).unwrap_or_default());
            out.push_str(&changed);
            copied = end;
        }
        at = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Where the text ends whose opening quotation mark is at `at`.
fn end_of_text(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'"' => return end + 1,
            // What is escaped cannot end the text.
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// Where the object or the array ends that begins at `at`.
fn end_of_nested(bytes: &[u8], at: usize) -> usize {
    let (mut end, mut depth) = (at, 0_usize);
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'"' => {
                end = end_of_text(bytes, end);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return end + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        end += 1;
    }
    bytes.len()
}

fn is_name(bytes: &[u8], end: usize) -> bool {
    let rest = bytes.get(end..).unwrap_or_default();
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// The name with the escapes alone that it needs, if it has others.
fn plain_name(quoted: &str) -> Option<String> {
    if !quoted.contains('\\') {
        return None;
    }
    let name: String = serde_json::from_str(quoted).ok()?;
    let plain = serde_json::to_string(&name).ok()?;
    (plain != quoted).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, stored: &str) {
        assert_eq!(store_body(body), stored);
        let loaded: serde_json::Value =
            serde_json::from_slice(&load_body(stored.as_bytes())).unwrap();
        let whole: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(loaded, whole);
    }

    fn at_depth(depth: usize, inner: &str) -> String {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"a":{open}{inner}{close}}}"#)
    }

    #[test]
    fn most_bodies_stay_as_they_are() {
        for same in [
            r#"{"a":"\u0041 \u0001","b\"\\\n":[{}, -0, 1e3]}"#,
            "{}",
            &at_depth(30, r#"{"x":1},[],"y""#),
        ] {
            assert!(matches!(store_body(same), Cow::Borrowed(_)), "{same}");
            check(same, same);
        }
    }

    #[test]
    fn names_have_no_escapes_without_need() {
        check(
            r#"{"\u006b":"\u006b","\u00fc\"\/" : 1,"\ud83e\udd80\u0000":2}"#,
            r#"{"k":"\u006b","ü\"/" : 1,"🦀\u0000":2}"#,
        );
    }

    #[test]
    fn what_is_too_deep_is_a_text() {
        check(
            &at_depth(
                31,
                "[{\"x\\\"}\": \"\\u0001]\"},\n[]],[1],\"\\u0001\",\"\\u0001\\u0001\",\"y\"",
            ),
            &at_depth(
                31,
                r#""\u0001[{\"x\\\"}\": \"\\u0001]\"},\n[]]","\u0001[1]","\u0001\u0001","\u0001\u0001\u0001","y""#,
            ),
        );
    }
}
