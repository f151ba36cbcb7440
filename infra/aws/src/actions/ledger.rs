//! What is noted of attempts outside of the log: who has one in hand, and whose work a provider's id is.

use crate::{
    claims::{Claimed, Claims},
    external::External,
};
use engine::{action::Work, views::ViewsError};
use events::{ActionExecutionId, Timestamp};
use std::pin::Pin;

/// An answer of the ledger, on its way.
pub type Entry<'a, T> = Pin<Box<dyn Future<Output = Result<T, ViewsError>> + Send + 'a>>;

/// Claims, and the ways back from providers' ids.
pub trait Ledger: Send + Sync + 'static {
    /// Takes an attempt that nobody has, or whose claim has run out; false when somebody has it.
    fn take<'a>(
        &'a self,
        attempt: &'a ActionExecutionId,
        holder: &'a str,
        now: Timestamp,
        until: Timestamp,
    ) -> Entry<'a, bool>;

    /// Gives an attempt back.
    fn release<'a>(&'a self, attempt: &'a ActionExecutionId, holder: &'a str) -> Entry<'a, ()>;

    /// Notes whose work it is that a provider has under this id.
    fn note<'a>(&'a self, provider: &'a str, id: &'a str, work: &'a Work) -> Entry<'a, ()>;
}

/// The ledger in the table `views`.
#[derive(Clone)]
pub struct Tables {
    /// Who has an attempt in hand.
    pub claims: Claims,
    /// Whose work a provider's id is.
    pub external: External,
}

impl Ledger for Tables {
    fn take<'a>(
        &'a self,
        attempt: &'a ActionExecutionId,
        holder: &'a str,
        now: Timestamp,
        until: Timestamp,
    ) -> Entry<'a, bool> {
        Box::pin(async move { Ok(self.claims.take(attempt, holder, now, until).await? == Claimed::Ours) })
    }

    fn release<'a>(&'a self, attempt: &'a ActionExecutionId, holder: &'a str) -> Entry<'a, ()> {
        Box::pin(self.claims.release(attempt, holder))
    }

    fn note<'a>(&'a self, provider: &'a str, id: &'a str, work: &'a Work) -> Entry<'a, ()> {
        Box::pin(self.external.put(provider, id, work))
    }
}

/// Under what the handing on of an attempt is claimed: another id than the attempt's, since whoever it is handed to
/// claims that.
pub fn handing(attempt: &ActionExecutionId) -> ActionExecutionId {
    let flipped = attempt.as_str().parse::<uuid::Uuid>().ok();
    let flipped = flipped.map(|id| uuid::Uuid::from_u128(!id.as_u128()).to_string());
    flipped.and_then(|id| ActionExecutionId::parse(id).ok()).unwrap_or_else(|| attempt.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handing_on_is_claimed_under_an_id_of_its_own() {
        let attempt = ActionExecutionId::parse("11111111-2222-4333-8444-555555555555").unwrap();
        assert_eq!(handing(&attempt).as_str(), "eeeeeeee-dddd-bccc-7bbb-aaaaaaaaaaaa");
        assert_eq!(handing(&handing(&attempt)), attempt);
    }
}
