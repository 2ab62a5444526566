# Completion of nflab and its tools for bash. Made from the specs in the sources; `NFLAB_BLESS=1 cargo test --test generated` makes it anew.

_nflab_match_addrtype="--src-type --dst-type --limit-iface-in --limit-iface-out"
_nflab_match_ah="--ahspi --ahlen --ahres"
_nflab_match_comment="--comment"
_nflab_match_connlabel="--label --set"
_nflab_match_connlimit="--connlimit-upto --connlimit-above --connlimit-mask --connlimit-saddr --connlimit-daddr"
_nflab_match_connmark="--mark"
_nflab_match_conntrack="--ctstate --ctproto --ctorigsrc --ctorigdst --ctreplsrc --ctrepldst --ctorigsrcport --ctorigdstport --ctreplsrcport --ctrepldstport --ctstatus --ctexpire --ctdir"
_nflab_match_dccp="--sport --source-port --dport --destination-port --dccp-types --dccp-option"
_nflab_match_dscp="--dscp --dscp-class"
_nflab_match_dst="--dst-len --dst-opts"
_nflab_match_ecn="--ecn-tcp-ece --ecn-tcp-cwr --ecn-ip-ect"
_nflab_match_esp="--espspi"
_nflab_match_eui64=""
_nflab_match_frag="--fragid --fraglen --fragres --fragfirst --fragmore --fraglast"
_nflab_match_hashlimit="--hashlimit-upto --hashlimit --hashlimit-above --hashlimit-mode --hashlimit-srcmask --hashlimit-dstmask --hashlimit-name --hashlimit-burst --hashlimit-htable-size --hashlimit-htable-max --hashlimit-htable-gcinterval --hashlimit-htable-expire --hashlimit-rate-match --hashlimit-rate-interval"
_nflab_match_hbh="--hbh-len --hbh-opts"
_nflab_match_helper="--helper"
_nflab_match_hl="--hl-lt --hl-gt --hl-eq --hl"
_nflab_match_icmp="--icmp-type"
_nflab_match_icmp6="--icmpv6-type"
_nflab_match_icmpv6="--icmpv6-type"
_nflab_match_ipv6-icmp="--icmpv6-type"
_nflab_match_ipcomp="--ipcompspi --compres"
_nflab_match_iprange="--src-range --dst-range"
_nflab_match_ipv6header="--header --soft"
_nflab_match_length="--length"
_nflab_match_limit="--limit --limit-burst"
_nflab_match_mac="--mac-source"
_nflab_match_mark="--mark"
_nflab_match_mh="--mh-type"
_nflab_match_multiport="--sports --source-ports --dports --destination-ports --ports"
_nflab_match_owner="--uid-owner --gid-owner --socket-exists --suppl-groups"
_nflab_match_pkttype="--pkt-type"
_nflab_match_quota="--quota"
_nflab_match_recent="--set --rcheck --update --remove --seconds --reap --hitcount --rttl --name --rsource --rdest --mask"
_nflab_match_rt="--rt-type --rt-segsleft --rt-len --rt-0-res --rt-0-addrs --rt-0-not-strict"
_nflab_match_sctp="--sport --source-port --dport --destination-port --chunk-types"
_nflab_match_srh="--srh-next-hdr --srh-hdr-len-eq --srh-hdr-len-gt --srh-hdr-len-lt --srh-segs-left-eq --srh-segs-left-gt --srh-segs-left-lt --srh-last-entry-eq --srh-last-entry-gt --srh-last-entry-lt --srh-tag --srh-psid --srh-nsid --srh-lsid"
_nflab_match_state="--state"
_nflab_match_statistic="--mode --probability --every --packet"
_nflab_match_tcp="--sport --source-port --dport --destination-port --tcp-option --tcp-flags --syn"
_nflab_match_time="--datestart --datestop --timestart --timestop --monthdays --weekdays --localtz --utc --kerneltz --contiguous"
_nflab_match_tos="--tos"
_nflab_match_ttl="--ttl-lt --ttl-gt --ttl-eq --ttl"
_nflab_match_udp="--sport --source-port --dport --destination-port"
_nflab_target_AUDIT="--type"
_nflab_target_CHECKSUM="--checksum-fill"
_nflab_target_CLASSIFY="--set-class"
_nflab_target_CONNMARK="--set-xmark --set-mark --and-mark --or-mark --xor-mark --save-mark --restore-mark --left-shift-mark --right-shift-mark --ctmask --nfmask --mask"
_nflab_target_CT="--notrack --helper --timeout --ctevents --expevents --zone --zone-orig --zone-reply"
_nflab_target_DNAT="--to-destination --random --persistent"
_nflab_target_DSCP="--set-dscp --set-dscp-class"
_nflab_target_ECN="--ecn-tcp-remove --ecn-tcp-cwr --ecn-tcp-ece --ecn-ip-ect"
_nflab_target_HL="--hl-set --hl-dec --hl-inc"
_nflab_target_LOG="--log-prefix --log-level --log-tcp-sequence --log-tcp-options --log-ip-options --log-uid --log-macdecode"
_nflab_target_MARK="--set-xmark --set-mark --and-mark --or-mark --xor-mark"
_nflab_target_MASQUERADE="--to-ports --random --random-fully"
_nflab_target_NETMAP="--to"
_nflab_target_NFQUEUE="--queue-num --queue-balance --queue-bypass --queue-cpu-fanout"
_nflab_target_NOTRACK=""
_nflab_target_REDIRECT="--to-ports --random"
_nflab_target_REJECT="--reject-with"
_nflab_target_SNAT="--to-source --random --random-fully --persistent"
_nflab_target_TCPMSS="--set-mss --clamp-mss-to-pmtu"
_nflab_target_TEE="--gateway --oif"
_nflab_target_TOS="--set-tos --and-tos --or-tos --xor-tos"
_nflab_target_TTL="--ttl-set --ttl-dec --ttl-inc"

# The words that an option takes, where they are few.
_nflab_words() {
	case $1 in
	--src-type) echo UNSPEC UNICAST LOCAL BROADCAST ANYCAST MULTICAST BLACKHOLE UNREACHABLE PROHIBIT THROW NAT XRESOLVE ;;
	--dst-type) echo UNSPEC UNICAST LOCAL BROADCAST ANYCAST MULTICAST BLACKHOLE UNREACHABLE PROHIBIT THROW NAT XRESOLVE ;;
	--ctstate) echo INVALID NEW RELATED ESTABLISHED UNTRACKED SNAT DNAT ;;
	--ctstatus) echo NONE EXPECTED SEEN_REPLY ASSURED CONFIRMED ;;
	--dccp-types) echo REQUEST RESPONSE DATA ACK DATAACK CLOSEREQ CLOSE RESET SYNC SYNCACK INVALID ;;
	--hashlimit-mode) echo srcip srcport dstip dstport ;;
	--header) echo hop dst route frag auth esp none prot ;;
	--state) echo INVALID NEW RELATED ESTABLISHED UNTRACKED ;;
	--ctevents) echo new related destroy reply assured protoinfo helper mark natseqinfo secmark ;;
	--expevents) echo new ;;
	-t|--table) echo $_nflab_tables ;;
	-p|--protocol) echo $_nflab_protocols all ;;
	-m|--match) echo $_nflab_matches ;;
	--helper) echo $_nflab_helpers ;;
	esac
}

_nflab_tables="raw mangle nat filter security"
_nflab_chains="PREROUTING INPUT FORWARD OUTPUT POSTROUTING"
_nflab_matches="addrtype ah comment connlabel connlimit connmark conntrack dccp dscp dst ecn esp eui64 frag hashlimit hbh helper hl icmp icmp6 ipcomp iprange ipv6header length limit mac mark mh multiport owner pkttype quota recent rt sctp srh state statistic tcp time tos ttl udp"
_nflab_targets="ACCEPT DROP RETURN QUEUE AUDIT CHECKSUM CLASSIFY CONNMARK CT DNAT DSCP ECN HL LOG MARK MASQUERADE NETMAP NFQUEUE NOTRACK REDIRECT REJECT SNAT TCPMSS TEE TOS TTL"
_nflab_protocols="ah dccp esp icmp icmpv6 ipcomp mh sctp tcp udp"
_nflab_helpers="ftp irc tftp amanda RAS Q.931 H.245 talk ntalk icq sane netbios-ns snmp snmp_trap pptp sip sip"
_nflab_own="--append --delete --check --insert --replace --list --list-rules --flush --zero --new-chain --delete-chain --rename-chain --policy --source --destination --src --dst --protocol --in-interface --jump --table --match --numeric --out-interface --verbose --wait --wait-interval --exact --fragments --version --help --line-numbers --modprobe --set-counters --goto --ipv4 --ipv6"
_nflab_commands="repl run test learn demo trace import helper replay sh shims up down status dmesg cat lsmod queue exec help iptables iptables-save iptables-restore iptables-legacy iptables-legacy-save iptables-legacy-restore ip6tables ip6tables-save ip6tables-restore ip6tables-legacy ip6tables-legacy-save ip6tables-legacy-restore conntrack ipset sysctl modprobe nfct ip"

# The options of a subcommand.
_nflab_options() {
	case $1 in
	repl) echo --lab --seed --profile --help ;;
	run) echo --lab --seed --profile --verbose --quiet --help ;;
	test) echo --rules --rules6 --filter --seed --profile --format --out --coverage --require-coverage --watch --list --jobs --help ;;
	learn) echo --list --test --help ;;
	demo) echo --memory --help ;;
	trace) echo --lab --rules --rules6 --seed --profile --short --json --svg --why --follow --count --ipv4 --ipv6 --help ;;
	import) echo --from --table --ipv4 --ipv6 --out --out6 --host --strict --verbose --lab --profile --argument --allow --help ;;
	helper) echo --parameter --behind --network --verbose --help ;;
	replay) echo --lab --rules --rules6 --seed --profile --interface --map --direction --fill-cut --fix-checksums --out --annotate --json --save --save6 --conntrack --explain --brief --filter --against --against6 --allow-invalid --differences --limit --workers --summary --quiet --help ;;
	sh) echo --lab --into --save --save6 --seed --profile --reach-this-machine --help ;;
	shims) echo --help ;;
	up) echo --name --seed --profile --detach --rules --rules6 --workers --help ;;
	down) echo --help ;;
	status) echo --json --help ;;
	dmesg) echo --read-clear --clear --follow --follow-new --help ;;
	cat) echo --help ;;
	lsmod) echo --help ;;
	queue) echo --maximum --fail-open --accept --drop --json --help ;;
	exec) echo --help ;;
	help) echo  ;;
	esac
}

# The values that an option of a subcommand has, where they are words.
_nflab_values() {
	case "$1 $2" in
	'repl --profile') echo linux6 classic ;;
	'run --profile') echo linux6 classic ;;
	'test --profile') echo linux6 classic ;;
	'test --format') echo people tap junit github ;;
	'trace --profile') echo linux6 classic ;;
	'import --from') echo listing commands script save ;;
	'import --table') echo filter nat mangle raw security ;;
	'import --profile') echo linux6 classic ;;
	'replay --profile') echo linux6 classic ;;
	'replay --direction') echo in out ;;
	'sh --profile') echo linux6 classic ;;
	'up --profile') echo linux6 classic ;;
	esac
}

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
		iptables|iptables-legacy|ip6tables|ip6tables-legacy) _nflab_iptables && return ;;
		esac
		values=$(_nflab_values "${COMP_WORDS[1]}" "${COMP_WORDS[COMP_CWORD - 1]}")
		[ -n "$values" ] || [[ $word == -* ]] || return
		words=${values:-$(_nflab_options "${COMP_WORDS[1]}")}
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -o default -F _nflab nflab
complete -F _nflab_iptables iptables iptables-legacy ip6tables ip6tables-legacy
