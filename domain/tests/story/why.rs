//! Why runs are where they are, after every step of them: `why.txt` holds the answers, word for word.

use crate::{check, runs};
use domain::{
    story::{Subject, Why, why},
    testing::*,
};
use events::Timestamp;
use std::{collections::BTreeMap, fmt::Write};

fn answer(world: &World, run: &str, now: Timestamp) -> Why {
    let id = execution_id(run);
    let (lane, pipeline) = (world.lane(), world.pipeline());
    let subject = Subject { id: &id, execution: world.run(run), lane, pipeline, now };
    why(&subject, |id| world.exists(id.as_str()).then(|| world.run(id.as_str())))
}

#[test]
fn after_each_step_it_is_said_of_each_run_why_it_is_where_it_is() {
    let mut text = String::new();
    let mut title = "";
    let mut said = BTreeMap::new();
    runs::all(&mut |moment| {
        if title != moment.title {
            title = moment.title;
            said.clear();
            writeln!(text, "# {title}").unwrap();
        }
        writeln!(text, "\n{}", moment.step).unwrap();
        for run in moment.world.runs() {
            // What is only later than it was before is not said again.
            let lasting = answer(moment.world, &run, Timestamp(0));
            if said.get(&run) == Some(&lasting) {
                continue;
            }
            said.insert(run.clone(), lasting);
            let Why { cause, sentence, because, next } = answer(moment.world, &run, moment.world.now);
            writeln!(text, "  {run} {cause:?}: {sentence}").unwrap();
            because.iter().for_each(|reason| writeln!(text, "    because {reason}").unwrap());
            next.iter().for_each(|step| writeln!(text, "    next: {step}").unwrap());
        }
    });
    check("why.txt", &text);
}
