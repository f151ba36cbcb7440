use super::*;
use std::os::unix::fs::symlink;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    folder
}

fn find(folder: &Path, files: &[&str], keep_links: bool) -> Findings {
    let files = Patterns::new(files).unwrap();
    Search { base: folder, tree: folder, files: &files, except: None, keep_links, files_max: 100 }
        .run()
        .unwrap()
}

fn names(folder: &Path, files: &[&str]) -> Vec<String> {
    find(folder, files, false).files.into_iter().map(|found| found.name).collect()
}

#[test]
fn a_star_stays_in_its_folder_and_two_go_down() {
    let tree = tree(&["a.txt", ".dot", "d/b.txt", "d/e/c.txt"]);
    assert_eq!(names(tree.path(), &["*"]), [".dot", "a.txt"]);
    assert_eq!(names(tree.path(), &["d/*"]), ["d/b.txt"]);
    assert_eq!(names(tree.path(), &["d/**/*"]), ["d/b.txt", "d/e/c.txt"]);
    assert_eq!(names(tree.path(), &["**/*.txt"]), ["a.txt", "d/b.txt", "d/e/c.txt"]);
    for everything in ["**/*", "**/", "**", ".", "./"] {
        assert_eq!(names(tree.path(), &[everything]).len(), 4, "{everything}");
    }
    assert_eq!(names(tree.path(), &["?.txt", "d/[a-c].txt"]), ["a.txt", "d/b.txt"]);
}

#[test]
fn a_pattern_that_names_a_folder_means_all_of_it() {
    let tree = tree(&["d/b.txt", "d/e/c.txt", "dd/x"]);
    assert_eq!(names(tree.path(), &["d"]), ["d/b.txt", "d/e/c.txt"]);
    assert_eq!(names(tree.path(), &["./d/e/", "dd/x"]), ["d/e/c.txt", "dd/x"]);
    assert_eq!(names(tree.path(), &["**/e"]), ["d/e/c.txt"]);
}

#[test]
fn braces_are_ordinary_characters() {
    let tree = tree(&["{a,b}1", "a1"]);
    assert_eq!(names(tree.path(), &["{a,b}*"]), ["{a,b}1"]);
}

#[test]
fn what_is_not_a_pattern_is_refused_with_its_reason() {
    let why = |pattern: &str| Patterns::new([pattern]).unwrap_err().to_string();
    assert_eq!(why("a/../b"), "`a/../b` is not a file pattern: `..` would lead out of the base directory");
    assert_eq!(
        why("/etc/passwd"),
        "`/etc/passwd` is not a file pattern: it must be relative to the base directory"
    );
    assert!(why("[a").starts_with("`[a` is not a file pattern: unclosed character class"));
}

#[test]
fn excluded_files_are_left_out() {
    let tree = tree(&["a.txt", ".git/x", "d/.hidden"]);
    let (files, except) = (Patterns::new(["**/*"]).unwrap(), Patterns::new(["**/.*", ".git"]).unwrap());
    let base = tree.path();
    let search =
        Search { base, tree: base, files: &files, except: Some(&except), keep_links: false, files_max: 9 };
    let found: Vec<String> = search.run().unwrap().files.into_iter().map(|found| found.name).collect();
    assert_eq!(found, ["a.txt"]);
}

#[test]
fn links_that_leave_are_left_out_and_links_that_stay_are_followed_or_kept() {
    let tree = tree(&["a.txt", "d/b.txt"]);
    let at = |name: &str| tree.path().join(name);
    symlink("/etc/passwd", at("out")).unwrap();
    symlink("/etc", at("outside")).unwrap();
    symlink("a.txt", at("in")).unwrap();
    symlink("d", at("in-folder")).unwrap();
    symlink("nothing", at("dangling")).unwrap();
    symlink("..", at("d/up")).unwrap();

    let followed = find(tree.path(), &["**/*"], false);
    let names_of = |findings: &Findings| -> Vec<String> {
        findings.files.iter().map(|found| found.name.clone()).collect()
    };
    assert_eq!(names_of(&followed), ["a.txt", "d/b.txt", "in", "in-folder/b.txt"]);
    assert_eq!(followed.warnings.len(), 5, "{:?}", followed.warnings);

    let kept = find(tree.path(), &["**/*"], true);
    assert_eq!(names_of(&kept), ["a.txt", "d/b.txt", "d/up", "in", "in-folder"]);
    assert!(kept.files.iter().filter(|found| found.is_link).count() == 3);

    assert_eq!(find(tree.path(), &["outside/passwd"], false).files, []);
    assert_eq!(find(tree.path(), &["outside/*", "out"], false).files, []);
}

#[test]
fn two_folders_linked_into_each_other_do_not_go_round_for_ever() {
    let tree = tree(&["a/f", "b/g"]);
    symlink("../b", tree.path().join("a/x")).unwrap();
    symlink("../a", tree.path().join("b/y")).unwrap();
    assert_eq!(names(tree.path(), &["**/*"]), ["a/f", "a/x/g", "b/g", "b/y/f"]);
}

#[test]
fn pipes_and_sockets_are_left_out_rather_than_read() {
    let tree = tree(&["a"]);
    let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("socket")).unwrap();
    let findings = find(tree.path(), &["**"], false);
    assert_eq!(findings.warnings, ["`socket` is neither a file nor a folder: left out"]);
}

#[test]
fn too_many_files_are_an_error() {
    let tree = tree(&["1", "2", "3"]);
    let files = Patterns::new(["*"]).unwrap();
    let base = tree.path();
    let search = Search { base, tree: base, files: &files, except: None, keep_links: false, files_max: 2 };
    assert!(matches!(search.run(), Err(SearchError::TooMany { files_max: 2 })));
}

#[test]
fn folders_are_named_with_wildcards_too() {
    let tree = tree(&["build-2/a", "build-1/a", "build-3", "x/build-4/b"]);
    let found = |pattern: &str| -> Vec<String> {
        let found = folders(tree.path(), pattern).unwrap();
        found.iter().map(|path| path.strip_prefix(tree.path()).unwrap().display().to_string()).collect()
    };
    assert_eq!(found("build*"), ["build-1", "build-2"]);
    assert_eq!(found("x/*"), ["x/build-4"]);
    assert_eq!(found("nope"), [] as [&str; 0]);
}
