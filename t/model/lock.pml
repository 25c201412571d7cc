/* A model of the promise: two nodes, each a sentinel, a supervisor and a command, and one lease server. Clocks drift,
 * messages are lost or late, processes die and are stopped at any step. Checked: two commands never run together, and
 * the lock is released only when the command is dead.
 *
 *   spin -a lock.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000
 *
 * The nemesis is with one node only: the other is the one that must not be let in too early. -DBOTH gives it both, for
 * those who have the time. -DMARGIN=0 takes the margin out, -DNO_REAP releases when the command is only signalled: both must fail.
 *
 * COMMAND stands for its tree here; that what it has left behind dies too is for the tests to show.
 *
 * Time comes in ticks. A kill takes up to two ticks to be done, a local clock falls at most DRIFT behind the server's
 * in a lease; the margin covers both. What must happen at a point in time happens before the next tick. */

#define TTL 5
#ifndef MARGIN
#define MARGIN 3
#endif
#define DRIFT 1
#define DEADLINE (TTL - MARGIN)
#define LATE (TTL + 1) /* as old as matters */

#define DEAD 0
#define ALIVE 1
#define STOPPED 2

#define NONE 0    /* no command, or dead and reaped */
#define RUNNING 1
#define KILLED 2  /* SIGKILL sent in this tick */
#define DYING 3   /* and not yet gone a tick later: it goes before the next one */

#define QUIET 0
#define SENT 1
#define APPLIED 2

byte sentinel[2] = ALIVE, supervisor[2] = ALIVE, command[2];
bool held[2];  /* the supervisor, or the memory it shares with its sentinel, says so */
byte age[2];   /* local ticks since the grant of the held lease was sent */
byte call[2];  /* a grant or a renewal under way */
byte since[2]; /* local ticks since it was sent */
byte slow[2];  /* ticks that the local clock fell behind since the held lease's grant was sent */
byte slower[2]; /* and since the call under way was sent */
byte owner;    /* on the server: 0, or node + 1 */
byte lease;    /* server ticks since it applied the last grant of the owner */

#define overdue(i) (held[i] && age[i] >= DEADLINE)
#define older(x) x = (x < LATE -> x + 1 : LATE)

/* What has to be done before time goes on. */
#define urgent(i) \
	((command[i] == RUNNING && \
	     ((supervisor[i] == ALIVE && (overdue(i) || sentinel[i] == DEAD)) || \
		 (sentinel[i] == ALIVE && (overdue(i) || supervisor[i] == DEAD)) || \
		 (supervisor[i] == STOPPED && overdue(i)))) || \
	    command[i] == DYING)

inline clocks(i) {
	if
	:: if :: held[i] -> older(age[i]) :: else fi;
	   if :: call[i] != QUIET -> older(since[i]) :: else fi
	:: slow[i] < DRIFT && slower[i] < DRIFT && (held[i] || call[i] != QUIET) ->
		slow[i] = slow[i] + (held[i] -> 1 : 0);
		slower[i] = slower[i] + (call[i] != QUIET -> 1 : 0)
	fi;
	if
	:: command[i] == KILLED -> command[i] = DYING
	:: else
	fi
}

inline release(i) {
	if
	:: owner == i + 1 -> owner = 0
	:: else
	fi;
	held[i] = false;
	call[i] = QUIET; /* an answer that comes later is nobody's */
	age[i] = 0; since[i] = 0; slow[i] = 0; slower[i] = 0
}

inline step(i) {
	if
	/* A grant, or its renewal; lost on the way there, on the way back, or given up. */
	:: supervisor[i] == ALIVE && sentinel[i] != DEAD && call[i] == QUIET && (held[i] || command[i] == NONE) ->
		call[i] = SENT; since[i] = 0; slower[i] = 0
	:: call[i] == SENT && (owner == 0 || owner == i + 1) -> owner = i + 1; lease = 0; call[i] = APPLIED
	:: call[i] != QUIET -> call[i] = QUIET; since[i] = 0; slower[i] = 0
	/* The answer: counted from the sending. */
	:: call[i] == APPLIED && supervisor[i] == ALIVE ->
		call[i] = QUIET; age[i] = since[i]; slow[i] = slower[i]; since[i] = 0; slower[i] = 0;
		if
		:: held[i]
		:: !held[i] && age[i] < DEADLINE && command[i] == NONE -> held[i] = true; command[i] = RUNNING
		:: !held[i] && age[i] >= DEADLINE -> age[i] = 0; slow[i] = 0
		fi
	/* The command ends, or is killed. */
	:: command[i] == RUNNING -> command[i] = NONE
	:: command[i] == RUNNING && supervisor[i] == ALIVE -> command[i] = KILLED
	:: command[i] == RUNNING && sentinel[i] == ALIVE && (supervisor[i] == DEAD || overdue(i)) -> command[i] = KILLED
	/* Both stopped, or nobody left to act: the kernel kills the supervisor, and the command with it. */
	:: command[i] == RUNNING && supervisor[i] == STOPPED && overdue(i) -> supervisor[i] = DEAD; command[i] = KILLED
	:: command[i] >= KILLED -> command[i] = NONE
	/* Release: after the command's death. */
	:: held[i] && supervisor[i] == ALIVE && command[i] == NONE -> release(i)
	:: held[i] && supervisor[i] == DEAD && sentinel[i] == ALIVE && command[i] == NONE -> release(i)
#ifdef NO_REAP
	:: held[i] && supervisor[i] == ALIVE && command[i] == KILLED -> release(i)
#endif
	/* All gone: started anew. */
	:: (supervisor[i] == DEAD || sentinel[i] == DEAD) && command[i] == NONE && !(supervisor[i] == DEAD && sentinel[i] == ALIVE && held[i]) ->
		supervisor[i] = ALIVE; sentinel[i] = ALIVE; held[i] = false; call[i] = QUIET; age[i] = 0; since[i] = 0; slow[i] = 0; slower[i] = 0
	fi
}

/* The nemesis. Killing both at once is what the manual does not promise. */
inline fault(i) {
	if
	:: supervisor[i] == ALIVE -> supervisor[i] = STOPPED
	:: supervisor[i] == STOPPED -> supervisor[i] = ALIVE
	:: supervisor[i] != DEAD && sentinel[i] == ALIVE ->
		supervisor[i] = DEAD;
		command[i] = (command[i] == RUNNING -> KILLED : command[i]) /* PR_SET_PDEATHSIG */
	:: sentinel[i] == ALIVE -> sentinel[i] = STOPPED
	:: sentinel[i] == STOPPED -> sentinel[i] = ALIVE
	:: sentinel[i] != DEAD && supervisor[i] == ALIVE -> sentinel[i] = DEAD
	fi
}

active proctype world() {
	do
	:: atomic { step(0) }
	:: atomic { step(1) }
	:: atomic { fault(0) }
#ifdef BOTH
	:: atomic { fault(1) }
#endif
	:: atomic { owner != 0 && lease >= TTL -> owner = 0 }
	:: atomic {
		!urgent(0) && !urgent(1) ->
		older(lease); clocks(0); clocks(1)
	}
	od
}

/* Mutual exclusion; and nobody else can own what a live command is protected by. */
active proctype monitor() {
	atomic {
		(command[0] != NONE && command[1] != NONE) ||
		(command[0] != NONE && owner == 2) || (command[1] != NONE && owner == 1) -> assert(false)
	}
}
