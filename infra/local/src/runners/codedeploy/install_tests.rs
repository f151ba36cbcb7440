use super::super::appspec;
use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A bundle, a host, and the lists between deployments.
struct World {
    temp: tempfile::TempDir,
    root: HostRoot,
}

impl World {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = HostRoot::open(&temp.path().join("host")).unwrap();
        fs::create_dir(temp.path().join("bundle")).unwrap();
        Self { temp, root }
    }

    fn bundle(&self, files: &[(&str, &str)]) -> &Self {
        let bundle = self.temp.path().join("bundle");
        fs::remove_dir_all(&bundle).unwrap();
        fs::create_dir(&bundle).unwrap();
        for (name, text) in files {
            let path = bundle.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self
    }

    fn install(&self, sections: &str, file_exists: FileExists) -> Result<Installed, String> {
        let spec = appspec::parse("appspec.yml", &format!("version: 0.0\nos: linux\n{sections}")).unwrap();
        let target = Target {
            root: &self.root,
            archive: &self.temp.path().join("bundle"),
            cleanup: &self.temp.path().join("g-cleanup"),
            instructions: &self.temp.path().join("g-install.json"),
            file_exists,
            ignore_ownership: false,
        };
        install(&spec, &target).map_err(|error| error.to_string())
    }

    fn host(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.host(path)).ok()
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.host(path)).unwrap().permissions().mode() & 0o7777
    }
}

const ALL: &str = "files: [{source: /, destination: /opt/app}]\n";

#[test]
fn a_file_removed_from_the_bundle_is_removed_from_the_host_and_other_files_stay() {
    let world = World::new();
    world.bundle(&[("a", "1"), ("sub/b", "1"), ("keep/c", "1")]);
    world.install(ALL, FileExists::Disallow).unwrap();
    fs::write(world.host("opt/app/made-by-a-hook"), "x").unwrap();
    fs::write(world.host("opt/app/keep/made-by-a-hook"), "x").unwrap();
    world.bundle(&[("a", "2")]);
    let installed = world.install(ALL, FileExists::Disallow).unwrap();
    assert_eq!((installed.removed, installed.files), (4, 1));
    assert_eq!(world.text("opt/app/a").as_deref(), Some("2"));
    assert!(!world.host("opt/app/sub").exists());
    assert!(world.host("opt/app/made-by-a-hook").exists());
    assert!(world.host("opt/app/keep/made-by-a-hook").exists() && !world.host("opt/app/keep/c").exists());
}

#[test]
fn a_foreign_file_in_the_way_fails_is_replaced_or_is_kept() {
    for (behaviour, expected) in [(FileExists::Overwrite, "new"), (FileExists::Retain, "old")] {
        let world = World::new();
        world.bundle(&[("a", "new"), ("b", "new")]);
        fs::create_dir_all(world.host("opt/app")).unwrap();
        fs::write(world.host("opt/app/a"), "old").unwrap();
        let told = world.install(ALL, FileExists::Disallow).unwrap_err();
        assert!(told.contains("a specified file already exists at this location: /opt/app/a"), "{told}");
        assert!(!world.host("opt/app/b").exists(), "nothing is copied when one file is in the way");
        world.install(ALL, behaviour).unwrap();
        assert_eq!(world.text("opt/app/a").as_deref(), Some(expected));
        assert_eq!(world.text("opt/app/b").as_deref(), Some("new"));
    }
}

#[test]
fn a_single_file_goes_into_the_destination_and_keeps_its_mode() {
    let world = World::new();
    world.bundle(&[("bin/run", "x")]);
    let source = world.temp.path().join("bundle/bin/run");
    fs::set_permissions(source, fs::Permissions::from_mode(0o755)).unwrap();
    world.install("files: [{source: bin/run, destination: /usr/local/bin}]", FileExists::Disallow).unwrap();
    assert_eq!(world.mode("usr/local/bin/run"), 0o755);
}

#[test]
fn plans_that_cannot_work_fail_before_anything_is_copied() {
    let world = World::new();
    world.bundle(&[("a/x", "1"), ("b/x", "2"), ("c/x/y", "3"), ("d", "4")]);
    let files =
        |entries: &str| world.install(&format!("files: [{entries}]"), FileExists::Disallow).unwrap_err();
    let told = files("{source: a, destination: /o}, {source: b, destination: /o}");
    assert_eq!(told, "`/o/x` would be written twice: from `a/x` and from `b/x`");
    let told = files("{source: a, destination: /o}, {source: c, destination: /o}");
    assert!(told.contains("`/o/x` would have to be both a file and a folder"), "{told}");
    let told = files("{source: c, destination: /o}, {source: a, destination: /o}");
    assert!(told.contains("`/o/x` would have to be both a file and a folder"), "{told}");
    assert!(files("{source: nothing, destination: /o}").contains("`source: nothing` is not in the bundle"));
    assert!(!world.host("o").exists());
}

#[test]
fn nothing_gets_out_of_the_host_through_links() {
    let world = World::new();
    let outside = world.temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    world.bundle(&[("a", "1")]);
    symlink(&outside, world.host("opt")).unwrap();
    let told = world.install(ALL, FileExists::Overwrite).unwrap_err();
    assert!(told.contains("leads out of the host's folder"), "{told}");
    fs::remove_file(world.host("opt")).unwrap();
    fs::create_dir_all(world.host("opt")).unwrap();
    symlink(&outside, world.host("opt/app")).unwrap();
    let told = world.install(ALL, FileExists::Overwrite).unwrap_err();
    assert!(told.contains("leads out of the host's folder"), "{told}");
    fs::remove_file(world.host("opt/app")).unwrap();

    for target in ["/etc/passwd", "../../../../outside"] {
        let link = world.temp.path().join("bundle/link");
        symlink(target, &link).unwrap();
        let told = world.install(ALL, FileExists::Overwrite).unwrap_err();
        assert!(told.contains("`link` in the bundle is a link that would lead out"), "{told}");
        fs::remove_file(link).unwrap();
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn links_inside_the_bundle_are_copied_as_links_and_existing_links_are_never_written_through() {
    let world = World::new();
    world.bundle(&[("real", "new")]);
    symlink("real", world.temp.path().join("bundle/link")).unwrap();
    let outside = world.temp.path().join("outside");
    fs::write(&outside, "precious").unwrap();
    fs::create_dir_all(world.host("opt/app")).unwrap();
    symlink(&outside, world.host("opt/app/real")).unwrap();
    world.install(ALL, FileExists::Overwrite).unwrap();
    assert_eq!(fs::read_to_string(outside).unwrap(), "precious");
    assert_eq!(fs::read_link(world.host("opt/app/link")).unwrap(), Path::new("real"));
    assert_eq!(world.text("opt/app/link").as_deref(), Some("new"));
}

#[test]
fn an_unfinished_line_of_the_cleanup_list_is_passed_over() {
    let world = World::new();
    fs::write(world.host("precious"), "x").unwrap();
    fs::write(world.host("old"), "x").unwrap();
    let outside = world.temp.path().join("outside");
    fs::write(&outside, "x").unwrap();
    let (root, outside) = (world.root.path().display(), outside.display());
    let list = format!("{root}/old\n{root}/gone\n{root}/../outside\n{outside}\n{root}/precious");
    fs::write(world.temp.path().join("g-cleanup"), list).unwrap();
    world.bundle(&[("a", "1")]);
    let installed = world.install(ALL, FileExists::Disallow).unwrap();
    assert_eq!(installed.removed, 1);
    assert!(world.host("precious").exists() && !world.host("old").exists());
    assert!(world.temp.path().join("outside").exists());
    assert_eq!(
        installed.warnings.iter().filter(|told| told.contains("cleanup passes over a path")).count(),
        2
    );
}

/// Three files and two folders deep, as in the documentation's own example of `permissions`.
fn example() -> World {
    let world = World::new();
    world.bundle(&[
        ("my-app/my-file-1.txt", ""),
        ("my-app/my-file-2.txt", ""),
        ("my-app/my-file-3.txt", ""),
        ("my-app/my-folder-1/my-file-4.txt", ""),
        ("my-app/my-folder-1/my-folder-2/my-file-5.txt", ""),
    ]);
    world
}

#[test]
fn permissions_follow_the_agents_matcher() {
    let world = example();
    let sections = "files: [{source: my-app, destination: /tmp/my-app}]\n\
permissions:
  - {object: /tmp/my-app/my-file-1.txt, mode: 604}
  - {object: /tmp/my-app, pattern: 'my-file-*', except: [my-file-1.txt, my-file-3.txt], mode: 606, type: [file]}
  - {object: /tmp/my-app/my-folder-1, mode: 640, type: [file]}
  - {object: /tmp/my-app, mode: 711, type: [directory]}
";
    let installed = world.install(sections, FileExists::Disallow).unwrap();
    assert_eq!(world.mode("tmp/my-app/my-file-1.txt"), 0o604);
    assert_eq!(world.mode("tmp/my-app/my-file-2.txt"), 0o606);
    assert_ne!(world.mode("tmp/my-app/my-file-3.txt"), 0o606);
    assert_eq!(world.mode("tmp/my-app/my-folder-1/my-file-4.txt"), 0o640);
    // Here the documentation, which speaks of files directly in `object`, would leave the mode alone.
    assert_eq!(world.mode("tmp/my-app/my-folder-1/my-folder-2/my-file-5.txt"), 0o640);
    assert!(
        installed.warnings[0].contains("also changes 1 files in sub-folders"),
        "{:?}",
        installed.warnings
    );
    assert_eq!(world.mode("tmp/my-app/my-folder-1/my-folder-2"), 0o711);
    assert_ne!(world.mode("tmp/my-app"), 0o711, "the object itself never matches");
    assert_ne!(world.mode("tmp/my-app/my-folder-1"), 0o640);
}

#[test]
fn permissions_that_cannot_be_meant_fail_the_deployment() {
    let files = "files: [{source: my-app, destination: /tmp/my-app}]\npermissions:\n";
    let file = "object: /tmp/my-app/my-file-1.txt";
    for (entries, expected) in [
        (
            "  - {object: /tmp/my-app, mode: 600}\n  - {object: /tmp/my-app, pattern: '*', mode: 6}\n"
                .to_owned(),
            "are set twice",
        ),
        (format!("  - {{{file}, pattern: '*'}}\n"), "`pattern` must be `**`"),
        (format!("  - {{{file}, except: [a]}}\n"), "`except` must be left out"),
        (format!("  - {{{file}, type: [directory]}}\n"), "`type` must contain `file`"),
        (format!("  - {{{file}, acls: ['u:app:rw']}}\n"), "access control lists, which are not supported"),
        (format!("  - {{{file}, context: {{user: u}}}}\n"), "SELinux labels, which are not supported"),
        (format!("  - {{{file}, owner: no-such-user-here}}\n"), "user `no-such-user-here` does not exist"),
    ] {
        let told = example().install(&format!("{files}{entries}"), FileExists::Disallow).unwrap_err();
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn folders_that_stood_before_keep_their_mode() {
    let world = example();
    fs::create_dir_all(world.host("tmp/my-app/my-folder-1")).unwrap();
    fs::set_permissions(world.host("tmp/my-app/my-folder-1"), fs::Permissions::from_mode(0o750)).unwrap();
    let sections = "files: [{source: my-app, destination: /tmp/my-app}]\n\
                    permissions: [{object: /tmp/my-app, mode: 711, type: [directory]}]\n";
    world.install(sections, FileExists::Disallow).unwrap();
    assert_eq!(world.mode("tmp/my-app/my-folder-1"), 0o750);
    assert_eq!(world.mode("tmp/my-app/my-folder-1/my-folder-2"), 0o711);
}
