//! What a route says of connections that take it (`advmss`, `initcwnd` and the like): kept and shown, for nothing here has connections. What packets go by,
//! the size and the hop limit, are the route's own (`mtu`, `hoplimit`).

/// In the order in which `ip` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// `window`: the most that may be under way, in bytes.
    Window,
    /// `rtt`: how long an answer takes at first, in eighths of a millisecond.
    RoundTrip,
    /// `rttvar`: by how much that varies, in quarters of a millisecond.
    RoundTripVariance,
    /// `ssthresh`: where slow start ends, in segments.
    SlowStartThreshold,
    /// `cwnd`: the most segments under way.
    CongestionWindow,
    /// `advmss`: the segments' size that is told to the other side, in bytes.
    SegmentSize,
    /// `reordering`: how many segments may overtake one.
    Reordering,
    /// `initcwnd`: the segments that may be under way at first.
    FirstCongestionWindow,
    /// `features`: bits, of which `ecn` is the first.
    Features,
    /// `rto_min`: the least time before a segment is sent again, in milliseconds.
    LeastTimeout,
    /// `initrwnd`: the segments for which room is told at first.
    FirstReceiveWindow,
    /// `quickack`: what comes is acknowledged at once.
    QuickAcknowledgement,
    /// `fastopen_no_cookie`.
    FastOpenNoCookie,
}

impl Metric {
    /// In their order.
    pub const ALL: [Self; 13] = [
        Self::Window,
        Self::RoundTrip,
        Self::RoundTripVariance,
        Self::SlowStartThreshold,
        Self::CongestionWindow,
        Self::SegmentSize,
        Self::Reordering,
        Self::FirstCongestionWindow,
        Self::Features,
        Self::LeastTimeout,
        Self::FirstReceiveWindow,
        Self::QuickAcknowledgement,
        Self::FastOpenNoCookie,
    ];

    /// As `ip` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::RoundTrip => "rtt",
            Self::RoundTripVariance => "rttvar",
            Self::SlowStartThreshold => "ssthresh",
            Self::CongestionWindow => "cwnd",
            Self::SegmentSize => "advmss",
            Self::Reordering => "reordering",
            Self::FirstCongestionWindow => "initcwnd",
            Self::Features => "features",
            Self::LeastTimeout => "rto_min",
            Self::FirstReceiveWindow => "initrwnd",
            Self::QuickAcknowledgement => "quickack",
            Self::FastOpenNoCookie => "fastopen_no_cookie",
        }
    }

    /// By that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }
}

/// Each at most once, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics(Vec<MetricValue>);

/// What a route says of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricValue {
    /// Which.
    pub metric: Metric,
    /// In its unit.
    pub value: u32,
    /// `lock`: the kernel does not learn better.
    pub is_locked: bool,
}

impl Metrics {
    /// Instead of what was said of it before.
    pub fn set(&mut self, said: MetricValue) {
        self.0.retain(|it| it.metric != said.metric);
        let at = self.0.partition_point(|it| it.metric < said.metric);
        self.0.insert(at, said);
    }

    /// In the order of [`Metric`].
    pub fn iter(&self) -> impl Iterator<Item = &MetricValue> {
        self.0.iter()
    }

    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all that the others say are said here too, with those values.
    pub(super) fn have_all_of(&self, others: &Self) -> bool {
        let has = |said: &MetricValue| {
            self.0
                .iter()
                .any(|it| (it.metric, it.value) == (said.metric, said.value))
        };
        others.0.iter().all(has)
    }

    /// As the kernel keeps them: what is 0 and not locked is not said, and no segment is larger than a packet.
    pub(super) fn as_kept(&self) -> Self {
        let most = |it: &MetricValue| match it.metric {
            Metric::SegmentSize => it.value.min(LARGEST_SEGMENT),
            _ => it.value,
        };
        let kept = self.0.iter().filter(|it| it.value != 0 || it.is_locked);
        Self(kept.map(|it| MetricValue { value: most(it), ..*it }).collect())
    }
}

const LARGEST_SEGMENT: u32 = 65_535 - 40;

/// More is not kept of a route's `mtu`.
pub(super) const LARGEST_MTU: u32 = 65_535 - 15;
