//! Short-lived credentials for the artifacts of one job: a session of a role made for that, cut down by a policy that
//! names exactly the job's objects.

use crate::client::{Client, partition};
use engine::{
    action::ArtifactLocation,
    ports::{
        ARTIFACT_CREDENTIALS_MS, ArtifactAccess, ArtifactAccessError, ArtifactCredentials, ArtifactLoan,
    },
};
use events::Timestamp;
use serde_json::{Value, json};

/// Characters of a session policy, most.
const POLICY_CHARS_MAX: usize = 2048;
/// What sessions are called, in CloudTrail.
const SESSION_NAME: &str = "towpath-artifacts";

/// Lends sessions of one role.
#[derive(Debug, Clone)]
pub struct StsArtifactAccess {
    client: Client,
    role: String,
}

impl StsArtifactAccess {
    /// Sessions of this role, which may read and write every artifact and which this client may assume.
    pub fn new(client: &Client, role_arn: impl Into<String>) -> Self {
        Self { client: client.clone(), role: role_arn.into() }
    }
}

impl ArtifactAccess for StsArtifactAccess {
    async fn lend(
        &self,
        loan: &ArtifactLoan,
        _: Timestamp,
    ) -> Result<ArtifactCredentials, ArtifactAccessError> {
        let policy = policy(loan, self.client.region());
        let chars = policy.chars().count();
        if chars > POLICY_CHARS_MAX {
            return Err(ArtifactAccessError(format!(
                "the names of the job's artifacts make a session policy of {chars} characters, and STS takes \
                 {POLICY_CHARS_MAX}: give the action fewer artifacts, or shorter names"
            )));
        }
        let seconds = u32::try_from(ARTIFACT_CREDENTIALS_MS / 1000).unwrap_or(u32::MAX);
        let session = self.client.session(&self.role, SESSION_NAME, Some(&policy), seconds).await;
        let session =
            session.map_err(|error| ArtifactAccessError(format!("role `{}`: {error}", self.role)))?;
        let (Some(session_token), Some(expires)) = (session.session_token, session.expires) else {
            return Err(ArtifactAccessError("STS gave a session without a token or an end".to_owned()));
        };
        Ok(ArtifactCredentials {
            access_key_id: session.access_key,
            secret_access_key: session.secret_key,
            session_token,
            expires: Timestamp(expires),
        })
    }
}

/// What a session may do: never more than its role, and of that only this.
fn policy(loan: &ArtifactLoan, region: &str) -> String {
    let partition = partition(region);
    let arns = |locations: &[ArtifactLocation]| -> Vec<String> {
        let arn = |at: &ArtifactLocation| format!("arn:{partition}:s3:::{}/{}", at.bucket, literal(&at.key));
        locations.iter().map(arn).collect()
    };
    let statement = |actions: &[&str], resources: Vec<String>| -> Option<Value> {
        (!resources.is_empty())
            .then(|| json!({ "Effect": "Allow", "Action": actions, "Resource": resources }))
    };
    let mut statements: Vec<Value> = [
        statement(&["s3:GetObject", "s3:GetObjectVersion"], arns(&loan.inputs)),
        // Both, and what an upload in parts needs to give up.
        statement(&["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"], arns(&loan.outputs)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if statements.is_empty() {
        // A policy cannot be empty, and no policy at all would be the whole role.
        statements.push(json!({ "Effect": "Deny", "Action": "*", "Resource": "*" }));
    } else {
        // Objects of a bucket with a key of KMS are useless without it; the role says which keys.
        statements.push(json!({
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": { "StringLike": { "kms:ViaService": "s3.*" } },
        }));
    }
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

/// A key in which no letter stands for others.
fn literal(key: &str) -> String {
    key.chars().fold(String::new(), |mut text, letter| {
        match letter {
            '*' | '?' | '$' => text.extend(["${", letter.encode_utf8(&mut [0; 4]), "}"]),
            letter => text.push(letter),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: &str) -> ArtifactLocation {
        ArtifactLocation { bucket: "store".into(), key: key.into() }
    }

    #[test]
    fn a_session_may_touch_its_own_objects_and_no_others() {
        let loan = ArtifactLoan { inputs: vec![at("shop/In/1")], outputs: vec![at("shop/a*b?${x}/2")] };
        let policy: Value = serde_json::from_str(&policy(&loan, "cn-north-1")).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements[0]["Resource"], json!(["arn:aws-cn:s3:::store/shop/In/1"]));
        assert_eq!(statements[1]["Resource"], json!(["arn:aws-cn:s3:::store/shop/a${*}b${?}${$}{x}/2"]));
        let may_put = |statement: &Value| statement["Action"].to_string().contains("PutObject");
        assert_eq!(statements.iter().map(may_put).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_job_without_artifacts_gets_nothing_rather_than_everything() {
        let policy: Value =
            serde_json::from_str(&policy(&ArtifactLoan { inputs: vec![], outputs: vec![] }, "eu-west-1"))
                .unwrap();
        assert_eq!(policy["Statement"], json!([{ "Effect": "Deny", "Action": "*", "Resource": "*" }]));
    }

    #[test]
    fn five_artifacts_in_and_out_fit() {
        let places = |side: &str| {
            (0..5).map(|number| at(&format!("{}/{side}-artifact/{number:0>12}", "p".repeat(20)))).collect()
        };
        let loan = ArtifactLoan { inputs: places("in"), outputs: places("out") };
        assert!(policy(&loan, "eu-central-1").len() <= POLICY_CHARS_MAX);
    }
}
