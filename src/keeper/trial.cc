// hearth-keeper --trial. By hand: the keeper has no use for stdio.

#include "keeper/keeper.h"
#include "keeper/message.h"
#include "keeper/system.h"
#include "wire/hand_over.h"
#include "wire/spawn_plan.h"

namespace hearth::keeper {

int keeper_trial(const char* version) {
  char text[512];
  constexpr size_t version_most = 64;
  if (strlen(version) > version_most) return 1;
  char* at = text;
  const auto add = [&](const char* part) { at = stpcpy(at, part); };
  add("{\"trial\":1,\"program\":\"hearth-keeper\",\"version\":\"");
  add(version);
  add("\",\"formats\":{");
  struct Format {
    const char* name;
    uint32_t version;
  };
  const char* before = "\"";
  for (const Format& each :
       {Format{"hand_over", wire::hand_over_version}, Format{"slot_table", wire::slot_table_version},
        Format{"messages", wire::message_version}, Format{"plan", wire::plan_version}}) {
    add(before);
    add(each.name);
    add("\":");
    at = put_number(at, each.version);
    before = ",\"";
  }
  add("}}\n");
  const ssize_t size = at - text;
  return write(STDOUT_FILENO, text, static_cast<size_t>(size)) != size;
}

}  // namespace hearth::keeper
