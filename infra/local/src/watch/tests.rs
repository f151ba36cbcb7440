use super::*;
use crate::settings::Settings;
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

fn watching(folder: &Path, last_seen: Option<Seen>) -> Watch {
    Watch::new("shop", &Source::Folder(folder.to_owned()), last_seen).unwrap()
}

fn moved(name: &str, old: Option<&str>, new: Option<&str>) -> Change {
    Change { name: name.into(), old: old.map(Into::into), new: new.map(Into::into) }
}

fn main_moved(old: &str, new: &str) -> Vec<Change> {
    vec![moved("refs/heads/main", Some(old), Some(new))]
}

#[tokio::test]
async fn a_commit_is_reported_once_and_what_was_there_is_not() {
    let (dir, first) = repository(&[]);
    let mut watch = watching(dir.path(), None);
    assert_eq!(watch.look().await, []);
    assert_eq!(watch.last_seen().unwrap()["refs/heads/main"], first);
    commit(dir.path());
    let third = commit(dir.path());
    assert_eq!(watch.look().await, main_moved(&first, &third));
    assert_eq!(watch.look().await, []);
    git_in(dir.path(), &["checkout", "-q", "-b", "topic/one"]);
    assert_eq!(watch.look().await, [moved("refs/heads/topic/one", None, Some(&third))]);
    git_in(dir.path(), &["tag", "v1"]);
    assert_eq!(watch.look().await, [moved("refs/tags/v1", None, Some(&third))]);
    git_in(dir.path(), &["tag", "-d", "v1"]);
    assert_eq!(watch.look().await, [moved("refs/tags/v1", Some(&third), None)]);
}

#[tokio::test]
async fn what_moved_while_nobody_watched_is_reported_at_the_first_look() {
    let (dir, first) = repository(&[]);
    let second = commit(dir.path());
    let known = Seen::from([("refs/heads/main".into(), first.clone())]);
    assert_eq!(watching(dir.path(), Some(known)).look().await, main_moved(&first, &second));
}

#[tokio::test]
async fn packing_references_is_no_change() {
    let (dir, first) = repository(&[]);
    git_in(dir.path(), &["tag", "-a", "v1", "-m", "x"]);
    git_in(dir.path(), &["tag", "light"]);
    let mut watch = watching(dir.path(), None);
    watch.look().await;
    git_in(dir.path(), &["pack-refs", "--all", "--prune"]);
    assert_eq!(watch.look().await, []);
    let second = commit(dir.path());
    assert_eq!(watch.look().await, main_moved(&first, &second));
}

#[tokio::test]
async fn a_further_working_tree_and_a_subfolder_see_the_same_branches() {
    let (dir, first) = repository(&[]);
    let tree = tempfile::tempdir().unwrap();
    let tree = tree.path().join("tree");
    git_in(dir.path(), &["worktree", "add", "-q", tree.to_str().unwrap(), "-b", "topic"]);
    std::fs::create_dir(tree.join("sub")).unwrap();
    let mut watch = watching(&tree.join("sub"), None);
    watch.look().await;
    let second = commit(dir.path());
    assert_eq!(watch.look().await, main_moved(&first, &second));
}

#[tokio::test]
async fn a_push_to_a_bare_repository_is_seen() {
    let (dir, first) = repository(&[]);
    let bare = tempfile::tempdir().unwrap();
    git_in(dir.path(), &["clone", "-q", "--bare", ".", bare.path().to_str().unwrap()]);
    let mut watch = watching(bare.path(), None);
    watch.look().await;
    let second = commit(dir.path());
    git_in(dir.path(), &["push", "-q", bare.path().to_str().unwrap(), "main"]);
    assert_eq!(watch.look().await, main_moved(&first, &second));
}

#[tokio::test]
async fn a_repository_with_reference_tables_is_asked_through_git() {
    let (dir, first) = repository(&["--ref-format=reftable"]);
    let mut watch = watching(dir.path(), None);
    assert_eq!(watch.look().await, []);
    assert_eq!(watch.look().await, []);
    let second = commit(dir.path());
    assert_eq!(watch.look().await, main_moved(&first, &second));
    assert_eq!(watch.look().await, []);
}

#[tokio::test]
async fn a_branch_that_only_the_remote_has_counts_under_its_own_name() {
    let (dir, first) = repository(&[]);
    let clone = tempfile::tempdir().unwrap();
    git_in(dir.path(), &["branch", "live"]);
    git_in(dir.path(), &["clone", "-q", ".", clone.path().to_str().unwrap()]);
    let mut watch = watching(clone.path(), None);
    watch.look().await;
    assert_eq!(watch.last_seen().unwrap()["refs/heads/live"], first);
    git_in(clone.path(), &["branch", "live", "origin/live"]);
    assert_eq!(watch.look().await, []);
}

#[tokio::test]
async fn a_clone_url_is_asked_and_its_first_answer_is_remembered() {
    let (dir, first) = repository(&[]);
    git_in(dir.path(), &["tag", "-a", "v1", "-m", "x"]);
    let url = Source::Url(format!("file://{}", dir.path().display()));
    let mut watch = Watch::new("shop", &url, None).unwrap();
    assert_eq!(watch.look().await, []);
    assert_eq!(watch.last_seen().unwrap()["refs/tags/v1"], first, "the commit, not the tag");
    let second = commit(dir.path());
    assert_eq!(watch.look().await, main_moved(&first, &second));
    std::fs::rename(dir.path().join(".git"), dir.path().join("gone")).unwrap();
    assert_eq!(watch.look().await, []);
    assert!(watch.problem().unwrap().starts_with("git could not ask `file://"), "{:?}", watch.problem());
    assert_eq!(watch.pause, URL_INTERVAL * 2);
}

#[tokio::test]
async fn a_push_tells_its_files_and_its_author() {
    let (dir, first) = repository(&[]);
    std::fs::write(dir.path().join("ä b"), "x").unwrap();
    git_in(dir.path(), &["add", "."]);
    git_in(dir.path(), &["commit", "-q", "-m", "Mend\n\nAll of it"]);
    let second = git_in(dir.path(), &["rev-parse", "HEAD"]);
    let change = moved("refs/heads/main", Some(&first), Some(&second));
    let told = push(Some(dir.path()), &change, true, NewBranchFiles::Unknown).await.unwrap();
    assert_eq!(told.files, domain::trigger::ChangedFiles::Known(vec!["ä b".into()]));
    assert_eq!(told.head.author_name.as_deref(), Some("Ann"));
    let lost = moved("refs/heads/main", Some(&"ab".repeat(20)), Some(&second));
    let told = push(Some(dir.path()), &lost, true, NewBranchFiles::Unknown).await.unwrap();
    assert_eq!(told.files, domain::trigger::ChangedFiles::Incomplete);
    let fresh = moved("refs/heads/new", None, Some(&first));
    let told = push(Some(dir.path()), &fresh, true, NewBranchFiles::Unknown).await.unwrap();
    assert_eq!(told.files, domain::trigger::ChangedFiles::NothingToCompare);
    git_in(dir.path(), &["checkout", "-q", "-b", "new", &first]);
    std::fs::write(dir.path().join("own"), "x").unwrap();
    git_in(dir.path(), &["add", "."]);
    let third = commit(dir.path());
    git_in(dir.path(), &["checkout", "-q", "main"]);
    let fresh = moved("refs/heads/new", None, Some(&third));
    let told = push(Some(dir.path()), &fresh, true, NewBranchFiles::CompareDefaultBranch).await.unwrap();
    assert_eq!(told.files, domain::trigger::ChangedFiles::Known(vec!["own".into()]));
}

#[tokio::test]
async fn an_object_is_reported_when_its_content_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { s3: [("b".to_owned(), dir.path().to_owned())].into(), ..Settings::default() };
    let watching = |last| object::ObjectWatch::new(&settings, dir.path(), "b", "k.zip", last).unwrap();
    std::fs::write(dir.path().join("k.zip"), "one").unwrap();
    let mut watch = watching(None);
    assert_eq!((watch.look().await, watch.look().await, watch.look().await), (None, None, None));
    std::fs::write(dir.path().join("k.zip"), "other").unwrap();
    assert_eq!(watch.look().await, None, "it may be being written");
    let version = watch.look().await.unwrap();
    assert_eq!(watch.look().await, None);
    let mut later = watching(Some(version));
    assert_eq!((later.look().await, later.look().await), (None, None));
    assert!(object::ObjectWatch::new(&settings, dir.path(), "b", "../k", None).is_none());
}

#[test]
fn a_folder_outside_of_any_repository_cannot_be_watched() {
    let dir = tempfile::tempdir().unwrap();
    let watch = Watch::new("shop", &Source::Folder(dir.path().to_owned()), None);
    assert!(matches!(watch, Err(WatchError::NotARepository(_))));
}
