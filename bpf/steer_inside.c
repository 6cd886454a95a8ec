//go:build ignore

/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */

/* steer_inside decides about each packet from the protected hosts:
 *
 *  1. parse Ethernet, VLAN tags and the IP header;
 *  2. find the longest route that holds the destination;
 *  3. if the route names services, look whether a port belongs to one;
 *  4. hand protected packets to the AF_XDP socket of their queue, or drop them.
 *
 * The rule above all others: a packet that may be protected never reaches the
 * kernel, which would forward it in clear. What cannot be read is therefore
 * treated as protected, and a queue without a socket drops.
 */
#include <linux/pkt_cls.h>
#include "packet.h"

/* Twice what the loader accepts, so that a complete new set of routes fits in
 * beside the old one while they are exchanged.
 */
#define MAX_ROUTE_ENTRIES 8192

/* Service set 0 means none, the others are lists of ports. */
#define MAX_SERVICE_SETS 512

/* Passed on, then redirected, then dropped: the order tells the verdict, here
 * and to the loader, which also takes the counters' names from this list.
 */
enum exit {
	NOT_IP,         /* ARP and the like */
	NO_ROUTE,       /* no link leads there */
	LOCAL,          /* the gateway itself, a connected network, multicast */
	OTHER_PASSED,   /* a route with services, but none of them, and the others pass */
	REDIRECTED,
	NO_SOCKET,      /* protected, but nobody reads this queue */
	OTHER_DROPPED,  /* as OTHER_PASSED, but the others are dropped */
	MALFORMED,      /* no router would forward it either */
	TAGS_TOO_DEEP,  /* more VLAN tags than are read: could hide a protected packet */
	EXITS,
};

/* What a route does. Anything but ROUTE_LOCAL protects. */
enum action {
	ROUTE_LOCAL = 1,
	ROUTE_PROTECT = 2,
};

/* What becomes of a packet that no service of its route names. Anything but
 * OTHER_PASS drops.
 */
enum other {
	OTHER_PASS = 1,
	OTHER_DROP = 2,
};

struct prefix4 {
	__u32 bits;
	__u8 address[4];
};

struct prefix6 {
	__u32 bits;
	__u8 address[16];
};

struct route {
	enum action action;
	__u32 services; /* index into services, or 0: everything is protected */
	enum other other; /* counts only with services */
};

/* One bit for each port. A list of ranges would be smaller, but its price
 * grows with what the operator writes; a bit costs the same for one port and
 * for a thousand ranges.
 */
struct services {
	__u64 word[65536 / 64];
};

/* TCP, UDP and SCTP all begin so. */
struct ports {
	__be16 source;
	__be16 destination;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_ROUTE_ENTRIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix4);
	__type(value, struct route);
} routes4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_ROUTE_ENTRIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix6);
	__type(value, struct route);
} routes6 SEC(".maps");

/* A set never changes while a route names it: the loader writes new ones and
 * then moves the routes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SERVICE_SETS);
	__type(key, __u32);
	__type(value, struct services);
} services SEC(".maps");

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

inline_always const struct route *find_route(const struct packet *p)
{
	struct prefix4 to4 = {.bits = 32};
	struct prefix6 to6 = {.bits = 128};

	if (p->ip4) {
		__builtin_memcpy(to4.address, &p->ip4->daddr, sizeof(to4.address));
		return bpf_map_lookup_elem(&routes4, &to4);
	}
	if (p->ip6) {
		__builtin_memcpy(to6.address, &p->ip6->daddr, sizeof(to6.address));
		return bpf_map_lookup_elem(&routes6, &to6);
	}
	return NULL;
}

inline_always bool has(const struct services *set, __be16 port)
{
	__u16 bit = bpf_ntohs(port);

	return set->word[bit / 64] >> (bit % 64) & 1;
}

/* belongs_to_service looks at both ports because the far side of a service
 * answers from the service's port. What hides its ports, a later fragment for
 * one, may belong to a service and so does.
 */
inline_always bool belongs_to_service(struct packet *p, __u32 index)
{
	const struct services *set;
	struct ports *ports, copy;

	if (find_transport(p) != TRANSPORT_FOUND)
		return true;

	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		break;
	case IPPROTO_AH:
		return true;
	default:
		return false;
	}

	ports = take(&p->cursor, sizeof(*ports), &copy);
	set = bpf_map_lookup_elem(&services, &index);
	if (!ports || !set)
		return true;
	return has(set, ports->destination) || has(set, ports->source);
}

/* decide says REDIRECTED for what is protected; whether it is, the caller knows. */
inline_always enum exit decide(struct cursor cursor, int most_tags)
{
	struct packet p;
	const struct route *route;

	switch (parse(&p, cursor, most_tags)) {
	case PARSED_IP:
		break;
	case PARSED_NOT_IP:
		return NOT_IP;
	case PARSED_TAGS_TOO_DEEP:
		return TAGS_TOO_DEEP;
	default:
		return MALFORMED;
	}

	route = find_route(&p);
	if (!route)
		return NO_ROUTE;
	if (route->action == ROUTE_LOCAL)
		return LOCAL;
	if (route->services == 0 || belongs_to_service(&p, route->services))
		return REDIRECTED;
	return route->other == OTHER_PASS ? OTHER_PASSED : OTHER_DROPPED;
}

static __noinline enum exit decide_frame(struct xdp_md *ctx)
{
	enum exit exit = decide(frame_cursor(ctx), MAX_VLAN_TAGS);

	if (exit == REDIRECTED && bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP) != XDP_REDIRECT)
		return NO_SOCKET;
	return exit;
}

SEC("xdp.frags")
int steer_inside(struct xdp_md *ctx)
{
	enum exit exit = decide_frame(ctx);

	count(&counters, exit, 1, bpf_xdp_get_buff_len(ctx));
	if (exit == REDIRECTED)
		return XDP_REDIRECT;
	return exit < REDIRECTED ? XDP_PASS : XDP_DROP;
}

/* The same decision for an inside port of packet sockets, which see what has come
 * through the driver as super-frames. Such a socket gets a copy of each packet
 * before the kernel goes on with it: admit_inside says of which, block_inside
 * then keeps the kernel from forwarding the original. The kernel has moved the
 * outermost VLAN tag, if any, from the frame to the socket buffer.
 */
static __noinline enum exit decide_buffer(struct __sk_buff *skb)
{
	return decide(buffer_cursor(skb), skb->vlan_present ? MAX_VLAN_TAGS - 1 : MAX_VLAN_TAGS);
}

SEC("tcx/ingress")
int block_inside(struct __sk_buff *skb)
{
	enum exit exit = decide_buffer(skb);

	count(&counters, exit, skb->gso_segs ? skb->gso_segs : 1, skb->len);
	/* Unspecified is what lets the programs behind this one, the operator's, have a look. */
	return exit < REDIRECTED ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

SEC("socket")
int admit_inside(struct __sk_buff *skb)
{
	return decide_buffer(skb) == REDIRECTED ? skb->len : 0;
}

char _license[] SEC("license") = "GPL";
