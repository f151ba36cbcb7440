//! The part of the S3 protocol that carries artifacts: which call a request is, aws-chunked bodies, checksums,
//! ranges, conditions, XML. No IO, no async, no clock; signatures are [`crate::sigv4::s3`]'s.
//!
//! What an object is, and where it lies, is not known here.

pub mod checksum;
pub mod chunked;
mod conditions;
mod crc;
mod error;
mod request;
pub mod xml;

pub use conditions::{Conditions, Met, http_date, range};
pub use error::{S3Code, S3Error};
pub use request::{Call, Listing, PARTS_MAX, Query, Target};

/// Bytes of an object, most: what one part may have on S3 too.
pub const OBJECT_BYTES_MAX: u64 = 5 << 30;
/// Bytes of a `CompleteMultipartUpload` document, most: ten thousand parts with every checksum fit.
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;
