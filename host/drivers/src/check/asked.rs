//! What came of a question.

use adit_plugin_api::ErrorKind;

use crate::{
    call::CallError,
    check::rules::{self, Findings},
};

/// What came of a question.
pub(super) enum Asked<T> {
    /// An answer.
    Given(T),
    /// The driver said no.
    Refused(ErrorKind, String),
    /// It broke; that is noted already.
    Broken,
}

impl<T> Asked<T> {
    /// The answer, if there is one.
    pub(super) fn given(self) -> Option<T> {
        match self {
            Self::Given(answer) => Some(answer),
            Self::Refused(..) | Self::Broken => None,
        }
    }
}

/// Notes a break of the rules that hold for every question.
pub(super) fn judge<T>(answer: Result<T, CallError>, findings: &mut Findings) -> Asked<T> {
    let error = match answer {
        Ok(answer) => return Asked::Given(answer),
        Err(CallError::Refused { kind, message, .. }) => return Asked::Refused(kind, message),
        Err(error) => error,
    };
    let note = match error.op() {
        "" => error.to_string(),
        op => format!("{op}: {error}"),
    };
    match error {
        CallError::Panicked { .. } => findings.fail(&rules::NO_PANIC, note),
        CallError::Deadline { .. } | CallError::Busy { .. } | CallError::Wedged { .. } => {
            findings.fail(&rules::IN_TIME, note);
        }
        // It was not asked, because of a crash that is noted already.
        CallError::Resting { .. } => {}
        _ => findings.fail(&rules::NO_CRASH, note),
    }
    Asked::Broken
}
