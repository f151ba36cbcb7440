//! CodeDeploy for servers, on this machine: an appspec, hosts as folders, hook scripts as processes.

mod appspec;
mod lifecycle;
mod yaml;
