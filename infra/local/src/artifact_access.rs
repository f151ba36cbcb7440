//! Short-lived credentials for artifacts, without a list of them: the session token says what it is good for, under
//! this installation's own signature, and the secret follows from the token.
//!
//! `towpath1.<claims>.<HMAC-SHA256 of what stands before>`, both in Base64 for URLs.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use engine::{
    action::ArtifactLocation,
    ports::{
        ARTIFACT_CREDENTIALS_MS, ArtifactAccess, ArtifactAccessError, ArtifactCredentials, ArtifactLoan,
    },
};
use events::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};
use subtle::ConstantTimeEq as _;

/// The file's name in the state folder.
const FILE: &str = "artifact-key";
/// The version of the token's form.
const VERSION: &str = "towpath1";
/// Bytes of a token, most. Ten artifacts in, ten out, with the longest names that buckets and keys have, stay below.
const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Letters of the key's file, fewest: two random UUIDs, 244 random bits.
const KEY_LETTERS_MIN: usize = 64;

/// Gives out credentials, and knows its own again.
pub struct LocalArtifactAccess {
    key: Vec<u8>,
}

/// What a session token is good for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    /// Milliseconds since 1970.
    until: i64,
    read: Vec<(String, String)>,
    write: Vec<(String, String)>,
}

/// A key that was recognised.
#[derive(Clone, PartialEq, Eq)]
pub struct Lent {
    /// What its holder signs with.
    pub secret: String,
    claims: Claims,
}

impl Lent {
    /// Whether the holder may read this object.
    pub fn may_read(&self, location: &ArtifactLocation) -> bool {
        has(&self.claims.read, location) || has(&self.claims.write, location)
    }

    /// Whether the holder may write this object.
    pub fn may_write(&self, location: &ArtifactLocation) -> bool {
        has(&self.claims.write, location)
    }

    /// Whether anything in this bucket is open to the holder.
    pub fn knows_bucket(&self, bucket: &str) -> bool {
        self.claims.read.iter().chain(&self.claims.write).any(|(known, _)| known == bucket)
    }
}

/// Why credentials were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLent {
    /// The token is none of this installation's, or belongs to another access key.
    #[error("the session token was not given by this installation, or not with this access key")]
    Unknown,
    /// Its time is over.
    #[error("the session token has expired")]
    Expired,
}

impl LocalArtifactAccess {
    /// With the key kept in a state folder; a fresh one is made and kept when there is none.
    pub fn of(state: &Path) -> io::Result<Self> {
        let path = state.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let fresh = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
                let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
                writeln!(file, "{fresh}")?;
                file.sync_all()?;
                fresh
            }
            Err(error) => return Err(error),
        };
        // A file that was cut off must not become a key that can be guessed.
        if text.trim().len() < KEY_LETTERS_MIN {
            let words = format!("`{}` does not hold a key; delete it to get a fresh one", path.display());
            return Err(io::Error::new(ErrorKind::InvalidData, words));
        }
        Ok(Self::with_key(text.trim().as_bytes()))
    }

    /// With this key.
    pub fn with_key(key: &[u8]) -> Self {
        Self { key: key.to_vec() }
    }

    /// Recognises a key of its own by the token that came with it. Comparing takes as long for a near miss as for
    /// any other.
    pub fn check(&self, access_key_id: &str, session_token: &str, now: Timestamp) -> Result<Lent, NotLent> {
        if session_token.len() > TOKEN_BYTES_MAX {
            return Err(NotLent::Unknown);
        }
        let (signed, signature) = session_token.rsplit_once('.').ok_or(NotLent::Unknown)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| NotLent::Unknown)?;
        let id = self.access_key_id(session_token);
        let good =
            self.mac("token", signed).ct_eq(&signature) & id.as_bytes().ct_eq(access_key_id.as_bytes());
        if !bool::from(good) {
            return Err(NotLent::Unknown);
        }
        let claims = signed.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('.'));
        let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok()).ok_or(NotLent::Unknown)?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| NotLent::Unknown)?;
        if now.0 >= claims.until {
            return Err(NotLent::Expired);
        }
        Ok(Lent { secret: self.secret(session_token), claims })
    }

    fn give(&self, loan: &ArtifactLoan, now: Timestamp) -> Result<ArtifactCredentials, ArtifactAccessError> {
        let places = |locations: &[ArtifactLocation]| {
            locations.iter().map(|location| (location.bucket.clone(), location.key.clone())).collect()
        };
        let expires = Timestamp(now.0.saturating_add(ARTIFACT_CREDENTIALS_MS));
        let claims = Claims { until: expires.0, read: places(&loan.inputs), write: places(&loan.outputs) };
        let claims = serde_json::to_vec(&claims).map_err(|error| ArtifactAccessError(error.to_string()))?;
        let signed = format!("{VERSION}.{}", URL_SAFE_NO_PAD.encode(claims));
        let session_token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.mac("token", &signed)));
        if session_token.len() > TOKEN_BYTES_MAX {
            let text =
                format!("the job has too many artifacts for one session token: {}", session_token.len());
            return Err(ArtifactAccessError(text));
        }
        Ok(ArtifactCredentials {
            access_key_id: self.access_key_id(&session_token),
            secret_access_key: self.secret(&session_token),
            session_token,
            expires,
        })
    }

    /// `ASIA` is what ids of short-lived keys begin with.
    fn access_key_id(&self, token: &str) -> String {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let random = self.mac("id", token);
        let random = random.iter().take(16).map(|byte| char::from(letters[usize::from(byte % 32)]));
        format!("ASIA{}", random.collect::<String>())
    }

    fn secret(&self, token: &str) -> String {
        STANDARD.encode(&self.mac("secret", token)[..30])
    }

    /// The purpose keeps what is shown apart from what is not, though one key makes all of it.
    fn mac(&self, purpose: &str, text: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(purpose.as_bytes());
        mac.update(b"\n");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

impl ArtifactAccess for LocalArtifactAccess {
    async fn lend(
        &self,
        loan: &ArtifactLoan,
        now: Timestamp,
    ) -> Result<ArtifactCredentials, ArtifactAccessError> {
        self.give(loan, now)
    }
}

fn has(places: &[(String, String)], location: &ArtifactLocation) -> bool {
    places.iter().any(|(bucket, key)| *bucket == location.bucket && *key == location.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn at(bucket: &str, key: &str) -> ArtifactLocation {
        ArtifactLocation { bucket: bucket.into(), key: key.into() }
    }

    fn lent(access: &LocalArtifactAccess) -> ArtifactCredentials {
        let loan =
            ArtifactLoan { inputs: vec![at("store", "shop/In/1")], outputs: vec![at("store", "shop/Out/2")] };
        access.give(&loan, NOW).unwrap()
    }

    fn access() -> LocalArtifactAccess {
        LocalArtifactAccess::with_key(&[7; 64])
    }

    #[test]
    fn credentials_open_their_own_artifacts_and_no_others() {
        let given = lent(&access());
        let known = access().check(&given.access_key_id, &given.session_token, NOW).unwrap();
        assert_eq!(known.secret, given.secret_access_key);
        assert!(known.may_read(&at("store", "shop/In/1")) && !known.may_write(&at("store", "shop/In/1")));
        assert!(known.may_read(&at("store", "shop/Out/2")) && known.may_write(&at("store", "shop/Out/2")));
        for foreign in [at("store", "shop/In/2"), at("other", "shop/In/1"), at("store", "shop/In/1/")] {
            assert!(!known.may_read(&foreign) && !known.may_write(&foreign), "{foreign:?}");
        }
        assert!(known.knows_bucket("store") && !known.knows_bucket("other"));
    }

    #[test]
    fn credentials_end_with_their_hour() {
        let given = lent(&access());
        assert_eq!(given.expires.0 - NOW.0, ARTIFACT_CREDENTIALS_MS);
        let check =
            |now: i64| access().check(&given.access_key_id, &given.session_token, Timestamp(now)).err();
        assert_eq!(check(given.expires.0 - 1), None);
        assert_eq!(check(given.expires.0), Some(NotLent::Expired));
    }

    #[test]
    fn a_token_that_was_changed_in_any_place_is_unknown() {
        let given = lent(&access());
        for at in 0..given.session_token.len() {
            let mut token = given.session_token.clone().into_bytes();
            token[at] = if token[at] == b'A' { b'B' } else { b'A' };
            let token = String::from_utf8(token).unwrap();
            let refused = access().check(&given.access_key_id, &token, NOW).err();
            assert_eq!(refused, Some(NotLent::Unknown), "{at}");
        }
        let long = "a.".repeat(TOKEN_BYTES_MAX);
        for token in ["", ".", "towpath1..", "towpath1.e30.", long.as_str()] {
            assert_eq!(
                access().check(&given.access_key_id, token, NOW).err(),
                Some(NotLent::Unknown),
                "{token}"
            );
        }
        let other = LocalArtifactAccess::with_key(&[8; 64]);
        assert_eq!(
            other.check(&given.access_key_id, &given.session_token, NOW).err(),
            Some(NotLent::Unknown)
        );
        assert_eq!(access().check("ASIAOTHER", &given.session_token, NOW).err(), Some(NotLent::Unknown));
    }

    #[test]
    fn the_key_is_kept_for_its_owner_alone_and_half_a_key_is_none() {
        let state = tempfile::tempdir().unwrap();
        let first = lent(&LocalArtifactAccess::of(state.path()).unwrap());
        let again = lent(&LocalArtifactAccess::of(state.path()).unwrap());
        assert_eq!(first, again);
        assert!(!format!("{first:?}").contains(&first.secret_access_key));
        let path = state.path().join(FILE);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(LocalArtifactAccess::of(state.path()).is_err());
    }

    #[test]
    fn no_job_s_artifacts_are_too_many_for_a_token() {
        let places = |side: &str| -> Vec<ArtifactLocation> {
            (0..10).map(|number| at(&"b".repeat(63), &format!("{side}{number:0>99}"))).collect()
        };
        let loan = ArtifactLoan { inputs: places("i"), outputs: places("o") };
        assert!(access().give(&loan, NOW).is_ok());
    }
}
