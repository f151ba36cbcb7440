//! Definitions, buildspecs and settings that are wrong: said plainly, with the place, and nothing started.

use serde_json::json;
use tests::{
    folder::Folder,
    pipelines::{approval, build, commands, pipeline, source, stage},
};

#[test]
fn every_problem_of_a_definition_is_listed_with_its_path_and_nothing_is_started() {
    let mut definition = pipeline(
        "shop",
        vec![source(), stage("Build", vec![build("A"), build("A")]), stage("Build", vec![approval("B")])],
    );
    definition["pipeline"]["stages"][1]["actions"][0]["inputArtifacts"] = json!([{ "name": "Nothing" }]);
    let folder = Folder::repository(&definition, &[]);
    let ran = folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&[
        "`pipeline.json` is not a legal pipeline definition",
        "stages[2].name",
        "stages[1].actions[1].name",
        "Nothing",
    ]);
    assert!(ran.err.lines().count() >= 4, "three problems and a heading: {}", ran.err);
    assert_eq!(ran.out, "");
    assert!(!folder.state().exists());
}

#[test]
fn broken_constraints_are_listed_with_their_paths() {
    let mut definition = pipeline("shop", vec![source(), stage("Build", vec![approval("Ask")])]);
    definition["pipeline"]["stages"][1]["name"] = json!("a/b");
    definition["pipeline"]["stages"][1]["actions"][0]["actionTypeId"]["category"] = json!("Fly");
    definition["pipeline"]["stages"][0]["actions"][0]["actionTypeId"]
        .as_object_mut()
        .unwrap()
        .remove("owner");
    let folder = Folder::repository(&definition, &[]);
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&[
        "pipeline.stages.2.member.name",
        "pipeline.stages.2.member.actions.1.member.actionTypeId.category",
        "pipeline.stages.1.member.actions.1.member.actionTypeId.owner",
    ]);
    assert!(!folder.state().exists());
}

#[test]
fn broken_json_is_shown_by_line_and_column() {
    let folder = Folder::new();
    folder.write("pipeline.json", "{\n  \"pipeline\": {\n    \"name\": \"shop\",,\n  }\n}\n");
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&["`pipeline.json`", "line 3, column 20"]);
    folder.write("pipeline.json", "name: [shop\n");
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&["`pipeline.json`", "line 1", "not YAML"]);
    for text in ["", "shop", "- a", "# nothing\n"] {
        folder.write("pipeline.json", text);
        folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&["holds no pipeline", "get-pipeline"]);
    }
    folder.write("pipeline.json", "{}");
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&["not a legal pipeline definition"]);
    folder.write("pipeline.json", "[1]");
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&["`pipeline.json`"]);
    std::fs::write(folder.at("pipeline.json"), b"\xff\xfe{}").unwrap();
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&["`pipeline.json`", "UTF-8"]);
    folder.towpath(&["run", "absent.json"]).exits(2).complains(&["`absent.json` cannot be read"]);
    folder.towpath(&["run", "."]).exits(2).complains(&["`.`"]);
    assert!(!folder.state().exists());
}

#[test]
fn a_buildspec_that_cannot_be_read_fails_the_build_with_line_and_column() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![build("Compile")])]);
    let spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo one\n     - echo two\n";
    let folder = Folder::repository(&definition, &[("buildspec.yml", spec)]);
    folder.towpath(&["run", "pipeline.json"]).exits(1).says(&["Build/Compile", "buildspec.yml:6:"]);
    let unknown = "version: 0.2\nphases:\n  biuld:\n    commands: [true]\n";
    let folder = Folder::repository(&definition, &[("buildspec.yml", unknown)]);
    folder.towpath(&["run", "pipeline.json"]).exits(1).says(&["buildspec.yml:3:", "biuld"]);
    let folder = Folder::repository(&definition, &[]);
    folder.towpath(&["run", "pipeline.json"]).exits(1).says(&["buildspec.yml"]);
}

#[test]
fn settings_that_cannot_be_read_are_shown_by_line_and_column_and_nothing_is_started() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    for (text, complaints) in [
        ("[codebuild.shop]\nbuildspce = \"x\"\n", ["towpath.toml", "2:1", "buildspce"]),
        ("[codebuild.shop]\ntimeout-minutes = \"ten\"\n", ["towpath.toml", "2:19", "\"ten\""]),
        ("[lambda.notify]\n", ["towpath.toml", "1:", "command"]),
        ("[sources\n", ["towpath.toml", "1:", "]"]),
    ] {
        folder.write("towpath.toml", text);
        folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&complaints);
    }
    folder.towpath(&["run", "pipeline.json", "--settings", "no.toml"]).exits(2).complains(&["no.toml"]);
    assert!(!folder.state().exists());
}
