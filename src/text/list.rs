//! What `iptables -L` prints, and the line that `-v` prints for a rule that goes in or out.

use std::borrow::Cow;
use std::fmt::Write;

use super::command::Listing;
use super::counters::{self, Style};
use super::failure::Denial;
use super::hosts::{Hosts, StaticHosts};
use super::session::{OpenChain, Session};
use crate::base::bytes::length_of;
use crate::base::{AddressMask, Family, InterfaceMask, Piece, write_address};
use crate::ext::names;
use crate::rule::{Action, ChainKind, Rule, Selector};

/// Which columns, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub verbose: bool,
    pub numeric: bool,
    pub exact: bool,
    pub line_numbers: bool,
}

/// Appends chains with their headings, or one rule without.
pub(crate) fn write(
    out: &mut String,
    session: &Session,
    listing: &Listing,
    columns: Columns,
    hosts: &dyn Hosts,
) -> Result<(), Denial> {
    let chosen = listing.chains(session)?;
    for (at, chain) in chosen.into_iter().enumerate() {
        if listing.number.is_none() {
            if at != 0 {
                out.push('\n');
            }
            heading(out, session, chain, columns);
        }
        for (at, rule) in chain.rules().enumerate() {
            session.pace.done(at, Piece::Read);
            if listing.number.is_none_or(|number| number == at + 1) {
                row(out, session, at + 1, rule, columns, hosts);
            }
        }
    }
    Ok(())
}

/// Appends the one line of a rule, always with numbers.
pub(crate) fn write_inline(out: &mut String, rule: &Rule) {
    let selector = &rule.selector;
    let not = |inverted: bool| if inverted { '!' } else { ' ' };
    let bang = |inverted: bool| if inverted { "!" } else { "" };
    let _ = write!(
        out,
        "{} {}{} opt {} in {}{} out {}{} {}{} {}-> {}  ",
        target_name(&rule.action),
        not(selector.protocol_inverted),
        inline_protocol(selector.protocol),
        fragment(selector),
        bang(selector.input_inverted),
        interface(&selector.input, true),
        bang(selector.output_inverted),
        interface(&selector.output, true),
        not(selector.source_inverted),
        address(&selector.source, true, &StaticHosts::none()),
        not(selector.destination_inverted),
        address(&selector.destination, true, &StaticHosts::none()),
    );
    rest(out, rule, true, true);
}

fn heading(out: &mut String, session: &Session, chain: &OpenChain, columns: Columns) {
    let _ = write!(out, "Chain {}", chain.name);
    match &chain.kind {
        ChainKind::BuiltIn { policy, .. } => {
            let _ = write!(out, " (policy {}", policy.name());
            if columns.verbose {
                let counted = session.policy_counters(chain);
                out.push(' ');
                counters::write(out, counted.packets, columns.exact, Style::Inline);
                out.push_str("packets, ");
                counters::write(out, counted.bytes, columns.exact, Style::Inline);
                out.push_str("bytes");
            }
            out.push_str(")\n");
        }
        ChainKind::User => {
            let _ = writeln!(out, " ({} references)", session.references(&chain.name));
        }
    }
    if columns.line_numbers {
        out.push_str("num  ");
    }
    if columns.verbose {
        out.push_str(match columns.exact {
            true => "    pkts      bytes ",
            false => " pkts bytes ",
        });
    }
    out.push_str("target     prot opt");
    if columns.verbose {
        out.push_str(" in     out    ");
    }
    out.push_str(" source               destination         \n");
}

fn row(out: &mut String, session: &Session, number: usize, rule: &Rule, columns: Columns, hosts: &dyn Hosts) {
    let selector = &rule.selector;
    let not = |inverted: bool| if inverted { '!' } else { ' ' };
    if columns.line_numbers {
        let _ = write!(out, "{number:<4} ");
    }
    if columns.verbose {
        let counted = session.counters(rule);
        counters::write(out, counted.packets, columns.exact, Style::Column);
        counters::write(out, counted.bytes, columns.exact, Style::Column);
    }
    let _ = write!(
        out,
        "{} {}{:<4} {} ",
        padded(target_name(&rule.action), 9),
        not(selector.protocol_inverted),
        protocol(selector.protocol, columns.numeric),
        fragment(selector),
    );
    if columns.verbose {
        let named = |mask: &InterfaceMask, inverted: bool| {
            format!(
                "{}{}",
                if inverted { "!" } else { "" },
                interface(mask, columns.numeric)
            )
        };
        let _ = write!(
            out,
            " {} {} ",
            padded(&named(&selector.input, selector.input_inverted), 6),
            padded(&named(&selector.output, selector.output_inverted), 6)
        );
    }
    let _ = write!(
        out,
        "{}{:<19} {}{:<19} ",
        not(selector.source_inverted),
        address(&selector.source, columns.numeric, hosts),
        not(selector.destination_inverted),
        address(&selector.destination, columns.numeric, hosts),
    );
    // A target that shares its name with a chain is taken for the chain, and its options are not shown.
    let known = !session.has_chain(target_name(&rule.action));
    rest(out, rule, columns.numeric, known);
}

/// Blanks behind a text, to so many bytes: the tool pads bytes, not letters.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(length_of(text))))
}

fn rest(out: &mut String, rule: &Rule, numeric: bool, with_target: bool) {
    if let Action::Goto(_) = rule.action {
        out.push_str("[goto] ");
    }
    for test in &rule.matches {
        test.list(out, numeric);
    }
    if let Action::Target(target) = &rule.action
        && with_target
    {
        target.list(out, numeric);
    }
    out.push('\n');
}

fn target_name(action: &Action) -> &str {
    match action {
        Action::Nothing => "",
        Action::Accept => "ACCEPT",
        Action::Drop => "DROP",
        Action::Return => "RETURN",
        Action::Queue => "QUEUE",
        Action::Jump(name) | Action::Goto(name) => name,
        Action::Target(target) => target.kernel_name(),
    }
}

/// 1.8.9 prints numbers under `-n`, for "any" too.
fn protocol(protocol: u8, numeric: bool) -> String {
    match protocol {
        _ if numeric => protocol.to_string(),
        0 => "all".to_owned(),
        _ => names::protocol_name(protocol).map_or_else(|| protocol.to_string(), str::to_owned),
    }
}

/// The names that need no file of names.
fn inline_protocol(protocol: u8) -> String {
    match protocol {
        0 | 1 | 6 | 17 | 50 | 51 | 58 | 132 | 135 | 136 => self::protocol(protocol, false),
        _ => protocol.to_string(),
    }
}

fn fragment(selector: &Selector) -> &'static str {
    match (selector.fragment, selector.fragment_inverted) {
        (false, _) => "--",
        (true, false) => "-f",
        (true, true) => "!f",
    }
}

fn interface(mask: &InterfaceMask, numeric: bool) -> Cow<'_, str> {
    match mask.is_any() {
        false => mask.text(),
        true if numeric => Cow::Borrowed("*"),
        true => Cow::Borrowed("any"),
    }
}

fn address(mask: &AddressMask, numeric: bool, hosts: &dyn Hosts) -> String {
    // Seen: of IPv6 the address is looked at, whatever its mask (`::/64`).
    let is_anywhere = match mask.family() {
        Family::V4 => mask.is_any(),
        Family::V6 => mask.address().is_unspecified(),
    };
    if is_anywhere && !numeric {
        return "anywhere".to_owned();
    }
    let mut text = match hosts.name(mask.address()) {
        Some(name) if !numeric => name,
        _ => {
            let mut text = String::new();
            write_address(&mut text, mask.address());
            text
        }
    };
    match mask.prefix_length() {
        Some(length) if length == mask.family().bits() => {}
        Some(length) => text.push_str(&format!("/{length}")),
        None => {
            text.push('/');
            write_address(&mut text, mask.mask());
        }
    }
    text
}
