// Parked descriptors: a table with an index by identity (class, key, file, name). Everything is O(1), also for
// thousands that come and go; nothing is allocated.

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

const char* name_of(const ParkedState& p, const Parked& item) {
  return p.name[item.name];
}

uint32_t bucket_of(wire::ParkClass type, uint64_t key, uint64_t file, const char* name) {
  uint64_t hash =
      (static_cast<uint64_t>(type) * 0x9e3779b97f4a7c15) ^ (key * 0xff51afd7ed558ccd) ^ (file * 0xc4ceb9fe1a85ec53);
  for (; *name != 0; ++name) hash = (hash ^ static_cast<unsigned char>(*name)) * 0x100000001b3;
  return static_cast<uint32_t>((hash ^ hash >> 29 ^ hash >> 47) % park_buckets);
}

uint32_t bucket_of(const ParkedState& p, const Parked& item) {
  return bucket_of(item.type, item.key, item.file, name_of(p, item));
}

// The bucket of that identity, or the empty one where it belongs.
uint32_t find(const ParkedState& p, const wire::ParkRecord& record) {
  uint32_t at = bucket_of(record.type, record.key, record.file, record.name);
  for (; p.bucket[at] != 0; at = (at + 1) % park_buckets) {
    const Parked& item = p.item[p.bucket[at] - 1];
    if (item.type == record.type && item.key == record.key && item.file == record.file &&
        strcmp(name_of(p, item), record.name) == 0)
      break;
  }
  return at;
}

// Removal from linear probing: later members of the chain move up, so that no search stops early.
void empty_bucket(ParkedState& p, uint32_t hole) {
  p.bucket[hole] = 0;
  for (uint32_t at = (hole + 1) % park_buckets; p.bucket[at] != 0; at = (at + 1) % park_buckets) {
    const uint32_t home = bucket_of(p, p.item[p.bucket[at] - 1]);
    const bool stays = hole < at ? home > hole && home <= at : home > hole || home <= at;
    if (stays) continue;
    p.bucket[hole] = p.bucket[at];
    p.bucket[at] = 0;
    hole = at;
  }
}

uint16_t store_name(ParkedState& p, const char* name) {
  if (*name == 0) return 0;
  const uint16_t index = p.free_names > 0 ? p.free_name[--p.free_names] : static_cast<uint16_t>(++p.names_end);
  strcpy(p.name[index], name);
  return index;
}

Parked* new_item(ParkedState& p) {
  if (p.free_item == 0 && p.end == park_places) return nullptr;
  Parked* item = &p.item[p.free_item != 0 ? p.free_item - 1 : p.end++];
  if (p.free_item != 0) p.free_item = item->next;
  *item = Parked{};
  item->used = true;
  return item;
}

uint16_t number_of(const ParkedState& p, const Parked& item) {
  return static_cast<uint16_t>(&item - p.item + 1);
}

void free_item(ParkedState& p, Parked& item) {
  if (item.name != 0) p.free_name[p.free_names++] = item.name;
  item = Parked{};
  item.next = p.free_item;
  p.free_item = number_of(p, item);
}

// An output that is nobody's yet is made ahead; the logger hears of it when it is parked again for its slot.
bool concerns_logger(const Parked& item) {
  return item.type == wire::ParkClass::output && item.slot != no_slot;
}

void queue_for_logger(ParkedState& p, Parked& item) {
  if (item.queued) return;
  item.queued = true;
  item.next = 0;
  if (p.queue_tail != 0)
    p.item[p.queue_tail - 1].next = number_of(p, item);
  else
    p.queue_head = number_of(p, item);
  p.queue_tail = number_of(p, item);
}

bool well_formed(const wire::ParkRecord& record) {
  return record.type >= wire::ParkClass::output && record.type <= wire::ParkClass::program &&
         memchr(record.name, 0, sizeof record.name) != nullptr;
}

// The program before ours takes nobody's place: it was open before it was parked, as one of the descriptors that are
// reserved. A supervisor that reckons with what it has parked itself has not heard of it.
constexpr wire::ParkRecord program_before = {wire::ParkClass::program, no_slot, wire::program_before_keeper, 0, {}};

bool is_program_before(const wire::ParkRecord& record) {
  return record.type == program_before.type && record.key == program_before.key && record.file == program_before.file &&
         *record.name == 0;
}

// Whoever raises our limit (prlimit(2)) tells nobody: it is asked for when the one that we know is reached. The supervisor
// compares with the true one before it starts anything (KeeperLink::keeper_has_room).
bool has_room(Keeper& k, const wire::ParkRecord& record) {
  if (is_program_before(record)) return true;
  const uint32_t others = k.parked.count - (is_parked(k, program_before) ? 1 : 0);
  const uint64_t needed = uint64_t{others} + k.pidfds + wire::keeper_reserved_descriptors;
  rlimit now;
  if (needed >= k.nofile_now && getrlimit(RLIMIT_NOFILE, &now) == 0)
    k.nofile_now = now.rlim_cur > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(now.rlim_cur);
  return others < wire::max_parked && needed < k.nofile_now;
}

}  // namespace

void fill_record(const Keeper& k, const Parked& item, wire::ParkRecord& record) {
  record = {item.type, item.slot, item.key, item.file, {}};
  strcpy(record.name, name_of(k.parked, item));
}

// Of a program before this one, at the same places.
void restore_parked(Keeper& k, const wire::HandOverHeader& header, const wire::HandOverParked* item) {
  ParkedState& p = k.parked;
  p.end = header.parked_end;
  p.queue_head = static_cast<uint16_t>(header.queue_head);
  p.queue_tail = static_cast<uint16_t>(header.queue_tail);
  for (uint32_t i = 0; i < header.parked; ++i) {
    const wire::HandOverParked& from = item[i];
    Parked& to = p.item[from.index];
    to = {from.record.type,
          from.record.slot,
          from.record.key,
          from.record.file,
          from.fd,
          from.by,
          store_name(p, from.record.name),
          from.next,
          true,
          from.queued != 0,
          from.dropped != 0};
    if (to.dropped) continue;
    p.bucket[find(p, from.record)] = number_of(p, to);
    ++p.count;
  }
  for (uint32_t i = 0; i < p.end; ++i)
    if (!p.item[i].used) free_item(p, p.item[i]);
}

bool is_parked(const Keeper& k, const wire::ParkRecord& record) {
  return k.parked.bucket[find(k.parked, record)] != 0;
}

void park(Keeper& k, const wire::ParkRecord& record, int fd, uint32_t by) {
  ParkedState& p = k.parked;
  if (!well_formed(record)) {
    close_fd(fd);
    return;
  }
  const uint32_t at = find(p, record);
  Parked* item = p.bucket[at] != 0 ? &p.item[p.bucket[at] - 1] : nullptr;
  const bool room = item != nullptr || has_room(k, record);
  if (item == nullptr && room && fd >= 0) item = new_item(p);
  if (item == nullptr || !room || fd < 0) {
    close_fd(fd);
    k.table->parks_refused.fetch_add(1);
    k.ring_supervisor = true;
    return;
  }
  // One that is held already and is offered again is no news: the logger would open a stream for it anew.
  const bool news = p.bucket[at] == 0 || item->slot != record.slot;
  if (p.bucket[at] == 0) {
    item->type = record.type;
    item->key = record.key;
    item->file = record.file;
    item->name = store_name(p, record.name);
    p.bucket[at] = number_of(p, *item);
    ++p.count;
  } else {
    close_fd(item->fd);
  }
  item->slot = record.slot;
  item->fd = fd;
  item->by = by;
  if (news && concerns_logger(*item) && k.member[role_logger].socket >= 0) queue_for_logger(p, *item);
}

void unpark(Keeper& k, const wire::ParkRecord& record) {
  ParkedState& p = k.parked;
  if (!well_formed(record)) return;
  const uint32_t at = find(p, record);
  if (p.bucket[at] == 0) return;
  Parked& item = p.item[p.bucket[at] - 1];
  empty_bucket(p, at);
  --p.count;
  close_fd(item.fd);
  item.dropped = true;
  if (concerns_logger(item) && k.member[role_logger].socket >= 0) queue_for_logger(p, item);
  if (!item.queued) free_item(p, item);
}

void queue_outputs(Keeper& k) {
  ParkedState& p = k.parked;
  p.queue_head = p.queue_tail = 0;
  for (uint32_t i = 0; i < p.end; ++i) {
    Parked& item = p.item[i];
    if (!item.used) continue;
    item.queued = false;
    if (item.dropped)
      free_item(p, item);
    else if (concerns_logger(item))
      queue_for_logger(p, item);
  }
}

Parked* next_for_logger(Keeper& k) {
  return k.parked.queue_head == 0 ? nullptr : &k.parked.item[k.parked.queue_head - 1];
}

void told_logger(Keeper& k) {
  ParkedState& p = k.parked;
  Parked& item = p.item[p.queue_head - 1];
  p.queue_head = item.next;
  if (p.queue_head == 0) p.queue_tail = 0;
  item.queued = false;
  item.next = 0;
  if (item.dropped) free_item(p, item);
}

}  // namespace hearth::keeper
