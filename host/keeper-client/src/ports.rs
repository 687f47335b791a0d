//! Whether a run's own processes listen at an address of this machine.
//!
//! A driver names the addresses that its miner is asked at. Without this check it could have the host
//! speak to any service of the machine. The kernel says which sockets listen (`/proc/net/tcp`), and
//! the descriptors of a process which of them belong to it. An answer holds for a while: looking
//! at every process of the machine for each question would cost more than the question.

use std::{
    collections::HashMap,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use adit_keeper::proc;
use adit_model::run::RunId;

/// How long an answer holds. A connection that fails ends it at once.
const HOLDS: Duration = Duration::from_secs(60);

/// The addresses at which one run listens. Clones are the same.
#[derive(Clone, Debug)]
pub struct RunPorts(Arc<Ports>);

#[derive(Debug)]
struct Ports {
    run: RunId,
    /// The program, which is the first to look at.
    program: i32,
    /// Its keeper, which adopts what the program leaves behind: all of the run descends from it.
    keeper: i32,
    /// Locked for moments only.
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    until: HashMap<SocketAddr, Instant>,
    /// The process that listened last, if it is not the program itself.
    process: Option<i32>,
}

/// A socket that listens.
#[derive(Debug, PartialEq, Eq)]
struct Listening {
    address: IpAddr,
    inode: u64,
    uid: u32,
}

impl RunPorts {
    /// The ports of the run that `program` and `keeper` belong to.
    pub fn new(run: RunId, (program, keeper): (i32, i32)) -> Self {
        Self(Arc::new(Ports { run, program, keeper, found: Mutex::default() }))
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the run listens there. Blocks for some small files, at times for many.
    ///
    /// # Errors
    /// The reason why not, in words for the operator.
    pub fn check(&self, address: SocketAddr) -> Result<(), String> {
        if self.is_known(address) {
            return Ok(());
        }
        let sockets = listening(address)
            .map_err(|error| format!("cannot find out what listens at {address}: {error}"))?;
        if sockets.is_empty() {
            return Err(format!("the miner does not listen at {address} yet"));
        }
        // One that others share is not the miner's alone.
        if !sockets.iter().all(|socket| self.is_own(socket)) {
            return Err(format!("what listens at {address} is no process of this miner"));
        }
        self.found().until.insert(address, Instant::now() + HOLDS);
        Ok(())
    }

    /// Whether the run was found to listen there a short while ago.
    pub fn is_known(&self, address: SocketAddr) -> bool {
        self.found().until.get(&address).is_some_and(|until| Instant::now() < *until)
    }

    /// The connection failed: the next listener may be another process.
    pub fn forget(&self, address: SocketAddr) {
        self.found().until.remove(&address);
    }

    fn is_own(&self, socket: &Listening) -> bool {
        let known = self.found().process;
        let likely = [Some(self.0.program), known].into_iter().flatten();
        // A pid may be used again, so each is checked again.
        let mut likely = likely.filter(|pid| *pid == self.0.program || self.is_member(*pid));
        if likely.any(|pid| owns(pid, socket)) {
            return true;
        }
        let found = proc::all().find(|pid| self.is_member(*pid) && owns(*pid, socket));
        if found.is_some() {
            self.found().process = found;
        }
        found.is_some()
    }

    fn is_member(&self, pid: i32) -> bool {
        // A wrapper may start its miner with an environment of its choice.
        proc::has_run(pid, &self.0.run) || proc::descends_from(pid, self.0.keeper)
    }
}

/// Whether the process has the socket open.
fn owns(pid: i32, socket: &Listening) -> bool {
    let folder = Path::new("/proc").join(pid.to_string());
    let wanted = format!("socket:[{}]", socket.inode);
    match fs::read_dir(folder.join("fd")) {
        Ok(descriptors) => descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|target| target.as_os_str() == &*wanted)
        }),
        // A program with special rights, such as one with file capabilities, hides its descriptors
        // from a host that is not root. That the socket is its user's is what is left to see.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
            let user = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            user == Some(socket.uid)
        }
        Err(_) => false,
    }
}

/// The sockets that would get a connection to `address`.
fn listening(address: SocketAddr) -> io::Result<Vec<Listening>> {
    let mut sockets = Vec::new();
    for name in ["tcp", "tcp6"] {
        match fs::read_to_string(Path::new("/proc/net").join(name)) {
            Ok(table) => sockets.extend(parse(&table, address.port())),
            // Without IPv6 there is no second table.
            Err(error) if name == "tcp6" && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(receivers(sockets, address.ip()))
}

/// Of the sockets that listen at a port, those that a connection to `address` may reach: the kernel
/// prefers those that are bound to just that address.
fn receivers(sockets: Vec<Listening>, address: IpAddr) -> Vec<Listening> {
    let address = address.to_canonical();
    let (exact, others): (Vec<_>, Vec<_>) =
        sockets.into_iter().partition(|socket| socket.address == address);
    if !exact.is_empty() {
        return exact;
    }
    let is_any = |socket: &Listening| match socket.address {
        // It takes connections by IPv4 too, unless it says otherwise, which is not to be seen.
        IpAddr::V6(any) => any.is_unspecified(),
        IpAddr::V4(any) => any.is_unspecified() && address.is_ipv4(),
    };
    others.into_iter().filter(is_any).collect()
}

/// The sockets of a table that listen at `port`.
fn parse(table: &str, port: u16) -> Vec<Listening> {
    table.lines().skip(1).filter_map(|line| parse_line(line, port)).collect()
}

fn parse_line(line: &str, port: u16) -> Option<Listening> {
    // sl, local, remote, state, queues, timer, retransmissions, uid, timeout, inode.
    let mut fields = line.split_whitespace();
    let (address, own_port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    if state != "0A" || u16::from_str_radix(own_port, 16).ok()? != port {
        return None;
    }
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Listening { address: parse_address(address)?, inode, uid })
}

/// Words of 32 bits in hex, each in the machine's order of bytes.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    if text.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let mut bytes = [0; 16];
    for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
        part.copy_from_slice(&word(at)?);
    }
    Some(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn a_process_listens_where_it_listens() {
        let ports = RunPorts::new(RunId::random(), (own_pid(), i32::MAX));
        for host in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            // Some machines have no IPv6.
            let Ok(listener) = TcpListener::bind(host) else { continue };
            let bound = listener.local_addr().unwrap();
            let address = match bound.ip() {
                IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port())),
                IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::LOCALHOST, bound.port())),
            };
            assert_eq!(ports.check(address), Ok(()), "{host}");
            drop(listener);
            assert!(ports.is_known(address));
            ports.forget(address);
            let error = ports.check(address).unwrap_err();
            assert!(error.contains("does not listen"), "{error}");
        }
    }

    #[test]
    fn what_others_listen_at_is_not_the_runs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // A run whose program is gone and which left nothing behind.
        let ports = RunPorts::new(RunId::random(), (i32::MAX, i32::MAX));
        let error = ports.check(listener.local_addr().unwrap()).unwrap_err();
        assert!(error.contains("no process of this miner"), "{error}");
        // One whose keeper started this process by way of others.
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        let ports = RunPorts::new(RunId::random(), (i32::MAX, parent));
        assert_eq!(ports.check(listener.local_addr().unwrap()), Ok(()));
    }

    #[test]
    fn the_kernel_s_tables_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0\n\
             1: 0100007F:1F90 0100007F:A0B0 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1 0\n\
             2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0\n\
             3: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 8 1 0\n\
             nonsense\n";
        let found = parse(table, 8080);
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let mine = Listening { address: loopback, inode: 4242, uid: 1000 };
        let any = Listening { address: Ipv6Addr::UNSPECIFIED.into(), inode: 7, uid: 0 };
        assert_eq!(found, [mine, any]);
        let inodes = |address: &str| -> Vec<u64> {
            let found = receivers(parse(table, 8080), address.parse().unwrap());
            found.iter().map(|socket| socket.inode).collect()
        };
        assert_eq!(inodes("127.0.0.1"), [4242]);
        assert_eq!(inodes("127.0.0.2"), [7]);
        assert_eq!(inodes("::1"), [7]);
        assert_eq!(parse(table, 8081)[0].address, loopback);
        assert!(parse(table, 1).is_empty() && parse("", 1).is_empty());
    }
}
