//! A deployment group as the settings describe it, checked before anything happens.

use super::{appspec::FileExists, policy::Config};
use crate::settings::{DeploymentGroup, DeploymentStyle, Host, LoadBalancer, Settings};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Characters of a host's name; it names a folder.
const HOST_NAME_CHARS_MAX: usize = 100;

/// A checked deployment group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) application: String,
    pub(super) name: String,
    /// A UUID that is always the same for the same application and group.
    pub(super) id: String,
    pub(super) hosts: Vec<Host>,
    /// Empty unless the style is blue/green.
    pub(super) replacement_hosts: Vec<Host>,
    pub(super) config: Config,
    pub(super) auto_rollback: bool,
    pub(super) file_exists: FileExists,
    pub(super) load_balancer: Option<LoadBalancer>,
    pub(super) settings: DeploymentGroup,
}

impl Group {
    /// The group of an action's configuration. Errors are sentences for people.
    pub(super) fn resolve(
        settings: &Settings,
        state: &Path,
        application: &str,
        name: &str,
    ) -> Result<Self, String> {
        let key = format!("{application}/{name}");
        let given = settings.codedeploy.get(&key).cloned().unwrap_or_default();
        let blue_green = given.style == DeploymentStyle::BlueGreen;
        let mut hosts = given.hosts.clone();
        if hosts.is_empty() {
            hosts.push(default_host(state, application, name)?);
        }
        let replacement_hosts = if blue_green { given.replacement_hosts.clone() } else { Vec::new() };
        if blue_green && replacement_hosts.is_empty() {
            return Err(format!(
                "NO_INSTANCES: deployment group `{key}` is blue-green and has no replacement hosts: add \
                 `replacement-hosts` to `[codedeploy.\"{key}\"]`"
            ));
        }
        check_names(&key, hosts.iter().chain(&replacement_hosts))?;
        let config = match given.config.as_deref() {
            None => Config::default(),
            Some(word) => Config::parse(word).ok_or_else(|| {
                format!(
                    "deployment group `{key}`: `config` is `{word}`; expected one of {}",
                    Config::NAMES.join(", ")
                )
            })?,
        };
        let file_exists = match given.file_exists_behavior.as_deref() {
            None => FileExists::default(),
            Some(word) => FileExists::parse(word).ok_or_else(|| {
                format!(
                    "deployment group `{key}`: `file-exists-behavior` is `{word}`; expected DISALLOW, \
                     OVERWRITE or RETAIN"
                )
            })?,
        };
        Ok(Self {
            id: group_id(&key),
            application: application.to_owned(),
            name: name.to_owned(),
            hosts,
            replacement_hosts,
            config,
            auto_rollback: given.auto_rollback.unwrap_or(true),
            file_exists,
            load_balancer: given.load_balancer.clone(),
            settings: given,
        })
    }

    /// `application/group`, as `towpath.toml` names it.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.application, self.name)
    }

    /// Whether new hosts replace old ones.
    pub(super) fn blue_green(&self) -> bool {
        !self.replacement_hosts.is_empty()
    }

    /// Every host of both sets.
    pub(super) fn all_hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().chain(&self.replacement_hosts)
    }
}

fn default_host(state: &Path, application: &str, name: &str) -> Result<Host, String> {
    let folder = format!("{application}-{name}");
    if folder.contains(['/', '\\', '\0']) || folder.starts_with('.') {
        return Err(format!(
            "`{application}/{name}` cannot name a folder: give the group hosts of its own in `towpath.toml`"
        ));
    }
    let root: PathBuf = state.join("hosts").join(folder).join("host1");
    Ok(Host { name: "host1".to_owned(), root, ..Host::default() })
}

fn check_names<'a>(key: &str, hosts: impl Iterator<Item = &'a Host>) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for Host { name, .. } in hosts {
        let legal = (1..=HOST_NAME_CHARS_MAX).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !legal {
            return Err(format!(
                "deployment group `{key}`: `{name}` cannot be a host's name: use 1 to {HOST_NAME_CHARS_MAX} \
                 letters, digits, `.`, `_` or `-`, not starting with `.`"
            ));
        }
        if !names.insert(name) {
            return Err(format!("deployment group `{key}` has two hosts named `{name}`"));
        }
    }
    Ok(())
}

/// Made from the name instead of drawn and stored: there is no file to lose it with.
fn group_id(key: &str) -> String {
    let digest = Sha256::digest(format!("towpath deployment group {key}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(group: DeploymentGroup) -> Result<Group, String> {
        let settings =
            Settings { codedeploy: [("shop/prod".to_owned(), group)].into(), ..Settings::default() };
        Group::resolve(&settings, Path::new("/state"), "shop", "prod")
    }

    #[test]
    fn a_group_without_settings_has_one_host_under_the_state_folder() {
        let group = Group::resolve(&Settings::default(), Path::new("/state"), "shop", "prod").unwrap();
        assert_eq!(group.hosts[0].root, Path::new("/state/hosts/shop-prod/host1"));
        assert_eq!(
            group.id,
            Group::resolve(&Settings::default(), Path::new("/x"), "shop", "prod").unwrap().id
        );
        assert!(group.auto_rollback && !group.blue_green());
        assert!(Group::resolve(&Settings::default(), Path::new("/state"), "../x", "prod").is_err());
    }

    #[test]
    fn settings_that_cannot_work_are_told() {
        let host = |name: &str| Host { name: name.to_owned(), ..Host::default() };
        for (group, expected) in [
            (DeploymentGroup { config: Some("Slow".into()), ..Default::default() }, "`config` is `Slow`"),
            (
                DeploymentGroup { file_exists_behavior: Some("KEEP".into()), ..Default::default() },
                "expected DISALLOW",
            ),
            (DeploymentGroup { hosts: vec![host("a/b")], ..Default::default() }, "cannot be a host's name"),
            (
                DeploymentGroup { hosts: vec![host("a"), host("a")], ..Default::default() },
                "two hosts named `a`",
            ),
            (DeploymentGroup { style: DeploymentStyle::BlueGreen, ..Default::default() }, "NO_INSTANCES"),
        ] {
            let told = resolve(group).unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
    }
}
