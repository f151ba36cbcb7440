//! Definitions in the forms people have: YAML, and templates written by hand or by tools.

use api::constraint::{self, Shape};
use domain::template::{Kind, PIPELINE};
use serde_json::json;
use std::{fs, path::Path};
use tests::{
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
};

/// A copy of the example, as a repository.
fn example() -> Folder {
    let folder = Folder::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/cdk-style");
    for name in ["template.yaml", "appspec.yml", "site/index.html", "cdk.out/HarbourStack.template.json"] {
        folder.write(name, &fs::read_to_string(from.join(name)).unwrap());
    }
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    folder.commit("First commit");
    folder
}

#[test]
fn a_template_runs_without_any_settings() {
    let folder = example();
    folder.towpath(&["run", "template.yaml"]).exits(0).says(&[
        "template.yaml: pipeline `template-harbour` from `Pipeline`, Region us-east-1, account 123456789012",
        "source `acme/harbour`: the git repository that holds the template",
        "build project `harbour-build-test`: buildspec from the template; 2 variables; image",
        "template-harbour: Source → Build → Publish\n",
        "template-harbour succeeded",
    ]);
    let bucket = ".towpath/s3/harbour-test-us-east-1/try";
    assert_eq!(folder.read(&format!("{bucket}/owner.txt")), "012345678901\n", "spelled as it was written");
    let head = folder.git(&["rev-parse", "HEAD"]);
    assert!(folder.read(&format!("{bucket}/index.html")).contains(&format!("{head} of the test site")));
}

#[test]
fn parameters_choose_what_a_template_comes_to() {
    let folder = example();
    let given = ["run", "template.yaml", "--param", "Stage=live", "--param", "AWS::Region=eu-west-1"];
    folder.towpath(&given).exits(3).says(&[
        "Region eu-west-1",
        "Source → Build → Approve → Publish",
        "towpath run template.yaml --param Stage=live --param AWS::Region=eu-west-1 --resume --approve \
         Approve/Release",
    ]);
    folder.towpath(&[&given[..], &["--resume", "--approve", "Approve/Release"]].concat()).exits(0);
    assert!(folder.at(".towpath/s3/harbour-live-eu-west-1/www/index.html").is_file());
}

#[test]
fn what_a_tool_synthesized_runs_from_its_folder() {
    let folder = example();
    folder.towpath(&["run", "cdk.out/HarbourStack.template.json"]).exits(0).says(&[
        "build project `Build45A36621`: buildspec from the template; 1 variable",
        "deployment group `Servers8E1A0C77/ServersGroup3F6D2B95`: one host under the state folder; without a meaning \
         here: Ec2TagSet",
        "Release7D0E8C13 succeeded",
    ]);
    let host = ".towpath/hosts/Servers8E1A0C77-ServersGroup3F6D2B95/host1";
    assert!(folder.read(&format!("{host}/srv/harbour/index.html")).contains("of the test site"));
    assert!(!folder.at("cdk.out/.towpath").exists(), "a tool may empty its folder at any time");
}

#[test]
fn settings_win_over_the_template() {
    let folder = example();
    folder.write(
        "towpath.toml",
        "[codebuild.harbour-build-test.environment]\nSTAGE = \"toml\"\n\n[s3]\n\"harbour-test-us-east-1\" = \"out\"\n",
    );
    folder.towpath(&["run", "template.yaml"]).exits(0).says(&["; 1 variable;"]);
    assert!(folder.read("out/try/index.html").contains("of the toml site"));
    let text = folder.read("template.yaml").replace("Provider: S3, Version: 1", "Provider: ECS, Version: 1");
    let text = text
        .replace("BucketName: !Ref SiteBucket", "ClusterName: c")
        .replace("Extract: true", "ServiceName: s");
    folder.write(
        "ecs.yaml",
        &text.replace("                ObjectKey: !FindInMap [Sites, !Ref Stage, Folder]\n", ""),
    );
    let told = "Publish/Site: this machine cannot do `Deploy/ECS`, and the run fails there";
    folder.towpath(&["run", "ecs.yaml"]).exits(1).says(&[told, "`\"Deploy/ECS\" = \"succeed\"`"]);
    folder.write("towpath.toml", "[mock]\n\"Deploy/ECS\" = \"succeed\"\n");
    let ran = folder.towpath(&["run", "ecs.yaml"]).exits(0);
    assert!(!ran.out.contains("cannot do"), "{}", ran.out);
    folder.write("towpath.toml", "[codebuild.harbour-build-test]\nbuildspec = \"own.yml\"\n");
    folder.write("own.yml", "version: 0.2\nphases: {build: {commands: [exit 7]}}\nartifacts: {files: [x]}\n");
    folder.commit("Own buildspec");
    folder.towpath(&["run", "template.yaml"]).exits(1).says(&["buildspec from towpath.toml", "exit 7"]);
}

/// Two pipelines, of which one rests on much that is not in the template.
const SHARED: &str = r#"
Parameters:
  Zone: { Type: "AWS::SSM::Parameter::Value<String>", Default: /shared/zone }
  Token: { Type: String, NoEcho: true }
Resources:
  Ship:
    Type: AWS::CodePipeline::Pipeline
    Properties:
      Name: ship
      RoleArn: !ImportValue shared-RoleArn
      ArtifactStore: { Type: S3, Location: !ImportValue { "Fn::Sub": "${Zone}-bucket" } }
      DisableInboundStageTransitions: [{ StageName: Deploy, Reason: freeze }]
      Stages:
        - Name: Source
          Actions:
            - Name: Get
              ActionTypeId: { Category: Source, Owner: ThirdParty, Provider: GitHub, Version: 1 }
              Configuration: { Owner: acme, Repo: shop, Branch: main, OAuthToken: "{{resolve:secretsmanager:gh}}" }
              OutputArtifacts: [{ Name: Code }]
        - Name: Deploy
          Actions:
            - Name: Put
              ActionTypeId: { Category: Deploy, Owner: AWS, Provider: S3, Version: 1 }
              Configuration: { BucketName: !GetAtt Thing.Name, Extract: true }
              InputArtifacts: [{ Name: Code }]
  Thing: { Type: "Custom::Thing" }
  Other:
    Type: AWS::CodePipeline::Pipeline
    Properties: { Name: !Ref Token }
"#;

#[test]
fn what_cannot_be_known_is_listed_with_its_lines_and_can_be_given() {
    let folder = Folder::repository(&json!({}), &[("shared.yml", SHARED)]);
    folder.towpath(&["run", "shared.yml"]).exits(2).complains(&[
        "2 pipelines",
        "ship (logical id Ship)",
        "\n  Other",
    ]);
    folder
        .towpath(&["run", "shared.yml", "--pipeline", "no"])
        .exits(2)
        .complains(&["no pipeline `no`", "Ship"]);
    let ship = ["run", "shared.yml", "--pipeline", "ship"];
    let ran = folder.towpath(&ship).exits(2).complains(&[
        "`shared.yml` needs what cannot be known on this machine",
        "ImportValue:shared-RoleArn: a value that another stack exports",
        "at Resources.Ship.Properties.RoleArn.Fn::ImportValue (line 10)",
        "Zone: the value that the Parameter Store holds under `/shared/zone`",
        "GetAtt:Thing.Name: what AWS gives as `Name` of `Thing` (Custom::Thing)",
        "--param GetAtt:Thing.Name=…",
    ]);
    assert!(!ran.err.contains("resolve:"), "no source here needs the token: {}", ran.err);
    assert!(!folder.state().exists());
    let given = [
        "--param",
        "Zone=eu",
        "--param",
        "ImportValue:shared-RoleArn=arn:aws:iam::123456789012:role/x",
        "--param",
        "ImportValue:eu-bucket=artifacts",
        "--param",
        "GetAtt:Thing.Name=site",
        "--param",
        "Token=hush-hush",
    ];
    let ship = [&ship[..], &given].concat();
    let ran = folder.towpath(&ship).exits(3).says(&[
        "the transition into Deploy is disabled: freeze",
        "--param 'Token=…' --resume --enable Deploy",
    ]);
    assert!(!ran.out.contains("hush-hush"), "{}", ran.out);
    folder
        .towpath(&[&ship[..], &["--resume", "--enable", "Deplyo"]].concat())
        .exits(2)
        .complains(&["Source, Deploy"]);
    let ran = folder.towpath(&[&ship[..], &["--resume", "--enable", "Deploy"]].concat()).exits(0);
    assert_eq!(ran.out.matches("Deploy/Put started").count(), 1, "{}", ran.out);
    // Closed once: what somebody opened stays open.
    folder.towpath(&ship).exits(0);
}

#[test]
fn wrong_templates_are_refused_with_line_and_reason() {
    let folder = Folder::new();
    let refused = |text: &str, arguments: &[&str], complaints: &[&str]| {
        folder.write("t.yaml", text);
        folder.towpath(&[&["run", "t.yaml"], arguments].concat()).exits(2).complains(complaints);
    };
    refused("Resources: {}\n", &[], &["makes no `AWS::CodePipeline::Pipeline`"]);
    refused("Resources:\n  A: !Reff B\n", &[], &["line 2, column ", "`!Reff`"]);
    refused("Resources:\n  A: 1\n  A: 2\n", &[], &["line 3", "`A` is given twice: first on line 2"]);
    let example =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/cdk-style/template.yaml"));
    let example = example.unwrap();
    let number = |needle: &str| example.lines().position(|line| line.contains(needle)).unwrap() + 1;
    let line = format!("Stages[1].Actions[0].Runorder (line {})", number("RunOrder: 1"));
    refused(&example.replace("RunOrder", "Runorder"), &[], &[&line, "write `RunOrder`"]);
    let line = format!("Stages[1].Actions[0].ActionTypeId.Category (line {})", number("Provider: CodeBuild"));
    refused(&example.replace("Category: Build", "Category: Bild"), &[], &[&line, "enum value set"]);
    // The stage in front is left out: the place is still that of the file.
    let last = example.rfind("Name: Site }]").unwrap();
    let line = example[..last].lines().count();
    let wrong = format!("{}Name: Sight }}]\n", &example[..last]);
    let place = format!("Properties.Stages[3].Actions[0].InputArtifacts[0] (line {line})");
    refused(&wrong, &[], &[&place, "Sight"]);
    let parameters = ["--param", "Stage=prod", "--param", "Repository=harbour", "--param", "Color=red"];
    let complaints = ["`prod` is not one of `test`, `live`", "must be owner/name", "no parameter `Color`"];
    refused(&example, &parameters, &complaints);
    refused(&example, &["--param", "Stage"], &["`NAME=VALUE`"]);
    refused(&example, &["--param", "Stage=test", "--param", "Stage=live"], &["given twice"]);
    assert!(!folder.state().exists());
}

#[test]
fn a_definition_in_yaml_runs_with_and_without_its_wrapping() {
    let definition = "
name: shop
roleArn: arn:aws:iam::123456789012:role/r
artifactStore: { type: S3, location: artifacts }
pipelineType: V2
stages:
  - name: Source
    actions:
      - name: Checkout
        actionTypeId: { category: Source, owner: AWS, provider: CodeCommit, version: 1 }
        configuration: { RepositoryName: 0012, BranchName: main, PollForSourceChanges: false }
        outputArtifacts: [{ name: Code }]
  - name: Build
    actions:
      - name: Say
        runOrder: 2
        actionTypeId: { category: Compute, owner: AWS, provider: Commands, version: 1 }
        commands: [\"true\"]
        inputArtifacts: [{ name: Code }]
version: 4
";
    let folder = Folder::repository(&json!({}), &[("bare.yaml", definition)]);
    folder.towpath(&["run", "bare.yaml"]).exits(0).says(&["shop succeeded"]);
    let indented: String = definition.lines().map(|line| format!("  {line}\n")).collect();
    let wrapped = format!("pipeline:\n{indented}metadata:\n  created: 2024-01-01\n");
    folder.write("wrapped.yml", &wrapped);
    folder.towpath(&["run", "wrapped.yml", "--pipeline", "shop"]).exits(0).says(&["of version 1"]);
    folder
        .towpath(&["run", "wrapped.yml", "--pipeline", "other"])
        .exits(2)
        .complains(&["`shop`, not `other`"]);
    folder.towpath(&["run", "wrapped.yml", "--param", "A=b"]).exits(2).complains(&["`--param`", "`--var`"]);
    folder.write("wrong.yaml", &wrapped.replace("runOrder: 2", "runOrder: soon"));
    let place = "stages[1].actions[0].runOrder (line 17): `soon` is not a whole number";
    folder.towpath(&["run", "wrong.yaml"]).exits(2).complains(&["`wrong.yaml`", place]);
    folder.write("wrong.yaml", &wrapped.replace("name: Build", "name: Source"));
    folder.towpath(&["run", "wrong.yaml"]).exits(2).complains(&["stages[1].name (line 14)"]);
}

#[test]
fn problems_of_a_definition_in_json_have_lines_too() {
    let mut definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    definition["pipeline"]["stages"][1]["name"] = json!("Source");
    let folder = Folder::repository(&definition, &[]);
    let text = folder.read("pipeline.json");
    let line =
        text.lines().enumerate().filter(|(_, line)| line.contains("\"name\": \"Source\"")).last().unwrap().0
            + 1;
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&[&format!("stages[1].name (line {line})")]);
}

/// The table of the conversion has what the service model has, and calls it the same.
#[test]
fn the_words_of_templates_are_those_of_the_service_model() {
    let mut seen = 0;
    compare(&PIPELINE, constraint::shape("PipelineDeclaration").unwrap(), &mut seen);
    assert!(seen > 60, "{seen}");
}

fn compare(kind: &Kind, shape: &Shape, seen: &mut usize) {
    *seen += 1;
    match (kind, &shape.kind) {
        (Kind::Text, constraint::Kind::Text(_) | constraint::Kind::Enum(_))
        | (Kind::Integer, constraint::Kind::Integer)
        | (Kind::Texts, constraint::Kind::Map { .. }) => {}
        (Kind::List(kind), constraint::Kind::List(shape)) => compare(kind, shape, seen),
        (Kind::ByRegion(kind), constraint::Kind::Map { value, .. }) => compare(kind, value, seen),
        (Kind::Structure(members), constraint::Kind::Structure(known)) => {
            let ours: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
            for member in *known {
                let found = members.iter().find(|(name, _)| *name == member.name);
                let (_, kind) = found.unwrap_or_else(|| panic!("{} lacks `{}`", shape.name, member.name));
                compare(kind, member.shape, seen);
            }
            assert_eq!(ours.len(), known.len(), "{}: {ours:?}", shape.name);
        }
        (kind, _) => panic!("{kind:?} for {}", shape.name),
    }
}
