//! The functions that the store keeps in the database.

/// The statements that make the functions that compiled queries call, each to be sent by itself.
///
/// A body's arrays are taken apart level by level, because a function of the server's cannot call
/// itself: `[*][*]` of an array are the items of the arrays in it.
pub const PREPARE: &[&str] = &[
    r#"CREATE OR REPLACE FUNCTION strongroom_leaves(
  body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
  path TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin)
RETURNS LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
DETERMINISTIC NO SQL SQL SECURITY INVOKER
BEGIN
  DECLARE name TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
  DECLARE level, found LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
  WHILE path <> '' DO
    SET name = SUBSTRING_INDEX(path, '.', 1);
    SET path = SUBSTR(path, CHAR_LENGTH(name) + 2);
    IF LEFT(body, 1) = '[' THEN
      SET found = '';
      WHILE body IS NOT NULL DO
        SET level = JSON_EXTRACT(body, CONCAT('$[*]."', name, '"'));
        IF level IS NOT NULL THEN
          SET found = CONCAT(found, ',', SUBSTR(level, 2, CHAR_LENGTH(level) - 2));
        END IF;
        SET body = JSON_EXTRACT(body, '$[*][*]');
      END WHILE;
      SET body = CONCAT('[', SUBSTR(found, 2), ']');
    ELSE
      SET body = JSON_EXTRACT(body, CONCAT('$."', name, '"'));
    END IF;
  END WHILE;
  IF LEFT(body, 1) <> '[' THEN
    RETURN CONCAT('[', body, ']');
  END IF;
  SET level = JSON_EXTRACT(body, '$[*][*]');
  WHILE level IS NOT NULL DO
    SET body = CONCAT(SUBSTR(body, 1, CHAR_LENGTH(body) - 1), ',', SUBSTR(level, 2));
    SET level = JSON_EXTRACT(level, '$[*][*]');
  END WHILE;
  RETURN body;
END"#,
    r"CREATE OR REPLACE FUNCTION strongroom_objects(
  body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
  path TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin)
RETURNS LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
DETERMINISTIC NO SQL SQL SECURITY INVOKER
BEGIN
  DECLARE found LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin DEFAULT '';
  SET body = strongroom_leaves(body, path);
  IF NOT EXISTS (SELECT 1 FROM JSON_TABLE(body, '$[*]' COLUMNS (j JSON PATH '$')) AS e
      WHERE LEFT(e.j, 1) <> '{') THEN
    RETURN body;
  END IF;
  FOR one IN (SELECT e.j COLLATE utf8mb4_nopad_bin AS j
      FROM JSON_TABLE(body, '$[*]' COLUMNS (j JSON PATH '$')) AS e
      WHERE LEFT(e.j, 1) = '{') DO
    SET found = CONCAT(found, ',', one.j);
  END FOR;
  RETURN CONCAT('[', SUBSTR(found, 2), ']');
END",
    // The words of all texts, one after another, with spaces around each. A table of the leaves costs
    // the server more than looking for each of a few.
    r#"CREATE OR REPLACE FUNCTION strongroom_words(
  body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
  path TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin)
RETURNS LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
DETERMINISTIC NO SQL SQL SECURITY INVOKER
BEGIN
  DECLARE found, leaf LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin DEFAULT '';
  DECLARE at, number BIGINT DEFAULT 0;
  SET body = strongroom_leaves(body, path), number = COALESCE(JSON_LENGTH(body), 0);
  IF number <= 64 THEN
    WHILE at < number DO
      SET leaf = JSON_EXTRACT(body, CONCAT('$[', at, ']')), at = at + 1;
      SET found = CONCAT(found, COALESCE(CASE WHEN LEFT(leaf, 1) = '"' THEN CONCAT(' ', REGEXP_REPLACE(LOWER(JSON_VALUE(leaf, '$')), '[^\\p{L}\\p{N}]+', ' '), ' ') END, ''));
    END WHILE;
    RETURN found;
  END IF;
  FOR one IN (SELECT CASE WHEN LEFT(e.j, 1) = '"' THEN CONCAT(' ', REGEXP_REPLACE(LOWER(JSON_VALUE(e.j, '$')), '[^\\p{L}\\p{N}]+', ' '), ' ') END COLLATE utf8mb4_nopad_bin AS words
      FROM JSON_TABLE(body, '$[*]' COLUMNS (j JSON PATH '$')) AS e
      WHERE LEFT(e.j, 1) = '"') DO
    SET found = CONCAT(found, one.words);
  END FOR;
  RETURN found;
END"#,
    // Where a step leaves the range of floats, so does the beginning of the bucket.
    r"CREATE OR REPLACE FUNCTION strongroom_histogram(value DOUBLE, step DOUBLE, shift DOUBLE)
RETURNS DOUBLE
DETERMINISTIC NO SQL SQL SECURITY INVOKER
BEGIN
  DECLARE EXIT HANDLER FOR 1690 RETURN 1.7976931348623157e308;
  RETURN FLOOR((value - shift) / step) * step + shift + 0e0;
END",
    r"CREATE OR REPLACE FUNCTION strongroom_month(millis BIGINT, months BIGINT)
RETURNS BIGINT
DETERMINISTIC NO SQL SQL SECURITY INVOKER
BEGIN
  DECLARE days, era, doe, yoe, doy, mp, month, year, begun BIGINT;
  SET days = (millis - ((millis % 86400000) + 86400000) % 86400000) DIV 86400000 + 719468;
  SET era = (CASE WHEN days >= 0 THEN days ELSE days - 146096 END) DIV 146097;
  SET doe = days - era * 146097;
  SET yoe = (doe - doe DIV 1460 + doe DIV 36524 - doe DIV 146096) DIV 365;
  SET doy = doe - (365 * yoe + yoe DIV 4 - yoe DIV 100);
  SET mp = (5 * doy + 2) DIV 153;
  SET month = CASE WHEN mp < 10 THEN mp + 3 ELSE mp - 9 END;
  SET year = yoe + era * 400 + CASE WHEN month <= 2 THEN 1 ELSE 0 END;
  SET month = (month - 1) DIV months * months + 1;
  IF month <= 2 THEN
    SET year = year - 1;
  END IF;
  SET era = (CASE WHEN year >= 0 THEN year ELSE year - 399 END) DIV 400;
  SET yoe = year - era * 400;
  SET doy = (153 * (month + CASE WHEN month > 2 THEN -3 ELSE 9 END) + 2) DIV 5;
  SET doe = yoe * 365 + yoe DIV 4 - yoe DIV 100 + doy;
  SET begun = (era * 146097 + doe - 719468) * 86400000;
  RETURN CASE WHEN begun >= -377705023201000 THEN begun END;
END",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mariadb::{INFINITE, value};

    #[test]
    fn words_are_the_same_in_the_index_and_beside_it() {
        let of_row = value::words_of_leaf("e");
        for words in [of_row.replace("e.j", "leaf"), of_row] {
            assert!(PREPARE.iter().any(|made| made.contains(&words)), "{words}");
        }
    }

    /// The adapter counts them by this.
    #[test]
    fn each_statement_makes_one_function() {
        for made in PREPARE {
            let one = made.starts_with("CREATE OR REPLACE FUNCTION strongroom_");
            assert!(one && made.matches("CREATE ").count() == 1, "{made}");
        }
    }

    #[test]
    fn a_bucket_out_of_range_begins_where_none_does() {
        let written = format!("{INFINITE:e}");
        assert!(PREPARE.iter().any(|made| made.contains(&written)));
    }
}
