//! Asking a program for its version.

use std::{
    future::poll_fn,
    path::Path,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use adit_keeper_client::{Answer, Keepers};

use crate::support::LIMIT;

async fn answer(script: &str) -> std::io::Result<Answer> {
    let folder = tempfile::tempdir().unwrap();
    let args = ["-c".to_owned(), script.to_owned()];
    Keepers::ask(Path::new("/bin/sh"), &args, folder.path()).await
}

async fn ask(script: &str) -> std::io::Result<String> {
    answer(script).await.map(|it| it.text)
}

#[tokio::test]
async fn a_program_tells_its_version_and_sees_no_secrets() {
    let text = ask("echo 1.2.3; echo on stderr >&2; env; exit 1").await.unwrap();
    assert!(text.contains("1.2.3\n") && text.contains("on stderr\n"), "{text}");
    assert!(!text.contains("CARGO"), "{text}");
    assert!(ask("exit 3").await.unwrap_err().to_string().contains("exit status: 3"));
    assert!(Keepers::ask(Path::new("/nowhere"), &[], Path::new("/")).await.is_err());
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let text = ask("while :; do echo yes; done").await.unwrap();
    assert!(text.len() <= 1 << 17, "{}", text.len());
}

#[tokio::test]
async fn how_a_program_ended_is_told_with_what_it_printed() {
    use std::os::unix::process::ExitStatusExt;
    let crashed = answer("echo 1.2.3; kill -SEGV $$").await.unwrap();
    assert_eq!((crashed.text.as_str(), crashed.status.signal()), ("1.2.3\n", Some(11)));
    assert_eq!(answer("echo 1.2.3; exit 3").await.unwrap().status.code(), Some(3));
    assert!(answer("echo 1.2.3").await.unwrap().status.success());
}

#[tokio::test]
async fn what_the_program_left_behind_is_killed() {
    for script in [
        "sleep 3600 & echo $!",
        // In another session, without its output, and deaf to TERM.
        "setsid sh -c 'trap \"\" TERM HUP; sleep 3600' > /dev/null 2>&1 < /dev/null & echo $!",
        "setsid sleep 3600 & echo $!",
    ] {
        is_killed(script).await;
    }
}

async fn is_killed(script: &str) {
    let text = ask(script).await.unwrap();
    let status = format!("/proc/{}/stat", text.trim());
    let begin = Instant::now();
    // Killed; whoever adopted it may take a moment to reap it.
    while std::fs::read_to_string(&status).is_ok_and(|it| !it.contains(") Z ")) {
        assert!(begin.elapsed() < LIMIT, "{text}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_program_that_is_still_held_open_for_writing_is_waited_for() {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let mut file =
        std::fs::File::options().write(true).create_new(true).mode(0o755).open(&program).unwrap();
    std::io::Write::write_all(&mut file, b"#!/bin/sh\necho 1.2.3\n").unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test is no host")]
    let refused = std::process::Command::new(&program).output().unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ExecutableFileBusy);
    let mut asking = pin!(Keepers::ask(&program, &[], folder.path()));
    // Refused once, and not over.
    let first = poll_fn(|context| Poll::Ready(asking.as_mut().poll(context).is_pending())).await;
    assert!(first);
    drop(file);
    assert_eq!(asking.await.unwrap().text, "1.2.3\n");
}

#[tokio::test]
async fn a_file_that_is_no_program_is_not_fed_to_a_shell() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (program, done) = (folder.path().join("program"), folder.path().join("done"));
    for head in ["", "\x7fELF\n"] {
        std::fs::write(&program, format!("{head}touch {}\n", done.display())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = Keepers::ask(&program, &[], folder.path()).await.unwrap_err().to_string();
        assert!(error.contains("install it again"), "{error}");
        assert!(!done.exists(), "a shell carried it out");
    }
}
