/*
 * zmq keys                                       prints a CURVE key pair, "public secret"
 * zmq pull PORT                                  counts messages until an empty one
 * zmq push ADDRESS PORT SIZE SECONDS             sends messages, then empty ones
 * zmq rep PORT                                   answers until an empty request
 * zmq req ADDRESS PORT SIZE COUNT                one request a millisecond on an otherwise idle path
 * zmq pub PORT SIZE SECONDS wait|drop            probes until told to go, publishes, then empty messages
 * zmq sub ADDRESS PORT SIZE SUBSCRIBERS          says "ready" when all have a probe, counts until an empty one
 *
 * Programs on plain libzmq. With CURVE_PUBLIC and CURVE_SECRET in the environment, both ends speak
 * CURVE: the binding side as the server that has them, the connecting side with a pair of its own.
 * pull and sub print "messages seconds", sub those of all subscribers together, req its round trips'
 * "p50 p99" in microseconds and pub the messages that it published, whether or not they had to be dropped.
 *
 * A line on pub's standard input is the word to go, its end the word to stop: a publisher does not
 * know who has subscribed, and an end can be dropped like any message. It waits for slow subscribers,
 * or drops for them, which is what it does by default.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { PATIENCE_MS = 10000, MOST = 100000, IN_FLIGHT = 32 << 20, PACE_NS = 1000000, MOST_SUBSCRIBERS = 100 };

static void fail(const char *what) {
	fprintf(stderr, "zmq: %s: %s\n", what, zmq_strerror(zmq_errno()));
	exit(1);
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void set(void *s, int option, int value) {
	if (zmq_setsockopt(s, option, &value, sizeof value)) fail("set an option");
}

static void text(void *s, int option, const char *value) {
	if (zmq_setsockopt(s, option, value, strlen(value))) fail("set a key");
}

/* A queue bounded in bytes: a thousand messages of a megabyte would be the memory of the machine. */
static void *open_socket(void *context, int type, size_t size) {
	void *s = zmq_socket(context, type);
	if (!s) fail("make a socket");
	int queue = size ? (int)(IN_FLIGHT / size) : 1000;
	if (queue > 1000) queue = 1000;
	set(s, ZMQ_SNDHWM, queue);
	set(s, ZMQ_RCVHWM, queue);
	set(s, ZMQ_SNDTIMEO, PATIENCE_MS);
	set(s, ZMQ_RCVTIMEO, PATIENCE_MS);
	set(s, ZMQ_LINGER, PATIENCE_MS);
	return s;
}

static void *bound(void *context, int type, const char *port, size_t size) {
	void *s = open_socket(context, type, size);
	char where[64];
	const char *secret = getenv("CURVE_SECRET");
	if (secret) {
		set(s, ZMQ_CURVE_SERVER, 1);
		text(s, ZMQ_CURVE_SECRETKEY, secret);
	}
	snprintf(where, sizeof where, "tcp://0.0.0.0:%s", port);
	if (zmq_bind(s, where)) fail(where);
	puts("listening");
	fflush(stdout);
	return s;
}

static void *connected(void *context, int type, const char *host, const char *port, size_t size) {
	void *s = open_socket(context, type, size);
	char where[64], public[41], secret[41];
	const char *server = getenv("CURVE_PUBLIC");
	if (server) {
		if (zmq_curve_keypair(public, secret)) fail("make a key pair");
		text(s, ZMQ_CURVE_SERVERKEY, server);
		text(s, ZMQ_CURVE_PUBLICKEY, public);
		text(s, ZMQ_CURVE_SECRETKEY, secret);
	}
	snprintf(where, sizeof where, "tcp://%s:%s", host, port);
	if (zmq_connect(s, where)) fail(where);
	return s;
}

static void pull(void *context, const char *port) {
	void *s = bound(context, ZMQ_PULL, port, 64 << 10);
	unsigned long messages = 0;
	double first = 0, last = 0;
	zmq_msg_t m;
	zmq_msg_init(&m);
	for (;;) {
		if (zmq_msg_recv(&m, s, 0) < 0) fail("receive");
		if (!zmq_msg_size(&m)) break;
		if (!messages++) first = now();
	}
	last = now();
	printf("%lu %.6f\n", messages, last - first);
	zmq_close(s);
}

static void push(void *context, const char *host, const char *port, size_t size, double seconds) {
	void *s = connected(context, ZMQ_PUSH, host, port, size);
	char *payload = calloc(1, size ? size : 1);
	double end = 0;
	do {
		if (zmq_send(s, payload, size, 0) < 0) fail("send");
		if (!end) end = now() + seconds; /* the first one waits for the connection */
	} while (now() < end);
	if (zmq_send(s, "", 0, 0) < 0) fail("send the end");
	free(payload);
	zmq_close(s);
}

static void rep(void *context, const char *port) {
	void *s = bound(context, ZMQ_REP, port, 64 << 10);
	zmq_msg_t m;
	zmq_msg_init(&m);
	for (size_t size = 1; size;) {
		if (zmq_msg_recv(&m, s, 0) < 0) fail("receive");
		size = zmq_msg_size(&m);
		if (zmq_msg_send(&m, s, 0) < 0) fail("answer");
	}
	zmq_close(s);
}

static int ascending(const void *a, const void *b) {
	double d = *(const double *)a - *(const double *)b;
	return d < 0 ? -1 : d > 0;
}

static void req(void *context, const char *host, const char *port, size_t size, int count) {
	static double took[MOST];
	static char message[1 << 20];
	if (count < 1 || count > MOST || size < 1 || size > sizeof message) {
		fputs("zmq: a wrong argument\n", stderr);
		exit(2);
	}
	void *s = connected(context, ZMQ_REQ, host, port, size);
	for (int i = -20; i < count; i++) { /* the first ones set the connection up */
		struct timespec pace = {0, PACE_NS};
		nanosleep(&pace, NULL);
		double start = now();
		if (zmq_send(s, message, size, 0) < 0) fail("ask");
		if (zmq_recv(s, message, sizeof message, 0) < 0) fail("be answered");
		if (i >= 0) took[i] = (now() - start) * 1e6;
	}
	if (zmq_send(s, "", 0, 0) < 0 || zmq_recv(s, message, sizeof message, 0) < 0) fail("end");
	qsort(took, count, sizeof *took, ascending);
	printf("%.3f %.3f\n", took[count / 2], took[(int)(count * 0.99)]);
	zmq_close(s);
}

/* Whether a word is there, or the end of all words, within some milliseconds. */
static int told(int patience_ms) {
	char word[64];
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	if (poll(&in, 1, patience_ms) <= 0) return 0;
	return read(STDIN_FILENO, word, sizeof word) >= 0;
}

static void pub(void *context, const char *port, size_t size, double seconds, int waits) {
	void *s = bound(context, ZMQ_PUB, port, size);
	char *payload = calloc(1, size ? size : 1);
	unsigned long sent = 0;
	set(s, ZMQ_XPUB_NODROP, waits);
	do {
		if (zmq_send(s, "?", 1, 0) < 0) fail("send a probe");
	} while (!told(1));
	for (double end = now() + seconds; now() < end; sent++)
		if (zmq_send(s, payload, size, 0) < 0) fail("publish");
	printf("%lu\n", sent);
	do {
		if (zmq_send(s, "", 0, 0) < 0) fail("send the end");
	} while (!told(1));
	set(s, ZMQ_LINGER, 0);
	free(payload);
	zmq_close(s);
}

static void sub(void *context, const char *host, const char *port, size_t size, int subscribers) {
	static zmq_pollitem_t all[MOST_SUBSCRIBERS];
	static char probed[MOST_SUBSCRIBERS];
	if (subscribers < 1 || subscribers > MOST_SUBSCRIBERS) {
		fputs("zmq: a wrong argument\n", stderr);
		exit(2);
	}
	for (int i = 0; i < subscribers; i++) { /* their queues are eight times those of one, all together */
		all[i].socket = connected(context, ZMQ_SUB, host, port, subscribers < 8 ? size : size * subscribers / 8);
		all[i].events = ZMQ_POLLIN;
		if (zmq_setsockopt(all[i].socket, ZMQ_SUBSCRIBE, "", 0)) fail("subscribe");
	}
	unsigned long messages = 0;
	double first = 0;
	zmq_msg_t m;
	zmq_msg_init(&m);
	for (int waiting = subscribers, live = subscribers; live;) {
		if (zmq_poll(all, subscribers, PATIENCE_MS) <= 0) fail("wait for messages");
		for (int i = 0; i < subscribers; i++) {
			if (!all[i].revents) continue;
			for (int turn = 0; turn < 64 && all[i].events; turn++) { /* then it is another one's turn */
				if (zmq_msg_recv(&m, all[i].socket, ZMQ_DONTWAIT) < 0) {
					if (zmq_errno() != EAGAIN) fail("receive");
					break;
				}
				switch (zmq_msg_size(&m)) {
				case 0:
					all[i].events = 0;
					live--;
					break;
				case 1:
					if (probed[i]) break;
					probed[i] = 1;
					if (!--waiting) puts("ready");
					fflush(stdout);
					break;
				default:
					if (!messages++) first = now();
				}
			}
		}
	}
	printf("%lu %.6f\n", messages, now() - first);
	for (int i = 0; i < subscribers; i++) {
		set(all[i].socket, ZMQ_LINGER, 0);
		zmq_close(all[i].socket);
	}
}

int main(int argc, char **argv) {
	void *context = zmq_ctx_new();
	const char *what = argc > 1 ? argv[1] : "";
	if (argc == 2 && !strcmp(what, "keys")) {
		char public[41], secret[41];
		if (zmq_curve_keypair(public, secret)) fail("make a key pair");
		printf("%s %s\n", public, secret);
	} else if (argc == 3 && !strcmp(what, "pull")) pull(context, argv[2]);
	else if (argc == 6 && !strcmp(what, "push")) push(context, argv[2], argv[3], atol(argv[4]), atof(argv[5]));
	else if (argc == 3 && !strcmp(what, "rep")) rep(context, argv[2]);
	else if (argc == 6 && !strcmp(what, "req")) req(context, argv[2], argv[3], atol(argv[4]), atoi(argv[5]));
	else if (argc == 6 && !strcmp(what, "pub")) pub(context, argv[2], atol(argv[3]), atof(argv[4]), !strcmp(argv[5], "wait"));
	else if (argc == 6 && !strcmp(what, "sub")) sub(context, argv[2], argv[3], atol(argv[4]), atoi(argv[5]));
	else {
		fputs("usage: zmq keys | pull PORT | push ADDRESS PORT SIZE SECONDS | rep PORT | req ADDRESS PORT SIZE COUNT\n"
		      "       zmq pub PORT SIZE SECONDS wait|drop | sub ADDRESS PORT SIZE SUBSCRIBERS\n", stderr);
		return 2;
	}
	zmq_ctx_term(context);
	return 0;
}
