//! Execution ids that follow from what a run is started by: whoever starts it a second time meets the first, without a
//! key that has to be kept beside the log.

use events::ExecutionId;
use sha2::{Digest, Sha256};

/// A UUID (version 8: of our own making) for what these parts name together.
pub(crate) fn execution_id(parts: &[&str]) -> ExecutionId {
    let mut hasher = Sha256::new();
    for part in parts {
        // Length before text, so that no two lists are the same.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let bits = digest.iter().take(16).fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let id = domain::uuid_of(bits);
    ExecutionId::parse(id).expect("a UUID in lower case is within an execution id's letters and length")
}
