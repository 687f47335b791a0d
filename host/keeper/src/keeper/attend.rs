//! The keeper's loop: one thread that waits for output, clients, signals and its own clock.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant, SystemTime},
};

use adit_plugin_api::StopPlan;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process,
        kill_process_group, wait, waitid,
    },
};

use crate::{
    files::State,
    keeper::{
        console::Console,
        journal::Journal,
        server::{Answer, Server},
    },
    ladder::{Act, Ladder, signal_named},
    proc,
    protocol::{Ask, PROTOCOL, Refusal, Reply, Request},
    sys,
};
use adit_model::run::{ExitRecord, RunStatus};

/// Signals that come through the descriptor instead of interrupting.
pub(crate) const SIGNALS: [i32; 4] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// Output read before the others get their turn, in bytes.
const SHARE: usize = 64 << 10;

/// Pause between two attempts to kill what the program left behind.
const KILL_PAUSE: Duration = Duration::from_millis(50);

/// Time between two checks that the socket's file is still there. Shorter than a host waits for an
/// answer, and long enough that a hundred keepers cost nothing.
const SOCKET_CHECK: Duration = Duration::from_secs(4);

/// Everything that belongs to a run under way.
pub(crate) struct Run {
    pub(crate) state: State,
    pub(crate) program: Pid,
    pub(crate) plan: StopPlan,
    pub(crate) console: Console,
    pub(crate) journal: Journal,
    pub(crate) begun: Instant,
    ladder: Option<Ladder>,
    output_at: Option<Duration>,
    status: Option<WaitStatus>,
    by_stop: bool,
    is_empty: bool,
}

/// What [`poll`] found.
#[derive(Default)]
struct Ready {
    signals: bool,
    output: bool,
    input: bool,
    listener: bool,
    clients: Vec<bool>,
}

impl Run {
    pub(crate) fn new(
        state: State,
        program: Pid,
        plan: StopPlan,
        console: Console,
        journal: Journal,
    ) -> Self {
        Self {
            state,
            program,
            plan,
            console,
            journal,
            begun: Instant::now(),
            ladder: None,
            output_at: None,
            status: None,
            by_stop: false,
            is_empty: false,
        }
    }

    /// Attends to everything until the program and all its descendants are gone.
    pub(crate) fn attend(&mut self, server: &mut Server, signals: &OwnedFd) -> ExitRecord {
        let mut buffer = vec![0; 16 << 10];
        let mut timeout = Duration::ZERO;
        let mut next_check = self.now() + SOCKET_CHECK;
        while !self.is_empty {
            let ready = self.poll(server, signals, timeout);
            if ready.signals {
                self.take_signals(signals);
            }
            if ready.output {
                self.read_output(&mut buffer, SHARE);
            }
            if ready.input {
                self.console.write().ok();
            }
            server.serve(&ready.clients, |request| self.answer(request));
            if ready.listener {
                server.accept();
            }
            if self.now() >= next_check {
                server.keep_socket();
                next_check = self.now() + SOCKET_CHECK;
            }
            let until_check = next_check.saturating_sub(self.now());
            timeout = self.tick().map_or(until_check, |due| due.min(until_check));
        }
        self.console.close_program_side();
        self.read_output(&mut buffer, usize::MAX);
        self.conclude()
    }

    fn poll(&self, server: &Server, signals: &OwnedFd, timeout: Duration) -> Ready {
        let output = self.console.output();
        let mut fds = vec![
            PollFd::new(signals, PollFlags::IN),
            PollFd::from_borrowed_fd(output, PollFlags::IN),
            PollFd::from_borrowed_fd(server.listener(), PollFlags::IN),
        ];
        let fixed = fds.len();
        for (client, wants_to_write) in server.clients() {
            let out = if wants_to_write { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::from_borrowed_fd(client, PollFlags::IN | out));
        }
        let clients = fixed..fds.len();
        let input = self.console.input();
        fds.extend(input.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
        let timeout = Timespec::try_from(timeout).ok();
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Ready::default();
        }
        let is_ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        Ready {
            signals: is_ready[0],
            output: is_ready[1],
            listener: is_ready[2],
            input: is_ready.len() > clients.end && is_ready[clients.end],
            clients: is_ready[clients].to_vec(),
        }
    }

    fn take_signals(&mut self, signals: &OwnedFd) {
        let mut record = [0; 128];
        while rustix::io::read(signals.as_fd(), &mut record).is_ok_and(|count| count == 128) {
            let number = i32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
            if matches!(number, libc::SIGTERM | libc::SIGINT) {
                self.stop(None);
            }
        }
        self.reap();
    }

    fn read_output(&mut self, buffer: &mut [u8], most: usize) {
        let mut total = 0;
        while total < most {
            let Some(count) = self.console.read(buffer) else { break };
            self.output_at = Some(self.now());
            self.journal.feed(&buffer[..count], self.now());
            total += count;
        }
    }

    /// Does what is due and returns how long nothing will be.
    fn tick(&mut self) -> Option<Duration> {
        let now = self.now();
        while let Some(act) = self.ladder.as_mut().and_then(|ladder| ladder.act(now)) {
            self.perform(&act);
            if act == Act::Kill {
                break;
            }
        }
        if self.status.is_some() {
            self.kill_descendants();
            self.reap();
        }
        let kill_again = self.status.is_some().then_some(KILL_PAUSE);
        let ladder = self.ladder.as_ref().map(|ladder| ladder.due().saturating_sub(now));
        let journal = self.journal.write(now);
        [kill_again, ladder, journal].into_iter().flatten().min()
    }

    fn perform(&mut self, act: &Act) {
        match act {
            Act::Signal(signal) => self.signal(*signal),
            Act::Input(input) => drop(self.console.send(input.as_bytes())),
            Act::Kill => {
                self.signal(Signal::KILL);
                if self.status.is_some() {
                    self.kill_descendants();
                }
            }
        }
    }

    /// Only while the program is not reaped: until then nobody else can have its number.
    fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            kill_process_group(self.program, signal).ok();
        }
    }

    /// Children of this process, which adopts every descendant that loses its parent. None of
    /// their numbers can pass to another process before they are reaped here.
    fn kill_descendants(&self) {
        for pid in proc::children(self.state.keeper.pid) {
            if let Some(pid) = Pid::from_raw(pid) {
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }

    fn reap(&mut self) {
        if self.status.is_none() {
            // Looked at before it is reaped: as a zombie it still holds the number of its group.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if matches!(waitid(WaitId::Pid(self.program), options), Ok(Some(_))) {
                self.signal(Signal::KILL);
            }
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => {
                    self.status = Some(status);
                    self.by_stop = self.ladder.is_some();
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.is_empty = self.status.is_some();
                    return;
                }
            }
        }
    }

    fn stop(&mut self, plan: Option<StopPlan>) {
        let plan = match (plan, &self.ladder) {
            (None, Some(_)) => return,
            (None, None) => self.plan.clone(),
            // A new plan replaces the one under way, so that a stop can be made quicker.
            (Some(plan), _) => plan,
        };
        self.journal.remark("stop requested");
        self.ladder = Some(Ladder::new(plan, self.now()));
    }

    fn answer(&mut self, request: Request) -> Answer {
        let reply = if request.run.is_some_and(|run| run != self.state.run) {
            Reply { refusal: Some(Refusal::OtherRun), ..Reply::done() }
        } else if request.protocol > PROTOCOL {
            Reply::failed(format!("this keeper speaks protocol {PROTOCOL}"))
        } else {
            match self.carry_out(request.ask) {
                Ok(Some(reply)) => reply,
                Ok(None) => return Answer::AtEnd,
                Err(reason) => Reply::failed(reason),
            }
        };
        Answer::Now(Box::new(reply))
    }

    fn carry_out(&mut self, ask: Ask) -> Result<Option<Reply>, String> {
        match ask {
            Ask::Status => {
                return Ok(Some(Reply { status: Some(self.tell()), ..Reply::done() }));
            }
            Ask::Stdin { input } => self.console.send(input.as_bytes())?,
            Ask::Signal { signal } => {
                self.signal(signal_named(&signal).ok_or("this signal may not be sent")?);
            }
            Ask::Stop { plan } => self.stop(plan),
            Ask::Flush => {
                self.journal.flush(self.now());
                if let Some(error) = self.journal.error() {
                    return Err(error.to_owned());
                }
            }
            Ask::Wait => return Ok(None),
        }
        Ok(Some(Reply::done()))
    }

    fn tell(&self) -> RunStatus {
        let (lines, lines_dropped) = self.journal.counts();
        let silent = self.output_at.map(|at| self.now().saturating_sub(at));
        RunStatus {
            protocol: PROTOCOL,
            run: self.state.run.clone(),
            keeper: self.state.keeper.clone(),
            program: self.state.program.clone(),
            started_at_ms: self.state.started_at_ms,
            stopping: self.ladder.is_some(),
            lines,
            lines_dropped,
            silent_ms: silent.map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
            log_error: self.journal.error().map(str::to_owned),
        }
    }

    fn conclude(&mut self) -> ExitRecord {
        self.journal.finish();
        let code = self.status.and_then(WaitStatus::exit_status);
        let signal = self.status.and_then(WaitStatus::terminating_signal);
        match (code, signal) {
            (_, Some(signal)) => self.journal.remark(&format!("ended by signal {signal}")),
            (code, None) => {
                self.journal.remark(&format!("exited with code {}", code.unwrap_or_default()));
            }
        }
        self.journal.flush(self.now());
        ExitRecord {
            run: self.state.run.clone(),
            code,
            signal,
            by_stop: self.by_stop,
            started_at_ms: self.state.started_at_ms,
            ended_at_ms: unix_ms(),
            cpu_ms: sys::children_cpu_ms(),
            lines_dropped: self.journal.counts().1,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Now, in Unix milliseconds.
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Points stdin, stdout and stderr to nowhere: whoever started the keeper is not waited for.
pub(crate) fn let_go_of_stdio() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
