//! CodeBuild.
mod buildspec;
mod yaml;
