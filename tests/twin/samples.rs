//! The packets in the extensions' specs: the kernel and nflab must count alike, and nflab must say the sentence that stands beside the packet.

use nflab::TOOLBOX;
use nflab::base::Family;
use nflab::explain::story::Detail;
use nflab::ext::samples::Judged;
use nflab::ext::{MATCHES, TARGETS};
use nflab::lab::memory::Lab;
use nflab::lab::script::{Runner, parse};
use nflab::syntax::problem::Source;

use super::instrument::scenario::Scenario;

/// A packet of a spec.
pub(crate) struct Sample {
    /// The rule, and the packet.
    name: String,
    script: String,
    /// The rule, as a story calls it.
    place: String,
    why: &'static str,
}

pub(crate) fn all() -> Vec<Sample> {
    // What both families have is asked in IPv4, of which its samples speak.
    let asked = |families: &[Family]| match families {
        [only] => *only,
        _ => Family::V4,
    };
    let matches = MATCHES
        .iter()
        .map(|spec| (asked(spec.families), "-m", spec.name, &spec.samples));
    let targets = TARGETS
        .iter()
        .map(|spec| (asked(spec.families), "-j", spec.name, &spec.samples));
    let samples = matches.chain(targets).flat_map(|(family, letter, name, samples)| {
        // What passes through never sees OUTPUT.
        let place = match samples.place {
            (_, "OUTPUT") => ("mangle", "POSTROUTING"),
            (table, _) => (table, "FORWARD"),
        };
        let packets = samples.packets.iter();
        packets.map(move |it| Sample::of((family, letter, name), place, it))
    });
    samples.collect()
}

impl Sample {
    fn of((family, letter, name): (Family, &str, &str), (table, chain): (&str, &str), judged: &'static Judged) -> Self {
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
        Self {
            name: format!("{} < {}", rule.trim(), judged.packet),
            script,
            place: format!("rule 1 of {}{chain}", family.whose()),
            why: judged.why,
        }
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
        if !last.contains(&self.place) || no.unwrap_or_default() != self.why {
            return Err(format!(
                "{}: {:?} is expected, but told is\n{last}",
                self.name, self.why
            ));
        }
        Ok(())
    }
}
