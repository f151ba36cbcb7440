//! Credentials for artifacts, from whatever the home has to lend them.

use engine::ports::{ArtifactAccess, ArtifactAccessError, ArtifactCredentials, ArtifactLoan};
use events::Timestamp;
use std::pin::Pin;

/// [`ArtifactAccess`] as an object.
pub trait Lend: Send + Sync + 'static {
    /// Credentials for exactly this loan.
    fn lend<'a>(&'a self, loan: &'a ArtifactLoan, now: Timestamp) -> Lent<'a>;
}

/// Credentials, on their way.
pub type Lent<'a> =
    Pin<Box<dyn Future<Output = Result<ArtifactCredentials, ArtifactAccessError>> + Send + 'a>>;

impl<A: ArtifactAccess> Lend for A {
    fn lend<'a>(&'a self, loan: &'a ArtifactLoan, now: Timestamp) -> Lent<'a> {
        Box::pin(ArtifactAccess::lend(self, loan, now))
    }
}
