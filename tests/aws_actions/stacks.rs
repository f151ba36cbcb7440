//! CloudFormation.

use super::{
    service::{Reply, refusal},
    stage::{ATTEMPT, Stage, archive, asked, files, input, job, output, resumed},
};
use engine::{
    action::{ActionJob, FailureCode},
    ports::Actions as _,
};

const STACK: &str = "arn:aws:cloudformation:eu-west-1:111122223333:stack/shop/aaaa";
const TEMPLATE: &str = r#"{"Resources":{"Topic":{"Type":"AWS::SNS::Topic"}}}"#;

fn artifact() -> Vec<u8> {
    archive(&[
        ("template.json", TEMPLATE),
        (
            "live.json",
            r#"{"Parameters":{"Size":"2","Flag":true},"Tags":{"team":"shop"},"StackPolicy":{"Statement":[]}}"#,
        ),
        ("build.json", r#"{"image":"shop:7"}"#),
    ])
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.service.put("store/shop/Built/k1", artifact());
    stage
}

fn deploy(mode: &str, more: &[(&str, &str)]) -> ActionJob {
    let fixed = [
        ("ActionMode", mode),
        ("StackName", "shop"),
        ("TemplatePath", "Built::template.json"),
        ("RoleArn", "arn:aws:iam::111122223333:role/cfn"),
    ];
    let configuration = [&fixed[..], more].concat();
    ActionJob { inputs: vec![input("Built")], ..job("Deploy/CloudFormation", &configuration) }
}

fn missing() -> Reply {
    refusal("ValidationError", "Stack with id shop does not exist")
}

fn stack(status: &str) -> Reply {
    Reply::Xml(format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackId>{STACK}</StackId>\
         <StackName>shop</StackName><StackStatus>{status}</StackStatus>\
         <Parameters><member><ParameterKey>Old</ParameterKey></member><member><ParameterKey>Gone</ParameterKey></member>\
         <member><ParameterKey>Size</ParameterKey></member></Parameters>\
         <Outputs><member><OutputKey>Url</OutputKey><OutputValue>https://shop</OutputValue></member></Outputs>\
         </member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    ))
}

fn events(events: &[(&str, &str, &str, &str)]) -> Reply {
    let members: String = events
        .iter()
        .map(|(token, logical, status, reason)| {
            format!(
                "<member><ClientRequestToken>{token}</ClientRequestToken><LogicalResourceId>{logical}\
                 </LogicalResourceId><ResourceType>AWS::X</ResourceType><ResourceStatus>{status}</ResourceStatus>\
                 <ResourceStatusReason>{reason}</ResourceStatusReason></member>"
            )
        })
        .collect();
    Reply::Xml(format!(
        "<R><DescribeStackEventsResult><StackEvents>{members}</StackEvents></DescribeStackEventsResult></R>"
    ))
}

fn change_set(status: &str, reason: &str, execution: &str) -> Reply {
    Reply::Xml(format!(
        "<R><DescribeChangeSetResult><ChangeSetId>arn:cs</ChangeSetId><Status>{status}</Status><StatusReason>{reason}\
         </StatusReason><ExecutionStatus>{execution}</ExecutionStatus><Description>{ATTEMPT}</Description>\
         </DescribeChangeSetResult></R>"
    ))
}

fn made(operation: &str) -> Reply {
    Reply::Xml(format!("<R><{operation}Result><StackId>{STACK}</StackId></{operation}Result></R>"))
}

#[tokio::test]
async fn a_stack_is_made_with_parameters_out_of_files_and_artifacts() {
    let stage = stage();
    stage.service.on("DescribeStacks", missing());
    stage.service.on("CreateStack", made("CreateStack"));
    let overrides = r#"{"Size":3,"Image":{"Fn::GetParam":["Built","build.json","image"]},
        "Bucket":{"Fn::GetArtifactAtt":["Built","BucketName"]},"Where":{"Fn::GetArtifactAtt":["Built","URL"]},"List":["a",1]}"#;
    let mut job = deploy(
        "CREATE_UPDATE",
        &[
            ("TemplateConfiguration", "Built::live.json"),
            ("ParameterOverrides", overrides),
            ("Capabilities", "CAPABILITY_IAM,CAPABILITY_AUTO_EXPAND"),
            ("OutputFileName", "outputs.json"),
        ],
    );
    job.outputs = vec![output("Outputs")];
    let begun = stage.begun(&job).await;
    assert_eq!(begun.external_execution_id, STACK);
    let call = stage.service.call("CreateStack");
    let value = |name: &str| {
        let at =
            (1..20).find(|at| call.input[format!("Parameters.member.{at}.ParameterKey")] == name).unwrap();
        call.input[format!("Parameters.member.{at}.ParameterValue")].as_str().unwrap().to_owned()
    };
    assert_eq!((value("Size"), value("Flag"), value("Image")), ("3".into(), "true".into(), "shop:7".into()));
    assert_eq!((value("Bucket"), value("List")), ("store".into(), "a,1".into()));
    assert_eq!(value("Where"), "https://s3.eu-west-1.amazonaws.com/store/shop/Built/k1");
    assert_eq!(call.input["ClientRequestToken"], ATTEMPT);
    assert_eq!(call.input["TemplateBody"], TEMPLATE);
    assert_eq!(call.input["RoleARN"], "arn:aws:iam::111122223333:role/cfn");
    assert_eq!(call.input["Capabilities.member.2"], "CAPABILITY_AUTO_EXPAND");
    assert_eq!(
        (&call.input["Tags.member.1.Key"], &call.input["Tags.member.1.Value"]),
        (&"team".into(), &"shop".into())
    );
    assert_eq!(call.input["StackPolicyBody"], r#"{"Statement":[]}"#);

    stage.service.now("DescribeStacks", stack("CREATE_IN_PROGRESS"));
    stage.elsewhere(&asked(&job, &begun)).await;
    stage.service.now("DescribeStacks", stack("CREATE_COMPLETE"));
    let success = stage.succeeded(&asked(&job, &begun)).await;
    assert_eq!(success.output_variables["Url"], "https://shop");
    assert_eq!(success.summary.as_deref(), Some("Stack shop was created."));
    let artifact = stage.service.object("store/shop/Outputs/k2").unwrap();
    let outputs: serde_json::Value = serde_json::from_str(&files(&artifact.bytes)["outputs.json"]).unwrap();
    assert_eq!(outputs, serde_json::json!({ "Url": "https://shop" }));
}

#[tokio::test]
async fn an_update_keeps_the_values_it_is_not_given() {
    let stage = stage();
    stage.service.on("DescribeStacks", stack("UPDATE_COMPLETE"));
    stage.service.on(
        "GetTemplateSummary",
        "<R><GetTemplateSummaryResult><Parameters><member><ParameterKey>Old</ParameterKey></member><member>\
         <ParameterKey>Size</ParameterKey></member></Parameters></GetTemplateSummaryResult></R>",
    );
    stage.service.on("UpdateStack", made("UpdateStack"));
    stage.begun(&deploy("CREATE_UPDATE", &[("ParameterOverrides", r#"{"Size":"9"}"#)])).await;
    let input = stage.service.call("UpdateStack").input;
    assert_eq!(input["Parameters.member.1.ParameterValue"], "9");
    assert_eq!(input["Parameters.member.2.ParameterKey"], "Old");
    assert_eq!(input["Parameters.member.2.UsePreviousValue"], "true");
    assert!(input.get("Parameters.member.3.ParameterKey").is_none(), "{input}");
}

#[tokio::test]
async fn nothing_to_update_is_a_success_and_a_busy_stack_is_waited_for() {
    let stage = stage();
    stage.service.on("DescribeStacks", stack("CREATE_COMPLETE"));
    stage.service.on("GetTemplateSummary", "<R/>");
    stage.service.on("UpdateStack", refusal("ValidationError", "No updates are to be performed."));
    let success = stage.succeeded(&deploy("CREATE_UPDATE", &[])).await;
    assert_eq!(success.summary.as_deref(), Some("Stack shop needed no update."));
    assert_eq!(success.output_variables["Url"], "https://shop");
    let stage = self::stage();
    stage.service.on("DescribeStacks", stack("UPDATE_IN_PROGRESS"));
    stage.elsewhere(&deploy("CREATE_UPDATE", &[])).await;
    stage.elsewhere(&deploy("CHANGE_SET_REPLACE", &[("ChangeSetName", "next")])).await;
}

#[tokio::test]
async fn a_failed_stack_names_the_resources_that_failed_first() {
    let stage = stage();
    stage.service.on("DescribeStacks", stack("UPDATE_ROLLBACK_COMPLETE"));
    stage.service.on(
        "DescribeStackEvents",
        events(&[
            (ATTEMPT, "Queue", "CREATE_FAILED", "Resource creation cancelled"),
            (ATTEMPT, "Topic", "CREATE_FAILED", "Topic already exists"),
            ("other", "Bucket", "UPDATE_FAILED", "last week"),
        ]),
    );
    let failure =
        stage.failed(&ActionJob { begun: Some(STACK.into()), ..deploy("CREATE_UPDATE", &[]) }).await;
    assert_eq!(failure.code, FailureCode::JobFailed);
    assert_eq!(
        failure.message,
        "Stack shop ended as UPDATE_ROLLBACK_COMPLETE.\nTopic (AWS::X) CREATE_FAILED: Topic already exists"
    );
}

#[tokio::test]
async fn a_stack_begun_before_a_crash_is_known_by_the_token_of_its_events() {
    let stage = stage();
    stage.service.on("DescribeStacks", stack("CREATE_IN_PROGRESS"));
    stage
        .service
        .on("DescribeStackEvents", events(&[(ATTEMPT, "shop", "CREATE_IN_PROGRESS", "User Initiated")]));
    let begun = stage.begun(&resumed(&deploy("CREATE_UPDATE", &[]))).await;
    assert_eq!(begun.external_execution_id, STACK);
    assert!(stage.service.calls("CreateStack").is_empty());
}

#[tokio::test]
async fn a_broken_stack_is_replaced_in_two_steps() {
    let stage = stage();
    stage.service.on("DescribeStacks", stack("ROLLBACK_COMPLETE"));
    stage.service.on("DeleteStack", "<R/>");
    let job = deploy("REPLACE_ON_FAILURE", &[]);
    let begun = stage.begun(&job).await;
    assert_eq!(stage.service.call("DeleteStack").input["ClientRequestToken"], format!("{ATTEMPT}-delete"));
    stage.service.now("DescribeStacks", stack("DELETE_IN_PROGRESS"));
    stage.elsewhere(&asked(&job, &begun)).await;
    // By its id it is deleted; by its name there is none.
    stage.service.now("DescribeStacks", stack("DELETE_COMPLETE")).on("DescribeStacks", missing());
    let new = STACK.replace("aaaa", "bbbb");
    let answer = format!("<R><CreateStackResult><StackId>{new}</StackId></CreateStackResult></R>");
    stage.service.on("CreateStack", answer.as_str());
    let again = stage.begun(&asked(&job, &begun)).await;
    assert_eq!(again.external_execution_id, new);
    assert_eq!(stage.ledger.noted.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_stack_is_deleted_and_one_that_is_not_there_needs_no_deleting() {
    let stage = stage();
    stage.service.on("DescribeStacks", missing());
    let success = stage.succeeded(&deploy("DELETE_ONLY", &[])).await;
    assert_eq!(success.summary.as_deref(), Some("There was no stack shop to delete."));
    let stage = self::stage();
    stage.service.on("DescribeStacks", stack("CREATE_COMPLETE"));
    stage.service.on("DeleteStack", "<R/>");
    let begun = stage.begun(&deploy("DELETE_ONLY", &[])).await;
    stage.service.now("DescribeStacks", stack("DELETE_FAILED"));
    stage.service.on("DescribeStackEvents", events(&[(ATTEMPT, "Bucket", "DELETE_FAILED", "not empty")]));
    let failure = stage.failed(&asked(&deploy("DELETE_ONLY", &[]), &begun)).await;
    assert!(failure.message.ends_with("Bucket (AWS::X) DELETE_FAILED: not empty"), "{}", failure.message);
    stage.service.now("DescribeStacks", stack("DELETE_COMPLETE"));
    let success = stage.succeeded(&asked(&deploy("DELETE_ONLY", &[]), &begun)).await;
    assert_eq!(success.summary.as_deref(), Some("Stack shop was deleted."));
}

#[tokio::test]
async fn a_change_set_is_made_anew_and_an_empty_one_is_a_success() {
    let job = deploy("CHANGE_SET_REPLACE", &[("ChangeSetName", "next")]);
    let stage = Stage::with(|settings| settings.linger = std::time::Duration::from_secs(5));
    stage.service.put("store/shop/Built/k1", artifact());
    stage.service.on("DescribeStacks", missing()).on("DescribeStacks", stack("REVIEW_IN_PROGRESS"));
    stage.service.on("DescribeChangeSet", change_set("CREATE_COMPLETE", "", "AVAILABLE"));
    stage.service.on("DescribeChangeSet", refusal("ChangeSetNotFound", "gone"));
    stage.service.on("DescribeChangeSet", change_set("CREATE_IN_PROGRESS", "", "UNAVAILABLE"));
    stage.service.on("DescribeChangeSet", change_set("CREATE_COMPLETE", "", "AVAILABLE"));
    stage.service.on("DeleteChangeSet", "<R/>");
    stage
        .service
        .on("CreateChangeSet", "<R><CreateChangeSetResult><Id>arn:cs</Id></CreateChangeSetResult></R>");
    let success = stage.succeeded(&job).await;
    assert_eq!(success.external_execution_id.as_deref(), Some("arn:cs"));
    assert_eq!(success.summary.as_deref(), Some("Change set next of the stack shop is ready."));
    stage.service.call("DeleteChangeSet");
    let input = stage.service.call("CreateChangeSet").input;
    assert_eq!((&input["ChangeSetType"], &input["ClientToken"]), (&"CREATE".into(), &ATTEMPT.into()));
    // A change set that takes longer is asked for later.
    let stage = self::stage();
    stage.service.on("DescribeStacks", stack("CREATE_COMPLETE"));
    stage.service.on("GetTemplateSummary", "<R/>");
    stage.service.on("DescribeChangeSet", refusal("ChangeSetNotFound", "none"));
    stage.service.on("DescribeChangeSet", change_set("CREATE_IN_PROGRESS", "", ""));
    stage
        .service
        .on("CreateChangeSet", "<R><CreateChangeSetResult><Id>arn:cs</Id></CreateChangeSetResult></R>");
    let begun = stage.begun(&job).await;
    let empty = "The submitted information didn't contain changes. Submit different information.";
    stage.service.now("DescribeChangeSet", change_set("FAILED", empty, "UNAVAILABLE"));
    let success = stage.succeeded(&asked(&job, &begun)).await;
    assert_eq!(success.summary.as_deref(), Some("Change set next changes nothing in the stack shop."));
    stage.service.now("DescribeChangeSet", change_set("FAILED", "Template error: Y", "UNAVAILABLE"));
    let failure = stage.failed(&asked(&job, &begun)).await;
    assert!(failure.message.contains("Template error: Y."), "{}", failure.message);
}

#[tokio::test]
async fn a_change_set_is_carried_out() {
    let job = deploy("CHANGE_SET_EXECUTE", &[("ChangeSetName", "next")]);
    let stage = stage();
    stage.service.on("DescribeStacks", stack("CREATE_COMPLETE"));
    stage.service.on("DescribeChangeSet", change_set("CREATE_COMPLETE", "", "AVAILABLE"));
    stage.service.on("ExecuteChangeSet", "<R/>");
    let begun = stage.begun(&job).await;
    assert_eq!(stage.service.call("ExecuteChangeSet").input["ClientRequestToken"], ATTEMPT);
    // The stack still shows how it was.
    stage.service.now("DescribeChangeSet", change_set("CREATE_COMPLETE", "", "EXECUTE_IN_PROGRESS"));
    stage.elsewhere(&asked(&job, &begun)).await;
    stage.service.now("DescribeChangeSet", refusal("ChangeSetNotFound", "carried out"));
    stage.service.now("DescribeStacks", stack("UPDATE_COMPLETE"));
    let success = stage.succeeded(&asked(&job, &begun)).await;
    assert_eq!(success.summary.as_deref(), Some("Stack shop was updated."));

    let stage = self::stage();
    stage.service.on("DescribeStacks", stack("CREATE_COMPLETE"));
    stage.service.on("DescribeChangeSet", refusal("ChangeSetNotFound", "none"));
    let failure = stage.failed(&job).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(failure.message.contains("`CHANGE_SET_REPLACE` must make it"), "{}", failure.message);
    let stage = self::stage();
    stage.service.on("DescribeStacks", stack("CREATE_COMPLETE"));
    stage
        .service
        .on("DescribeChangeSet", change_set("FAILED", "No updates are to be performed.", "UNAVAILABLE"));
    stage.succeeded(&job).await;
    assert!(stage.service.calls("ExecuteChangeSet").is_empty());
}

#[tokio::test]
async fn a_large_template_goes_by_way_of_the_artifact_bucket() {
    let stage = Stage::new();
    let template = format!("{TEMPLATE}{}", " ".repeat(60_000));
    stage.service.put("store/shop/Built/k1", archive(&[("template.json", &template)]));
    stage.service.on("DescribeStacks", missing());
    stage.service.on("CreateStack", made("CreateStack"));
    stage.begun(&deploy("CREATE_UPDATE", &[])).await;
    let key = format!("shop/Built/k1.{ATTEMPT}.template");
    assert_eq!(stage.service.object(&format!("store/{key}")).unwrap().bytes.len(), template.len());
    let url = &stage.service.call("CreateStack").input["TemplateURL"];
    assert_eq!(url, &format!("https://s3.eu-west-1.amazonaws.com/store/{key}"));
}

#[tokio::test]
async fn what_is_wrong_with_files_and_parameters_is_said_before_anything_is_asked_for() {
    for (more, words) in [
        (
            &[("TemplatePath", "Built::missing.json")][..],
            "no file `missing.json` in the input artifact `Built`",
        ),
        (&[("TemplatePath", "template.json")], "must be `Artifact::path`"),
        (&[("TemplatePath", "Other::template.json")], "`Other` is not an input artifact"),
        (&[("ParameterOverrides", "[]")], "`ParameterOverrides` is not a JSON object"),
        (&[("ParameterOverrides", r#"{"A":null}"#)], "`A`, a parameter in `ParameterOverrides`"),
        (&[("ParameterOverrides", r#"{"A":{"Ref":"B"}}"#)], "Fn::GetParam"),
        (&[("ParameterOverrides", r#"{"A":{"Fn::GetParam":["Built","build.json","no"]}}"#)], "has no `no`"),
        (&[("ParameterOverrides", r#"{"A":{"Fn::GetArtifactAtt":["Built","Size"]}}"#)], "and not `Size`"),
        (&[("TemplateConfiguration", "Built::template.json/..")], "no file"),
    ] {
        let stage = stage();
        stage.service.on("DescribeStacks", missing());
        let failure = stage.failed(&deploy("CREATE_UPDATE", more)).await;
        assert_eq!(failure.code, FailureCode::ConfigurationError, "{}", failure.message);
        assert!(failure.message.contains(words), "{}", failure.message);
        assert!(stage.service.calls("CreateStack").is_empty());
    }
    let stage = self::stage();
    assert!(stage.failed(&deploy("CREATE", &[])).await.message.contains("`ActionMode` is `CREATE`"));
    let stage = self::stage();
    stage.service.on("DescribeStacks", missing());
    stage.service.on(
        "CreateStack",
        refusal("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]"),
    );
    let failure = stage.failed(&deploy("CREATE_UPDATE", &[])).await;
    assert!(failure.message.contains("add what is missing to `Capabilities`"), "{}", failure.message);
}

#[tokio::test]
async fn an_update_under_way_is_called_off() {
    let stage = stage();
    stage.service.on("DescribeStacks", stack("UPDATE_IN_PROGRESS"));
    stage.service.on("CancelUpdateStack", "<R/>");
    stage.actions.stop(ActionJob { begun: Some(STACK.into()), ..deploy("CREATE_UPDATE", &[]) }).await;
    assert_eq!(stage.service.call("CancelUpdateStack").input["StackName"], STACK);
    let stage = self::stage();
    stage.service.on("DescribeStacks", stack("CREATE_IN_PROGRESS"));
    stage.actions.stop(ActionJob { begun: Some(STACK.into()), ..deploy("CREATE_UPDATE", &[]) }).await;
    assert!(stage.service.calls("CancelUpdateStack").is_empty());
}
