/* The names in a directory, without memory: opendir(3) would need some. */
#ifndef CHILD_DIRECTORY_H
#define CHILD_DIRECTORY_H

/* Call FOUND for each name in the directory that FD is open on, from its beginning. Names that are added or taken away
 * meanwhile might be missed. FOUND may open other directories. */
void directory_each(int fd, void (*found)(void *arg, const char *name), void *arg);

#endif
