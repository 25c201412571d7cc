/* libFuzzer: what --status tells of contenders with any ids: separated by newlines. The JSON must be that, on one line.
 */
#include "etcdlocker/status_format.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 8

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct etcdlock_contender queue[MOST];
	char *copy = malloc(size + 1), *rest = copy, *id, *text, *line;
	size_t count = 0;
	json_t *object;

	memcpy(copy, data, size);
	copy[size] = '\0';
	while (count < MOST && (id = strsep(&rest, "\n")) != NULL) {
		queue[count] = (struct etcdlock_contender){
			.id = id, .key = id, .revision = (int64_t)size << 40, .left_ms = (int64_t)count - 1
		};
		count++;
	}
	line = status_json("/key", queue, count, true);
	object = line == NULL ? NULL : json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(object) || strchr(line, '\n') != line + strlen(line) - 1)
		abort();
	text = status_text("/key", queue, count, true);
	if (text == NULL || strchr(text, '\033') != NULL)
		abort();
	json_decref(object);
	free(text);
	free(line);
	free(copy);
	return 0;
}
