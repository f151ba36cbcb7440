//! The stored and published contract: ids, events, and how they are written down.
//!
//! This crate is the leaf of the house. It imports nothing of the project, does no IO, and its types exist to
//! be stored: a refactoring of the rules must not change them.

mod ids;
mod shapes;

pub use ids::*;
pub use shapes::*;
