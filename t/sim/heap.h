/* Memory of simulated processes: it goes with them, some of it may be refused, and what one leaves behind when it ends
 * by itself is a finding. */
#ifndef T_SIM_HEAP_H
#define T_SIM_HEAP_H

#include <stddef.h>

struct proc;

/* SIZE zero bytes; ends the program where there are none. */
void *heap_zeroed(size_t size);

/* Have jansson take its memory here. */
void heap_set_up(void);

void heap_free_all(struct proc *proc);

/* How many blocks PROC has. */
size_t heap_blocks(const struct proc *proc);

#endif
