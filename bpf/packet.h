/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */

/* What the steering programs know about packets and counters.
 *
 * A cursor walks over the headers from the outside in. It knows two limits:
 * where the memory ends that may be read, which the kernel's verifier insists
 * on, and how many bytes the header before it has promised, which keeps
 * Ethernet padding from being read as if it were part of the IP packet.
 *
 * The cursor walks over either form of a packet: a frame in the driver's memory,
 * which an XDP program is given and headers are read in where they stand, or a
 * socket buffer, whose bytes may lie anywhere, so that headers are copied out.
 *
 * The caller reads in three steps and may stop after each: parse() reads as
 * far as the IP header, find_transport() walks over IPv6 extension headers,
 * take() reads the transport's own header.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define inline_always static __always_inline

/* Two tags are what a provider bridge stacks. A frame with more is refused
 * rather than taken for something other than IP: it could hide a protected
 * packet, and the kernel would be ready to forward it in clear.
 */
#define MAX_VLAN_TAGS 2

/* RFC 8200 lists five extension headers that this parser walks over, one of
 * them twice; the rest is room for odd senders.
 */
#define MAX_EXTENSION_HEADERS 8

/* One AF_XDP socket for each receive queue. */
#define MAX_QUEUES 64

#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_MORE_FRAGMENTS 0x0001

struct vlan_header {
	__be16 control;
	__be16 protocol;
};

/* The part that hop-by-hop, routing and destination options have in common. */
struct extension_header {
	__u8 next;
	__u8 length; /* in units of 8 bytes, not counting the first 8 */
	__u8 body[6];
};

struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

/* One exit of a program, on one CPU. */
struct counter {
	__u64 packets;
	__u64 bytes; /* whole frames, from the Ethernet header on */
};

struct cursor {
	struct __sk_buff *skb; /* or NULL: then at and end count, else offset does */
	void *at;
	void *end;    /* of the memory that may be read */
	__u32 offset; /* of the next byte */
	__u32 left; /* bytes that still belong to the frame or, behind its header, to the IP packet */
};

struct packet {
	struct cursor cursor;
	struct iphdr *ip4;   /* or NULL; exactly one of the two is set once parsed */
	struct ipv6hdr *ip6;
	__u8 protocol;       /* of what stands at the cursor */
	bool fragment;       /* first, middle or last */
	bool later_fragment; /* not the first: carries no transport header */
	union {
		struct iphdr ip4;
		struct ipv6hdr ip6;
	} copy;              /* of the IP header, from a socket buffer */
};

enum parsed {
	PARSED_IP,
	PARSED_NOT_IP,
	PARSED_TAGS_TOO_DEEP,
	PARSED_MALFORMED,
};

enum transport {
	TRANSPORT_FOUND,
	TRANSPORT_IN_FIRST_FRAGMENT, /* and this is a later one */
	TRANSPORT_UNREADABLE,        /* truncated, or behind too many extension headers */
};

/* take returns the next size bytes and steps over them, or NULL. From a socket
 * buffer they are copied to copy, which may be NULL where there is never one.
 */
inline_always void *take(struct cursor *c, __u32 size, void *copy)
{
	void *taken = c->at;

	if (size > c->left)
		return NULL;
	if (c->skb) {
		if (bpf_skb_load_bytes(c->skb, c->offset, copy, size))
			return NULL;
		taken = copy;
		c->offset += size;
	} else {
		if (taken + size > c->end)
			return NULL;
		c->at += size;
	}
	c->left -= size;
	return taken;
}

/* skip steps over size bytes that nobody reads. It checks only that they were
 * promised; the next take() checks that what follows is readable.
 */
inline_always bool skip(struct cursor *c, __u32 size)
{
	if (size > c->left)
		return false;
	if (c->skb)
		c->offset += size;
	else
		c->at += size;
	c->left -= size;
	return true;
}

inline_always bool is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

inline_always enum parsed parse_ipv4(struct packet *p)
{
	struct iphdr *ip = take(&p->cursor, sizeof(*ip), &p->copy.ip4);
	__u32 header, total;
	__u16 fragment;

	if (!ip || ip->version != 4)
		return PARSED_MALFORMED;

	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (header < sizeof(*ip) || total < header || total - sizeof(*ip) > p->cursor.left)
		return PARSED_MALFORMED;

	p->cursor.left = total - sizeof(*ip);
	if (!skip(&p->cursor, header - sizeof(*ip)))
		return PARSED_MALFORMED;

	fragment = bpf_ntohs(ip->frag_off);
	p->later_fragment = fragment & IP_FRAGMENT_OFFSET;
	p->fragment = fragment & (IP_FRAGMENT_OFFSET | IP_MORE_FRAGMENTS);
	p->protocol = ip->protocol;
	p->ip4 = ip;
	return PARSED_IP;
}

inline_always enum parsed parse_ipv6(struct packet *p)
{
	struct ipv6hdr *ip = take(&p->cursor, sizeof(*ip), &p->copy.ip6);

	if (!ip || ip->version != 6 || bpf_ntohs(ip->payload_len) > p->cursor.left)
		return PARSED_MALFORMED;

	p->cursor.left = bpf_ntohs(ip->payload_len);
	p->protocol = ip->nexthdr;
	p->ip6 = ip;
	return PARSED_IP;
}

/* frame_cursor stands at the start of a frame in the driver's memory. */
inline_always struct cursor frame_cursor(struct xdp_md *ctx)
{
	return (struct cursor){
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		/* A frame in several buffers is longer than what can be read here. */
		.left = bpf_xdp_get_buff_len(ctx),
	};
}

/* buffer_cursor stands at the start of the frame in a socket buffer, in programs
 * that see its Ethernet header.
 */
inline_always struct cursor buffer_cursor(struct __sk_buff *skb)
{
	return (struct cursor){.skb = skb, .left = skb->len};
}

/* parse reads Ethernet, up to so many VLAN tags and the IP header. The whole of
 * the IP packet is known to be in the frame when it returns PARSED_IP.
 */
inline_always enum parsed parse(struct packet *p, struct cursor cursor, int most_tags)
{
	struct ethhdr *ethernet, ethernet_copy;
	struct vlan_header *tag, tag_copy;
	__be16 protocol;

	*p = (struct packet){.cursor = cursor};

	ethernet = take(&p->cursor, sizeof(*ethernet), &ethernet_copy);
	if (!ethernet)
		return PARSED_MALFORMED;
	protocol = ethernet->h_proto;

	for (int tags = 0; tags < MAX_VLAN_TAGS && tags < most_tags && is_vlan(protocol); tags++) {
		tag = take(&p->cursor, sizeof(*tag), &tag_copy);
		if (!tag)
			return PARSED_MALFORMED;
		protocol = tag->protocol;
	}

	if (protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(p);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p);
	return is_vlan(protocol) ? PARSED_TAGS_TOO_DEEP : PARSED_NOT_IP;
}

/* walk_extensions moves the cursor over IPv6 extension headers to the
 * transport's header. Of an authentication header it does not know the way
 * out: to the caller that is the packet's protocol.
 */
inline_always enum transport walk_extensions(struct packet *p)
{
	/* Once more than there may be headers, to see what the last one leads to. */
	for (int i = 0; i <= MAX_EXTENSION_HEADERS; i++) {
		struct fragment_header *fragment, fragment_copy;
		struct extension_header *extension, extension_copy;
		__u16 offset;

		switch (p->protocol) {
		case IPPROTO_FRAGMENT:
			fragment = take(&p->cursor, sizeof(*fragment), &fragment_copy);
			if (!fragment)
				return TRANSPORT_UNREADABLE;
			p->protocol = fragment->next;
			offset = bpf_ntohs(fragment->offset);
			/* An atomic fragment, offset zero and nothing to follow, is whole (RFC 6946). */
			p->fragment |= offset & (IPV6_FRAGMENT_OFFSET | IPV6_MORE_FRAGMENTS);
			if (offset & IPV6_FRAGMENT_OFFSET)
				return TRANSPORT_IN_FIRST_FRAGMENT;
			break;
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			extension = take(&p->cursor, sizeof(*extension), &extension_copy);
			if (!extension || !skip(&p->cursor, extension->length * 8))
				return TRANSPORT_UNREADABLE;
			p->protocol = extension->next;
			break;
		default:
			return TRANSPORT_FOUND;
		}
	}
	return TRANSPORT_UNREADABLE;
}

/* find_transport brings the cursor to the transport's header and p->protocol
 * to its number.
 */
inline_always enum transport find_transport(struct packet *p)
{
	if (p->ip6)
		return walk_extensions(p);
	return p->later_fragment ? TRANSPORT_IN_FIRST_FRAGMENT : TRANSPORT_FOUND;
}

/* count adds to an exit. Nobody else writes this CPU's copy, so plain additions
 * are exact.
 */
inline_always void count(void *counters, __u32 exit, __u32 packets, __u32 bytes)
{
	struct counter *counter = bpf_map_lookup_elem(counters, &exit);

	if (!counter)
		return;
	counter->packets += packets;
	counter->bytes += bytes;
}
