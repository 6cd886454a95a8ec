/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */

/* The limit on how often one source may open a control connection. */
#pragma once

#include "packet.h"

/* Sources remembered by the limit on new connections. The least recently seen
 * gives way, so a flood from ever new addresses costs no more memory; against
 * that the kernel has SYN cookies.
 */
#define MAX_SYN_SOURCES 16384

/* How often two CPUs may get in each other's way over one source. */
#define MAX_SYN_ATTEMPTS 4

/* Who opens connections: an IPv4 address, or the first half of an IPv6 address,
 * because one host may well own all of the second.
 */
struct source {
	__be32 ipv4;
	__be32 ipv6[2];
};

/* The moment at which the source's next connection falls due, were it to open
 * them evenly. One number is a whole token bucket, and can be exchanged without
 * a lock.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_SYN_SOURCES);
	__type(key, struct source);
	__type(value, __u64);
} syn_sources SEC(".maps");

inline_always struct source source_of(const struct packet *p)
{
	struct source source = {};

	if (p->ip4) {
		source.ipv4 = p->ip4->saddr;
	} else if (p->ip6) {
		source.ipv6[0] = p->ip6->saddr.in6_u.u6_addr32[0];
		source.ipv6[1] = p->ip6->saddr.in6_u.u6_addr32[1];
	}
	return source;
}

/* due_of returns the source's entry, made if need be, or NULL when the table
 * cannot take it.
 */
inline_always __u64 *due_of(const struct source *source)
{
	__u64 never = 0;
	__u64 *due = bpf_map_lookup_elem(&syn_sources, source);

	if (due)
		return due;
	/* When another CPU was faster, its entry is as good as ours. */
	bpf_map_update_elem(&syn_sources, source, &never, BPF_NOEXIST);
	return bpf_map_lookup_elem(&syn_sources, source);
}

/* may_open says whether the packet's source may open one connection more: one every
 * interval_ns, and burst_ns ahead of that.
 */
inline_always bool may_open(const struct packet *p, __u64 interval_ns, __u64 burst_ns)
{
	struct source source = source_of(p);
	__u64 *due = due_of(&source);
	__u64 now = bpf_ktime_get_ns();

	if (!due)
		return false;
	for (int i = 0; i < MAX_SYN_ATTEMPTS; i++) {
		__u64 seen = *(volatile __u64 *)due;
		__u64 start = seen > now ? seen : now;

		if (start - now > burst_ns)
			return false;
		if (__sync_val_compare_and_swap(due, seen, start + interval_ns) == seen)
			return true;
	}
	return false;
}
