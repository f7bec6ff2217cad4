#include "cli/foreground.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/nearest.h"
#include "cli/event_news.h"
#include "cli/follow.h"
#include "cli/interrupt.h"
#include "cli/log_show.h"
#include "cli/operation.h"
#include "cli/progress.h"
#include "os/clock.h"

namespace hearth::cli {
namespace {

constexpr SpanNs pace = milliseconds(100);

bool has_ended(const SlotNews& slot) {
  return slot.state == "completed" || slot.state == "failed" || (slot.state == "stopped" && !slot.want_up);
}

// As a shell tells it.
int code_of(const SlotNews& slot) {
  if (slot.exit_code >= 0) return slot.exit_code;
  return slot.state == "completed" ? exit_code::done : exit_code::failed;
}

class Foreground {
 public:
  Foreground(const Context& context, const Document& document) : context_(context), document_(document) {
    for (const ServiceSpec& spec : document.services)
      if (spec.type == ServiceType::task) tasks_.insert(spec.name);
    if (const auto name = context.arguments.value("exit-code-from")) decisive_ = *name;
    any_end_ = context.arguments.has("abort-on-exit");
  }

  int run(const std::function<int(const Context&)>& apply, FirstProcess& first) {
    note_logs();
    Context once = context_;
    once.arguments.options["no-wait"] = {""};
    const int applied = apply(once);
    int code = applied;
    if (applied == exit_code::done) code = first.decided() ? *first.decided() : watch_them();
    // Refused: what is up of it is not ours.
    if (applied != exit_code::done && applied != exit_code::interrupted) return applied;
    // Whoever was killed may have been told.
    hurries_ = code == exit_code::interrupted || first.decided();
    if (first.is_above() && code == exit_code::interrupted) code = exit_code::done;  // TERM is how a container ends
    first.decide(code);
    const bool all_down = stop_all(first);
    take_last_lines();
    return all_down ? code : std::max<int>(code, exit_code::failed);
  }

 private:
  std::string target() const { return "/v1/status?format=json&names=" + escaped(document_.project) + ".%2A"; }

  void take_last_lines() {
    InterruptWatch watch;
    const std::size_t lost = show_.finish(watch, hurries_);
    if (lost == 0) return;
    const std::string where =
        context_.own_instance ? std::string() : "; the logs in " + context_.instance.log_directory + " have them";
    Outlet(STDERR_FILENO)
        .write(fmt::format("hearth: nobody reads stdout: {} bytes of output were not shown{}\n", lost, where));
  }

  // What was written before is not shown.
  void note_logs() {
    for (const ServiceSpec& spec : document_.services)
      for (std::uint32_t i = 0; i < spec.replicas; ++i) {
        const std::string name = fmt::format("{}.{}.{}", document_.project, spec.name, i);
        show_.begin(name, context_.instance.log_directory + "/" + name);
      }
  }

  // What goes on beside any question: lines are shown as they come.
  void attend_logs(Client& client) {
    client.attend(show_.descriptor(), [this] { (void)show_.go_on(); });
  }

  // Until when to wait for news: for ever, if all news is told.
  MonoNs next_look() const { return show_.tells_all() ? never : after(os::read_mono(), pace); }

  int watch_them() {
    InterruptWatch watch;
    Client questions(context_.socket_path(), &watch), events(context_.socket_path(), &watch);
    Operation question(questions, &watch, patience_for(context_));
    EventReader reader;
    std::optional<int> over;
    const auto look = [&] {
      over = look_at_them(question, watch);
      return !over;
    };
    while (look()) {
      attend_logs(events);
      const std::string from = reader.last() == 0 ? "now" : std::to_string(reader.last());
      const auto answer = events.stream(
          "/v1/events?after=" + from,
          [&](std::string_view bytes) {
            bool news = bytes.empty();
            reader.feed(bytes, [&](std::string_view line) { news = news || concerns_us(event_news(line)); });
            return !news || look();
          },
          next_look());
      if (over) break;
      if (watch.came()) return exit_code::interrupted;
      if (answer && answer->status != 200) return complain(context_, refusal(*answer));
      if (!answer && answer.error().trouble == Trouble::broken) return complain(context_, answer.error());
      // Cut: the next look waits for the next supervisor.
    }
    return *over;
  }

  // An order may concern us and names nobody.
  bool concerns_us(const EventNews& event) const {
    return event.service.empty() || event.service.starts_with(document_.project + ".");
  }

  // The exit code, when there is nothing more to wait for.
  std::optional<int> look_at_them(Operation& question, InterruptWatch& watch) {
    const auto answer = question.get(target(), never);
    if (watch.came()) return exit_code::interrupted;
    if (!answer) return complain(context_, answer.error());
    Result<std::vector<SlotNews>> slots = services_news(*answer);
    if (!slots) return complain(context_, slots.error());
    place_commands(*slots, context_.place_option);
    services_ = std::move(*slots);
    show_.follow(services_);
    return ended();
  }

  std::optional<int> ended() {
    const Labels labels(services_);
    bool all = true, failed = false;
    for (const SlotNews& slot : services_) {
      const bool over = has_ended(slot);
      all = all && over;
      failed = failed || (over && slot.state == "failed" && !ended_with_dependency(slot, services_, document_));
      if (!over) continue;
      if (told_.insert(full_name(slot)).second)
        show_.say(fmt::format("hearth: {} is {}{}\n", labels.of(slot), slot.state,
                              slot.reason_text.empty() ? "" : ": " + shown(slot.reason_text, 0)));
      if (slot.name == decisive_) return code_of(slot);
      const bool worked = slot.state == "completed" && tasks_.contains(slot.name);
      if (any_end_ && !worked && decisive_.empty()) return code_of(slot);
    }
    if (any_end_ && !decisive_.empty() && failed) return exit_code::failed;
    if (!all) return std::nullopt;
    return failed ? exit_code::failed : exit_code::done;
  }

  // False: something may still be up. A predecessor that was killed may have been told a second time already.
  bool stop_all(FirstProcess& first) {
    if (!first.insisted()) {
      const std::optional<bool> down = stop_in_order();
      if (down) return *down;
      first.note_insisted();
    }
    hurries_ = true;
    return insist();
  }

  // Nothing: told again meanwhile.
  std::optional<bool> stop_in_order() {
    InterruptWatch watch;
    Client client(context_.socket_path(), &watch);
    Operation order(client, &watch, patience_for(context_));
    const std::string body = fmt::format(R"({{"verb":"down","path":{}}})", json_text(document_.path));
    attend_logs(client);
    auto answer = order.post("/v1/orders", body, never);
    std::string seen;
    while (answer && answer->status < 400) {
      answer = order.look(seen, show_.tells_all() ? seconds(30) : pace, never);
      if (!answer) break;
      const Result<OrderNews> news = order_news(*answer);
      if (news && news->settled) return all_is_down(*news);
      if (!news) break;
      seen = news->seen;
      (void)show_.go_on();
      if (watch.came()) return std::nullopt;
    }
    if (watch.came()) return std::nullopt;
    if (!answer) return answer.error().trouble == Trouble::not_running && !instance_lives(context_.instance);
    return answer->status < 400 || answer->status == 404;
  }

  // Told once more, it does not wait for their end.
  bool insist() {
    show_.say("hearth: they are killed\n");
    InterruptWatch watch;
    Client client(context_.socket_path(), &watch);
    Operation order(client, &watch, patience_for(context_));
    const std::string body = fmt::format(R"({{"verb":"down","path":{},"force":true}})", json_text(document_.path));
    attend_logs(client);
    auto answer = order.post("/v1/orders", body, after(os::read_mono(), seconds(10)));
    if (answer && answer->status == 404) return true;  // it is down already
    const MonoNs until = after(os::read_mono(), seconds(10));
    while (answer && answer->status < 400 && os::read_mono() < until) {
      answer = order.look("", pace, until);
      if (!answer) break;
      const Result<OrderNews> news = order_news(*answer);
      if (news && news->settled) return all_is_down(*news);
    }
    show_.say(
        fmt::format("hearth: {}; `hearth {}status` tells what is left\n",
                    watch.came() ? "interrupted before they had ended" : "it is not known whether they have ended",
                    context_.place_option));
    return false;
  }

  // The order is settled: that is also when nothing more can be done. What could not be ended is told.
  bool all_is_down(const OrderNews& news) {
    const Labels labels(news.slots);
    bool all = true;
    for (const SlotNews& slot : news.slots) {
      if (slot.outcome != "incomplete" && slot.outcome != "failed") continue;
      all = false;
      show_.say(fmt::format("hearth: {}: {}\n", labels.of(slot),
                            slot.reason_text.empty() ? "it is " + slot.state : shown(slot.reason_text, 0)));
    }
    return all;
  }

  const Context& context_;
  const Document& document_;
  std::set<std::string> tasks_, told_;
  std::string decisive_;
  bool any_end_ = false;
  bool hurries_ = false;  // told to end: whoever reads what is shown is not waited for
  std::vector<SlotNews> services_;
  LogShow show_;
};

// Of hearth itself. False: it goes on.
bool end_hearth(const Context& context) {
  InterruptWatch watch;
  Client client(context.socket_path(), &watch);
  Operation order(client, &watch, patience_for(context));
  const auto instance = order.get("/v1/instance", after(os::read_mono(), seconds(10)));
  if (!instance) return true;
  const auto answer = order.post("/v1/orders", R"({"verb":"shutdown"})", after(os::read_mono(), seconds(10)));
  return !answer || wait_for_end(context, client, watch, after(os::read_mono(), seconds(60)));
}

// Of --instance auto: nothing of it is to be found afterwards.
int end_of_instance(const Context& context, int code) {
  if (!end_hearth(context)) {
    write_err(fmt::format("hearth: it has not ended; it is in {}\n", context.instance.directory));
    return std::max<int>(code, exit_code::failed);
  }
  std::error_code error;
  std::filesystem::remove_all(context.instance.directory, error);
  if (error) write_err(fmt::format("hearth: {} is left: {}\n", context.instance.directory, error.message()));
  return code;
}

}  // namespace

bool ended_with_dependency(const SlotNews& slot, const std::vector<SlotNews>& all, const Document& document) {
  if (slot.state != "failed" || slot.reason != "dependency_failed" || slot.run == 0) return false;
  const auto spec = std::ranges::find(document.services, slot.name, &ServiceSpec::name);
  if (spec == document.services.end()) return false;
  bool went = false;
  for (const Dependency& dependency : spec->depends_on) {
    for (const SlotNews& other : all) {
      if (other.name != dependency.service || !has_ended(other)) continue;
      // Dependencies have no cycle: this comes to an end.
      const bool well = other.state == "completed" || ended_with_dependency(other, all, document);
      if (!well && dependency.required) return false;
      went = went || (well && dependency.stop);
    }
  }
  return went;
}

bool in_foreground(const Arguments& arguments) {
  return arguments.has("foreground") || arguments.has("exit-code-from") || arguments.has("abort-on-exit");
}

Status check_foreground(const Arguments& arguments, const Document& document) {
  for (const char* option : {"no-wait", "timeout", "json"})
    if (arguments.has(option))
      return failure(Remedy::fix_input, "up", fmt::format("--{}", option), "it has no meaning with --foreground",
                     "leave one of them out");
  const auto name = arguments.value("exit-code-from");
  if (!name) return {};
  std::vector<std::string_view> known;
  for (const ServiceSpec& spec : document.services) known.push_back(spec.name);
  if (std::ranges::find(known, *name) != known.end()) return {};
  const std::string_view near = nearest(*name, known);
  return failure(Remedy::not_found, "up", "--exit-code-from " + *name, "the file has no service of that name",
                 near.empty() ? std::string() : fmt::format("did you mean {}?", near));
}

int up_in_foreground(const Context& context, const Document& document, const std::function<int(const Context&)>& apply,
                     FirstProcess& first) {
  const HeldInterrupts held;
  const int code = Foreground(context, document).run(apply, first);
  if (context.own_instance) return end_of_instance(context, code);
  if (first.is_above() && !end_hearth(context))
    Outlet(STDERR_FILENO).write("hearth: it has not ended in time, and ends with the container\n");
  return code;
}

}  // namespace hearth::cli
