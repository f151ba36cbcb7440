//! What a pipeline of CodePipeline needs to run on a Towpath on AWS: told from its definition and its webhooks.

use api::model::{ActionCategory, ActionDeclaration, ActionOwner, PipelineDeclaration, WebhookDefinition};
use domain::catalogue::homes::is_done_on_aws;
use std::collections::BTreeMap;

/// What stands for a secret that the service does not give away.
const MASKED: &str = "****";

/// How much a need matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It cannot run before somebody changes the definition.
    Blocks,
    /// It runs once somebody has done it.
    Do,
    /// To be known.
    Know,
}

/// One need.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// How much it matters.
    pub weight: Weight,
    /// What to do, in a sentence.
    pub text: String,
}

/// Everything a pipeline needs, what blocks it first.
pub fn of(
    pipeline: &PipelineDeclaration,
    webhooks: &[WebhookDefinition],
    closed: &BTreeMap<String, String>,
) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut need = |weight, text: String| needs.push(Need { weight, text });
    for stage in &pipeline.stages {
        for action in &stage.actions {
            of_action(&stage.name, action, &mut need);
        }
    }
    if pipeline.execution_mode.as_ref().is_some_and(|mode| mode.as_str() == "PARALLEL") {
        need(
            Weight::Know,
            "its mode is PARALLEL: nobody says whether CodePipeline holds such executions at a closed transition; \
             `towpath move` leaves it to you to end the triggers on one side before they begin on the other"
                .to_owned(),
        );
    }
    for webhook in webhooks.iter().filter(|webhook| webhook.target_pipeline == pipeline.name) {
        need(
            Weight::Do,
            format!(
                "its webhook `{}` is known to the Git host under CodePipeline's address: put one like it with \
                 PutWebhook, and give its address to the host",
                webhook.name
            ),
        );
    }
    for trigger in pipeline.triggers.iter().flatten() {
        let action = &trigger.git_configuration.source_action_name;
        need(
            Weight::Do,
            format!(
                "pushes start it through the connection of `{action}`: the Git host must reach Towpath as well"
            ),
        );
    }
    for (stage, reason) in closed {
        need(
            Weight::Know,
            format!("the transition into `{stage}` is closed, and is closed in Towpath too: {reason}"),
        );
    }
    needs.sort();
    needs.dedup();
    needs
}

fn of_action(stage: &str, action: &ActionDeclaration, need: &mut impl FnMut(Weight, String)) {
    let kind = &action.action_type_id;
    let (category, provider) = (kind.category.as_str(), kind.provider.as_str());
    let place = format!("`{stage}/{}`", action.name);
    let by_workers = matches!(kind.owner, ActionOwner::Custom | ActionOwner::ThirdParty)
        && provider != "GitHub"
        && kind.category != ActionCategory::Source;
    if by_workers {
        need(
            Weight::Do,
            format!(
                "{place} is done by job workers of `{category}/{provider}`: create the type with CreateCustomActionType, \
                 and have a worker ask Towpath for jobs"
            ),
        );
    } else if !is_done_on_aws(category, provider) {
        need(Weight::Blocks, format!("{place}: a Towpath on AWS cannot do `{category}/{provider}` yet"));
    }
    let values = action.configuration.iter().flatten();
    for (key, value) in values {
        if value == MASKED {
            need(
                Weight::Do,
                format!(
                    "{place}: `{key}` is a secret that CodePipeline does not give away: write it into the file"
                ),
            );
        }
        if key == "ConnectionArn" {
            need(Weight::Know, format!("{place} uses the connection {value}"));
        }
    }
}

/// The roles that are taken on its behalf.
pub fn roles(pipeline: &PipelineDeclaration) -> Vec<String> {
    let actions = pipeline.stages.iter().flat_map(|stage| &stage.actions);
    let mut roles: Vec<String> = actions.filter_map(|action| action.role_arn.clone()).collect();
    roles.push(pipeline.role_arn.clone());
    roles.sort();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_blocks_comes_first_and_roles_are_named_once() {
        let action = |category: &str, owner: &str, provider: &str| {
            json!({ "name": provider, "actionTypeId":
                { "category": category, "owner": owner, "provider": provider, "version": "1" } })
        };
        let mut github = action("Source", "ThirdParty", "GitHub");
        github["configuration"] = json!({ "OAuthToken": "****" });
        let mut retired = action("Deploy", "AWS", "OpsWorks");
        retired["roleArn"] = json!("arn:r");
        let pipeline = serde_json::from_value(json!({
            "name": "shop", "roleArn": "arn:r",
            "stages": [
                { "name": "Source", "actions": [github, action("Source", "AWS", "S3")] },
                { "name": "Live", "actions": [retired, action("Deploy", "AWS", "ECS"), action("Build", "Custom", "Own"),
                    action("Approval", "AWS", "Manual")] },
            ],
        }))
        .unwrap();
        let closed = BTreeMap::from([("Live".to_owned(), "freeze".to_owned())]);
        let texts: Vec<(Weight, String)> =
            of(&pipeline, &[], &closed).into_iter().map(|need| (need.weight, need.text)).collect();
        let begins: Vec<(Weight, &str)> = texts.iter().map(|(weight, text)| (*weight, &text[..20])).collect();
        assert_eq!(
            begins,
            [
                (Weight::Blocks, "`Live/OpsWorks`: a T"),
                (Weight::Blocks, "`Source/GitHub`: a T"),
                (Weight::Do, "`Live/Own` is done b"),
                (Weight::Do, "`Source/GitHub`: `OA"),
                (Weight::Know, "the transition into "),
            ]
        );
        assert_eq!(roles(&pipeline), ["arn:r"]);
    }
}
