//! As much XML as the endpoint speaks: answers are written, one kind of document is read.

use super::{PARTS_MAX, S3Code, S3Error};
use std::fmt::Write as _;

/// Elements inside of each other, most, in a document that is read.
const DEPTH_MAX: usize = 8;

/// Text as it may stand in an element. What XML cannot hold at all becomes a question mark.
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => drop(write!(out, "&#{};", u32::from(letter))),
            letter if letter.is_control() || matches!(letter, '\u{FFFE}' | '\u{FFFF}') => out.push('?'),
            letter => out.push(letter),
        }
        out
    })
}

/// A document in the making.
#[derive(Debug)]
pub struct Document {
    text: String,
    root: &'static str,
}

impl Document {
    /// Begins with this element, in S3's namespace.
    pub fn new(root: &'static str) -> Self {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        );
        Self { text, root }
    }

    /// One element with text and nothing else.
    pub fn of_text(root: &'static str, text: &str) -> Self {
        let mut document = Self::new(root);
        document.text.push_str(&escaped(text));
        document
    }

    /// Opens an element for others.
    pub fn open(&mut self, name: &str) {
        let _ = write!(self.text, "<{name}>");
    }

    /// Closes it again.
    pub fn close(&mut self, name: &str) {
        let _ = write!(self.text, "</{name}>");
    }

    /// Adds an element with text.
    #[must_use]
    pub fn with(mut self, name: &str, text: impl std::fmt::Display) -> Self {
        self.add(name, text);
        self
    }

    /// Adds an element with text.
    pub fn add(&mut self, name: &str, text: impl std::fmt::Display) {
        // Writing to a `String` cannot fail.
        let _ = write!(self.text, "<{name}>{}</{name}>", escaped(&text.to_string()));
    }

    /// Adds an element with elements.
    pub fn group(&mut self, name: &str, members: &[(&str, &str)]) {
        self.open(name);
        members.iter().for_each(|(name, text)| self.add(name, text));
        self.close(name);
    }

    /// The text of it.
    pub fn finish(mut self) -> String {
        let _ = write!(self.text, "</{}>", self.root);
        self.text
    }
}

/// One entry of a `CompleteMultipartUpload` document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPart {
    /// Its number, from 1.
    pub number: u32,
    /// The ETag its upload was answered with, without quotes.
    pub etag: String,
}

/// Reads a `CompleteMultipartUpload` document: parts by number, ascending. Checksums of parts in it are not read:
/// each was checked when its part came in.
///
/// # Errors
/// `MalformedXML`, `InvalidPartOrder`.
pub fn named_parts(document: &[u8]) -> Result<Vec<NamedPart>, S3Error> {
    let text = std::str::from_utf8(document).map_err(|_| malformed())?;
    let mut parts: Vec<NamedPart> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let (mut number, mut etag) = (None, None);
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let content = &rest[..start];
        let (tag, after) = rest[start + 1..].split_once('>').ok_or_else(malformed)?;
        rest = after;
        if tag.starts_with('?') {
            continue;
        }
        // Comments, and above all declarations of entities, have no business here.
        if tag.starts_with('!') {
            return Err(malformed());
        }
        let Some(closed) = tag.strip_prefix('/') else {
            if tag.ends_with('/') {
                continue;
            }
            open.push(tag.split_ascii_whitespace().next().unwrap_or_default());
            if open.len() > DEPTH_MAX {
                return Err(malformed());
            }
            continue;
        };
        if open.last() != Some(&closed.trim_end()) {
            return Err(malformed());
        }
        match open.as_slice() {
            ["CompleteMultipartUpload", "Part", "PartNumber"] => {
                number = Some(content.trim().parse::<u32>().map_err(|_| malformed())?);
            }
            ["CompleteMultipartUpload", "Part", "ETag"] => {
                etag = Some(plain(content.trim())?.trim_matches('"').to_owned());
            }
            ["CompleteMultipartUpload", "Part"] => {
                let (Some(number), Some(etag)) = (number.take(), etag.take()) else {
                    return Err(malformed());
                };
                if parts.last().is_some_and(|last| last.number >= number) {
                    let text = "The list of parts was not in ascending order, or names a part twice";
                    return Err(S3Error::new(S3Code::InvalidPartOrder, text));
                }
                parts.push(NamedPart { number, etag });
            }
            _ => {}
        }
        open.pop();
    }
    let whole = open.is_empty() && rest.trim().is_empty();
    if !whole || parts.is_empty() || parts.len() > PARTS_MAX as usize {
        return Err(malformed());
    }
    Ok(parts)
}

/// Text without its escapes.
fn plain(text: &str) -> Result<String, S3Error> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        let (name, after) = rest[start + 1..].split_once(';').ok_or_else(malformed)?;
        out.push_str(&rest[..start]);
        out.push(match name {
            "quot" | "#34" | "#x22" => '"',
            "apos" | "#39" => '\'',
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            _ => return Err(malformed()),
        });
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn malformed() -> S3Error {
    let text =
        "The XML you provided was not well formed, or is no `CompleteMultipartUpload` with 1 to 10,000 parts";
    S3Error::new(S3Code::MalformedXML, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_s_list_of_parts_is_read() {
        let text = br#"<?xml version="1.0"?>
            <CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Part><ETag>&quot;aa&quot;</ETag><ChecksumCRC32>x==</ChecksumCRC32><PartNumber>1</PartNumber></Part>
              <Part><PartNumber>3</PartNumber><ETag>"bb"</ETag><Empty/></Part>
            </CompleteMultipartUpload>"#;
        let part = |number, etag: &str| NamedPart { number, etag: etag.to_owned() };
        assert_eq!(named_parts(text), Ok(vec![part(1, "aa"), part(3, "bb")]));
    }

    #[test]
    fn anything_else_is_refused() {
        let list = |inner: &str| format!("<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>");
        let one = "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>";
        for text in [
            String::new(),
            list(""),
            list("<Part><PartNumber>1</PartNumber></Part>"),
            list("<Part><PartNumber>-1</PartNumber><ETag>a</ETag></Part>"),
            list("<Part><PartNumber>1</PartNumber><ETag>&x;</ETag></Part>"),
            format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{}", list(one)),
            format!("<CompleteMultipartUpload>{one}"),
            format!("{}x", list(one)),
            "<a>".repeat(100),
            "<CompleteMultipartUpload".to_owned(),
        ] {
            assert_eq!(named_parts(text.as_bytes()).unwrap_err().code, S3Code::MalformedXML, "{text}");
        }
        assert_eq!(named_parts(b"\xff").unwrap_err().code, S3Code::MalformedXML);
        let twice = list(&one.repeat(2));
        assert_eq!(named_parts(twice.as_bytes()).unwrap_err().code, S3Code::InvalidPartOrder);
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a<b>&\"\u{0}\n"), "a&lt;b&gt;&amp;&quot;?&#10;");
        let document = Document::new("A").with("B", "<").finish();
        assert!(document.ends_with("<B>&lt;</B></A>"), "{document}");
    }
}
