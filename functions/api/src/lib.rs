//! CodePipeline's wire contract: shapes, constraints, codec, signatures; and the part of S3's that carries
//! artifacts. No IO, no async, no clock.
//!
//! A request passes four gates, in this order; each refuses with the [`ApiError`] the service would send:
//! [`sigv4::verify`] (who asks), [`codec::decode`] (which operation, is it JSON), [`validate`] (the service
//! model's constraints), [`decode_input`] (typed). What an operation *does* is not known here.
//!
//! [`model`] is generated from the service model in `model/service-2.json` by `cargo xtask codegen`.

pub mod codec;
pub mod constraint;
mod error;
pub mod model;
mod operation;
mod patterns;
pub mod s3;
pub mod sigv4;
mod text_enum;
mod timestamp;
mod validate;

pub use error::{ApiError, Code};
pub use model::{ApiException, Operation};
pub use operation::{NoOutput, OperationModel, Request, decode_input};
pub use timestamp::Timestamp;
pub use validate::{
    Invalid, MESSAGE_BYTES_MAX, TypeMismatch, VIOLATIONS_LISTED_MAX, Violation, Violations, validate,
    validate_shape,
};
