//! Definitions: what a pipeline is, whether it makes sense, and what its texts refer to.

mod declaration;
mod members;
pub mod variables;
pub mod versions;

pub use declaration::*;
pub use members::*;
