/* The simulated etcd on its own, to be compared with a real one. */
#ifndef T_SIM_ANSWERS_H
#define T_SIM_ANSWERS_H

/* Reads requests from stdin, a line each: METHOD PATH BODY. Writes the answers to stdout, a line each: STATUS BODY. A
 * watch has no answer; what watches have told comes at the end. Returns an exit code. */
int answers(void);

#endif
