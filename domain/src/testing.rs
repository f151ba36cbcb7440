//! given / when / then for the rules, and a small world that carries out effects in memory.
//!
//! ```
//! use domain::testing::*;
//!
//! let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", [action("Compile")]));
//! world.start("e1");
//! world
//!     .when_succeeds("e1", "Src")
//!     .then(&[
//!         "lane: StageReleased Source e1",
//!         "lane: StageHeld Build e1",
//!         "e1: ActionSucceeded Source/Src",
//!         "e1: StageSucceeded Source",
//!         "e1: StageStarted Build",
//!         "e1: ActionStarted Build/Compile",
//!     ]);
//! ```
//!
//! Every command sent through [`World`] is also held against the laws of the core: see [`laws`].
//! A harness may panic: that is how it says that a test failed.

mod definition;
pub mod faults;
pub mod laws;
mod outcome;
mod rules;
mod words;
mod world;

pub use definition::{
    ActionBuilder, PipelineBuilder, RuleBuilder, action, approval, custom, custom_source, deploy, function,
    pipeline, rule, source,
};
pub use outcome::Outcome;
pub use words::{decision_lines, execution_line, lane_line, pipeline_line};
pub use world::{World, execution_id, given, stage_name};
