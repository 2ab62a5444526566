//! `net.ipv6.conf.IFACE.*`: keys, defaults and bounds, read from `/proc/sys` of Linux 6.18 in a fresh namespace.
//!
//! What they say of addresses that the kernel would find by itself (advertisements of routers, temporary ones) and of looking for neighbours is kept and
//! shown: a lab has the addresses that it was given, and nobody asks for neighbours on its links.

/// One key.
#[derive(Debug)]
pub(super) struct Spec {
    pub knob: ConfKnob,
    pub name: &'static str,
    /// Of `all`, `default` and, unless `of_link` says otherwise, of every interface.
    pub default: i32,
    /// Of an interface that has no addresses of the link layer, as all of a lab are.
    pub of_link: Option<i32>,
    pub min: i32,
    pub max: i32,
}

macro_rules! conf_knobs {
    ($($knob:ident $name:literal = $default:literal in $min:expr, $max:expr, $of_link:expr;)*) => {
        /// A number of `net.ipv6.conf.IFACE`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::net) enum ConfKnob {
            $($knob,)*
        }

        pub(super) const SPECS: &[Spec] = &[$(Spec {
            knob: ConfKnob::$knob,
            name: $name,
            default: $default,
            of_link: $of_link,
            min: $min,
            max: $max,
        },)*];
    };
}

const LEAST: i32 = i32::MIN;
const MOST: i32 = i32::MAX;

conf_knobs! {
    AcceptDad "accept_dad" = 1 in LEAST, MOST, Some(-1);
    AcceptRa "accept_ra" = 1 in LEAST, MOST, None;
    AcceptRaDefaultRouter "accept_ra_defrtr" = 1 in LEAST, MOST, None;
    AcceptRaPrefixes "accept_ra_pinfo" = 1 in LEAST, MOST, None;
    AcceptRaPreference "accept_ra_rtr_pref" = 1 in LEAST, MOST, None;
    AcceptRedirects "accept_redirects" = 1 in LEAST, MOST, None;
    AcceptSourceRoute "accept_source_route" = 0 in LEAST, MOST, None;
    AddrGenMode "addr_gen_mode" = 0 in 0, 3, None;
    Autoconf "autoconf" = 1 in LEAST, MOST, None;
    DadTransmits "dad_transmits" = 1 in LEAST, MOST, None;
    DisableIpv6 "disable_ipv6" = 0 in LEAST, MOST, None;
    DropUnicastInMulticast "drop_unicast_in_l2_multicast" = 0 in LEAST, MOST, None;
    DropUnsolicited "drop_unsolicited_na" = 0 in LEAST, MOST, None;
    ForceForwarding "force_forwarding" = 0 in 0, 1, None;
    ForceMldVersion "force_mld_version" = 0 in LEAST, MOST, None;
    Forwarding "forwarding" = 0 in LEAST, MOST, None;
    HopLimit "hop_limit" = 64 in 1, 255, None;
    KeepAddresses "keep_addr_on_down" = 0 in LEAST, MOST, None;
    MaxAddresses "max_addresses" = 16 in LEAST, MOST, None;
    Mtu "mtu" = 1280 in 1280, MOST, None;
    NdiscNotify "ndisc_notify" = 0 in LEAST, MOST, None;
    OptimisticDad "optimistic_dad" = 0 in LEAST, MOST, None;
    ProxyNdp "proxy_ndp" = 0 in LEAST, MOST, None;
    RouterSolicitations "router_solicitations" = -1 in -1, MOST, None;
    UseOnlyOwnAddresses "use_oif_addrs_only" = 0 in LEAST, MOST, None;
    UseTemporaryAddresses "use_tempaddr" = 0 in LEAST, MOST, Some(-1);
}
