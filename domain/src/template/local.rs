//! What resources of a template are called here, by type.
//!
//! AWS makes up a name for a resource that has none, and the ARN from it. Here the logical id takes its place: the
//! same at every run, and what a person finds in the template. A type or attribute that is missing has no such
//! meaning; it must be given.

/// What is known of one type. In the forms, `{name}` and the like are replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local {
    kind: &'static str,
    /// The property that names it.
    pub(super) name: Option<&'static str>,
    /// Characters of a name, most.
    pub(super) chars_max: usize,
    /// What `Ref` gives.
    pub(super) reference: Option<&'static str>,
    attributes: &'static [(&'static str, Attribute)],
}

/// What an attribute comes to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attribute {
    /// A text with holes.
    Text(&'static str),
    /// The value of a property.
    Property(&'static str),
}

impl Local {
    pub(super) fn attribute(&self, name: &str) -> Option<Attribute> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, attribute)| *attribute)
    }
}

pub(super) fn of(kind: &str) -> Option<&'static Local> {
    LOCAL.iter().find(|local| local.kind == kind)
}

use Attribute::{Property, Text};

/// Characters where the service's own bound does not matter here.
const LONG: usize = 255;

macro_rules! local {
    ($kind:literal, $name:expr, $max:expr, $reference:expr, [$(($attribute:literal, $meaning:expr)),* $(,)?]) => {
        Local {
            kind: $kind,
            name: $name,
            chars_max: $max,
            reference: $reference,
            attributes: &[$(($attribute, $meaning)),*],
        }
    };
}

const LOCAL: &[Local] = &[
    local!(
        "AWS::S3::Bucket",
        Some("BucketName"),
        63,
        Some("{name}"),
        [
            ("Arn", Text("arn:{partition}:s3:::{name}")),
            ("DomainName", Text("{name}.s3.{suffix}")),
            ("RegionalDomainName", Text("{name}.s3.{region}.{suffix}")),
            ("WebsiteURL", Text("http://{name}.s3-website-{region}.{suffix}")),
        ]
    ),
    local!(
        "AWS::IAM::Role",
        Some("RoleName"),
        LONG,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:iam::{account}:role{path}{name}")),]
    ),
    local!(
        "AWS::CodeBuild::Project",
        Some("Name"),
        LONG,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:codebuild:{region}:{account}:project/{name}")),]
    ),
    local!("AWS::CodeDeploy::Application", Some("ApplicationName"), 100, Some("{name}"), []),
    local!("AWS::CodeDeploy::DeploymentGroup", Some("DeploymentGroupName"), 100, Some("{name}"), []),
    local!("AWS::CodeDeploy::DeploymentConfig", Some("DeploymentConfigName"), 100, Some("{name}"), []),
    local!("AWS::CodePipeline::Pipeline", Some("Name"), 100, Some("{name}"), [("Version", Text("1")),]),
    local!(
        "AWS::CodeCommit::Repository",
        Some("RepositoryName"),
        100,
        None,
        [
            ("Name", Text("{name}")),
            ("Arn", Text("arn:{partition}:codecommit:{region}:{account}:{name}")),
            ("CloneUrlHttp", Text("https://git-codecommit.{region}.{suffix}/v1/repos/{name}")),
            ("CloneUrlSsh", Text("ssh://git-codecommit.{region}.{suffix}/v1/repos/{name}")),
        ]
    ),
    local!(
        "AWS::CodeStarConnections::Connection",
        None,
        LONG,
        Some("arn:{partition}:codestar-connections:{region}:{account}:connection/{name}"),
        [(
            "ConnectionArn",
            Text("arn:{partition}:codestar-connections:{region}:{account}:connection/{name}")
        )]
    ),
    local!(
        "AWS::CodeConnections::Connection",
        None,
        LONG,
        Some("arn:{partition}:codeconnections:{region}:{account}:connection/{name}"),
        [("ConnectionArn", Text("arn:{partition}:codeconnections:{region}:{account}:connection/{name}"))]
    ),
    local!(
        "AWS::SNS::Topic",
        Some("TopicName"),
        LONG,
        Some("arn:{partition}:sns:{region}:{account}:{name}"),
        [("TopicArn", Text("arn:{partition}:sns:{region}:{account}:{name}")), ("TopicName", Text("{name}")),]
    ),
    local!(
        "AWS::SQS::Queue",
        Some("QueueName"),
        80,
        Some("https://sqs.{region}.{suffix}/{account}/{name}"),
        [
            ("Arn", Text("arn:{partition}:sqs:{region}:{account}:{name}")),
            ("QueueName", Text("{name}")),
            ("QueueUrl", Text("https://sqs.{region}.{suffix}/{account}/{name}")),
        ]
    ),
    local!(
        "AWS::KMS::Key",
        None,
        LONG,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:kms:{region}:{account}:key/{name}")), ("KeyId", Text("{name}")),]
    ),
    local!("AWS::KMS::Alias", Some("AliasName"), LONG, Some("{name}"), []),
    local!(
        "AWS::Lambda::Function",
        Some("FunctionName"),
        64,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:lambda:{region}:{account}:function:{name}")),]
    ),
    local!(
        "AWS::Serverless::Function",
        Some("FunctionName"),
        64,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:lambda:{region}:{account}:function:{name}")),]
    ),
    local!(
        "AWS::StepFunctions::StateMachine",
        Some("StateMachineName"),
        80,
        Some("arn:{partition}:states:{region}:{account}:stateMachine:{name}"),
        [
            ("Arn", Text("arn:{partition}:states:{region}:{account}:stateMachine:{name}")),
            ("Name", Text("{name}")),
        ]
    ),
    local!(
        "AWS::ECS::Cluster",
        Some("ClusterName"),
        LONG,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:ecs:{region}:{account}:cluster/{name}")),]
    ),
    local!("AWS::ECS::Service", Some("ServiceName"), LONG, None, [("Name", Text("{name}")),]),
    local!(
        "AWS::ECR::Repository",
        Some("RepositoryName"),
        LONG,
        Some("{name}"),
        [
            ("Arn", Text("arn:{partition}:ecr:{region}:{account}:repository/{name}")),
            ("RepositoryUri", Text("{account}.dkr.ecr.{region}.{suffix}/{name}")),
        ]
    ),
    local!(
        "AWS::DynamoDB::Table",
        Some("TableName"),
        LONG,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:dynamodb:{region}:{account}:table/{name}")),]
    ),
    local!(
        "AWS::Events::Rule",
        Some("Name"),
        64,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:events:{region}:{account}:rule/{name}")),]
    ),
    local!(
        "AWS::Logs::LogGroup",
        Some("LogGroupName"),
        LONG,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:logs:{region}:{account}:log-group:{name}:*")),]
    ),
    local!(
        "AWS::CloudWatch::Alarm",
        Some("AlarmName"),
        LONG,
        Some("{name}"),
        [("Arn", Text("arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}")),]
    ),
    local!("AWS::ElasticBeanstalk::Application", Some("ApplicationName"), 100, Some("{name}"), []),
    local!("AWS::ElasticBeanstalk::Environment", Some("EnvironmentName"), 40, Some("{name}"), []),
    local!(
        "AWS::SecretsManager::Secret",
        Some("Name"),
        LONG,
        Some("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}"),
        [("Id", Text("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}"))]
    ),
    local!(
        "AWS::SSM::Parameter",
        Some("Name"),
        LONG,
        Some("{name}"),
        [("Value", Property("Value")), ("Type", Property("Type")),]
    ),
];
