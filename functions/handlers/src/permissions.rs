//! Who may call which operation, where every caller is known to AWS: a table of principals and operations. Whoever is
//! not in it may read. The table says what a caller may do *here*; that it may call at all, IAM has decided before.

use crate::Caller;
use api::{ApiError, Code, Operation};
use serde::Deserialize;
use serde_json::Value;

/// Rows of a table, most.
const CALLERS_MAX: usize = 500;
/// Characters of a principal, most: a role's ARN with the longest path, and some more.
const PRINCIPAL_CHARS_MAX: usize = 2048;
/// The word for every operation that only reads.
const READ_ONLY: &str = "read-only";

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    callers: Vec<Row>,
    others: Vec<Allowed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    principal: String,
    operations: Vec<Allowed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    ReadOnly,
    Named(String),
}

/// A table that cannot be used. Nobody is let in by a table that is understood in part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the table of permissions cannot be used: {0}")]
pub struct BadTable(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    callers: Vec<WrittenRow>,
    others: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRow {
    principal: String,
    operations: Vec<String>,
}

impl Default for Permissions {
    /// Everybody may read, and nobody may do anything else.
    fn default() -> Self {
        Self { callers: Vec::new(), others: vec![Allowed::ReadOnly] }
    }
}

impl Permissions {
    /// Reads a table: `{"callers": [{"principal": …, "operations": […]}], "others": […]}`.
    pub fn parse(json: &str) -> Result<Self, BadTable> {
        let written: Written = serde_json::from_str(json).map_err(|error| BadTable(error.to_string()))?;
        if written.callers.len() > CALLERS_MAX {
            return Err(BadTable(format!("it has more than {CALLERS_MAX} callers")));
        }
        let row = |row: WrittenRow| {
            let principal = row.principal;
            if !principal.starts_with("arn:") && principal != "*" {
                let text = format!("`principal` is neither an ARN nor `*`: {principal:?}");
                return Err(BadTable(text));
            }
            if principal.len() > PRINCIPAL_CHARS_MAX {
                return Err(BadTable(format!("a `principal` is longer than {PRINCIPAL_CHARS_MAX}")));
            }
            let operations = row.operations.into_iter().map(allowed).collect::<Result<_, _>>()?;
            Ok(Row { principal, operations })
        };
        let callers = written.callers.into_iter().map(row).collect::<Result<_, _>>()?;
        let others = match written.others {
            Some(operations) => operations.into_iter().map(allowed).collect::<Result<_, _>>()?,
            None => vec![Allowed::ReadOnly],
        };
        Ok(Self { callers, others })
    }

    /// Whether somebody may call an operation. Who stands in several rows may do what any of them says.
    pub fn allows(&self, arn: &str, operation: Operation) -> bool {
        let mut own = self.callers.iter().filter(|row| is_meant(&row.principal, arn)).peekable();
        if own.peek().is_none() {
            return self.others.iter().any(|allowed| allowed.covers(operation));
        }
        own.any(|row| row.operations.iter().any(|allowed| allowed.covers(operation)))
    }

    /// The refusal of a caller, in the API's words; `place` says where the table lies.
    pub fn check(
        &self,
        caller: &Caller,
        operation: Operation,
        input: &Value,
        place: &str,
    ) -> Result<(), ApiError> {
        if self.allows(&caller.arn, operation) {
            return Ok(());
        }
        let name = operation.name();
        let named = ["name", "pipelineName"].iter().find_map(|key| input.get(key)?.as_str());
        let on = named.map(|pipeline| format!(" on pipeline: {pipeline}")).unwrap_or_default();
        let text = format!(
            "User: {} is not authorized to perform: codepipeline:{name}{on} because no row of this \
             installation's table of permissions allows the codepipeline:{name} action. To allow it, add the \
             caller's ARN with the operation `{name}` to {place}",
            caller.arn
        );
        Err(ApiError::new(Code::AccessDenied, text))
    }
}

fn allowed(text: String) -> Result<Allowed, BadTable> {
    if text == READ_ONLY {
        return Ok(Allowed::ReadOnly);
    }
    // A name that is spelt wrong would allow nothing, and be looked for in vain.
    if Operation::ALL.iter().any(|operation| matches_glob(&text, operation.name())) {
        return Ok(Allowed::Named(text));
    }
    Err(BadTable(format!("there is no operation of that name: {text:?}")))
}

impl Allowed {
    fn covers(&self, operation: Operation) -> bool {
        match self {
            Self::ReadOnly => is_read_only(operation),
            Self::Named(pattern) => matches_glob(pattern, operation.name()),
        }
    }
}

/// A principal's pattern against who calls. A role's pattern also means those who assumed the role, whose ARN has the
/// role's name and not its path.
fn is_meant(pattern: &str, arn: &str) -> bool {
    if matches_glob(pattern, arn) {
        return true;
    }
    let Some((partition, account, role)) = assumed(arn) else { return false };
    let mut parts = pattern.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (_, wanted_partition, service, _, wanted_account, resource) =
        (next(), next(), next(), next(), next(), next());
    let Some(path) = resource.strip_prefix("role/") else { return false };
    let name = path.rsplit('/').next().unwrap_or_default();
    matches_glob(service, "iam")
        && matches_glob(wanted_partition, partition)
        && matches_glob(wanted_account, account)
        && matches_glob(name, role)
}

/// Partition, account and role of the ARN of an assumed role.
fn assumed(arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let (_, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (_, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let (role, _session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
    (service == "sts").then_some((partition, account, role))
}

/// `*` stands for any letters, also none; everything else for itself. Takes time in the product of the lengths, most.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while read < text.len() {
        if pattern.get(at) == Some(&b'*') {
            again = Some((at, read));
            at += 1;
        } else if pattern.get(at) == Some(&text[read]) {
            at += 1;
            read += 1;
        } else if let Some((star, from)) = again {
            again = Some((star, from + 1));
            at = star + 1;
            read = from + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Whether an operation changes nothing and hands out no credentials.
fn is_read_only(operation: Operation) -> bool {
    match operation {
        Operation::GetActionType
        | Operation::GetPipeline
        | Operation::GetPipelineExecution
        | Operation::GetPipelineState
        | Operation::ListActionExecutions
        | Operation::ListActionTypes
        | Operation::ListDeployActionExecutionTargets
        | Operation::ListPipelineExecutions
        | Operation::ListPipelines
        | Operation::ListRuleExecutions
        | Operation::ListRuleTypes
        | Operation::ListTagsForResource
        | Operation::ListWebhooks => true,
        // They read, and what they read includes a job's secrets and the means to fetch its artifacts.
        Operation::GetJobDetails | Operation::GetThirdPartyJobDetails => false,
        Operation::AcknowledgeJob
        | Operation::AcknowledgeThirdPartyJob
        | Operation::CreateCustomActionType
        | Operation::CreatePipeline
        | Operation::DeleteCustomActionType
        | Operation::DeletePipeline
        | Operation::DeleteWebhook
        | Operation::DeregisterWebhookWithThirdParty
        | Operation::DisableStageTransition
        | Operation::EnableStageTransition
        | Operation::OverrideStageCondition
        | Operation::PollForJobs
        | Operation::PollForThirdPartyJobs
        | Operation::PutActionRevision
        | Operation::PutApprovalResult
        | Operation::PutJobFailureResult
        | Operation::PutJobSuccessResult
        | Operation::PutThirdPartyJobFailureResult
        | Operation::PutThirdPartyJobSuccessResult
        | Operation::PutWebhook
        | Operation::RegisterWebhookWithThirdParty
        | Operation::RetryStageExecution
        | Operation::RollbackStage
        | Operation::StartPipelineExecution
        | Operation::StopPipelineExecution
        | Operation::TagResource
        | Operation::UntagResource
        | Operation::UpdateActionType
        | Operation::UpdatePipeline => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DEPLOYER: &str = "arn:aws:iam::111122223333:role/deployer";

    fn table() -> Permissions {
        let rows = json!({ "callers": [
            { "principal": "arn:aws:iam::111122223333:role/*/admin-*", "operations": ["*"] },
            { "principal": DEPLOYER, "operations": ["read-only", "StartPipelineExecution"] },
            { "principal": "arn:aws:iam::111122223333:user/ann", "operations": ["PutApprovalResult"] },
            { "principal": "arn:aws:iam::*:user/ann", "operations": ["Get*"] },
        ] });
        Permissions::parse(&rows.to_string()).unwrap()
    }

    #[test]
    fn whoever_is_not_in_the_table_may_read_and_nothing_else() {
        for permissions in [Permissions::default(), table()] {
            let other = "arn:aws:iam::111122223333:user/bob";
            assert!(permissions.allows(other, Operation::GetPipelineState));
            assert!(permissions.allows(other, Operation::ListPipelines));
            assert!(!permissions.allows(other, Operation::StartPipelineExecution));
            assert!(!permissions.allows(other, Operation::GetJobDetails), "it hands out credentials");
        }
        let closed = Permissions::parse(r#"{"others":[]}"#).unwrap();
        assert!(!closed.allows(DEPLOYER, Operation::ListPipelines));
    }

    #[test]
    fn a_role_means_its_sessions_whatever_its_path() {
        let table = table();
        let session = "arn:aws:sts::111122223333:assumed-role/deployer/ci-1";
        assert!(table.allows(session, Operation::StartPipelineExecution));
        assert!(table.allows(session, Operation::GetPipeline));
        assert!(!table.allows(session, Operation::PutApprovalResult));
        let admin = "arn:aws:sts::111122223333:assumed-role/admin-2/ann";
        assert!(table.allows(admin, Operation::DeletePipeline));
        for other in [
            "arn:aws:sts::999999999999:assumed-role/deployer/ci-1",
            "arn:aws:sts::111122223333:assumed-role/deployer2/ci-1",
            "arn:aws:sts::111122223333:assumed-role/x/deployer",
            "arn:aws:sts::111122223333:federated-user/deployer",
            "arn:aws-cn:sts::111122223333:assumed-role/deployer/ci-1",
            "deployer",
            "",
        ] {
            assert!(!table.allows(other, Operation::StartPipelineExecution), "{other}");
        }
    }

    #[test]
    fn who_stands_in_several_rows_may_do_what_any_says() {
        let ann = "arn:aws:iam::111122223333:user/ann";
        assert!(table().allows(ann, Operation::PutApprovalResult));
        assert!(table().allows(ann, Operation::GetPipeline));
        assert!(!table().allows(ann, Operation::ListPipelines), "rows replace what others may do");
    }

    #[test]
    fn a_refusal_names_caller_operation_pipeline_and_remedy() {
        let caller = Caller { arn: "arn:aws:iam::111122223333:user/bob".into() };
        let input = json!({ "name": "shop" });
        let refused = Permissions::default().check(
            &caller,
            Operation::StartPipelineExecution,
            &input,
            "the SSM parameter `/t/permissions`",
        );
        let refused = refused.unwrap_err();
        assert_eq!(refused.code.as_str(), "AccessDeniedException");
        assert_eq!(
            refused.message,
            "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: \
             codepipeline:StartPipelineExecution on pipeline: shop because no row of this installation's table of \
             permissions allows the codepipeline:StartPipelineExecution action. To allow it, add the caller's ARN \
             with the operation `StartPipelineExecution` to the SSM parameter `/t/permissions`"
        );
    }

    #[test]
    fn a_table_that_is_understood_in_part_is_not_used() {
        for wrong in [
            "",
            "[]",
            r#"{"callers":[{"principal":"deployer","operations":["*"]}]}"#,
            r#"{"callers":[{"principal":"*","operations":["StartPipline"]}]}"#,
            r#"{"callers":[{"principal":"*"}]}"#,
            r#"{"caller":[]}"#,
        ] {
            assert!(Permissions::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, text, is_match) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*a*b", "xaxab", true),
            ("", "a", false),
            ("a", "", false),
            ("a**", "a", true),
        ] {
            assert_eq!(matches_glob(pattern, text), is_match, "{pattern} {text}");
        }
    }
}
