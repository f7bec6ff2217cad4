#include "apps/supervisor_program.h"

#include <malloc.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>

#include "api/server.h"
#include "base/version.h"
#include "os/clock.h"
#include "os/inputs.h"
#include "os/keeper_client.h"
#include "os/keeper_link.h"
#include "os/plan_builder.h"
#include "supervisor/supervisor.h"
#include "wire/keeper_messages.h"

namespace hearth::apps {
namespace {

namespace asio = boost::asio;

class TempStore final : public ports::Store {
 public:
  Status put_document(const Document& document) override {
    documents_[document.version] = document;
    return {};
  }
  void drop_document(std::uint64_t version) override { documents_.erase(version); }
  std::vector<Document> documents() override { return {}; }
  void note_runs(const std::vector<ports::RunNote>&, RunId) override {}

 private:
  std::map<std::uint64_t, Document> documents_;
};
class TempProbes final : public ports::Probes {
 public:
  void begin(SlotIndex, bool, std::uint64_t, const Probe&) override {}
  void cancel(SlotIndex) override {}
};

// Wakes the loop when a descriptor that nests others is readable. Level: it is armed again before each sleep.
class Watch {
 public:
  Watch(asio::io_context& io, int fd) : descriptor_(io, ::dup(fd)) {}
  ~Watch() { descriptor_.close(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  void arm() {
    if (armed_) return;
    armed_ = true;
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [this](const boost::system::error_code& error) { armed_ = error == asio::error::operation_aborted; });
  }

 private:
  asio::posix::stream_descriptor descriptor_;
  bool armed_ = false;
};

Result<os::Fd> bind_control(const std::string& directory) {
  const std::string path = directory + "/api.sock";
  os::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  path.copy(a.sun_path, sizeof a.sun_path - 1);
  unlink(path.c_str());
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 || listen(fd.get(), 128) != 0)
    return errno_failure("bind", path, errno);
  return fd;
}

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
    os::ClientOptions client;
    client.directory = options_.directory;
    client.nofile = os::parse_nofile(options_.nofile.c_str());
    keeper_ = std::make_unique<os::KeeperClient>(*link_, os::CgroupTree::open(options_.directory), client);
    inbox_ = std::make_unique<os::Inbox>(*link_, [this](const ports::Input& input, const Result<Accepted>& result) {
      server_->answer(input.token, result);
    });
    supervisor::Options facts;
    facts.instance = name_of(options_.directory);
    facts.version = version;
    facts.directory = options_.directory;
    facts.log_directory = options_.log_directory;
    facts.pid = getpid();
    facts.keeper_pid = link_->table().keeper_pid;
    facts.keeper_generation = link_->hello().keeper_generation;
    const Now now = os::read_clock();
    facts.seed = static_cast<std::uint64_t>(now.wall) ^ (static_cast<std::uint64_t>(facts.pid) << 32);
    supervisor_ = supervisor::Supervisor::create({*keeper_, *inbox_, probes_, store_}, link_->decisions(),
                                                 std::move(facts), {}, now);
    Result<os::Fd> listener = bind_control(options_.directory);
    if (!listener) return failure(listener.error());
    api::ServerOptions api;
    api.owner = geteuid();
    server_ = std::make_unique<api::Server>(
        io_, std::move(*listener), *supervisor_, [this](ports::Input input) { inbox_->push(std::move(input)); }, api);
    watch_ = std::make_unique<Watch>(io_, link_->epoll());
    return {};
  }

  Status run() {
    for (;;) {
      const MonoNs due = turn();
      if (supervisor_->finished() && link_->lost()) return {};
      if (link_->lost()) return failure(Remedy::try_later, "go on", "without a keeper", "it died");
      sleep_until(due);
    }
  }

 private:
  MonoNs turn() {
    const MonoNs due = supervisor_->turn(os::read_clock());
    keeper_->flush();
    for (std::string& note : keeper_->take_notes()) supervisor_->add_note(std::move(note));
    if (supervisor_->take_changed()) server_->turn_done();
    return inbox_->pending() ? 0 : due;
  }

  void sleep_until(MonoNs due) {
    watch_->arm();
    const MonoNs now = os::read_mono();
    if (due <= now) {
      io_.poll();
      return;
    }
    if (due != never) {
      timer_.expires_after(std::chrono::nanoseconds(due - now));
      timer_.async_wait([](const boost::system::error_code&) {});
    }
    io_.run_one();
    timer_.cancel();
    io_.poll();
  }

  ProgramOptions options_;
  asio::io_context io_;
  asio::steady_timer timer_;
  std::unique_ptr<os::KeeperLink> link_;
  std::unique_ptr<os::KeeperClient> keeper_;
  std::unique_ptr<os::Inbox> inbox_;
  TempStore store_;
  TempProbes probes_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::unique_ptr<api::Server> server_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace

Status run_supervisor(const ProgramOptions& options) {
  Program program(options);
  if (const Status opened = program.open(); !opened) return opened;
  return program.run();
}

}  // namespace hearth::apps
