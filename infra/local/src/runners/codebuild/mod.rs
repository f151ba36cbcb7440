//! CodeBuild.
mod buildspec;
mod shell;
mod yaml;
