//! A capture replayed from a program, and what a change of the rules would have done to it.
//!
//! ```sh
//! cargo run --example replay_a_capture
//! ```

use std::error::Error;
use std::path::Path;

use nflab::TOOLBOX;
use nflab::device::{CaptureReader, Content, Direction};
use nflab::explain::story::{Detail, Story};
use nflab::lab::memory::Lab;
use nflab::replay::{Differences, Entrances, Replayer, Summary, TimedPacket};

/// Where the capture lies, with the lab it was made in and two rulesets.
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/ftp-masquerade");

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", tell()?);
    Ok(())
}

/// Everything that the example prints.
pub(crate) fn tell() -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    let mut now = replayer("rules.v4")?;
    let mut then = replayer("rules.new")?;
    let mut summary = Summary::new(&now);
    let mut differences = Differences::new("rules.v4", "rules.new");
    let mut first = None;

    let mut capture = CaptureReader::open(&Path::new(PLACE).join("router.pcap.gz"))?;
    while let Some(packet) = capture.next_packet()? {
        // The router saw each packet twice: as it came and as it left.
        let (Content::Ip(bytes), Some(Direction::In)) = (packet.content, packet.direction) else {
            continue;
        };
        let packet = TimedPacket {
            number: packet.number,
            time: packet.time,
            interface: None,
            bytes,
        };
        if summary.packets() == 0 {
            now.lab_mut().start_at(packet.time);
            then.lab_mut().start_at(packet.time);
        }
        // A story costs time; where nobody asks, `pass` does without.
        let mut story = Story::default();
        let one = now.pass_watched(packet, &mut story)?;
        summary.note(&one);
        let other = then.pass(packet)?;
        if differences.compare(&one, &other).is_some() && first.is_none() {
            first = Some(story.render(Detail::Short));
        }
    }
    out += &summary.text(&now);
    out += &format!("\n{}", differences.text(3));
    if let Some(story) = first {
        out += &format!("\nthe first of them, as it is now:\n{story}");
    }
    Ok(out)
}

/// A lab with one of the rulesets, where packets come in by the interface of their source.
fn replayer(rules: &str) -> Result<Replayer, Box<dyn Error>> {
    let place = Path::new(PLACE);
    let file = nflab::lab::file::LabFile::load(&place.join("lab.toml"), |path| std::fs::read(path))?;
    let mut lab = Lab::new(&file, 1, TOOLBOX)?;
    let text = std::fs::read_to_string(place.join(rules))?;
    let said = lab.tool("iptables-restore", &[], &text, place);
    if said.code != 0 {
        return Err(said.stderr.into());
    }
    let mut entrances = Entrances::default();
    entrances.map(&lab, "10.0.0.0/24=lan")?;
    entrances.map(&lab, "0.0.0.0/0=wan")?;
    Ok(Replayer::new(lab).with_entrances(entrances))
}
