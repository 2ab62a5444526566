//! Completion for bash: the tools' options, and those of the extensions that stand on the line already.

use std::fmt::Write;

use super::{NOTICE, matches_by_name};
use crate::base::Family;
use crate::cli::{self, BY_WORD, SHIMS};
use crate::ext::option::{OptionSpec, ValueKind};
use crate::ext::{MATCHES, TARGETS};
use crate::helper;
use crate::rule::{Hook, Table};
use crate::text::Program;
use crate::text::options::LONG;

pub(super) fn bash() -> String {
    let mut out = format!("# Completion of nflab and its tools for bash. {NOTICE}\n\n");
    for (spec, options) in &matches_by_name() {
        for name in std::iter::once(spec.name).chain(spec.aliases.iter().copied()) {
            list(&mut out, &format!("_nflab_match_{name}"), options);
        }
    }
    for spec in TARGETS {
        list(&mut out, &format!("_nflab_target_{}", spec.name), spec.options);
    }
    let _ = writeln!(
        out,
        "\n# The words that an option takes, where they are few.\n_nflab_words() {{\n\tcase $1 in"
    );
    let mut seen = Vec::new();
    let specs = MATCHES
        .iter()
        .map(|it| it.options)
        .chain(TARGETS.iter().map(|it| it.options));
    for option in specs.flatten() {
        if let ValueKind::Words { words, .. } = option.value
            && !seen.contains(&option.name)
        {
            seen.push(option.name);
            let names: Vec<String> = option.names().map(|name| format!("--{name}")).collect();
            let _ = writeln!(out, "\t{}) echo {} ;;", names.join("|"), words.join(" "));
        }
    }
    let own: Vec<String> = LONG.iter().map(|(name, _)| format!("--{name}")).collect();
    let by_name = matches_by_name();
    let protocols: Vec<&str> = by_name.iter().filter_map(|(it, _)| it.protocol_name()).collect();
    let matches: Vec<&str> = by_name.iter().map(|(it, _)| it.name).collect();
    let targets: Vec<&str> = ["ACCEPT", "DROP", "RETURN", "QUEUE"]
        .into_iter()
        .chain(TARGETS.iter().map(|it| it.name))
        .collect();
    let tables: Vec<&str> = Table::ALL.iter().map(|it| it.name()).collect();
    let chains: Vec<&str> = Hook::ALL.iter().map(|it| it.chain()).collect();
    let helpers: Vec<&str> = helper::registry()
        .iter()
        .flat_map(|spec| spec.conntrack())
        .map(|it| it.name)
        .collect();
    out.push_str("\t-t|--table) echo $_nflab_tables ;;\n\t-p|--protocol) echo $_nflab_protocols all ;;\n");
    out.push_str("\t-m|--match) echo $_nflab_matches ;;\n\t--helper) echo $_nflab_helpers ;;\n\tesac\n}\n\n");
    for (name, words) in [
        ("tables", tables),
        ("chains", chains),
        ("matches", matches),
        ("targets", targets),
        ("protocols", protocols),
        ("helpers", helpers),
        ("own", own.iter().map(String::as_str).collect()),
    ] {
        let _ = writeln!(out, "_nflab_{name}=\"{}\"", words.join(" "));
    }
    let mut nflab = cli::command();
    nflab.build();
    let subs: Vec<&str> = nflab.get_subcommands().map(clap::Command::get_name).collect();
    let tools = [SHIMS, BY_WORD].concat();
    let _ = writeln!(out, "_nflab_commands=\"{} {}\"", subs.join(" "), tools.join(" "));
    let _ = writeln!(
        out,
        "\n# The options of a subcommand.\n_nflab_options() {{\n\tcase $1 in"
    );
    for sub in nflab.get_subcommands() {
        let options: Vec<String> = sub
            .get_arguments()
            .filter_map(|it| it.get_long())
            .map(|long| format!("--{long}"))
            .collect();
        let _ = writeln!(out, "\t{}) echo {} ;;", sub.get_name(), options.join(" "));
    }
    out.push_str("\tesac\n}\n");
    out.push_str("\n# The values that an option of a subcommand has, where they are words.\n_nflab_values() {\n\tcase \"$1 $2\" in\n");
    for sub in nflab.get_subcommands() {
        for argument in sub.get_arguments().filter(|it| it.get_action().takes_values()) {
            let values: Vec<String> = argument
                .get_possible_values()
                .iter()
                .map(|it| it.get_name().to_owned())
                .collect();
            if let (Some(long), false) = (argument.get_long(), values.is_empty()) {
                let _ = writeln!(out, "\t'{} --{long}') echo {} ;;", sub.get_name(), values.join(" "));
            }
        }
    }
    out.push_str("\tesac\n}\n");
    let take_rules: Vec<&str> = SHIMS.iter().copied().filter(|name| takes_rules(name)).collect();
    let body = BASH.replace("ONE_OF_THEM", &take_rules.join("|"));
    out.push_str(&body.replace("ALL_OF_THEM", &take_rules.join(" ")));
    out
}

/// Whether it takes a rule as its words, rather than a text of many.
fn takes_rules(tool: &str) -> bool {
    let name = tool.strip_suffix("-legacy").unwrap_or(tool);
    Family::ALL
        .into_iter()
        .any(|family| name == Program::Iptables(family).name())
}

fn list(out: &mut String, variable: &str, options: &[OptionSpec]) {
    let names: Vec<String> = options
        .iter()
        .filter(|it| !matches!(it.value, ValueKind::Refused { .. }))
        .flat_map(OptionSpec::names)
        .map(|name| format!("--{name}"))
        .collect();
    let _ = writeln!(out, "{variable}=\"{}\"", names.join(" "));
}

/// What does not depend on the specs, but for the tools that take rules.
const BASH: &str = r#"
# Chains of the tool's table on the line, from the lab that runs; the built-in ones where none does.
_nflab_chains_now() {
	local table=filter at
	for ((at = 1; at < COMP_CWORD; at++)); do
		case ${COMP_WORDS[at]} in -t|--table) table=${COMP_WORDS[at + 1]} ;; esac
	done
	local rules
	if rules=$(nflab "${1##*/}" -t "$table" -S 2>/dev/null); then
		sed -n 's/^-[PN] \([^ ]*\).*/\1/p' <<<"$rules"
	else
		echo "$_nflab_chains"
	fi
}

_nflab_iptables() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} tool=${COMP_WORDS[0]} at name words=
	[ "${tool##*/}" != nflab ] || tool=${COMP_WORDS[1]}
	COMPREPLY=()
	[ "$before" = '!' ] && before=
	case $before in
	-A|-I|-R|-D|-C|-L|-S|-F|-Z|-X|-E|-P|-g|--append|--insert|--replace|--delete|--check|--list|--list-rules|--flush|--zero|--delete-chain|--rename-chain|--policy|--goto)
		words=$(_nflab_chains_now "$tool") ;;
	-j|--jump)
		words="$_nflab_targets $(_nflab_chains_now "$tool")" ;;
	*)
		words=$(_nflab_words "$before") ;;
	esac
	if [ -z "$words" ]; then
		words=$_nflab_own
		for ((at = 1; at < COMP_CWORD; at++)); do
			name=${COMP_WORDS[at + 1]}
			name=${name//[^A-Za-z0-9_]/_}
			case ${COMP_WORDS[at]} in
			-m|--match|-p|--protocol) name=_nflab_match_$name ;;
			-j|--jump) name=_nflab_target_$name ;;
			*) continue ;;
			esac
			words+=" ${!name-}"
		done
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

_nflab() {
	local word=${COMP_WORDS[COMP_CWORD]} words=$_nflab_commands values
	COMPREPLY=()
	if [ "$COMP_CWORD" -gt 1 ] && [ "${COMP_WORDS[1]}" != help ]; then
		case ${COMP_WORDS[1]} in
		ONE_OF_THEM) _nflab_iptables && return ;;
		esac
		values=$(_nflab_values "${COMP_WORDS[1]}" "${COMP_WORDS[COMP_CWORD - 1]}")
		[ -n "$values" ] || [[ $word == -* ]] || return
		words=${values:-$(_nflab_options "${COMP_WORDS[1]}")}
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -o default -F _nflab nflab
complete -F _nflab_iptables ALL_OF_THEM
"#;
