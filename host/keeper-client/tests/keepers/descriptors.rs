//! The limit of open files that programs begin with.

use std::path::Path;

use adit_keeper::descriptors;
use adit_keeper_client::Keepers;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{Mine, exited};

#[tokio::test]
async fn programs_begin_with_the_limit_that_the_host_began_with() {
    // The usual one, whatever this machine has: it is what makes `select` safe.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(1024), ..limit }).unwrap();
    assert!(descriptors::raise(2048) >= 2048, "this machine allows no more than 1,024");
    assert_eq!(descriptors::raise(4096), 4096, "it can be raised again");
    assert_eq!(getrlimit(Resource::Nofile).current, Some(4096));

    let mine = Mine::new();
    let run = mine.launch("echo soft $(ulimit -Sn); echo hard $(ulimit -Hn)").await;
    exited(&run).await;
    let log = mine.tail(10);
    assert!(log.iter().any(|line| line == "soft 1024"), "{log:?}");
    let hard = limit.maximum.map_or("unlimited".to_owned(), |most| most.to_string());
    assert!(log.iter().any(|line| *line == format!("hard {hard}")), "{log:?}");

    let args = ["-c".to_owned(), "ulimit -Sn".to_owned()];
    let asked = Keepers::ask(Path::new("/bin/sh"), &args, mine.dir.path()).await.unwrap();
    assert_eq!(asked.text.trim(), "1024");
}
