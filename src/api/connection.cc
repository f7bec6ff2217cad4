#include "api/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/format.h>

#include "base/check.h"

namespace hearth::api {
namespace {

namespace http = boost::beast::http;
using SocketBase = boost::asio::socket_base;

constexpr std::size_t most_discarded = 16u << 20;
constexpr std::chrono::milliseconds drain_time{5'000};

// One thread, and nothing stays in it between calls.
std::array<char, 64u << 10> scratch;

const char* status_words(int status) {
  switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
  }
}

Reply refusal(int status, std::string reason, std::string hint) {
  Reply reply = error_reply(Error{status == 503 ? Remedy::try_later : Remedy::fix_input, "read", "the request",
                                  std::move(reason), std::move(hint), 0});
  reply.status = status;
  return reply;
}

std::string last_answer(const Reply& reply) {
  return fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                     reply.status, status_words(reply.status), reply.type, reply.body.size(), reply.body);
}

// Made at the start: there may be no memory for it when it is needed.
const std::string no_memory_answer =
    last_answer(refusal(503, "hearth has no memory left for it",
                        "what runs is not touched; end what takes the memory, or raise the limit, and try again"));

}  // namespace

struct Connection::Parser {
  http::request_parser<http::string_body> http;
  bool header_seen = false;
};

Connection::Connection(ConnectionHost& host, Socket socket, std::uint64_t id, ConnectionLimits limits)
    : host_(host), socket_(std::move(socket)), id_(id), limits_(limits) {}

Connection::~Connection() = default;

void Connection::start() {
  progress();
  advance();
}

void Connection::set_deadline(Clock::time_point deadline) {
  deadline_ = deadline;
  host_.deadline_set(deadline);
}

void Connection::close() {
  if (state_ == State::closed) return;
  drop_request();
  state_ = State::closed;
  boost::system::error_code ignored;
  socket_.close(ignored);
  host_.closed(*this);
}

void Connection::drop_request() {
  parser_.reset();
  if (reserved_ > 0) host_.release(std::exchange(reserved_, 0));
}

// What was read of the request is given back first of all. One that had been handed on may have been taken: then its answer
// is not sent, and the same key asks for it.
void Connection::out_of_memory() {
  if (state_ == State::closed) return;
  const bool handed_on = state_ != State::reading && state_ != State::idle;
  drop_request();
  std::string().swap(input_);
  const bool begun = state_ == State::writing || state_ == State::streaming || state_ == State::draining;
  if (!begun)
    (void)::send(socket_.native_handle(), no_memory_answer.data(), no_memory_answer.size(),
                 MSG_DONTWAIT | MSG_NOSIGNAL);
  if (begun || handed_on) return close();
  ::shutdown(socket_.native_handle(), SHUT_WR);
  state_ = State::draining;
  set_deadline(Clock::now() + drain_time);
  try {
    watch_input();
  } catch (const std::exception&) {
    close();
  }
}

void Connection::watch_input() {
  if (watching_input_) return;
  watching_input_ = true;
  socket_.async_wait(SocketBase::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
    self->watching_input_ = false;
    if (self->state_ == State::closed) return;
    if (error) return self->close();
    try {
      self->on_readable();
    } catch (const std::exception&) {  // this client pays for it, not the supervisor
      self->out_of_memory();
    }
  });
}

// A client that goes away while it waits for an answer. EPOLLHUP means that it closed both directions; one that
// has only finished sending still gets its answer. (wait_error is Asio's name for "nothing but HUP and ERR".)
void Connection::watch_peer() {
  if (watching_peer_) return;
  watching_peer_ = true;
  socket_.async_wait(SocketBase::wait_error, [self = shared_from_this()](const boost::system::error_code& error) {
    self->watching_peer_ = false;
    if (error || self->state_ == State::closed) return;
    pollfd p{self->socket_.native_handle(), 0, 0};
    if (::poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0) self->close();
  });
}

void Connection::on_readable() {
  const ssize_t n = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return watch_input();
  if (n <= 0) return close();  // a request cut in the middle was never one
  const auto count = static_cast<std::size_t>(n);
  if (state_ == State::draining) return discard(scratch.data(), count);
  if (state_ != State::idle && state_ != State::reading) {
    // The watch was set before an answer became due; keep what came for later.
    input_.append(scratch.data(), count);
    return;
  }
  input_.append(scratch.data(), count);
  advance();
}

void Connection::discard(const char*, std::size_t count) {
  discarded_ += count;
  if (discarded_ > most_discarded) return close();
  watch_input();
}

// Parses and dispatches what is in input_, one request after the other. A loop, because an answer that is
// written at once leads back to here: clients may send thousands of small requests in one go.
void Connection::advance() {
  if (advancing_) return;
  advancing_ = true;
  while ((state_ == State::idle || state_ == State::reading) && !input_.empty()) {
    if (!parse_some()) break;
  }
  advancing_ = false;
  if (state_ != State::idle && state_ != State::reading) return;
  if (input_.empty()) std::string().swap(input_);
  watch_input();
}

// False: more bytes are needed, or the request was refused.
bool Connection::parse_some() {
  if (!parser_) {
    parser_ = std::make_unique<Parser>();
    parser_->http.eager(true);
    parser_->http.header_limit(static_cast<std::uint32_t>(limits_.header));
    parser_->http.body_limit(limits_.body);
    state_ = State::reading;
    progress();
  }
  auto& http = parser_->http;
  boost::beast::error_code error;
  const std::size_t used = http.put(boost::asio::buffer(input_), error);
  input_.erase(0, used);
  if (error == http::error::need_more) error = {};
  if (error == http::error::header_limit) {
    refuse(refusal(431, fmt::format("its header has more than {} bytes", limits_.header), ""));
    return false;
  }
  if (error == http::error::body_limit) {
    refuse(refusal(413, fmt::format("its body has more than {} bytes", limits_.body), ""));
    return false;
  }
  if (error) {
    refuse(refusal(400, "it is not HTTP/1.1 (" + error.message() + ")", ""));
    return false;
  }
  if (!http.is_header_done()) return false;  // the header as a whole has the patience of one step

  if (used > 0) progress();
  const std::uint64_t announced = http.content_length().value_or(0);
  const std::size_t wanted = std::max(static_cast<std::size_t>(announced), http.get().body().size());
  if (wanted > reserved_) {
    if (!host_.reserve(wanted - reserved_)) {
      refuse(refusal(503, "other clients are sending too much at the same time", "try again in a moment"));
      return false;
    }
    reserved_ = wanted;
  }
  if (http.is_done()) {
    dispatch();
    return true;
  }
  if (!parser_->header_seen) {
    parser_->header_seen = true;
    if (boost::beast::iequals(http.get()[http::field::expect], "100-continue")) {
      constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      // 25 bytes into an empty buffer; a client for whom even that does not fit sends its body all the same.
      (void)::send(socket_.native_handle(), go_on.data(), go_on.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
  }
  return used > 0 && !input_.empty();
}

void Connection::dispatch() {
  const auto& message = parser_->http.get();
  const auto view = [](const auto& text) { return std::string_view(text.data(), text.size()); };
  HttpRequest request;
  request.method = view(message.method_string());
  request.target = view(message.target());
  request.idempotency_key = view(message["Idempotency-Key"]);
  request.last_event_id = view(message["Last-Event-ID"]);
  request.body = message.body();
  keep_alive_ = message.keep_alive();
  http_1_0_ = message.version() < 11;
  head_only_ = request.method == "HEAD";
  state_ = State::answering;
  const std::shared_ptr<Connection> self = shared_from_this();
  host_.handle(*this, request);
  // What the answer needs has been taken over; a waiter holds no body.
  drop_request();
  if (state_ == State::answering || state_ == State::streaming) watch_peer();
}

void Connection::refuse(const Reply& answer) {
  if (state_ == State::closed) return;
  keep_alive_ = false;
  drain_ = true;
  drop_request();
  std::string().swap(input_);
  state_ = State::answering;
  reply(answer);
}

void Connection::turn_away(Socket& socket, const Reply& answer) {
  const std::string text = last_answer(answer);
  (void)::send(socket.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Connection::reply(const Reply& answer) {
  HEARTH_CHECK(state_ == State::answering, "one answer to each request");
  const bool keep = keep_alive_;
  head_ = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n", answer.status,
                      status_words(answer.status), answer.type, answer.body.size());
  if (answer.exit_code >= 0) head_ += fmt::format("Hearth-Exit: {}\r\n", answer.exit_code);
  if (answer.allow != nullptr) head_ += fmt::format("Allow: {}\r\n", answer.allow);
  if (!keep) head_ += "Connection: close\r\n";
  if (keep && http_1_0_) head_ += "Connection: keep-alive\r\n";
  head_ += "\r\n";
  if (!head_only_) body_ = answer.body;
  sent_ = 0;
  state_ = State::writing;
  progress();
  flush();
}

void Connection::flush() {
  const std::size_t total = head_.size() + body_.size();
  while (sent_ < total) {
    const std::size_t of_head = std::min(sent_, head_.size());
    const std::size_t of_body = sent_ - of_head;
    iovec parts[2] = {{head_.data() + of_head, head_.size() - of_head},
                      {body_.data() + of_body, body_.size() - of_body}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      socket_.async_wait(SocketBase::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
        if (self->state_ != State::writing && self->state_ != State::streaming) return;
        if (error) return self->close();
        self->flush();
        if (self->sent()) self->host_.drained(*self);
      });
      return;
    }
    if (n < 0) return close();
    sent_ += static_cast<std::size_t>(n);
    progress();
  }
  if (state_ == State::streaming) return piece_sent();
  written();
}

void Connection::begin_stream(const char* type) {
  HEARTH_CHECK(state_ == State::answering, "one answer to each request");
  head_ =
      fmt::format("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n", type);
  keep_alive_ = false;
  sent_ = 0;
  state_ = State::streaming;
  if (head_only_) ends_ = true;
  progress();
  flush();
}

void Connection::send(std::string piece) {
  HEARTH_CHECK(sent(), "a piece at a time");
  body_ = std::move(piece);
  sent_ = 0;
  progress();
  flush();
}

void Connection::end_stream() {
  ends_ = true;
  if (sent()) piece_sent();
}

// Who waits for events has as much time as there are none; who does not read what was sent has not.
void Connection::piece_sent() {
  std::string().swap(head_);
  std::string().swap(body_);
  sent_ = 0;
  if (ends_) return close();
  set_deadline(Clock::now() + std::chrono::hours(24 * 365));
}

Peer Connection::peer() {
  Peer peer;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return peer;
  peer.pid = credentials.pid;
  peer.uid = credentials.uid;
  return peer;
}

void Connection::written() {
  std::string().swap(head_);
  std::string().swap(body_);
  head_only_ = false;
  if (keep_alive_) {
    state_ = State::idle;
    advance();
    return;
  }
  if (!drain_) return close();
  state_ = State::draining;
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  set_deadline(Clock::now() + drain_time);
  watch_input();
}

}  // namespace hearth::api
