//! A run's history told to people: its events in words, why it is where it is, and how two runs differ.
//!
//! Everything here reads; nothing decides. The same answers serve the command line, the API and the console.

mod diff;
mod why;
mod words;

pub use diff::{Difference, Run, diff};
pub use why::{Cause, Neighbour, Subject, Why, why, why_pipeline};
pub(crate) use words::one_line;
pub use words::{execution_words, lane_words, pipeline_words, policy_words};
