//! The body of a delivery: JSON, or a form with JSON in its field `payload`.

use serde_json::Value;

/// Reads a body, or says in words what is wrong with it.
pub(crate) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Value, String> {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let form;
    let json = if media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        form = field(body, b"payload").ok_or("the form has no field `payload`")?;
        &form[..]
    } else {
        body
    };
    let value: Value =
        serde_json::from_slice(json).map_err(|error| format!("the body is not JSON: {error}"))?;
    if value.is_object() || value.is_array() {
        Ok(value)
    } else {
        Err("the body is not a JSON object".to_owned())
    }
}

/// A field of a form, or of a query, which is written alike.
pub(super) fn field(form: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    form.split(|byte| *byte == b'&').find_map(|pair| {
        let middle = pair.iter().position(|byte| *byte == b'=')?;
        (decoded(&pair[..middle]) == name).then(|| decoded(&pair[middle + 1..]))
    })
}

/// Undoes percent encoding; what is no code stands for itself.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let code = (*byte == b'%').then(|| Some(digit(at + 1)? * 16 + digit(at + 2)?)).flatten();
        match (code.and_then(|code| u8::try_from(code).ok()), byte) {
            (Some(code), _) => {
                bytes.push(code);
                at += 3;
                continue;
            }
            (None, b'+') => bytes.push(b' '),
            (None, byte) => bytes.push(*byte),
        }
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_is_json_or_a_form_with_json() {
        assert_eq!(read(None, br#"{"a":1}"#), Ok(json!({ "a": 1 })));
        let form = Some("application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(read(form, b"x=1&payload=%7B%22a%22%3A%22b+c%22%7d"), Ok(json!({ "a": "b c" })));
        assert!(read(form, b"x=1").unwrap_err().contains("payload"));
        assert!(read(None, b"7").is_err());
        assert!(read(None, b"\xff").is_err());
        assert!(read(None, "[".repeat(1000).as_bytes()).is_err());
        assert_eq!(decoded(b"%4"), b"%4");
        assert_eq!(decoded(b"%zz%"), b"%zz%");
    }
}
