//! Repositories behind a clone URL: a bare copy under the state folder that keeps what was fetched before.

use super::{
    configuration, disk,
    git::{Git, Place, Wanted, listed},
    shown_url, system, unavailable,
};
use engine::action::Failure;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, TryLockError},
    path::Path,
    time::Duration,
};

/// How often to look whether another run is done with the copy.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Brings the copy up to date with what is wanted, and says where it lies.
pub(super) async fn fetch(git: &Git, state: &Path, url: &str, wanted: &Wanted) -> Result<Place, Failure> {
    let digest: String = Sha256::digest(url).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = state.join("git");
    let root = folder.join(format!("{digest}.git"));
    fs::create_dir_all(&folder).map_err(|error| disk(&folder, error))?;
    let _lock = lock(git, &folder.join(format!("{digest}.lock"))).await?;
    if !root.join("HEAD").is_file() {
        // A copy that was being made when the machine stopped is made again.
        if root.exists() {
            fs::remove_dir_all(&root).map_err(|error| disk(&root, error))?;
        }
        let made = git
            .run(&folder, ["init", "--quiet", "--bare", "--"].map(Path::new).into_iter().chain([&*root]))
            .await?;
        if !made.succeeded {
            return Err(system(format!("git could not make `{}`: {}", root.display(), made.stderr)));
        }
    }
    match wanted {
        Wanted::Branch(branch) => fetch_branch(git, &root, url, branch).await?,
        Wanted::Revision(revision) => fetch_revision(git, &root, url, revision).await?,
    }
    Ok(Place { root, subfolder: String::new(), bare: true })
}

async fn fetch_branch(git: &Git, root: &Path, url: &str, branch: &str) -> Result<(), Failure> {
    let refspec = format!("+refs/heads/{branch}:refs/heads/{branch}");
    let fetched = git.run(root, fetch_args(&["--depth=1"], url, &[&refspec])).await?;
    if fetched.succeeded {
        return Ok(());
    }
    // Whether the branch or the whole repository is missing, git says in words only; so it is asked again.
    let there = branches(git, root, url).await?;
    match there.iter().any(|name| name == branch) {
        true => Err(unreachable(url, &fetched.stderr)),
        false if there.is_empty() => Err(unavailable(format!("`{}` has no branches yet.", shown_url(url)))),
        false => Err(unavailable(format!(
            "There is no branch `{branch}` in `{}`. There are: {}. Name one of them as `BranchName`, or run a \
             certain commit with `--from-commit <commit>`.",
            shown_url(url),
            listed(&there)
        ))),
    }
}

async fn fetch_revision(git: &Git, root: &Path, url: &str, revision: &str) -> Result<(), Failure> {
    if is_commit_id(revision) {
        let object = format!("{revision}^{{commit}}");
        if git.run(root, ["cat-file", "-e", &object]).await?.succeeded {
            return Ok(());
        }
        let refspec = format!("+{revision}:refs/towpath/{revision}");
        if git.run(root, fetch_args(&["--depth=1"], url, &[&refspec])).await?.succeeded {
            return Ok(());
        }
    }
    // Some servers hand out branches only, and a short or symbolic name means nothing to any: all of it, then.
    let whole: &[&str] = if root.join("shallow").exists() { &["--unshallow"] } else { &[] };
    let refspecs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
    let fetched = git.run(root, fetch_args(whole, url, &refspecs)).await?;
    match fetched.succeeded {
        true => Ok(()),
        false => Err(unreachable(url, &fetched.stderr)),
    }
}

fn is_commit_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn fetch_args<'a>(options: &[&'a str], url: &'a str, refspecs: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
    [&fixed, options, &["--", url], refspecs].concat()
}

async fn branches(git: &Git, root: &Path, url: &str) -> Result<Vec<String>, Failure> {
    let heads = git.run(root, ["ls-remote", "--heads", "--", url]).await?;
    if !heads.succeeded {
        return Err(unreachable(url, &heads.stderr));
    }
    let text = String::from_utf8_lossy(&heads.stdout);
    Ok(text
        .lines()
        .filter_map(|line| line.split_once("\trefs/heads/"))
        .map(|(_, name)| name.to_owned())
        .collect())
}

fn unreachable(url: &str, stderr: &str) -> Failure {
    let shown = shown_url(url);
    configuration(format!("git could not fetch from `{shown}`: {}", stderr.replace(url, &shown)))
}

/// One run at a time works in a copy. The lock goes with the file handle, also when this process dies.
async fn lock(git: &Git, path: &Path) -> Result<File, Failure> {
    let file = File::create(path).map_err(|error| disk(path, error))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => git.bounded(tokio::time::sleep(LOCK_POLL)).await?,
            Err(TryLockError::Error(error)) => return Err(disk(path, error)),
        }
    }
}
