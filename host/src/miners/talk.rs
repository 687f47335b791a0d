//! Talking to running miners: stdin and commands.

use adit_plugin_api::Command;

use crate::miners::{Error, Miners, live::Live};

/// Longest text for a miner's stdin, in bytes.
const INPUT_BYTES: usize = 16 << 10;

impl Miners {
    /// Writes `input` to the stdin of a miner's program, as it is.
    ///
    /// # Errors
    /// [`Error::NoMiner`], [`Error::NotRunning`], or when the keeper cannot write it.
    pub async fn stdin(&self, name: &str, input: &str) -> Result<(), Error> {
        if input.is_empty() || input.len() > INPUT_BYTES {
            return Err(Error::Invalid(format!("input: write 1 to {INPUT_BYTES} bytes")));
        }
        let (live, _) = self.live(name)?;
        live.hold.stdin(input).await
    }

    /// Has a running miner carry out a command, such as `pause`.
    ///
    /// # Errors
    /// [`Error::NoMiner`], [`Error::NotRunning`], when the driver does not know the command, or
    /// when the program does not do it.
    pub async fn command(&self, name: &str, command: Command) -> Result<(), Error> {
        let (live, driver) = self.live(name)?;
        let member = self.member(name)?;
        let launch =
            live.launch.clone().ok_or_else(|| Error::UnknownLaunch(member.row.name.clone()))?;
        let parts = &self.0.parts;
        let instance = parts.driver(&driver)?.instance(Some(&member.row.name)).await?;
        let plan =
            instance.command(command.clone(), adit_plugin_api::Launch::clone(&launch)).await?;
        if plan.steps.is_empty() {
            return Err(Error::Command(format!("the driver plans nothing for {}", command.name)));
        }
        for step in &plan.steps {
            live.hold.tell(&parts.prober, step).await?;
        }
        Ok(())
    }

    fn live(&self, name: &str) -> Result<(Live, crate::model::name::DriverId), Error> {
        let member = self.member(name)?;
        let live = member.status.borrow().live.clone();
        let (live, _) = live.ok_or_else(|| Error::NotRunning(member.row.name.clone()))?;
        Ok((live, member.row.driver))
    }
}
