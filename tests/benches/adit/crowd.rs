//! What a thousand subscribers of events cost the host.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    host::Host,
    process::{cpu_time, memory},
    rest, rig,
    table::{Row, percent},
};

const CROWD: u32 = 1_000;
const WHILE: Duration = Duration::from_secs(15);
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) fn rows() -> Vec<Row> {
    raise_limit();
    let mut host = rig::host();
    // One miner's figures each second.
    let settings = "[miners]\nstats_interval_ms = 1000\n[events]\nmax_subscribers = 1100\n";
    fs::write(host.settings(), settings).unwrap();
    host.up(&[]);
    rig::miner(&host, "m0");
    std::thread::sleep(SETTLE);
    let alone = share(&host);
    [("SSE", sse as Open), ("WebSocket", socket)]
        .into_iter()
        .flat_map(|(name, open)| rows_of(&host, name, open, alone))
        .collect()
}

type Open = fn(&str, &str, &str) -> TcpStream;

fn rows_of(host: &Host, name: &str, open: Open, alone: f64) -> [Row; 2] {
    let before = memory(host.pid()).rss;
    let token = fs::read_to_string(host.state().join("token")).unwrap();
    let (address, base) = rest::split(&host.base);
    let crowd: Vec<TcpStream> = (0..CROWD).map(|_| open(&address, &base, token.trim())).collect();
    let heard = crowd.iter().map(|stream| drain(stream.try_clone().unwrap())).collect::<Vec<_>>();
    std::thread::sleep(SETTLE);
    let cpu = share(host);
    let each = f64::from(memory(host.pid()).rss.saturating_sub(before)) / f64::from(CROWD);
    for stream in &crowd {
        drop(stream.shutdown(std::net::Shutdown::Both));
    }
    let bytes: Vec<usize> = heard.into_iter().map(|it| it.join().unwrap()).collect();
    // Everybody heard one event a second, each of some hundred bytes.
    let least = usize::try_from(WHILE.as_secs()).unwrap() * 100;
    assert!(bytes.iter().all(|it| *it > least), "some heard nothing");
    std::thread::sleep(SETTLE);
    [
        Row::new(format!("1,000 × {name}: memory each"), format!("{each:.1} KiB"))
            .goal("≤ 16 KiB", each <= 16.0),
        Row::new(format!("1,000 × {name}: host at 1 event/s"), percent(cpu))
            .beside("without subscribers", percent(alone))
            .goal("≤ 3 % of a core", cpu - alone <= 0.03),
    ]
}

fn sse(address: &str, base: &str, token: &str) -> TcpStream {
    opened(address, &format!("GET {base}/events HTTP/1.1\r\n"), token, "")
}

fn socket(address: &str, base: &str, token: &str) -> TcpStream {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    opened(address, &format!("GET {base}/ws/events HTTP/1.1\r\n"), token, upgrade)
}

fn opened(address: &str, line: &str, token: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("{line}Host: {address}\r\nAuthorization: Bearer {token}\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    let status = String::from_utf8_lossy(&first[9..]).into_owned();
    assert!(["200", "101"].contains(&status.as_str()), "{status}");
    stream
}

/// Reads to the end; how many bytes there were.
fn drain(mut stream: TcpStream) -> JoinHandle<usize> {
    let read = move || {
        let (mut buffer, mut sum) = ([0; 4096], 0);
        while let Ok(n) = stream.read(&mut buffer) {
            if n == 0 {
                break;
            }
            sum += n;
        }
        sum
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(read).unwrap()
}

/// The share of a core that the host uses.
fn share(host: &Host) -> f64 {
    let (begin, before) = (Instant::now(), cpu_time(host.pid()));
    std::thread::sleep(WHILE);
    (cpu_time(host.pid()) - before).as_secs_f64() / begin.elapsed().as_secs_f64()
}

fn raise_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    // The host inherits it and has to raise its own.
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
