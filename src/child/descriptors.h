/* The descriptors that we were started with: COMMAND gets all of them, we keep none but 0 to 2. */
#ifndef CHILD_DESCRIPTORS_H
#define CHILD_DESCRIPTORS_H

/* Open /dev/null, or failing that an empty pipe, as every one of 0 to 2 that is closed, so that nothing of ours
 * lands there; they are close-on-exec, so that COMMAND finds them closed as they were. Returns 0, or -1 with errno. */
__attribute__((warn_unused_result)) int descriptors_fix_standard(void);

/* Note which descriptors from 3 on are open now. Call it before opening any. */
void descriptors_note_inherited(void);

/* The limit (ulimit -n) that NEEDED descriptors beside those that were noted want, where the one that there is does not
 * do; else 0. */
int descriptors_limit_for(int needed);

/* Mark every descriptor from 3 on that was not noted close-on-exec: libraries open some that are not. For a child
 * before exec; async-signal-safe. */
void descriptors_hide_ours(void);

/* Close every descriptor from 3 on that was not noted, but KEPT: for a child that has its own. */
void descriptors_close_ours(int kept);

/* Close those that were noted, once COMMAND has its own: else we would keep its pipes open and its mounts busy. */
void descriptors_close_inherited(void);

/* The lowest number from FIRST on that COMMAND has no descriptor of. */
int descriptors_free_from(int first);

/* FD, or where that is not above FLOOR a close-on-exec copy that is, and FD closed. -1 with errno, and FD closed. */
__attribute__((warn_unused_result)) int descriptors_move_above(int fd, int floor);

/* Close the descriptors that came with a message. */
struct msghdr;
void descriptors_drop_received(struct msghdr *message);

/* FD, which was inherited, is for us and not for COMMAND: close-on-exec, and not closed with the others. */
void descriptors_keep(int fd);

#endif
