//! Where the code of drivers runs: in the host or in processes of their own.

use std::collections::BTreeMap;

use crate::{
    handle::Isolation,
    runner::{Rations, Spawner},
};
use adit_model::name::DriverId;

/// Where the code of drivers runs.
#[derive(Clone, Default)]
pub struct Hosting {
    /// Starts processes for drivers. Without it all drivers run in this process.
    pub spawner: Option<Spawner>,
    /// What the operator set for single drivers. Without: those that came with the host run in its
    /// process, all others in one of their own.
    pub isolation: BTreeMap<DriverId, Isolation>,
    /// What a process gets.
    pub rations: Rations,
}

impl Hosting {
    /// What starts the driver's process, if it has one.
    pub(crate) fn spawner(&self, id: &DriverId, is_bundled: bool) -> Option<&Spawner> {
        let usual = if is_bundled { Isolation::InProcess } else { Isolation::Process };
        let isolation = self.isolation.get(id).copied().unwrap_or(usual);
        self.spawner.as_ref().filter(|_| isolation == Isolation::Process)
    }
}

impl std::fmt::Debug for Hosting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Hosting").field("isolation", &self.isolation).finish_non_exhaustive()
    }
}
