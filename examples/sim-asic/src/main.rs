//! A program that answers as an ASIC miner on the network does: cgminer's API on a TCP port, one
//! question on a connection, a reply that ends with a NUL. It mines nothing.
//!
//! `sim-asic PORT` listens on loopback; port 0 takes a free one. The first line it prints is the
//! address.

#![forbid(unsafe_code)]

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

/// Hash boards.
const BOARDS: usize = 3;
/// MH/s of one board.
const RATE: f64 = 4_500_000.0;
/// Longest question.
const QUESTION_BYTES: usize = 4096;
/// How long a silent client is listened to.
const PATIENCE: Duration = Duration::from_secs(2);

/// The simulated device.
struct Device {
    begun: Instant,
    enabled: [bool; BOARDS],
    pool: usize,
}

fn main() -> ExitCode {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    match port.ok_or_else(|| io::Error::other("write the port: sim-asic 4028")).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("sim-asic: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    say(&listener.local_addr()?.to_string());
    let mut device = Device { begun: Instant::now(), enabled: [true; BOARDS], pool: 0 };
    for connection in listener.incoming().flatten() {
        // A caller that went away is the caller's affair.
        device.answer(connection).ok();
    }
    Ok(())
}

fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush()).ok();
}

impl Device {
    fn answer(&mut self, mut connection: TcpStream) -> io::Result<()> {
        connection.set_read_timeout(Some(PATIENCE))?;
        let mut question = vec![0; QUESTION_BYTES];
        // Questions are short: they come in one piece.
        let length = connection.read(&mut question)?;
        let question: Value = serde_json::from_slice(&question[..length]).unwrap_or_default();
        let reply = self.reply(&question).to_string();
        connection.write_all(reply.as_bytes())?;
        connection.write_all(b"\0")
    }

    fn reply(&mut self, question: &Value) -> Value {
        let number = || question["parameter"].as_str()?.parse::<usize>().ok();
        match question["command"].as_str() {
            Some("summary") => json!({ "STATUS": [good("Summary")], "SUMMARY": [self.summary()] }),
            Some("devs") => {
                let boards: Vec<_> = (0..BOARDS).map(|number| self.board(number)).collect();
                json!({ "STATUS": [good("3 ASC(s)")], "DEVS": boards })
            }
            Some("pools") => {
                let pools: Vec<_> = (0..2).map(|number| self.pool(number)).collect();
                json!({ "STATUS": [good("2 Pool(s)")], "POOLS": pools })
            }
            Some("coin") => {
                json!({ "STATUS": [good("CGMiner coin")], "COIN": [{ "Hash Method": "sha256" }] })
            }
            Some(command @ ("ascenable" | "ascdisable")) => {
                match number().filter(|number| *number < BOARDS) {
                    Some(number) => {
                        self.enabled[number] = command == "ascenable";
                        json!({ "STATUS": [good(command)] })
                    }
                    None => bad("Invalid ASC id"),
                }
            }
            Some("switchpool") => match number().filter(|number| *number < 2) {
                Some(number) => {
                    self.pool = number;
                    json!({ "STATUS": [good("Switching to pool")] })
                }
                None => bad("Invalid pool id"),
            },
            _ => bad("Invalid command"),
        }
    }

    /// One share of each board that is on, each half second.
    fn shares(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis() / 500).unwrap_or(u64::MAX)
    }

    fn rate(&self, number: usize) -> f64 {
        if self.enabled[number] { RATE } else { 0.0 }
    }

    fn summary(&self) -> Value {
        let rate: f64 = (0..BOARDS).map(|number| self.rate(number)).sum();
        json!({
            "Elapsed": self.begun.elapsed().as_secs(),
            "MHS av": rate,
            "MHS 5s": rate,
            "Accepted": self.shares() * BOARDS as u64,
            "Rejected": 0,
            "Hardware Errors": 1,
            "Stale": 0,
        })
    }

    fn board(&self, number: usize) -> Value {
        json!({
            "ASC": number,
            "Name": "SIM",
            "ID": number,
            "Enabled": if self.enabled[number] { "Y" } else { "N" },
            "Status": "Alive",
            "Temperature": 62.5,
            "MHS av": self.rate(number),
            "MHS 5s": self.rate(number),
            "Accepted": self.shares(),
            "Rejected": 0,
            "Hardware Errors": 0,
        })
    }

    fn pool(&self, number: usize) -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        json!({
            "POOL": number,
            "URL": format!("stratum+tcp://pool-{number}.example:3333"),
            "Status": "Alive",
            "Priority": number,
            "User": "wallet.rig",
            "Last Share Time": now.as_secs(),
            "Stratum Active": self.pool == number,
            "Stratum Difficulty": 65536.0,
        })
    }
}

fn good(message: &str) -> Value {
    json!({ "STATUS": "S", "When": 1, "Code": 11, "Msg": message, "Description": "sim-asic" })
}

fn bad(message: &str) -> Value {
    json!({ "STATUS": [{ "STATUS": "E", "When": 1, "Code": 14, "Msg": message }] })
}
