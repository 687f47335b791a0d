//! Files that are no drivers, or none for this host.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use adit_drivers::{inspect::inspect, registry::State};

use crate::place::{Place, built, entry, get, patch};

/// A manifest in C, for fixtures that pass as drivers as far as their manifest goes.
const MANIFEST: &str = r#"
    __attribute__((section(".adit_driver"), used))
    const char manifest[] = "api=1.0.0\0id=fixture\0version=1.0.0";
"#;
/// Something under the name of the entry point, and as large.
const ROOT: &str = "char {HEADER}[4096] = {1};";

async fn check(place: &Place, path: &Path, reason: &str) {
    let drivers = place.load().await;
    let entry = entry(&drivers, path);
    let found = entry.reason.unwrap_or_default();
    assert_eq!(entry.state, State::Refused);
    assert_eq!(found, reason);
    assert_eq!(inspect(&place.path("minimal.so"), place.options().owner).problems, [""; 0]);
    assert_eq!(get(&drivers, "minimal").path(), place.path("minimal.so"));
}

fn place() -> Place {
    let place = Place::new();
    place.put("minimal.so", &built("minimal_driver"));
    place
}

#[tokio::test]
async fn what_is_no_library_is_listed_as_no_driver() {
    let place = place();
    let text = place.put("a-text.so", b"#!/bin/sh\necho hello\n");
    check(&place, &text, "no driver: not an ELF library").await;
    let empty = place.put("b-empty.so", b"");
    check(&place, &empty, "no driver: an empty file").await;
    let folder = place.path("c-folder.so");
    fs::create_dir(&folder).unwrap();
    check(&place, &folder, "no driver: a folder, not a file").await;
    let dangling = place.path("d-dangling.so");
    symlink("/nowhere/at/all.so", &dangling).unwrap();
    let reason = "no driver: a link to /nowhere/at/all.so, which does not exist";
    check(&place, &dangling, reason).await;
    let object = place.compile("e-object.so", "int f(void) { return 1; }", &["-c"]);
    let reason = "no driver: a program or object file, not a shared library";
    check(&place, &object, reason).await;
    let shared = ["-shared", "-fPIC"];
    let library = place.compile("f-library.so", "int f(void) { return 1; }", &shared);
    check(&place, &library, "no driver: no .adit_driver section").await;
    let program = place.compile("g-program.so", "int main(void) { return 1; }", &[]);
    check(&place, &program, "no driver: no .adit_driver section").await;
    assert_eq!(place.load().await.list().len(), 8);
}

#[tokio::test]
async fn a_damaged_or_truncated_driver_is_never_mapped() {
    let place = place();
    let whole = built("faulty_driver");
    let size = whole.len();
    let lengths =
        [10, 63, 64, 1000, size / 10, size / 4, size / 2, size / 4 * 3, size / 100 * 99, size - 1];
    for length in lengths {
        place.put(&format!("cut-{length}.so"), &whole[..length]);
    }
    // The first entry of the program headers begins at byte 64, its size in the file at 32 in it.
    let mut bytes = whole;
    bytes[64 + 32..64 + 40].copy_from_slice(&(size as u64 * 2).to_le_bytes());
    let segment = place.put("segment.so", &bytes);
    let drivers = place.load().await;
    let reason = entry(&drivers, &segment).reason;
    assert_eq!(reason.as_deref(), Some("damaged or truncated file: a segment goes beyond its end"));
    for length in lengths {
        let reason = entry(&drivers, &place.path(&format!("cut-{length}.so"))).reason.unwrap();
        assert!(reason.starts_with("damaged or truncated file: "), "{length}: {reason}");
        assert!(reason.len() < 120 && !reason.contains('\n'), "{length}: {reason}");
    }
    assert_eq!(drivers.loaded().count(), 1);
    get(&drivers, "minimal");
}

#[tokio::test]
async fn a_driver_for_another_machine_names_both() {
    let place = place();
    let driver = built("faulty_driver");
    let arch = std::env::consts::ARCH;
    // Byte 4 is the class, byte 5 the byte order, 18 the machine.
    let other = if arch == "x86_64" { (183, "aarch64") } else { (62, "x86_64") };
    for (place_of, byte, built_for) in [
        (18, other.0, other.1),
        (18, 8, "ELF machine 8"),
        (4, 1, "a 32-bit machine"),
        (5, 2, "a big-endian machine"),
    ] {
        let mut bytes = driver.clone();
        bytes[place_of] = byte;
        let path = place.put("faulty.so", &bytes);
        let reason =
            format!("wrong platform: built for {built_for}, this host needs 64-bit {arch}");
        check(&place, &path, &reason).await;
    }
}

#[tokio::test]
async fn a_library_with_a_manifest_only_is_refused() {
    let place = place();
    let shared = ["-shared", "-fPIC"];
    let path = place.compile("fixture.so", MANIFEST, &shared);
    let reason = "no driver: its entry point is missing; export it with export_driver!";
    check(&place, &path, reason).await;
    place.compile("fixture.so", &format!("{MANIFEST} char {{HEADER}}[8] = {{1}};"), &shared);
    let reason = "no driver: its entry point is too small; export it with export_driver!";
    check(&place, &path, reason).await;
    place.compile("fixture.so", &format!("{MANIFEST} {ROOT}"), &shared);
    let reason = "built for another driver API: its entry point is not one of abi_stable 0.11; \
                  build it again with a current adit-plugin-api 1.x";
    check(&place, &path, reason).await;
}

#[tokio::test]
async fn what_the_system_misses_is_named() {
    let place = place();
    let source = format!("{MANIFEST} {ROOT} int gone(void); int f(void) {{ return gone(); }}");
    let path = place.compile("fixture.so", &source, &["-shared", "-fPIC"]);
    check(&place, &path, "the system cannot load it: undefined symbol: gone").await;

    let lib = place.compile(
        "libgone.so.7",
        "int gone(void) { return 1; }",
        &["-shared", "-fPIC", "-Wl,-soname,libgone.so.7"],
    );
    place.compile("fixture.so", &source, &["-shared", "-fPIC", lib.to_str().unwrap()]);
    fs::remove_file(lib).unwrap();
    let reason = "the system cannot load it: libgone.so.7: cannot open shared object file: No \
                  such file or directory";
    check(&place, &path, reason).await;
}

#[tokio::test]
async fn a_manifest_that_this_host_cannot_serve_is_refused() {
    let place = place();
    let driver = built("faulty_driver");
    let path = place.put("faulty.so", &patch(&driver, "api=1.0.0\0", "api=2.0.0\0"));
    check(&place, &path, "built for driver API 2.0.0, this host has 1.x").await;
    let listed = entry(&place.load().await, &path);
    assert_eq!((listed.id.as_deref(), listed.api.as_deref()), (Some("faulty"), Some("2.0.0")));

    for bad in ["../../", "Faulty", "fau ty", "-aulty", "faul.y"] {
        place.put("faulty.so", &patch(&driver, "id=faulty\0", &format!("id={bad}\0")));
        let reason =
            format!("the driver's id \"{bad}\" is not usable: it needs 1 to 63 of a-z, 0-9 and -");
        check(&place, &path, &reason).await;
    }
}

#[tokio::test]
async fn the_higher_version_of_two_files_with_one_id_wins() {
    let place = Place::new();
    let driver = built("faulty_driver");
    let old = place.put("a-old.so", &patch(&driver, "version=0.1.0\0", "version=0.0.9\0"));
    let best = place.put("b-best.so", &patch(&driver, "version=0.1.0\0", "version=9.1.0\0"));
    let same = place.put("c-same.so", &patch(&driver, "version=0.1.0\0", "version=9.1.0\0"));
    let drivers = place.load().await;
    assert_eq!(drivers.list().len(), 3);
    assert_eq!(get(&drivers, "faulty").path(), best);
    let reason = |path: &Path| entry(&drivers, path).reason;
    assert_eq!(reason(&best), None);
    let taken = format!("the id faulty is taken by {}", best.display());
    assert_eq!(reason(&old), Some(format!("{taken} with the higher version 9.1.0")));
    assert_eq!(reason(&same), Some(format!("{taken}, which comes first")));

    // A better one that does not work leaves the place to the next.
    fs::create_dir_all(place.data_dir("faulty")).unwrap();
    fs::remove_file(&best).unwrap();
    let source = r#"
        __attribute__((section(".adit_driver"), used))
        const char manifest[] = "api=1.0.0\0id=faulty\0version=10.0.0";
        char {HEADER}[4096] = {1};
    "#;
    let broken = place.compile("d-broken.so", source, &["-shared", "-fPIC"]);
    let drivers = place.load().await;
    assert_eq!(get(&drivers, "faulty").path(), same);
    assert!(entry(&drivers, &broken).reason.unwrap().starts_with("built for another"));
}

#[tokio::test]
async fn what_others_may_write_is_not_trusted() {
    let place = place();
    let path = place.put("faulty.so", &built("faulty_driver"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let reason = format!(
        "not trusted: {0} is writable by its group (mode 0664); run: chmod go-w {0}",
        path.display()
    );
    check(&place, &path, &reason).await;
    let listed = entry(&place.load().await, &path);
    assert_eq!(listed.id.as_deref(), Some("faulty"));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let dir = &place.drivers;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
    let drivers = place.load().await;
    assert_eq!(drivers.loaded().count(), 0);
    let reason = format!(
        "not trusted: {0} is writable by others (mode 0777); run: chmod go-w {0}",
        dir.display()
    );
    assert_eq!(entry(&drivers, &path).reason, Some(reason));
}

#[tokio::test]
async fn a_link_to_a_driver_is_a_driver_when_all_of_its_way_is_trusted() {
    let (place, other) = (place(), Place::new());
    let target = other.put("faulty.so", &built("faulty_driver"));
    let link = place.path("link.so");
    symlink(&target, &link).unwrap();
    let drivers = place.load().await;
    assert_eq!(get(&drivers, "faulty").path(), link);
    fs::set_permissions(&other.drivers, fs::Permissions::from_mode(0o775)).unwrap();
    let reason = format!(
        "not trusted: {0} is writable by its group (mode 0775); run: chmod go-w {0}",
        other.drivers.display()
    );
    check(&place, &link, &reason).await;
}

#[tokio::test]
async fn libraries_beside_a_cargo_build_are_no_candidates_and_broken_drivers_are() {
    let place = place();
    fs::create_dir(place.path("deps")).unwrap();
    place.compile("library.so", "int f(void) { return 1; }", &["-shared", "-fPIC"]);
    place.put("text.so", b"text");
    let damaged = place.put("damaged.so", &built("faulty_driver")[..5000]);
    let drivers = place.load().await;
    let listed: Vec<_> = drivers.list().into_iter().map(|entry| entry.path).collect();
    assert_eq!(listed, [damaged, place.path("minimal.so")]);
}

#[tokio::test]
async fn replacing_the_file_of_a_loaded_driver_changes_nothing_for_it() {
    let place = place();
    let drivers = place.load().await;
    let minimal = get(&drivers, "minimal");
    // In place, as `cp` does: the same inode, shorter.
    fs::write(place.path("minimal.so"), b"short").unwrap();
    let own = minimal.instance(None).await.unwrap();
    assert_eq!(own.is_healthy().await, Ok(true));
    assert_eq!(own.version("miner 1.2.3".to_owned()).await.as_deref(), Ok("1.2.3"));
    let again = place.load().await;
    assert_eq!(again.loaded().count(), 0);
    assert_eq!(own.is_healthy().await, Ok(true));
}

#[tokio::test]
async fn the_list_is_json_in_camel_case() {
    let place = place();
    let text = place.put("text.so", b"text");
    let listed = serde_json::to_value(place.load().await.list()).unwrap();
    let minimal = &listed[0];
    assert_eq!(minimal["state"], "loaded");
    assert_eq!(minimal["id"], "minimal");
    assert_eq!(minimal["api"], "1.0.0");
    assert_eq!(minimal["sha256"].as_str().unwrap().len(), 64);
    assert!(minimal["loadedAt"].is_string() && minimal.get("reason").is_none());
    let expected = serde_json::json!({
        "path": text,
        "state": "refused",
        "reason": "no driver: not an ELF library",
        "sha256": "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1",
    });
    assert_eq!(listed[1], expected);

    let inspected = inspect(&place.path("minimal.so"), place.options().owner);
    let inspected = serde_json::to_value(inspected).unwrap();
    assert_eq!(inspected["manifest"]["id"], "minimal");
    assert_eq!(inspected["manifest"]["api"], "1.0.0");
    assert_eq!(inspected["problems"], serde_json::json!([]));
}
