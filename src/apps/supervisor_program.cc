#include "apps/supervisor_program.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <malloc.h>
#include <memory>
#include <numeric>
#include <signal.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "api/server.h"
#include "api/status_json.h"
#include "api/timer.h"
#include "apps/held_programs.h"
#include "apps/member_log.h"
#include "apps/refused_parks.h"
#include "apps/upgrade_words.h"
#include "apps/upgrading.h"
#include "base/version.h"
#include "config/document_json.h"
#include "os/at_work.h"
#include "os/clock.h"
#include "os/control_socket.h"
#include "os/inputs.h"
#include "os/instance.h"
#include "os/keeper_client.h"
#include "os/keeper_link.h"
#include "os/keeper_successor.h"
#include "os/plan_builder.h"
#include "os/program_file.h"
#include "os/reserve.h"
#include "os/run_members.h"
#include "os/run_memory.h"
#include "os/service_manager.h"
#include "os/state_directory.h"
#include "probe/prober.h"
#include "store/disk_store.h"
#include "store/heritage.h"
#include "supervisor/supervisor.h"
#include "wire/keeper_messages.h"

namespace hearth::apps {
namespace {

namespace asio = boost::asio;

constexpr SpanNs trim_after = seconds(2);
constexpr SpanNs accept_pause = milliseconds(100);
constexpr SpanNs look_again = milliseconds(2);
constexpr SpanNs look_beside_within = seconds(1);
constexpr std::size_t no_keeper_notes_most = 8;
// Two sockets, three that are watched, what the threads of the store open, and clients.
constexpr std::size_t api_descriptors = 16;

// Wakes the loop when a descriptor that nests others is readable. Level: it is armed again before each sleep. It lives as
// long as the loop, which calls its handler also after the descriptor is closed. One that is not possible, for want of a
// descriptor, is never armed: its wait would end at once, each time.
class Watch {
 public:
  Watch(asio::io_context& io, int fd, std::function<void()> ready = {}) : descriptor_(io), ready_(std::move(ready)) {
    const int copy = ::dup(fd);
    if (copy < 0) return;
    boost::system::error_code error;  // the epoll has no room
    descriptor_.assign(copy, error);
    if (!error) return;
    ::close(copy);
    errno = error.value();
  }
  bool possible() const { return descriptor_.is_open(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  bool armed() const { return armed_; }
  void arm() {
    if (armed_ || !possible()) return;
    armed_ = true;
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
      armed_ = error == asio::error::operation_aborted;
      if (!error && ready_) ready_();
    });
  }

 private:
  asio::posix::stream_descriptor descriptor_;
  std::function<void()> ready_;
  bool armed_ = false;
};

std::string name_of(const std::string& directory) {
  const std::size_t slash = directory.rfind('/');
  return slash == std::string::npos ? directory : directory.substr(slash + 1);
}

class Program {
 public:
  explicit Program(const ProgramOptions& options) : options_(options), timer_(io_) {}

  Status open() {
    Result<std::unique_ptr<os::KeeperLink>> link = os::KeeperLink::connect(os::Fd(wire::member_socket_fd));
    if (!link) return failure(link.error());
    link_ = std::move(*link);
    refused_parks_ = RefusedParks(link_->table().parks_refused);
    link_->show_work(os::work_timer());
    os::ClientOptions client;
    client.directory = options_.directory;
    client.nofile = os::parse_nofile(options_.nofile.c_str());
    keeper_ = std::make_unique<os::KeeperClient>(*link_, os::CgroupTree::open(options_.directory), client);
    census_ = std::make_unique<os::Census>(keeper_->cgroups(), options_.directory);
    store_ = std::make_unique<store::DiskStore>(
        *link_, options_.directory, store::DocumentFormat{config::document_to_json, config::document_from_json});
    if (const Status held = store_->has_directories(); !held) return failure(held.error());
    inbox_ = std::make_unique<os::Inbox>(*link_, [this](const ports::Input& input, const Result<Accepted>& result) {
      server_->answer(input.token, result);
      if (input.request.verb == Verb::upgrade) upgrading_->decided(input);
      if (input.request.verb == Verb::apply) trim_at_ = after(os::read_mono(), trim_after);
    });
    Result<std::unique_ptr<probe::Prober>> prober =
        probe::Prober::create([this](ports::Input input) { inbox_->push(std::move(input)); },
                              [this](SlotIndex slot) { return output_of(slot); },
                              [this](const ports::ProbeTry& order) { return measure_of(order); });
    if (!prober) return failure(prober.error());
    probes_ = std::move(*prober);
    // Taking over may take all descriptors that there are: what cannot be opened waits, and is noted. The API cannot wait,
    // for nobody else could say so.
    os::Reserve for_api(api_descriptors);
    if (const Status begun = begin(); !begun) return begun;
    for_api.give_back();
    Result<os::Fd> listener =
        os::bind_control_socket(link_->descriptor(wire::HelloDescriptor::directory), options_.directory);
    if (!listener) return failure(listener.error());
    api::ServerOptions api;
    api.owner = geteuid();
    if (keeper_->cgroups().usable()) api.tree = keeper_->cgroups().path();
    server_ = std::make_unique<api::Server>(
        io_, std::move(*listener), *supervisor_, [this](ports::Input input) { submit(std::move(input)); }, api);
    keeper_watch_ = std::make_unique<Watch>(io_, link_->epoll());
    probe_watch_ = std::make_unique<Watch>(io_, probes_->epoll());
    if (!keeper_watch_->possible() || !probe_watch_->possible())
      return errno_failure("watch", "the keeper and the probes", errno);
    Result<os::Fd> offers =
        os::bind_keeper_socket(link_->descriptor(wire::HelloDescriptor::directory), options_.directory);
    if (!offers) return failure(offers.error());
    offers_ = std::move(*offers);
    offers_watch_ = std::make_unique<Watch>(io_, offers_.get(), [this] { consider_offer(); });
    if (!offers_watch_->possible()) return errno_failure("watch", "the socket for the next keeper", errno);
    os::tell_service_manager("READY=1");
    return {};
  }

  Status run() {
    for (;;) {
      MonoNs due = turn();
      upgrading_->came_up();
      due = std::min(due, upgrading_->step(os::read_mono()));
      if (upgrading_->may_leave() && !supervisor_->finished()) make_room();
      if (supervisor_->finished() && !link_->handing_over()) return end();
      if (link_->lost()) due = std::min(due, replace_keeper());
      if (link_->handing_over()) due = std::min(due, hand_over());
      sleep_until(due);
    }
  }

 private:
  // The supervisor itself, from what the keeper handed over or, in a new instance, from what is on disk.
  Status begin() {
    supervisor::Options facts;
    facts.instance = name_of(options_.directory);
    facts.version = version;
    facts.directory = options_.directory;
    facts.log_directory = options_.log_directory;
    facts.client = client_program();
    facts.pid = getpid();
    facts.keeper_pid = link_->table().keeper_pid;
    facts.keeper_generation = link_->hello().keeper_generation;
    const wire::SlotTable& table = link_->table();
    facts.continued_by = table.continued_by;
    facts.signals = {{SIGTERM, table.signals_term}, {SIGINT, table.signals_int},   {SIGHUP, table.signals_hup},
                     {SIGUSR1, table.signals_usr1}, {SIGUSR2, table.signals_usr2}, {SIGQUIT, table.signals_quit}};
    const Now now = os::read_clock();
    facts.upgrades = table.upgrades;
    facts.returns = table.supervisor_returns;
    if (facts.returns > 0) facts.return_reason = return_words(table);
    const wire::KeeperRefusal refusal = table.keeper_refusal.load();
    facts.keeper_programs = {table.keeper_execs, refusal.count, keeper_refusal_words(refusal)};
    facts.seed = static_cast<std::uint64_t>(now.wall) ^ (static_cast<std::uint64_t>(facts.pid) << 32);
    ports::Heritage heritage;
    const bool fresh = !supervisor::Supervisor::readable(link_->decisions());
    if (fresh) {
      Result<ports::Heritage> found = store::read_heritage(options_.directory, config::document_from_json);
      if (!found) return failure(found.error());
      heritage = std::move(*found);
    }
    Result<std::unique_ptr<supervisor::Supervisor>> begun = supervisor::Supervisor::create(
        {*keeper_, *inbox_, *probes_, *store_}, link_->decisions(), std::move(facts), heritage, now);
    if (!begun) return failure(begun.error());
    supervisor_ = std::move(*begun);
    if (fresh || supervisor_->revived()) keeper_->remove_stale_names();
    const os::Instance instance{.name = {}, .directory = options_.directory, .log_directory = options_.log_directory};
    if (const std::string risk = os::state_risk(table, instance, os::host_facts()); !risk.empty())
      supervisor_->add_lasting_note(risk);
    upgrading_ = std::make_unique<Upgrading>(
        *link_, *supervisor_,
        Upgrading::Ways{
            [this](ports::Input order) { inbox_->push(std::move(order)); },
            [this](const ports::Input& order, Error why) { server_->answer(order.token, failure(std::move(why))); }});
    upgrading_->tell_outcome();
    programs_.begin(*link_, os::program_beside("hearth-logger"), now.mono);
    member_log_.begin(table, now.wall);
    trim_at_ = after(os::read_mono(), trim_after);
    return {};
  }

  // The order is committed, and its answer is on its way: written, where its client reads. Then we end as one that is
  // killed would (the store's thread may be at work), and the keeper, if it lives, starts what it was given.
  void make_room() {
    constexpr int rounds = 16;  // clients that ask without a pause always have something ready
    server_->turn_done();
    for (int i = 0; i < rounds && handle_some(); ++i) {
    }
    link_->receive();
    if (!link_->lost()) ::_exit(0);
  }

  // `written` last, and all again when the file has changed meanwhile: rather too much of the output is searched than
  // too little.
  probe::OutputState output_of(SlotIndex slot) const {
    const wire::LogStream& stream = link_->logs().stream[slot];
    probe::OutputState output;
    output.directory = options_.log_directory + "/" + stream.directory;
    for (int tries = 0; tries < 100; ++tries) {
      output.end = {stream.file.load(), stream.offset.load()};
      output.written = stream.written.load();
      if (stream.file.load() == output.end.file) break;
    }
    return output;
  }

  // The census is the other thread's; nothing of us is ever taken apart.
  probe::Measure measure_of(const ports::ProbeTry& order) const {
    const os::RunIdentity run{options_.directory, order.label, order.run, order.start_ticks};
    return [run, census = census_.get()](std::uint64_t enough, MonoNs asked) {
      return os::memory_kib(*census, run, enough, asked);
    };
  }

  // Beside us, or where an installation has it: PREFIX/bin, with us in PREFIX/libexec/hearth.
  static std::string client_program() {
    for (const char* name : {"hearth", "../../bin/hearth"})
      if (const std::string path = os::program_beside(name); access(path.c_str(), X_OK) == 0) return path;
    return {};
  }

  void submit(ports::Input input) {
    if (input.request.verb == Verb::upgrade) return upgrading_->submit(std::move(input));
    inbox_->push(std::move(input));
  }

  MonoNs turn() {
    probes_->ready();
    probes_->advance_to(os::read_mono());
    const Now now = os::read_clock();
    upgrading_->look_at_keeper(now.wall);
    const MonoNs parks_due = tell_of_refused_parks(now.mono);
    programs_.refresh(*link_, now.mono);
    MonoNs due = supervisor_->turn(now);
    keeper_->flush();
    // Who ends because it was told to is no news.
    if (!link_->lost() && !supervisor_->finished()) member_log_.look(link_->table(), now.wall);
    std::vector<Note> notes = keeper_->take_notes();
    for (Note& note : inbox_->take_notes()) notes.push_back(std::move(note));
    for (Note& note : store_->take_notes()) notes.push_back(std::move(note));
    for (Note& note : notes) supervisor_->add_note(std::move(note.text), std::move(note.slot));
    for (const std::string& text : store_->take_settled_notes()) supervisor_->drop_note(text);
    upgrading_->look_at_logger();
    if (supervisor_->take_changed()) server_->turn_done();
    if (supervisor_->take_dump_wish()) dump_status(now.wall);
    due = std::min({due, store_->ensure_writer(os::read_mono()), probes_->next_deadline(), trim(), parks_due});
    // A note is an event, too, and is committed by a turn.
    return inbox_->pending() || !notes.empty() ? 0 : due;
  }

  void dump_status(WallNs now) {
    const InstanceStatus status = supervisor_->status();
    std::vector<std::size_t> all(status.services.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    MemberLog::status(api::status_json(status, all), now);
  }

  // Somebody would be our keeper. Dropped, which declines it, as long as there is one that lives or is on its way.
  void consider_offer() {
    os::NewKeeper candidate = os::accept_keeper(offers_.get(), geteuid());
    // Without a descriptor to spare it stays in the backlog, and the socket readable: trying at once would spin.
    if (!candidate.socket) accept_from_ = after(os::read_mono(), accept_pause);
    link_->receive();
    if (link_->lost() && candidate.socket) offered_ = std::move(candidate);
  }

  // Documents are parsed and compared in more memory than they keep. Not at once: whoever applied one waits for us.
  MonoNs trim() {
    if (trim_at_ == never || os::read_mono() < trim_at_) return trim_at_;
    malloc_trim(0);
    return trim_at_ = never;
  }

  // The keeper is dead and everything lives. This and hand_over() return when to look again.
  MonoNs replace_keeper() {
    const MonoNs now = os::read_mono();
    if (keeper_lost_at_ == 0) keeper_lost_at_ = now;
    const MonoNs begin_at = std::max(after(keeper_lost_at_, os::successor_wait()), next_keeper_try_);
    if (!offered_.socket && now < begin_at) return begin_at;
    // Just begun: which logger belongs to us is known in a moment, unless its disk hangs.
    if (!offered_.socket && programs_.looks_beside() && now < after(keeper_lost_at_, look_beside_within))
      return after(now, look_again);
    next_keeper_try_ = after(now, seconds(1));
    Result<os::NewKeeper> keeper = std::exchange(offered_, {});
    keeper_tried_ = "what the service manager started";
    if (!keeper->socket) {
      const os::SuccessorCommand command = next_keeper();
      keeper_tried_ = os::keeper_of(command);
      keeper = os::start_keeper(command);
      // Of what is held only a shortage is told so early, which says nothing of the program.
      if (keeper || command.keeper_program < 0) ++keepers_tried_;
    }
    if (keeper) {
      link_->hand_over_to(std::move(*keeper));
      return now;
    }
    note_no_keeper(keeper.error());
    return next_keeper_try_;
  }

  // What is held may not be good any more: its file system has gone or forbids it, or it is older than the options that
  // it is given. What lies beside us may be none, or another version. So they take turns until one comes up; the first
  // is the one that is known to be good.
  os::SuccessorCommand next_keeper() const {
    const bool by_path = keepers_tried_ % 4 >= 2, plain = keepers_tried_ % 2 == 1;
    os::SuccessorCommand command;
    command.keeper = os::program_beside("hearth-keeper");
    command.supervisor = os::program_beside("hearth-supervisor");
    command.logger = os::program_beside("hearth-logger");
    command.directory = options_.directory;
    command.log_directory = options_.log_directory;
    if (!by_path) command.keeper_program = programs_.keeper(keeper_lost_at_);
    if (plain) return command;
    command.supervisor_program = programs_.supervisor();
    command.logger_program = programs_.logger();
    return command;
  }

  MonoNs tell_of_refused_parks(MonoNs now) {
    const auto has_room = [this] { return link_->keeper_has_room(1); };
    const RefusedParks::News news = refused_parks_.look(link_->table().parks_refused, now, has_room);
    if (!news.gone.empty()) supervisor_->drop_note(news.gone);
    if (!news.told.empty()) supervisor_->add_note(news.told);
    if (news.has_room) link_->offer_again();
    return news.due;
  }

  // Each second, perhaps: each is said once, so that they do not push out all other notes.
  void note_no_keeper(const Error& error) {
    std::string note = "the keeper died, and no other could be started: " + error.text();
    if (std::find(no_keeper_notes_.begin(), no_keeper_notes_.end(), note) != no_keeper_notes_.end()) return;
    if (no_keeper_notes_.size() == no_keeper_notes_most) no_keeper_notes_.erase(no_keeper_notes_.begin());
    no_keeper_notes_.push_back(note);
    supervisor_->add_note(std::move(note));
  }

  MonoNs hand_over() {
    const Result<bool> done = link_->continue_hand_over();
    if (!done) {
      Error error = done.error();
      error.subject += " (of " + keeper_tried_ + ")";
      note_no_keeper(error);
      return next_keeper_try_;
    }
    if (!*done) return link_->hand_over_due();
    keeper_lost_at_ = 0;
    next_keeper_try_ = 0;
    no_keeper_notes_.clear();
    keepers_tried_ = 0;
    os::tell_service_manager("READY=1");  // of the start that made this keeper
    keeper_->keeper_replaced();
    supervisor_->keeper_replaced(link_->table().keeper_pid, link_->table().keeper_generation);
    member_log_.keeper_replaced(link_->table(), os::read_clock().wall);
    return os::read_mono();
  }

  // All is done: answers that are under way are given, then the keeper's end ends us.
  Status end() {
    os::tell_service_manager("STOPPING=1");
    server_->turn_done();
    // What services and probes say stays readable from here on: watched, it would keep us awake.
    // (Without a keeper, who may have died just now, there is no socket and nothing to wait for.)
    ending_ = true;
    if (link_->socket() >= 0) end_watch_ = std::make_unique<Watch>(io_, link_->socket());
    const bool heard = end_watch_ && end_watch_->possible();
    (void)link_->flush();
    keeper_->remove_names();
    const MonoNs until = after(os::read_mono(), seconds(2));
    for (MonoNs now = os::read_mono(); !link_->lost() && now < until; now = os::read_mono()) {
      sleep_until(link_->flush() && heard ? until : std::min(until, after(now, milliseconds(5))));
      link_->receive();
    }
    // Also when the services are left: the list of them. A disk that hangs is not waited for; after an end that it does
    // not show, DIR/state stays, so that the next hearth knows of it.
    const bool written = store_->settle(seconds(1));
    (void)store_->settle_marks(seconds(1));
    for (const char* name : {os::control_socket_name, os::keeper_socket_name})
      unlink((options_.directory + "/" + name).c_str());
    if (written) keeper_->remove_state();
    return {};
  }

  // There is nothing to be watched before the first service has a file.
  void watch_marks() {
    if (marks_watch_ || store_->marks_watch() < 0) return;
    auto watch = std::make_unique<Watch>(io_, store_->marks_watch(), [this] {
      store_->look_at_marks();
      look_at_marks_from_ = after(os::read_mono(), store::Marks::look_pause);
    });
    if (watch->possible()) marks_watch_ = std::move(watch);  // else with the next turn
  }

  void arm_watches(MonoNs now) {
    if (ending_) {
      if (end_watch_) end_watch_->arm();
      return;
    }
    keeper_watch_->arm();
    probe_watch_->arm();
    if (now >= accept_from_) offers_watch_->arm();
    watch_marks();
    if (marks_watch_ && now >= look_at_marks_from_) marks_watch_->arm();
  }

  void sleep_until(MonoNs due) {
    const MonoNs now = os::read_mono();
    const bool unserved = !keeper_watch_->armed();
    arm_watches(now);
    if (unserved && handle_some()) return;
    for (const MonoNs from : {accept_from_, look_at_marks_from_})
      if (now < from) due = std::min(due, from);
    if (due <= now) {
      (void)handle_some();
      return;
    }
    // One that was set before is left: the turn that it may bring costs less than to take it back each time.
    if (due != never)
      timer_.set(api::Timer::Clock::time_point(std::chrono::nanoseconds(due)), [] {});
    else
      timer_.clear();
    io_.run_one();
    // What came over the keeper's line does not wait for clients: they are served before the next sleep.
    if (keeper_watch_->armed()) handle_some();
  }

  // What is ready, but not as long as something is: clients that ask without a pause always have something ready,
  // and supervision would wait for them.
  bool handle_some() {
    int handled = 0;
    while (handled < 64 && io_.poll_one() > 0) ++handled;
    return handled > 0;
  }

  ProgramOptions options_;
  asio::io_context io_;
  api::Timer timer_;
  std::unique_ptr<os::KeeperLink> link_;
  std::unique_ptr<os::KeeperClient> keeper_;
  std::unique_ptr<os::Census> census_;
  std::unique_ptr<os::Inbox> inbox_;
  std::unique_ptr<store::DiskStore> store_;
  std::unique_ptr<probe::Prober> probes_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::unique_ptr<Upgrading> upgrading_;
  HeldPrograms programs_;
  RefusedParks refused_parks_;
  std::unique_ptr<api::Server> server_;
  std::unique_ptr<Watch> keeper_watch_;
  std::unique_ptr<Watch> probe_watch_;
  std::unique_ptr<Watch> offers_watch_;
  std::unique_ptr<Watch> marks_watch_;
  std::unique_ptr<Watch> end_watch_;  // while ending_, in the place of all others
  os::Fd offers_;                     // DIR/keeper.sock
  os::NewKeeper offered_;             // for the one that died
  MemberLog member_log_;
  bool ending_ = false;
  std::vector<std::string> no_keeper_notes_;  // the last that were said of this death
  std::string keeper_tried_;                  // the last one, in words
  std::uint32_t keepers_tried_ = 0;           // of this death
  MonoNs accept_from_ = 0;
  MonoNs look_at_marks_from_ = 0;
  MonoNs keeper_lost_at_ = 0;
  MonoNs next_keeper_try_ = 0;
  MonoNs trim_at_ = never;
};

// mallopt(3). A buffer for the status of a thousand services, or for their document, comes and goes as a mapping of its
// own; by default the first one that goes makes all later ones part of the heap, which then never shrinks.
void keep_heap_small() {
  constexpr int large = 64 << 10;
  ::mallopt(M_MMAP_THRESHOLD, large);
  ::mallopt(M_TRIM_THRESHOLD, 2 * large);
}

}  // namespace

Status run_supervisor(const ProgramOptions& options) {
  keep_heap_small();
  // Never taken apart: the process ends with it, somebody waits for that, and the kernel is faster.
  static Program* const program = new Program(options);
  if (const Status opened = program->open(); !opened) return opened;
  return program->run();
}

}  // namespace hearth::apps
