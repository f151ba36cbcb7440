//! Taking a role: AssumeRole of STS, signed by whoever may take it.

use super::{keys::Keys, keys::variable, wire};
use anyhow::Context;
use api::sigv4::{self, Credentials};
use bytes::Bytes;
use http::header::CONTENT_TYPE;

/// The service name that its calls are signed for.
const SERVICE: &str = "sts";
const VERSION: &str = "2011-06-15";
const SESSION_DEFAULT: &str = "towpath";
/// Bytes of an answer, most.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// A role, and on which terms it is taken.
#[derive(Debug)]
pub struct Role {
    pub arn: String,
    pub session: Option<String>,
    pub external_id: Option<String>,
    pub seconds: Option<String>,
}

/// Takes it.
pub async fn assume(role: &Role, by: &Credentials, region: &str) -> anyhow::Result<Keys> {
    let url = variable("AWS_ENDPOINT_URL_STS")
        .or_else(|| variable("AWS_ENDPOINT_URL"))
        .unwrap_or_else(|| format!("https://sts.{region}.{}/", super::endpoint::suffix(region)));
    let url = super::endpoint::checked("AWS_ENDPOINT_URL_STS", &url)?;
    let mut request = http::Request::post(url.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(form(role)))?;
    sigv4::sign(&mut request, by, region, SERVICE, jiff::Timestamp::now())
        .map_err(|error| anyhow::anyhow!("{}", error.message))?;
    let cannot = || format!("the role {} cannot be taken", role.arn);
    let response = wire::http()?.execute(request.try_into()?).await.with_context(cannot)?;
    let status = response.status().as_u16();
    let body = wire::body(response, ANSWER_BYTES_MAX).await.with_context(cannot)?;
    read(status, &String::from_utf8_lossy(&body)).with_context(cannot)
}

fn form(role: &Role) -> String {
    let session = role.session.clone().unwrap_or_else(|| SESSION_DEFAULT.to_owned());
    let mut pairs = vec![
        ("Action", "AssumeRole".to_owned()),
        ("Version", VERSION.to_owned()),
        ("RoleArn", role.arn.clone()),
        ("RoleSessionName", session),
    ];
    pairs.extend(role.external_id.clone().map(|id| ("ExternalId", id)));
    pairs.extend(role.seconds.clone().map(|seconds| ("DurationSeconds", seconds)));
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", sigv4::percent_encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn read(status: u16, text: &str) -> anyhow::Result<Keys> {
    let document = roxmltree::Document::parse(text)
        .ok()
        .with_context(|| format!("the answer of STS is not XML (HTTP status {status})"))?;
    let value = |name: &str| {
        let node = document.descendants().find(|node| node.tag_name().name() == name)?;
        node.text().map(str::to_owned)
    };
    if status != 200 {
        let code = value("Code").unwrap_or_else(|| format!("HTTP status {status}"));
        anyhow::bail!("{code}: {}", value("Message").unwrap_or_else(|| "without a reason".to_owned()));
    }
    let must = |name: &str| value(name).with_context(|| format!("the answer of STS holds no `{name}`"));
    Ok(Keys {
        credentials: Credentials {
            access_key: must("AccessKeyId")?,
            secret_key: must("SecretAccessKey")?,
            session_token: Some(must("SessionToken")?),
        },
        expires: Some(must("Expiration")?.parse().context("`Expiration` is not a time")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_refusals_told() {
        let good = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
             <Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t\
             </SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>\
             </AssumeRoleResponse>";
        let keys = read(200, good).unwrap();
        assert_eq!(keys.credentials.access_key, "ASIA");
        assert!(keys.expires.is_some());
        let bad = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
        assert_eq!(read(403, bad).unwrap_err().to_string(), "AccessDenied: not you");
        assert!(read(502, "oops").unwrap_err().to_string().contains("502"));
    }

    #[test]
    fn what_is_asked_for_is_encoded() {
        let role = Role {
            arn: "arn:aws:iam::1:role/d".into(),
            session: None,
            external_id: Some("a&b".into()),
            seconds: Some("900".into()),
        };
        assert_eq!(
            form(&role),
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fd&RoleSessionName=towpath&\
             ExternalId=a%26b&DurationSeconds=900"
        );
    }
}
