/*
 * pingpong echo PORT                                        sends back what it gets, until it is ended
 * pingpong ask ADDRESS PORT CONNECTIONS SECONDS SIZE        one message under way on each connection
 *
 * Small TCP messages without Nagle's delay, each answered before the next is sent, so that no two of
 * one connection share a packet. The asking side prints "round-trips seconds".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, LARGEST = 65536, MOST = 1024 };

static char buffer[LARGEST];

static void fail(const char *what) {
	perror(what);
	exit(1);
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void watch(int waiter, int fd) {
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (epoll_ctl(waiter, EPOLL_CTL_ADD, fd, &e) < 0) fail("pingpong: epoll");
}

static _Noreturn void echo(const char *port) {
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int s = socket(AF_INET, SOCK_STREAM, 0), on = 1, waiter = epoll_create1(0);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(s, (struct sockaddr *)&here, sizeof here) < 0 || listen(s, MOST) < 0) fail("pingpong: listen");
	watch(waiter, s);
	puts("listening");
	fflush(stdout);
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(waiter, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == s) {
				int c = accept(s, NULL, NULL);
				if (c >= 0) watch(waiter, c);
				continue;
			}
			ssize_t got = recv(fd, buffer, sizeof buffer, 0);
			if (got <= 0 || send(fd, buffer, got, MSG_NOSIGNAL) != got) close(fd);
		}
	}
}

static int ask(const char *host, const char *port, int connections, double seconds, size_t size) {
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	static size_t missing[MOST + 64]; /* bytes of the answer under way, by descriptor */
	int waiter = epoll_create1(0);
	if (inet_pton(AF_INET, host, &to.sin_addr) != 1 || connections > MOST || size > LARGEST) {
		fputs("pingpong: a wrong argument\n", stderr);
		return 2;
	}
	for (int i = 0; i < connections; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("pingpong: connect");
		watch(waiter, fd);
		missing[fd] = size;
		if (send(fd, buffer, size, MSG_NOSIGNAL) != (ssize_t)size) fail("pingpong: send");
	}
	unsigned long trips = 0;
	double start = now(), end = start + seconds, t;
	while ((t = now()) < end) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(waiter, events, EVENTS, (int)((end - t) * 1000) + 1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			ssize_t got = recv(fd, buffer, missing[fd], 0);
			if (got <= 0) fail("pingpong: receive");
			if ((missing[fd] -= got)) continue;
			trips++;
			missing[fd] = size;
			if (send(fd, buffer, size, MSG_NOSIGNAL) != (ssize_t)size) fail("pingpong: send");
		}
	}
	printf("%lu %.6f\n", trips, now() - start);
	return 0;
}

int main(int argc, char **argv) {
	if (argc == 3 && !strcmp(argv[1], "echo")) echo(argv[2]);
	if (argc == 7 && !strcmp(argv[1], "ask")) return ask(argv[2], argv[3], atoi(argv[4]), atof(argv[5]), atoi(argv[6]));
	fputs("usage: pingpong echo PORT | pingpong ask ADDRESS PORT CONNECTIONS SECONDS SIZE\n", stderr);
	return 2;
}
