//! Definitions: what a pipeline is, whether it makes sense, and what its texts refer to.

mod declaration;
mod error;
mod members;
mod reading;
pub mod variables;
pub mod versions;

pub use declaration::*;
pub use error::{DefinitionError, DefinitionErrorCode};
pub use members::*;
pub use reading::parse;
