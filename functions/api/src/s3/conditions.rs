//! Ranges and conditions of a request, against an object as it is.

use super::{S3Code, S3Error};
use http::{HeaderMap, header};
use jiff::Timestamp;
use std::ops::Range;

/// The form of dates in HTTP.
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// A moment as HTTP writes it.
pub fn http_date(at: Timestamp) -> String {
    at.strftime(HTTP_DATE).to_string()
}

/// The conditions of a request.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a>(pub &'a HeaderMap);

/// What the conditions say of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// Go on.
    Yes,
    /// The reader has this one.
    NotModified,
    /// It is not the one that was asked for.
    No,
}

impl Conditions<'_> {
    /// Judges an object for a reader, in the order that HTTP prescribes.
    pub fn of_reading(&self, etag: &str, modified: Timestamp) -> Met {
        let second = modified.as_second();
        if let Some(wanted) = self.text(header::IF_MATCH) {
            if !names(wanted, etag) {
                return Met::No;
            }
        } else if self.date(header::IF_UNMODIFIED_SINCE).is_some_and(|date| second > date) {
            return Met::No;
        }
        if let Some(known) = self.text(header::IF_NONE_MATCH) {
            if names(known, etag) {
                return Met::NotModified;
            }
        } else if self.date(header::IF_MODIFIED_SINCE).is_some_and(|date| second <= date) {
            return Met::NotModified;
        }
        Met::Yes
    }

    /// The range to answer with, if one was asked for that still belongs to this object.
    pub fn range(&self, etag: &str, length: u64) -> Result<Option<Range<u64>>, S3Error> {
        let Some(text) = self.text(header::RANGE) else { return Ok(None) };
        let still = self.text(header::IF_RANGE).is_none_or(|wanted| wanted.trim_matches('"') == etag);
        if still { range(text, length) } else { Ok(None) }
    }

    fn text(&self, name: header::HeaderName) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    /// Seconds since 1970. A date that cannot be read is no condition.
    fn date(&self, name: header::HeaderName) -> Option<i64> {
        let moment = jiff::civil::DateTime::strptime(HTTP_DATE, self.text(name)?).ok()?;
        Some(jiff::tz::TimeZone::UTC.to_timestamp(moment).ok()?.as_second())
    }
}

fn names(list: &str, etag: &str) -> bool {
    list.split(',')
        .map(|entry| entry.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|known| known == "*" || known == etag)
}

/// Reads a `Range` header: one range of bytes. `None` for what is not a single range, which asks for everything.
///
/// # Errors
/// `InvalidRange` when nothing of the object lies in it.
pub fn range(text: &str, length: u64) -> Result<Option<Range<u64>>, S3Error> {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit are a place behind every end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Ok(None),
    };
    if range.start >= range.end {
        let text = format!("The requested range is not satisfiable: the object has {length} bytes");
        return Err(S3Error::new(S3Code::InvalidRange, text));
    }
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_object() {
        let read = |text: &str| range(text, 10);
        assert_eq!(read("bytes=0-3"), Ok(Some(0..4)));
        assert_eq!(read("bytes=8-99999999999999999999999"), Ok(Some(8..10)));
        assert_eq!(read("bytes=9-"), Ok(Some(9..10)));
        assert_eq!(read("bytes=-3"), Ok(Some(7..10)));
        assert_eq!(read("bytes=-30"), Ok(Some(0..10)));
        for whole in ["bytes=3-2", "bytes=0-1,4-5", "lines=1-2", "bytes=", "bytes=-", "bytes=+1-2"] {
            assert_eq!(read(whole), Ok(None), "{whole}");
        }
        for outside in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(read(outside).unwrap_err().code, S3Code::InvalidRange, "{outside}");
        }
    }

    #[test]
    fn conditions_are_judged_in_the_order_of_http() {
        let modified: Timestamp = "2026-03-01T12:00:00.7Z".parse().unwrap();
        assert_eq!(http_date(modified), "Sun, 01 Mar 2026 12:00:00 GMT");
        let judge = |pairs: &[(header::HeaderName, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            Conditions(&headers).of_reading("abc", modified)
        };
        let (same, before) = ("Sun, 01 Mar 2026 12:00:00 GMT", "Sun, 01 Mar 2026 11:59:59 GMT");
        assert_eq!(judge(&[]), Met::Yes);
        assert_eq!(judge(&[(header::IF_MATCH, "\"abc\"")]), Met::Yes);
        assert_eq!(judge(&[(header::IF_MATCH, "\"x\", \"y\"")]), Met::No);
        assert_eq!(judge(&[(header::IF_NONE_MATCH, "\"abc\"")]), Met::NotModified);
        assert_eq!(judge(&[(header::IF_MODIFIED_SINCE, same)]), Met::NotModified);
        assert_eq!(judge(&[(header::IF_MODIFIED_SINCE, before)]), Met::Yes);
        assert_eq!(judge(&[(header::IF_UNMODIFIED_SINCE, before)]), Met::No);
        assert_eq!(judge(&[(header::IF_MATCH, "*"), (header::IF_UNMODIFIED_SINCE, before)]), Met::Yes);
        assert_eq!(judge(&[(header::IF_NONE_MATCH, "x"), (header::IF_MODIFIED_SINCE, same)]), Met::Yes);
    }
}
