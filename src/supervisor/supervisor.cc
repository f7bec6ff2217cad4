// A supervisor's beginning, and what is asked of it between turns.
#include "supervisor/supervisor.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "supervisor/report.h"
#include "supervisor/selection.h"
#include "supervisor/takeover.h"
#include "supervisor/waits.h"

namespace hearth::supervisor {

namespace {

std::vector<std::string> client_command(const Options& options) {
  if (options.client.empty()) return {};
  return {options.client, "--dir", options.directory};
}

bool has_sandbox(const ServiceSpec& spec) {
  const Sandbox& box = *spec.process->sandbox;
  return box.limits_reading || box.limits_writing || box.limits_executing || !box.deny_syscalls.empty();
}

}  // namespace

Supervisor::Supervisor(World world, wire::DecisionPage& page, Options options)
    : world_(world),
      page_(page),
      writer_(page),
      options_(std::move(options)),
      lives_(book_, world.keeper),
      evidence_(book_, lives_, world.keeper),
      goals_(book_, lives_),
      placing_(book_, goals_, world.keeper, world.store),
      orders_(book_, goals_, placing_, page, options_.instance, client_command(options_), options_.no_client),
      acts_(book_, world.keeper, world.probes, world.store),
      scribe_(book_, world.keeper, world.store, page) {}

bool Supervisor::readable(const wire::DecisionPage& page) {
  return problem_of(page) == PageProblem::none;
}

Result<std::unique_ptr<Supervisor>> Supervisor::create(World world, wire::DecisionPage& page, Options options,
                                                       const ports::Heritage& heritage, Now now) {
  std::unique_ptr<Supervisor> self(new Supervisor(world, page, std::move(options)));
  SlotBook& book = self->book_;
  self->now_ = now;
  self->since_ = now.wall;
  Takeover takeover(book, self->lives_, self->evidence_, self->placing_, world, self->options_, now);
  if (readable(page)) {
    const Result<bool> revived = takeover.resume(page);
    if (!revived) return failure(revived.error());
    self->revived_ = *revived;
    self->absent_since_ = 0;  // whatever ran out before this moment ran out while nobody watched
  } else {
    const Result<ports::JournalMark> mark = world.store.continue_journal(std::nullopt);
    if (!mark) return failure(mark.error());
    // One of another version must not be taken for ours in parts, and what a first commit that never was has left
    // must not come alive with ours.
    if (page.magic != 0 && !wire::decision_page_valid(page, sizeof page, record_version)) {
      const std::uint64_t state_id = page.state_id;
      std::memset(static_cast<void*>(&page), 0, sizeof page);
      page.state_id = state_id;
    }
    // A head that makes no sense must not hold until our first commit, nor answer for orders whose numbers begin anew.
    if (wire::held_head(page) != nullptr) {
      for (wire::OperationRecord& record : page.operation) record.stamp = 0;
      for (wire::HeadCopy& copy : page.head) copy.stamp = 0;
    }
    wire::decision_page_init(page, record_version);
    wire::discard_uncommitted(page, 0);
    book.head.random = self->options_.seed | 1;
    book.head.last_run = heritage.greatest_run;
    book.head.keeper_generation = self->options_.keeper_generation;
    book.head.keeper_execs_told = self->options_.keeper_programs.execs;
    book.head.keeper_refusals_told = self->options_.keeper_programs.refusals;
    takeover.begin_events(*mark, heritage.last_event);
    book.head_changed = true;
    takeover.adopt(heritage);
  }
  // Also what shall not be there: our predecessor may have died before its files agreed with its decisions.
  for (const SlotIndex slot : book.used()) book.marking.push(slot);
  book.another_turn = true;
  return self;
}

void Supervisor::keeper_replaced(std::int32_t pid, std::uint32_t generation) {
  options_.keeper_pid = pid;
  options_.keeper_generation = book_.head.keeper_generation = generation;
  book_.head_changed = true;
  acts_.forget_sent();
  book_.another_turn = true;
  book_.add_note({now_.wall, "the keeper was replaced; runs were adopted"}, Happening::keeper);
}

void Supervisor::look_at_keeper(const KeeperPrograms& found, WallNs now) {
  Head& head = book_.head;
  options_.keeper_programs = found;
  if (found.execs == head.keeper_execs_told && found.refusals == head.keeper_refusals_told) return;
  if (found.execs != head.keeper_execs_told)
    book_.add_note({now, "the keeper (PID " + std::to_string(options_.keeper_pid) +
                             ") executed another program in its own place, and goes on with all that it had"},
                   Happening::upgrade);
  if (found.refusals != head.keeper_refusals_told)
    book_.add_note({now, "the keeper goes on with the program that it had: " + found.refusal_reason},
                   Happening::upgrade);
  head.keeper_execs_told = found.execs;
  head.keeper_refusals_told = found.refusals;
  book_.head_changed = true;
  book_.another_turn = true;
}

void Supervisor::add_note(std::string text, std::string slot) {
  book_.add_note({now_.wall, std::move(text), std::move(slot)});
}

void Supervisor::drop_note(const std::string& text) {
  if (std::erase_if(book_.notes, [&](const Note& note) { return note.text == text; }) > 0) book_.visible_change = true;
}

void Supervisor::add_upgrade_note(std::string text) {
  book_.add_note({now_.wall, std::move(text)}, Happening::upgrade);
}

void Supervisor::add_lasting_note(std::string text) {
  book_.add_note({0, std::move(text)});
}

namespace {

// Who is stopped does nothing, and says nothing. We answer, so we are not.
void note_who_is_stopped(const Companions& companions, std::vector<Note>& notes) {
  const auto note = [&](const char* who, const Companion& companion, const char* until) {
    const std::string pid = std::to_string(companion.pid);
    if (companion.stopped)
      notes.push_back({0, std::string(who) + " (PID " + pid + ") is stopped: " + until + " `kill -CONT " + pid + "`"});
  };
  note("the keeper", companions.keeper, "nothing starts, and no end is noticed, until");
  note("the logger", companions.logger, "output of services waits until");
  for (const Companion& spawner : companions.spawners) note("a spawner", spawner, "starts may wait until");
}

}  // namespace

InstanceStatus Supervisor::instance() const {
  InstanceStatus out;
  out.instance = options_.instance;
  out.version = options_.version;
  out.directory = options_.directory;
  out.supervisor_pid = options_.pid;
  out.supervisor_since = since_;
  out.takeovers = book_.head.takeovers;
  out.upgrades = options_.upgrades;
  out.returns = options_.returns;
  out.return_reason = options_.return_reason;
  out.keeper_pid = options_.keeper_pid;
  out.keeper_generation = options_.keeper_generation;
  out.keeper_programs = options_.keeper_programs;
  out.companions = world_.keeper.companions();
  out.notes = book_.notes;
  note_who_is_stopped(out.companions, out.notes);
  if (book_.head.statuses_lost > 0)
    out.notes.push_back({0, "exit statuses that could not be learnt: " + std::to_string(book_.head.statuses_lost)});
  if (const std::optional<std::string> trouble = world_.store.trouble()) out.notes.push_back({0, *trouble});
  out.service_count = static_cast<std::size_t>(std::ranges::distance(book_.services()));
  return out;
}

InstanceStatus Supervisor::status() const {
  InstanceStatus out = instance();
  out.services.reserve(out.service_count);
  Waits waits(book_);
  for (const SlotIndex slot : book_.services()) {
    out.services.push_back(slot_status(book_, world_.keeper, waits, options_.log_directory, slot, now_));
    if (std::string open = world_.keeper.not_held(book_.service_spec(slot)); !open.empty())
      out.notes.push_back({0, book_.label(slot) + ": " + std::move(open), book_.label(slot)});
  }
  return out;
}

namespace {

std::string some_labels(const SlotBook& book, const std::vector<SlotIndex>& slots) {
  constexpr std::size_t most = 6;
  std::string labels;
  for (std::size_t i = 0; i < std::min(slots.size(), most); ++i)
    labels += (labels.empty() ? "" : ", ") + book.label(slots[i]);
  if (slots.size() > most) labels += ", and " + std::to_string(slots.size() - most) + " more";
  return labels;
}

}  // namespace

bool Supervisor::has_sandboxes() const {
  return std::ranges::any_of(book_.services(), [&](SlotIndex slot) { return has_sandbox(book_.service_spec(slot)); });
}

bool Supervisor::is_sandboxed(const std::string& label) const {
  for (const SlotIndex slot : book_.used())
    if (book_.label(slot) == label) return book_.document_of(slot) == nullptr || has_sandbox(book_.service_spec(slot));
  return true;
}

Result<Document> Supervisor::specification(const std::string& name) const {
  Request request;
  request.names = {name};
  const Result<std::vector<SlotIndex>> chosen = named(book_, request);
  if (!chosen) return failure(chosen.error());
  if (chosen->size() != 1)
    return failure(Remedy::fix_input, "choose", name, std::to_string(chosen->size()) + " services have that name",
                   "name one of them: " + some_labels(book_, *chosen));
  const Document& document = *book_.document_of(chosen->front());
  Document one;
  one.version = document.version;
  one.project = document.project;
  one.path = document.path;
  one.environment = document.environment;
  one.services = {book_.spec_of(chosen->front())};
  one.services[0].depends_on.clear();  // those are not in it
  return one;
}

std::optional<OrderReport> Supervisor::order(const OperationKey& key) const {
  const wire::OperationRecord* record = wire::find_operation(page_, key.data());
  if (record == nullptr) return std::nullopt;
  return order_report(book_, world_.keeper, options_.log_directory, *record, now_);
}

ports::EventLines Supervisor::events(EventId after, std::size_t most_bytes) const {
  return world_.store.read_events(after, most_bytes);
}

std::optional<bool> Supervisor::settled(const OperationKey& key) const {
  const wire::OperationRecord* record = wire::find_operation(page_, key.data());
  if (record == nullptr) return std::nullopt;
  return order_settled(book_, world_.keeper, *record);
}

}  // namespace hearth::supervisor
