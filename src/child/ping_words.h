/* What goes over a ping channel: lines. No I/O.
 *
 * To a Node.js module, as child_process.fork() has it: JSON objects, {"ping": N} and {"pong": N}; those whose "cmd"
 * begins with NODE_ are Node's own. To any other program: the number alone, and the same number back. */
#ifndef CHILD_PING_WORDS_H
#define CHILD_PING_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ping_answer {
	PING_PONG,   /* pong NUMBER */
	PING_OTHER,  /* a message of the program's own */
	PING_HANDLE, /* Node sends a descriptor and waits for word of it: PING_NACK is the answer */
	PING_WRONG   /* not the language */
};

#define PING_LINE 32
#define PING_NACK "{\"cmd\":\"NODE_HANDLE_NACK\"}\n"

/* Write ping NUMBER with its newline into LINE. Returns its length. */
size_t ping_line(bool node, int64_t number, char line[PING_LINE]);

/* What LINE (LEN bytes, without its newline) says. */
enum ping_answer ping_answer(bool node, const char *line, size_t len, int64_t *number);

#endif
