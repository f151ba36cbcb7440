//! Whether a body was signed with the webhook's secret: `X-Hub-Signature-256`, or where only that was sent,
//! `X-Hub-Signature`. Compared in constant time, over the body byte for byte.

use super::Delivery;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Why a delivery is not believed; `None` when it is.
pub(crate) fn refusal(delivery: &Delivery, secret: &[u8]) -> Option<&'static str> {
    let body = &delivery.body;
    let is_right = match (&delivery.signature_256, &delivery.signature_1) {
        (Some(signature), _) => {
            sent(signature, "sha256=").is_some_and(|sent| is_signed::<Hmac<Sha256>>(secret, body, &sent))
        }
        (None, Some(signature)) => {
            sent(signature, "sha1=").is_some_and(|sent| is_signed::<Hmac<Sha1>>(secret, body, &sent))
        }
        (None, None) => return Some("the delivery is not signed"),
    };
    (!is_right).then_some("the signature does not belong to this body and secret")
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_signed<M: Mac + KeyInit>(secret: &[u8], body: &[u8], sent: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(secret) else { return false };
    mac.update(body);
    mac.verify_slice(sent).is_ok()
}

fn sent(signature: &str, prefix: &str) -> Option<Vec<u8>> {
    let digits = signature.trim().strip_prefix(prefix)?.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits.chunks(2).map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the host's own documentation: secret and body give this signature.
    const SECRET: &[u8] = b"It's a Secret to Everybody";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn delivery(signature_256: Option<&str>, signature_1: Option<&str>) -> Delivery {
        Delivery {
            signature_256: signature_256.map(str::to_owned),
            signature_1: signature_1.map(str::to_owned),
            body: "Hello, World!".into(),
            ..Delivery::default()
        }
    }

    #[test]
    fn a_signature_belongs_to_one_body_and_one_secret() {
        assert_eq!(refusal(&delivery(Some(SIGNATURE), None), SECRET), None);
        assert!(refusal(&delivery(Some(SIGNATURE), None), b"another").is_some());
        let other = Delivery { body: "Hello, World?".into(), ..delivery(Some(SIGNATURE), None) };
        assert!(refusal(&other, SECRET).is_some());
        for wrong in
            ["", "sha256=", "sha256=zz", "sha256=7", &SIGNATURE[..70], "sha1=757107", &SIGNATURE[7..]]
        {
            assert!(refusal(&delivery(Some(wrong), None), SECRET).is_some(), "{wrong}");
        }
        assert_eq!(refusal(&delivery(None, None), SECRET), Some("the delivery is not signed"));
    }

    #[test]
    fn the_older_signature_counts_where_it_is_the_only_one() {
        let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(SECRET).unwrap();
        mac.update(b"Hello, World!");
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = format!("sha1={digits}");
        assert_eq!(digits.len(), 40);
        assert_eq!(refusal(&delivery(None, Some(&signature)), SECRET), None);
        assert!(refusal(&delivery(Some("sha256=00"), Some(&signature)), SECRET).is_some());
    }
}
