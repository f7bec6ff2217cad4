// Moves output, one batch at a time, so that a SIGKILL at any instruction loses and doubles nothing. The model
// is in wire/log_page.h; this is the only writer of the page's batch and of a stream's progress.
//
// A batch that cannot be written although its space was reserved (EIO; a file system without fallocate) is
// *stuck*: it occupies the in-flight pipe and the buffer, so nothing else moves until try_again() succeeds or
// give_up() counts it as lost. Recovery is the same thing: what a killed logger left is a stuck batch.
//
// One thread. Everything borrowed outlives the mover. Nothing here allocates, except create().
#pragma once

#include <algorithm>
#include <atomic>
#include <bitset>
#include <memory>
#include <stddef.h>
#include <stdint.h>
#include <type_traits>

#include "base/ids.h"
#include "logger/file_sink.h"
#include "logger/system.h"
#include "wire/log_page.h"

namespace hearth::logger {

enum class Moved {
  bytes,    // a batch was moved
  nothing,  // the FIFO is empty, or has no writer
  blocked,  // `error` holds this stream up; its bytes are still in the FIFO
  stuck,    // `error` holds the batch up, and with it every stream
};

struct MoveResult {
  Moved what = Moved::nothing;
  uint64_t bytes = 0;  // raw
  int error = 0;       // errno
};

// More than this at a time is slower: buffer and file pages no longer stay in the cache between the copies.
inline constexpr uint64_t largest_batch = 256u << 10;
static_assert(largest_batch <= wire::log_buffer_bytes);

// What the mover works on; parked at the keeper, all but log_directory.
struct MoverParts {
  wire::LogPage* page = nullptr;
  char* buffer = nullptr;  // wire::log_buffer_bytes, shared memory
  int pipe_read = -1;
  int pipe_write = -1;
  uint64_t pipe_bytes = 0;  // F_GETPIPE_SZ
  int log_directory = -1;
};

// How old a logger may be that waits for the files of the one before.
inline constexpr SpanNs claims_are_waited_for = seconds(1);

class Sinks;

class Mover {
 public:
  Mover(System& system, const MoverParts& parts);

  // Is offered each batch when it is in the file.
  void set_sinks(Sinks& sinks) { sinks_ = &sinks; }

  // Bytes of the largest batch.
  uint64_t most() const { return std::min(parts_.pipe_bytes, largest_batch); }
  // Finishes what the predecessor left. Call it first; `nothing` when there was nothing.
  MoveResult recover();

  // Moves one batch from `fifo`, at most what it holds now. `bytes` == 0 with Moved::bytes: something of
  // hearth's own was written, try again.
  MoveResult move(SlotIndex slot, OpenFile& file, RunId run, int fifo);
  // Throws one batch away and counts it. `why` is the errno that the gap's note will name.
  MoveResult discard(SlotIndex slot, RunId run, int fifo, int why);
  // Tells of discarded bytes, if there are some and there is space again. Moved::nothing when not.
  MoveResult tell_gap(SlotIndex slot, OpenFile& file, RunId run);
  // Ends the json object that `run` left open. Moved::nothing when there is none.
  MoveResult close_line(SlotIndex slot, OpenFile& file, RunId run);

  // Goes on in the next file, whatever stands in this one, unless nothing does. An open line goes on there.
  MoveResult rotate(SlotIndex slot, OpenFile& file);
  // Points NAME_PID.log of the run to the file that is written, where that is wanted and not so yet.
  void link_process(SlotIndex slot, OpenFile& file, RunId run);
  // The next stream of which a file was completed that its policy has something to do with; no_slot = none.
  SlotIndex take_untidy();

  // A stuck batch: only these two are allowed then. `file`: what this process has open of stuck_slot().
  bool is_stuck() const { return stuck_; }
  SlotIndex stuck_slot() const;
  MoveResult try_again(OpenFile& file);
  void give_up(int why);

  // Gives back blocks that were reserved ahead; to be called for every stream when the disk is full.
  void release_reservation(SlotIndex slot, OpenFile& file);

 private:
  wire::LogStream& stream(SlotIndex slot) { return page_.stream[slot]; }

  // Every store to the page, in the order of the program: a SIGKILL leaves a prefix of them.
  template <typename T>
  void put(T& field, std::type_identity_t<T> value) {
    system_.before_store();
    field = value;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  template <typename T>
  void put(std::atomic<T>& field, std::type_identity_t<T> value) {
    system_.before_store();
    field.store(value, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  void commit(SlotIndex slot, uint64_t file, wire::BatchState state);

  // Before a batch.
  int prepare(SlotIndex slot, OpenFile& file, RunId run);
  int first_file(SlotIndex slot, OpenFile& file);
  int64_t end_of_newest(int directory, uint64_t number, const wire::LogStream& s);
  int64_t claim_newest(int fd);
  int open_current(SlotIndex slot, OpenFile& file, RunId run);
  int check_current(SlotIndex slot, OpenFile& file, RunId run);
  int reserve(SlotIndex slot, OpenFile& file, uint64_t need);
  int reserve_for(SlotIndex slot, OpenFile& file, uint64_t& raw);

  // A batch.
  MoveResult take(SlotIndex slot, RunId run, int fifo, uint64_t size, wire::BatchKind kind, int why);
  int copy_to_buffer(int64_t left);
  void enter_write(SlotIndex slot);
  MoveResult write(SlotIndex slot, OpenFile& file, bool again);
  int reopen(SlotIndex slot, OpenFile& file, const wire::LogBatch& batch);
  bool is_due(SlotIndex slot, OpenFile& file);
  int own_batch(SlotIndex slot, OpenFile& file, RunId run, wire::BatchKind kind, uint64_t bytes, int why);
  void finish(SlotIndex slot, const FileSink& sink, const LineState& state, const wire::LogBatch& batch);
  void finish_discard(SlotIndex slot);
  void remove_old(SlotIndex slot, OpenFile& file);

  System& system_;
  MoverParts parts_;
  wire::LogPage& page_;
  std::unique_ptr<char[]> sink_buffer_;
  MonoNs waits_for_claims_until_;
  OpenFile recovered_;  // the file of the batch that recover() works on
  Sinks* sinks_ = nullptr;
  std::bitset<wire::max_slots> untidy_;
  bool has_untidy_ = false;
  bool stuck_ = false;
};

}  // namespace hearth::logger
