/*
 * The guest's program: writes numbered blocks to one disk and reports over the serial port which of them
 * were flushed. What block number N holds and where it lies follows from (seed, N); testbed/src/guest/blocks.ts
 * says the same in TypeScript, and a test there compares the two.
 *
 *   writer SERIAL DEV RUN SEED OFFSET LENGTH BLOCK RATE BATCH READBACK   (bytes; RATE in blocks a second, 0 = no limit)
 *
 * Lines it reports, each beginning with @ and the disk:
 *   S run=… inc=… from=… slots=… block=… t=…           it begins, after the highest number found on the disk
 *   A seq=… n=… max_us=… gap_us=… t=…                  all blocks up to seq are flushed; n since the last line
 *   L n=… sum_us=… max_us=… gap_us=… h=BIN:COUNT,… t=… single writes without their flush, since the last such line;
 *                                                      gap: between the ends of two; bins: see bin_of
 *   H seq=… stuck_us=… t=…                             nothing was flushed since the last line, so long
 *   E op=… errno=… seq=… count=… t=…                   the disk failed; it keeps trying the same block
 *   B seq=… slot=… want=… got=… t=…                    reading back, a slot did not hold the block it should
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x3157524546424c42ULL /* "BLBFERW1" */
#define REPORT_US 50000
#define HEARTBEAT_US 1000000
#define LATENCY_REPORTS 5 /* a line of latencies every so many reports */
#define BINS 256

struct header {
	uint64_t magic;
	char run[16];
	uint64_t seq;
	uint32_t slot, incarnation, block, seed, checksum, zero[3];
};

static const char *disk;
static char run[16];
static uint32_t seed, block, slots, batch, readback, incarnation = 1;
static uint64_t region_offset, rate;
static int fd, serial;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t acked, acked_count, max_us, gap_us, last_ack_us, errors, error_seq;
static int error_errno;
static const char *error_op;

/* What single writes took, since the last line of latencies. Guarded by the same lock. */
struct latencies {
	uint64_t count, sum_us, max_us, gap_us;
	uint32_t bins[BINS];
};
static struct latencies latencies;
static uint64_t last_write_us, due_us;

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void report(const char *format, ...)
{
	char line[2048];
	int n = snprintf(line, sizeof line, "@%s ", disk);
	va_list args;
	va_start(args, format);
	n += vsnprintf(line + n, sizeof line - n - 32, format, args);
	va_end(args);
	n += snprintf(line + n, sizeof line - n, " t=%llu\n", (unsigned long long)(now_us() / 1000));
	if (write(serial, line, n) != n)
		_exit(1);
}

static uint32_t mix(uint32_t h)
{
	h = (h ^ h >> 16) * 0x85ebca6bU;
	h = (h ^ h >> 13) * 0xc2b2ae35U;
	return h ^ h >> 16;
}

static uint32_t key(uint64_t seq)
{
	return mix(seed + (uint32_t)seq * 0x9e3779b9U);
}

static uint32_t slot_of(uint64_t seq)
{
	return mix(key(seq) ^ 0x51071u) % slots;
}

static uint32_t checksum_of(const uint32_t *words)
{
	uint32_t sum = 1;
	for (uint32_t i = 0; i < block / 4; i++)
		sum = (sum << 5 | sum >> 27) ^ words[i] * 0x01000193U;
	return sum;
}

static void fill(void *at, uint64_t seq)
{
	struct header *header = at;
	uint32_t *words = at, x = key(seq) | 1;
	for (uint32_t i = sizeof *header / 4; i < block / 4; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		words[i] = x;
	}
	*header = (struct header){ .magic = MAGIC, .seq = seq, .slot = slot_of(seq),
		.incarnation = incarnation, .block = block, .seed = seed };
	memcpy(header->run, run, sizeof run);
	header->checksum = checksum_of(words);
}

static uint64_t seq_in(const struct header *header)
{
	return header->magic == MAGIC && !memcmp(header->run, run, sizeof run) ? header->seq : 0;
}

/* A failing disk is reported (at most once a report) and tried again: the guest never gives up. */
static void failed(const char *op, uint64_t seq)
{
	pthread_mutex_lock(&lock);
	error_op = op;
	error_errno = errno;
	error_seq = seq;
	errors++;
	pthread_mutex_unlock(&lock);
	usleep(10000);
}

static void read_block(void *at, size_t size, uint64_t offset, uint64_t seq)
{
	while (pread(fd, at, size, offset) != (ssize_t)size)
		failed("read", seq);
}

/* Finds where an earlier life of this guest stopped: the highest number on the disk, and what each slot holds. */
static uint64_t scan(uint64_t *held)
{
	static const size_t step = 1 << 20;
	char *buffer = aligned_alloc(4096, step);
	uint64_t highest = 0, length = (uint64_t)slots * block;
	for (uint64_t at = 0; at < length; at += step) {
		size_t size = length - at < step ? length - at : step;
		read_block(buffer, size, region_offset + at, 0);
		for (size_t i = 0; i < size; i += block) {
			struct header *header = (void *)(buffer + i);
			uint64_t seq = seq_in(header);
			held[(at + i) / block] = seq;
			if (seq > highest) {
				highest = seq;
				incarnation = header->incarnation + 1;
			}
		}
	}
	free(buffer);
	return highest;
}

/* Eight bins for each power of two: bin 8 is 8 us, bin 16 is 16 us, bin 17 is 18 us. */
static unsigned bin_of(uint64_t us)
{
	if (us < 8)
		return us;
	unsigned power = 63 - __builtin_clzll(us);
	unsigned bin = (power - 2) * 8 + (us >> (power - 3) & 7);
	return bin < BINS ? bin : BINS - 1;
}

static void report_latencies(void)
{
	static char text[1900];
	pthread_mutex_lock(&lock);
	struct latencies told = latencies;
	latencies = (struct latencies){ 0 };
	pthread_mutex_unlock(&lock);
	if (!told.count)
		return;
	int n = 0;
	for (unsigned bin = 0; bin < BINS; bin++)
		if (told.bins[bin] && n < (int)sizeof text - 20)
			n += snprintf(text + n, sizeof text - n, "%s%u:%u", n ? "," : "", bin, told.bins[bin]);
	report("L n=%llu sum_us=%llu max_us=%llu gap_us=%llu h=%s", (unsigned long long)told.count,
		(unsigned long long)told.sum_us, (unsigned long long)told.max_us,
		(unsigned long long)told.gap_us, text);
}

static void *reporter(void *unused)
{
	uint64_t said = now_us();
	unsigned reports = 0;
	(void)unused;
	for (;;) {
		usleep(REPORT_US);
		if (++reports % LATENCY_REPORTS == 0)
			report_latencies();
		pthread_mutex_lock(&lock);
		uint64_t seq = acked, n = acked_count, max = max_us, gap = gap_us, since = now_us() - last_ack_us;
		uint64_t failures = errors, failed_seq = error_seq;
		const char *op = error_op;
		int number = error_errno;
		acked_count = max_us = gap_us = errors = 0;
		pthread_mutex_unlock(&lock);
		if (failures)
			report("E op=%s errno=%d seq=%llu count=%llu", op, number,
				(unsigned long long)failed_seq, (unsigned long long)failures);
		if (n)
			report("A seq=%llu n=%llu max_us=%llu gap_us=%llu", (unsigned long long)seq,
				(unsigned long long)n, (unsigned long long)max, (unsigned long long)gap);
		else if (now_us() - said >= HEARTBEAT_US)
			report("H seq=%llu stuck_us=%llu", (unsigned long long)seq, (unsigned long long)since);
		else
			continue;
		said = now_us();
	}
	return NULL;
}

static void check_slot(void *scratch, uint64_t seq, uint32_t slot, uint64_t want)
{
	read_block(scratch, 4096, region_offset + (uint64_t)slot * block, seq);
	uint64_t got = seq_in(scratch);
	if (got != want)
		report("B seq=%llu slot=%u want=%llu got=%llu", (unsigned long long)seq, slot,
			(unsigned long long)want, (unsigned long long)got);
}

/* Keeps to the rate write by write, so that a batch is no burst. */
static void wait_until_due(void)
{
	if (!rate)
		return;
	uint64_t now = now_us();
	due_us += 1000000ULL / rate;
	if (due_us + 100000 < now)
		due_us = now; /* after a pause, do not make up for it in a burst */
	else if (due_us > now)
		usleep(due_us - now);
}

static void count_write(uint64_t began)
{
	uint64_t ended = now_us(), took = ended - began, gap = ended - last_write_us;
	pthread_mutex_lock(&lock);
	latencies.count++;
	latencies.sum_us += took;
	latencies.bins[bin_of(took)]++;
	if (took > latencies.max_us)
		latencies.max_us = took;
	if (last_write_us && gap > latencies.gap_us)
		latencies.gap_us = gap;
	pthread_mutex_unlock(&lock);
	last_write_us = ended;
}

static void write_batch(char *buffer, uint64_t *held, uint64_t first)
{
	uint64_t batch_us = 0;
	for (uint32_t i = 0; i < batch; i++) {
		wait_until_due();
		uint64_t began = now_us(), seq = first + i;
		uint32_t slot = slot_of(seq);
		if (readback)
			check_slot(buffer, seq, slot, held[slot]);
		fill(buffer, seq);
		uint64_t submitted = now_us();
		while (pwrite(fd, buffer, block, region_offset + (uint64_t)slot * block) != (ssize_t)block)
			failed("write", seq);
		count_write(submitted);
		held[slot] = seq;
		batch_us += now_us() - began;
	}
	uint64_t flushing = now_us();
	while (fdatasync(fd))
		failed("flush", first);
	uint64_t ended = now_us();
	batch_us += ended - flushing;
	pthread_mutex_lock(&lock);
	acked = first + batch - 1;
	acked_count += batch;
	if (batch_us > max_us)
		max_us = batch_us;
	if (ended - last_ack_us > gap_us)
		gap_us = ended - last_ack_us;
	last_ack_us = ended;
	pthread_mutex_unlock(&lock);
}

static void write_forever(uint64_t *held)
{
	char *buffer = aligned_alloc(4096, block);
	due_us = now_us();
	for (uint64_t first = acked + 1;; first += batch)
		write_batch(buffer, held, first);
}

int main(int argc, char **argv)
{
	if (argc != 11)
		return 2;
	disk = strrchr(argv[2], '/') + 1;
	memcpy(run, argv[3], strnlen(argv[3], sizeof run));
	seed = strtoul(argv[4], NULL, 10);
	region_offset = strtoull(argv[5], NULL, 10);
	uint64_t length = strtoull(argv[6], NULL, 10);
	block = strtoul(argv[7], NULL, 10);
	rate = strtoull(argv[8], NULL, 10);
	batch = strtoul(argv[9], NULL, 10);
	readback = strtoul(argv[10], NULL, 10);
	slots = length / block;
	serial = open(argv[1], O_WRONLY | O_APPEND | O_NOCTTY);
	fd = open(argv[2], O_RDWR | O_DIRECT);
	uint64_t *held = calloc(slots, sizeof *held);
	if (serial < 0 || fd < 0 || !slots || !batch || !held) {
		dprintf(1, "@%s E op=open errno=%d seq=0 count=1 t=0\n", disk, errno);
		return 1;
	}
	acked = scan(held);
	last_ack_us = now_us();
	report("S run=%.16s inc=%u from=%llu slots=%u block=%u", run, incarnation,
		(unsigned long long)(acked + 1), slots, block);
	pthread_t thread;
	if (pthread_create(&thread, NULL, reporter, NULL))
		return 1;
	write_forever(held);
}
