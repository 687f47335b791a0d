//! Asking a program for its version.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use adit::keepers::Keepers;

async fn ask(script: &str) -> std::io::Result<String> {
    let folder = tempfile::tempdir().unwrap();
    let args = ["-c".to_owned(), script.to_owned()];
    Keepers::ask(Path::new("/bin/sh"), &args, folder.path()).await
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
async fn what_the_program_left_behind_is_killed() {
    let text = ask("sleep 3600 & echo $!").await.unwrap();
    let status = format!("/proc/{}/stat", text.trim());
    let begin = Instant::now();
    // Killed; whoever adopted it may take a moment to reap it.
    while std::fs::read_to_string(&status).is_ok_and(|it| !it.contains(") Z ")) {
        assert!(begin.elapsed() < Duration::from_secs(10), "{text}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
