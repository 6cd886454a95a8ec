//go:build ignore

/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */

/* steer_outside decides about each packet from the network between gateways:
 *
 *  1. parse Ethernet, VLAN tags and the IP header;
 *  2. leave to the kernel what is not for our address and port;
 *  3. UDP: hand records of known sessions to the AF_XDP socket of their queue,
 *     drop whatever else comes to the port;
 *  4. TCP: limit how often one source may open a connection, pass the rest.
 *
 * block_outside and admit_outside decide the same where packet sockets take the
 * records; see at the end.
 *
 * None of this is a proof of anything, that is the AEAD's task. It keeps what
 * is plainly not ours away from the workers, at the lowest price there is.
 */
#include <linux/pkt_cls.h>
#include "limit.h"
#include "packet.h"

#include <linux/tcp.h>
#include <linux/udp.h>

#define MAX_SESSIONS 65536

#define RECORD_DATA 0x10
#define RECORD_TAG 16 /* bytes of authentication tag behind each record's ciphertext */

/* Passed on, then redirected, then dropped: the order tells the verdict, here
 * and to the loader, which also takes the counters' names from this list.
 */
enum exit {
	NOT_IP,
	NOT_OURS,         /* another address, protocol or port */
	LATER_FRAGMENT,   /* to our address; its first fragment decides what becomes of it */
	CONTROL,          /* TCP to our port */
	CONTROL_SYN,      /* the same, opening a connection, within the limit */
	REDIRECTED,
	NO_SOCKET,        /* a fine record, but nobody reads this queue */
	MALFORMED,        /* no IP header, or a torn transport header for our address */
	TAGS_TOO_DEEP,    /* more VLAN tags than are read */
	UNREADABLE,       /* to our address, with a torn or too long chain of extension headers */
	FRAGMENT,         /* records are never fragmented */
	BAD_LENGTH,       /* the UDP length says more than the packet holds */
	SHORT_RECORD,     /* no room for header and tag */
	BAD_TYPE,
	UNKNOWN_SESSION,
	SYN_RATE_LIMITED,
	EXITS,
};

/* Set once, before the program is loaded; the verifier then knows it as
 * constants and the kernel keeps it read-only.
 */
struct config {
	__u8 has_ipv4;
	__u8 has_ipv6;
	__be16 port;                /* UDP records and TCP control */
	__be32 ipv4;
	__be32 ipv6[4];
	__u64 syn_interval_ns;      /* one connection more every so often */
	__u64 syn_burst_ns;         /* how far a source may be ahead of that */
};

const volatile struct config config;

/* A record as far as it is read here; see qzmq/SPEC.md. */
struct record_header {
	__u8 type;
	__u8 epoch;
	__be16 stream;
	__be32 session;
	__be64 seq;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SESSIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u8);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EXITS);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

inline_always bool is_for_us(const struct packet *p)
{
	if (p->ip4)
		return config.has_ipv4 && p->ip4->daddr == config.ipv4;
	if (!p->ip6 || !config.has_ipv6)
		return false;
	for (int i = 0; i < 4; i++)
		if (p->ip6->daddr.in6_u.u6_addr32[i] != config.ipv6[i])
			return false;
	return true;
}

/* decide_tcp leaves it to limit() whether a connection may be opened. */
inline_always enum exit decide_tcp(struct packet *p)
{
	/* A header torn by fragments could smuggle a SYN past the limit (RFC 3128). */
	const struct tcphdr *tcp;
	struct tcphdr copy;

	tcp = take(&p->cursor, sizeof(*tcp), &copy);
	if (!tcp)
		return MALFORMED;
	if (tcp->dest != config.port)
		return NOT_OURS;
	return tcp->syn && !tcp->ack ? CONTROL_SYN : CONTROL;
}

inline_always enum exit limit(enum exit exit, const struct packet *p)
{
	if (exit == CONTROL_SYN && !may_open(p, config.syn_interval_ns, config.syn_burst_ns))
		return SYN_RATE_LIMITED;
	return exit;
}

/* decide_udp says REDIRECTED for what may be a record, or several that the kernel
 * has merged to a super-frame. Of those it reads none: the kernel merges whatever
 * comes from one port in one size, and a stranger's datagram at the head must not
 * take the records behind it along. The workers look at each.
 */
inline_always enum exit decide_udp(struct packet *p, bool merged)
{
	const struct udphdr *udp;
	struct udphdr udp_copy;
	const struct record_header *record;
	struct record_header record_copy;
	__u32 length, session;

	udp = take(&p->cursor, sizeof(*udp), &udp_copy);
	if (!udp)
		return MALFORMED;
	if (udp->dest != config.port)
		return NOT_OURS;
	if (p->fragment)
		return FRAGMENT;

	length = bpf_ntohs(udp->len);
	if (length > sizeof(*udp) + p->cursor.left)
		return BAD_LENGTH;
	if (merged)
		return REDIRECTED;
	if (length < sizeof(*udp) + sizeof(*record) + RECORD_TAG)
		return SHORT_RECORD;
	record = take(&p->cursor, sizeof(*record), &record_copy);
	if (!record)
		return SHORT_RECORD;

	if (record->type != RECORD_DATA)
		return BAD_TYPE;
	session = bpf_ntohl(record->session);
	return bpf_map_lookup_elem(&sessions, &session) ? REDIRECTED : UNKNOWN_SESSION;
}

inline_always enum exit decide(struct packet *p, struct cursor cursor, int most_tags, bool merged)
{
	switch (parse(p, cursor, most_tags)) {
	case PARSED_IP:
		break;
	case PARSED_NOT_IP:
		return NOT_IP;
	case PARSED_TAGS_TOO_DEEP:
		return TAGS_TOO_DEEP;
	default:
		return MALFORMED;
	}

	if (!is_for_us(p))
		return NOT_OURS;

	switch (find_transport(p)) {
	case TRANSPORT_FOUND:
		break;
	case TRANSPORT_IN_FIRST_FRAGMENT:
		return LATER_FRAGMENT;
	default:
		return UNREADABLE;
	}

	if (p->protocol == IPPROTO_UDP)
		return decide_udp(p, merged);
	if (p->protocol == IPPROTO_TCP)
		return decide_tcp(p);
	return NOT_OURS;
}

static __noinline enum exit decide_frame(struct xdp_md *ctx)
{
	struct packet p;
	enum exit exit = limit(decide(&p, frame_cursor(ctx), MAX_VLAN_TAGS, false), &p);

	if (exit == REDIRECTED && bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP) != XDP_REDIRECT)
		return NO_SOCKET;
	return exit;
}

SEC("xdp.frags")
int steer_outside(struct xdp_md *ctx)
{
	enum exit exit = decide_frame(ctx);

	count(&counters, exit, 1, bpf_xdp_get_buff_len(ctx));
	if (exit == REDIRECTED)
		return XDP_REDIRECT;
	return exit < REDIRECTED ? XDP_PASS : XDP_DROP;
}

/* The same decision for an outside port of packet sockets, as for the inside's:
 * admit_outside says what gets into them, block_outside keeps the original of it
 * from the kernel, which knows no socket at our port and would tell the peer.
 */
inline_always enum exit decide_buffer(struct __sk_buff *skb, struct packet *p)
{
	return decide(p, buffer_cursor(skb), skb->vlan_present ? MAX_VLAN_TAGS - 1 : MAX_VLAN_TAGS, skb->gso_segs > 1);
}

static __noinline enum exit decide_once(struct __sk_buff *skb)
{
	struct packet p;

	return limit(decide_buffer(skb, &p), &p);
}

SEC("tcx/ingress")
int block_outside(struct __sk_buff *skb)
{
	enum exit exit = decide_once(skb);

	count(&counters, exit, skb->gso_segs ? skb->gso_segs : 1, skb->len);
	/* Unspecified is what lets the programs behind this one, the operator's, have a look. */
	return exit < REDIRECTED ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

SEC("socket")
int admit_outside(struct __sk_buff *skb)
{
	struct packet p;

	return decide_buffer(skb, &p) == REDIRECTED ? skb->len : 0;
}

char _license[] SEC("license") = "GPL";
