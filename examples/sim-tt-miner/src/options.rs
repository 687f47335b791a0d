//! The part of TT-Miner's command line that has an effect here; the rest is checked by name only.

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) api_port: u16,
    /// Numbers of the devices in use.
    pub(crate) devices: Vec<usize>,
    /// Selector of the first coin; `DEF` when it has none.
    pub(crate) selector: String,
    /// `host:port` of the first coin's pools, with their schemes.
    pub(crate) pools: Vec<String>,
    pub(crate) is_benchmark: bool,
}

/// PCI addresses of the simulated GPUs.
pub(crate) const GPUS: [&str; 2] = ["01:00", "02:00"];

/// Options without and with a value.
const FLAGS: &[&str] = &[
    "-nocolor",
    "-cuda-order",
    "-igpu",
    "-dag-2mem",
    "-dag-2disk",
    "-dag-swap",
    "-daginfo",
    "-raao",
    "-luck",
    "-cdd",
];
const VALUES: &[&str] = &[
    "-u",
    "-w",
    "-p",
    "-cpu",
    "-t",
    "-cuda-grid",
    "-cuda-block",
    "-tstop",
    "-tstart",
    "-rep-i",
    "-rep-s",
    "-cuda-ver",
    "-dag-path",
];

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// The word that TT-Miner does not have.
    pub(crate) fn read(words: &[String]) -> Result<Self, String> {
        let mut options = Self { devices: vec![0, 1], api_port: 4068, ..Self::default() };
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            if FLAGS.contains(&word) {
                continue;
            }
            if word == "-bm" {
                options.is_benchmark = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} without a value"))?;
            match word {
                "-b" => options.api_port = port(value).ok_or(format!("-b {value}"))?,
                "-d" => options.devices = devices(value)?,
                "-o" => options.pools.push(value.to_owned()),
                "-cuda-compute" => while words.next_if(|it| it.parse::<u32>().is_ok()).is_some() {},
                _ if VALUES.contains(&word) || word.starts_with("-oc-") => {}
                _ => options.selected(word, value)?,
            }
        }
        if options.pools.is_empty() && !options.is_benchmark {
            return Err("no pool".to_owned());
        }
        Ok(options)
    }

    /// `-cSEL coin`, `-aSEL algo`, `-PSEL pool`: those of the first selector count.
    fn selected(&mut self, word: &str, value: &str) -> Result<(), String> {
        let mut chars = word.strip_prefix('-').unwrap_or_default().chars();
        let (kind, selector) = (chars.next(), chars.as_str());
        let selector = if selector.is_empty() { "DEF" } else { selector };
        if !matches!(kind, Some('c' | 'a' | 'P')) {
            return Err(word.to_owned());
        }
        if self.selector.is_empty() {
            selector.clone_into(&mut self.selector);
        }
        if kind == Some('P') && self.selector == selector {
            let (scheme, rest) = value.split_once("://").unwrap_or(("stratum+tcp", value));
            let (_, address) = rest.rsplit_once('@').ok_or("-P without @")?;
            self.pools.push(format!("{scheme}://{address}"));
        }
        Ok(())
    }
}

fn port(address: &str) -> Option<u16> {
    address.strip_prefix("127.0.0.1:")?.parse().ok()
}

fn devices(value: &str) -> Result<Vec<usize>, String> {
    let number = |word: &str| {
        let by_address = GPUS.iter().position(|address| *address == word);
        by_address.or(word.parse().ok()).filter(|number| *number < GPUS.len())
    };
    value.split(',').map(|word| number(word).ok_or(format!("-d {word}"))).collect()
}
