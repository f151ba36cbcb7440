//! Attributes of items as DynamoDB spells them in JSON, and what an item weighs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::limits::ITEM_BYTES_MAX;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde_json::{Map, Value, json};
use std::{
    borrow::Cow,
    io::{Read as _, Write as _},
};

/// An item: attributes by their names.
pub(crate) type Item = Map<String, Value>;

/// Bytes that one write unit covers.
pub const WRITE_UNIT_BYTES: usize = 1024;

pub(crate) fn text(value: impl Into<String>) -> Value {
    json!({ "S": value.into() })
}

pub(crate) fn number(value: impl std::fmt::Display) -> Value {
    json!({ "N": value.to_string() })
}

pub(crate) fn bytes(value: &[u8]) -> Value {
    json!({ "B": STANDARD.encode(value) })
}

pub(crate) fn text_of<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.get("S")?.as_str()
}

pub(crate) fn number_of<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.get("N")?.as_str()?.parse().ok()
}

pub(crate) fn bytes_of(item: &Item, name: &str) -> Option<Vec<u8>> {
    STANDARD.decode(item.get(name)?.get("B")?.as_str()?).ok()
}

/// A text as the bytes that zlib makes of it.
pub(crate) fn packed(text: &str) -> Value {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    packed.map_or_else(|_| self::text(text), |packed| bytes(&packed))
}

/// A text, whether it was packed or not. `None` when it is neither, or larger than any item.
pub(crate) fn unpacked<'a>(item: &'a Item, name: &str) -> Option<Cow<'a, str>> {
    if let Some(text) = text_of(item, name) {
        return Some(Cow::Borrowed(text));
    }
    let packed = bytes_of(item, name)?;
    let mut text = String::new();
    let bound = u64::try_from(ITEM_BYTES_MAX).ok()?.saturating_add(1);
    ZlibDecoder::new(&*packed).take(bound).read_to_string(&mut text).ok()?;
    (text.len() <= ITEM_BYTES_MAX).then_some(Cow::Owned(text))
}

/// Bytes of an item as DynamoDB counts them: names and values. A number is counted at its longest.
pub(crate) fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + size_of(value)).sum()
}

fn size_of(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return 0 };
    match (kind.as_str(), value) {
        ("N", Value::String(digits)) => digits.len().div_ceil(2) + 2,
        ("B", Value::String(encoded)) => {
            encoded.len() / 4 * 3 - encoded.bytes().rev().take_while(|byte| *byte == b'=').count()
        }
        ("M", Value::Object(entries)) => {
            3 + entries.iter().map(|(name, value)| 1 + name.len() + size_of(value)).sum::<usize>()
        }
        (_, Value::String(text)) => text.len(),
        _ => 1,
    }
}

/// Write units of one put of so many bytes, outside of a transaction; inside, it takes twice as many.
pub fn write_units(bytes: usize) -> usize {
    bytes.div_ceil(WRITE_UNIT_BYTES).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_text_comes_back_unless_it_is_damaged_or_too_large() {
        let long = "ä and so on, ".repeat(200);
        let item = |value| Item::from_iter([("e".to_owned(), value)]);
        assert!(size(&item(packed(&long))) < 100);
        assert_eq!(unpacked(&item(packed(&long)), "e").unwrap(), long);
        assert_eq!(unpacked(&item(text(&*long)), "e").unwrap(), long);
        assert_eq!(unpacked(&item(packed(&"x".repeat(ITEM_BYTES_MAX + 1))), "e"), None);
        for damaged in [bytes(b"neither"), number(1)] {
            assert_eq!(unpacked(&item(damaged), "e"), None);
        }
    }

    #[test]
    fn an_item_is_weighed_as_dynamodb_does() {
        let mut item = Item::new();
        item.insert("s".to_owned(), text("lane#käse"));
        item.insert("n".to_owned(), number(12));
        item.insert("h".to_owned(), bytes(&[7; 32]));
        item.insert("z".to_owned(), json!({ "M": { "f": number(1), "d": text("{}") } }));
        assert_eq!(size(&item), (1 + 10) + (1 + 3) + (1 + 32) + (1 + 3 + (1 + 1 + 3) + (1 + 1 + 2)));
        assert_eq!((write_units(0), write_units(1024), write_units(1025)), (1, 1, 2));
    }
}
