//! Custom action types: created, deleted, brought back; and registered ones declared anew.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use domain::{
    Rejection,
    catalogue::{
        Registry,
        custom::{ActionTypeWish, ActionTypes, CustomDefinition, link},
        integration::Integration,
    },
    command::Context,
};
use events::{
    ActionCategory, ActionOwner, ActionTypeId, ActionTypeProperty, ActionTypeSettings, ActionTypesEvent,
    Timestamp,
};
use serde_json::json;
use std::collections::BTreeMap;

fn property(name: &str) -> ActionTypeProperty {
    ActionTypeProperty {
        name: name.into(),
        required: true,
        key: true,
        secret: false,
        queryable: None,
        description: None,
        kind: None,
    }
}

fn jenkins() -> CustomDefinition {
    CustomDefinition {
        id: ActionTypeId {
            category: ActionCategory::Build,
            owner: ActionOwner::Custom,
            provider: "Jenkins".into(),
            version: "1".into(),
        },
        settings: ActionTypeSettings::default(),
        properties: vec![ActionTypeProperty { queryable: Some(true), ..property("ProjectName") }],
        inputs: (0, 5),
        outputs: (0, 5),
    }
}

fn decide(types: &mut ActionTypes, wish: ActionTypeWish) -> Result<Vec<ActionTypesEvent>, Rejection> {
    let context = Context {
        now: Timestamp(5),
        actor: "ann",
        command_id: "c",
        region: "us-east-1",
        policy: &events::EXACT,
    };
    let decided = types.decide(&wish, context)?;
    for event in &decided {
        domain::testing::laws::round_trip(event).unwrap();
        types.evolve(event, Timestamp(5));
    }
    let snapshot = serde_json::to_string(types).unwrap();
    assert_eq!(serde_json::from_str::<ActionTypes>(&snapshot).unwrap(), *types, "a snapshot reads back");
    Ok(decided)
}

fn create(types: &mut ActionTypes, definition: CustomDefinition) -> Result<usize, Rejection> {
    let wish = ActionTypeWish::Create { definition: Box::new(definition), tags: BTreeMap::new() };
    decide(types, wish).map(|events| events.len())
}

#[track_caller]
fn invalid(definition: CustomDefinition, words: &str) {
    match create(&mut ActionTypes::default(), definition) {
        Err(Rejection::InvalidActionType { message }) => assert!(message.contains(words), "{message}"),
        other => panic!("not refused with `{words}`: {other:?}"),
    }
}

#[test]
fn a_type_is_created_once_and_the_same_again_is_nothing_new() {
    let mut types = ActionTypes::default();
    assert_eq!(create(&mut types, jenkins()), Ok(1));
    assert_eq!(create(&mut types, jenkins()), Ok(0));
    let other = CustomDefinition { outputs: (0, 4), ..jenkins() };
    assert_eq!(create(&mut types, other), Err(Rejection::ActionTypeAlreadyExists { id: jenkins().id }));
}

#[test]
fn a_deleted_type_is_gone_and_only_the_same_definition_brings_it_back() {
    let mut types = ActionTypes::default();
    create(&mut types, jenkins()).unwrap();
    let delete = || ActionTypeWish::Delete { id: jenkins().id };
    assert_eq!(decide(&mut types, delete()).unwrap().len(), 1);
    assert!(types.custom(&jenkins().id).is_none());
    assert_eq!(decide(&mut types, delete()), Ok(Vec::new()));
    match create(&mut types, CustomDefinition { outputs: (0, 4), ..jenkins() }) {
        Err(Rejection::InvalidActionType { message }) => {
            assert!(
                message.ends_with("has been deleted. Create a new version of the action type."),
                "{message}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(create(&mut types, jenkins()), Ok(1));
    assert!(types.custom(&jenkins().id).is_some());
}

#[test]
fn fewest_artifacts_are_not_more_than_most() {
    let words = "Maximum Number of Artifacts (1) has to be greater than or equal to minimum (2).";
    invalid(CustomDefinition { inputs: (2, 1), ..jenkins() }, words);
    invalid(CustomDefinition { outputs: (2, 1), ..jenkins() }, words);
}

#[test]
fn one_property_is_queryable_at_most_and_it_is_required_and_shown() {
    let queryable = |name| ActionTypeProperty { queryable: Some(true), ..property(name) };
    let with = |properties| CustomDefinition { properties, ..jenkins() };
    invalid(
        with(vec![queryable("a"), queryable("b")]),
        "Multiple queryable configuration properties found with names 'a, b'. Up to one queryable property may be specified.",
    );
    for bad in [
        ActionTypeProperty { required: false, ..queryable("a") },
        ActionTypeProperty { secret: true, ..queryable("a") },
    ] {
        invalid(
            with(vec![bad]),
            "Invalid queryable property 'a'. Queryable configuration properties must be required and non-secret.",
        );
    }
    invalid(with(vec![property("a"), property("a")]), "'a' is given more than once");
}

#[test]
fn links_use_only_properties_that_have_a_value_to_show() {
    let with = |template: &str| CustomDefinition {
        settings: ActionTypeSettings { entity_url_template: Some(template.into()), ..Default::default() },
        ..jenkins()
    };
    assert_eq!(create(&mut ActionTypes::default(), with("https://ci/{Config:ProjectName}/{x}")), Ok(1));
    invalid(with("https://ci/{Config:Other}"), "'Other'");
    let configuration = BTreeMap::from([("ProjectName".to_owned(), "shop".to_owned())]);
    let made = |template, id| link(template, &configuration, id);
    let template = "https://ci/{Config:ProjectName}/{ExternalExecutionId}/{odd}{";
    assert_eq!(made(template, Some("7")).as_deref(), Some("https://ci/shop/7/{odd}{"));
    assert_eq!(made(template, None), None);
    assert_eq!(made("{Config:Other}", None), None);
}

#[test]
fn no_worker_can_approve() {
    for category in [ActionCategory::Approval, ActionCategory::Compute] {
        invalid(CustomDefinition { id: ActionTypeId { category, ..jenkins().id }, ..jenkins() }, "category");
    }
}

#[test]
fn an_account_has_fifty_types_and_deleting_makes_room() {
    let mut types = ActionTypes::default();
    let numbered = |number: usize| CustomDefinition {
        id: ActionTypeId { version: number.to_string(), ..jenkins().id },
        ..jenkins()
    };
    for number in 0..50 {
        create(&mut types, numbered(number)).unwrap();
    }
    assert_eq!(create(&mut types, numbered(50)), Err(Rejection::TooManyActionTypes { limit: 50 }));
    decide(&mut types, ActionTypeWish::Delete { id: numbered(0).id }).unwrap();
    assert_eq!(create(&mut types, numbered(50)), Ok(1));
    assert_eq!(create(&mut types, numbered(0)), Err(Rejection::TooManyActionTypes { limit: 50 }));
}

#[test]
fn tags_come_and_go_with_the_type() {
    let mut types = ActionTypes::default();
    let id = jenkins().id;
    let tag = |count: usize| ActionTypeWish::Tag {
        id: jenkins().id,
        tags: (0..count).map(|number| (format!("k{number}"), "v".to_owned())).collect(),
    };
    assert!(matches!(decide(&mut types, tag(1)), Err(Rejection::ActionTypeNotFound { .. })));
    create(&mut types, jenkins()).unwrap();
    assert_eq!(decide(&mut types, tag(50)).unwrap().len(), 1);
    assert_eq!(decide(&mut types, tag(50)), Ok(Vec::new()));
    assert!(matches!(decide(&mut types, tag(51)), Err(Rejection::TooManyTags { .. })));
    let untag = || ActionTypeWish::Untag { id: jenkins().id, keys: vec!["k0".into(), "absent".into()] };
    assert_eq!(decide(&mut types, untag()).unwrap().len(), 1);
    assert_eq!(decide(&mut types, untag()), Ok(Vec::new()));
    assert_eq!(types.custom(&id).unwrap().tags.len(), 49);
}

fn registered() -> Integration {
    serde_json::from_value(json!({
        "id": { "category": "Test", "owner": "ThirdParty", "provider": "Inspector", "version": "1" },
        "executor": { "type": "JobWorker", "configuration": {} },
        "inputArtifactDetails": { "minimumCount": 1, "maximumCount": 1 },
        "outputArtifactDetails": { "minimumCount": 0, "maximumCount": 0 },
        "properties": [
            { "name": "Suite", "optional": false, "key": true, "noEcho": false },
            { "name": "Note", "optional": true, "key": false, "noEcho": false },
        ],
    }))
    .unwrap()
}

fn update(types: &mut ActionTypes, change: impl FnOnce(&mut Integration)) -> Result<usize, Rejection> {
    let mut declaration = types.updated.values().next().cloned().unwrap_or_else(registered);
    change(&mut declaration);
    let wish =
        ActionTypeWish::Update { registered: Box::new(registered()), declaration: Box::new(declaration) };
    decide(types, wish).map(|events| events.len())
}

#[test]
fn what_a_property_of_a_registered_type_says_pipelines_are_checked_by() {
    let mut declared = registered();
    declared.properties[0].queryable = Some(true);
    declared.properties[1].queryable = Some(false);
    declared.properties[1].no_echo = true;
    let of: Vec<_> = declared
        .action_type()
        .properties
        .iter()
        .map(|it| (it.name.to_string(), it.required, it.key, it.secret, it.queryable))
        .collect();
    assert_eq!(of, [("Suite".into(), true, true, false, true), ("Note".into(), false, false, true, false)]);
}

#[test]
fn a_registered_type_may_grow_but_pipelines_that_were_legal_stay_so() {
    let mut types = ActionTypes::default();
    let mut base = Registry::builtin();
    base.register_integration(registered());
    assert_eq!(update(&mut types, |_| {}), Ok(0));
    let grow = |of: &mut Integration| {
        let mut added = of.properties[1].clone();
        added.name = "Depth".into();
        of.properties.push(added);
    };
    assert_eq!(update(&mut types, grow), Ok(1));
    let known = types.registry(&base);
    assert!(known.find(&registered().id).unwrap().property("Depth").is_some());
    let refusals: [fn(&mut Integration); 4] = [
        |of| of.properties[1].optional = false,
        |of| drop(of.properties.remove(0)),
        |of| of.executor = json!({ "type": "Lambda", "configuration": {} }),
        |of| of.input_artifact_details.maximum_count = 0,
    ];
    for refusal in refusals {
        assert!(matches!(update(&mut types, refusal), Err(Rejection::ActionTypeUpdateRefused { .. })));
    }
    assert!(
        types.registry(&Registry::builtin()).find(&registered().id).is_none(),
        "what the operator took away does not come back by an update"
    );
}

#[test]
fn pipelines_are_checked_by_the_types_there_are() {
    let mut types = ActionTypes::default();
    let base = Registry::builtin();
    assert!(types.registry(&base).find(&jenkins().id).is_none());
    create(&mut types, jenkins()).unwrap();
    let registry = types.registry(&base);
    assert_eq!(registry.find(&jenkins().id).unwrap().queryable(), Some("ProjectName"));
    decide(&mut types, ActionTypeWish::Delete { id: jenkins().id }).unwrap();
    assert!(types.registry(&base).find(&jenkins().id).is_none());
}
