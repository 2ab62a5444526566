//! The words of `ip route` for what a route says of connections: `advmss 1400`, `rtt 30ms`.

use std::fmt::Write;

use super::Call;
use super::words::{Refused, number};
use crate::net::{Metric, MetricValue, Metrics, Route};

/// How a metric is written.
#[derive(Clone, Copy)]
enum Form {
    /// What the tool calls it when it is wrong, and whether `lock` may stand before it.
    Number(&'static str, bool),
    /// In so many parts of a millisecond.
    Time(u32, bool),
    /// 0 or 1.
    Switch,
    /// Names of bits.
    Features,
}

fn form(metric: Metric) -> Form {
    match metric {
        Metric::SegmentSize => Form::Number("mss", true),
        Metric::RoundTrip => Form::Time(8, true),
        Metric::RoundTripVariance => Form::Time(4, true),
        Metric::LeastTimeout => Form::Time(1, false),
        Metric::Features => Form::Features,
        Metric::QuickAcknowledgement | Metric::FastOpenNoCookie => Form::Switch,
        Metric::Window
        | Metric::SlowStartThreshold
        | Metric::CongestionWindow
        | Metric::Reordering
        | Metric::FirstCongestionWindow
        | Metric::FirstReceiveWindow => Form::Number(metric.name(), true),
    }
}

/// Reads what stands behind the word, if it is that of a metric.
pub(super) fn read(call: &mut Call<'_>, word: &str, metrics: &mut Metrics) -> Result<bool, Refused> {
    let Some(metric) = Metric::from_name(word) else {
        return Ok(false);
    };
    let (name, form) = (metric.name(), form(metric));
    let mut value = call.words.need()?;
    let may_be_locked = matches!(form, Form::Number(_, true) | Form::Time(_, true));
    let mut is_locked = value == "lock" && may_be_locked;
    if is_locked {
        value = call.words.need()?;
    }
    let wrong = |what: &str| Refused::wrong(value, &format!("\"{what}\" value is invalid\n"));
    let read = match form {
        Form::Number(what, _) => number(value).ok_or_else(|| wrong(what))?,
        Form::Time(parts, _) => time(value, parts).ok_or_else(|| wrong(name))?,
        Form::Switch => match number(value) {
            Some(read @ (0 | 1)) => read,
            Some(_) => {
                let text = format!("\"{name}\" value should be 0 or 1\n");
                return Err(Refused::wrong(value, &text));
            }
            None => return Err(wrong(name)),
        },
        Form::Features if value == "ecn" => ECN,
        Form::Features if ["tcp_usec_ts"].contains(&value) => {
            return Err(Refused::not_there(&format!("`features {value}` of a route")));
        }
        Form::Features => return Err(Refused::wrong(value, "\"features\" value not valid\n")),
    };
    // Seen: the tool always locks this one.
    is_locked |= metric == Metric::LeastTimeout;
    metrics.set(MetricValue {
        metric,
        value: read,
        is_locked,
    });
    Ok(true)
}

const ECN: u32 = 1;

/// Without a unit it is in the kernel's own parts of a millisecond.
fn time(word: &str, parts: u32) -> Option<u32> {
    let lower = word.to_ascii_lowercase();
    let end = lower.find(|it: char| it.is_ascii_alphabetic()).unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    if !digits.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let milliseconds = match unit {
        "" => return number(digits),
        "s" | "sec" | "secs" => digits.parse::<f64>().ok()? * 1_000.0,
        "ms" | "msec" | "msecs" => digits.parse::<f64>().ok()?,
        _ => return None,
    };
    Some((milliseconds.ceil() as u32).saturating_mul(parts))
}

/// All that a route says of packets and connections, with this size instead of its own where one is told.
pub(super) fn write(out: &mut String, route: &Route, mtu: Option<(u32, bool)>) {
    let lock = |is_locked| if is_locked { "lock " } else { "" };
    if let Some((mtu, is_locked)) = mtu.or(route.mtu.map(|mtu| (mtu, route.mtu_is_locked))) {
        let _ = write!(out, "mtu {}{mtu} ", lock(is_locked));
    }
    let (before, behind): (Vec<_>, Vec<_>) = route.metrics.iter().partition(|it| it.metric <= Metric::Reordering);
    let one = |out: &mut String, it: &MetricValue| {
        let (name, value) = (it.metric.name(), shown(it.value, form(it.metric)));
        let _ = write!(out, "{name} {}{value} ", lock(it.is_locked));
    };
    before.into_iter().for_each(|it| one(out, it));
    if let Some(limit) = route.hop_limit {
        let _ = write!(out, "hoplimit {limit} ");
    }
    behind.into_iter().for_each(|it| one(out, it));
}

fn shown(value: u32, form: Form) -> String {
    match form {
        Form::Time(parts, _) => match value / parts {
            milliseconds @ 0..1_000 => format!("{milliseconds}ms"),
            milliseconds => format!("{}s", f64::from(milliseconds) / 1_000.0),
        },
        Form::Features if value == ECN => "ecn".to_owned(),
        _ => value.to_string(),
    }
}
