//! CodeDeploy for servers, on this machine: an appspec, hosts as folders, hook scripts as processes.

mod appspec;
mod cleanup;
mod install;
mod lifecycle;
mod permissions;
mod root;
mod yaml;
