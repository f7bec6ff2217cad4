#include "model/event.h"

namespace hearth {

const char* happening_name(Happening what) {
  switch (what) {
    case Happening::order: return "order";
    case Happening::state: return "state";
    case Happening::run: return "run";
    case Happening::exit: return "exit";
    case Happening::ready: return "ready";
    case Happening::unready: return "unready";
    case Happening::removed: return "removed";
    case Happening::takeover: return "takeover";
    case Happening::hook: return "hook";
    case Happening::keeper: return "keeper";
    case Happening::loss: return "loss";
    case Happening::note: return "note";
    case Happening::upgrade: return "upgrade";
  }
  return "unknown";
}

}  // namespace hearth
