//! Numbers of `net.ipv6` outside of `conf`: keys, defaults and bounds, read from `/proc/sys` of Linux 6.18 in a fresh namespace.

use crate::net::sysctl::{INT_MAX, INT_MIN, SECONDS_MAX, knobs};

knobs! {
    /// A number of `net.ipv6` outside of `conf`.
    pub(in crate::net) enum Knob;
    AnycastEchoSource "anycast_src_echo_reply" = 0 in 0, 255;
    AutoFlowLabels "auto_flowlabels" = 1 in 0, 3;
    GatewayFields "fib_multipath_hash_fields" = 7 in 1, 0xfff;
    GatewayPolicy "fib_multipath_hash_policy" = 0 in 0, 3;
    // Who asks for a label that another has is a program, and none runs here.
    FlowLabelConsistency "flowlabel_consistency" = 1 in 0, 255;
    FlowLabelReflect "flowlabel_reflect" = 0 in 0, 7;
    FlowLabelStateRanges "flowlabel_state_ranges" = 0 in 0, 255;
    FwmarkReflect "fwmark_reflect" = 0 in 0, 255;
    EchoIgnoreAll "icmp/echo_ignore_all" = 0 in 0, 255;
    EchoIgnoreAnycast "icmp/echo_ignore_anycast" = 0 in 0, 255;
    EchoIgnoreMulticast "icmp/echo_ignore_multicast" = 0 in 0, 255;
    AnycastIsUnicast "icmp/error_anycast_as_unicast" = 0 in 0, 1;
    IcmpRateLimit "icmp/ratelimit" = 100 in 0, INT_MAX;
    FragmentHighThreshold "ip6frag_high_thresh" = 4_194_304 in 0, i64::MAX;
    FragmentLowThreshold "ip6frag_low_thresh" = 3_145_728 in 0, i64::MAX;
    FragmentTime "ip6frag_time" = 60 in -SECONDS_MAX, SECONDS_MAX;
    LongestDestinationOptions "max_dst_opts_length" = 2_147_483_647 in INT_MIN, INT_MAX;
    MostDestinationOptions "max_dst_opts_number" = 8 in INT_MIN, INT_MAX;
    LongestHopByHopOptions "max_hbh_length" = 2_147_483_647 in INT_MIN, INT_MAX;
    MostHopByHopOptions "max_hbh_opts_number" = 8 in INT_MIN, INT_MAX;
    PathMtuExpires "route/mtu_expires" = 600 in -SECONDS_MAX, SECONDS_MAX;
}
