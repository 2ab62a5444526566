//! `-m frag`: the fragment header of IPv6. Behind tracking, which joins fragments, a packet has none.

use std::fmt::Write;
use std::sync::Arc;

use super::extension::{self, Miss};
use super::numbers::{self, AskedNumbers, Numbers, numbers};
use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, UsageError};
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::rule::{Context, Effect, Ends, HangsOn, Match, Matched};
use crate::wire::{be16, be32, ipv6};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "frag",
    aliases: &[],
    families: &[Family::V6],
    like: None,
    protocol: None,
    options: &[
        ID.option.spec,
        LENGTH.spec,
        RESERVED.spec,
        FIRST.spec,
        MORE.spec,
        LAST.spec,
    ],
    needs_one: None,
    exclusive: &[&[MORE.name(), LAST.name()]],
    build,
    unlist,
    directory: None,
    about: "the fragment header of IPv6",
    samples: SAMPLES,
};

const ID: Numbers = Numbers {
    option: numbers("fragid", "the fragment's identification lies in the range"),
    listed: "id",
};
const LENGTH: Opt<u64> = Opt::integer(
    "fraglen",
    0,
    u32::MAX as u64,
    "nothing: the kernel takes it and asks no packet for it",
)
.invertible();
const RESERVED: Opt<()> = Opt::flag("fragres", "all reserved bits are 0");
const FIRST: Opt<()> = Opt::flag("fragfirst", "it is the first fragment");
const MORE: Opt<()> = Opt::flag("fragmore", "more fragments follow");
const LAST: Opt<()> = Opt::flag("fraglast", "it is the last fragment");

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Frag {
        id: given.get(ID.option),
        length: given.get(LENGTH),
        flags: FLAGS.map(|(option, ..)| given.has(option)),
    }))
}

/// Options without a value, what a listing has for each, and whether a fragment has what is asked, by its field of offset and flags and by its
/// reserved byte.
const FLAGS: [(Opt<()>, &str, Has); 4] = [
    (RESERVED, "reserved", |field, byte| {
        byte == 0 && field & RESERVED_BITS == 0
    }),
    (FIRST, "first", |field, _| field & OFFSET == 0),
    (MORE, "more", |field, _| field & MORE_FRAGMENTS != 0),
    (LAST, "last", |field, _| field & MORE_FRAGMENTS == 0),
];

type Has = fn(Field, u8) -> bool;
type Field = u16;

const OFFSET: Field = !7;
const RESERVED_BITS: Field = 6;
const MORE_FRAGMENTS: Field = 1;

#[derive(Debug, PartialEq, Eq)]
struct Frag {
    id: AskedNumbers,
    length: Option<Asked<u64>>,
    /// As `FLAGS` has them.
    flags: [bool; 4],
}

/// The first option that a fragment failed.
enum Failed {
    Id(u32),
    Flag(usize, Field),
}

impl Frag {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<Failed>> {
        let header = extension::whole(cx.packet, ipv6::extension::FRAGMENT, 0)?;
        let id = be32(header, 4);
        if !numbers::fits(self.id, id) {
            return Err(Miss::Has(Failed::Id(id)));
        }
        let field = be16(header, 2);
        let mut asked = FLAGS.iter().enumerate().filter(|(at, _)| self.flags[*at]);
        match asked.find(|(_, (.., has))| !has(field, header[1])) {
            Some((at, _)) => Err(Miss::Has(Failed::Flag(at, field))),
            None => Ok(()),
        }
    }
}

impl Match for Frag {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn effect(&self) -> Effect {
        // A plain packet has no extension header, and so one answer.
        Effect::PURE.hanging_on(HangsOn::Plain).ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "frag: matches".to_owned(),
            Err(Miss::Absent) => "frag: packet has no fragment header".to_owned(),
            Err(Miss::CutShort) => "frag: packet's headers are cut short".to_owned(),
            Err(Miss::Has(Failed::Id(id))) => ID.sentence(self.id, id),
            Err(Miss::Has(Failed::Flag(at, field))) => {
                let option = FLAGS[at].0.spelled(false);
                let (offset, more) = (field & OFFSET, field & MORE_FRAGMENTS != 0);
                match at {
                    0 => format!("{option}: packet has reserved bits"),
                    1 => format!("{option}: packet is a fragment at {offset}"),
                    _ if more => format!("{option}: packet is followed by more fragments"),
                    _ => format!("{option}: packet is the last fragment"),
                }
            }
        }
    }

    fn save(&self, out: &mut String) {
        ID.save(out, self.id);
        if let Some(Asked { value, inverted }) = self.length {
            let _ = write!(out, " {} {value}", LENGTH.spelled(inverted));
        }
        for ((option, ..), _) in FLAGS.iter().zip(self.flags).filter(|(_, is_asked)| *is_asked) {
            let _ = write!(out, " {}", option.spelled(false));
        }
    }

    /// With a blank behind its name, whatever follows.
    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" frag ");
        ID.list(out, self.id);
        if let Some(Asked { value, inverted }) = self.length {
            let _ = write!(out, " length:{}{value}", if inverted { "!" } else { "" });
        }
        for ((_, word, _), _) in FLAGS.iter().zip(self.flags).filter(|(_, is_asked)| *is_asked) {
            let _ = write!(out, " {word}");
        }
    }
}

/// ` frag id:5 length:!8 reserved first`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("frag")?;
        it.rest = it.rest.strip_prefix(' ').unwrap_or(it.rest);
        let mut options = Options::default();
        // Without the blank before it, it is the match's own.
        if !it.rest.starts_with(' ')
            && let Some(word) = it.peek()
            && ID.unlist(word, &mut options).is_some()
        {
            it.take();
        }
        if let Some(value) = it.after("length:") {
            options.push_unless(value, LENGTH.name());
        }
        for (option, word, _) in FLAGS {
            if it.word(word).is_some() {
                options.push(false, option.name(), "");
            }
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "", "frag "),
        taken("", "--fragid 5", "--fragid 5", "frag id:5"),
        taken("", "--fragid 5:10", "--fragid 5:10", "frag ids:5:10"),
        taken("", "--fragid 10:5", "--fragid 10:5", "frag ids:10:5"),
        taken("", "! --fragid 5", "! --fragid 5", "frag id:!5"),
        taken("", "! --fragid 5:10", "! --fragid 5:10", "frag ids:!5:10"),
        taken("", "--fragid 5:", "--fragid 5:4294967295", "frag ids:5:4294967295"),
        taken("", "--fragid :5", "--fragid 0:5", "frag ids:0:5"),
        taken("", "--fragid 0:0", "--fragid 0", "frag id:0"),
        taken("", "--fragid 0x10", "--fragid 16", "frag id:16"),
        taken("", "--fragid \"\"", "--fragid 0", "frag id:0"),
        taken("", "--fragid :", "", "frag ").told_apart(),
        // An inversion of everything is listed, but not saved.
        taken("", "! --fragid :", "", "frag ids:!0:4294967295").lossy(),
        taken("", "--fraglen 8", "--fraglen 8", "frag  length:8"),
        taken("", "! --fraglen 0", "! --fraglen 0", "frag  length:!0"),
        taken("", "--fragres", "--fragres", "frag  reserved"),
        taken("", "--fragfirst", "--fragfirst", "frag  first"),
        taken("", "--fragmore", "--fragmore", "frag  more"),
        taken("", "--fraglast", "--fraglast", "frag  last"),
        taken(
            "",
            "--fragfirst --fraglast",
            "--fragfirst --fraglast",
            "frag  first last",
        ),
        taken(
            "",
            "--fragmore --fragid 1 --fragfirst --fraglen 8 --fragres",
            "--fragid 1 --fraglen 8 --fragres --fragfirst --fragmore",
            "frag id:1 length:8 reserved first more",
        ),
        taken("-p tcp", "--fragid 1", "--fragid 1", "frag id:1"),
    ],
    refused: &[
        refused(
            "",
            "--fragid 4294967296",
            "frag: bad value for option \"--fragid\" near \"4294967296\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--fragid 5:x",
            "frag: bad value for option \"--fragid\" near \"x\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--fragid x:5",
            "frag: bad value for option \"--fragid\" near \"x:5\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--fragid -1",
            "frag: bad value for option \"--fragid\" near \"-1\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--fragid 5-6",
            "frag: Argument to \"--fragid\" has unexpected characters near \"-6\".\n",
        ),
        refused(
            "",
            "--fragid 5:6:7",
            "frag: Too many components for option \"--fragid\" (max: 2)\n",
        ),
        refused(
            "",
            "--fragid 5 --fragid 6",
            "frag: option \"--fragid\" can only be used once.\n",
        ),
        refused(
            "",
            "--fraglen 5:6",
            "frag: bad value for option \"--fraglen\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--fraglen 8 --fraglen 8",
            "frag: option \"--fraglen\" can only be used once.\n",
        ),
        refused("", "! --fragres", "frag: option \"--fragres\" cannot be inverted.\n"),
        refused(
            "",
            "--fragres --fragres",
            "frag: option \"--fragres\" can only be used once.\n",
        ),
        refused(
            "",
            "! --fragfirst",
            "frag: option \"--fragfirst\" cannot be inverted.\n",
        ),
        refused("", "! --fragmore", "frag: option \"--fragmore\" cannot be inverted.\n"),
        refused("", "! --fraglast", "frag: option \"--fraglast\" cannot be inverted.\n"),
        refused(
            "",
            "--fragmore --fraglast",
            "frag: option \"--fragmore\" cannot be used together with \"--fraglast\".\n",
        ),
        refused(
            "",
            "--fraglast --fragmore",
            "frag: option \"--fragmore\" cannot be used together with \"--fraglast\".\n",
        ),
    ],
    packets: &[
        passes(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 0 mf ipid 7",
        ),
        passes(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 16 ipid 9",
        ),
        passes(
            "",
            "--fragid 7",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 0 mf ipid 7",
        ),
        passes(
            "",
            "! --fragid 7",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 16 ipid 9",
        ),
        passes(
            "",
            "--fragid 6:8 --fragfirst --fragmore --fragres",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 0 mf ipid 7",
        ),
        passes(
            "",
            "--fraglast --fraglen 8",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 16 ipid 9",
        ),
        passes(
            "",
            "--fraglen 9",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 0 mf ipid 7",
        ),
        passes(
            "",
            "--fragfirst --fraglast",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 frag 0 ipid 4",
        ),
        fails(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2",
            "frag: packet has no fragment header",
        ),
        fails(
            "",
            "--fragid 8:9",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 0 mf ipid 7",
            "--fragid 8:9: packet has 7",
        ),
        fails(
            "",
            "! --fragid 7 --fraglen 8",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 0 mf ipid 7",
            "! --fragid 7: packet has 7",
        ),
        fails(
            "",
            "! --fragid :",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 0 mf ipid 7",
            "! --fragid 0:4294967295: packet has 7",
        ),
        fails(
            "",
            "--fragfirst",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 16 ipid 9",
            "--fragfirst: packet is a fragment at 16",
        ),
        fails(
            "",
            "--fragmore",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 16 ipid 9",
            "--fragmore: packet is the last fragment",
        ),
        fails(
            "",
            "--fraglast",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 40 frag 0 mf ipid 7",
            "--fraglast: packet is followed by more fragments",
        ),
        fails(
            "",
            "--fragres",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ext 44 0x01000100000007",
            "--fragres: packet has reserved bits",
        ),
    ],
    spellings: &[
        "-m frag",
        "-m frag --fragid 5",
        "-m frag --fragid 5:5",
        "-m frag --fragid 0x5",
        "-m frag --fragid :",
        "-m frag ! --fragid :",
        "-m frag --fraglen 0",
        "-m frag --fragmore",
        "-m frag --fraglast",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        draw.maybe(2, &ID.option.spec, &["1", "0:10", "5", ":", "7:", "10:5"]);
        draw.maybe(4, &LENGTH.spec, &["8", "0"]);
        draw.maybe_flag(6, &RESERVED.spec);
        draw.maybe_flag(4, &FIRST.spec);
        match draw.below(4) {
            0 => draw.give(&MORE.spec, ""),
            1 => draw.give(&LAST.spec, ""),
            _ => {}
        }
    },
)
.in_one_scenario_of(4);
