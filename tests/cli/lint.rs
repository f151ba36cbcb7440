//! `towpath lint`: what is said, where, in which form, and with which exit code.

use serde_json::{Value, json};
use tests::{
    folder::Folder,
    pipelines::{approval, build, commands, pipeline, source, stage},
};

/// Legal; with an error, a warning and notes.
fn troubled() -> Value {
    let mut say = commands("Say", &["echo #{variables.WHO}"]);
    say["environmentVariables"] = json!([{ "name": "DB_PASSWORD", "value": "correct-horse" }]);
    let mut definition =
        pipeline("shop", vec![source(), stage("Say", vec![say]), stage("Ask", vec![approval("Ask")])]);
    definition["pipeline"]["variables"] =
        json!([{ "name": "WHO", "defaultValue": "you" }, { "name": "IDLE", "defaultValue": "x" }]);
    definition
}

/// Legal, and as it should be.
fn clean() -> Value {
    let mut definition = pipeline("shop", vec![source(), stage("Say", vec![commands("Say", &["true"])])]);
    definition["pipeline"]["artifactStore"]["encryptionKey"] = json!({ "id": "alias/shop", "type": "KMS" });
    definition
}

fn folder(definition: &Value) -> Folder {
    let folder = Folder::new();
    folder.write("pipeline.json", &serde_json::to_string_pretty(definition).unwrap());
    folder
}

fn as_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The line of the file on which a text stands first, from 1.
fn line_of(folder: &Folder, text: &str) -> usize {
    1 + folder.read("pipeline.json").lines().position(|line| line.contains(text)).unwrap()
}

#[test]
fn findings_are_told_with_lines_reasons_and_remedies_and_no_secret() {
    let folder = folder(&troubled());
    let line = line_of(&folder, "correct-horse");
    let ran = folder.towpath(&["lint", "pipeline.json"]).exits(1).says(&[
        "pipeline.json\n",
        &format!("{line}:"),
        "error    hardcoded-secret",
        "at stages[1].actions[0].environmentVariables[0].value",
        "warning  unused-variable",
        "note     approval-without-timeout",
        "  why:  ",
        "  mend: ",
        "1 file: 1 error, 1 warning, 2 notes",
    ]);
    assert!(!ran.out.contains("correct-horse") && !ran.out.contains('\u{1b}'), "{}", ran.out);
    assert_eq!(ran.err, "");
    assert!(!folder.state().exists());
}

#[test]
fn the_exit_code_follows_the_denied_level() {
    let secret = folder(&troubled());
    secret.towpath(&["lint", "pipeline.json"]).exits(1);
    let warned = ["lint", "pipeline.json", "--allow", "hardcoded-secret"];
    secret.towpath(&warned).exits(0).says(&["unused-variable"]);
    secret.towpath(&[&warned[..], &["--deny", "warnings"]].concat()).exits(1);
    let noted = [&warned[..], &["--allow", "unused-variable"]].concat();
    secret.towpath(&[&noted[..], &["--deny", "warnings"]].concat()).exits(0);
    secret.towpath(&[&noted[..], &["--deny", "notes"]].concat()).exits(1);
    folder(&clean())
        .towpath(&["lint", "pipeline.json", "--deny", "notes"])
        .exits(0)
        .says(&["1 file: nothing found"]);
}

#[test]
fn rules_are_passed_over_by_the_settings_beside_each_definition() {
    let folder = folder(&troubled());
    folder.write("towpath.toml", "[lint]\nallow = [\"hardcoded-secret\", \"unused-variable\"]\n");
    let ran = folder.towpath(&["lint", "pipeline.json", "--deny", "warnings"]).exits(0);
    assert!(!ran.out.contains("hardcoded-secret"), "{}", ran.out);
    folder.write("towpath.toml", "[lint]\nallow = [\"hardcoded-secrets\"]\n");
    folder
        .towpath(&["lint", "pipeline.json"])
        .exits(2)
        .complains(&["`lint.allow`", "did you mean `hardcoded-secret`?"]);
    folder.write("towpath.toml", "");
    folder
        .towpath(&["lint", "pipeline.json", "--allow", "poling-source"])
        .exits(2)
        .complains(&["there is no rule `poling-source`; did you mean `polling-source`?"]);
}

#[test]
fn what_makes_a_definition_illegal_comes_first_and_cannot_be_passed_over() {
    let mut definition = troubled();
    definition["pipeline"]["stages"][2]["name"] = json!("Say");
    let folder = folder(&definition);
    let ran = folder
        .towpath(&["lint", "pipeline.json", "--format", "json", "--allow", "hardcoded-secret"])
        .exits(2);
    let report = as_json(&ran.out);
    let findings = report["files"][0]["findings"].as_array().unwrap();
    assert_eq!(report["files"][0]["legal"], false);
    assert_eq!(findings[0]["rule"], "InvalidStageDeclarationException");
    assert_eq!(findings[0]["path"], "stages[2].name");
    assert!(findings.len() > 1, "the rules are asked nevertheless");
}

#[test]
fn files_that_cannot_be_read_do_not_keep_others_from_being_told() {
    let folder = folder(&troubled());
    folder.write("broken.json", "{\n  \"name\": \"shop\",,\n}\n");
    folder.write("short.json", "{ \"name\": \"a/b\", \"stages\": 7 }");
    let mut wrong = clean();
    wrong["pipeline"]["stages"][1]["name"] = json!("S/y");
    folder.write("wrong.json", &wrong.to_string());
    let files = ["broken.json", "absent.json", "short.json", "wrong.json", "pipeline.json"];
    let ran = folder.towpath(&[&["lint", "--format", "json"][..], &files].concat()).exits(2);
    let report = as_json(&ran.out);
    let first = |index: usize| &report["files"][index]["findings"][0];
    assert_eq!(first(0)["rule"], "unreadable-definition");
    assert_eq!((&first(0)["line"], &first(0)["column"]), (&json!(2), &json!(18)));
    assert_eq!(first(1)["rule"], "unreadable-definition");
    assert_eq!(first(2)["rule"], "SerializationException");
    assert_eq!(first(2)["path"], "stages");
    assert_eq!(first(3)["rule"], "ValidationException");
    assert_eq!(first(3)["path"], "stages[1].name");
    assert_eq!(report["files"][4]["legal"], true);
    assert_eq!(report["files"][4]["pipeline"], "shop");
}

#[test]
fn the_json_report_has_the_members_it_promises() {
    let folder = folder(&troubled());
    let report = as_json(&folder.towpath(&["lint", "pipeline.json", "--format", "json"]).exits(1).out);
    assert_eq!(report["version"], 1);
    assert_eq!((&report["errors"], &report["warnings"], &report["notes"]), (&json!(1), &json!(1), &json!(2)));
    let findings = report["files"][0]["findings"].as_array().unwrap();
    let mut members: Vec<&str> = findings[0].as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["column", "line", "mend", "message", "path", "rule", "severity", "why"]);
    let lines: Vec<u64> = findings.iter().map(|finding| finding["line"].as_u64().unwrap()).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    let secret = findings.iter().find(|finding| finding["rule"] == "hardcoded-secret").unwrap();
    assert_eq!(secret["line"], line_of(&folder, "correct-horse"));
    assert_eq!(secret["severity"], "error");
}

#[test]
fn the_sarif_report_has_what_the_standard_requires() {
    let folder = folder(&troubled());
    folder.write("a b/p#1.json", "{");
    let ran = folder.towpath(&["lint", "--format", "sarif", "pipeline.json", "a b/p#1.json"]).exits(2);
    assert!(!ran.out.contains("correct-horse"));
    let log = as_json(&ran.out);
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    let [run] = &log["runs"].as_array().unwrap()[..] else { panic!("one run") };
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "towpath");
    let rules = driver["rules"].as_array().unwrap();
    for rule in rules {
        assert!(!rule["shortDescription"]["text"].as_str().unwrap().is_empty(), "{rule}");
        let level = rule["defaultConfiguration"]["level"].as_str().unwrap();
        assert!(["note", "warning", "error"].contains(&level), "{rule}");
    }
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 5);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(["pipeline.json", "a%20b/p%231.json"].contains(&uri), "{uri}");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        assert!(place["region"]["startColumn"].as_u64().unwrap() >= 1);
    }
}

#[test]
fn a_definition_is_read_for_the_region_that_suits_it() {
    let mut definition = pipeline("shop", vec![source(), stage("Ask", vec![approval("Ask")])]);
    definition["pipeline"]["stages"][1]["actions"][0]["configuration"]["NotificationArn"] =
        json!("arn:aws:sns:eu-west-1:123456789012:gates");
    let folder = folder(&definition);
    folder.towpath(&["lint", "pipeline.json"]).exits(0);
    folder
        .towpath(&["lint", "pipeline.json", "--region", "eu-north-1"])
        .exits(2)
        .says(&["not in the same region"]);
}

#[test]
fn custom_action_types_are_taken_to_exist() {
    let mut forge = build("Forge");
    forge["actionTypeId"] =
        json!({ "category": "Build", "owner": "Custom", "provider": "Jenkins", "version": "1" });
    folder(&pipeline("shop", vec![source(), stage("Build", vec![forge])]))
        .towpath(&["lint", "pipeline.json"])
        .exits(0);
}

#[test]
fn the_rules_are_listed_without_reading_a_file() {
    let folder = Folder::new();
    folder.towpath(&["lint", "--list-rules"]).exits(0).says(&["polling-source (warning)", "mend:"]);
    let rules = as_json(&folder.towpath(&["lint", "--list-rules", "--format", "json"]).exits(0).out);
    assert!(rules["rules"].as_array().unwrap().iter().any(|rule| rule["rule"] == "hardcoded-secret"));
    folder.towpath(&["lint"]).exits(2).complains(&["<FILE>"]);
    folder.towpath(&["lint", "--format", "md", "x.json"]).exits(2).complains(&["--list-rules"]);
    folder.towpath(&["lint", "--list-rules", "--format", "sarif"]).exits(2).complains(&["no SARIF"]);
}
