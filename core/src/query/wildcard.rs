//! Patterns with wildcards.

use crate::error::{Error, Result};
use crate::model::MAX_KEYWORD_BYTES;

/// Most `*` of one pattern: matching costs at most their number times the length of the text.
pub const MAX_WILDCARDS: usize = 16;

/// A pattern that a whole text is compared with: `*` stands for any run of characters, also an
/// empty one, `?` for exactly one character, and a backslash makes the next character itself.
///
/// # Examples
///
/// ```
/// use strongroom_core::query::Wildcard;
///
/// let pattern = Wildcard::parse(r"a?c\**")?;
/// assert!(pattern.matches("abc*def"));
/// assert!(!pattern.matches("abcdef"));
/// assert_eq!(pattern.prefix(), "a");
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard {
    tokens: Vec<WildcardToken>,
    prefix: String,
}

/// One part of a [`Wildcard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WildcardToken {
    /// This character.
    Literal(char),
    /// `?`: one character, whichever it is.
    One,
    /// `*`: any number of characters.
    Many,
}

impl Wildcard {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// `Invalid` if it is longer than [`MAX_KEYWORD_BYTES`], has more than [`MAX_WILDCARDS`] `*`,
    /// or ends with a backslash that makes nothing itself.
    pub fn parse(pattern: &str) -> Result<Self> {
        if pattern.len() > MAX_KEYWORD_BYTES {
            return Err(Error::invalid(format!(
                "wildcard pattern has {} bytes, allowed are {MAX_KEYWORD_BYTES}",
                pattern.len()
            )));
        }
        let mut tokens: Vec<WildcardToken> = Vec::with_capacity(pattern.len());
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                // A run of `*` means what one of them means.
                '*' if tokens.last() == Some(&WildcardToken::Many) => continue,
                '*' => WildcardToken::Many,
                '?' => WildcardToken::One,
                '\\' => WildcardToken::Literal(chars.next().ok_or_else(|| {
                    Error::invalid(format!(
                        "wildcard pattern {pattern:?} ends with a backslash that escapes nothing"
                    ))
                })?),
                c => WildcardToken::Literal(c),
            });
        }
        let stars = tokens
            .iter()
            .filter(|token| **token == WildcardToken::Many)
            .count();
        if stars > MAX_WILDCARDS {
            return Err(Error::invalid(format!(
                "wildcard pattern has {stars} `*`, allowed are {MAX_WILDCARDS}"
            )));
        }
        let prefix = tokens.iter().map_while(|token| match token {
            WildcardToken::Literal(c) => Some(*c),
            _ => None,
        });
        let prefix = prefix.collect();
        Ok(Self { tokens, prefix })
    }

    /// The parts, in order. No two [`Many`](WildcardToken::Many) follow each other.
    #[must_use]
    pub fn tokens(&self) -> &[WildcardToken] {
        &self.tokens
    }

    /// What every text that matches begins with: the pattern up to its first wildcard.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let tokens = &self.tokens[..];
        let (mut tokens_left, mut text_left) = (tokens, text);
        // Where to go on when what follows the last `*` does not fit: one character later.
        let mut again: Option<(&[WildcardToken], &str)> = None;
        loop {
            let step = match tokens_left.split_first() {
                None if text_left.is_empty() => return true,
                None => None,
                Some((WildcardToken::Many, rest)) => {
                    again = Some((rest, text_left));
                    Some((rest, text_left))
                }
                Some((token, rest)) => {
                    let mut chars = text_left.chars();
                    match (token, chars.next()) {
                        (WildcardToken::One, Some(_)) => Some((rest, chars.as_str())),
                        (WildcardToken::Literal(wanted), Some(c)) if c == *wanted => {
                            Some((rest, chars.as_str()))
                        }
                        _ => None,
                    }
                }
            };
            if let Some(next) = step {
                (tokens_left, text_left) = next;
                continue;
            }
            let Some((after_star, from)) = again else {
                return false;
            };
            let mut chars = from.chars();
            if chars.next().is_none() {
                return false;
            }
            again = Some((after_star, chars.as_str()));
            (tokens_left, text_left) = (after_star, chars.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = Wildcard::parse(pattern).unwrap();
        for text in yes {
            assert!(pattern.matches(text), "{text:?}");
        }
        for text in no {
            assert!(!pattern.matches(text), "{text:?}");
        }
    }

    #[test]
    fn the_whole_text_is_compared() {
        check("", &[""], &["a"]);
        check("a", &["a"], &["", "A", "ab", "ba"]);
        check("*", &["", "a", "a\0b", "é\n"], &[]);
        check("a*", &["a", "ab"], &["ba", ""]);
        check("*a", &["a", "ba", "aa"], &["ab"]);
        check("a**b", &["ab", "axb", "abab"], &["a", "abc"]);
        check("*ab*ab*", &["abab", "xabyabz"], &["ab", "aab"]);
        check("?", &["a", "é", "🦀"], &["", "ab", "e\u{301}"]);
        check("?*?", &["ab", "abc"], &["a"]);
        check(r"\*\?\\x", &[r"*?\x"], &["axx", r"\*"]);
        check("[a-c]%_", &["[a-c]%_"], &["a%_", "[a-c]xx"]);
    }

    #[test]
    fn limits() {
        assert!(Wildcard::parse("\\").is_err());
        assert!(Wildcard::parse(&"*a".repeat(MAX_WILDCARDS)).is_ok());
        let error = Wildcard::parse(&"*a".repeat(MAX_WILDCARDS + 1)).unwrap_err();
        assert!(error.message().contains("17 `*`"), "{error}");
        assert!(Wildcard::parse(&"*".repeat(100)).is_ok());
        assert!(Wildcard::parse(&"a".repeat(MAX_KEYWORD_BYTES + 1)).is_err());
    }

    #[test]
    fn many_wildcards_are_quick() {
        let pattern = Wildcard::parse(&"*a".repeat(MAX_WILDCARDS)).unwrap();
        assert!(!pattern.matches(&"b".repeat(100_000)));
        assert!(pattern.matches(&"ba".repeat(10_000)));
    }
}
