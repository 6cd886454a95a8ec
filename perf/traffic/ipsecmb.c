// AES-256-GCM of intel-ipsec-mb in memory, by its fastest call for one record at a
// time: prints "BYTES SEAL OPEN" in nanoseconds, medians over turns of 64 records.
#include <intel-ipsec-mb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TURNS = 500, RECORDS = 64, LONGEST = 8900 };

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int compare(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(void) {
	static const int sizes[] = {64, 256, 512, 1420, LONGEST};
	static unsigned char text[LONGEST], sealed[LONGEST + 16];
	static double seal[TURNS], open[TURNS];
	unsigned char key[32] = {0}, nonce[12] = {0}, aad[16] = {0}, tag[16];
	struct gcm_context_data context;
	IMB_ARCH arch;
	IMB_MGR *m = alloc_mb_mgr(0);
	struct gcm_key_data *expanded = aligned_alloc(64, sizeof *expanded);

	if (!m || !expanded)
		return 1;
	init_mb_mgr_auto(m, &arch);
	IMB_AES256_GCM_PRE(m, key, expanded);
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int n = sizes[i];
		for (int turn = 0; turn < TURNS; turn++) {
			double start = now();
			for (int r = 0; r < RECORDS; r++)
				IMB_AES256_GCM_ENC(m, expanded, &context, sealed, text, n, nonce, aad, 16, sealed + n, 16);
			double middle = now();
			for (int r = 0; r < RECORDS; r++)
				IMB_AES256_GCM_DEC(m, expanded, &context, text, sealed, n, nonce, aad, 16, tag, 16);
			seal[turn] = (middle - start) / RECORDS;
			open[turn] = (now() - middle) / RECORDS;
		}
		qsort(seal, TURNS, sizeof *seal, compare);
		qsort(open, TURNS, sizeof *open, compare);
		printf("%d %.2f %.2f\n", n, seal[TURNS / 2], open[TURNS / 2]);
	}
	free_mb_mgr(m);
	return 0;
}
