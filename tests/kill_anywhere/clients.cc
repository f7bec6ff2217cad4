#include "clients.h"

#include <optional>
#include <poll.h>
#include <utility>

#include <boost/json.hpp>

#include "cli/operation.h"
#include "os/clock.h"
#include "os/fd.h"

namespace hearth::kill_anywhere {
namespace {

namespace json = boost::json;

// Short, because nobody interrupts it: whether to go on is looked at between two streaks of attempts.
cli::Patience between_looks() {
  cli::Patience patience_of_client;
  patience_of_client.reconnect = milliseconds(200);
  patience_of_client.first_pause = milliseconds(1);
  patience_of_client.last_pause = milliseconds(8);
  return patience_of_client;
}

bool given_up(const Circumstances& circumstances) {
  return circumstances.cancelled.load() || circumstances.hearth_gone.load();
}

// Nobody listens yet, or for a moment: there is no event to wait for in another process's start.
void wait_a_moment() {
  poll(nullptr, 0, 1);
}

json::value parsed(const std::string& text) {
  json::error_code error;
  json::value value = json::parse(text, error);
  return error ? json::value() : value;
}

const json::value* member(const json::value& value, const char* name) {
  const json::object* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(name);
}

}  // namespace

void Job::start(int wake, std::function<void()> work) {
  thread_ = std::thread([this, wake, work = std::move(work)] {
    work();
    done_ = true;
    os::ring(wake);
  });
}

void Order::start(Circumstances& circumstances, std::string name, std::string target, std::string body,
                  Refused refused) {
  name_ = std::move(name);
  on_refusal_ = refused;
  job_.start(circumstances.wake, [this, &circumstances, target = std::move(target), body = std::move(body)] {
    run(circumstances, target, body);
  });
}

void Order::run(Circumstances& circumstances, const std::string& target, const std::string& body) {
  cli::Client client(circumstances.socket);
  std::optional<cli::Operation> operation(std::in_place, client, nullptr, between_looks());
  key_ = operation->key();
  const MonoNs deadline = after(os::read_mono(), circumstances.patience);
  bool accepted = false;
  for (bool settled = false; !settled && !given_up(circumstances);) {
    if (os::read_mono() > deadline) {
      error_ = "no answer in time";
      break;
    }
    auto answer = accepted ? operation->look("", seconds(10), deadline) : operation->post(target, body, deadline);
    reconnects_ = operation->reconnects();
    if (!answer) {
      wait_a_moment();
      continue;
    }
    const json::value value = parsed(answer->body);
    if (const json::value* order = member(value, "order"); order != nullptr && order->is_number())
      orders_.insert(order->to_number<std::uint64_t>());
    if (accepted && answer->status == 404) {
      // Keys end with the decision page, which no kill can end. A user's client would ask again.
      ++key_unknown_;
      accepted = false;
    } else if (!accepted && on_refusal_ == Refused::is_an_answer && answer->status >= 500) {
      refusals_.push_back({std::to_string(answer->status) + ": " + answer->body, circumstances.somebody_died()});
      refused_ = true;
      break;
    } else if (!accepted && circumstances.may_refuse && answer->status >= 500 && !answer->body.empty()) {
      refusals_.push_back({std::to_string(answer->status) + ": " + answer->body, circumstances.somebody_died()});
      operation.emplace(client, nullptr, between_looks());
      key_ = operation->key();
      wait_a_moment();
    } else if (answer->status != (accepted ? 200 : 202)) {
      error_ = "answer " + std::to_string(answer->status) + ": " + answer->body;
      break;
    } else if (accepted) {
      const json::value* is = member(value, "settled");
      settled = is != nullptr && is->is_bool() && is->get_bool();
      if (settled) report_ = answer->body;
    } else {
      accepted = true;
    }
  }
}

void Question::start(Circumstances& circumstances, std::string target) {
  job_.start(circumstances.wake, [this, &circumstances, target = std::move(target)] {
    cli::Client client(circumstances.socket);
    const MonoNs deadline = after(os::read_mono(), circumstances.patience);
    while (!given_up(circumstances) && os::read_mono() < deadline) {
      auto answer = client.ask(cli::Question{"GET", target, {}, {}}, deadline);
      if (answer && answer->status == 200) {
        answer_ = answer->body;
        return;
      }
      wait_a_moment();
    }
  });
}

void StatusClient::start(Circumstances& circumstances, std::function<bool()> may_break) {
  at_work_ = true;
  job_.start(circumstances.wake, [this, &circumstances, may_break = std::move(may_break)] {
    run(circumstances, may_break);
    at_work_ = false;
  });
}

void StatusClient::ask() {
  const std::lock_guard lock(mutex_);
  ++wanted_;
  news_.notify_one();
}

void StatusClient::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    news_.notify_one();
  }
  job_.join();
}

void StatusClient::run(Circumstances& circumstances, const std::function<bool()>& may_break) {
  cli::Client client(circumstances.socket);
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [&] { return stopped_.load() || answered_.load() < wanted_.load(); });
    }
    if (stopped_.load() || given_up(circumstances)) return;
    ask_until_answered(circumstances, may_break, client);
    ++answered_;
    os::ring(circumstances.wake);
  }
}

void StatusClient::ask_until_answered(Circumstances& circumstances, const std::function<bool()>& may_break,
                                      cli::Client& client) {
  const MonoNs deadline = after(os::read_mono(), circumstances.patience);
  while (!stopped_.load() && !given_up(circumstances)) {
    auto answer = client.ask(cli::Question{"GET", "/v1/status", {}, {}}, deadline);
    if (answer) {
      listened_ = true;
      return witness_.take(answer->status, answer->body, circumstances.may_refuse);
    }
    if (stopped_.load() || given_up(circumstances)) return;
    const cli::Trouble trouble = answer.error().trouble;
    const bool gone = trouble == cli::Trouble::cut || trouble == cli::Trouble::not_running;
    if (!gone || os::read_mono() > deadline) return witness_.complain(answer.error().error.text());
    // Before the first answer hearth is being started.
    if (listened_) witness_.lose_connection(answer.error().error.text(), may_break());
    wait_a_moment();
  }
}

}  // namespace hearth::kill_anywhere
