//! The services that are called: where each one lives, what it is signed for, and how it is spoken to.

/// How a service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One path, the operation in a header, JSON both ways.
    Json {
        /// `1.0` or `1.1`, as its content type says.
        version: &'static str,
        /// What stands before the operation in `X-Amz-Target`.
        target: &'static str,
    },
    /// A form with `Action` and `Version`, XML back.
    Query {
        /// The API's date.
        version: &'static str,
    },
    /// Methods and paths of its own.
    Rest,
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $prefix:literal, $signing:literal, $suffix:literal, $protocol:expr;)*) => {
        /// A service of AWS.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Service {
            $($(#[$doc])* $name,)*
        }

        impl Service {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The first part of its host name.
            pub fn endpoint_prefix(self) -> &'static str {
                match self { $(Self::$name => $prefix,)* }
            }

            /// The name its requests are signed for.
            pub fn signing_name(self) -> &'static str {
                match self { $(Self::$name => $signing,)* }
            }

            /// What follows `AWS_ENDPOINT_URL_` in the name of the setting for its endpoint.
            pub fn setting(self) -> &'static str {
                match self { $(Self::$name => $suffix,)* }
            }

            /// How it is spoken to.
            pub fn protocol(self) -> Protocol {
                match self { $(Self::$name => $protocol,)* }
            }
        }
    };
}

const fn json_1_0(target: &'static str) -> Protocol {
    Protocol::Json { version: "1.0", target }
}

const fn json_1_1(target: &'static str) -> Protocol {
    Protocol::Json { version: "1.1", target }
}

const fn query(version: &'static str) -> Protocol {
    Protocol::Query { version }
}

services! {
    /// AppConfig.
    AppConfig: "appconfig", "appconfig", "APPCONFIG", Protocol::Rest;
    /// CloudFormation.
    CloudFormation: "cloudformation", "cloudformation", "CLOUDFORMATION", query("2010-05-15");
    /// CloudWatch, by its query protocol.
    CloudWatch: "monitoring", "monitoring", "CLOUDWATCH", query("2010-08-01");
    /// CloudWatch Logs.
    CloudWatchLogs: "logs", "logs", "CLOUDWATCH_LOGS", json_1_1("Logs_20140328");
    /// CodeBuild.
    CodeBuild: "codebuild", "codebuild", "CODEBUILD", json_1_1("CodeBuild_20161006");
    /// CodeCommit.
    CodeCommit: "codecommit", "codecommit", "CODECOMMIT", json_1_1("CodeCommit_20150413");
    /// CodeConnections.
    CodeConnections: "codeconnections", "codeconnections", "CODECONNECTIONS",
        json_1_0("com.amazonaws.codeconnections.CodeConnections_20231201");
    /// CodeDeploy.
    CodeDeploy: "codedeploy", "codedeploy", "CODEDEPLOY", json_1_1("CodeDeploy_20141006");
    /// CodePipeline itself, for pipelines that call other pipelines and for moving in.
    CodePipeline: "codepipeline", "codepipeline", "CODEPIPELINE", json_1_1("CodePipeline_20150709");
    /// DynamoDB.
    DynamoDb: "dynamodb", "dynamodb", "DYNAMODB", json_1_0("DynamoDB_20120810");
    /// ECR.
    Ecr: "api.ecr", "ecr", "ECR", json_1_1("AmazonEC2ContainerRegistry_V20150921");
    /// ECS.
    Ecs: "ecs", "ecs", "ECS", json_1_1("AmazonEC2ContainerServiceV20141113");
    /// Elastic Beanstalk.
    ElasticBeanstalk: "elasticbeanstalk", "elasticbeanstalk", "ELASTIC_BEANSTALK", query("2010-12-01");
    /// EventBridge.
    EventBridge: "events", "events", "EVENTBRIDGE", json_1_1("AWSEvents");
    /// KMS.
    Kms: "kms", "kms", "KMS", json_1_1("TrentService");
    /// Lambda.
    Lambda: "lambda", "lambda", "LAMBDA", Protocol::Rest;
    /// S3.
    S3: "s3", "s3", "S3", Protocol::Rest;
    /// Secrets Manager.
    SecretsManager: "secretsmanager", "secretsmanager", "SECRETS_MANAGER", json_1_1("secretsmanager");
    /// Service Catalog.
    ServiceCatalog: "servicecatalog", "servicecatalog", "SERVICE_CATALOG",
        json_1_1("AWS242ServiceCatalogService");
    /// SNS.
    Sns: "sns", "sns", "SNS", query("2010-03-31");
    /// SQS.
    Sqs: "sqs", "sqs", "SQS", json_1_0("AmazonSQS");
    /// Systems Manager.
    Ssm: "ssm", "ssm", "SSM", json_1_1("AmazonSSM");
    /// Step Functions.
    StepFunctions: "states", "states", "SFN", json_1_0("AWSStepFunctions");
    /// STS.
    Sts: "sts", "sts", "STS", query("2011-06-15");
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.signing_name())
    }
}

/// The partition of a Region, as in ARNs.
pub fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ if region.starts_with("us-isob-") => "aws-iso-b",
        _ if region.starts_with("us-iso-") => "aws-iso",
        _ if region.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

/// What the host names of a Region end with.
pub(crate) fn dns_suffix(region: &str) -> &'static str {
    match partition(region) {
        "aws-cn" => "amazonaws.com.cn",
        "aws-iso" => "c2s.ic.gov",
        "aws-iso-b" => "sc2s.sgov.gov",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

/// Where a service of a Region is reached when no setting says otherwise.
pub(crate) fn regional(service: Service, region: &str) -> String {
    format!("https://{}.{region}.{}", service.endpoint_prefix(), dns_suffix(region))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_region_has_its_partition_and_hosts() {
        for (region, of, host) in [
            ("eu-west-1", "aws", "https://dynamodb.eu-west-1.amazonaws.com"),
            ("cn-north-1", "aws-cn", "https://dynamodb.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "aws-us-gov", "https://dynamodb.us-gov-west-1.amazonaws.com"),
            ("us-iso-east-1", "aws-iso", "https://dynamodb.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", "aws-iso-b", "https://dynamodb.us-isob-east-1.sc2s.sgov.gov"),
            ("eusc-de-east-1", "aws-eusc", "https://dynamodb.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!((partition(region), regional(Service::DynamoDb, region).as_str()), (of, host));
        }
        assert_eq!(regional(Service::Ecr, "eu-west-1"), "https://api.ecr.eu-west-1.amazonaws.com");
    }

    #[test]
    fn no_two_services_share_a_setting() {
        let settings: BTreeSet<_> = Service::ALL.iter().map(|service| service.setting()).collect();
        assert_eq!(settings.len(), Service::ALL.len());
    }
}
