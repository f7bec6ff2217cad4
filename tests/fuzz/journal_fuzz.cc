// The event journal. The first byte chooses: 'r' a hostile file where a journal should be; 'l' an event with hostile texts
// as a line; 'j' a life of the journal in memory and its copy on the disk, killed before and after commits, with torn
// and foreign bytes at the end of what it finds: what was committed is read, once and in order, and nothing else.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <boost/json.hpp>

#include "base/check.h"
#include "base/toml_text.h"
#include "fuzz/bytes.h"
#include "fuzz/scratch.h"
#include "os/fd.h"
#include "store/event_line.h"
#include "store/journal.h"
#include "store/journal_copy.h"

namespace {

using namespace hearth;
using namespace hearth::store;

constexpr std::uint64_t small_segment = 600;  // bytes
constexpr std::uint64_t small_file = 2'000;

std::vector<EventId> ids_of(std::string_view text) {
  std::vector<EventId> ids;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    HEARTH_CHECK(end != text.npos, "whole lines");
    if (const EventId id = event_id_of(text); id != no_event) ids.push_back(id);
    text.remove_prefix(end + 1);
  }
  return ids;
}

void feed_file(std::string_view text, EventId after) {
  static const os::Fd file = *os::make_memfd("journal", 0);
  HEARTH_CHECK(::ftruncate(file.get(), 0) == 0, "it is emptied");
  HEARTH_CHECK(::pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()), "and written");
  const ports::JournalMark mark = end_of_journal(file.get()).value();
  HEARTH_CHECK(mark.last == last_event_in(text), "the last whole line that is one of ours");
  HEARTH_CHECK(mark.end == end_of_lines(text), "what is torn at the end is not believed");
  const std::uint64_t at = find_line(file.get(), text.size(), after);
  HEARTH_CHECK(at <= text.size(), "a place in the file");
}

EventRecord event_from(fuzz::Bytes& bytes, EventId id) {
  EventRecord event;
  event.id = id;
  event.time = bytes.number<WallNs>() % (seconds(4'000'000'000));
  event.what = static_cast<Happening>(bytes.byte() % 12);
  event.service = bytes.text().substr(0, 150);
  event.cause = id > 1 ? bytes.byte() % id : no_event;
  event.to = "running";
  event.run = bytes.byte();
  event.pid = bytes.number<std::int32_t>();
  event.exit.code = bytes.byte() % 5;
  event.exit.status = bytes.byte();
  event.exit.fail_stage = bytes.byte() % 14;
  event.by.pid = bytes.byte();
  event.by.command = bytes.text();
  event.text = bytes.text();
  return event;
}

void feed_line(fuzz::Bytes bytes) {
  const EventId id = 1 + bytes.number<std::uint64_t>() % (std::uint64_t{1} << 62);
  EventRecord event = event_from(bytes, id);
  while (event.text.size() < 3 * event_text_max && !event.text.empty()) event.text += event.text;
  std::string line;
  append_event_line(line, event);
  HEARTH_CHECK(line.size() <= event_line_max && line.find('\n') == line.size() - 1, "one line of bounded length");
  HEARTH_CHECK(valid_utf8(line), "it is text");
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(line, error);
  HEARTH_CHECK(!error && value.is_object() && value.at("id").to_number<std::uint64_t>() == id, "and JSON");
  HEARTH_CHECK(event_id_of(line) == id && last_event_in(line) == id, "whose id is found without a parser");
}

// A journal, whoever lives; what is committed is known here as well.
class Life {
 public:
  Life() {
    directory_.reset(::open(place_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    begin(std::nullopt);
  }

  void append(fuzz::Bytes& bytes) {
    std::vector<EventRecord> events;
    EventId id = mark_.last;
    for (int left = 1 + bytes.byte() % 3; left > 0; --left) events.push_back(event_from(bytes, ++id));
    const Result<std::uint64_t> end = journal_->append(events);
    HEARTH_CHECK(end.has_value(), "there is room");
    next_ = {id, *end};
  }
  void commit() {
    if (next_.last <= mark_.last) return;
    mark_ = next_;
    journal_->committed(mark_);
  }
  void die(std::string_view torn) {
    // Somebody else's bytes behind what was committed, as a killed writer leaves them.
    if (!journal_->segments().empty() && !torn.empty()) {
      const Segment& newest = journal_->segments().back();
      (void)!::pwrite(newest.file->get(), torn.data(), torn.size(), static_cast<off_t>(newest.size));
    }
    begin(mark_);
    HEARTH_CHECK(mark_.last == journal_->last(), "a successor goes on at the commit");
  }
  void copy() {
    copy_->offer(journal_->segments());
    HEARTH_CHECK(copy_->pass() && copy_->settled(), "it is copied");
    copied_ = mark_.last;
  }
  void tear(std::string_view torn) {
    const os::Fd file(::open((place_.path() + "/" + events_file).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    const std::string bytes = "{\"id\":" + std::string(torn.substr(0, torn.find('\n')));
    if (file) (void)!::write(file.get(), bytes.data(), bytes.size());
    copy_ = std::make_unique<JournalCopy>(directory_.get(), small_file);
  }

  void check() {
    const ports::EventLines first = journal_->read(no_event, 1);
    HEARTH_CHECK(first.newest == mark_.last, "the newest is what was committed");
    EventId expected = first.oldest;
    for (EventId after = no_event; after < mark_.last;) {
      const ports::EventLines some = journal_->read(after, 300);
      for (const EventId id : ids_of(some.text)) {
        HEARTH_CHECK(id == expected, "each event is there, once and in order");
        after = expected++;
      }
      if (some.text.empty()) break;
    }
    HEARTH_CHECK(expected == mark_.last + 1, "to the last one");
    check_copy();
  }

 private:
  void begin(std::optional<ports::JournalMark> mark) {
    journal_ = std::make_unique<Journal>(directory_.get(), small_segment);
    mark_ = next_ = journal_->resume(mark, no_event).value();
    copy_ = std::make_unique<JournalCopy>(directory_.get(), small_file);
  }
  void check_copy() {
    EventId last = no_event;
    for (const char* name : {events_file_before, events_file}) {
      const Result<std::string> text = os::read_file(place_.path() + "/" + name);
      if (!text) continue;
      for (const EventId id : ids_of(std::string_view(*text).substr(0, end_of_lines(*text)))) {
        HEARTH_CHECK(id > last, "on the disk each event is once and in order");
        last = id;
      }
    }
    HEARTH_CHECK(last >= copied_ && last <= mark_.last, "the disk has what was copied, and nothing uncommitted");
  }

  fuzz::ScratchDirectory place_;
  os::Fd directory_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalCopy> copy_;
  ports::JournalMark mark_, next_;
  EventId copied_ = no_event;
};

void feed_life(fuzz::Bytes bytes) {
  Life life;
  for (int steps = 0; !bytes.empty() && steps < 60; ++steps) {
    switch (bytes.byte() % 6) {
      case 0:
      case 1: life.append(bytes); break;
      case 2: life.commit(); break;
      case 3: life.die(bytes.text()); break;
      case 4: life.copy(); break;
      case 5: life.tear(bytes.text()); break;
    }
  }
  life.check();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const char kind = static_cast<char>(bytes.byte());
  if (kind == 'r') {
    const EventId after = bytes.byte();
    feed_file(bytes.rest(), after);
  }
  if (kind == 'l') feed_line(bytes);
  if (kind == 'j') feed_life(bytes);
  return 0;
}
