//! Page tokens: where a page ended, bound to the question it answered.

use api::{ApiError, ApiException};

/// The first page's size unless the caller asks for another, rows.
pub const PAGE_ROWS_DEFAULT: usize = 100;

/// A place in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The key of the last row of the page.
    pub key: String,
    /// Where a row holds several items, newest first: how many of its oldest are still to be given. Counted from
    /// the end that does not grow, so that a page neither repeats nor leaves out what comes meanwhile.
    pub within: usize,
}

/// The token of the next page. `question` is everything that decides which rows are listed: a token of another
/// question is refused.
pub fn token(question: &str, cursor: &Cursor) -> String {
    let text = format!("{}\u{1f}{}", cursor.within, cursor.key);
    format!("1-{:08x}-{}", checksum(question, &text), hex(text.as_bytes()))
}

/// Reads a token back.
pub fn cursor(question: &str, token: &str) -> Result<Cursor, ApiError> {
    let invalid = || {
        ApiError::new(
            ApiException::InvalidNextTokenException,
            "The next token is not one of this listing, or the filter has changed",
        )
    };
    let mut parts = token.splitn(3, '-');
    let (Some("1"), Some(sum), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(invalid());
    };
    let text = unhex(body).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)?;
    if sum != format!("{:08x}", checksum(question, &text)) {
        return Err(invalid());
    }
    let (within, key) = text.split_once('\u{1f}').ok_or_else(invalid)?;
    Ok(Cursor { key: key.to_owned(), within: within.parse().map_err(|_| invalid())? })
}

/// Tells a mangled token from a whole one (FNV-1a). No defence: a made-up token shows nothing its maker may not
/// list anyway.
fn checksum(question: &str, text: &str) -> u32 {
    let bytes = question.bytes().chain([0xff]).chain(text.bytes());
    bytes.fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_for_its_own_question_alone() {
        let place = Cursor { key: "exec#1#ü".into(), within: 3 };
        let made = token("executions of shop", &place);
        assert_eq!(cursor("executions of shop", &made).unwrap(), place);
        assert!(cursor("executions of other", &made).is_err());
        for garbled in ["", "1-", "1-zz-00", "2-00000000-00", &made[..made.len() - 1], "1-00000000-é"] {
            assert!(cursor("executions of shop", garbled).is_err(), "{garbled}");
        }
    }
}
