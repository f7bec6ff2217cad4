#include "apps/supervisor_program.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <malloc.h>
#include <memory>
#include <numeric>
#include <signal.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "api/server.h"
#include "api/status_json.h"
#include "api/timer.h"
#include "apps/held_programs.h"
#include "apps/member_log.h"
#include "apps/next_keeper.h"
#include "apps/own_sockets.h"
#include "apps/refused_parks.h"
#include "apps/upgrading.h"
#include "apps/watch.h"
#include "base/version.h"
#include "config/document_json.h"
#include "os/at_work.h"
#include "os/clock.h"
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
#include "os/upgrade_words.h"
#include "probe/prober.h"
#include "store/disk_store.h"
#include "store/heritage.h"
#include "supervisor/supervisor.h"
#include "wire/keeper_messages.h"

namespace hearth::apps {
namespace {

namespace asio = boost::asio;

constexpr SpanNs trim_after = seconds(2);
// Two sockets, three that are watched, what the threads of the store open, and clients.
constexpr std::size_t api_descriptors = 16;

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
    os::CgroupTree cgroups = os::CgroupTree::open(options_.directory);
    // A shortage may pass: the next supervisor looks again. With none for as long as we live no run would have a leaf.
    if (cgroups.scarce())
      return failure(Remedy::try_later, "look for", "the cgroups of " + options_.directory, cgroups.why());
    keeper_ = std::make_unique<os::KeeperClient>(*link_, std::move(cgroups), client);
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
    api::ServerOptions api;
    api.owner = geteuid();
    if (keeper_->cgroups().usable()) api.tree = keeper_->cgroups().path();
    server_ = std::make_unique<api::Server>(
        io_, os::Fd(), *supervisor_, [this](ports::Input input) { submit(std::move(input)); }, api);
    keeper_watch_ = std::make_unique<Watch>(io_, link_->epoll());
    probe_watch_ = std::make_unique<Watch>(io_, probes_->epoll());
    if (!keeper_watch_->possible() || !probe_watch_->possible())
      return errno_failure("watch", "the keeper and the probes", errno);
    sockets_ = std::make_unique<OwnSockets>(
        io_, link_->descriptor(wire::HelloDescriptor::directory), options_.directory,
        OwnSockets::Ways{[this](os::Fd listener) { server_->listen(std::move(listener)); },
                         [this](os::NewKeeper candidate) { next_keeper_->offer(std::move(candidate)); },
                         [this](std::string text) { supervisor_->add_note(std::move(text)); },
                         [this](const std::string& text) { supervisor_->drop_note(text); }});
    if (const Status bound = sockets_->open(os::read_mono()); !bound) return bound;
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
      if (link_->lost()) due = std::min(due, next_keeper_->start(os::read_mono()));
      if (link_->handing_over()) due = std::min(due, next_keeper_->hand_over(os::read_mono()));
      if (next_keeper_->take_done()) keeper_replaced();
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
    const std::string self = os::program_beside("");
    if (Result<std::string> client = os::find_client(self.substr(0, self.size() - 1)))
      facts.client = std::move(*client);
    else
      facts.no_client = client.error().text();
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
    if (facts.returns > 0) facts.return_reason = os::return_words(table);
    const wire::KeeperRefusal refusal = table.keeper_refusal.load();
    facts.keeper_programs = {table.keeper_execs, refusal.count, os::keeper_refusal_words(refusal)};
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
    next_keeper_ = std::make_unique<NextKeeper>(
        *link_, programs_, options_,
        NextKeeper::Ways{os::start_keeper, [this](std::string text) { supervisor_->add_note(std::move(text)); }});
    programs_.begin(*link_, os::program_beside("hearth-logger"), now.mono);
    member_log_.begin(table, supervisor_->revived(), now.wall);
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

  void submit(ports::Input input) {
    if (input.request.verb == Verb::upgrade) return upgrading_->submit(std::move(input));
    inbox_->push(std::move(input));
  }

  MonoNs turn() {
    probes_->ready();
    const Now now = os::read_clock();
    if (const auto absent_since = supervisor_->absent_since(now.mono))
      probes_->forgive_absence(*absent_since, now.mono);
    probes_->advance_to(now.mono);
    upgrading_->look_at_keeper(now.wall);
    const MonoNs parks_due = tell_of_refused_parks(now.mono);
    const MonoNs programs_due = programs_.refresh(*link_, now.mono);
    const MonoNs sockets_due = sockets_->try_again(now.mono);
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
    due = std::min({due, store_->ensure_writer(os::read_mono()), probes_->next_deadline(), trim(), parks_due,
                    programs_due, sockets_due});
    // A note is an event, too, and is committed by a turn.
    return inbox_->pending() || !notes.empty() ? 0 : due;
  }

  void dump_status(WallNs now) {
    const InstanceStatus status = supervisor_->status();
    std::vector<std::size_t> all(status.services.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    MemberLog::status(api::status_json(status, all), now);
  }

  // Documents are parsed and compared in more memory than they keep. Not at once: whoever applied one waits for us.
  MonoNs trim() {
    if (trim_at_ == never || os::read_mono() < trim_at_) return trim_at_;
    malloc_trim(0);
    return trim_at_ = never;
  }

  MonoNs tell_of_refused_parks(MonoNs now) {
    const auto has_room = [this] { return link_->keeper_has_room(1); };
    const RefusedParks::News news = refused_parks_.look(link_->table().parks_refused, now, has_room);
    if (!news.gone.empty()) supervisor_->drop_note(news.gone);
    if (!news.told.empty()) supervisor_->add_note(news.told);
    if (news.has_room) keeper_->offer_again();
    return news.due;
  }

  void keeper_replaced() {
    os::tell_service_manager("READY=1");  // of the start that made this keeper
    keeper_->keeper_replaced();
    supervisor_->keeper_replaced(link_->table().keeper_pid, link_->table().keeper_generation);
    member_log_.keeper_replaced(link_->table(), os::read_clock().wall);
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
    sockets_->remove();
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

  // Returns until when something is not watched that is to be.
  MonoNs arm_watches(MonoNs now) {
    if (ending_) {
      if (end_watch_) end_watch_->arm();
      return never;
    }
    keeper_watch_->arm();
    probe_watch_->arm();
    const MonoNs sockets_due = sockets_->arm(now);
    watch_marks();
    if (now < look_at_marks_from_) return std::min(sockets_due, look_at_marks_from_);
    if (marks_watch_) marks_watch_->arm();
    return sockets_due;
  }

  void sleep_until(MonoNs due) {
    const MonoNs now = os::read_mono();
    const bool unserved = !keeper_watch_->armed();
    due = std::min(due, arm_watches(now));
    if (unserved && handle_some()) return;
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
  std::unique_ptr<NextKeeper> next_keeper_;
  RefusedParks refused_parks_;
  std::unique_ptr<api::Server> server_;
  std::unique_ptr<OwnSockets> sockets_;
  std::unique_ptr<Watch> keeper_watch_;
  std::unique_ptr<Watch> probe_watch_;
  std::unique_ptr<Watch> marks_watch_;
  std::unique_ptr<Watch> end_watch_;  // while ending_, in the place of all others
  MemberLog member_log_;
  bool ending_ = false;
  MonoNs look_at_marks_from_ = 0;
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
