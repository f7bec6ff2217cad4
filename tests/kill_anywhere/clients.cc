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

}  // namespace hearth::kill_anywhere
