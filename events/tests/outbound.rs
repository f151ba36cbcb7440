//! What is published is a contract as well: consumers of CodePipeline's events read it. The samples are read and
//! written back member by member.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use events::outbound::{ActionChange, ChangeDetail, PipelineChange, StageChange};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fs, path::Path};

fn check<T: DeserializeOwned + Serialize>(name: &str, wrap: fn(T) -> ChangeDetail) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/outbound").join(name);
    let sample: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let detail = wrap(serde_json::from_value(sample.clone()).unwrap());
    assert_eq!(serde_json::to_value(detail).unwrap(), sample, "{name}");
}

#[test]
fn published_details_have_codepipelines_shape() {
    check::<PipelineChange>("pipeline.json", ChangeDetail::Pipeline);
    check::<PipelineChange>("pipeline.connection.json", ChangeDetail::Pipeline);
    check::<StageChange>("stage.json", ChangeDetail::Stage);
    check::<ActionChange>("action.json", |change| ChangeDetail::Action(Box::new(change)));
    check::<ActionChange>("action.started.json", |change| ChangeDetail::Action(Box::new(change)));
}
