use super::*;

fn check(path: &str) -> Option<String> {
    inside(path.as_bytes()).ok().map(|it| it.display().to_string())
}

#[test]
fn paths_stay_inside() {
    assert_eq!(check("xmrig-6.26.0/xmrig").as_deref(), Some("xmrig-6.26.0/xmrig"));
    assert_eq!(check("./a/./b/").as_deref(), Some("a/b"));
    assert_eq!(check("./").as_deref(), Some(""));
    assert_eq!(check("...").as_deref(), Some("..."));
    let (long, deep) = ("a/".repeat(600), "a/".repeat(17));
    for bad in ["/etc/passwd", "../x", "a/../../x", "a/..", "a\\b", "a\0b", "a\nb", &long, &deep] {
        assert_eq!(check(bad), None, "{bad}");
    }
    assert!(inside(b"\xff").is_err());
    assert!(inside("a".repeat(256).as_bytes()).is_err());
    assert!(plan_path("").is_err());
    assert!(plan_path("../x").is_err());
}

#[test]
fn garbage_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 7_u32;
    for round in 0..200 {
        let bytes: Vec<u8> = (0..round * 7)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        let path = folder.path().join("archive");
        for (name, magic) in [("x.tar.gz", &b"\x1f\x8b\x08\0"[..]), ("x.zip", b"PK\x03\x04")] {
            fs::write(&path, [magic, &bytes].concat()).unwrap();
            let into = folder.path().join(format!("{round}{name}"));
            let done = unpack(&path, name, &into, &Limits::default());
            assert!(matches!(done, Err(Error::Archive { .. })), "{round} {name} {done:?}");
        }
    }
}
