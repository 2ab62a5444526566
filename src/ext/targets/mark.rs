//! `-j MARK`: sets bits of the packet's mark.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::rule::{Target, TargetContext, TargetVerdict};

pub const SPEC: TargetSpec = TargetSpec {
    name: "MARK",
    families: &[Family::V4, Family::V6],
    options: &[OptionSpec {
        name: "set-xmark",
        value: ValueKind::MarkMask,
        help: "clear the bits of the mask, then exclusive-or the value",
        ..OptionSpec::PLAIN
    }],
    build,
    about: "sets bits of the packet's mark",
};

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let Some(Value::MarkMask(mark)) = given.get("set-xmark").map(|option| &option.value) else {
        return Err(UsageError::parameter("MARK: one option is required"));
    };
    Ok(Arc::new(Mark {
        clear: mark.mask,
        exclusive_or: mark.value,
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Mark {
    clear: u32,
    exclusive_or: u32,
}

impl Target for Mark {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        cx.packet.mark = (cx.packet.mark & !self.clear) ^ self.exclusive_or;
        TargetVerdict::Continue
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " --set-xmark {:#x}/{:#x}", self.exclusive_or, self.clear);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " MARK xset {:#x}/{:#x}", self.exclusive_or, self.clear);
    }
}
