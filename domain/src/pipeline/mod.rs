//! Definitions: what a pipeline is, whether it makes sense, and what its texts refer to.

mod declaration;
mod error;
mod gates;
pub mod lint;
mod members;
mod reading;
pub mod secrets;
mod tags;
mod validation;
pub mod variables;
pub mod versions;

pub use declaration::*;
pub use error::{DefinitionError, DefinitionErrorCode};
pub use gates::*;
pub use members::*;
pub use reading::parse;
pub use tags::{Tag, check_tags, new_tags};
pub use validation::{Setting, check, check_all, normalize};
