#include "answers.h"

#include "member.h"
#include "node.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCHES 64

static struct exchange *watches[WATCHES];
static size_t watch_count;

static void
print_line(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text != '\n')
			putchar(*text);
	putchar('\n');
}

static void
answer(char *line)
{
	char *rest = line, *method = strsep(&rest, " "), *path = strsep(&rest, " ");
	struct exchange *exchange = exchange_alone(method, path, rest == NULL ? "" : rest);
	nsec limit = world.now + 20 * NSEC_PER_SEC;

	member_request(exchange);
	if (exchange->stream) {
		watches[watch_count++] = exchange;
		return;
	}
	while (!exchange->answered && world_step(limit))
		continue;
	printf("%ld ", exchange->status);
	print_line(exchange->answered ? exchange->answer : "no answer");
}

static void
print_events(void)
{
	for (size_t i = 0; i < watch_count; i++) {
		const struct chunk *chunk;

		STAILQ_FOREACH(chunk, &watches[i]->chunks, link)
		fwrite(chunk->bytes, 1, chunk->len, stdout);
	}
}

int
answers(void)
{
	char line[65536];
	nsec limit;

	world_begin(1);
	world.now = NSEC_PER_SEC;
	procs_begin();
	net_begin();
	members_begin();
	nodes_begin();
	while (watch_count < WATCHES && fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		answer(line);
	}
	limit = world.now + NSEC_PER_SEC / 2;
	while (world_step(limit))
		continue;
	print_events();
	return 0;
}
