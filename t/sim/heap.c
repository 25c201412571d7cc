/* In place of malloc(3) and the like for all that is linked: --wrap in Makefile.am. */
#include "heap.h"

#include "proc.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is freed shows it. */
#define POISON 0xdd
#define SPOILT 128

void *__real_malloc(size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);
int __wrap_vasprintf(char **text, const char *format, va_list arguments);

static bool
refuses(void)
{
	return current != NULL && current->starves && one_in(40);
}

static struct block *
block_of(void *memory)
{
	return (struct block *)memory - 1;
}

static void *
give(size_t size)
{
	struct block *block = __real_malloc(sizeof(*block) + size);

	if (block == NULL)
		abort();
	block->owner = current;
	block->size = size;
	if (current != NULL)
		TAILQ_INSERT_TAIL(&current->blocks, block, link);
	return block + 1;
}

void *
__wrap_malloc(size_t size)
{
	if (!refuses())
		return give(size);
	errno = ENOMEM;
	return NULL;
}

void *
__wrap_calloc(size_t count, size_t size)
{
	void *memory = __wrap_malloc(count * size);

	return memory == NULL ? NULL : memset(memory, 0, count * size);
}

void
__wrap_free(void *memory)
{
	struct block *block;

	if (memory == NULL)
		return;
	block = block_of(memory);
	if (block->owner != NULL)
		TAILQ_REMOVE(&block->owner->blocks, block, link);
	memset(memory, POISON, block->size < SPOILT ? block->size : SPOILT);
	__real_free(block);
}

void *
__wrap_realloc(void *memory, size_t size)
{
	void *other = __wrap_malloc(size);
	size_t before;

	if (memory == NULL || other == NULL)
		return other;
	before = block_of(memory)->size;
	memcpy(other, memory, before < size ? before : size);
	__wrap_free(memory);
	return other;
}

char *
__wrap_strndup(const char *text, size_t most)
{
	size_t len = strnlen(text, most);
	char *copy = __wrap_malloc(len + 1);

	if (copy == NULL)
		return NULL;
	copy[len] = '\0';
	return memcpy(copy, text, len);
}

char *
__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}

int
__wrap_vasprintf(char **text, const char *format, va_list arguments)
{
	va_list again;
	int len;

	va_copy(again, arguments);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	*text = __wrap_malloc((size_t)len + 1);
	return *text == NULL ? -1 : vsnprintf(*text, (size_t)len + 1, format, arguments);
}

int __wrap___vasprintf_chk(char **text, int flag, const char *format, va_list arguments);

/* What a fortified vasprintf(3) is. */
int
__wrap___vasprintf_chk(char **text, int flag, const char *format, va_list arguments)
{
	(void)flag;
	return __wrap_vasprintf(text, format, arguments);
}

void *
heap_zeroed(size_t size)
{
	return memset(give(size), 0, size);
}

void
heap_set_up(void)
{
	/* jansson 2.14 gives up with an assertion when memory is short for a string, so it never is. */
	json_set_alloc_funcs(give, __wrap_free);
	json_object_seed(1);
}

void
heap_free_all(struct proc *proc)
{
	struct block *block;

	while ((block = TAILQ_FIRST(&proc->blocks)) != NULL)
		__wrap_free(block + 1);
}

size_t
heap_blocks(const struct proc *proc)
{
	const struct block *block;
	size_t count = 0;

	TAILQ_FOREACH(block, &proc->blocks, link)
	count++;
	return count;
}
