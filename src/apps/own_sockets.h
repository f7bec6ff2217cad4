// The sockets by which a supervisor is found: DIR/api.sock for clients, DIR/keeper.sock for the next keeper.
//
// They are bound when all else is there. A disk that has no room for one, or takes nothing now, ends nobody: what is
// supervised needs no socket. A note says so, each of them is tried again once a second, and the note goes when both are
// there.
//
// One thread, that of the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "apps/watch.h"
#include "base/result.h"
#include "base/time.h"
#include "os/fd.h"
#include "os/keeper_successor.h"

namespace hearth::apps {

class OwnSockets {
 public:
  struct Ways {
    std::function<void(os::Fd)> serve;  // the API listens there
    std::function<void(os::NewKeeper)> offer;
    std::function<void(std::string)> add_note, drop_note;
  };
  // `directory` is the descriptor of `path`; both of the instance.
  OwnSockets(boost::asio::io_context& io, int directory, std::string path, Ways ways)
      : io_(io), directory_(directory), path_(std::move(path)), ways_(std::move(ways)) {}

  // Fails for what waiting would not change.
  Status open(MonoNs now);
  // In each turn; returns when to try again.
  MonoNs try_again(MonoNs now);
  // Before each sleep, which lasts no longer than what it returns: a keeper for whose line there was no descriptor waits.
  MonoNs arm(MonoNs now);
  // At a deliberate end.
  void remove() const;

 private:
  Status bind();
  Status bind_api();
  Status bind_offers();
  void cannot_bind(const Error& error, MonoNs now);
  void take_offer();

  boost::asio::io_context& io_;
  int directory_;
  std::string path_;
  Ways ways_;
  bool served_ = false;  // DIR/api.sock is there
  os::Fd offers_;        // DIR/keeper.sock
  std::unique_ptr<Watch> offers_watch_;
  std::string note_;
  MonoNs bind_from_ = never;
  MonoNs accept_from_ = 0;
};

}  // namespace hearth::apps
