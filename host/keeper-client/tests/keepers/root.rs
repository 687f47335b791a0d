//! What only root can try out.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    process::Command,
    thread,
};

use adit_keeper_client::look::Observed;

use crate::support::{Mine, exited, until};

/// A folder on a file system of 256 KiB, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    #[expect(clippy::disallowed_methods, reason = "a test prepares its disk")]
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(dir.path());
        assert!(mount.status().unwrap().success());
        Self(dir)
    }
}

impl Drop for SmallDisk {
    #[expect(clippy::disallowed_methods, reason = "a test takes its disk away")]
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().ok();
    }
}

#[tokio::test]
#[ignore = "needs root to mount a file system"]
async fn on_a_disk_really_full_the_run_goes_on_and_its_end_is_written_down() {
    let disk = SmallDisk::new();
    let mine = Mine::at(tempfile::tempdir().unwrap(), disk.0.path().join("runs"));
    let run = mine.launch("read line; seq 1 100000; echo done; read line; exit 7").await;
    run.stdin("go\n").await.unwrap();
    until("the output", async || run.status().await.unwrap().lines == 100_001).await;
    let status = run.status().await.unwrap();
    assert!(status.log_error.is_some_and(|error| error.contains("No space left")));
    assert!(fs::write(disk.0.path().join("more"), [b'x'; 9000]).is_err());
    run.stdin("\n").await.unwrap();
    assert_eq!(exited(&run).await.code, Some(7));
    until(
        "the record",
        async || matches!(mine.look().await, Observed::Ended(record) if record.code == Some(7)),
    )
    .await;
    // Whole lines, as long as there was room for all.
    let log = mine.tail(1_000_000);
    let whole = log[1..].iter().take_while(|line| !line.starts_with("[adit] "));
    let whole = whole.enumerate().map(|(index, line)| assert_eq!(*line, (index + 1).to_string()));
    assert!(whole.count() > 10_000);
}

#[tokio::test]
#[ignore = "needs root to become another user"]
async fn another_user_is_not_listened_to_even_where_the_files_would_let_it() {
    let mine = Mine::new();
    let run = mine.launch("exec sleep 600").await;
    let folder = mine.root.join("rig-1");
    for place in [mine.dir.path(), &mine.root, &folder] {
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let socket = folder.join("socket");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(is_answered(&socket, None));
    exited(&run).await;

    let mut next = None;
    until("the next run", async || {
        next = mine.keepers.launch(&mine.spec("exec sleep 600")).await.ok();
        next.is_some()
    })
    .await;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(!is_answered(&socket, Some(65534)));
    assert!(!next.unwrap().status().await.unwrap().stopping);
}

/// Whether a keeper answers a stop, asked for by this or another user.
fn is_answered(socket: &Path, user: Option<u32>) -> bool {
    let socket = socket.to_owned();
    // The user is the thread's alone, which ends with it.
    let asking = thread::spawn(move || {
        if let Some(user) = user {
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(user)).unwrap();
        }
        let mut stream = UnixStream::connect(socket).unwrap();
        let mut answer = [0];
        // Hung up on: no answer, or already no ear for the question.
        stream.write_all(b"{\"do\":\"stop\"}\n").is_ok()
            && stream.read(&mut answer).is_ok_and(|count| count > 0)
    });
    asking.join().unwrap()
}
