/* A model of the promise: two nodes, each a sentinel, a supervisor, a keeper and a command, and one lease server. Clocks
 * drift, messages are lost or late, processes die and are stopped at any step. Checked: two commands never run together, the
 * lock is released only when the command is dead, and nobody loses it who has it.
 *
 *   spin -a lock.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000
 *
 * The nemesis is with one node only: the other is the one that must not be let in too early. -DBOTH gives it both, for
 * those who have the time. Taken out, each of these must fail: -DMARGIN=0, the margin; -DNO_REAP, the waiting for the command's
 * death before a release; -DNO_KEEPER, the keeper's killing; -DLATE_LOOK, the distrust of a look that was read before the last
 * move of the key.
 *
 * -DLOOK adds looks, and leaves of the nemesis only stopping the supervisor, or the states would be too many.
 *
 * -DSTUCK is another question: a command that SIGKILL does not end. It lives on at the end of a lease, so it is asked with an
 * etcd that answers and processes that live: then the lock is kept until the command is dead. -DLEAVES, with which the
 * supervisor gives up and exits, must fail.
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

byte sentinel[2] = ALIVE, supervisor[2] = ALIVE, keeper[2] = ALIVE, command[2];
bool held[2];  /* the supervisor, or the memory it shares with its sentinel, says so */
byte age[2];   /* local ticks since the grant of the held lease was sent */
byte call[2];  /* a grant or a renewal under way */
byte since[2]; /* local ticks since it was sent */
byte slow[2];  /* ticks that the local clock fell behind since the held lease's grant was sent */
byte slower[2]; /* and since the call under way was sent */
byte owner;    /* on the server: 0, or node + 1 */
bit look[2];   /* a look at our own key under way, which has read it */
bit outdated[2]; /* and the key has been moved since */
bit stale[2];  /* and we know of that move: what was read is on a lease that we have forgotten */
bool robbed;   /* somebody was told that he had lost what he had */
byte lease;    /* server ticks since it applied the last grant of the owner */

#define overdue(i) (held[i] && age[i] >= DEADLINE)
#define older(x) x = (x < LATE -> x + 1 : LATE)

/* What has to be done before time goes on. */
#ifdef NO_KEEPER
#define keeps(i) false
#else
#define keeps(i) (keeper[i] == ALIVE)
#endif
#define must_kill(i) \
	((supervisor[i] == ALIVE && (overdue(i) || sentinel[i] == DEAD || keeper[i] == DEAD)) || \
	    (sentinel[i] == ALIVE && (overdue(i) || supervisor[i] == DEAD)) || (supervisor[i] == DEAD && keeps(i)) || \
	    (supervisor[i] == STOPPED && overdue(i)))
#define urgent(i) ((command[i] == RUNNING && must_kill(i)) || command[i] == DYING)

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
	look[i] = 0; outdated[i] = 0; stale[i] = 0;
	age[i] = 0; since[i] = 0; slow[i] = 0; slower[i] = 0
}

inline step(i) {
	if
	/* A grant, or its renewal; lost on the way there, on the way back, or given up. */
	:: supervisor[i] == ALIVE && sentinel[i] != DEAD && call[i] == QUIET && (held[i] || command[i] == NONE) ->
		call[i] = SENT; since[i] = 0; slower[i] = 0
	:: call[i] == SENT && (owner == 0 || owner == i + 1) ->
		owner = i + 1; lease = 0; call[i] = APPLIED; outdated[i] = look[i]
	:: call[i] != QUIET -> call[i] = QUIET; since[i] = 0; slower[i] = 0
	/* The answer: counted from the sending. */
	:: call[i] == APPLIED && supervisor[i] == ALIVE ->
		call[i] = QUIET; stale[i] = outdated[i]; age[i] = since[i]; slow[i] = slower[i]; since[i] = 0; slower[i] = 0;
		if
		:: held[i]
		:: !held[i] && age[i] < DEADLINE && command[i] == NONE && keeper[i] == ALIVE -> held[i] = true; command[i] = RUNNING
		:: !held[i] && (age[i] >= DEADLINE || keeper[i] == DEAD) -> age[i] = 0; slow[i] = 0
		fi
	/* A look at our own key, through the quorum: answered late, or never. One that was read before our last move would show
	 * a lease that is none of ours; its revision tells that it was, so it counts for nothing. */
#if defined(LOOK) || defined(LATE_LOOK)
	:: held[i] && supervisor[i] == ALIVE && look[i] == 0 && owner == i + 1 -> look[i] = 1
	:: look[i] != 0 && supervisor[i] == ALIVE ->
#ifdef LATE_LOOK
		robbed = (stale[i] && owner == i + 1);
#endif
		look[i] = 0; outdated[i] = 0; stale[i] = 0
#endif
	/* The command ends, or is killed. */
	:: command[i] == RUNNING -> command[i] = NONE
	:: command[i] == RUNNING && supervisor[i] == ALIVE -> command[i] = KILLED
	:: command[i] == RUNNING && sentinel[i] == ALIVE && (supervisor[i] == DEAD || overdue(i)) -> command[i] = KILLED
	:: command[i] == RUNNING && supervisor[i] == DEAD && keeps(i) -> command[i] = KILLED
	/* Both stopped, or nobody left to act: the kernel kills the supervisor, and the keeper the command. */
	:: supervisor[i] == STOPPED && overdue(i) -> supervisor[i] = DEAD
	:: command[i] >= KILLED -> command[i] = NONE
	/* Release: after the command's death. */
	:: held[i] && supervisor[i] == ALIVE && command[i] == NONE -> release(i)
	:: held[i] && supervisor[i] == DEAD && sentinel[i] == ALIVE && command[i] == NONE -> release(i)
#ifdef NO_REAP
	:: held[i] && supervisor[i] == ALIVE && command[i] == KILLED -> release(i)
#endif
	/* All gone: started anew. */
	:: (supervisor[i] == DEAD || sentinel[i] == DEAD || keeper[i] == DEAD) && command[i] == NONE &&
	    !(supervisor[i] == DEAD && sentinel[i] == ALIVE && held[i]) ->
		supervisor[i] = ALIVE; sentinel[i] = ALIVE; keeper[i] = ALIVE; look[i] = 0; outdated[i] = 0; stale[i] = 0; held[i] = false; call[i] = QUIET; age[i] = 0; since[i] = 0; slow[i] = 0; slower[i] = 0
	fi
}

/* The nemesis. That all three are killed at once is what the manual does not promise: the kernel kills the command then, which
 * is all that there is here. */
inline fault(i) {
	if
#ifndef LOOK
	:: supervisor[i] == ALIVE -> supervisor[i] = STOPPED
	:: supervisor[i] == STOPPED -> supervisor[i] = ALIVE
	:: supervisor[i] != DEAD -> supervisor[i] = DEAD
	:: keeper[i] != DEAD ->
		keeper[i] = DEAD;
		command[i] = (command[i] == RUNNING -> KILLED : command[i]) /* PR_SET_PDEATHSIG */
	:: sentinel[i] == ALIVE -> sentinel[i] = STOPPED
	:: sentinel[i] == STOPPED -> sentinel[i] = ALIVE
	:: sentinel[i] != DEAD -> sentinel[i] = DEAD
#else
	:: supervisor[i] == ALIVE -> supervisor[i] = STOPPED
	:: supervisor[i] == STOPPED -> supervisor[i] = ALIVE
#endif
	fi
}

#ifdef STUCK

/* A command that lives on after SIGKILL, for as long as it likes: node 0 renews, whatever time it is, before its lease can
 * end; node 1 waits. */
#define stuck (command[0] == KILLED)

active proctype stuck_world() {
	owner = 1; held[0] = true; command[0] = RUNNING;
	do
	:: atomic { command[0] == RUNNING -> command[0] = KILLED }
	:: atomic { command[0] != NONE -> command[0] = NONE }
	:: atomic { held[0] && command[0] == NONE -> held[0] = false; owner = 0 }
	:: atomic { held[0] && owner == 1 -> lease = 0 }
#ifdef LEAVES
	:: atomic { held[0] && stuck -> held[0] = false }
#endif
	:: atomic { owner == 0 && command[1] == NONE -> owner = 2; lease = 0; command[1] = RUNNING }
	:: atomic { command[1] == RUNNING && owner == 2 -> command[1] = NONE; owner = 0 }
	:: atomic { owner != 0 && lease >= TTL && owner == 1 -> owner = 0 }
	/* Time: as long as node 0 holds, it has renewed by then. */
	:: atomic { !(held[0] && lease >= TTL - 1) -> older(lease) }
	od
}

#else

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

#endif

/* Mutual exclusion; nobody is robbed; and nobody else can own what a live command is protected by. */
active proctype monitor() {
	atomic {
		(command[0] != NONE && command[1] != NONE) ||
		(command[0] != NONE && owner == 2) || (command[1] != NONE && owner == 1) || robbed -> assert(false)
	}
}
