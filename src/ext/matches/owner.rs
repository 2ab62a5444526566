//! `-m owner`: who on the router itself sent the packet.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::strtoul;
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::place::only_valid_from;
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::wording::not;
use crate::ext::{MatchSpec, NeedsOne};
use crate::packet::Sender;
use crate::rule::{Context, Effect, Errno, Hook, HookSet, Match, Matched, Refusal, Scope};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "owner",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[UID.spec, GID.spec, SOCKET.spec, SUPPLEMENTARY.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[UID.name(), GID.name(), SOCKET.name()],
        message: "owner: At least one of --uid-owner, --gid-owner or --socket-exists is required",
    }),
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "who on the router itself sent the packet",
    samples: SAMPLES,
};

type Ids = RangeInclusive<u32>;

const UID: Opt<Ids> = Opt::own(
    "uid-owner",
    "USER[-USER]",
    &Read(|text, _| ids(text, USERS).ok_or_else(|| bad_value(UID.name(), text))),
    "its socket is of this user, a name or a number, or of one of these numbers",
)
.invertible();
const GID: Opt<Ids> = Opt::own(
    "gid-owner",
    "GROUP[-GROUP]",
    &Read(|text, _| ids(text, GROUPS).ok_or_else(|| bad_value(GID.name(), text))),
    "its socket is of this group, a name or a number, or of one of these numbers",
)
.invertible();
const SOCKET: Opt<()> = Opt::flag("socket-exists", "it came from a socket").invertible();
const SUPPLEMENTARY: Opt<()> = Opt::flag(
    "suppl-groups",
    "with --gid-owner before it: or one of the user's further groups is",
)
.behind(
    GID,
    "owner: Bad value for \"--suppl-groups\" option: \"you need to use --gid-owner first\"",
);

fn bad_value(option: &str, text: &str) -> UsageError {
    UsageError::parameter(format!("owner: Bad value for \"--{option}\" option: \"{text}\""))
}

fn ids(text: &str, names: &[(u32, &str)]) -> Option<Ids> {
    if let Some((id, _)) = names.iter().find(|(_, name)| *name == text) {
        return Some(*id..=*id);
    }
    let number = |text| strtoul(text, 0).filter(|(number, _)| *number < u64::from(u32::MAX));
    let (first, rest) = number(text)?;
    let (last, rest) = match rest.strip_prefix(['-', ':']) {
        Some(rest) => number(rest)?,
        None => (first, rest),
    };
    rest.is_empty().then_some(first as u32..=last as u32)
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Owner {
        socket: given.get(SOCKET).map(|asked| !asked.inverted),
        user: given.get(UID),
        group: given.get(GID),
        supplementary: given.has(SUPPLEMENTARY),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Owner {
    /// Whether there has to be one.
    socket: Option<bool>,
    user: Option<Asked<Ids>>,
    group: Option<Asked<Ids>>,
    supplementary: bool,
}

/// What a packet fails.
enum Missed {
    Socket,
    User,
    Group,
    /// The lab was not told who sent it.
    Unsaid,
}

impl Owner {
    /// Seen: without a socket, or with one that is no program's (an echo's answer), whatever is asked with `!` holds, and nothing else does.
    fn missed(&self, sender: &Sender) -> Option<Missed> {
        let (has_socket, credentials) = match sender {
            Sender::NoSocket => (false, None),
            Sender::Kernel => (true, None),
            Sender::Unsaid => (true, None),
            Sender::Program(credentials) => (true, Some(credentials)),
        };
        if self.socket.is_some_and(|wanted| wanted != has_socket) {
            return Some(Missed::Socket);
        }
        let has = |asked: &Option<Asked<Ids>>, has: bool| asked.as_ref().is_none_or(|asked| asked.fits(has));
        if *sender == Sender::Unsaid && (self.user.is_some() || self.group.is_some()) {
            return Some(Missed::Unsaid);
        }
        let of = |asked: &Option<Asked<Ids>>, id: u32| asked.as_ref().is_some_and(|asked| asked.value.contains(&id));
        let is_user = credentials.is_some_and(|it| of(&self.user, it.user));
        if !has(&self.user, is_user) {
            return Some(Missed::User);
        }
        let is_group = credentials.is_some_and(|it| {
            of(&self.group, it.group) || self.supplementary && it.groups.iter().any(|group| of(&self.group, *group))
        });
        // Seen: where there is no socket, a rule with `--suppl-groups` never matches, since no `!` can stand before that.
        let is_lost = self.supplementary && *sender == Sender::NoSocket;
        (is_lost || !has(&self.group, is_group)).then_some(Missed::Group)
    }
}

impl Match for Owner {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.missed(&cx.packet.sender).is_none().into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let sender = &cx.packet.sender;
        let Some(missed) = self.missed(sender) else {
            return format!("the packet is {sender}");
        };
        let spelled = |option: Opt<Ids>, asked: &Option<Asked<Ids>>| match asked {
            Some(asked) => format!("{} {}", option.spelled(asked.inverted), Range(&asked.value)),
            None => String::new(),
        };
        match missed {
            Missed::Socket => format!("{}: the packet is {sender}", SOCKET.spelled(self.socket == Some(false))),
            Missed::User => format!("{}: the packet is {sender}", spelled(UID, &self.user)),
            Missed::Group => {
                let further = match self.supplementary {
                    true => format!(" {}", SUPPLEMENTARY.spelled(false)),
                    false => String::new(),
                };
                format!("{}{further}: the packet is {sender}", spelled(GID, &self.group))
            }
            Missed::Unsaid => {
                let asked = [spelled(UID, &self.user), spelled(GID, &self.group)];
                let asked: Vec<String> = asked.into_iter().filter(|it| !it.is_empty()).collect();
                format!(
                    "{}: nothing says who sent the packet; in a script of `nflab run`, `sender USER:GROUP` before it does",
                    asked.join(" ")
                )
            }
        }
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_valid_from(scope, "owner match", HookSet::of(&[Hook::Output, Hook::Postrouting]))?;
        let ranges = [(UID, &self.user), (GID, &self.group)];
        for (option, asked) in ranges {
            if let Some(range) = asked.as_ref().map(|it| &it.value).filter(|it| it.is_empty()) {
                return Err(Refusal::unlogged(
                    Errno::InvalidArgument,
                    format!("{} {}: it ends before it begins", option.spelled(false), Range(range)),
                ));
            }
        }
        Ok(())
    }

    fn save(&self, out: &mut String) {
        if let Some(has) = self.socket {
            let _ = write!(out, " {}", SOCKET.spelled(!has));
        }
        for (option, asked) in [(UID, &self.user), (GID, &self.group)] {
            if let Some(asked) = asked {
                let _ = write!(out, " {} {}", option.spelled(asked.inverted), Range(&asked.value));
            }
        }
        if self.supplementary {
            let _ = write!(out, " {}", SUPPLEMENTARY.spelled(false));
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        if let Some(has) = self.socket {
            let _ = write!(out, " {}owner socket exists", not(!has));
        }
        for (what, asked, names) in [("UID", &self.user, USERS), ("GID", &self.group, GROUPS)] {
            let Some(asked) = asked else { continue };
            let _ = write!(out, " {}owner {what} match ", not(asked.inverted));
            let single = (asked.value.start() == asked.value.end() && !numeric).then_some(asked.value.start());
            let name = single.and_then(|id| names.iter().find(|(known, _)| known == id));
            let _ = match name {
                Some((_, name)) => write!(out, "{name}"),
                None => write!(out, "{}", Range(&asked.value)),
            };
        }
        if self.supplementary {
            out.push_str(" incl. suppl. groups");
        }
    }
}

struct Range<'a>(&'a Ids);

impl std::fmt::Display for Range<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.start() == self.0.end() {
            true => write!(f, "{}", self.0.start()),
            false => write!(f, "{}-{}", self.0.start(), self.0.end()),
        }
    }
}

/// ` owner socket exists ! owner UID match 5 owner GID match 6-7 incl. suppl. groups`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let mut options = Options::default();
        // They stand in this order: what is out of it belongs to another of these matches.
        let mut left = ["socket", "UID", "GID"].as_slice();
        let mut is_any = false;
        loop {
            let mut ahead = *it;
            let inverted = ahead.word("!").is_some();
            if ahead.word("owner").is_none() {
                break;
            }
            let what = ahead.take()?;
            let Some(at) = left.iter().position(|it| *it == what) else {
                break;
            };
            left = &left[at + 1..];
            is_any = true;
            match what {
                "socket" => {
                    ahead.word("exists")?;
                    options.push(inverted, SOCKET.name(), "");
                }
                what => {
                    ahead.word("match")?;
                    let option = if what == "UID" { UID } else { GID };
                    options.push(inverted, option.name(), ahead.take()?);
                }
            }
            *it = ahead;
        }
        if it.word("incl.").is_some() {
            it.word("suppl.")?;
            it.word("groups")?;
            options.push(false, SUPPLEMENTARY.name(), "");
        }
        is_any.then_some(options)
    })
}

/// Those of every Debian; a lab has no others by name.
const USERS: &[(u32, &str)] = &[
    (0, "root"),
    (1, "daemon"),
    (2, "bin"),
    (3, "sys"),
    (4, "sync"),
    (5, "games"),
    (6, "man"),
    (7, "lp"),
    (8, "mail"),
    (9, "news"),
    (10, "uucp"),
    (13, "proxy"),
    (33, "www-data"),
    (34, "backup"),
    (38, "list"),
    (39, "irc"),
    (42, "_apt"),
    (65534, "nobody"),
];

const GROUPS: &[(u32, &str)] = &[
    (0, "root"),
    (1, "daemon"),
    (2, "bin"),
    (3, "sys"),
    (4, "adm"),
    (5, "tty"),
    (6, "disk"),
    (7, "lp"),
    (8, "mail"),
    (9, "news"),
    (10, "uucp"),
    (12, "man"),
    (13, "proxy"),
    (15, "kmem"),
    (20, "dialout"),
    (21, "fax"),
    (22, "voice"),
    (24, "cdrom"),
    (25, "floppy"),
    (26, "tape"),
    (27, "sudo"),
    (29, "audio"),
    (30, "dip"),
    (33, "www-data"),
    (34, "backup"),
    (37, "operator"),
    (38, "list"),
    (39, "irc"),
    (40, "src"),
    (42, "shadow"),
    (43, "utmp"),
    (44, "video"),
    (45, "sasl"),
    (46, "plugdev"),
    (50, "staff"),
    (60, "games"),
    (100, "users"),
    (65534, "nogroup"),
];

const SAMPLES: Samples = Samples {
    place: ("filter", "OUTPUT"),
    taken: &[
        taken("", "--uid-owner root", "--uid-owner 0", "owner UID match 0").named("owner UID match root"),
        taken("", "! --uid-owner 5-7", "! --uid-owner 5-7", "! owner UID match 5-7"),
        taken("", "--uid-owner 0x10", "--uid-owner 16", "owner UID match 16"),
        taken("", "--gid-owner 5:0x7", "--gid-owner 5-7", "owner GID match 5-7"),
        taken(
            "",
            "--uid-owner 4294967294",
            "--uid-owner 4294967294",
            "owner UID match 4294967294",
        ),
        taken("", "--gid-owner daemon", "--gid-owner 1", "owner GID match 1").named("owner GID match daemon"),
        taken("", "! --socket-exists", "! --socket-exists", "! owner socket exists"),
        taken(
            "",
            "--gid-owner 6 --suppl-groups ! --uid-owner 5 --socket-exists",
            "--socket-exists ! --uid-owner 5 --gid-owner 6 --suppl-groups",
            "owner socket exists ! owner UID match 5 owner GID match 6 incl. suppl. groups",
        )
        .named("owner socket exists ! owner UID match games owner GID match disk incl. suppl. groups"),
    ],
    refused: &[
        refused(
            "",
            "",
            "owner: At least one of --uid-owner, --gid-owner or --socket-exists is required",
        ),
        refused(
            "",
            "--uid-owner nosuch",
            "owner: Bad value for \"--uid-owner\" option: \"nosuch\"",
        ),
        refused(
            "",
            "--uid-owner 5-",
            "owner: Bad value for \"--uid-owner\" option: \"5-\"",
        ),
        refused(
            "",
            "--uid-owner -5",
            "owner: Bad value for \"--uid-owner\" option: \"-5\"",
        ),
        refused(
            "",
            "--gid-owner 4294967295",
            "owner: Bad value for \"--gid-owner\" option: \"4294967295\"",
        ),
        refused(
            "",
            "--suppl-groups --gid-owner 5",
            "owner: Bad value for \"--suppl-groups\" option: \"you need to use --gid-owner first\"",
        ),
        refused(
            "",
            "--uid-owner 5 --uid-owner 6",
            "owner: option \"--uid-owner\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "! --socket-exists", DATAGRAM),
        fails(
            "",
            "! --gid-owner 0 --suppl-groups",
            DATAGRAM,
            "! --gid-owner 0 --suppl-groups: the packet is from no socket",
        ),
        passes("", "! --gid-owner 0", DATAGRAM),
        fails(
            "",
            "--socket-exists",
            DATAGRAM,
            "--socket-exists: the packet is from no socket",
        ),
        fails(
            "",
            "--uid-owner 0",
            DATAGRAM,
            "--uid-owner 0: the packet is from no socket",
        ),
        fails(
            "",
            "--gid-owner 5-7 --suppl-groups",
            DATAGRAM,
            "--gid-owner 5-7 --suppl-groups: the packet is from no socket",
        ),
        passes("", "! --uid-owner 0", DATAGRAM),
    ],
    spellings: &[
        "-m owner --uid-owner 0",
        "-m owner --uid-owner root",
        "-m owner --uid-owner 0-0",
        "-m owner ! --uid-owner 0",
        "-m owner --gid-owner 0",
        "-m owner --gid-owner 0 --suppl-groups",
        "-m owner --socket-exists",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| {
        if place.is_within(&[Hook::Output, Hook::Postrouting]) {
            10
        } else {
            0
        }
    },
    |draw| match draw.below(3) {
        0 => draw.give_one(&UID.spec, &["0", "root", "0-1000", "1000"]),
        1 => {
            draw.give_one(&GID.spec, &["0", "0-5", "27", "1000-65000"]);
            draw.maybe_flag(2, &SUPPLEMENTARY.spec);
        }
        _ => draw.give(&SOCKET.spec, ""),
    },
)
.in_one_scenario_of(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, match_places, read_match, udp};
    use crate::packet::Credentials;
    use crate::rule::Table;

    fn program() -> Sender {
        Sender::Program(Arc::new(Credentials {
            user: 1000,
            group: 1001,
            groups: vec![27, 5],
        }))
    }

    /// As the kernel counted an echo's answer, a reset by REJECT and a datagram of 1000:1001,27,5.
    #[test]
    fn whose_packet_it_is() {
        for (typed, own, kernel, none) in [
            ("--socket-exists", true, true, false),
            ("! --socket-exists", false, false, true),
            ("--uid-owner 1000", true, false, false),
            ("! --uid-owner 1000", false, true, true),
            ("! --uid-owner 0", true, true, true),
            ("--uid-owner 1000 --socket-exists", true, false, false),
            ("! --uid-owner 0 ! --socket-exists", false, false, true),
            ("! --gid-owner 5 ! --uid-owner 0", true, true, true),
            ("--gid-owner 1001", true, false, false),
            ("--gid-owner 5", false, false, false),
            ("--gid-owner 5 --suppl-groups", true, false, false),
            ("--gid-owner 1001 --suppl-groups", true, false, false),
            ("! --gid-owner 5 --suppl-groups", false, true, false),
            ("--gid-owner 6-26 --suppl-groups", false, false, false),
            ("--gid-owner 6-30 --suppl-groups", true, false, false),
        ] {
            let (bench, made) = (Bench::new(), read_match(&SPEC, ANY, typed).unwrap());
            for (sender, matches) in [(program(), own), (Sender::Kernel, kernel), (Sender::NoSocket, none)] {
                let mut packet = udp(1, 2, &[]);
                packet.sender = sender;
                let (matched, _) = bench.ask(made.as_ref(), &packet);
                assert_eq!(matched == Matched::Yes, matches, "{typed}: {}", packet.sender);
            }
        }
    }

    #[test]
    fn sentences_name_the_sender() {
        for (typed, sender, said) in [
            (
                "--uid-owner 0",
                program(),
                "--uid-owner 0: the packet is from user 1000, group 1001, also in 27, 5",
            ),
            (
                "--gid-owner 9",
                Sender::Kernel,
                "--gid-owner 9: the packet is from a socket of the kernel's own",
            ),
            (
                "! --uid-owner 0",
                Sender::Unsaid,
                "! --uid-owner 0: nothing says who sent the packet; in a script of `nflab run`, `sender USER:GROUP` before it does",
            ),
            (
                "! --socket-exists",
                Sender::Unsaid,
                "! --socket-exists: the packet is from a program, nothing says whose",
            ),
        ] {
            let (bench, made) = (Bench::new(), read_match(&SPEC, ANY, typed).unwrap());
            let mut packet = udp(1, 2, &[]);
            packet.sender = sender;
            assert_eq!(bench.ask(made.as_ref(), &packet).1, said);
        }
    }

    #[test]
    fn places_and_ranges_that_the_kernel_refuses() {
        let hooks =
            "x_tables: ip_tables: owner match: used from hooks INPUT/FORWARD, but only valid from OUTPUT/POSTROUTING";
        match_places(
            &SPEC,
            ANY,
            "--uid-owner 0",
            &[
                (Table::Mangle, &[Hook::Output, Hook::Postrouting], ""),
                (Table::Mangle, &[Hook::Input, Hook::Forward], hooks),
            ],
        );
        let range = "--uid-owner 7-5: it ends before it begins";
        match_places(
            &SPEC,
            ANY,
            "--uid-owner 7-5",
            &[(Table::Mangle, &[Hook::Output], range)],
        );
    }
}
