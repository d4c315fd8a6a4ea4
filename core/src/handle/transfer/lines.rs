//! Lines of bounded length.

use std::io::Result;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// One line of a file.
pub(super) enum Line {
    Whole(Vec<u8>),
    /// One that is longer than the limit, of so many bytes.
    TooLong(u64),
}

/// Reads the next line without what ends it; `None` at the end of the file. No more than `limit`
/// bytes of it are kept.
///
/// Dropping the future may lose what was read of the line.
pub(super) async fn next_line<R: AsyncBufRead + Unpin>(
    from: &mut R,
    limit: usize,
) -> Result<Option<Line>> {
    let mut line = Vec::new();
    let mut length: u64 = 0;
    loop {
        let read = from.fill_buf().await?;
        if read.is_empty() {
            break;
        }
        let end = read.iter().position(|byte| *byte == b'\n');
        let part = read.get(..end.unwrap_or(read.len())).unwrap_or_default();
        length += super::count(part.len());
        if line.len() + part.len() <= limit {
            line.extend_from_slice(part);
        } else {
            line = Vec::new();
        }
        let consumed = part.len() + usize::from(end.is_some());
        from.consume(consumed);
        if end.is_some() {
            return Ok(Some(finished(line, length, limit)));
        }
    }
    Ok((length > 0).then(|| finished(line, length, limit)))
}

fn finished(line: Vec<u8>, length: u64, limit: usize) -> Line {
    match length > super::count(limit) {
        true => Line::TooLong(length),
        false => Line::Whole(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(
        text: &str,
        buffer: usize,
        limit: usize,
    ) -> Vec<std::result::Result<String, u64>> {
        let mut from = tokio::io::BufReader::with_capacity(buffer, text.as_bytes());
        let mut found = Vec::new();
        while let Some(line) = next_line(&mut from, limit).await.unwrap() {
            found.push(match line {
                Line::Whole(line) => Ok(String::from_utf8(line).unwrap()),
                Line::TooLong(length) => Err(length),
            });
        }
        found
    }

    #[tokio::test]
    async fn are_read_alike_however_they_arrive() {
        for buffer in [1, 2, 3, 7, 100] {
            let ok = |text: &str| Ok(text.to_owned());
            assert_eq!(lines("", buffer, 5).await, []);
            assert_eq!(lines("a", buffer, 5).await, [ok("a")]);
            assert_eq!(
                lines("a\n\nbc\r\n12345\n", buffer, 5).await,
                [ok("a"), ok(""), ok("bc\r"), ok("12345")]
            );
            assert_eq!(
                lines("123456\nx\n12345678", buffer, 5).await,
                [Err(6), ok("x"), Err(8)]
            );
        }
    }
}
