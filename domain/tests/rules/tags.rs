//! Tags of a pipeline.

use domain::{command::Wish, testing::*};

fn tag(tags: &[(&str, &str)]) -> Wish {
    Wish::TagPipeline { tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect() }
}

fn untag(keys: &[&str]) -> Wish {
    Wish::UntagPipeline { keys: keys.iter().map(|key| (*key).into()).collect() }
}

fn world() -> World {
    given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("Compile")]))
}

#[test]
fn tags_are_added_changed_and_taken_off() {
    let mut world = world();
    world.send(None, tag(&[("team", "a"), ("stage", "x")])).then(&["pipeline: PipelineTagged stage team"]);
    world.send(None, tag(&[("team", "b"), ("stage", "x")])).then(&["pipeline: PipelineTagged team"]);
    world.send(None, tag(&[("team", "b")])).then_nothing();
    world.send(None, untag(&["team", "none"])).then(&["pipeline: PipelineUntagged team"]);
    world.send(None, untag(&["team"])).then_nothing();
    assert_eq!(world.pipeline().tags.keys().collect::<Vec<_>>(), ["stage"]);
}

#[test]
fn a_new_version_keeps_the_tags_and_a_new_pipeline_of_the_name_has_none() {
    let mut world = world();
    world.send(None, tag(&[("team", "a")])).accepted();
    let definition = || pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("Compile")]);
    world.when_updated(definition()).accepted();
    assert_eq!(world.pipeline().tags.len(), 1);
    world.when_deleted().accepted();
    world.send(None, tag(&[("team", "a")])).then_refused("PipelineNotFound");
    world.send(None, untag(&["team"])).then_refused("PipelineNotFound");
    world.when_created(definition()).accepted();
    assert!(world.pipeline().tags.is_empty());
}

#[test]
fn the_fifty_first_tag_is_refused_and_another_value_is_no_further_tag() {
    let mut world = world();
    let fifty: Vec<String> = (0..50).map(|number| format!("k{number}")).collect();
    let fifty: Vec<(&str, &str)> = fifty.iter().map(|key| (key.as_str(), "")).collect();
    world.send(None, tag(&fifty)).accepted();
    world.send(None, tag(&[("more", "")])).then_refused("TooManyTags");
    world.send(None, tag(&[("k0", "other")])).accepted();
    assert_eq!(world.pipeline().tags.len(), 50);
}
