//! Bodies that are no longer what a client wrote.

use crate::random::Random;

/// Bytes of the largest body that is sent: more than is taken.
const HUGE: usize = api::codec::BODY_BYTES_MAX + 1;
/// One in so many damaged bodies is that large; each costs milliseconds.
const HUGE_ONE_IN: usize = 4_000;

/// Damages a body.
pub(super) fn damage(body: &mut Vec<u8>, random: &mut Random) {
    if random.below(HUGE_ONE_IN) == 0 {
        body.resize(HUGE, b' ');
        return;
    }
    match random.below(10) {
        0 => body.truncate(random.below(body.len() + 1)),
        1 => {
            for _ in 0..=random.below(4) {
                let at = random.below(body.len().max(1));
                let byte = u8::try_from(random.below(256)).unwrap_or(0);
                if let Some(place) = body.get_mut(at) {
                    *place = byte;
                }
            }
        }
        2 => body.extend(body.clone()),
        3 => drop(body.splice(..0, *b"\xef\xbb\xbf")),
        4 => *body = b"[".repeat(random.below(3_000)),
        5 => *body = b"{\"a\":".repeat(random.below(3_000)),
        6 => {
            *body =
                random.pick(&[&b""[..], b" ", b"null", b"[]", b"0", b"\"x\"", b"\xff\xfe", b"{}"]).to_vec()
        }
        7 => *body = format!("{{\"maxResults\":1e{}}}", random.below(1_000)).into_bytes(),
        8 => *body = b"{\"name\":\"\\ud83d\"}".to_vec(),
        _ => {
            // The same member twice, the second time empty.
            if body.last() == Some(&b'}') {
                body.pop();
                body.extend(b",\"name\":null,\"pipelineName\":\"shop\",\"pipelineName\":\"queue\"}");
            }
        }
    }
}
