//! Searching text by its words.

use std::ops::Range;

use serde::Serialize;

use crate::error::{Error, Result};

/// Most words of one question.
pub const MAX_WORDS: usize = 32;
/// Longest text of one question, in bytes.
const MAX_QUESTION_BYTES: usize = 4_096;

/// Which of the words that are asked for a text must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Words {
    /// At least one of them.
    Any,
    /// All of them, in any order and place.
    All,
    /// All of them, next to each other and in their order.
    Phrase,
}

/// What is asked of a text, as words.
///
/// Words are runs of letters and digits in lower case. That is how the in-memory store analyses
/// text, and what every engine agrees on for words of ASCII letters and digits set apart by
/// spaces; beyond them, analysis is the engine's.
///
/// # Examples
///
/// ```
/// use strongroom_core::query::{TextQuery, Words};
///
/// let query = TextQuery::parse("Quick fox", Words::All)?;
/// assert_eq!(query.words(), ["quick", "fox"]);
/// assert!(query.matches("The fox is quick."));
/// assert!(!query.matches("The quick foxes"));
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextQuery {
    words: Vec<String>,
    mode: Words,
}

impl TextQuery {
    /// Reads the words of a question.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is no word in it, more than [`MAX_WORDS`], or more than 4,096 bytes.
    pub fn parse(text: &str, mode: Words) -> Result<Self> {
        if text.len() > MAX_QUESTION_BYTES {
            return Err(Error::invalid(format!(
                "text that is searched for has {} bytes, allowed are {MAX_QUESTION_BYTES}",
                text.len()
            )));
        }
        let words: Vec<String> = words(text).collect();
        match words.len() {
            0 => Err(Error::invalid(format!(
                "text that is searched for, {text:?}, has no word in it"
            ))),
            1..=MAX_WORDS => Ok(Self { words, mode }),
            many => Err(Error::invalid(format!(
                "text that is searched for has {many} words, allowed are {MAX_WORDS}"
            ))),
        }
    }

    /// A question for words that [`words`](Self::words) gave: they are taken as they are.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is none.
    pub fn of_words(words: Vec<String>, mode: Words) -> Result<Self> {
        if words.is_empty() {
            return Err(Error::invalid("text is searched for no word"));
        }
        Ok(Self { words, mode })
    }

    /// The words, in lower case; at least one.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Which of the words a text must have.
    #[must_use]
    pub fn mode(&self) -> Words {
        self.mode
    }

    /// Whether a text has the words.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.matches_any([text])
    }

    /// Whether the texts of one field have the words: a phrase within one of them, other words in
    /// any of them.
    pub fn matches_any<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        let mut missing: Vec<&str> = self.words.iter().map(String::as_str).collect();
        for text in texts {
            let found: Vec<String> = words(text).collect();
            let holds = match self.mode {
                Words::Any => self.words.iter().any(|word| found.contains(word)),
                Words::Phrase => found
                    .windows(self.words.len())
                    .any(|window| window == self.words),
                Words::All => {
                    missing.retain(|word| !found.iter().any(|f| f == word));
                    missing.is_empty()
                }
            };
            if holds {
                return true;
            }
        }
        false
    }

    /// Where in a text, in bytes, the words stand, each by itself; of a phrase, the whole phrase.
    pub(super) fn occurrences(&self, text: &str) -> Vec<Range<usize>> {
        let found = words_at(text);
        match self.mode {
            Words::Any | Words::All => found
                .filter(|(_, word)| self.words.contains(word))
                .map(|(at, _)| at)
                .collect(),
            Words::Phrase => {
                let (places, found): (Vec<_>, Vec<_>) = found.unzip();
                let windows = found.windows(self.words.len());
                let windows = windows.zip(places.windows(self.words.len()));
                windows
                    .filter(|(window, _)| *window == self.words)
                    .filter_map(|(_, at)| Some(at.first()?.start..at.last()?.end))
                    .collect()
            }
        }
    }
}

/// The words of a text: runs of letters and digits, in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    words_at(text).map(|(_, word)| word)
}

/// The words of a text, and where they stand in it, in bytes.
fn words_at(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text.get(rest..)?.find(char::is_alphanumeric)?;
        let tail = text.get(start..)?;
        let length = tail.find(|c: char| !c.is_alphanumeric());
        rest = length.map_or(text.len(), |length| start + length);
        Some((start..rest, text.get(start..rest)?.to_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let matches = |question, mode, texts: &[&str]| {
            let query = TextQuery::parse(question, mode).unwrap();
            query.matches_any(texts.iter().copied())
        };
        assert!(matches("red fox", Words::Any, &["a fox"]));
        assert!(!matches("red fox", Words::Any, &["a foxy redness"]));
        assert!(matches("red fox", Words::All, &["fox", "red"]));
        assert!(!matches("red fox", Words::All, &["fox"]));
        assert!(matches("red fox", Words::Phrase, &["x", "the red fox."]));
        assert!(!matches("red fox", Words::Phrase, &["the red", "fox"]));
        assert!(!matches("red fox", Words::Phrase, &["fox red"]));
        assert!(!matches("fox", Words::Any, &[]));
    }

    #[test]
    fn words_and_phrases_have_places() {
        let places = |question, mode, text| {
            let query = TextQuery::parse(question, mode).unwrap();
            query.occurrences(text)
        };
        let text = "Über: a fox, a red FOX";
        assert_eq!(
            words(text).collect::<Vec<_>>(),
            ["über", "a", "fox", "a", "red", "fox"]
        );
        assert_eq!(places("über fox", Words::Any, text), [0..5, 9..12, 20..23]);
        assert_eq!(places("red fox", Words::All, text), [9..12, 16..19, 20..23]);
        assert_eq!(
            places("red fox", Words::Phrase, text).first(),
            Some(&(16..23))
        );
        assert_eq!(places("a a", Words::Phrase, "a a a"), [0..3, 2..5]);
        assert_eq!(places("a", Words::Phrase, ""), []);
    }

    #[test]
    fn words_are_not_read_twice() {
        let read = TextQuery::parse("İstanbul fox", Words::All).unwrap();
        let again = TextQuery::of_words(read.words().to_vec(), Words::All).unwrap();
        assert_eq!(again, read);
        assert!(again.matches("fox in İSTANBUL"));
        // The lower case of the first letter ends with a mark that is no letter.
        let torn = TextQuery::parse(&read.words().join(" "), Words::All).unwrap();
        assert!(!torn.matches("fox in İSTANBUL"));
        assert!(TextQuery::of_words(Vec::new(), Words::Any).is_err());
    }

    #[test]
    fn questions_need_words() {
        for none in ["", "  ", "-- !"] {
            assert!(TextQuery::parse(none, Words::Any).is_err(), "{none:?}");
        }
        assert!(TextQuery::parse(&"a ".repeat(MAX_WORDS), Words::Any).is_ok());
        let error = TextQuery::parse(&"a ".repeat(MAX_WORDS + 1), Words::Any).unwrap_err();
        assert!(error.message().contains("33 words"), "{error}");
        assert!(TextQuery::parse(&"a".repeat(5_000), Words::Any).is_err());
    }
}
