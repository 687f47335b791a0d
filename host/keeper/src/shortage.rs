//! Names the limit that a failed system call has reached.

use std::io;

/// `error` with the limit that was reached, if it was one: the system's own sentence names none.
pub fn with_cause(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => format!(
            "no more processes are allowed (see ulimit -u, TasksMax of the service, or the pids \
             limit of the container): {error}"
        ),
        Some(libc::ENOMEM) => format!("there is not enough memory: {error}"),
        Some(libc::EMFILE | libc::ENFILE) => {
            format!("no more open files are allowed (see ulimit -n): {error}")
        }
        _ => error.to_string(),
    }
}

/// Whether `error` says that the machine or a limit has no room for one more process.
pub fn is_shortage(error: &io::Error) -> bool {
    let codes = [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}
