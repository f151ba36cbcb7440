use super::*;
use std::process::Command;
use tempfile::TempDir;

fn git_in(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "init.defaultBranch=main"])
        .args(["-C", folder.to_str().unwrap()])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(folder: &Path) -> String {
    git_in(folder, &["commit", "-q", "--allow-empty", "-m", "x"]);
    git_in(folder, &["rev-parse", "HEAD"])
}

fn repository(init: &[&str]) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    git_in(dir.path(), &[&["init", "-q"], init].concat());
    let first = commit(dir.path());
    (dir, first)
}

fn watch_main(folder: &Path, last_seen: Option<String>) -> Watch {
    Watch::new("shop", &Source::Folder(folder.to_owned()), "main", last_seen).unwrap()
}

fn change(old: &str, new: &str) -> Option<Change> {
    Some(Change { key: "shop".into(), branch: "main".into(), old: Some(old.into()), new: new.into() })
}

#[tokio::test]
async fn a_commit_is_reported_once_and_what_was_there_is_not() {
    let (dir, first) = repository(&[]);
    let mut watch = watch_main(dir.path(), None);
    assert_eq!(watch.look().await, None);
    assert_eq!(watch.last_seen(), Some(first.as_str()));
    commit(dir.path());
    let third = commit(dir.path());
    assert_eq!(watch.look().await, change(&first, &third));
    assert_eq!(watch.look().await, None);
    git_in(dir.path(), &["checkout", "-q", "-b", "other"]);
    commit(dir.path());
    assert_eq!(watch.look().await, None);
}

#[tokio::test]
async fn what_moved_while_nobody_watched_is_reported_at_the_first_look() {
    let (dir, first) = repository(&[]);
    let second = commit(dir.path());
    assert_eq!(watch_main(dir.path(), Some(first.clone())).look().await, change(&first, &second));
}

#[tokio::test]
async fn packing_references_is_no_change_and_a_deleted_branch_is_none_either() {
    let (dir, first) = repository(&[]);
    let mut watch = watch_main(dir.path(), None);
    git_in(dir.path(), &["pack-refs", "--all", "--prune"]);
    assert_eq!(watch.look().await, None);
    git_in(dir.path(), &["checkout", "-q", "-b", "other"]);
    git_in(dir.path(), &["branch", "-D", "main"]);
    assert_eq!(watch.look().await, None);
    git_in(dir.path(), &["branch", "main"]);
    assert_eq!(watch.look().await, None);
    let second = commit(dir.path());
    git_in(dir.path(), &["branch", "-f", "main"]);
    assert_eq!(watch.look().await, change(&first, &second));
}

#[tokio::test]
async fn a_branch_that_comes_into_being_is_reported() {
    let (dir, first) = repository(&[]);
    let mut watch = Watch::new("shop", &Source::Folder(dir.path().to_owned()), "live/eu", None).unwrap();
    assert_eq!(watch.look().await, None);
    git_in(dir.path(), &["branch", "live/eu"]);
    let seen = watch.look().await.unwrap();
    assert_eq!((seen.old, seen.new), (None, first));
}

#[tokio::test]
async fn a_further_working_tree_and_a_subfolder_see_the_same_branches() {
    let (dir, first) = repository(&[]);
    let tree = tempfile::tempdir().unwrap();
    let tree = tree.path().join("tree");
    git_in(dir.path(), &["worktree", "add", "-q", tree.to_str().unwrap(), "-b", "topic"]);
    std::fs::create_dir(tree.join("sub")).unwrap();
    let mut watch = watch_main(&tree.join("sub"), None);
    let second = commit(dir.path());
    assert_eq!(watch.look().await, change(&first, &second));
}

#[tokio::test]
async fn a_push_to_a_bare_repository_is_seen() {
    let (dir, first) = repository(&[]);
    let bare = tempfile::tempdir().unwrap();
    git_in(dir.path(), &["clone", "-q", "--bare", ".", bare.path().to_str().unwrap()]);
    let mut watch = watch_main(bare.path(), None);
    let second = commit(dir.path());
    git_in(dir.path(), &["push", "-q", bare.path().to_str().unwrap(), "main"]);
    assert_eq!(watch.look().await, change(&first, &second));
}

#[tokio::test]
async fn a_repository_with_reference_tables_is_asked_through_git() {
    let (dir, first) = repository(&["--ref-format=reftable"]);
    for last_seen in [Some(first.clone()), None] {
        let mut watch = watch_main(dir.path(), last_seen);
        let old = git_in(dir.path(), &["rev-parse", "HEAD"]);
        assert_eq!(watch.look().await, None);
        let new = commit(dir.path());
        assert_eq!(watch.look().await, change(&old, &new));
        assert_eq!(watch.look().await, None);
    }
}

#[tokio::test]
async fn a_clone_url_is_asked_and_its_first_answer_is_remembered() {
    let (dir, first) = repository(&[]);
    let url = Source::Url(format!("file://{}", dir.path().display()));
    let mut watch = Watch::new("shop", &url, "main", None).unwrap();
    assert_eq!(watch.look().await, None);
    assert_eq!(watch.last_seen(), Some(first.as_str()));
    let second = commit(dir.path());
    assert_eq!(watch.look().await, change(&first, &second));
    std::fs::rename(dir.path().join(".git"), dir.path().join("gone")).unwrap();
    assert_eq!(watch.look().await, None);
    assert!(watch.problem().unwrap().starts_with("git could not ask `file://"), "{:?}", watch.problem());
    assert_eq!(watch.pause, URL_INTERVAL * 2);
}

#[test]
fn a_folder_outside_of_any_repository_cannot_be_watched() {
    let dir = tempfile::tempdir().unwrap();
    let watch = Watch::new("shop", &Source::Folder(dir.path().to_owned()), "main", None);
    assert!(matches!(watch, Err(WatchError::NotARepository(_))));
}
