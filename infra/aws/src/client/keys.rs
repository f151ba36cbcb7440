//! What requests are signed with: keys from the settings, or those of a role, renewed before they end.

use super::{CallError, Client, Credentials, Service};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Keys of a role are renewed when they hold for less than this.
const RENEWED_BEFORE: Duration = Duration::from_secs(5 * 60);
/// How long the keys of a role are asked for, in seconds: the longest STS gives when a role assumes a role.
const ROLE_SECONDS: u32 = 3_600;
/// Roles whose keys are kept. A pipeline may name a role for each of its actions.
const ROLES_MAX: usize = 256;
/// What sessions of a role are called, in CloudTrail.
const SESSION_NAME: &str = "towpath";

/// The keys of one identity, and of the roles it acts in.
pub(super) struct Keys {
    kind: Kind,
    roles: Mutex<BTreeMap<String, Arc<Keys>>>,
}

enum Kind {
    Fixed(Credentials),
    /// One at a time asks for new ones; the others wait for it.
    Role {
        arn: String,
        current: tokio::sync::Mutex<Option<Credentials>>,
    },
}

impl Keys {
    pub(super) fn fixed(credentials: Credentials) -> Self {
        Self { kind: Kind::Fixed(credentials), roles: Mutex::default() }
    }

    /// The keys of a role that this identity may assume.
    pub(super) fn of_role(&self, arn: &str) -> Arc<Self> {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        if roles.len() >= ROLES_MAX && !roles.contains_key(arn) {
            // Whoever acts in one of them keeps it; the others are asked for again.
            roles.retain(|_, keys| Arc::strong_count(keys) > 1);
        }
        let fresh = || {
            let kind = Kind::Role { arn: arn.to_owned(), current: tokio::sync::Mutex::default() };
            Arc::new(Self { kind, roles: Mutex::default() })
        };
        Arc::clone(roles.entry(arn.to_owned()).or_insert_with(fresh))
    }

    /// Keys that hold for some minutes. `parent` assumes the role.
    pub(super) async fn current(&self, parent: Option<&Client>) -> Result<Credentials, CallError> {
        match (&self.kind, parent) {
            (Kind::Fixed(credentials), _) => Ok(credentials.clone()),
            (Kind::Role { arn, current }, Some(parent)) => {
                let mut current = current.lock().await;
                if let Some(known) = current.as_ref().filter(|known| known.hold_for(RENEWED_BEFORE)) {
                    return Ok(known.clone());
                }
                match assume_role(parent, arn, SESSION_NAME, None, ROLE_SECONDS).await {
                    Ok(fresh) => Ok(current.insert(fresh).clone()),
                    // What holds for another minute is better than nothing.
                    Err(CallError::Unavailable { .. })
                        if current.as_ref().is_some_and(|known| known.hold_for(Duration::from_secs(60))) =>
                    {
                        Ok(current.clone().expect("looked at in the line above"))
                    }
                    Err(error) => Err(error),
                }
            }
            (Kind::Role { arn, .. }, None) => Err(unusable(format!("nobody assumes the role `{arn}`"))),
        }
    }

    /// Forgets keys that were refused as expired; true when there is a way to others.
    pub(super) async fn forget(&self, refused: &Credentials) -> bool {
        match &self.kind {
            Kind::Fixed(_) => false,
            Kind::Role { current, .. } => {
                let mut current = current.lock().await;
                if current.as_ref() == Some(refused) {
                    *current = None;
                }
                true
            }
        }
    }
}

/// Keys that are asked for.
type Asked<'a> = Pin<Box<dyn Future<Output = Result<Credentials, CallError>> + Send + 'a>>;

/// `sts:AssumeRole`. Boxed: asking for keys is a call like any other, which asks for keys.
pub(super) fn assume_role<'a>(
    client: &'a Client,
    role_arn: &'a str,
    session_name: &'a str,
    policy: Option<&'a str>,
    seconds: u32,
) -> Asked<'a> {
    Box::pin(ask(client, role_arn, session_name, policy, seconds))
}

async fn ask(
    client: &Client,
    role_arn: &str,
    session_name: &str,
    policy: Option<&str>,
    seconds: u32,
) -> Result<Credentials, CallError> {
    let mut params = vec![
        ("RoleArn".to_owned(), role_arn.to_owned()),
        ("RoleSessionName".to_owned(), session_name.to_owned()),
        ("DurationSeconds".to_owned(), seconds.to_string()),
    ];
    params.extend(policy.map(|policy| ("Policy".to_owned(), policy.to_owned())));
    let answer = client.query(Service::Sts, "AssumeRole", &params).await?;
    let credentials = answer.at("AssumeRoleResult/Credentials");
    let part = |name: &str| {
        let text = credentials.and_then(|credentials| credentials.text_of(name));
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| unusable(format!("the answer to AssumeRole has no `{name}`")))
    };
    let expires = part("Expiration")?;
    let expires: jiff::Timestamp = expires
        .parse()
        .map_err(|_| unusable(format!("the answer to AssumeRole has an end that is no time: `{expires}`")))?;
    Ok(Credentials {
        access_key: part("AccessKeyId")?,
        secret_key: part("SecretAccessKey")?,
        session_token: Some(part("SessionToken")?),
        expires: Some(expires.as_millisecond()),
    })
}

fn unusable(reason: String) -> CallError {
    CallError::Unusable { service: Service::Sts, operation: "AssumeRole".to_owned(), reason }
}
