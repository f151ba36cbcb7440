use super::*;
use proptest::prelude::*;
use std::{
    fs::File,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
};
use tempfile::{TempDir, tempdir};
use zip::{ZipWriter, write::SimpleFileOptions};

const CAPS: Caps = Caps { bytes: 1 << 20, files: 1000 };

/// A piece of a hostile archive.
enum Piece {
    File(&'static str, &'static str),
    Folder(&'static str),
    Link(&'static str, &'static str),
}
use Piece::{File as F, Folder as D, Link as L};

fn archive(dir: &TempDir, pieces: &[Piece]) -> PathBuf {
    let path = dir.path().join("made.zip");
    let mut writer = ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default();
    for piece in pieces {
        match piece {
            F(name, content) => {
                writer.start_file(name.to_string(), options).unwrap();
                writer.write_all(content.as_bytes()).unwrap();
            }
            D(name) => writer.add_directory(name.to_string(), options).unwrap(),
            L(name, target) => writer.add_symlink(name.to_string(), target.to_string(), options).unwrap(),
        }
    }
    writer.finish().unwrap();
    path
}

fn try_unpack(pieces: &[Piece]) -> (TempDir, Result<(), ArchiveError>) {
    let dir = tempdir().unwrap();
    let path = archive(&dir, pieces);
    let result = unpack(&path, &dir.path().join("out"), CAPS);
    (dir, result)
}

fn tree(files: &[(&str, &str, u32)]) -> TempDir {
    let dir = tempdir().unwrap();
    for (name, content, mode) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
    }
    dir
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_was_packed_comes_out_again_with_its_modes_and_links() {
    let from = tree(&[("a.txt", "one", 0o644), ("bin/run", "#!/bin/sh\n", 0o755), ("secret", "", 0o600)]);
    symlink("bin/run", from.path().join("start")).unwrap();
    symlink("../a.txt", from.path().join("bin/a")).unwrap();
    let dir = tempdir().unwrap();
    let (zip, out) = (dir.path().join("t.zip"), dir.path().join("out"));
    pack(&list(from.path()).unwrap(), &zip, CAPS).unwrap();
    unpack(&zip, &out, CAPS).unwrap();
    assert_eq!(fs::read_to_string(out.join("bin/a")).unwrap(), "one");
    assert_eq!(fs::read_link(out.join("start")).unwrap(), Path::new("bin/run"));
    assert_eq!(
        [mode(&out.join("a.txt")), mode(&out.join("bin/run")), mode(&out.join("secret"))],
        [0o644, 0o755, 0o600]
    );
}

#[test]
fn equal_trees_give_equal_bytes_whatever_their_times_and_order() {
    let bytes = |pause: u64| {
        let from = tree(&[("b", "2", 0o644), ("a/c", "1", 0o755)]);
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(pause);
        File::open(from.path().join("b")).unwrap().set_modified(old).unwrap();
        let mut entries = list(from.path()).unwrap();
        entries.reverse();
        let zip = from.path().join("t.zip");
        pack(&entries, &zip, CAPS).unwrap();
        fs::read(zip).unwrap()
    };
    assert_eq!(bytes(1_000_000_000), bytes(1_500_000_000));
}

#[test]
fn names_that_lead_out_are_refused_before_anything_is_written() {
    for name in ["../evil", "/etc/evil", "a/../../evil", "a/..", "..", "./../evil"] {
        let (dir, result) = try_unpack(&[F("fine", "x"), F(name, "evil")]);
        assert!(matches!(result, Err(ArchiveError::Escapes { .. })), "{name}: {result:?}");
        assert!(!dir.path().join("out").exists(), "{name}");
    }
}

#[test]
fn links_that_lead_out_are_refused_also_through_other_links() {
    for pieces in [
        &[L("a", "..")][..],
        &[L("a", "/etc")],
        &[L("d/a", "../../x")],
        &[D("d/"), L("d/e", ".."), L("f", "d/e/../x")],
        &[L("a", "b"), L("b", "a")],
        &[L("a", "b/x"), L("b", "../y")],
    ] {
        let (dir, result) = try_unpack(pieces);
        assert!(matches!(result, Err(ArchiveError::Escapes { .. })), "{result:?}");
        assert!(!dir.path().join("out").exists());
    }
}

#[test]
fn links_that_stay_are_kept_even_when_they_dangle() {
    let (dir, result) = try_unpack(&[L("d/a", "../b/none"), L("c", "d/../d"), F("d/f", "x"), L("root", ".")]);
    result.unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("out/c/f")).unwrap(), "x");
    assert_eq!(fs::read_link(dir.path().join("out/d/a")).unwrap(), Path::new("../b/none"));
}

#[test]
fn nothing_is_written_through_a_link_or_over_another_entry() {
    for pieces in [
        &[D("d/"), L("a", "d"), F("a/b", "x")][..],
        &[F("a/b", "x"), L("a", "d")],
        &[F("a", "1"), F("./a", "2")],
        &[F("a", "1"), F("a/b", "2")],
        &[F("a", "1"), D("a/")],
        &[L("a", "x"), L("./a", "y")],
    ] {
        let (dir, result) = try_unpack(pieces);
        assert!(matches!(result, Err(ArchiveError::Duplicate { .. })), "{result:?}");
        assert!(!dir.path().join("out/d/b").exists());
    }
}

#[test]
fn caps_count_what_is_really_unpacked() {
    let dir = tempdir().unwrap();
    let zip = dir.path().join("bomb.zip");
    let mut writer = ZipWriter::new(File::create(&zip).unwrap());
    writer.start_file("zeros", SimpleFileOptions::default()).unwrap();
    writer.write_all(&vec![0; 2 << 20]).unwrap();
    writer.finish().unwrap();
    let refused = |result| matches!(result, Err(ArchiveError::TooLarge(_)));
    assert!(refused(unpack(&zip, &dir.path().join("honest"), CAPS)));
    // The same archive, claiming to hold 1 byte in both places that say so.
    let mut bytes = fs::read(&zip).unwrap();
    let claimed = (2u32 << 20).to_le_bytes();
    let places: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, four)| *four == claimed).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 2);
    places.iter().for_each(|at| bytes[*at..*at + 4].copy_from_slice(&1u32.to_le_bytes()));
    fs::write(&zip, bytes).unwrap();
    assert!(unpack(&zip, &dir.path().join("liar"), CAPS).is_err());
    let written = fs::metadata(dir.path().join("liar/zeros")).map_or(0, |metadata| metadata.len());
    assert!(written <= CAPS.bytes);
}

#[test]
fn too_many_or_too_large_files_are_refused_when_packing_and_leave_no_archive() {
    let from = tree(&[("a", "12345", 0o644), ("b", "12345", 0o644)]);
    let entries = list(from.path()).unwrap();
    for caps in [Caps { bytes: 9, files: 9 }, Caps { bytes: 99, files: 1 }] {
        let zip = from.path().join("t.zip");
        assert!(matches!(pack(&entries, &zip, caps), Err(ArchiveError::TooLarge(_))));
        assert!(!zip.exists());
        pack(&entries, &zip, CAPS).unwrap();
        assert!(matches!(unpack(&zip, &from.path().join("out"), caps), Err(ArchiveError::TooLarge(_))));
        fs::remove_file(zip).unwrap();
    }
}

#[test]
fn a_folder_that_holds_something_is_not_unpacked_into() {
    let dir = tree(&[("out/old", "x", 0o644)]);
    let zip = archive(&dir, &[F("new", "x")]);
    assert!(unpack(&zip, &dir.path().join("out"), CAPS).is_err());
    assert!(!dir.path().join("out/new").exists());
}

#[test]
fn a_listing_keeps_inner_links_copies_outer_files_and_refuses_outer_folders() {
    let dir = tree(&[("tree/a", "in", 0o644), ("outer/file", "out", 0o644)]);
    let root = dir.path().join("tree");
    symlink("a", root.join("inner")).unwrap();
    symlink("../outer/file", root.join("outer")).unwrap();
    symlink("../tree/a", root.join("round")).unwrap();
    let entries = list(&root).unwrap();
    let kept: Vec<(&str, bool)> = entries.iter().map(|e| (e.name.as_str(), e.keep_link)).collect();
    assert_eq!(kept, [("a", false), ("inner", true), ("outer", false), ("round", false)]);
    let (zip, out) = (dir.path().join("t.zip"), dir.path().join("unpacked"));
    pack(&entries, &zip, CAPS).unwrap();
    unpack(&zip, &out, CAPS).unwrap();
    assert_eq!(fs::read_to_string(out.join("outer")).unwrap(), "out");
    symlink("../outer", root.join("folder")).unwrap();
    assert!(matches!(list(&root), Err(ArchiveError::Escapes { entry }) if entry == "folder"));
}

#[test]
fn a_pipe_is_left_out_of_a_listing_and_never_waited_for() {
    let dir = tree(&[("a", "x", 0o644)]);
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(list(dir.path()).unwrap().len(), 1);
    let entry = Entry { name: "pipe".into(), path: pipe, keep_link: false };
    assert!(matches!(pack(&[entry], &dir.path().join("t.zip"), CAPS), Err(ArchiveError::Io { .. })));
}

#[test]
fn something_else_than_an_archive_is_named() {
    let dir = tree(&[("t.zip", "hello", 0o644)]);
    let error = unpack(&dir.path().join("t.zip"), &dir.path().join("out"), CAPS).unwrap_err();
    assert!(error.to_string().contains("cannot be read as a ZIP archive"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let dir = tempdir().unwrap();
        let zip = dir.path().join("t.zip");
        fs::write(&zip, bytes).unwrap();
        let _ = unpack(&zip, &dir.path().join("out"), CAPS);
    }

    #[test]
    fn a_damaged_archive_never_panics_and_never_leaves_the_folder(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let dir = tempdir().unwrap();
        let zip = archive(&dir, &[F("a/b", "some text"), D("c/"), L("a/l", "b"), F("z", "zz")]);
        let mut bytes = fs::read(&zip).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fs::write(&zip, bytes).unwrap();
        let into = dir.path().join("x/out");
        let _ = unpack(&zip, &into, CAPS);
        let outside = fs::read_dir(dir.path()).unwrap().count() + fs::read_dir(dir.path().join("x")).map_or(0, |d| d.count());
        prop_assert!(outside <= 3);
    }
}
