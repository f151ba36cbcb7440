//! The stored and published contract: ids, events, and how they are written down.
//!
//! This crate is the leaf of the house. It imports nothing of the project, does no IO, and its types exist to
//! be stored: a refactoring of the rules must not change them.

mod action_types;
pub mod codec;
mod definition;
mod execution;
mod ids;
mod jobs;
mod lane;
pub mod outbound;
mod pipeline;
mod policy;
mod shapes;
mod trigger;
mod webhook;

pub use action_types::*;
pub use definition::*;
pub use execution::*;
pub use ids::*;
pub use jobs::*;
pub use lane::*;
pub use pipeline::*;
pub use policy::*;
pub use shapes::*;
pub use trigger::*;
pub use webhook::*;
