//! `ip`: the interfaces, addresses, routes and routing rules of a lab's router, with the words, texts and exit codes of iproute2 6.1.
//!
//! What a lab has is told as the real tool tells it of a TUN device that somebody holds open: no link-layer address, `qdisc pfifo_fast`, group
//! `default`, the queue length that such a device has. Numbers are those of a fresh namespace (`lo` is 1). What a lab has not is refused by name.

mod address;
mod cache;
mod get;
mod get6;
mod link;
mod metrics;
mod route;
mod routes;
mod rule;
mod words;

use words::{Refused, Words, abbreviates};

use crate::base::Family;
use crate::lab::machine::{Machine, ToolOutput};

pub(super) fn run(machine: &mut Machine, args: &[String]) -> ToolOutput {
    let mut call = Call {
        machine,
        words: Words::new(args),
        style: Style::default(),
        out: String::new(),
        warning: String::new(),
    };
    let outcome = call.run();
    let mut output = ToolOutput::success(call.out);
    output.stderr = call.warning;
    if let Err(refused) = outcome {
        output.code = refused.code;
        output.stderr += &refused.text;
    }
    output
}

/// One call: what it says, what it acts on, and what it printed so far.
struct Call<'a> {
    machine: &'a mut Machine,
    words: Words<'a>,
    style: Style,
    out: String,
    /// What goes to standard error without being a failure.
    warning: String,
}

type Command = fn(&mut Call<'_>) -> Result<(), Refused>;

/// How things are printed.
#[derive(Clone, Copy, Debug, Default)]
struct Style {
    /// `-4` or `-6`: what is of the other is not told.
    family: Option<Family>,
    one_line: bool,
    brief: bool,
}

impl Style {
    fn line_end(self) -> &'static str {
        if self.one_line { "\\" } else { "\n" }
    }
}

impl Call<'_> {
    fn run(&mut self) -> Result<(), Refused> {
        while let Some(option) = self.words.peek().filter(|word| word.starts_with('-')) {
            self.words.take();
            if option == "--" {
                break;
            }
            if self.option(option)? {
                return Ok(());
            }
        }
        let Some(object) = self.words.take() else {
            return Err(Refused::usage(USAGE));
        };
        for (name, run) in OBJECTS {
            if abbreviates(object, name) {
                return run(self);
            }
        }
        if let Some(name) = OTHER_OBJECTS.iter().find(|name| abbreviates(object, name)) {
            return match *name {
                "help" => Err(Refused::usage(USAGE)),
                name => Err(Refused::not_there(&format!("`ip {name}`"))),
            };
        }
        Err(Refused::new(
            1,
            format!("Object \"{object}\" is unknown, try \"ip help\".\n"),
        ))
    }

    /// True when nothing is left to do.
    fn option(&mut self, option: &str) -> Result<bool, Refused> {
        // `--brief` is `-brief`.
        let name = option
            .strip_prefix('-')
            .filter(|it| it.starts_with('-'))
            .unwrap_or(option);
        match name {
            "-4" => self.style.family = Some(Family::V4),
            "-6" => self.style.family = Some(Family::V6),
            _ if name.len() > 1 && abbreviates(name, "-family") => match self.words.need()? {
                "inet" => self.style.family = Some(Family::V4),
                "inet6" => self.style.family = Some(Family::V6),
                family @ ("link" | "bridge" | "mpls") => {
                    return Err(Refused::not_there(&format!("the family {family}")));
                }
                other => return Err(Refused::wrong(other, "invalid protocol family")),
            },
            _ if abbreviates(name, "-oneline") => self.style.one_line = true,
            _ if name.len() > 2 && abbreviates(name, "-brief") => self.style.brief = true,
            _ if abbreviates(name, "-Version") => {
                let version = env!("CARGO_PKG_VERSION");
                self.out += &format!("ip utility, iproute2-6.1.0, nflab {version}\n");
                return Ok(true);
            }
            _ if name.len() > 3 && abbreviates(name, "-help") => return Err(Refused::usage(USAGE)),
            "-color=never" | "-c=never" => {}
            _ => {
                return match OTHER_OPTIONS
                    .iter()
                    .find(|other| name.len() > 1 && abbreviates(name, other))
                {
                    Some(other) => Err(Refused::not_there(&format!("the option {other}"))),
                    None => Err(Refused::new(
                        255,
                        format!("Option \"{name}\" is unknown, try \"ip -help\".\n"),
                    )),
                };
            }
        }
        Ok(false)
    }
}

/// In the order in which an abbreviation is looked up.
const OBJECTS: &[(&str, Command)] = &[
    ("address", address::run),
    ("route", route::run),
    ("rule", rule::run),
    ("link", link::run),
];

/// What the real tool has beside them.
const OTHER_OBJECTS: &[&str] = &[
    "addrlabel",
    "maddress",
    "neighbor",
    "neighbour",
    "ntable",
    "ntbl",
    "l2tp",
    "fou",
    "ila",
    "macsec",
    "tunnel",
    "tuntap",
    "tap",
    "token",
    "tcpmetrics",
    "tcp_metrics",
    "monitor",
    "xfrm",
    "mroute",
    "mrule",
    "netns",
    "netconf",
    "vrf",
    "sr",
    "nexthop",
    "mptcp",
    "ioam",
    "help",
    "stats",
];

const OTHER_OPTIONS: &[&str] = &[
    "-loops",
    "-0",
    "-M",
    "-B",
    "-human-readable",
    "-iec",
    "-stats",
    "-statistics",
    "-details",
    "-resolve",
    "-timestamp",
    "-tshort",
    "-force",
    "-batch",
    "-json",
    "-pretty",
    "-rcvbuf",
    "-color",
    "-netns",
    "-Numeric",
    "-all",
];

const USAGE: &str = "\
Usage: ip [ -4 ] [ -o[neline] ] [ -br[ief] ] [ -V[ersion] ] OBJECT { COMMAND | help }
OBJECT := { address | route | rule | link }
Of a lab's router; the real tool's other objects and options are not there in nflab.
";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::base::testing::unhex;
    use crate::cli::TOOLBOX;
    use crate::explain::story::Detail;
    use crate::lab::memory::Lab;

    /// Calls of `ip`, and what iproute2 6.1 and Linux 6.18 said to each, one after another in a namespace set up as the default lab is.
    struct Recorded {
        /// What they are about.
        about: &'static str,
        calls: &'static str,
        /// Keys that were set before.
        keys: &'static [(&'static str, &'static str)],
        /// There are more than so many.
        least: usize,
    }

    const SEED: (&str, &str) = ("net.ipv4.fib_multipath_hash_seed", "74565");

    const RECORDED: &[Recorded] = &[
        Recorded {
            about: "IPv6",
            calls: include_str!("ip/ipv6.txt"),
            keys: &[],
            least: 200,
        },
        Recorded {
            about: "what else an address can have",
            calls: include_str!("ip/address.txt"),
            keys: &[],
            least: 100,
        },
        Recorded {
            about: "tables that refused routes leave, what an address cannot be told, ::1 that is added by hand",
            calls: include_str!("ip/refused.txt"),
            keys: &[],
            least: 70,
        },
        Recorded {
            about: "gateways of IPv6 for IPv4, and what a route says of packets",
            calls: include_str!("ip/ways.txt"),
            keys: &[],
            least: 30,
        },
        Recorded {
            about: "rules that suppress routes and lead on",
            calls: include_str!("ip/rules.txt"),
            keys: &[],
            least: 80,
        },
        Recorded {
            about: "routes with several gateways, under one seed of their choice",
            calls: include_str!("ip/gateways.txt"),
            keys: &[SEED],
            least: 140,
        },
        Recorded {
            about: "gateways of routes that refuse packets or are for the host itself, and a single one's weight",
            calls: include_str!("ip/kinds.txt"),
            keys: &[SEED],
            least: 95,
        },
        Recorded {
            about: "who asks for a way where gateways are chosen by fields: by ends, protocol and ports here",
            calls: include_str!("ip/fields.txt"),
            keys: &[
                SEED,
                ("net.ipv4.fib_multipath_hash_policy", "3"),
                ("net.ipv4.fib_multipath_hash_fields", "55"),
            ],
            least: 20,
        },
        Recorded {
            about: "rules that ask for protocol and ports, and gateways that are chosen by them",
            calls: include_str!("ip/transport.txt"),
            keys: &[
                SEED,
                ("net.ipv4.fib_multipath_hash_policy", "1"),
                ("net.ipv6.fib_multipath_hash_policy", "1"),
            ],
            least: 200,
        },
        Recorded {
            about: "what routes say of connections, and ways for a type of service",
            calls: include_str!("ip/metrics.txt"),
            keys: &[SEED],
            least: 150,
        },
    ];

    #[test]
    fn it_says_what_iproute2_says() {
        let mut wrong = String::new();
        for recorded in RECORDED {
            let mut lab = lab();
            for (key, value) in recorded.keys {
                lab.machine.set_sysctl(key, value).unwrap();
            }
            let (count, differ) = beside(&mut lab, recorded.calls);
            assert!(count > recorded.least, "{}: {count} calls", recorded.about);
            if !differ.is_empty() {
                wrong += &format!("of {}:\n{differ}\n", recorded.about);
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    /// The same of what paths take, behind the packets that said so to lan.
    const OF_PATHS: &str = include_str!("ip/cache.txt");

    fn lab() -> Lab {
        let lab = Lab::default_lab(1, TOOLBOX).unwrap();
        // No address of the link is drawn there.
        lab.machine.set_sysctl("net.ipv6.conf.all.addr_gen_mode", "1").unwrap();
        lab
    }

    #[test]
    fn of_paths_it_says_what_iproute2_says() {
        let mut lab = lab();
        let (said, calls) = OF_PATHS.split_at(OF_PATHS.find('$').unwrap());
        let mut stories = String::new();
        for packet in said.lines() {
            let passage = lab.send(lab.interface("lan"), unhex(packet));
            stories += &passage.story.render(Detail::Whole);
            stories += &passage.story.account().json();
        }
        for said in [
            "the way to 2001:db8::2 takes 1400 bytes",
            "the way to 8.8.8.8 takes 552 bytes",
            r#"{"kind":"path-heard","to":"2001:db8::2","mtu":1400}"#,
        ] {
            assert!(stories.contains(said), "{said}:\n{stories}");
        }
        lab.advance(Duration::from_millis(1));
        let (count, differ) = beside(&mut lab, calls);
        assert!(count > 20 && differ.is_empty(), "{count} calls\n{differ}");
    }

    /// How many calls there were, and which said something else.
    fn beside(lab: &mut Lab, recorded: &str) -> (usize, String) {
        let (mut differ, mut count) = (String::new(), 0);
        for call in recorded.split("$ ").skip(1) {
            let (words, said) = call.split_once('\n').unwrap();
            let args: Vec<String> = words.split(' ').skip(1).map(str::to_owned).collect();
            let output = lab.tool("ip", &args, "", ".".as_ref());
            let mut ours = format!("{}{}", output.stdout, output.stderr);
            if output.code != 0 {
                ours += &format!("-> {}\n", output.code);
            }
            if ours != said {
                differ += &format!("$ {words}\n{said}ours:\n{ours}\n");
            }
            count += 1;
        }
        (count, differ)
    }
}
