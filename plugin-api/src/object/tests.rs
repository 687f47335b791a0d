//! A driver that did not come from this crate: its replies are any text and any bytes.

use abi_stable::{
    erased_types::TD_Opaque,
    std_types::{
        RResult::{RErr, ROk},
        RSlice, RStr, RVec,
    },
};

use super::*;
use crate::{
    ErrorKind,
    abi::{AbiMiner, AbiMiner_TO},
    testing,
};

/// Answers every question with the same text.
struct Parrot(String);

impl Parrot {
    fn say(&self) -> AbiResult<RString> {
        ROk(self.0.as_str().into())
    }
}

impl AbiMiner for Parrot {
    fn describe(&self) -> AbiResult<RString> {
        self.say()
    }

    fn install(&self, _: RStr<'_>) -> AbiResult<RString> {
        self.say()
    }

    fn uninstall(&self, _: RStr<'_>) -> AbiResult<()> {
        RErr(AbiError { kind: 99, message: self.0.as_str().into() })
    }

    fn version(&self, _: RStr<'_>) -> AbiResult<RString> {
        self.say()
    }

    fn start(&self, _: RStr<'_>, _: RStr<'_>) -> AbiResult<RString> {
        self.say()
    }

    fn stop(&self, _: RStr<'_>) -> AbiResult<RString> {
        self.say()
    }

    fn probes(&self, _: RStr<'_>) -> AbiResult<RString> {
        self.say()
    }

    fn stats(&self, _: RStr<'_>, _: RStr<'_>, _: RSlice<'_, u8>) -> AbiResult<RString> {
        self.say()
    }

    fn output(&self, _: RStr<'_>) -> AbiResult<RString> {
        self.say()
    }

    fn command(&self, _: RStr<'_>, _: RStr<'_>) -> AbiResult<RString> {
        self.say()
    }

    fn request(&self, _: RStr<'_>, _: RSlice<'_, u8>) -> AbiResult<Tuple2<RString, RVec<u8>>> {
        ROk(Tuple2(self.0.as_str().into(), RVec::new()))
    }

    fn message(&self, _: RStr<'_>, _: RSlice<'_, u8>) -> AbiResult<RVec<u8>> {
        ROk(self.0.as_bytes().into())
    }

    fn is_healthy(&self) -> AbiResult<bool> {
        ROk(false)
    }

    fn call(&self, _: RStr<'_>, _: RStr<'_>) -> AbiResult<RString> {
        self.say()
    }
}

/// What becomes of `text` as the reply to each question that is answered in JSON.
fn replies(text: &str) -> Vec<(&'static str, Option<Error>)> {
    let driver = DriverObject(AbiMiner_TO::from_value(Parrot(text.to_owned()), TD_Opaque));
    let launch = testing::launch();
    vec![
        ("description", driver.describe().err()),
        ("install plan", driver.install(&Target::default()).err()),
        ("start plan", driver.start(&Config::default(), &launch).err()),
        ("stop plan", driver.stop(&launch).err()),
        ("list of probes", driver.probes(&launch).err()),
        ("metrics", driver.stats(&launch, &[]).err()),
        ("list of observations", driver.output(&[""]).err()),
        ("command plan", driver.command(&Command::default(), &launch).err()),
        ("response", driver.request(&HttpRequest::default()).err()),
    ]
}

#[test]
fn a_reply_that_is_no_payload_is_an_error_that_names_it() {
    let deep = "[".repeat(1 << 20);
    for text in ["", " ", "nul", "null", "7", "\"x\"", "{\"a\":", "\0", "{} {}", "[[]] x", &deep] {
        for (what, error) in replies(text) {
            let error = error.unwrap_or_else(|| panic!("{what}: {text:?} was taken"));
            assert_eq!(error.kind, ErrorKind::Failed, "{what}: {text:?}");
            let start = format!("the driver's {what} cannot be read: ");
            assert!(error.message.starts_with(&start), "{error}");
            assert!(error.message.len() < 500, "{error}");
        }
    }
}

#[test]
fn a_reply_one_byte_too_large_is_refused_before_it_is_read() {
    let large = " ".repeat((4 << 20) + 1);
    for (what, error) in replies(&large) {
        let message = error.unwrap().message;
        assert!(
            message.starts_with(&format!("the driver's {what} has 4194305 bytes")),
            "{message}"
        );
    }
    let driver = DriverObject(AbiMiner_TO::from_value(Parrot(large), TD_Opaque));
    driver.version("").unwrap_err();
    driver.call("x", "").unwrap_err();
    driver.message(&PeerId(String::new()), b"").unwrap_err();
    let error = driver.uninstall(&Installed::default()).unwrap_err();
    assert_eq!((error.kind, error.message.len()), (ErrorKind::Failed, 16 << 10));
}

#[test]
fn a_reply_of_the_largest_size_is_taken() {
    let plan = format!("{{\"steps\":[]{}}}", " ".repeat((4 << 20) - 12));
    assert_eq!(plan.len(), 4 << 20);
    assert!(replies(&plan).contains(&("stop plan", None)));
}
