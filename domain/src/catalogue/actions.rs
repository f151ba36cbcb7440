//! The built-in action types.
//!
//! Where pages differ about a count, the wider one stands: a definition another service accepted must not be
//! refused here. Required are only keys that are checked when a pipeline is declared; what a provider needs
//! beyond that fails the action.

use super::{ActionType, ArtifactCount, OutputVariables, Property, RequiredWhen};
use crate::limits::{ACTION_TIMEOUT_MINUTES_DEFAULT, APPROVAL_TIMEOUT_MINUTES_DEFAULT};
use events::ActionCategory::{Approval, Build, Compute, Deploy, Invoke, Source, Test};
use events::{ActionCategory, ActionOwner};
use std::borrow::Cow;
use std::sync::LazyLock;

const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;
/// How long managed compute may run, minutes.
const COMPUTE_MINUTES: u32 = 55;

/// The table. Built once: owned and borrowed texts share one type with custom action types.
pub(super) static BUILTIN: LazyLock<Vec<ActionType>> = LazyLock::new(|| {
    let mut types = Vec::new();
    types.extend(sources());
    types.extend(builds_and_tests());
    types.push(
        of(Approval, "Manual")
            .asks([optional("NotificationArn"), optional("ExternalEntityLink"), optional("CustomData")])
            .minutes(APPROVAL_TIMEOUT_MINUTES_DEFAULT),
    );
    types.extend(deploys());
    types.extend(stack_deploys());
    types.extend(recent_deploys());
    types.extend(invokes());
    types
});

fn sources() -> [ActionType; 5] {
    [
        of(Source, "S3")
            .makes(1, 1)
            .asks([
                required("S3Bucket"),
                required("S3ObjectKey"),
                optional("PollForSourceChanges"),
                optional("AllowOverrideForS3ObjectKey"),
            ])
            .publishes(&["BucketName", "ETag", "ObjectKey", "VersionId"]),
        of(Source, "CodeCommit")
            .makes(1, 1)
            .asks([
                required("RepositoryName"),
                required("BranchName"),
                optional("PollForSourceChanges"),
                optional("OutputArtifactFormat"),
            ])
            .publishes(&[
                "AuthorDate",
                "BranchName",
                "CommitId",
                "CommitMessage",
                "CommitterDate",
                "RepositoryName",
            ]),
        of(Source, "ECR").makes(1, 1).asks([required("RepositoryName"), optional("ImageTag")]).publishes(&[
            "RegistryId",
            "RepositoryName",
            "ImageTag",
            "ImageDigest",
            "ImageURI",
        ]),
        of(Source, "CodeStarSourceConnection")
            .makes(1, 1)
            .asks([
                required("ConnectionArn"),
                required("FullRepositoryId"),
                required("BranchName"),
                optional("OutputArtifactFormat"),
                optional("DetectChanges"),
            ])
            .publishes(&[
                "AuthorDate",
                "AuthorDisplayName",
                "AuthorEmail",
                "AuthorId",
                "BranchName",
                "CommitId",
                "CommitMessage",
                "ConnectionArn",
                "FullRepositoryName",
            ]),
        of(Source, "GitHub")
            .third_party()
            .makes(1, 1)
            .asks([
                required("Owner"),
                required("Repo"),
                required("Branch"),
                secret("OAuthToken"),
                optional("PollForSourceChanges"),
            ])
            .publishes(&[
                "AuthorDate",
                "BranchName",
                "CommitId",
                "CommitMessage",
                "CommitterDate",
                "CommitUrl",
                "RepositoryName",
            ]),
    ]
}

fn code_build(category: ActionCategory) -> ActionType {
    of(category, "CodeBuild").takes(1, 5).makes(0, 5).reports().asks([
        required("ProjectName"),
        optional("PrimarySource"),
        optional("BatchEnabled"),
        optional("CombineArtifacts"),
        optional("EnvironmentVariables"),
        optional("BuildspecOverride"),
        optional("ServiceRoleArnOverride"),
    ])
}

fn commands(category: ActionCategory) -> ActionType {
    let mut commands =
        of(category, "Commands").takes(1, 10).makes(0, 1).v2().minutes(COMPUTE_MINUTES).asks([
            optional("EnvironmentType"),
            optional("ComputeType"),
            optional("VpcId"),
            optional("Subnets"),
            optional("SecurityGroupIds"),
        ]);
    commands.compute = true;
    commands.output_variables = OutputVariables::Declared;
    commands
}

fn builds_and_tests() -> [ActionType; 6] {
    [
        code_build(Build).minutes(36 * HOUR),
        of(Build, "ECRBuildAndPublish")
            .takes(1, 1)
            .makes(0, 1)
            .v2()
            .minutes(COMPUTE_MINUTES)
            .asks([
                required("ECRRepositoryName"),
                optional("DockerFilePath"),
                optional("ImageTags"),
                optional("RegistryType"),
            ])
            .publishes(&["ECRImageDigestId", "ECRRepositoryName"]),
        commands(Build),
        commands(Compute),
        code_build(Test).minutes(8 * HOUR),
        of(Test, "DeviceFarm").takes(1, 1).asks([
            required("AppType"),
            required("ProjectId"),
            required("App"),
            required("TestType"),
            required("DevicePoolArn"),
            // Built-in tests come without a package, and the version is asked for but never read.
            optional("Test"),
            optional("AppiumVersion"),
            optional("RadioBluetoothEnabled"),
            optional("RadioWifiEnabled"),
            optional("RadioNfcEnabled"),
            optional("RadioGpsEnabled"),
            optional("RecordAppPerformanceData"),
            optional("RecordVideo"),
            optional("UnmeteredDevicesOnly"),
            optional("FuzzEventCount"),
            optional("FuzzEventThrottle"),
            optional("FuzzRandomizerSeed"),
            optional("CustomHostMachineArtifacts"),
            optional("CustomDeviceArtifacts"),
            optional("JobTimeoutMinutes"),
            optional("Latitude"),
            optional("Longitude"),
        ]),
    ]
}

fn deploys() -> [ActionType; 9] {
    [
        of(Deploy, "S3")
            .takes(1, 1)
            .minutes(90)
            .asks([
                required("BucketName"),
                required("Extract"),
                optional("ObjectKey"),
                optional("KMSEncryptionKeyARN"),
                optional("CannedACL"),
                optional("CacheControl"),
            ])
            .when(&[RequiredWhen { key: "ObjectKey", other: "Extract", value: "false" }]),
        of(Deploy, "CodeDeploy")
            .takes(1, 1)
            .minutes(5 * DAY)
            .asks([required("ApplicationName"), required("DeploymentGroupName")])
            .publishes(&["DeploymentId"]),
        of(Deploy, "CodeDeployToECS").takes(1, 5).minutes(5 * DAY).asks([
            required("ApplicationName"),
            required("DeploymentGroupName"),
            required("TaskDefinitionTemplateArtifact"),
            required("AppSpecTemplateArtifact"),
            optional("TaskDefinitionTemplatePath"),
            optional("AppSpecTemplatePath"),
            optional("Image1ArtifactName"),
            optional("Image1ContainerName"),
            optional("Image2ArtifactName"),
            optional("Image2ContainerName"),
            optional("Image3ArtifactName"),
            optional("Image3ContainerName"),
            optional("Image4ArtifactName"),
            optional("Image4ContainerName"),
        ]),
        of(Deploy, "ECS").takes(1, 1).asks([
            required("ClusterName"),
            required("ServiceName"),
            optional("FileName"),
            optional("DeploymentTimeout"),
        ]),
        of(Deploy, "ElasticBeanstalk")
            .takes(1, 1)
            .asks([required("ApplicationName"), required("EnvironmentName")]),
        of(Deploy, "AppConfig").takes(1, 1).asks([
            required("Application"),
            required("Environment"),
            required("ConfigurationProfile"),
            required("InputArtifactConfigurationPath"),
            optional("DeploymentStrategy"),
        ]),
        // The service behind it is retired. Definitions use two sets of names; either may stand, and such an
        // action fails when it is reached.
        of(Deploy, "OpsWorks").takes(1, 1).makes(0, 1).asks([
            optional("Stack"),
            optional("App"),
            optional("Layer"),
            optional("StackId"),
            optional("AppId"),
            optional("LayerId"),
            optional("DeploymentType"),
        ]),
        of(Deploy, "ServiceCatalog").takes(1, 1).asks([
            required("ProductId"),
            optional("ConfigurationFilePath"),
            optional("TemplateFilePath"),
            optional("ProductVersionName"),
            optional("ProductType"),
            optional("ProductVersionDescription"),
        ]),
        of(Deploy, "AlexaSkillsKit").third_party().takes(1, 2).asks([
            required("ClientId"),
            secret("ClientSecret"),
            secret("RefreshToken"),
            required("SkillId"),
        ]),
    ]
}

fn stack_deploys() -> [ActionType; 3] {
    [
        of(Deploy, "CloudFormation").takes(0, 10).makes(0, 1).minutes(3 * DAY).reports().asks([
            required("ActionMode"),
            required("StackName"),
            optional("ChangeSetName"),
            path("TemplatePath"),
            path("TemplateConfiguration"),
            optional("Capabilities"),
            optional("ParameterOverrides"),
            optional("OutputFileName"),
            optional("RoleArn"),
        ]),
        of(Deploy, "CloudFormationStackSet")
            .takes(1, 10)
            .makes(0, 1)
            .minutes(3 * DAY)
            .asks([
                required("StackSetName"),
                required("TemplatePath").path(),
                optional("Description"),
                path("Parameters"),
                optional("Capabilities"),
                optional("PermissionModel"),
                optional("AdministrationRoleArn"),
                optional("ExecutionRoleName"),
                optional("OrganizationsAutoDeployment"),
                path("DeploymentTargets"),
                optional("Regions"),
                optional("FailureTolerancePercentage"),
                optional("MaxConcurrentPercentage"),
                optional("CallAs"),
            ])
            .publishes(&["StackSetId", "OperationId"]),
        of(Deploy, "CloudFormationStackInstances")
            .takes(0, 10)
            .makes(0, 1)
            .minutes(3 * DAY)
            .asks([
                required("StackSetName"),
                required("Regions"),
                path("DeploymentTargets"),
                path("ParameterOverrides"),
                optional("FailureTolerancePercentage"),
                optional("MaxConcurrentPercentage"),
                optional("CallAs"),
            ])
            .publishes(&["StackSetId", "OperationId"]),
    ]
}

fn recent_deploys() -> [ActionType; 3] {
    [
        of(Deploy, "EC2").takes(1, 1).v2().asks([
            required("InstanceTagKey"),
            optional("InstanceTagValue"),
            required("InstanceType"),
            optional("TargetDirectory"),
            optional("DeploySpec"),
            optional("MaxBatch"),
            optional("MaxError"),
            optional("TargetGroupNameList"),
            optional("PreScript"),
            optional("PostScript"),
        ]),
        of(Deploy, "EKS")
            .takes(1, 1)
            .v2()
            .minutes(COMPUTE_MINUTES)
            .asks([
                required("ClusterName"),
                optional("HelmReleaseName"),
                optional("HelmChartLocation"),
                optional("HelmValuesFiles"),
                optional("ManifestFiles"),
                optional("Namespace"),
                optional("Subnets"),
                optional("SecurityGroupIds"),
            ])
            .publishes(&["EKSClusterName"]),
        of(Deploy, "Lambda")
            .takes(0, 1)
            .v2()
            .asks([
                required("FunctionName"),
                optional("FunctionAlias"),
                optional("PublishedTargetVersion"),
                optional("DeployStrategy"),
                optional("Alarms"),
            ])
            .publishes(&["FunctionVersion"]),
    ]
}

fn invokes() -> [ActionType; 5] {
    let mut snyk = of(Invoke, "Snyk").third_party().takes(1, 1).makes(0, 1);
    snyk.open_configuration = true;
    [
        of(Invoke, "Lambda")
            .takes(0, 5)
            .makes(0, 5)
            .minutes(DAY)
            .reports()
            .asks([required("FunctionName"), optional("UserParameters")]),
        of(Invoke, "StepFunctions")
            .takes(0, 1)
            .makes(0, 1)
            .minutes(7 * DAY)
            .asks([
                required("StateMachineArn"),
                optional("ExecutionNamePrefix"),
                optional("InputType"),
                optional("Input"),
            ])
            .publishes(&["StateMachineArn", "ExecutionArn"]),
        of(Invoke, "CodePipeline")
            .v2()
            .asks([required("PipelineName"), optional("SourceRevisions"), optional("Variables")])
            .publishes(&["PipelineExecutionId"]),
        of(Invoke, "InspectorScan").takes(0, 1).makes(0, 1).minutes(COMPUTE_MINUTES).reports().asks([
            required("InspectorRunMode"),
            optional("ECRRepositoryName"),
            optional("ImageTag"),
            optional("CriticalThreshold"),
            optional("HighThreshold"),
            optional("MediumThreshold"),
            optional("LowThreshold"),
        ]),
        snyk,
    ]
}

fn required(name: &'static str) -> Property {
    Property::required(name)
}

fn optional(name: &'static str) -> Property {
    Property::optional(name)
}

fn secret(name: &'static str) -> Property {
    Property::secret(name)
}

fn path(name: &'static str) -> Property {
    Property::optional(name).path()
}

/// Starts the description of a type: no artifacts, no keys, one hour.
fn of(category: ActionCategory, provider: &'static str) -> ActionType {
    ActionType {
        category,
        owner: ActionOwner::AWS,
        provider: Cow::Borrowed(provider),
        version: Cow::Borrowed("1"),
        inputs: ArtifactCount { min: 0, max: 0 },
        outputs: ArtifactCount { min: 0, max: 0 },
        properties: Cow::Borrowed(&[]),
        required_when: &[],
        open_configuration: false,
        output_variables: OutputVariables::Fixed(&[]),
        timeout_minutes: ACTION_TIMEOUT_MINUTES_DEFAULT,
        v2_only: false,
        compute: false,
    }
}

impl ActionType {
    fn third_party(mut self) -> Self {
        self.owner = ActionOwner::ThirdParty;
        self
    }

    fn takes(mut self, min: usize, max: usize) -> Self {
        self.inputs = ArtifactCount { min, max };
        self
    }

    fn makes(mut self, min: usize, max: usize) -> Self {
        self.outputs = ArtifactCount { min, max };
        self
    }

    fn asks(mut self, properties: impl Into<Vec<Property>>) -> Self {
        self.properties = Cow::Owned(properties.into());
        self
    }

    fn when(mut self, rules: &'static [RequiredWhen]) -> Self {
        self.required_when = rules;
        self
    }

    fn publishes(mut self, variables: &'static [&'static str]) -> Self {
        self.output_variables = OutputVariables::Fixed(variables);
        self
    }

    fn reports(mut self) -> Self {
        self.output_variables = OutputVariables::Reported;
        self
    }

    fn minutes(mut self, minutes: u32) -> Self {
        self.timeout_minutes = minutes;
        self
    }

    fn v2(mut self) -> Self {
        self.v2_only = true;
        self
    }
}
