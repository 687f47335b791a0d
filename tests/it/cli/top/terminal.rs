//! A terminal with a command on it: what is typed goes in, what is drawn is seen as people see it.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Write},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    process::{Child, Command},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::{
    fd::OwnedFd,
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::host::{Host, PATIENCE, signal, wait_for};

/// Columns and rows.
const SIZE: (u16, u16) = (80, 24);

pub(super) struct Terminal {
    child: Child,
    keys: File,
    /// Held, so that the modes can be asked for after the command's end.
    line: OwnedFd,
    before: Termios,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Runs `adit` with `args` on a new terminal, which is its own controlling one.
    pub(super) fn run(host: &Host, args: &[&str], env: &[(&str, &str)]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs =
            File::options().read(true).write(true).open(OsStr::from_bytes(name.to_bytes()));
        let line = OwnedFd::from(theirs.unwrap());
        let (columns, rows) = SIZE;
        resize(&ours, columns, rows);
        let before = tcgetattr(&line).unwrap();

        let bare = host.command(args);
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(bare.get_program())
            .args(bare.get_args())
            .env_clear()
            .envs(bare.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("TERM", "xterm-256color")
            .envs(env.iter().copied())
            .stdin(line.try_clone().unwrap())
            .stdout(line.try_clone().unwrap())
            .stderr(line.try_clone().unwrap());
        let child = command.spawn().unwrap();

        let keys = File::from(ours);
        let output = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (keys.try_clone().unwrap(), Arc::clone(&output));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, keys, line, before, output }
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) {
        resize(&self.keys, columns, rows);
    }

    pub(super) fn signal(&self, which: Signal) {
        signal(self.child.id(), which);
    }

    /// Every byte that was written.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.output.lock().unwrap().clone()
    }

    /// What is on the screen.
    pub(super) fn screen(&self) -> Vec<String> {
        drawn(&String::from_utf8_lossy(&self.bytes()))
    }

    /// Waits until the screen `shows` something.
    pub(super) fn wait_until(&self, what: &str, shows: impl Fn(&[String]) -> bool) -> Vec<String> {
        let began = std::time::Instant::now();
        loop {
            let screen = self.screen();
            if shows(&screen) {
                return screen;
            }
            assert!(began.elapsed() < PATIENCE, "waited for {what}: {screen:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether keys reach the command as they are typed.
    pub(super) fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.line).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// The exit code of the command. The terminal must be as it was before: its modes, its screen
    /// and its cursor.
    pub(super) fn end(&mut self) -> Option<i32> {
        let status = wait_for("the end of the command", || self.child.try_wait().unwrap());
        let modes = |it: &Termios| {
            let modes = (it.input_modes, it.output_modes, it.control_modes, it.local_modes);
            format!("{modes:?} {:?}", it.special_codes)
        };
        assert_eq!(modes(&tcgetattr(&self.line).unwrap()), modes(&self.before));
        wait_for("the old screen", || {
            let text = String::from_utf8_lossy(&self.bytes()).into_owned();
            let is_last = |this: &str, not: &str| text.rfind(this) > text.rfind(not);
            let is_left = is_last("\u{1b}[?1049l", "\u{1b}[?1049h");
            (is_left && is_last("\u{1b}[?25h", "\u{1b}[?25l")).then_some(())
        });
        status.code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn resize(terminal: &impl AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}

/// What a terminal shows after `text`. It knows what a program that draws whole frames says:
/// placing, erasing, characters of one column.
fn drawn(text: &str) -> Vec<String> {
    let mut screen = vec![vec![' '; 300]; 100];
    let (mut row, mut column) = (0, 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            if !c.is_control() {
                screen[row][column] = c;
                column += 1;
            }
            continue;
        }
        if chars.next() != Some('[') {
            continue;
        }
        let mut parameters = String::new();
        let last = loop {
            match chars.next() {
                // The rest is still on its way.
                None => return rows(&screen),
                Some(c @ '@'..='~') => break c,
                Some(c) => parameters.push(c),
            }
        };
        let number = |place: usize| {
            let number = parameters.split(';').nth(place).and_then(|it| it.parse().ok());
            number.unwrap_or(1_usize).saturating_sub(1)
        };
        match last {
            'H' => (row, column) = (number(0), number(1)),
            'J' => screen.iter_mut().for_each(|row| row.fill(' ')),
            'K' => screen[row][column..].fill(' '),
            _ => {}
        }
    }
    rows(&screen)
}

fn rows(screen: &[Vec<char>]) -> Vec<String> {
    screen.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
}
