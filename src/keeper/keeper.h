// The keeper: parent and subreaper of everything, and the PID the world knows. The spawner, which forks from
// it, has its own face: spawner.h.
//
// Model
// -----
// One thread, one epoll. No allocation after start, nothing is parsed but the kernel's list of our children and
// /proc/PID/stat of members, and after start the keeper touches no file system but /proc: a hung disk cannot hold it, nor
// can a full one. It decides nothing about services. It has four kinds of things:
//
//   members   supervisor, logger, spawners. Each: not running -> running -> not running ..., started again at
//             once, or after a delay when it keeps dying by itself (members.cc). A member's socket is drained
//             before its successor starts: what a dead supervisor had said counts. The next supervisor is executed
//             already when the socket of the one before is closed; it is told nothing, and so does nothing,
//             until that one's end has been seen.
//   clients   supervisor and logger as readers of the keeper's messages. What a client still has to be told
//             is state (hello sent? which spawners announced? which descriptors?), never a queue of
//             messages; a full socket is gone on with when it has room (clients.cc).
//   runs      entries of the slot table (slot_table.h has their life). The keeper's own view of one:
//               unseen    nothing known yet, or run == 0
//               child     our child: its pidfd tells its exit, once; then held as a zombie until REAP
//               foreign   a process of an earlier keeper: it is watched once the supervisor hands its pidfd
//                         over (adopt), and the pidfd is kept until REAP, since only through it is the
//                         process group still certain to be that run's
//             A child that leaves a daemon (`follow`) goes on with that as its process, which is our child as well: its
//             parent has ended, and we are the reaper of orphans.
//             (runs.cc)
//   parked    descriptors kept for the supervisor, found by identity (parked.cc)
//
// Children that are neither members nor runs are strays: reaped at once. A child that has died is taken for a
// stray only after the entries have been read *later* than its death was seen, because the kernel writes the
// pid of a run into its entry before that run executes an instruction (strays.cc).
//
// How the keeper ends:
//   finish        the supervisor says so: spawners are killed; supervisor and logger see the end of their
//                 sockets, the logger when it knows of all output. Both have done their work when they exit
//                 with 0: one that dies otherwise is started again, as ever. After 10 s they are killed, and
//                 standard error says what that costs. Exit 0
//   stop alone    TERM or INT came, and no supervisor comes up: the keeper stops the runs itself, greatest
//                 stop_rank first, then as above (ending.cc)
//   exec          no end: another program goes on as the same process, with all of this (exec.cc)
//   killed        a living supervisor starts another keeper with --take-over; the runs are then foreign
//
// What the system refuses: EINTR is retried. A pidfd, a fork or a socket that cannot be had now is tried again
// in 100 ms. A descriptor that cannot be received is counted (parks_refused); the supervisor still has it.
// Only what is missing at start ends the keeper: exit 71 with a message; 75 when the instance has a keeper.
#pragma once

namespace hearth::keeper {

// argv as of the program hearth-keeper:
//   --dir DIR --logs LOGDIR --supervisor PATH --logger PATH [--take-over FD] [--supervisor-program FD]
//   [--logger-program FD] [--up-within MS]
// The programs of the two that are named by descriptor are executed so, and by their paths where that cannot be.
// --up-within is for tests: 15000 unless it says otherwise (probation.cc). --dry-run FD, --resume FD and --came-back N are
// for a keeper that executes another one (exec.cc).
// Returns the exit status: 0 finished (or what FinishRecord says), 64 usage, 71 cannot start, 75 another keeper is there.
int keeper_main(int argc, char** argv);

// As of hearth-keeper --trial: one JSON object on stdout, which version and formats the program is of. What is kept is tried
// when it is executed in a keeper's place (exec.cc); this is for who would order that. Exit status: 0, 1 it cannot be written.
int keeper_trial(const char* version);

}  // namespace hearth::keeper
