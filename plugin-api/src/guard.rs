//! Panics end where they began: none crosses to the other side.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{Error, ErrorKind, Result, limits::cut};

/// Runs `work`; a panic becomes an error that says who panicked and where, such as
/// `the driver panicked in start: index out of bounds`.
pub(crate) fn guard<T>(who: &str, entry: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = format!("{who} panicked in {entry}: {}", panic_text(&*payload));
        // Dropping a payload runs foreign code that may panic again.
        std::mem::forget(payload);
        Err(Error { kind: ErrorKind::Panicked, message })
    })
}

/// What a panic's payload says.
pub(crate) fn panic_text(payload: &dyn Any) -> &str {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    cut(text.unwrap_or("the panic carries no text"))
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload panics when it is dropped");
        }
    }

    fn check(work: fn() -> Result<()>, expected: &str) {
        let error = guard("the driver", "start", work).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Panicked);
        assert_eq!(error.message, format!("the driver panicked in start: {expected}"));
    }

    #[test]
    fn any_payload_becomes_an_error() {
        check(|| panic!("plain"), "plain");
        check(|| panic!("{} of {}", 1, 2), "1 of 2");
        check(|| panic_any(7_u8), "the panic carries no text");
        check(|| panic_any(Bomb), "the panic carries no text");
    }

    #[test]
    fn results_pass_unchanged() {
        assert_eq!(guard("the driver", "start", || Ok(7)), Ok(7));
        let error = Error::invalid("no");
        assert_eq!(guard("the driver", "start", || Err::<(), _>(error.clone())), Err(error));
    }
}
