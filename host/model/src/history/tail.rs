//! All series at one tick as bytes for the database: what is not yet in finished stretches.

use crate::{
    history::{Damaged, Metric, reading::Reading, varint},
    sample::Grid,
};

const VERSION: u8 = 1;

/// One tick of all series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The grid that the tick is of.
    pub grid: Grid,
    /// Id of a series and what is kept of it, by id.
    pub readings: Vec<(u32, Reading)>,
}

impl Tail {
    /// Its bytes: about ten a series.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 12 * self.readings.len());
        out.push(VERSION);
        varint::put(&mut out, u64::from(self.grid.step_ms()));
        let mut before = 0;
        for (id, reading) in &self.readings {
            varint::put(&mut out, u64::from(id.wrapping_sub(before)));
            before = *id;
            let told = (0_u8..).zip(reading.0).filter(|(_, code)| code.is_some());
            out.push(told.fold(0, |mask, (bit, _)| mask | 1 << bit));
            for code in reading.0.into_iter().flatten() {
                varint::put_signed(&mut out, code);
            }
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let (version, mut rest) = bytes.split_first().ok_or(Damaged("a tick is empty"))?;
        if *version != VERSION {
            return Err(Damaged("a tick is of a version that is not known"));
        }
        let cut = Damaged("a tick is cut off");
        let step_ms = varint::take(&mut rest).ok_or_else(|| cut.clone())?;
        let step_ms = u32::try_from(step_ms).map_err(|_| Damaged("a tick has no grid"))?;
        let mut tail = Self { grid: Grid::of_ms(step_ms), readings: Vec::new() };
        let mut id = 0_u32;
        while !rest.is_empty() {
            let step = varint::take(&mut rest).and_then(|step| u32::try_from(step).ok());
            id = step.and_then(|step| id.checked_add(step)).ok_or_else(|| cut.clone())?;
            let (mask, after) = rest.split_first().ok_or_else(|| cut.clone())?;
            rest = after;
            if mask >> Metric::ALL.len() != 0 {
                return Err(Damaged("a tick has values that are not known"));
            }
            let mut reading = Reading::default();
            for (bit, code) in (0_u8..).zip(&mut reading.0) {
                if mask & 1 << bit != 0 {
                    *code = Some(varint::take_signed(&mut rest).ok_or_else(|| cut.clone())?);
                }
            }
            tail.readings.push((id, reading));
        }
        Ok(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_comes_back() {
        let readings = vec![
            (1, Reading([Some(1_250_340), Some(3), None, Some(-55), Some(1_200), Some(4)])),
            (2, Reading::default()),
            (7_000, Reading([Some(i64::MIN), None, Some(i64::MAX), None, None, Some(9)])),
        ];
        let tail = Tail { grid: Grid::of_ms(200), readings };
        let bytes = tail.encode();
        assert_eq!(Tail::decode(&bytes), Ok(tail));
        // A cut or changed row is refused or another row, and never a panic.
        for end in 0..bytes.len() {
            let _row = Tail::decode(&bytes[..end]);
            let mut changed = bytes.clone();
            changed[end] ^= 0xa5;
            let _row = Tail::decode(&changed);
        }
        assert!(Tail::decode(&[]).is_err() && Tail::decode(&[2, 1]).is_err());
        assert!(Tail::decode(&[1, 10, 1, 0xff]).is_err());
    }
}
