//! `-m connlabel`: a label of the packet's flow, which it may set.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::conntrack::labels::BITS;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::unchecked_strtoul;
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::wording::not;
use crate::rule::{Context, Effect, Errno, Match, Matched, Refusal, Scope, StateUse};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "connlabel",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[LABEL.spec, SET.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "a label of the packet's flow, which the rule may set",
    samples: SAMPLES,
};

const LABEL: Opt<Label> = Opt::own(
    "label",
    "NAME|NUMBER",
    &Read(label),
    "the flow has this label; names stand in /etc/xtables/connlabel.conf",
)
.invertible()
.required();
const SET: Opt<()> = Opt::flag("set", "give the label to the flow, where it has room for labels");

/// A bit, and the name that it had when the rule was typed. Seen: the real tool looks for the name whenever it prints the rule.
#[derive(Clone, Debug, Default)]
struct Label {
    bit: u16,
    name: Option<String>,
}

/// A number in any notation, of which 16 bits count, or else a name.
fn label(text: &str, given: &Given<'_>) -> Result<Label, UsageError> {
    if text.is_empty() {
        return Err(UsageError::parameter(
            "Argument must have a minimum length of 1 characters\n",
        ));
    }
    let bit = match unchecked_strtoul(text, 0) {
        (number, "") if number as i32 >= 0 => number as u16,
        _ => given.labels.bit(text)?,
    };
    let name = given.labels.name(bit).map(str::to_owned);
    Ok(Label { bit, name })
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Connlabel {
        label: given.get(LABEL).unwrap_or_default(),
        set: given.has(SET),
    }))
}

#[derive(Debug)]
struct Connlabel {
    label: Asked<Label>,
    set: bool,
}

/// Seen: `-C` and `-D` take any `-m connlabel` for any other, whatever was typed behind it.
impl PartialEq for Connlabel {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Connlabel {
    /// As the tool writes it where it shows names.
    fn said(&self) -> String {
        let Label { bit, name } = &self.label.value;
        name.clone().unwrap_or_else(|| bit.to_string())
    }
}

impl Match for Connlabel {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    /// Seen: with `--set` a flow that has room for labels has this one, whatever `!` says.
    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(flow) = &cx.tracking.flow else {
            return self.label.fits(false).into();
        };
        let mut state = flow.lock();
        let Some(labels) = state.labels() else {
            return self.label.fits(false).into();
        };
        let bit = 1 << self.label.value.bit;
        let has = labels & bit != 0;
        if self.set && !has {
            state.set_labels(labels | bit);
        }
        self.label.fits(has || self.set).into()
    }

    fn effect(&self) -> Effect {
        match self.set {
            true => Effect::UNKNOWN,
            false => Effect::PURE.with_state(StateUse::Reads).of_its_flow(),
        }
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let Asked { inverted, .. } = &self.label;
        let typed = format!("{} {}", LABEL.spelled(*inverted), self.said());
        let has = match &cx.tracking.flow {
            None => "packet has no flow".to_owned(),
            Some(flow) => match flow.lock().labels() {
                None => "flow has no room for labels, as no rule asked for any when it began".to_owned(),
                // Whether it had it before, nobody knows any more.
                Some(_) if self.set => format!("flow has label {}, which the rule sets", self.said()),
                Some(0) => "flow has no label".to_owned(),
                Some(labels) => {
                    let set = (0..BITS).filter(|bit| labels >> bit & 1 == 1);
                    let set: Vec<String> = set.map(|bit| bit.to_string()).collect();
                    match set.len() {
                        1 => format!("flow has label {}", set[0]),
                        _ => format!("flow has labels {}", set.join(", ")),
                    }
                }
            },
        };
        format!("{typed}: {has}")
    }

    fn save(&self, out: &mut String) {
        let Asked { inverted, .. } = &self.label;
        let _ = write!(out, " {} \"{}\"", LABEL.spelled(*inverted), self.said());
        if self.set {
            let _ = write!(out, " {}", SET.spelled(false));
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let Asked { value, inverted } = &self.label;
        let _ = match &value.name {
            Some(name) if !numeric => write!(out, " connlabel {}'{name}'", not(*inverted)),
            _ => write!(out, " connlabel {}{}", not(*inverted), value.bit),
        };
        if self.set {
            let _ = write!(out, " {}", SET.name());
        }
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    fn needs_labels(&self) -> bool {
        true
    }

    fn check(&self, _scope: &Scope<'_>) -> Result<(), Refusal> {
        match u32::from(self.label.value.bit) < BITS {
            true => Ok(()),
            false => Err(Refusal::unlogged(
                Errno::OutOfRange,
                format!(
                    "there is no label {}: they are numbered from 0 to 127",
                    self.label.value.bit
                ),
            )),
        }
    }
}

/// ` connlabel ! 'seven eleven' set`. A name consists of letters, digits, `-` and blanks.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("connlabel")?;
        let inverted = it.word("!").is_some();
        let start = it.rest.trim_ascii_start();
        let value = match start.strip_prefix('\'').and_then(|inside| inside.split_once('\'')) {
            Some((name, rest)) => {
                it.rest = rest;
                name
            }
            None => it.take()?,
        };
        let mut options = Options::default();
        options.push(inverted, LABEL.name(), value);
        if it.word(SET.name()).is_some() {
            options.push(false, SET.name(), "");
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--label 5", "--label \"5\"", "connlabel 5"),
        taken("", "! --label 0x7f", "! --label \"127\"", "connlabel ! 127"),
        taken("", "--set --label 010", "--label \"8\" --set", "connlabel 8 set"),
        taken("", "! --label +3 --set", "! --label \"3\" --set", "connlabel ! 3 set"),
        taken("", "--label 65541", "--label \"5\"", "connlabel 5"),
        taken("", "--label 4294967301", "--label \"5\"", "connlabel 5"),
    ],
    refused: &[
        refused("", "", "connlabel: option \"--label\" must be specified\n"),
        refused("", "--set", "connlabel: option \"--label\" must be specified\n"),
        refused(
            "",
            "--label \"\"",
            "Argument must have a minimum length of 1 characters\n",
        ),
        refused("", "--label web", "label 'web' not found or invalid value"),
        refused(
            "",
            "--label 4294967295",
            "label '4294967295' not found or invalid value",
        ),
        refused("", "--label 5x", "label '5x' not found or invalid value"),
        refused("", "--label 08", "label '08' not found or invalid value"),
        refused(
            "",
            "--label 1 --label 2",
            "connlabel: option \"--label\" can only be used once.\n",
        ),
        refused(
            "",
            "--label 1 --set --set",
            "connlabel: option \"--set\" can only be used once.\n",
        ),
        refused(
            "",
            "--label 1 ! --set",
            "connlabel: option \"--set\" cannot be inverted.\n",
        ),
    ],
    packets: &[
        passes("", "! --label 1", DATAGRAM),
        passes("", "--label 1 --set", DATAGRAM),
        fails("", "--label 1", DATAGRAM, "--label 1: flow has no label"),
        fails(
            "",
            "! --label 1 --set",
            DATAGRAM,
            "! --label 1: flow has label 1, which the rule sets",
        ),
        fails(
            "",
            "--label 1 --set",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SF",
            "--label 1: packet has no flow",
        ),
    ],
    spellings: &[
        "-m connlabel --label 5",
        "-m connlabel --label 0x5",
        "-m connlabel ! --label 5",
        "-m connlabel --label 5 --set",
        "-m connlabel --label 6",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| if place.may_track { 6 } else { 0 },
    |draw| {
        draw.give_one(&LABEL.spec, &["0", "1", "1", "5", "127", "0x40"]);
        draw.maybe(50, &SET.spec, &[""]);
    },
)
.in_one_scenario_of(3);

#[cfg(test)]
mod tests;
