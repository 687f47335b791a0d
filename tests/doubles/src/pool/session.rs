//! One connection of a miner.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
};

use serde_json::{Value, json};

use crate::pool::{Broadcast, Login, Pool};

/// Longest line of a miner, in bytes.
const LINE_BYTES: usize = 64 << 10;

pub(super) struct Session {
    pool: Pool,
    generation: u64,
    id: String,
    logged_in: bool,
    /// Targets by the id of their job.
    jobs: BTreeMap<String, u64>,
    nonces: Vec<(String, String)>,
    /// How many broadcasts it got.
    heard: usize,
    /// Its login was refused, after which pools hang up.
    is_refused: bool,
}

impl Session {
    pub(super) fn new(pool: Pool, generation: u64) -> Self {
        let (id, heard) = (pool.unique(16), pool.state().broadcast.len());
        Self {
            pool,
            generation,
            id,
            logged_in: false,
            jobs: BTreeMap::new(),
            nonces: Vec::new(),
            heard,
            is_refused: false,
        }
    }

    /// Serves until either side ends it.
    pub(super) fn run(mut self, mut stream: impl Read + Write) -> io::Result<()> {
        let mut pending = Vec::new();
        let mut chunk = [0; 4_096];
        while self.pool.state().generation == self.generation {
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => pending.extend_from_slice(&chunk[..count]),
                Err(error)
                    if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
                Err(error) => return Err(error),
            }
            if pending.len() > LINE_BYTES {
                return Ok(());
            }
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                for answer in self.answer(&line) {
                    stream.write_all(format!("{answer}\n").as_bytes())?;
                }
            }
            if self.is_refused {
                return Ok(());
            }
            for message in self.broadcasts() {
                stream.write_all(format!("{message}\n").as_bytes())?;
            }
        }
        Ok(())
    }

    fn broadcasts(&mut self) -> Vec<Value> {
        if !self.logged_in {
            return Vec::new();
        }
        let new = self.pool.state().broadcast[self.heard..].to_vec();
        self.heard += new.len();
        new.into_iter()
            .map(|broadcast| match broadcast {
                Broadcast::Job => {
                    json!({ "jsonrpc": "2.0", "method": "job", "params": self.job() })
                }
                Broadcast::Redirect(to) => redirect(to),
            })
            .collect()
    }

    fn answer(&mut self, line: &[u8]) -> Vec<Value> {
        let faults = self.pool.state().faults.clone();
        let Ok(request) = serde_json::from_slice::<Value>(line) else { return Vec::new() };
        if faults.silent || faults.ignore_shares && request["method"] == "submit" {
            return Vec::new();
        }
        let refusal = |message: &str| {
            json!({ "id": request["id"], "jsonrpc": "2.0",
                    "error": { "code": -1, "message": message } })
        };
        let done = |result: Value| json!({ "id": request["id"], "jsonrpc": "2.0", "error": null, "result": result });
        let params = &request["params"];
        let answer = match request["method"].as_str().unwrap_or_default() {
            "login" => {
                self.note_login(params);
                match &faults.refuse_login {
                    Some(why) => {
                        self.is_refused = true;
                        refusal(why)
                    }
                    None => {
                        self.logged_in = true;
                        let job = self.job();
                        done(json!({ "id": self.id, "job": job, "status": "OK",
                                     "extensions": ["algo", "keepalive"] }))
                    }
                }
            }
            "submit" => match self.judge(params).err().or(faults.reject_shares) {
                Some(why) => {
                    self.pool.state().seen.rejected += 1;
                    refusal(&why)
                }
                None => {
                    self.pool.state().seen.accepted += 1;
                    done(json!({ "status": "OK" }))
                }
            },
            "keepalived" => {
                self.pool.state().seen.keepalives += 1;
                done(json!({ "status": "KEEPALIVED" }))
            }
            other => refusal(&format!("there is no method {other}")),
        };
        vec![answer]
    }

    fn note_login(&self, params: &Value) {
        let text = |key: &str| params[key].as_str().map(str::to_owned);
        self.pool.state().seen.logins.push(Login {
            wallet: text("login").unwrap_or_default(),
            password: text("pass").unwrap_or_default(),
            rig_id: text("rigid"),
            agent: text("agent").unwrap_or_default(),
        });
    }

    fn job(&mut self) -> Value {
        let faults = self.pool.state().faults.clone();
        let options = &self.pool.0.options;
        let short = u32::MAX / options.difficulty;
        let id = self.pool.unique(16);
        self.jobs.insert(id.clone(), u64::MAX / (u64::from(u32::MAX) / u64::from(short)));
        // The nonce's four bytes stand at 39 and are the miner's.
        let blob = format!("1010{}00000000{}", self.pool.unique(74), self.pool.unique(66));
        let target: String = short.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "blob": blob,
            "job_id": id,
            "target": if faults.zero_target { "00000000".to_owned() } else { target },
            "height": 3_000_000 + self.jobs.len(),
            "seed_hash": "0".repeat(64),
            "algo": faults.other_algorithm.unwrap_or_else(|| options.algorithm.clone()),
        })
    }

    /// What is wrong with a share, in the words that pools use.
    fn judge(&mut self, params: &Value) -> Result<(), String> {
        let text = |key: &str| params[key].as_str().unwrap_or_default().to_owned();
        if !self.logged_in || text("id") != self.id {
            return Err(self.complain("Unauthenticated", params));
        }
        let job = text("job_id");
        let Some(target) = self.jobs.get(&job).copied() else {
            return Err(self.complain("Block expired", params));
        };
        let (nonce, result) = (text("nonce"), text("result"));
        let is_hex = |text: &str, digits| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if !is_hex(&nonce, 8) || !is_hex(&result, 64) {
            return Err(self.complain("Malformed share", params));
        }
        let share = (job, nonce);
        if self.nonces.contains(&share) {
            return Err(self.complain("Duplicate share", params));
        }
        self.nonces.push(share);
        // The last eight bytes, the lowest first.
        let hash = (48..64)
            .step_by(2)
            .rev()
            .filter_map(|at| u8::from_str_radix(&result[at..at + 2], 16).ok());
        let hash = hash.fold(0_u64, |hash, byte| hash << 8 | u64::from(byte));
        match hash < target {
            true => Ok(()),
            false => Err(self.complain("Low difficulty share", params)),
        }
    }

    fn complain(&self, why: &str, params: &Value) -> String {
        self.pool.state().seen.complaints.push(format!("{why}: {params}"));
        why.to_owned()
    }
}

fn redirect(to: SocketAddr) -> Value {
    let (host, port) = (to.ip().to_string(), to.port());
    json!({ "id": null, "jsonrpc": "2.0", "method": "client.reconnect",
            "params": [host, port.to_string()] })
}
