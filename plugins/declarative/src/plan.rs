//! How the program is started, ended, asked and commanded.

use std::{collections::BTreeMap, time::Duration};

use adit_plugin_api::{
    Ask, Command, CommandPlan, CommandStep, Config, Console, Error, HttpAsk, Launch, PlanFile,
    Probe, ProcessPlan, Result, StartPlan, StopAction, StopPlan, StopStep, Value,
};
use toml::Spanned;

use crate::{
    fault::{Lines, list},
    fields::{Fields, is_there},
    manifest::{self, Arg, IfArgs, Manifest, Step, Stop, Text},
    template::Template,
};

/// Signals that a run is ended by.
const SIGNALS: [&str; 7] = ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL"];

/// Longest time for a probe.
const LONGEST_PROBE: Duration = Duration::from_secs(10);

/// What the host does, with holes for what it knows only then.
pub(crate) struct Plans {
    args: Vec<Words>,
    env: BTreeMap<String, Template>,
    files: Vec<(String, Template)>,
    stdin: Option<Template>,
    console: Console,
    confined: bool,
    stop: StopPlan,
    probes: Vec<Question>,
    commands: BTreeMap<String, Order>,
}

/// Words that stand there if a field is given.
struct Words {
    only_with: Option<String>,
    words: Vec<Template>,
}

struct Question {
    id: String,
    ask: Asked,
    timeout: Duration,
}

enum Asked {
    Http { url: Template, headers: BTreeMap<String, Template> },
    Tcp { address: Template, send: Template },
}

enum Order {
    Stdin(Template),
    Http { url: Template, method: String, headers: BTreeMap<String, Template>, body: Template },
}

impl Plans {
    pub(crate) fn new(manifest: &Manifest, fields: &Fields, lines: &Lines<'_>) -> Result<Self> {
        let reader = Reader { fields, lines };
        let start = &manifest.start;
        let args = start.args.iter().map(|arg| reader.words(arg)).collect::<Result<_>>()?;
        let env = start.env.iter().map(|(name, text)| {
            Ok((name.clone(), reader.configured(text, &format!("start.env.{name}"))?))
        });
        let files = start.files.iter().map(|file| {
            Ok((file.path.clone(), reader.configured(&file.content, "start.files.content")?))
        });
        let stdin = start.stdin.as_ref().map(|text| reader.configured(text, "start.stdin"));
        let console = match start.console {
            Some(manifest::Console::Pipes) => Console::Pipes,
            _ => Console::Pty,
        };
        let steps = manifest.stop.iter().map(|step| stop_step(step, lines));
        let steps: Vec<StopStep> = steps.collect::<Result<_>>()?;
        let stop = if steps.is_empty() { StopPlan::default() } else { StopPlan { steps } };
        let commands = manifest
            .command
            .iter()
            .map(|(name, step)| Ok((name.clone(), reader.order(name, step)?)));
        Ok(Self {
            args,
            env: env.collect::<Result<_>>()?,
            files: files.collect::<Result<_>>()?,
            stdin: stdin.transpose()?,
            console,
            confined: start.confined,
            stop,
            probes: manifest.probe.iter().map(|it| reader.question(it)).collect::<Result<_>>()?,
            commands: commands.collect::<Result<_>>()?,
        })
    }

    pub(crate) fn start(
        &self,
        config: &Config,
        fields: &Fields,
        launch: &Launch,
    ) -> Result<StartPlan> {
        let installed = launch.program.clone();
        let program =
            installed.ok_or_else(|| Error::unavailable("the program is not installed"))?.program;
        let value = |name: &str| config.0.get(name);
        let fill = |template: &Template| template.fill(launch, value);
        let is_wanted = |it: &&Words| it.only_with.as_deref().is_none_or(|it| is_there(value(it)));
        let args = self.args.iter().filter(is_wanted).flat_map(|it| it.words.iter().map(fill));
        let files = self
            .files
            .iter()
            .map(|(path, content)| PlanFile { path: path.into(), content: fill(content) });
        let env = self.env.iter().map(|(name, text)| (name.clone(), fill(text)));
        let mut secrets = fields.secrets(config);
        secrets.push(launch.api_token.clone());
        Ok(StartPlan::Process(ProcessPlan {
            program,
            args: args.collect(),
            // One that would be empty is left out.
            env: env.filter(|(_, text)| !text.is_empty()).collect(),
            files: files.collect(),
            confined: self.confined,
            console: self.console,
            stdin: self.stdin.as_ref().map(fill),
            secrets,
        }))
    }

    pub(crate) fn stop(&self) -> StopPlan {
        self.stop.clone()
    }

    pub(crate) fn probes(&self, launch: &Launch) -> Vec<Probe> {
        let question = |question: &Question| {
            let ask = match &question.ask {
                Asked::Http { url, headers } => Ask::Http(HttpAsk {
                    url: url.fill_run(launch),
                    headers: filled(headers, launch),
                    ..HttpAsk::default()
                }),
                Asked::Tcp { address, send } => {
                    Ask::Tcp { address: address.fill_run(launch), send: send.fill_run(launch) }
                }
            };
            Probe { id: question.id.clone(), ask, timeout: question.timeout }
        };
        self.probes.iter().map(question).collect()
    }

    pub(crate) fn command(&self, command: &Command, launch: &Launch) -> Result<CommandPlan> {
        let order = self.commands.get(&command.name).ok_or_else(|| {
            let known = list(self.commands.keys().map(String::as_str));
            let known = if known.is_empty() { "none".to_owned() } else { known };
            Error::unsupported(format!("no command {:?}; there are: {known}", command.name))
        })?;
        if command.params != Value::Null {
            return Err(Error::invalid(format!("{} takes no parameters", command.name)));
        }
        let step = match order {
            Order::Stdin(input) => CommandStep::Stdin { input: input.fill_run(launch) },
            Order::Http { url, method, headers, body } => CommandStep::Http(HttpAsk {
                url: url.fill_run(launch),
                method: method.clone(),
                headers: filled(headers, launch),
                body: body.fill_run(launch),
            }),
        };
        Ok(vec![step].into())
    }
}

fn filled(headers: &BTreeMap<String, Template>, launch: &Launch) -> BTreeMap<String, String> {
    headers.iter().map(|(name, value)| (name.clone(), value.fill_run(launch))).collect()
}

struct Reader<'a> {
    fields: &'a Fields,
    lines: &'a Lines<'a>,
}

impl Reader<'_> {
    /// A text that may have fields of the configuration in it.
    fn configured(&self, text: &Text, field: &str) -> Result<Template> {
        let made = Template::new(text.get_ref(), self.fields.names());
        made.map_err(|problem| self.lines.fault(text, field, &problem))
    }

    /// A text that is filled in later, when there is no configuration at hand.
    fn of_run(&self, text: &Text, field: &str) -> Result<Template> {
        let made = Template::new(text.get_ref(), []);
        made.map_err(|problem| self.lines.fault(text, field, &problem))
    }

    fn headers(
        &self,
        headers: &BTreeMap<String, Text>,
        field: &str,
    ) -> Result<BTreeMap<String, Template>> {
        let each =
            headers.iter().map(|(name, value)| Ok((name.clone(), self.of_run(value, field)?)));
        each.collect()
    }

    fn words(&self, arg: &Spanned<Arg>) -> Result<Words> {
        let fault = |problem: &str| self.lines.fault(arg, "start.args", problem);
        match arg.get_ref() {
            Arg::Word(text) => {
                let word = Template::new(text, self.fields.names()).map_err(|it| fault(&it))?;
                if let Some(field) = word.fields().find(|it| !self.fields.is_given(it)) {
                    return Err(fault(&format!(
                        "not every configuration has {field}: write {{ if = \"{field}\", args = \
                         [{text:?}] }}, or give it a default"
                    )));
                }
                Ok(Words { only_with: None, words: vec![word] })
            }
            Arg::If(IfArgs { field, args }) => {
                if !self.fields.has(field) {
                    let known = list(self.fields.names());
                    return Err(fault(&format!(
                        "if = {field:?}: the fields of [config] are {known}"
                    )));
                }
                let words = args.iter().map(|word| self.configured(word, "start.args"));
                Ok(Words { only_with: Some(field.clone()), words: words.collect::<Result<_>>()? })
            }
        }
    }

    fn question(&self, probe: &Spanned<manifest::Probe>) -> Result<Question> {
        let fault = |problem: &str| self.lines.fault(probe, "probe", problem);
        let manifest::Probe { id, http, headers, tcp, send, timeout } = probe.get_ref();
        let seconds = timeout.unwrap_or(2.0);
        let timeout = Duration::try_from_secs_f64(seconds).ok();
        let timeout =
            timeout.filter(|it| !it.is_zero() && *it <= LONGEST_PROBE).ok_or_else(|| {
                fault(&format!("timeout: write seconds, at most {}", LONGEST_PROBE.as_secs()))
            })?;
        let ask = match (http, tcp, send) {
            (Some(url), None, None) => Asked::Http {
                url: self.of_run(url, "probe.http")?,
                headers: self.headers(headers, "probe.headers")?,
            },
            (None, Some(address), Some(send)) if headers.is_empty() => Asked::Tcp {
                address: self.of_run(address, "probe.tcp")?,
                send: self.of_run(send, "probe.send")?,
            },
            _ => return Err(fault("write http with an address, or tcp with host:port and send")),
        };
        Ok(Question { id: id.clone(), ask, timeout })
    }

    fn order(&self, name: &str, step: &Spanned<Step>) -> Result<Order> {
        let field = format!("command.{name}");
        let Step { stdin, http, method, headers, body } = step.get_ref();
        match (stdin, http) {
            (Some(input), None) if method.is_none() && headers.is_empty() && body.is_none() => {
                Ok(Order::Stdin(self.of_run(input, &field)?))
            }
            (None, Some(url)) => Ok(Order::Http {
                url: self.of_run(url, &field)?,
                method: method.clone().unwrap_or_else(|| "POST".to_owned()),
                headers: self.headers(headers, &field)?,
                body: match body {
                    Some(body) => self.of_run(body, &field)?,
                    None => Template::new("", []).map_err(Error::failed)?,
                },
            }),
            _ => {
                let told = "write stdin, or http with method, headers and body as it needs them";
                Err(self.lines.fault(step, &field, told))
            }
        }
    }
}

fn stop_step(step: &Spanned<Stop>, lines: &Lines<'_>) -> Result<StopStep> {
    let fault = |problem: &str| lines.fault(step, "stop", problem);
    let Stop { signal, stdin, grace } = step.get_ref();
    if !(1..=600).contains(grace) {
        return Err(fault("grace: write seconds to wait for the end, 1 to 600"));
    }
    let action = match (signal, stdin) {
        (Some(signal), None) if SIGNALS.contains(&signal.as_str()) => {
            StopAction::Signal { signal: signal.clone() }
        }
        (Some(_), None) => {
            return Err(fault(&format!("signal: write one of {}", list(SIGNALS))));
        }
        (None, Some(input)) => StopAction::Stdin { input: input.clone() },
        _ => return Err(fault("write either signal or stdin")),
    };
    Ok(StopStep { action, grace: Duration::from_secs(*grace) })
}
