//! The questions to an object of a driver as texts and bytes, and how their answers are read.
//!
//! For hosts, which put a question to an object in their own process or send it to another one that
//! has the object. What stands in the parts is said at [`crate::abi::AbiMiner`].

use serde::de::DeserializeOwned;

use crate::{
    Command, CommandPlan, Config, Context, Description, Error, HttpRequest, HttpResponse,
    InstallPlan, Installed, Launch, Observation, PeerId, PerformanceMetrics, Probe, Reply, Result,
    StartPlan, StopPlan, Target,
    limits::check_size,
    wire::{self, ContextHead, decode, encode},
};

/// An entry point of a driver's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Entry {
    /// [`crate::Miner::describe`].
    Describe = 1,
    /// [`crate::Miner::install`].
    Install = 2,
    /// [`crate::Miner::uninstall`].
    Uninstall = 3,
    /// [`crate::Miner::version`].
    Version = 4,
    /// [`crate::Miner::start`].
    Start = 5,
    /// [`crate::Miner::stop`].
    Stop = 6,
    /// [`crate::Miner::probes`].
    Probes = 7,
    /// [`crate::Miner::stats`].
    Stats = 8,
    /// [`crate::Miner::output`].
    Output = 9,
    /// [`crate::Miner::command`].
    Command = 10,
    /// [`crate::Miner::request`].
    Request = 11,
    /// [`crate::Miner::message`].
    Message = 12,
    /// [`crate::Miner::is_healthy`].
    IsHealthy = 13,
    /// What has no name yet.
    Call = 14,
}

impl Entry {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Describe,
        Self::Install,
        Self::Uninstall,
        Self::Version,
        Self::Start,
        Self::Stop,
        Self::Probes,
        Self::Stats,
        Self::Output,
        Self::Command,
        Self::Request,
        Self::Message,
        Self::IsHealthy,
        Self::Call,
    ];

    /// The entry point with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|entry| *entry as u8 == code)
    }

    /// Its name in the trait.
    pub fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Install => "install",
            Self::Uninstall => "uninstall",
            Self::Version => "version",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Probes => "probes",
            Self::Stats => "stats",
            Self::Output => "output",
            Self::Command => "command",
            Self::Request => "request",
            Self::Message => "message",
            Self::IsHealthy => "is_healthy",
            Self::Call => "call",
        }
    }
}

/// The parts of a question or of an answer, as they cross.
pub type Parts = Vec<Vec<u8>>;

/// One question.
pub struct Question<T> {
    /// Whom to ask.
    pub entry: Entry,
    /// What goes in.
    pub parts: Parts,
    read: fn(Parts) -> Result<T>,
}

impl<T> Question<T> {
    fn new(entry: Entry, parts: Parts, read: fn(Parts) -> Result<T>) -> Self {
        Self { entry, parts, read }
    }

    /// How the answer to it is read.
    pub fn reader(&self) -> fn(Parts) -> Result<T> {
        self.read
    }
}

/// What an object is made for, as text; the host handle goes another way.
///
/// # Errors
/// When the path of the folder is no UTF-8.
pub fn context(context: &Context) -> Result<String> {
    let Context { driver, miner, data_dir, definition, host: _ } = context.clone();
    encode("the context", &ContextHead { driver, miner, data_dir, definition })
}

/// The context of [`context`] again, with a host that is not there.
///
/// # Errors
/// When the text is no such context.
pub fn read_context(text: &str) -> Result<Context> {
    let ContextHead { driver, miner, data_dir, definition } = decode("the context", text)?;
    Ok(Context { driver, miner, data_dir, definition, ..Context::default() })
}

/// What the driver offers.
pub fn describe() -> Question<Description> {
    Question::new(Entry::Describe, Vec::new(), |parts| json("description", parts))
}

/// Where the driver's program comes from.
///
/// # Errors
/// When it cannot be written as text; so for all questions below.
pub fn install(target: &Target) -> Result<Question<InstallPlan>> {
    let parts = vec![text("the target", target)?];
    Ok(Question::new(Entry::Install, parts, |parts| json("install plan", parts)))
}

/// Cleans up.
///
/// # Errors
/// As for [`install`].
pub fn uninstall(installed: &Installed) -> Result<Question<()>> {
    let parts = vec![text("the installed program", installed)?];
    Ok(Question::new(Entry::Uninstall, parts, |_| Ok(())))
}

/// Reads a version.
pub fn version(output: &str) -> Question<String> {
    Question::new(Entry::Version, vec![output.into()], |parts| plain("version", parts))
}

/// Plans a run.
///
/// # Errors
/// As for [`install`].
pub fn start(config: &Config, launch: &Launch) -> Result<Question<StartPlan>> {
    let parts = vec![text("the configuration", config)?, text("the launch", launch)?];
    Ok(Question::new(Entry::Start, parts, |parts| json("start plan", parts)))
}

/// How to end a run.
///
/// # Errors
/// As for [`install`].
pub fn stop(launch: &Launch) -> Result<Question<StopPlan>> {
    let parts = vec![text("the launch", launch)?];
    Ok(Question::new(Entry::Stop, parts, |parts| json("stop plan", parts)))
}

/// How to ask a running miner.
///
/// # Errors
/// As for [`install`].
pub fn probes(launch: &Launch) -> Result<Question<Vec<Probe>>> {
    let parts = vec![text("the launch", launch)?];
    Ok(Question::new(Entry::Probes, parts, |parts| json("list of probes", parts)))
}

/// Makes figures from replies.
///
/// # Errors
/// As for [`install`].
pub fn stats(launch: &Launch, replies: &[Reply]) -> Result<Question<PerformanceMetrics>> {
    let (heads, bodies) = wire::encode_replies(replies)?;
    let parts = vec![text("the launch", launch)?, heads.into(), bodies];
    Ok(Question::new(Entry::Stats, parts, |parts| json("metrics", parts)))
}

/// What lines of output say. There is at least one line.
pub fn output(lines: &[&str]) -> Question<Vec<Observation>> {
    Question::new(Entry::Output, vec![lines.join("\n").into()], |parts| {
        let seen = plain("list of observations", parts)?;
        wire::decode_observations("the driver's list of observations", &seen)
    })
}

/// How to carry out a command.
///
/// # Errors
/// As for [`install`].
pub fn command(command: &Command, launch: &Launch) -> Result<Question<CommandPlan>> {
    let parts = vec![text("the command", command)?, text("the launch", launch)?];
    Ok(Question::new(Entry::Command, parts, |parts| json("command plan", parts)))
}

/// Answers a REST request.
///
/// # Errors
/// As for [`install`].
pub fn request(request: &HttpRequest) -> Result<Question<HttpResponse>> {
    let parts = vec![wire::encode_request(request)?.into(), request.body.clone()];
    Ok(Question::new(Entry::Request, parts, |parts| {
        let mut parts = parts.into_iter();
        let head = utf8("response", parts.next().unwrap_or_default())?;
        let body = parts.next().unwrap_or_default();
        check_size("the driver's response", head.len().saturating_add(body.len()))?;
        wire::decode_response("the driver's response", &head, body)
    }))
}

/// Answers a message from a peer.
pub fn message(from: &PeerId, payload: &[u8]) -> Question<Vec<u8>> {
    let parts = vec![from.0.clone().into(), payload.to_vec()];
    Question::new(Entry::Message, parts, |parts| {
        let answer = parts.into_iter().next().unwrap_or_default();
        check_size("the driver's answer", answer.len())?;
        Ok(answer)
    })
}

/// Whether the driver can do its work.
pub fn is_healthy() -> Question<bool> {
    Question::new(Entry::IsHealthy, Vec::new(), |parts| {
        Ok(parts.first().is_some_and(|part| part == b"\x01"))
    })
}

/// Calls a method that has no name yet.
pub fn call(method: &str, params: &str) -> Question<String> {
    let parts = vec![method.into(), params.into()];
    Question::new(Entry::Call, parts, |parts| plain("reply", parts))
}

fn text<T: serde::Serialize>(what: &str, value: &T) -> Result<Vec<u8>> {
    encode(what, value).map(String::into_bytes)
}

fn json<T: DeserializeOwned>(what: &str, parts: Parts) -> Result<T> {
    let text = plain(what, parts)?;
    decode(&format!("the driver's {what}"), &text)
}

/// The only part, as text of a size that is taken.
fn plain(what: &str, parts: Parts) -> Result<String> {
    let text = parts.into_iter().next().unwrap_or_default();
    check_size(&format!("the driver's {what}"), text.len())?;
    utf8(what, text)
}

fn utf8(what: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::failed(format!("the driver's {what} is no UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_point_has_a_number_of_its_own() {
        for entry in Entry::ALL {
            assert_eq!(Entry::from_code(entry as u8), Some(entry), "{}", entry.name());
        }
        assert_eq!(Entry::from_code(0), None);
        assert_eq!(Entry::from_code(15), None);
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        for parts in [vec![], vec![vec![]], vec![b"{".to_vec()], vec![vec![0xff; 3]]] {
            assert!(describe().reader()(parts.clone()).is_err(), "{parts:?}");
            assert!(output(&["x"]).reader()(parts.clone()).is_err(), "{parts:?}");
            assert!(request(&HttpRequest::default()).unwrap().reader()(parts).is_err());
        }
        assert_eq!(is_healthy().reader()(vec![]), Ok(false));
        assert_eq!(is_healthy().reader()(vec![vec![1]]), Ok(true));
    }
}
