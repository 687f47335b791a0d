use super::*;

#[test]
fn storage_keeps_the_documented_limits() {
    let host = host().handle();
    let key = "k".repeat(Host::MAX_KEY);
    host.put(&key, &vec![0; Host::MAX_VALUE]).unwrap();
    host.put(&key, &vec![1; Host::MAX_VALUE]).unwrap();
    host.put("", b"").unwrap_err();
    host.put(&format!("{key}k"), b"").unwrap_err();
    host.put("k", &vec![0; Host::MAX_VALUE + 1]).unwrap_err();

    let fits = Host::MAX_STORAGE / Host::MAX_VALUE;
    let full = (0..fits).find(|n| host.put(&n.to_string(), &vec![0; Host::MAX_VALUE]).is_err());
    assert_eq!(full, Some(fits - 2), "the keys count too");
    host.remove(&key).unwrap();
    host.remove(&key).unwrap();
    assert_eq!(host.get(&key).unwrap(), None);
    assert_eq!(host.keys("1").unwrap()[..2], ["1", "10"]);
}

#[test]
fn the_data_folder_lives_as_long_as_the_host() {
    let host = host();
    let context = host.context();
    assert!(context.data_dir.is_dir());
    assert_eq!(host.context().data_dir, context.data_dir);
    assert_ne!(super::host().context().data_dir, context.data_dir);
    let dir = context.data_dir.clone();
    fs::write(dir.join("file"), "x").unwrap();
    drop((host, context));
    assert!(!dir.exists());
}

#[test]
fn peers_answer_as_told_and_may_use_the_host() {
    let host = host();
    let peer = PeerId("p1".to_owned());
    let handle = host.handle();
    handle.send(&peer, b"a").unwrap_err();
    let inner = host.clone();
    host.answer_with(move |from, payload| {
        assert_eq!(inner.sent().len(), 2);
        Ok([from.0.as_bytes(), payload].concat())
    });
    assert_eq!(handle.send(&peer, b"b").unwrap(), b"p1b");
    // The host and what answers for it hold each other.
    host.answer_with(|_, _| Ok(Vec::new()));
}
