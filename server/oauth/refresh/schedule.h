#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_SCHEDULE_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_SCHEDULE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "server/oauth/connection_refresher.h"
#include "storage/store.h"

namespace keyferry::server {

// Which connection is looked at when: connections by the time they are due, and those that are due in the queues of
// their providers. Holds no secret. Not thread-safe.
//
// At most `max_running` run at a time. Organizations take turns, and within each its providers. Places are shared
// evenly among the organizations that run or want to run something and one more, which is whoever comes next: an
// organization alone has half of them, and no number of its providers that hang keeps another waiting. Each provider
// has a rate, spaced evenly, and a part of the places: a quarter, or a sixteenth while it does not answer. A provider
// that asked for a pause gets one; what somebody waits for has its turn nevertheless, to be told so. A connection of
// 100,000 takes about 170 bytes, besides a parent that is longer than 15 bytes.
class Schedule {
 public:
  using Index = uint32_t;

  enum class State : uint8_t {
    // Until it is due.
    kIdle,
    // In its provider's queue; or in the one of those that somebody waits for.
    kReady,
    kUrgent,
    kRunning,
    // For another server: takes no place.
    kWaiting,
    // Free to be used for another.
    kFree,
  };

  struct Entry {
    storage::WatchKey key;
    // What is known of it is not older than this.
    storage::Revision seen = 0;
    // By the wall clock, in nanoseconds.
    int64_t due = 0;
    std::string parent;
    uint32_t line = 0;
    State state = State::kFree;
    bool failing = false;
    // Somebody must consent again.
    bool connect_needed = false;
  };

  explicit Schedule(size_t max_running);

  // Idle and due at no time, until told otherwise.
  Index Add(const storage::WatchKey& watch_key, const ConnectionKey& key);
  // Neither running nor waiting.
  void Remove(Index index);
  std::optional<Index> Find(const storage::WatchKey& watch_key) const;
  Entry& at(Index index) { return entries_[index]; }
  const Entry& at(Index index) const { return entries_[index]; }
  ConnectionKey KeyOf(Index index) const;
  void ForEach(const std::function<void(Index, const Entry&)>& visit) const;

  // For idle ones.
  void SetDue(Index index, absl::Time due);
  // Moves an idle, ready or waiting one to its provider's queue.
  void Enqueue(Index index, bool urgent, absl::Time monotonic_now);
  // Moves what is due there.
  void FireDue(absl::Time wall_now, absl::Time monotonic_now);
  // The next to run; nullopt if there is none now.
  std::optional<Index> Admit(absl::Time monotonic_now);
  // It has run, and is idle or waits. `asked`: the provider was asked; otherwise the turn counts for nothing.
  // `answers`: whether the provider answered, if that is known.
  void End(Index index, State state, bool asked, std::optional<bool> answers, absl::Time monotonic_now);

  // Times at which FireDue and Admit have something to do; infinite if there are none.
  absl::Time NextDue() const;
  absl::Time NextSlot() const;

  // The queue of a provider, made if it is not there.
  uint32_t LineOf(const std::string& org, const std::string& provider);
  std::optional<uint32_t> FindLine(const std::string& org, const std::string& provider) const;
  // The provider is not to be asked before `until`, by the monotonic clock. Never shortens a pause.
  void Pause(uint32_t line, absl::Time until, absl::Time monotonic_now);
  // In the past if it is not paused.
  absl::Time PausedUntil(uint32_t line) const { return lines_[line]->paused_until; }
  // What the provider's record says. Another record than before ends a pause.
  void SetProvider(uint32_t line, double max_per_second, int64_t update_time, absl::Time monotonic_now);
  int64_t ProviderUpdateTime(uint32_t line) const { return lines_[line]->update_time; }
  const std::string& OrgOf(uint32_t line) const { return orgs_[lines_[line]->org]->name; }
  const std::string& ProviderOf(uint32_t line) const { return lines_[line]->provider; }

  size_t size() const { return entries_.size() - free_.size(); }
  size_t running() const { return running_; }
  size_t waiting() const { return waiting_; }
  size_t ready() const { return ready_; }

 private:
  class IndexQueue {
   public:
    bool empty() const { return head_ == items_.size(); }
    void Push(Index index) { items_.push_back(index); }
    Index Pop();

   private:
    std::vector<Index> items_;
    size_t head_ = 0;
  };

  struct Org {
    std::string name;
    // Lines that may run now, and whether the organization is in `org_turns_`, as it is while there are any.
    std::deque<uint32_t> turns;
    bool in_turns = false;
    size_t running = 0;
  };

  // The queue of a provider.
  struct Line {
    uint32_t org = 0;
    std::string provider;
    absl::Duration spacing;
    // Of the provider's record.
    int64_t update_time = 0;
    // No exchange begins before this, by the monotonic clock.
    absl::Time next_slot = absl::InfinitePast();
    absl::Time paused_until = absl::InfinitePast();
    IndexQueue urgent;
    IndexQueue ready;
    size_t running = 0;
    bool ailing = false;
    // Where it stands while something waits in it: in its organization's `turns`, in `slots_` at `slot`, or nowhere
    // until one of its own ends.
    enum { kNowhere, kInTurns, kInSlots } place = kNowhere;
    absl::Time slot;
    // Who ran last, and so may give its slot back.
    std::optional<Index> last;
  };

  // The next of the line, or nullopt if it is empty. `urgent`: of those alone that somebody waits for.
  std::optional<Index> PopFrom(uint32_t line, bool urgent);
  bool IsStale(Index index, uint32_t line, State expected) const;
  void SetState(Index index, State state);
  uint32_t OrgNumber(const std::string& org);
  // Gives the line its place, or another where it waits for a time.
  void Place(uint32_t line, absl::Time monotonic_now);
  void Replace(uint32_t line, absl::Time monotonic_now);
  absl::Time SlotOf(const Line& line) const;
  size_t PlacesOf(const Line& line) const;
  // Of one organization.
  size_t Share() const;
  std::optional<Index> AdmitFrom(Org& org, absl::Time monotonic_now);
  void AddRunning(Org& org, int by);
  void SetInTurns(Org& org, bool in_turns);

  const size_t max_running_;
  std::deque<Entry> entries_;
  std::vector<Index> free_;
  absl::flat_hash_map<storage::WatchKey, Index> by_key_;
  absl::btree_set<std::pair<int64_t, Index>> due_;
  std::vector<std::unique_ptr<Line>> lines_;
  absl::flat_hash_map<std::pair<std::string, std::string>, uint32_t> line_of_;
  std::vector<std::unique_ptr<Org>> orgs_;
  absl::flat_hash_map<std::string, uint32_t> org_of_;
  // Organizations with lines that may run now.
  std::deque<uint32_t> org_turns_;
  // Organizations with something that runs or may run now.
  size_t active_orgs_ = 0;
  absl::btree_set<std::pair<absl::Time, uint32_t>> slots_;
  size_t running_ = 0;
  size_t waiting_ = 0;
  size_t ready_ = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_SCHEDULE_H_
