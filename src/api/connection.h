// One connection of the API: reads requests, writes answers, gives memory back in between. Inside of the room.
//
// Asio only says when the socket is readable or writable; bytes move through one scratch buffer that all
// connections share, so an idle connection owns nothing but its descriptor.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/local/stream_protocol.hpp>

#include "api/routes.h"

namespace hearth::api {

class Connection;

// What a connection needs of the server. Every call may come from within another one.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  // A complete request; its views end with the call. Leads to exactly one reply() or begin_stream(), now or
  // later.
  virtual void handle(Connection& connection, const HttpRequest& request) = 0;
  // All that was given to send() has gone: there may be more.
  virtual void drained(Connection& connection) = 0;
  // Counts memory for bodies; false when all connections together would hold too much.
  virtual bool reserve(std::size_t bytes) = 0;
  virtual void release(std::size_t bytes) = 0;
  virtual void deadline_set(std::chrono::steady_clock::time_point deadline) = 0;
  virtual void closed(Connection& connection) = 0;
};

struct ConnectionLimits {
  std::size_t header = 0;
  std::size_t body = 0;
  std::chrono::milliseconds patience{};
};

// Shared between the server, which may close it, and Asio's handlers, which may still be to come.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;
  using Socket = boost::asio::local::stream_protocol::socket;
  enum class State : std::uint8_t { idle, reading, answering, writing, streaming, draining, closed };

  Connection(ConnectionHost& host, Socket socket, std::uint64_t id, ConnectionLimits limits);
  ~Connection();

  void start();
  // Answers without having read a request, then ends.
  void refuse(const Reply& reply);
  // Answers one that is not taken up at all: what fits into its empty buffer.
  static void turn_away(Socket& socket, const Reply& reply);
  // Only in State::answering.
  void reply(const Reply& reply);
  // Instead: an answer without an end of its own, which comes in pieces. Ends with the connection.
  void begin_stream(const char* type);
  // Only when `sent()`. A piece is all that a stream holds: whoever reads slowly is given the next one later.
  void send(std::string piece);
  void end_stream();
  bool sent() const { return state_ == State::streaming && sent_ == head_.size() + body_.size(); }
  // Of the client, as the kernel knows it. pid 0: it does not.
  Peer peer();
  void close();
  // The server's deadline for an answer; before, patience is counted here.
  void set_deadline(Clock::time_point deadline);

  State state() const { return state_; }
  std::uint64_t id() const { return id_; }
  Clock::time_point deadline() const { return deadline_; }

 private:
  struct Parser;

  void watch_input();
  void watch_peer();
  void on_readable();
  void advance();
  bool parse_some();
  void dispatch();
  void flush();
  void written();
  void piece_sent();
  void discard(const char* bytes, std::size_t count);
  void drop_request();
  void out_of_memory();
  void progress() { set_deadline(Clock::now() + limits_.patience); }

  ConnectionHost& host_;  // outlives every state but `closed`
  Socket socket_;
  const std::uint64_t id_;
  const ConnectionLimits limits_;
  State state_ = State::idle;
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool http_1_0_ = false;
  bool drain_ = false;  // after the answer: unread bytes would make close() cut the answer off
  bool advancing_ = false;
  bool ends_ = false;  // the stream, when all is sent
  bool watching_input_ = false;
  bool watching_peer_ = false;
  Clock::time_point deadline_{};
  std::unique_ptr<Parser> parser_;
  std::size_t reserved_ = 0;
  std::size_t discarded_ = 0;
  std::string input_;        // read, not parsed yet
  std::string head_, body_;  // of the answer
  std::size_t sent_ = 0;
};

}  // namespace hearth::api
