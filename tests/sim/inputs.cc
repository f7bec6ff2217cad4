// Inputs: sockets, requests, probe results and the keeper's own signals.
#include <algorithm>
#include <functional>

#include "sim/outside.h"

namespace hearth::sim {
namespace {

std::uint64_t hash_of(const ports::Input& input) {
  return std::hash<std::string>{}(input.data) ^ (input.run * 0x9e3779b97f4a7c15ULL) ^ input.token;
}

}  // namespace

std::string words(const Request& request) {
  static const char* const verbs[] = {"?",        "apply", "start", "stop",   "restart", "down",
                                      "shutdown", "leave", "scale", "signal", "reload"};
  std::string text = verbs[static_cast<std::uint32_t>(request.verb) % std::size(verbs)];
  for (const auto& [name, count] : request.replicas) text += " " + name + "=" + std::to_string(count);
  for (const std::string& name : request.names) text += " " + name;
  for (const ServiceSpec& spec : request.document.services) text += " " + spec.name;
  return text + " (key " + std::to_string(request.key[0]) + ")";
}

void InputsPort::peek(std::vector<ports::Input>& inputs) {
  o_.crash.point("peek");
  inputs.clear();
  for (const auto& [number, count] : signals_) {
    if (count == signals_consumed_[number]) continue;
    ports::Input input;
    input.kind = ports::InputKind::keeper_signal;
    input.number = number;
    input.count = count;
    inputs.push_back(input);
  }
  for (const Call& call : calls_) {
    ports::Input input;
    input.kind = ports::InputKind::request;
    input.request = call.request;
    input.token = call.token;
    inputs.push_back(input);
  }
  inputs.insert(inputs.end(), results_.begin(), results_.end());
  for (const auto& [run, process] : o_.kernel.processes()) {
    if (process->socket.empty()) continue;
    Datagram& first = process->socket.front();
    if (first.peeked == 0) first.peeked = o_.time.now.mono;
    ports::Input input;
    input.kind = ports::InputKind::notify;
    input.run = run;
    input.slot = first.slot;
    input.data = first.data;
    input.descriptors = first.file != 0 ? 1 : 0;
    input.sender_pid = process->pid;
    input.token = first.token;
    inputs.push_back(input);
  }
  // Bounded in number, and nobody is always first.
  constexpr std::size_t most = 32;
  if (inputs.size() > most) {
    const auto shift = static_cast<std::ptrdiff_t>(rotation_++ % inputs.size());
    std::rotate(inputs.begin(), inputs.begin() + shift, inputs.end());
    inputs.resize(most);
  }
  peeked = inputs.size();
  o_.crash.point("peek done");
}

const Datagram* InputsPort::front(const ports::Input& input) const {
  const Process* process = o_.kernel.process(input.run);
  if (process == nullptr || process->socket.empty() || process->socket.front().token != input.token) return nullptr;
  return &process->socket.front();
}

void InputsPort::store_descriptors(const ports::Input& input, const std::string& name, std::uint32_t most, bool) {
  o_.crash.point("store_descriptors");
  if (const Datagram* datagram = front(input)) {
    auto& store = keeper_.fd_store[input.slot];
    std::size_t held = 0;
    for (const auto& [each, files] : store) held += files.size();
    if (held < most || store[name].contains(datagram->file)) store[name].insert(datagram->file);
  }
  o_.crash.point("store_descriptors done");
}

void InputsPort::remove_descriptors(SlotIndex slot, const std::string& name) {
  o_.crash.point("remove_descriptors");
  keeper_.fd_store[slot].erase(name);
  o_.crash.point("remove_descriptors done");
}

void InputsPort::consume(const ports::Input& input) {
  o_.crash.point("consume");
  switch (input.kind) {
    case ports::InputKind::notify:
      if (front(input) != nullptr) {
        Process& process = *o_.kernel.process(input.run);
        const Datagram datagram = process.socket.front();
        process.socket.pop_front();
        if (*o_.observer != nullptr && (poison.empty() || datagram.data != poison)) {
          (*o_.observer)->notify_consumed(process, datagram);
          (*o_.observer)->descriptor_consumed(input.slot, datagram);
        }
      }
      break;
    case ports::InputKind::ready_line: break;  // nobody here says it so
    case ports::InputKind::probe_result:
      if (input.refused && !input.live && *o_.observer != nullptr) (*o_.observer)->probe_refused(input.slot);
      std::erase_if(results_, [&](const ports::Input& each) { return each.token == input.token; });
      break;
    case ports::InputKind::request:
      // Taken from the connection; the connection itself waits for its answer.
      std::erase_if(calls_, [&](const Call& call) { return call.token == input.token; });
      break;
    case ports::InputKind::keeper_signal: signals_consumed_[input.number] = input.count; break;
    case ports::InputKind::keeper_lost: break;
  }
  o_.crash.point("consume done");
}

void InputsPort::answer(const ports::Input& input, const Result<Accepted>& result) {
  o_.crash.point("answer");
  if (*o_.observer != nullptr) (*o_.observer)->answered(input.request, result);
  o_.trace.note(o_.time.now.mono, "answer to %s: %s", words(input.request).c_str(),
                result ? ("order " + std::to_string(result->order) + (result->repeated ? ", known" : "")).c_str()
                       : result.error().reason.c_str());
  deliver(input.request, result);
  o_.crash.point("answer done");
}

void InputsPort::breadcrumb(const ports::Input& input) {
  o_.crash.point("breadcrumb");
  crumb_ = hash_of(input);
  if (!poison.empty() && input.data == poison) throw Crash{"a poisonous input"};
}

void InputsPort::clear_breadcrumb() {
  crumb_ = 0;
  o_.crash.point("clear_breadcrumb");
}

bool InputsPort::poisonous(const ports::Input& input) const {
  // Two deaths by chance over one input are no proof against it; the simulator would see it lost.
  return !poison.empty() && crumb_deaths_ >= 2 && hash_of(input) == crumb_at_death_;
}

void InputsPort::supervisor_died() {
  calls_.clear();
  results_.clear();
  signals_consumed_.clear();  // the port's memory; the supervisor knows from its head which it has handled
  crumb_deaths_ = crumb_ == 0 ? 0 : crumb_ == crumb_at_death_ ? crumb_deaths_ + 1 : 1;
  crumb_at_death_ = crumb_;
  crumb_ = 0;
}

void InputsPort::post_request(Request request) {
  calls_.push_back({next_token_++, std::move(request)});
  o_.kernel.wake();
}

void InputsPort::post_probe_result(ports::Input result) {
  result.token = next_token_++;
  results_.push_back(std::move(result));
  o_.kernel.wake();
}

void InputsPort::post_keeper_signal(int number) {
  ++signals_[number];
  o_.trace.note(o_.time.now.mono, "signal %d to the keeper", number);
  o_.kernel.wake();
}

}  // namespace hearth::sim
