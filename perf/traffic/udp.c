/*
 * udp send ADDRESS PORT SECONDS SIZE    a flood of UDP packets with SIZE bytes of payload
 * udp receive PORT SECONDS              waits so long for the first, then counts until none comes
 *
 * The flood comes from four ports, so that it spreads over queues and workers. The receiver prints
 * "packets seconds", the time from its first packet to its last. Both take many packets per system
 * call: what is measured is the path between them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, FLOWS = 4, LARGEST = 9000, BUFFER = 16 << 20, SILENCE_MS = 400 };

static void fail(const char *what) {
	perror(what);
	exit(1);
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static struct sockaddr_in address(const char *host, const char *port) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
		fprintf(stderr, "udp: %s is no IPv4 address\n", host);
		exit(2);
	}
	return a;
}

static struct mmsghdr batch[BATCH];
static struct iovec parts[BATCH];
static char memory[BATCH][LARGEST];

static void prepare(size_t size) {
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){memory[i], size};
		batch[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
}

static int send_all(const char *host, const char *port, double seconds, size_t size) {
	struct sockaddr_in to = address(host, port);
	int flows[FLOWS];
	if (size > LARGEST) size = LARGEST;
	prepare(size);
	for (int i = 0; i < FLOWS; i++) {
		flows[i] = socket(AF_INET, SOCK_DGRAM, 0);
		if (flows[i] < 0 || connect(flows[i], (struct sockaddr *)&to, sizeof to) < 0) fail("udp: connect");
	}
	double end = now() + seconds;
	unsigned long sent = 0, refused = 0;
	for (int i = 0; now() < end; i = (i + 1) % FLOWS) {
		int n = sendmmsg(flows[i], batch, BATCH, 0);
		if (n > 0) sent += n;
		else if (++refused > 10000000) fail("udp: sendmmsg"); /* ENOBUFS and a full queue are part of a flood */
	}
	printf("%lu %.6f\n", sent, seconds);
	return 0;
}

static int receive_all(const char *port, double seconds) {
	struct sockaddr_in here = address("0.0.0.0", port);
	int s = socket(AF_INET, SOCK_DGRAM, 0), room = BUFFER;
	if (s < 0 || bind(s, (struct sockaddr *)&here, sizeof here) < 0) fail("udp: bind");
	if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0) fail("udp: receive buffer");
	prepare(LARGEST);
	puts("listening");
	fflush(stdout);
	struct pollfd wait = {.fd = s, .events = POLLIN};
	unsigned long packets = 0;
	double first = 0, last = 0;
	while (poll(&wait, 1, packets ? SILENCE_MS : (int)(seconds * 1000)) > 0) {
		int n = recvmmsg(s, batch, BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0) continue;
		last = now();
		if (!packets) first = last;
		packets += n;
		if (last - first > seconds) break;
	}
	printf("%lu %.6f\n", packets, last - first);
	return 0;
}

int main(int argc, char **argv) {
	if (argc == 6 && !strcmp(argv[1], "send")) return send_all(argv[2], argv[3], atof(argv[4]), atoi(argv[5]));
	if (argc == 4 && !strcmp(argv[1], "receive")) return receive_all(argv[2], atof(argv[3]));
	fputs("usage: udp send ADDRESS PORT SECONDS SIZE | udp receive PORT SECONDS\n", stderr);
	return 2;
}
