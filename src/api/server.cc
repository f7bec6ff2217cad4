#include "api/server.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <set>
#include <sys/socket.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "api/connection.h"
#include "api/event_stream.h"
#include "api/routes.h"
#include "api/timer.h"
#include "os/peer_run.h"
#include "os/proc_stat.h"

namespace hearth::api {
namespace {

using boost::system::error_code;
using Protocol = boost::asio::local::stream_protocol;
using State = Connection::State;
using Clock = Connection::Clock;

// Connections that are told in peace that there are too many. Whoever comes beyond these must have sent less than a buffer.
constexpr std::size_t most_refused = 32;
constexpr std::chrono::milliseconds accept_pause{100};
constexpr int look_share = 10;  // waiters are told how it goes in at most a tenth of the time that it takes

WallNs wall_now() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * ns_per_s + t.tv_nsec;
}

}  // namespace

class Server::Impl final : public ConnectionHost, public std::enable_shared_from_this<Server::Impl> {
 public:
  Impl(boost::asio::io_context& io, const ports::Control& control, Submit submit, ServerOptions options)
      : acceptor_(io),
        deadline_timer_(io),
        look_timer_(io),
        accept_timer_(io),
        control_(control),
        submit_(std::move(submit)),
        options_(options) {}

  void open(os::Fd listener) {
    listener_ = std::move(listener);
    listen();
  }

  void shut() {
    error_code ignored;
    acceptor_.close(ignored);
    deadline_timer_.clear();
    look_timer_.clear();
    accept_timer_.clear();
    const auto all = std::exchange(connections_, {});
    for (const auto& [id, connection] : all) connection->close();
  }

  void answer(std::uint64_t token, const Result<Accepted>& result);
  void turn_done();
  std::size_t connections() const { return connections_.size(); }

  void handle(Connection& connection, const HttpRequest& request) override;
  void drained(Connection& connection) override { pump(connection); }
  bool reserve(std::size_t bytes) override;
  void release(std::size_t bytes) override { bodies_ -= bytes; }
  void deadline_set(Clock::time_point deadline) override;
  void closed(Connection& connection) override;

 private:
  struct Waiting {
    std::uint64_t connection = 0;
    OperationKey key{};
  };

  void listen();
  void accept_next();
  void accepted(Connection::Socket socket);
  std::optional<Error> refusal(Connection::Socket& socket) const;
  bool make_room();
  void arm(Clock::time_point deadline);
  void time_passed();
  void due(const std::shared_ptr<Connection>& connection);
  void stream(Connection& connection, EventsAsked asked);
  void pump(Connection& connection);
  void pump_later();
  void pump_all();
  void look_at_all();
  void look_at(const std::shared_ptr<Connection>& connection, bool time_is_up);
  std::shared_ptr<Connection> find(std::uint64_t id) const;

  os::Fd listener_;  // until the acceptor has it
  boost::asio::basic_socket_acceptor<Protocol> acceptor_;
  Timer deadline_timer_, look_timer_, accept_timer_;
  const ports::Control& control_;
  const Submit submit_;
  const ServerOptions options_;
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  std::unordered_map<std::uint64_t, Waiting> waiting_;      // by token
  std::unordered_map<std::uint64_t, OrderWait> polling_;    // by connection
  std::unordered_map<std::uint64_t, EventStream> streams_;  // by connection
  std::uint64_t last_id_ = 0;
  std::uint64_t last_token_ = 0;
  std::size_t bodies_ = 0;
  std::optional<Clock::time_point> armed_;
  Clock::time_point last_look_{};
  Clock::duration look_took_{};
  bool look_armed_ = false;
  std::set<std::uint64_t> again_;  // streams that have more to say than one turn of theirs
  bool pump_posted_ = false;
};

// ---- connections ------------------------------------------------------------------------------------------

// Clients wait in the backlog while epoll has no room for it.
void Server::Impl::listen() {
  error_code error;
  acceptor_.assign(Protocol(), listener_.get(), error);
  if (!error) {
    listener_.release();
    return accept_next();
  }
  accept_timer_.set(Clock::now() + accept_pause, [weak = weak_from_this()] {
    if (const auto again = weak.lock()) again->listen();
  });
}

void Server::Impl::accept_next() {
  acceptor_.async_accept([weak = weak_from_this()](const error_code& error, Connection::Socket socket) {
    const auto self = weak.lock();
    if (!self || error == boost::asio::error::operation_aborted) return;
    if (!error) {
      self->accepted(std::move(socket));
      return self->accept_next();
    }
    // Out of descriptors or memory: the client stays in the backlog. Trying at once would spin.
    self->accept_timer_.set(Clock::now() + accept_pause, [weak] {
      if (const auto again = weak.lock()) again->accept_next();
    });
  });
}

// Why this client is not answered; nothing: it is.
std::optional<Error> Server::Impl::refusal(Connection::Socket& socket) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
      (peer.uid != options_.owner && peer.uid != 0))
    return Error{Remedy::no_access, "use", "this hearth", "it belongs to another user", "ask its owner or root", 0};
  if (options_.tree.empty() || !control_.has_sandboxes()) return std::nullopt;
  const os::PeerRun run = os::run_of_peer(socket.native_handle(), options_.tree);
  // It may have been one of a sandbox, whose parent waits for the answer.
  if (run.gone)
    return Error{Remedy::no_access,
                 "use",
                 "this hearth",
                 "the process that has connected has ended, and it is not known whether it had a sandbox",
                 "let the process live that connects",
                 0};
  if (run.unseen != 0) {
    const bool scarce = is_shortage(run.unseen);
    return Error{scarce ? Remedy::try_later : Remedy::no_access,
                 "use",
                 "this hearth",
                 std::string("it cannot be seen whether a sandbox asks: ") + std::strerror(run.unseen),
                 scarce ? "a higher limit of descriptors for hearth (ulimit -n) gives it room"
                        : "hearth has to see the processes of its clients in /proc (mount option hidepid=)",
                 0};
  }
  if (run.label.empty() || !control_.is_sandboxed(run.label)) return std::nullopt;
  return Error{Remedy::no_access,
               "use",
               "this hearth",
               "a process of " + run.label + " asks, and that has a sandbox",
               "ask from outside of it: what hearth does for a client is not held by the client's sandbox",
               0};
}

// Closes the connection that has been idle for longest, if there is one.
bool Server::Impl::make_room() {
  std::shared_ptr<Connection> oldest;
  for (const auto& [id, connection] : connections_) {
    if (connection->state() != State::idle) continue;
    if (!oldest || connection->deadline() < oldest->deadline()) oldest = connection;
  }
  if (oldest) oldest->close();
  return oldest != nullptr;
}

void Server::Impl::accepted(Connection::Socket socket) {
  const std::optional<Error> refused = refusal(socket);
  const bool room = connections_.size() < options_.most_connections || make_room();
  const auto too_many = [&] {
    return error_reply(Error{Remedy::try_later, "connect to", "hearth",
                             fmt::format("{} clients are connected", options_.most_connections),
                             "try again in a moment", 0});
  };
  if (!room && connections_.size() >= options_.most_connections + most_refused)
    return Connection::turn_away(socket, too_many());
  const ConnectionLimits limits{options_.most_header, options_.most_body, options_.patience};
  const auto connection = std::make_shared<Connection>(*this, std::move(socket), ++last_id_, limits);
  connections_[connection->id()] = connection;
  if (refused) {
    connection->refuse(error_reply(*refused));
  } else if (!room) {
    connection->refuse(too_many());
  } else {
    connection->start();
  }
}

void Server::Impl::closed(Connection& connection) {
  polling_.erase(connection.id());
  streams_.erase(connection.id());
  std::erase_if(waiting_, [&](const auto& entry) { return entry.second.connection == connection.id(); });
  connections_.erase(connection.id());
  if (!connections_.empty()) return;
  // Nobody is there whose patience could end: an idle hearth does not wake up for the last of them.
  armed_.reset();
  deadline_timer_.clear();
}

std::shared_ptr<Connection> Server::Impl::find(std::uint64_t id) const {
  const auto it = connections_.find(id);
  return it == connections_.end() ? nullptr : it->second;
}

bool Server::Impl::reserve(std::size_t bytes) {
  if (bodies_ + bytes > options_.most_bodies) return false;
  bodies_ += bytes;
  return true;
}

// ---- requests ---------------------------------------------------------------------------------------------

void Server::Impl::handle(Connection& connection, const HttpRequest& request) {
  Action action = route(request, control_, wall_now());
  if (const Reply* reply = std::get_if<Reply>(&action)) return connection.reply(*reply);
  if (const OrderWait* waiter = std::get_if<OrderWait>(&action)) {
    const std::optional<Reply> reply = look(*waiter, control_, waiter->wait == 0);
    if (reply) return connection.reply(*reply);
    polling_[connection.id()] = *waiter;
    connection.set_deadline(Clock::now() + std::chrono::nanoseconds(waiter->wait));
    return;
  }
  if (EventsAsked* asked = std::get_if<EventsAsked>(&action)) return stream(connection, std::move(*asked));
  ports::Input input;
  input.kind = ports::InputKind::request;
  input.request = std::move(std::get<Request>(action));
  input.request.peer = connection.peer();
  input.request.peer.command = os::command_of(input.request.peer.pid);
  input.token = ++last_token_;
  waiting_[input.token] = Waiting{connection.id(), input.request.key};
  connection.set_deadline(Clock::now() + options_.answer_within);
  submit_(std::move(input));
}

void Server::Impl::answer(std::uint64_t token, const Result<Accepted>& result) {
  const auto it = waiting_.find(token);
  if (it == waiting_.end()) return;
  const Waiting waiting = it->second;
  waiting_.erase(it);
  const std::shared_ptr<Connection> connection = find(waiting.connection);
  if (connection && connection->state() == State::answering) {
    connection->reply(accepted_reply(result, waiting.key));
  }
}

// ---- events -----------------------------------------------------------------------------------------------

void Server::Impl::stream(Connection& connection, EventsAsked asked) {
  if (streams_.size() >= options_.most_streams)
    return connection.reply(
        error_reply(Error{Remedy::try_later, "follow", "the events", fmt::format("{} clients do so", streams_.size()),
                          "try again in a moment", 0}));
  connection.begin_stream("text/event-stream");
  if (connection.state() != State::streaming) return;
  streams_.emplace(connection.id(), EventStream(std::move(asked), control_));
  pump(connection);
}

// A few pieces at once; then those who are waited for by others have their turn, until this one can be written again.
void Server::Impl::pump(Connection& connection) {
  for (int pieces = 0; pieces < 4 && connection.sent(); ++pieces) {
    const auto it = streams_.find(connection.id());
    if (it == streams_.end()) return;
    std::string piece = it->second.next(control_);
    const bool over = it->second.over();
    if (piece.empty() && !over) return;
    if (!piece.empty()) connection.send(std::move(piece));
    if (over) return connection.end_stream();
  }
  if (connection.sent() && streams_.contains(connection.id())) again_.insert(connection.id());
  if (!again_.empty()) pump_later();
}

void Server::Impl::pump_later() {
  if (std::exchange(pump_posted_, true)) return;
  boost::asio::post(acceptor_.get_executor(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->pump_posted_ = false;
    for (const std::uint64_t id : std::exchange(self->again_, {}))
      if (const auto connection = self->find(id)) self->pump(*connection);
  });
}

void Server::Impl::pump_all() {
  std::vector<std::uint64_t> ids;  // a connection that breaks changes streams_
  ids.reserve(streams_.size());
  for (const auto& [id, stream] : streams_) ids.push_back(id);
  for (const std::uint64_t id : ids)
    if (const auto connection = find(id)) pump(*connection);
}

// ---- waiting for orders -----------------------------------------------------------------------------------

void Server::Impl::turn_done() {
  if (!streams_.empty()) pump_all();
  if (polling_.empty() || look_armed_) return;
  const auto next = last_look_ + std::max<Clock::duration>(options_.look_pause, look_share * look_took_);
  if (Clock::now() >= next) return look_at_all();
  look_armed_ = true;
  look_timer_.set(next, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->look_armed_ = false;
    self->look_at_all();
  });
}

void Server::Impl::look_at_all() {
  last_look_ = Clock::now();
  std::vector<std::uint64_t> ids;  // an answer changes polling_
  ids.reserve(polling_.size());
  for (const auto& [id, waiter] : polling_) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    if (const auto connection = find(id)) look_at(connection, false);
  }
  look_took_ = Clock::now() - last_look_;
}

void Server::Impl::look_at(const std::shared_ptr<Connection>& connection, bool time_is_up) {
  const auto it = polling_.find(connection->id());
  if (it == polling_.end()) return;
  const std::optional<Reply> reply = look(it->second, control_, time_is_up);
  if (!reply) return;
  polling_.erase(it);
  connection->reply(*reply);
}

// ---- deadlines --------------------------------------------------------------------------------------------

void Server::Impl::deadline_set(Clock::time_point deadline) {
  // Most deadlines move later; the timer then goes off early once, finds nothing, and is set anew.
  if (!armed_ || deadline < *armed_) arm(deadline);
}

void Server::Impl::arm(Clock::time_point deadline) {
  armed_ = deadline;
  deadline_timer_.set(deadline, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->time_passed();
  });
}

void Server::Impl::time_passed() {
  armed_.reset();
  const auto now = Clock::now();
  std::vector<std::shared_ptr<Connection>> over;
  for (const auto& [id, connection] : connections_) {
    if (connection->deadline() <= now) over.push_back(connection);
  }
  for (const auto& connection : over) due(connection);
  for (const auto& [id, connection] : connections_) deadline_set(connection->deadline());
}

void Server::Impl::due(const std::shared_ptr<Connection>& connection) {
  if (connection->state() != State::answering) return connection->close();
  if (polling_.contains(connection->id())) return look_at(connection, true);
  std::erase_if(waiting_, [&](const auto& entry) { return entry.second.connection == connection->id(); });
  connection->reply(
      error_reply(Error{Remedy::try_later, "answer", "the request", "the supervisor did not come to it in time",
                        "repeat it with the same Idempotency-Key", 0}));
}

// ---- face -------------------------------------------------------------------------------------------------

Server::Server(boost::asio::io_context& io, os::Fd listener, const ports::Control& control, Submit submit,
               ServerOptions options)
    : impl_(std::make_shared<Impl>(io, control, std::move(submit), options)) {
  if (listener) impl_->open(std::move(listener));
}

Server::~Server() {
  impl_->shut();
}

void Server::listen(os::Fd listener) {
  impl_->open(std::move(listener));
}
void Server::answer(std::uint64_t token, const Result<Accepted>& result) {
  impl_->answer(token, result);
}
void Server::turn_done() {
  impl_->turn_done();
}
std::size_t Server::connections() const {
  return impl_->connections();
}

}  // namespace hearth::api
