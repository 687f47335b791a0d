//! One session with a pool.

use std::{
    io,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use signal_hook::{consts::SIGFPE, low_level};

use crate::{
    config::PoolEntry,
    rig::{Rig, say},
    wire::Wire,
};

/// Time between two shares.
const SHARE: Duration = Duration::from_millis(200);

/// What the double can mine.
pub(crate) const ALGORITHMS: &[&str] = &["rx/0", "rx/wow", "argon2/chukwa", "argon2/chukwav2"];

/// How a session ended.
pub(crate) enum End {
    /// There was none.
    Refused,
    /// The pool ended it.
    Lost,
    /// There is another configuration.
    Changed,
    /// The pool sent the miner to another one.
    Redirected(String),
}

struct Job {
    id: String,
    target: u64,
    nonce: u32,
}

pub(crate) struct Client<'a> {
    rig: &'a Rig,
    pool: &'a PoolEntry,
    wire: Wire,
    /// The configuration that this session belongs to.
    changes: u64,
    session: Option<String>,
    job: Option<Job>,
    sequence: u64,
    /// Sent and not answered yet.
    shares: Vec<u64>,
    next_share: Instant,
    pending: Vec<u8>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(rig: &'a Rig, pool: &'a PoolEntry, wire: Wire, changes: u64) -> Self {
        Self {
            rig,
            pool,
            wire,
            changes,
            session: None,
            job: None,
            sequence: 1,
            shares: Vec::new(),
            next_share: Instant::now() + SHARE,
            pending: Vec::new(),
        }
    }

    pub(crate) fn run(mut self) -> End {
        self.attend().unwrap_or_else(|_| {
            let was_in = self.session.is_some();
            say("net", &format!("{} read error: \"end of file\"", self.pool.url));
            if !was_in {
                return End::Refused;
            }
            say("net", "no active pools, stop mining");
            self.forget(true);
            End::Lost
        })
    }

    fn forget(&self, is_failure: bool) {
        let connection = &mut self.rig.state().connection;
        (connection.since, connection.ip, connection.tls) = (None, None, None);
        connection.diff = 0;
        connection.failures += u64::from(is_failure);
    }

    fn attend(&mut self) -> io::Result<End> {
        let mut login = json!({ "login": self.pool.user, "pass": self.pool.pass,
            "agent": format!("XMRig/{} (double)", self.rig.version), "algo": ALGORITHMS });
        if let Some(rig_id) = &self.pool.rig_id {
            login["rigid"] = json!(rig_id);
        }
        self.send("login", &login)?;
        loop {
            if self.rig.is_ending() || self.rig.state().changes != self.changes {
                // What is told of the pool stays until another one answers.
                return Ok(End::Changed);
            }
            let arrived = self.wire.receive()?;
            self.pending.extend(arrived);
            while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                let Ok(message) = serde_json::from_slice::<Value>(&line) else {
                    say("net", &format!("{} JSON decode failed", self.pool.url));
                    continue;
                };
                if let Some(end) = self.hear(&message)? {
                    return Ok(end);
                }
            }
            if Instant::now() >= self.next_share {
                self.next_share = Instant::now() + SHARE;
                self.share()?;
            }
        }
    }

    fn send(&mut self, method: &str, params: &Value) -> io::Result<()> {
        let request =
            json!({ "id": self.sequence, "jsonrpc": "2.0", "method": method, "params": params });
        self.sequence += 1;
        self.wire.send(&request.to_string())
    }

    /// A share that is as good as the target asks for.
    fn share(&mut self) -> io::Result<()> {
        let (Some(session), Some(job)) = (&self.session, &mut self.job) else { return Ok(()) };
        if self.rig.state().paused {
            return Ok(());
        }
        job.nonce += 1;
        let hash = (job.target - 1).to_le_bytes();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let nonce: String = job.nonce.to_le_bytes().iter().map(|it| format!("{it:02x}")).collect();
        let params = json!({ "id": session, "job_id": job.id, "nonce": nonce,
                             "result": format!("{}{hash}", "5a".repeat(24)) });
        self.shares.push(self.sequence);
        self.send("submit", &params)
    }

    fn hear(&mut self, message: &Value) -> io::Result<Option<End>> {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("job") => return self.take(params),
            Some("client.reconnect") => {
                let part = |index: usize| params[index].as_str().unwrap_or_default().to_owned();
                let to = format!("{}:{}", part(0), part(1));
                say("net", &format!("{} client.reconnect to {to}", self.pool.url));
                let leaked = self.wire.socket.try_clone()?;
                self.rig.state().leaked.push(leaked);
                self.forget(false);
                return Ok(Some(End::Redirected(to)));
            }
            _ => {}
        }
        let id = message["id"].as_u64().unwrap_or_default();
        let error = &message["error"];
        if let Some(at) = self.shares.iter().position(|share| *share == id) {
            self.shares.remove(at);
            self.note_share(error);
            return Ok(None);
        }
        if error.is_object() {
            let why = error["message"].as_str().unwrap_or_default();
            let code = error["code"].as_i64().unwrap_or_default();
            say("net", &format!("{} error: \"{why}\", code: {code}", self.pool.url));
            // XMRig leaves it to the pool to hang up.
            return Ok(None);
        }
        let result = &message["result"];
        if id == 1 {
            self.session = result["id"].as_str().map(str::to_owned);
            let tls = self.wire.fingerprint.as_ref().map(|_| "TLSv1.3".to_owned());
            let (ip, shown) = (self.wire.ip.clone(), tls.clone().unwrap_or_default());
            say("net", &format!("use pool {} {shown} {ip}", self.pool.url));
            {
                let connection = &mut self.rig.state().connection;
                connection.pool.clone_from(&self.pool.url);
                (connection.since, connection.ip) = (Some(Instant::now()), Some(ip));
                connection.tls = tls;
            }
            return self.take(&result["job"]);
        }
        Ok(None)
    }

    fn note_share(&self, error: &Value) {
        let (good, bad, diff) = {
            let mut state = self.rig.state();
            match error.is_object() {
                true => state.rejected += 1,
                false => {
                    state.accepted += 1;
                    state.hashes += state.connection.diff;
                }
            }
            (state.accepted, state.rejected, state.connection.diff)
        };
        match error["message"].as_str() {
            // As it came from the pool, newlines and all.
            Some(why) => {
                say("cpu", &format!("rejected ({good}/{bad}) diff {diff} \"{why}\" (0 ms)"))
            }
            None => say("cpu", &format!("accepted ({good}/{bad}) diff {diff} (0 ms)")),
        }
    }

    fn take(&mut self, job: &Value) -> io::Result<Option<End>> {
        let url = &self.pool.url;
        let algo = job["algo"].as_str().or(self.pool.algo.as_deref()).unwrap_or_default();
        if algo.is_empty() {
            say(
                "net",
                &format!("{url} unknown algorithm, make sure you set \"algo\" or \"coin\" option"),
            );
            return Ok(Some(End::Refused));
        }
        if !ALGORITHMS.contains(&algo) {
            say("net", &format!("{url} unsupported algorithm \"{algo}\" detected, reconnect"));
            say("net", &format!("{url} login error code: 6"));
            self.forget(true);
            return Ok(Some(End::Refused));
        }
        let short = job["target"].as_str().and_then(|it| u32::from_str_radix(it, 16).ok());
        let short = short.map(u32::swap_bytes).unwrap_or_default();
        if short == 0 {
            // XMRig divides by it.
            low_level::emulate_default_handler(SIGFPE)?;
        }
        let target = u64::MAX / (u64::from(u32::MAX) / u64::from(short));
        let diff = u64::MAX / target;
        let first = {
            let mut state = self.rig.state();
            state.connection.diff = diff;
            state.algo = Some(algo.to_owned());
            state.first_job.replace(Instant::now()).is_none()
        };
        say("net", &format!("new job from {url} diff {diff} algo {algo} height 3000001"));
        if first {
            let pages = self.rig.state().config["cpu"]["huge-pages"] != false;
            let pages = if pages { "0% 0/1" } else { "100% 1/1" };
            say("cpu", "use profile  *  (1 thread) scratchpad 512 KB");
            say("cpu", &format!("READY threads 1/1 (1) huge pages {pages} memory 512 KB (1 ms)"));
        }
        let id = job["job_id"].as_str().unwrap_or_default().to_owned();
        self.job = Some(Job { id, target, nonce: 0 });
        Ok(None)
    }
}
