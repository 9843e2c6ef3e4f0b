// A classic consumer group: who is in it, which generation it is in, who owns what (KIP-62, KIP-345, KIP-394).
//
// A pure state machine: calls and time go in, answers and what is to be recorded come out. It has no clock, port or
// fiber in it. What has been asked and is answered later is known by its ticket.
//
//   Empty --join--> PreparingRebalance --all joined, or time is over--> CompletingRebalance --leader's sync recorded-->
//   Stable --somebody comes, goes, or wants otherwise--> PreparingRebalance;  the last one goes: Empty.
//
// Invariants: a generation is answered to members of that generation alone; an assignment is answered only once it is
// recorded; every member is heard from within its session's time, or waits for an answer, or is removed.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/time.h"
#include "core/protocol/errors.h"

namespace chronik::group {

using Ticket = std::uint64_t;  // of a call that is answered later; 0: none

// Opaque bytes: only members of the group read them.
using Bytes = std::string;

struct Settings {
  Duration session_min = Duration::seconds(6);     // group.min.session.timeout.ms
  Duration session_max = Duration::seconds(1800);  // group.max.session.timeout.ms
  Duration initial_delay = Duration::seconds(3);   // group.initial.rebalance.delay.ms
  std::size_t size_max = 2'147'483'647;            // group.max.size
};

struct Protocol {
  std::string name;
  Bytes metadata;
  bool operator==(const Protocol&) const = default;
};

struct JoinCall {
  std::string member_id;  // empty: not known yet
  std::optional<std::string> instance_id;
  std::string new_member_id;  // which the member gets where it has none: never used before
  std::string client_id;
  std::string client_host;
  Duration session_timeout;
  Duration rebalance_timeout;
  std::string protocol_type;
  std::vector<Protocol> protocols;
  bool must_know_its_id = false;  // from version 4 on: it is given an id first (KIP-394)
  bool knows_skipping = false;    // from version 9 on
};

struct JoinAnswer {
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  std::int32_t generation = -1;
  std::string protocol_type = {};
  std::string protocol = {};
  std::string leader = {};
  std::string member_id = {};
  bool skip_assignment = false;
  struct Member {
    std::string id;
    std::optional<std::string> instance_id;
    Bytes metadata;
  };
  std::vector<Member> members = {};  // for the leader
};

struct SyncCall {
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t generation = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  std::vector<std::pair<std::string, Bytes>> assignments;  // of the leader: by member
};

struct SyncAnswer {
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  std::string protocol_type = {};
  std::string protocol = {};
  Bytes assignment = {};
};

enum class State : std::uint8_t { kEmpty, kPreparingRebalance, kCompletingRebalance, kStable, kDead };
std::string_view state_name(State state);  // as Kafka's tools show it: "Stable"

struct Effects;

struct Member {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  Duration session_timeout;
  Duration rebalance_timeout;
  std::vector<Protocol> protocols;
  Bytes assignment;

  Ticket joining = 0;
  Ticket syncing = 0;
  bool joined = false;     // in the rebalance that is being prepared
  bool owes_sync = false;  // was told of its generation, and has not asked for its assignment
  MonotonicTime expires = MonotonicTime::never();

  const Bytes* metadata_for(std::string_view protocol) const;
  // Answer what it waits for, if it does.
  void end_join(JoinAnswer answer, Effects& effects);
  void end_sync(SyncAnswer answer, Effects& effects);
};

// What a call or the passing of time came to.
struct Effects {
  std::vector<std::pair<Ticket, JoinAnswer>> joined = {};
  std::vector<std::pair<Ticket, SyncAnswer>> synced = {};
  bool record = false;  // the group is to be recorded as it is: Group::recorded() or not_recorded() follows
};

class Group {
 public:
  // The settings outlive it.
  Group(std::string id, const Settings& settings) : id_(std::move(id)), settings_(&settings) {}

  const std::string& id() const { return id_; }
  State state() const { return state_; }
  std::int32_t generation() const { return generation_; }
  const std::string& protocol_type() const { return protocol_type_; }
  const std::string& protocol() const { return protocol_; }
  const std::string& leader() const { return leader_; }
  const absl::btree_map<std::string, Member>& members() const { return members_; }
  bool idle() const { return members_.empty() && pending_.empty(); }

  // ---- calls ----
  void join(const JoinCall& call, Ticket ticket, MonotonicTime now, Effects& effects);
  void sync(const SyncCall& call, Ticket ticket, MonotonicTime now, Effects& effects);
  protocol::ErrorCode heartbeat(const std::string& member, const std::optional<std::string>& instance,
                                std::int32_t generation, MonotonicTime now);
  // By the member's id, or by its instance's alone.
  protocol::ErrorCode leave(const std::string& member, const std::optional<std::string>& instance, MonotonicTime now,
                            Effects& effects);
  // Whether the member may commit offsets; hears it.
  protocol::ErrorCode check_commit(const std::string& member, const std::optional<std::string>& instance,
                                   std::int32_t generation, MonotonicTime now);

  // Whoever asked does not wait any more, for its answer may have come too late or its client have gone: from now on it
  // is to be heard, as everybody.
  void abandon(Ticket ticket, MonotonicTime now);

  // ---- time ----
  MonotonicTime next_deadline() const;
  void pass(MonotonicTime now, Effects& effects);
  // Nobody could be heard up to now: whatever ends by time has as long again as if it began now.
  void begin_times_anew(MonotonicTime now);

  // ---- records ----
  // What `record` asked for is durable, or will never be. `generation`: as it was when it asked.
  void recorded(std::int32_t generation, MonotonicTime now, Effects& effects);
  void not_recorded(std::int32_t generation, protocol::ErrorCode error, MonotonicTime now, Effects& effects);
  // What the assignments are that are to be recorded.
  std::string_view assignment_to_record(const Member& member) const;
  // As a record tells it.
  struct Recorded {
    std::string protocol_type;
    std::int32_t generation = 0;
    std::string protocol;
    std::string leader;
    std::vector<Member> members;
  };
  void restore(Recorded recorded, MonotonicTime now);
  // Everybody who waits is told this: the group is led elsewhere from now on.
  void give_up(protocol::ErrorCode error, Effects& effects);

 private:
  protocol::ErrorCode check_member(const std::string& member, const std::optional<std::string>& instance,
                                   std::int32_t generation) const;
  protocol::ErrorCode check_protocols(const JoinCall& call) const;
  void join_new(const JoinCall& call, Ticket ticket, MonotonicTime now, Effects& effects);
  void join_known(const JoinCall& call, Ticket ticket, MonotonicTime now, Effects& effects);
  void take_over_instance(const JoinCall& call, Ticket ticket, MonotonicTime now, Effects& effects);
  void add_member(const JoinCall& call, const std::string& id, Ticket ticket, MonotonicTime now, Effects& effects);
  void update_member(Member& member, const JoinCall& call, Ticket ticket, Effects& effects);
  void remove_member(const std::string& id, MonotonicTime now, Effects& effects);
  void rebalance(MonotonicTime now, Effects& effects);
  void complete_join(MonotonicTime now, Effects& effects);
  void complete_join_if_all_have(MonotonicTime now, Effects& effects);
  void begin_generation(MonotonicTime now, Effects& effects);
  void refuse_syncs(protocol::ErrorCode error, Effects& effects);
  void expire_members(MonotonicTime now, Effects& effects);
  bool all_have_joined() const;
  JoinAnswer answer_of(const Member& member) const;
  SyncAnswer assignment_of(const Member& member) const;
  std::string chosen_protocol() const;
  bool supported_by_all(const std::vector<Protocol>& protocols, const Member* but) const;
  Duration rebalance_timeout() const;
  void hear(Member& member, MonotonicTime now) { member.expires = now + member.session_timeout; }

  std::string id_;
  const Settings* settings_;
  State state_ = State::kEmpty;
  std::int32_t generation_ = 0;
  std::string protocol_type_;
  std::string protocol_;
  std::string leader_;
  absl::btree_map<std::string, Member> members_;
  absl::btree_map<std::string, std::string> instances_;  // to the member's id
  absl::btree_map<std::string, MonotonicTime> pending_;  // ids that were given and have not joined; until when
  absl::btree_map<std::string, Bytes> to_be_recorded_;   // assignments of this generation
  bool recording_ = false;
  MonotonicTime join_ends_ = MonotonicTime::never();
  MonotonicTime join_ends_at_most_ = MonotonicTime::never();  // however many come in the first rebalance
  bool first_join_ = false;                                   // which waits for more to come
  bool more_came_ = false;
  MonotonicTime sync_ends_ = MonotonicTime::never();
};

}  // namespace chronik::group
