//! Prometheus remote-write 1.0: one protobuf message, compressed as a snappy block.

use prost::Message;

use adit_model::series::Family;

/// What is pushed at once.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

/// One series with its samples.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    /// By name, the series' own name among them as `__name__`.
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
}

/// A label.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

/// A figure at a moment.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    /// Unix milliseconds.
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

/// A request on its way, and how many samples it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) body: Vec<u8>,
    pub(crate) samples: u64,
}

/// Packs all series at one moment; `common` are labels of every series. `None`: there are none.
pub(crate) fn pack(families: &[Family], common: &[(String, String)], at_ms: i64) -> Option<Packed> {
    let mut request = WriteRequest::default();
    for family in families {
        for point in &family.points {
            let own = point.labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            let mut labels: Vec<Label> = own
                // A label without a value is one that is not there.
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| Label { name, value })
                .collect();
            for (name, value) in common {
                if !labels.iter().any(|it| it.name == *name) {
                    labels.push(Label { name: name.clone(), value: value.clone() });
                }
            }
            let name = format!("{}{}", family.name, point.suffix);
            labels.push(Label { name: "__name__".to_owned(), value: name });
            labels.sort_by(|a, b| a.name.cmp(&b.name));
            let samples = vec![Sample { value: point.value, timestamp: at_ms }];
            request.timeseries.push(TimeSeries { labels, samples });
        }
    }
    let samples = request.timeseries.len() as u64;
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).ok()?;
    (samples > 0).then_some(Packed { body, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_read_again_with_sorted_labels() {
        let mut family = Family::gauge("miner_up", "Up.");
        family.add(&[("instance", "rig"), ("algo", ""), ("driver", "sim")], 1.0);
        let common =
            [("host", "h"), ("instance", "lost")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let packed = pack(&[family], &common, 1_800_000_000_123).unwrap();
        assert_eq!(packed.samples, 1);
        let raw = snap::raw::Decoder::new().decompress_vec(&packed.body).unwrap();
        let request = WriteRequest::decode(raw.as_slice()).unwrap();
        let labels: Vec<_> = request.timeseries[0]
            .labels
            .iter()
            .map(|it| (it.name.as_str(), it.value.as_str()))
            .collect();
        let expected =
            [("__name__", "miner_up"), ("driver", "sim"), ("host", "h"), ("instance", "rig")];
        assert_eq!(labels, expected);
        let sample = &request.timeseries[0].samples[0];
        assert_eq!((sample.value, sample.timestamp), (1.0, 1_800_000_000_123));
        assert_eq!(pack(&[Family::gauge("x", "X.")], &[], 0), None);
    }
}
