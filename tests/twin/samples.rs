//! The packets in the extensions' specs: the kernel and nflab must count alike, and nflab must say the sentence that stands beside the packet. What an
//! extension of both families is asked of a packet of IPv4, it is asked of the like one of IPv6, too.

use nflab::TOOLBOX;
use nflab::base::Family;
use nflab::explain::story::Detail;
use nflab::ext::samples::Judged;
use nflab::ext::{MATCHES, TARGETS};
use nflab::lab::memory::Lab;
use nflab::lab::script::{Runner, parse};
use nflab::syntax::problem::Source;

use super::instrument::generate::translated::said_in;
use super::instrument::scenario::Scenario;

/// A packet of a spec.
pub(crate) struct Sample {
    /// The rule, and the packet.
    name: String,
    script: String,
    /// The rule, as a story calls it.
    place: String,
    /// Why it fails, where the spec says that of this very packet.
    why: Option<&'static str>,
}

pub(crate) fn all() -> Vec<Sample> {
    let matches = MATCHES
        .iter()
        .map(|spec| (spec.families, "-m", spec.name, &spec.samples));
    let targets = TARGETS
        .iter()
        .map(|spec| (spec.families, "-j", spec.name, &spec.samples));
    let samples = matches.chain(targets).flat_map(|(families, letter, name, samples)| {
        // What passes through never sees OUTPUT.
        let place = match samples.place {
            (_, "OUTPUT") => ("mangle", "POSTROUTING"),
            (table, _) => (table, "FORWARD"),
        };
        let packets = families
            .iter()
            .flat_map(|family| samples.packets.iter().map(|it| (*family, it)));
        packets.filter_map(move |(family, it)| Sample::of(family, (letter, name), place, it))
    });
    samples.collect()
}

/// Of packets: what is not said of one of IPv6, or is another thing there.
const OF_IPV4_ALONE: [&str; 7] = ["hex ", "icmp ", " df", " mf", " frag ", " id ", " tos "];

impl Sample {
    /// None where the packet has no like in this family.
    fn of(
        family: Family,
        (letter, name): (&str, &str),
        (table, chain): (&str, &str),
        judged: &'static Judged,
    ) -> Option<Self> {
        let is_own = judged.family() == family;
        let has_like = |packet: &&str| !OF_IPV4_ALONE.iter().any(|word| packet.contains(word));
        let packets = judged.earlier.iter().chain([&judged.packet]);
        if !is_own && (family == Family::V4 || !packets.clone().all(has_like)) {
            return None;
        }
        let tool = match family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let rule = format!("{} {letter} {name} {}", judged.before, judged.typed);
        let mut script = format!("{tool} -t {table} -A {chain} {rule}\n");
        for packet in judged.earlier {
            script += &format!("send {packet}\n");
        }
        script += &format!("send lan {}\n", judged.packet);
        if !is_own {
            script = said_in(family, &script);
        }
        Some(Self {
            name: format!("{} < {} ({family})", rule.trim(), judged.packet),
            script,
            place: format!("rule 1 of {}{chain}", family.whose()),
            why: is_own.then_some(judged.why),
        })
    }

    pub(crate) fn scenario(&self) -> Result<Scenario, String> {
        Scenario::from_text(&self.name, &self.script)
    }

    /// Whether nflab says what the sample says.
    pub(crate) fn is_told(&self) -> Result<(), String> {
        let lab = Lab::default_lab(1, TOOLBOX).map_err(|error| error.to_string())?;
        let mut runner = Runner::new(lab, ".".into());
        runner.tells = Some(Detail::Whole);
        let source = Source {
            name: self.name.clone(),
            text: self.script.clone(),
        };
        let mut last = String::new();
        for statement in &parse(&source, TOOLBOX).map_err(|error| error.to_string())? {
            let (said, result) = runner.run(statement);
            result.map_err(|failed| format!("{}: {}{}", self.name, said.stderr, failed.reason))?;
            last = said.stdout;
        }
        let no = last.lines().find_map(|line| line.trim().strip_prefix("no: "));
        let is_so = self.why.is_none_or(|why| no.unwrap_or_default() == why);
        if !last.contains(&self.place) || !is_so {
            return Err(format!(
                "{}: {:?} is expected, but told is\n{last}",
                self.name, self.why
            ));
        }
        Ok(())
    }
}
