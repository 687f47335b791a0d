//! A program that behaves to its supervisor as XMRig does, also where XMRig bites, and computes
//! nothing: its shares are made up, below the target.
//!
//! A script that starts it may give it orders as JSON in `DOUBLE_ORDERS`: `version` is what it says
//! it is, `folder` where it believes to lie, `takePort` has somebody else take the port of its API
//! first, `exitCode` ends it at once, `deaf` has it take commands and do nothing.

#![expect(clippy::unwrap_used, reason = "a double that cannot go on has failed its test")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a miner prints")]

mod api;
mod client;
mod config;
mod mine;
mod rig;
mod wire;

use std::{io::Read, net::TcpListener, path::PathBuf, process::ExitCode, sync::Arc, thread};

use serde_json::Value;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

use crate::rig::{Rig, say, tell};

fn main() -> ExitCode {
    let orders = std::env::var("DOUBLE_ORDERS").unwrap_or_default();
    let orders: Value = serde_json::from_str(&orders).unwrap_or_default();
    let exe = match orders["folder"].as_str() {
        Some(folder) => PathBuf::from(folder).join("xmrig"),
        None => std::env::current_exe().unwrap(),
    };
    let version = orders["version"].as_str().unwrap_or("6.26.0").to_owned();
    let (mut file, mut folder) = (None, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--version" => {
                println!("XMRig {version}\n built on Nov 22 2026 with GCC 12.2.0");
                println!(" features: 64-bit AES\n\nlibuv/1.44.2");
                return ExitCode::SUCCESS;
            }
            "-c" => file = words.next().map(PathBuf::from),
            other => match other.strip_prefix("--data-dir=") {
                Some(path) => folder = Some(PathBuf::from(path)),
                None => eprintln!("xmrig: unrecognized option '{other}'"),
            },
        }
    }
    if let Some(code) = orders["exitCode"].as_u64() {
        println!("Illegal instruction, as on a processor without AES");
        return ExitCode::from(u8::try_from(code).unwrap());
    }
    let Some((file, config)) = config::load(file, folder.as_deref(), &exe) else {
        println!("no valid configuration found, try https://xmrig.com/wizard");
        return ExitCode::from(2);
    };
    run(version, file, config, &orders);
    ExitCode::SUCCESS
}

fn run(version: String, file: PathBuf, config: Value, orders: &Value) {
    let _other = orders["takePort"].as_bool().unwrap_or_default().then(|| {
        let port = u16::try_from(config["http"]["port"].as_u64().unwrap()).unwrap();
        TcpListener::bind(("127.0.0.1", port)).unwrap()
    });
    let is_deaf = orders["deaf"].as_bool().unwrap_or_default();
    let rig = Arc::new(Rig::new(version, file, config, is_deaf));
    rig.print_banner();
    let bound = api::start(&rig);
    if !bound {
        say("net", "HTTP API server failed to start.");
    }
    read_keys(&rig);
    let mining = Arc::clone(&rig);
    thread::spawn(move || mine::mine(&mining));
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).unwrap();
    for signal in signals.forever() {
        if rig.is_ending() {
            // XMRig has removed its handlers by then.
            low_level::emulate_default_handler(signal).unwrap();
        }
        say("signal", &format!("{} received, exiting", name(signal)));
        rig.end();
        let ending = Arc::clone(&rig);
        thread::spawn(move || {
            ending.wait_for_leaked_connections();
            say("cpu", "stopped (8 ms)");
            // Only the thread of the signals is in `main`, and it waits for the next one.
            low_level::exit(0);
        });
    }
}

fn name(signal: i32) -> &'static str {
    match signal {
        SIGHUP => "SIGHUP",
        SIGINT => "SIGINT",
        _ => "SIGTERM",
    }
}

/// Keys on stdin act at once, each byte for itself.
fn read_keys(rig: &Arc<Rig>) {
    let rig = Arc::clone(rig);
    thread::spawn(move || {
        for byte in std::io::stdin().lock().bytes().map_while(Result::ok) {
            match byte.to_ascii_lowercase() {
                b'p' => rig.pause(true),
                b'r' => rig.pause(false),
                b'h' => rig.print_speed(),
                b's' => tell(" - RESULTS"),
                3 => low_level::raise(SIGTERM).unwrap(),
                _ => {}
            }
        }
    });
}
