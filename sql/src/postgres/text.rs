//! How text is stored, and the functions that the store keeps in the database.

use std::borrow::Cow;

/// The statement that makes the functions that compiled queries call, all at once.
pub const PREPARE: &str = r#"
-- It holds always, and is said to cost so much that a statement which joins a list with it looks up
-- each document by its key, in the order of the list, however small the table was when the server
-- made its plan.
CREATE OR REPLACE FUNCTION strongroom_by_key(version bigint) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 1000000 AS $$
BEGIN
  RETURN true;
END $$;
CREATE OR REPLACE FUNCTION strongroom_leaves(body jsonb, path text[]) RETURNS SETOF jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE item jsonb;
BEGIN
  IF body IS NULL THEN
    RETURN;
  END IF;
  CASE jsonb_typeof(body)
  WHEN 'null' THEN
    RETURN;
  WHEN 'array' THEN
    FOR item IN SELECT e.value FROM jsonb_array_elements(body) AS e(value) LOOP
      RETURN QUERY SELECT * FROM strongroom_leaves(item, path);
    END LOOP;
  WHEN 'object' THEN
    IF cardinality(path) = 0 THEN
      RETURN NEXT body;
    ELSE
      RETURN QUERY SELECT * FROM strongroom_leaves(body -> path[1], path[2:]);
    END IF;
  ELSE
    IF cardinality(path) = 0 THEN
      RETURN NEXT body;
    END IF;
  END CASE;
END $$;
-- All values at a path as one array, for the index of them. It is said to cost what it does: without
-- the counts of a table, the server would rather call it for each document in the order of a page.
CREATE OR REPLACE FUNCTION strongroom_values(body jsonb, path jsonpath) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 200 AS $$
BEGIN
  RETURN jsonb_path_query_array(body, path);
END $$;
CREATE OR REPLACE FUNCTION strongroom_words(body jsonb, path text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN (SELECT string_agg(' ' || regexp_replace(lower((l.leaf #>> '{}') COLLATE pg_c_utf8),
      '[^[:alnum:]]+', ' ', 'g') || ' ', chr(2))
    FROM strongroom_leaves(body, path) AS l(leaf) WHERE jsonb_typeof(l.leaf) = 'string');
END $$;
-- The words of a field for its index, each once. It runs within the commands that make and mend
-- indexes, too, which look for functions nowhere but in the server's own schema.
CREATE OR REPLACE FUNCTION strongroom_terms(body jsonb, path text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 SET search_path FROM CURRENT AS $$
BEGIN
  RETURN (SELECT array_agg(DISTINCT left(t.term, 200) COLLATE "C")
    FROM unnest(string_to_array(translate(strongroom_words(body, path), chr(2), ' '), ' ')) AS t(term)
    WHERE t.term <> '');
END $$;
CREATE OR REPLACE FUNCTION strongroom_histogram(value numeric, step float8, shift float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE distance float8 := value::float8 - shift;
BEGIN
  RETURN floor(distance / step) * step + shift + 0;
EXCEPTION WHEN numeric_value_out_of_range THEN
  -- Either the quotient is too small to be told from zero, or the result is too large.
  RETURN CASE WHEN abs(distance) < step THEN shift + 0 ELSE 'Infinity'::float8 END;
END $$;
CREATE OR REPLACE FUNCTION strongroom_month(millis bigint, months bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  days bigint := (millis - ((millis % 86400000) + 86400000) % 86400000) / 86400000 + 719468;
  era bigint := (CASE WHEN days >= 0 THEN days ELSE days - 146096 END) / 146097;
  doe bigint := days - era * 146097;
  yoe bigint := (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  doy bigint := doe - (365 * yoe + yoe / 4 - yoe / 100);
  mp bigint := (5 * doy + 2) / 153;
  month bigint := CASE WHEN mp < 10 THEN mp + 3 ELSE mp - 9 END;
  year bigint := yoe + era * 400 + CASE WHEN month <= 2 THEN 1 ELSE 0 END;
  begun bigint;
BEGIN
  month := (month - 1) / months * months + 1;
  IF month <= 2 THEN
    year := year - 1;
  END IF;
  era := (CASE WHEN year >= 0 THEN year ELSE year - 399 END) / 400;
  yoe := year - era * 400;
  doy := (153 * (month + CASE WHEN month > 2 THEN -3 ELSE 9 END) + 2) / 5;
  doe := yoe * 365 + yoe / 4 - yoe / 100 + doy;
  begun := (era * 146097 + doe - 719468) * 86400000;
  RETURN CASE WHEN begun >= -377705023201000 THEN begun END;
END $$;
"#;

/// How much of a word the index of words holds, in characters: `strongroom_terms` cuts off as much.
/// The server's indexes take no entry of more than some 2,700 bytes.
pub(super) const INDEXED_PART: usize = 200;

/// Text as it is stored: U+0000, which the server cannot hold, and U+0001 become pairs of
/// characters. The order of texts by their bytes stays as it is.
///
/// # Examples
///
/// ```
/// use strongroom_sql::postgres::{load_text, store_text};
///
/// assert_eq!(store_text("plain"), "plain");
/// let stored = store_text("a\0b");
/// assert!(!stored.contains('\0'));
/// assert!(stored < store_text("a\u{1}"));
/// assert_eq!(load_text(&stored), "a\0b");
/// ```
#[must_use]
pub fn store_text(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte < 2) {
        return Cow::Borrowed(text);
    }
    let mut stored = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => stored.push_str("\u{1}\u{1}"),
            '\u{1}' => stored.push_str("\u{1}\u{2}"),
            c => stored.push(c),
        }
    }
    Cow::Owned(stored)
}

/// The text that [`store_text`] stored so.
#[must_use]
pub fn load_text(stored: &str) -> Cow<'_, str> {
    if !stored.bytes().any(|byte| byte == 1) {
        return Cow::Borrowed(stored);
    }
    let mut text = String::with_capacity(stored.len());
    let mut chars = stored.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\u{1}' if chars.next() == Some('\u{1}') => '\0',
            c => c,
        });
    }
    Cow::Owned(text)
}

/// A wildcard pattern as a regular expression, in which a pair stands for the one character that it is.
/// What the pattern has of such characters is to be stored, too.
pub(super) fn of_pairs(pattern: &str) -> String {
    const ONE: &str = r"(?:\u0001.|[^\u0001])";
    let mut form = String::from("^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let literal = match c {
            '*' => {
                form.push_str(ONE);
                form.push('*');
                continue;
            }
            '?' => {
                form.push_str(ONE);
                continue;
            }
            '\\' => chars.next().unwrap_or('\\'),
            other => other,
        };
        if literal.is_ascii_punctuation() {
            form.push('\\');
        }
        form.push(literal);
    }
    form.push('$');
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_pairs_for_characters() {
        assert_eq!(
            of_pairs(r"a?.\**"),
            r"^a(?:\u0001.|[^\u0001])\.\*(?:\u0001.|[^\u0001])*$"
        );
    }

    #[test]
    fn the_order_of_texts_stays() {
        let mut texts = [
            "", "\0", "\0\0", "\0\u{1}", "\u{1}", "\u{1}\0", "\u{2}", "a", "a\0", "a\u{1}", "aa",
        ];
        texts.sort_unstable();
        let stored: Vec<_> = texts.iter().map(|t| store_text(t).into_owned()).collect();
        assert!(stored.is_sorted());
        for (text, stored) in texts.iter().zip(&stored) {
            assert!(!stored.contains('\0'));
            assert_eq!(load_text(stored), *text);
        }
    }
}
