//! Talking to running miners: what is typed at them.

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

    /// The run of a miner, and its driver.
    pub(super) fn live(&self, name: &str) -> Result<(Live, adit_model::name::DriverId), Error> {
        let member = self.member(name)?;
        let live = member.status.borrow().live.clone();
        let (live, _) = live.ok_or_else(|| Error::NotRunning(member.row.name.clone()))?;
        Ok((live, member.row.driver))
    }
}
