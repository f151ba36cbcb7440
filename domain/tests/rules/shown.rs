//! What `GetPipelineState` shows of an action, as its row holds it.

use domain::{
    testing::*,
    views::pipeline_state::{ACTION_PREFIX, ActionRow, rows},
};
use events::{ExecutionEvent, Version, codec::Stored};
use serde_json::json;

#[test]
fn a_row_that_an_earlier_version_wrote_reads_like_one_of_today() {
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("A")]));
    world.start("e1");
    world.succeed("e1", "Src");
    world.when_fails("e1", "A").accepted();
    let run = world.run("e1");
    let attempt = &run.stages[1].attempts[0];
    let failed = json!({
        "stage": "Build", "action": "A", "action_execution": attempt.action_execution, "code": "JobFailed", "message": "",
    });
    let failed = ExecutionEvent::decode("ActionFailed", 1, &failed.to_string()).unwrap();
    let made = rows(&execution_id("e1"), run, Version(9), [&failed]);
    let row = made.iter().find(|row| row.q == format!("{ACTION_PREFIX}Build/A")).unwrap();
    let today: ActionRow<'_> = serde_json::from_str(row.body.as_deref().unwrap()).unwrap();
    // With everything that is known of the attempt.
    let earlier = json!({ "execution": execution_id("e1"), "attempt": attempt }).to_string();
    assert_eq!(serde_json::from_str::<ActionRow<'_>>(&earlier).unwrap(), today);
    assert_eq!(today.attempt.error.as_deref(), attempt.error.as_ref());
}
