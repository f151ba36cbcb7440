//! The home on AWS: the ports over DynamoDB, S3, EventBridge, SNS and the services that carry out actions. Every call
//! goes through one signed client; no vendor SDK (`docs/adr/0012-home-on-aws.md`).

pub mod actions;
pub mod artifact_access;
pub mod claims;
pub mod client;
pub mod external;
pub mod item;
pub mod log;
pub mod outward;
pub mod secrets;
pub mod store;
pub mod views;
pub mod world;
