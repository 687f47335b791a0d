//! A hostile driver in a separate process: every class of attack is refused, bounded and
//! reported.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    process::Command,
    time::Duration,
};

use adit_drivers::{
    call::CallError,
    handle::{Driver, Instance},
    registry::{Drivers, Options},
};
use adit_plugin_api::HttpRequest;

use crate::place::{Place, get};

/// What reaches other processes, the machine, or memory that is not counted; and the call by which.
const CALLS: [(&str, &str); 42] = [
    ("limit-host", "prlimit64"),
    ("limit-own", "prlimit64"),
    ("affinity", "sched_setaffinity"),
    ("ask-affinity", "sched_getaffinity"),
    ("scheduler", "sched_setscheduler"),
    ("priority", "setpriority"),
    ("io-priority", "ioprio_set"),
    ("kill", "kill"),
    ("kill-group", "kill"),
    ("kill-all", "kill"),
    ("tkill", "tkill"),
    ("tgkill", "tgkill"),
    ("queue", "rt_sigqueueinfo"),
    ("pidfd", "pidfd_open"),
    ("owner", "fcntl"),
    ("lock-range", "fcntl"),
    ("read-memory", "process_vm_readv"),
    ("move-pages", "move_pages"),
    ("robust-list", "get_robust_list"),
    ("compare", "kcmp"),
    ("lock-priority", "futex"),
    ("close-range", "close_range"),
    ("clock", "clock_settime"),
    ("name", "sethostname"),
    ("namespace", "unshare"),
    ("undump", "prctl"),
    ("ring", "io_uring_setup"),
    ("splice", "splice"),
    ("pair", "socketpair"),
    ("newer", "unknown"),
    ("segment", "shmget"),
    ("memory-file", "memfd_create"),
    ("shared", "mmap"),
    ("shared-zero", "mmap"),
    ("grows", "mmap"),
    ("huge-pages", "mmap"),
    ("device", "mknodat"),
    ("files/own-mode", "fchmod"),
    ("files/set-id", "openat"),
    ("files/link", "symlinkat"),
    ("files/pipe", "mknodat"),
    ("filter", ""),
];

async fn load(place: &Place, change: impl FnOnce(&mut Options)) -> (Drivers, Driver, Instance) {
    let mut options = place.process_options();
    change(&mut options);
    let drivers = place.load_with(options).await;
    let faulty = get(&drivers, "faulty");
    let object = faulty.instance(None).await.unwrap();
    (drivers, faulty, object)
}

async fn attempt(object: &Instance, what: &str) -> Result<String, CallError> {
    let request = HttpRequest { path: format!("/try/{what}"), ..HttpRequest::default() };
    let response = object.request(request).await?;
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}

/// How often a system call was refused.
fn refused(driver: &Driver, call: &str) -> u64 {
    let refused = driver.runner().unwrap().refused;
    refused.iter().find(|it| it.call == call).map_or(0, |it| it.count)
}

async fn refuses_what_reaches_out() {
    let place = Place::with_drivers();
    let (_drivers, faulty, object) = load(&place, |_| {}).await;
    let rules = faulty.runner().unwrap().confinement.unwrap();
    let is_reported = rules.calls.detail.contains("is reported");
    for (what, call) in CALLS {
        let before = refused(&faulty, call);
        let reached = attempt(&object, what).await.unwrap();
        // Without the host nothing says which thread is the driver's own.
        let is_open = what == "ask-affinity" && !is_reported;
        // A kernel without the means says so; one with them must use them.
        let must_refuse = rules.calls.enforced && !is_open;
        assert_eq!(reached.starts_with("refused: "), must_refuse, "{what}: {reached}");
        assert!(call.is_empty() || !is_reported || refused(&faulty, call) > before, "{what}");
    }
    for (what, why) in [("reserve", "Cannot allocate memory"), ("pass", "Operation not permitted")]
    {
        assert!(attempt(&object, what).await.unwrap().contains(why), "{what}");
    }
    let none = attempt(&object, "privileges").await.unwrap();
    assert!(none.contains("0000000000000000"), "{none}");
    assert_eq!(attempt(&object, "files/good").await.unwrap(), "done");
    assert_eq!(faulty.runner().unwrap().starts, 1);
}

async fn refuses_changes_of_files() {
    let place = Place::with_drivers();
    let (_drivers, faulty, object) = load(&place, |_| {}).await;
    let rules = faulty.runner().unwrap().confinement.unwrap();
    let victim = place.put("victim", b"text");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    let state = || {
        let meta = fs::metadata(&victim).unwrap();
        (meta.mode(), meta.uid(), meta.len(), meta.mtime(), meta.mtime_nsec())
    };
    let before = state();
    for what in ["mode", "owner", "attribute", "time", "truncate", "open-truncated"] {
        let path = victim.to_str().unwrap().trim_start_matches('/');
        let reached = attempt(&object, &format!("files/{what}/{path}")).await.unwrap();
        assert_eq!(reached.starts_with("refused: "), rules.calls.enforced, "{what}: {reached}");
        assert_eq!(state() == before, rules.calls.enforced, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_out_of_the_process_is_refused_and_reported() {
    refuses_what_reaches_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_owners_and_times_of_files_stay_as_they_are() {
    refuses_changes_of_files().await;
}

/// Runs a test of this file once more, in a process that `change` has set up.
fn again(name: &str, change: impl FnOnce(&mut Command)) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("hostile::{name}")]).current_dir("/");
    change(&mut command);
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{name}: {printed}");
}

#[test]
fn an_ordinary_user_is_as_safe_as_root() {
    if !rustix::process::geteuid().is_root() {
        // Then the tests above were those of an ordinary user.
        return;
    }
    for name in [
        "what_reaches_out_of_the_process_is_refused_and_reported",
        "modes_owners_and_times_of_files_stay_as_they_are",
    ] {
        // Not root's own folder for temporary files, if it has one.
        again(name, |command| {
            command.uid(65_534).gid(65_534).env("TMPDIR", "/tmp");
        });
    }
}

/// As in a container whose manager answers system calls itself: there is one listener for all
/// filters of a process.
#[test]
fn where_refused_calls_cannot_be_reported_they_are_refused_all_the_same() {
    for name in [
        "what_reaches_out_of_the_process_is_refused_and_reported",
        "modes_owners_and_times_of_files_stay_as_they_are",
        "threads_have_a_bound",
    ] {
        again(name, |command| {
            // SAFETY: the hook makes three system calls and allocates nothing.
            unsafe { command.pre_exec(take_listener) };
        });
    }
}

/// Installs a filter that allows everything and keeps its listener.
fn take_listener() -> std::io::Result<()> {
    /// `struct sock_fprog`.
    #[repr(C)]
    struct Program(u16, *const libc::sock_filter);
    // Returns SECCOMP_RET_ALLOW.
    let allow = libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = Program(1, &raw const allow);
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the call takes numbers.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program and its statement outlive the call.
    let listener = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    // SAFETY: the call takes numbers; with the flag cleared the test keeps the listener.
    let kept = unsafe { libc::syscall(libc::SYS_fcntl, listener, libc::F_SETFD, 0) };
    if listener < 0 || kept < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_keeps_nothing_open_that_it_inherited() {
    let place = Place::with_drivers();
    let file = fs::File::open(place.put("inherited", b"text")).unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let (_drivers, _faulty, object) = load(&place, |_| {}).await;
    let open = attempt(&object, "descriptors").await.unwrap();
    assert!(open.contains("0 -> /dev/null") && !open.contains("inherited"), "{open}");
    // Not the way to answer refused calls either: who has it may allow them.
    assert!(!open.contains("seccomp"), "{open}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_a_driver_leaves_unread_end_its_process() {
    let place = Place::with_drivers();
    let (_drivers, _faulty, object) = load(&place, |_| {}).await;
    let message = attempt(&object, "flood/answers").await.unwrap_err().to_string();
    assert!(message.contains("left more than 16 MiB of answers unread"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_have_a_bound() {
    let place = Place::with_drivers();
    let (_drivers, faulty, object) =
        load(&place, |options| options.hosting.rations.threads = 8).await;
    let rules = faulty.runner().unwrap().confinement.unwrap();
    let reached = attempt(&object, "flood/threads").await;
    if rules.threads.detail.contains("granted") {
        assert!(reached.unwrap().contains("Resource temporarily unavailable"));
        assert!(refused(&faulty, "clone") > 0);
        assert_eq!(faulty.runner().unwrap().starts, 1);
    } else {
        // They are counted each second, so some more may come first.
        let ended = async {
            while faulty.health().crashes == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(crate::place::PATIENCE, ended).await.expect("it is killed");
        let cause = faulty.runner().unwrap().last_end.unwrap().cause;
        // On a slow machine they may run into the limit on memory before.
        let is_bounded = ["threads, more than the", "cannot allocate memory"];
        assert!(is_bounded.iter().any(|it| cause.contains(it)), "{cause}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_driver_stores_has_a_bound() {
    for (what, why) in [
        ("disk", "MiB in its folder, more than the 16 allowed"),
        ("deleted", "MiB in its folder, more than the 16 allowed"),
        ("file", "SIGXFSZ"),
    ] {
        let place = Place::with_drivers();
        let (_drivers, _faulty, object) =
            load(&place, |options| options.hosting.rations.disk_bytes = 16 << 20).await;
        let message = match attempt(&object, &format!("flood/{what}")).await {
            Err(error) => error.to_string(),
            // Some parents of tests ignore the signal for all that they start.
            Ok(refused) => refused.replace("File too large", "SIGXFSZ"),
        };
        assert!(message.contains(why) || message.contains("SIGXFSZ"), "{what}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_lines_and_refused_calls_are_cut() {
    let soon = Duration::from_secs(3);
    let place = Place::with_drivers();
    let (_drivers, faulty, object) = load(&place, |options| options.limits.call = soon).await;
    for what in ["log", "print", "refused"] {
        let began = std::time::Instant::now();
        let late = attempt(&object, &format!("flood/{what}")).await.unwrap_err();
        assert!(matches!(late, CallError::Deadline { .. } | CallError::Ended { .. }), "{late}");
        while faulty.condition().0 == adit_drivers::handle::Condition::Well {
            assert!(began.elapsed() < crate::place::PATIENCE, "it is killed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let seconds = usize::try_from(began.elapsed().as_secs() + 1).unwrap();
        match what {
            "log" => assert!(place.log.count("a line of many") <= 500 + 50 * seconds),
            "refused" => assert!(refused(&faulty, "setpriority") <= 300 + 1_000 * seconds as u64),
            _ => {}
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
