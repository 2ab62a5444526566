/* acl RULES TRACE ROUNDS: five-field classification by DPDK's rte_acl (avx2), in batches of 32 packets.
 * A rule a line: source, its length, destination, its length, first and last port of the destination, protocol; the first that fits counts.
 * A packet a line: source, destination, port of the source, port of the destination, protocol. All of them decimal numbers.
 * Prints the sum of what matched (1 for the first rule, 0 for none), and then the nanoseconds of the processor a packet, round by round. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_acl.h>
#include <rte_eal.h>

enum { BATCH = 32, MOST_PACKETS = 1 << 20 };

struct five {
	uint8_t protocol;
	uint8_t padding[3];
	uint32_t source, destination;
	uint16_t source_port, destination_port;
};

#define FIELD(kind, bytes, number, group, member) \
	{ .type = RTE_ACL_FIELD_TYPE_##kind, .size = bytes, .field_index = number, .input_index = group, .offset = offsetof(struct five, member) }

static struct rte_acl_field_def fields[5] = {
	FIELD(BITMASK, 1, 0, 0, protocol),
	FIELD(MASK, 4, 1, 1, source),
	FIELD(MASK, 4, 2, 2, destination),
	FIELD(RANGE, 2, 3, 3, source_port),
	FIELD(RANGE, 2, 4, 3, destination_port),
};

RTE_ACL_RULE_DEF(five_rule, 5);

static void fail(const char *what)
{
	fprintf(stderr, "acl: %s\n", what);
	exit(1);
}

static FILE *open_text(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file)
		fail(path);
	return file;
}

static struct rte_acl_ctx *build(const char *path)
{
	struct rte_acl_param parameters = {
		.name = "rules", .socket_id = SOCKET_ID_ANY, .rule_size = RTE_ACL_RULE_SZ(5), .max_rule_num = 1 << 20,
	};
	struct rte_acl_config config = { .num_categories = 1, .num_fields = 5 };
	struct rte_acl_ctx *context = rte_acl_create(&parameters);
	FILE *file = open_text(path);
	unsigned source, source_length, destination, destination_length, low, high, protocol;
	uint32_t number = 0;

	if (!context)
		fail("no context");
	while (fscanf(file, "%u %u %u %u %u %u %u", &source, &source_length, &destination, &destination_length, &low, &high, &protocol) == 7) {
		struct five_rule rule;

		memset(&rule, 0, sizeof rule);
		rule.data.category_mask = 1;
		rule.data.priority = RTE_ACL_MAX_PRIORITY - number;
		rule.data.userdata = ++number;
		/* Protocol 0 stands for any. */
		rule.field[0].value.u8 = protocol;
		rule.field[0].mask_range.u8 = protocol ? 0xff : 0;
		rule.field[1].value.u32 = source;
		rule.field[1].mask_range.u32 = source_length;
		rule.field[2].value.u32 = destination;
		rule.field[2].mask_range.u32 = destination_length;
		rule.field[3].value.u16 = 0;
		rule.field[3].mask_range.u16 = 65535;
		rule.field[4].value.u16 = low;
		rule.field[4].mask_range.u16 = high;
		if (rte_acl_add_rules(context, (struct rte_acl_rule *)&rule, 1))
			fail("a rule is refused");
	}
	fclose(file);
	memcpy(config.defs, fields, sizeof fields);
	if (rte_acl_build(context, &config))
		fail("the rules cannot be built");
	if (rte_acl_set_ctx_classify(context, RTE_ACL_CLASSIFY_AVX2))
		fail("this processor has no avx2");
	return context;
}

static struct five packets[MOST_PACKETS];
static const uint8_t *places[MOST_PACKETS];

static unsigned read_packets(const char *path)
{
	FILE *file = open_text(path);
	unsigned source, destination, source_port, destination_port, protocol, count = 0;

	while (count < MOST_PACKETS && fscanf(file, "%u %u %u %u %u", &source, &destination, &source_port, &destination_port, &protocol) == 5) {
		struct five *packet = &packets[count];

		packet->protocol = protocol;
		packet->source = htonl(source);
		packet->destination = htonl(destination);
		packet->source_port = htons(source_port);
		packet->destination_port = htons(destination_port);
		places[count++] = (const uint8_t *)packet;
	}
	fclose(file);
	return count;
}

int main(int argc, char **argv)
{
	char *eal[] = { argv[0], "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "1500", "-l", "0", "--log-level=1", NULL };
	struct rte_acl_ctx *context;
	unsigned count, at, round;

	if (argc != 4) {
		fprintf(stderr, "usage: acl RULES TRACE ROUNDS\n");
		return 2;
	}
	if (rte_eal_init(10, eal) < 0)
		fail("DPDK does not start");
	context = build(argv[1]);
	count = read_packets(argv[2]);
	for (round = 0; round < (unsigned)atoi(argv[3]); round++) {
		struct timespec start, end;
		uint64_t sum = 0;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
		for (at = 0; at < count; at += BATCH) {
			uint32_t results[BATCH];
			unsigned now = count - at < BATCH ? count - at : BATCH, each;

			rte_acl_classify(context, places + at, results, now, 1);
			for (each = 0; each < now; each++)
				sum += results[each];
		}
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
		if (!round)
			printf("%llu\n", (unsigned long long)sum);
		printf("%.2f\n", ((end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec)) / count);
	}
	return 0;
}
