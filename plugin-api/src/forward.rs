//! A driver's log messages and panics reach the host.
//!
//! Each driver's library has its own copies of the `log` crate's and the standard library's
//! statics, so what is set here is the driver's alone.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    cell::RefCell,
    panic::{self, PanicHookInfo},
    sync::{Once, OnceLock},
    thread,
};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::{Host, LogLevel, guard::panic_text};

thread_local! {
    /// The host handle of the object that this thread is answering for.
    static CURRENT: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// The first handle that this driver got: for threads of the driver's own.
static FIRST: OnceLock<Host> = OnceLock::new();

/// Runs `work` with `host` as the one that takes this thread's messages.
pub(crate) fn within<T>(host: &Host, work: impl FnOnce() -> T) -> T {
    /// Puts the former handle back, also when `work` panics.
    struct Restore(Option<Host>);

    impl Drop for Restore {
        fn drop(&mut self) {
            drop(swap(self.0.take()));
        }
    }

    let _restore = Restore(swap(Some(host.clone())));
    work()
}

fn swap(next: Option<Host>) -> Option<Host> {
    // Neither can fail in a thread that still runs; in one that ends there is nobody to restore.
    CURRENT
        .try_with(|current| {
            current.try_borrow_mut().map(|mut current| std::mem::replace(&mut *current, next))
        })
        .ok()
        .and_then(Result::ok)
        .flatten()
}

fn target_host() -> Option<Host> {
    let current = CURRENT.try_with(|current| current.try_borrow().ok()?.clone());
    current.ok().flatten().or_else(|| FIRST.get().cloned())
}

/// Sends log messages of this library to the host, those of its own threads to `first`.
pub(crate) fn install_log(first: &Host) {
    static FORWARDER: Forwarder = Forwarder;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails when the author set a logger: then that one is wanted.
        if log::set_logger(&FORWARDER).is_ok() {
            log::set_max_level(LevelFilter::Debug);
        }
    });
    FIRST.get_or_init(|| first.clone());
}

/// Sends panics of this library to the host instead of stderr.
pub(crate) fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| match target_host() {
            Some(host) => forward_panic(&host, info),
            None => previous(info),
        }));
    });
}

struct Forwarder;

impl Log for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Trace is never sent: each message costs a call across the boundary.
        metadata.level() <= Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        };
        if let Some(host) = target_host() {
            host.services().log(level, record.target(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn forward_panic(host: &Host, info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let text = panic_text(info.payload());
    let mut message = format!("panic at {place} in thread {thread}: {text}");
    // Captured only if the operator asked for it with RUST_BACKTRACE.
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        message.push_str(&format!("\n{trace}"));
    }
    host.services().log(LogLevel::Error, "panic", &message);
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::testing;

    fn log(text: &str) {
        if let Some(host) = target_host() {
            host.log(LogLevel::Info, text);
        }
    }

    #[test]
    fn messages_go_to_the_innermost_call_and_return_to_the_outer_one() {
        let (outer, inner) = (testing::host(), testing::host());
        within(&outer.handle(), || {
            log("1");
            within(&inner.handle(), || log("2"));
            log("3");
            let call = || within(&inner.handle(), || panic!("in a call"));
            catch_unwind(AssertUnwindSafe(call)).unwrap_err();
            log("4");
        });
        log("5");
        let texts = |host: &testing::TestHost| {
            host.logs().into_iter().map(|logged| logged.message).collect::<Vec<_>>()
        };
        assert_eq!(texts(&outer), ["1", "3", "4"]);
        assert_eq!(texts(&inner), ["2"]);
    }
}
