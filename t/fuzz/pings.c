/* libFuzzer: lines that a command writes to be found alive; the first byte says whether it is a Node.js module. */
#include "child/ping_words.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line;
	int64_t number = -1;
	bool node;

	if (size == 0)
		return 0;
	node = data[0] % 2;
	/* Without a NUL: a read beyond its end is to be seen. */
	line = malloc(size - 1);
	memcpy(line, data + 1, size - 1);
	if (ping_answer(node, line, size - 1, &number) == PING_PONG && !node && number < 0)
		abort();
	free(line);
	return 0;
}
