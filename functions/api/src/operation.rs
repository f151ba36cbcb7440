//! The operations: what is known about each without carrying it out.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::constraint::Shape;
use crate::model::{ApiException, EXCEPTIONS, OPERATIONS, Operation};
use crate::{ApiError, Code, validate};

/// One operation as the service model declares it.
#[derive(Debug)]
pub struct OperationModel {
    /// Name, as it stands behind the dot of `X-Amz-Target`.
    pub name: &'static str,
    /// Shape of the request body.
    pub input: &'static Shape,
    /// Shape of the answer; `None` means a body of zero length.
    pub output: Option<&'static Shape>,
    /// The errors it declares.
    pub errors: &'static [ApiException],
}

impl Operation {
    /// What the service model says about it.
    pub fn model(self) -> &'static OperationModel {
        // Generated side by side and in the same order, so the discriminant is the index.
        &OPERATIONS[self as usize]
    }

    /// Its name, such as `CreatePipeline`.
    pub fn name(self) -> &'static str {
        self.model().name
    }

    /// The operation of that name; case matters.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }
}

impl ApiException {
    /// Its name, such as `PipelineNotFoundException`.
    pub fn as_str(self) -> &'static str {
        EXCEPTIONS[self as usize]
    }
}

/// Ties an input structure to its operation and its output.
pub trait Request: Serialize + DeserializeOwned {
    /// The operation this is the input of.
    const OPERATION: Operation;
    /// What the operation answers; [`NoOutput`] if nothing.
    type Output: Serialize + DeserializeOwned;
}

/// The answer of an operation that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoOutput {}

/// Checks an input against the model's constraints, then decodes it.
///
/// # Errors
/// `ValidationException` or `SerializationException`, see [`validate`].
pub fn decode_input<R: Request>(input: Value) -> Result<R, ApiError> {
    validate(R::OPERATION, &input)?;
    // The check has seen every value that serde looks at, so a refusal here is a gap between the two.
    serde_json::from_value(input).map_err(|error| ApiError::new(Code::Serialization, error.to_string()))
}
