// Of GroupMember: who announces itself, who is answered, and whom there are links to.
#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/log_line.h"
#include "core/raft/group_member.h"
#include "core/raft/membership_codec.h"

namespace chronik::raft {

namespace {
constexpr std::size_t kStrangersMax = 16;
constexpr Duration kMarkPatience = Duration::seconds(1);
constexpr Duration kStrangerIsThere = Duration::seconds(5);  // since it announced itself
}  // namespace

// ---- what is said ----

Announcement GroupMember::formed_announcement() const {
  const Raft& raft = driver_->raft();
  Announcement said{.self = options_.self,
                    .host = options_.address.host,
                    .port = options_.address.port,
                    .cluster = cluster_,
                    .formed = true,
                    .group = raft.membership()};
  std::vector<MemberAddress> addresses;
  for (const std::vector<Member>* part : {&said.group.voters, &said.group.learners}) {
    for (const Member& member : *part) {
      const MemberAddress* configured = configured_address_of(member.node);
      const MemberAddress* at = configured != nullptr ? configured : said.group.address_of(member.node);
      if (at != nullptr) {
        addresses.push_back(*at);
      }
    }
  }
  std::sort(addresses.begin(), addresses.end());
  said.group.addresses = std::move(addresses);
  if (driver_->membership_is_committed()) {
    said.index = raft.log().membership_index();
  }
  return said;
}

Announcement GroupMember::lost_announcement() const {
  return {.self = options_.self,
          .host = options_.address.host,
          .port = options_.address.port,
          .cluster = cluster_,
          .formed = false};
}

bool GroupMember::is_lost() const {
  return driver_->leadership().leader == NodeId::none() || !driver_->membership().contains(options_.self);
}

// An election takes about as long as the first pause, and needs none of this.
void GroupMember::announce_while_lost() {
  for (;;) {
    while (!is_lost()) {
      if (!group_changed_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()).ok()) {
        return;
      }
    }
    if (!fiber::sleep(options_.announce_again).ok()) {
      return;
    }
    if (is_lost()) {
      for (const NodeId node : links_->peers()) {
        links_->send(node, lost_announcement());
      }
    }
  }
}

// Whoever was away knows nothing of those who came meanwhile, and closes their connections, until one says so itself:
// those whom it does know may be gone.
std::optional<PeerMessage> GroupMember::greeting() const {
  if (!started_) {
    return std::nullopt;
  }
  return is_lost() ? lost_announcement() : formed_announcement();
}

// ---- what is heard ----

// What the metadata know of that directory outlasts the processes of all nodes; what was heard may be later.
bool GroupMember::accepts(NodeId from, const Life& life, Rival rival) {
  LifeVerdict verdict;
  const std::optional<KnownStart> registered =
      machine_ == nullptr ? std::nullopt : machine_->known_start({.node = from, .directory = life.directory});
  if (registered.has_value() && !continues(life, *registered)) {
    verdict = {LifeVerdict::Kind::kOlderCopy,
               fmt::format("its start {} has registered, and this is start {}, which does not come after that",
                           registered->start, life.start)};
  } else {
    verdict = lives_.judge(life, rival);
  }
  switch (verdict.kind) {
    case LifeVerdict::Kind::kHeard: return true;
    case LifeVerdict::Kind::kNotNow: put_off(from, life, verdict.why); return false;
    case LifeVerdict::Kind::kOlderCopy: refuse(from, life, verdict.why); return false;
  }
  return false;
}

bool GroupMember::is_news(NodeId from, const Life& life) {
  if (refused_.size() > kStrangersMax) {
    refused_.clear();
  }
  return std::exchange(refused_[from], life.incarnation) != life.incarnation;
}

void GroupMember::put_off(NodeId from, const Life& life, const std::string& why) {
  if (is_news(from, life)) {
    log_warn("a node is not heard for now: two processes go on with its data directory, or a copy of it",
             field("node", from), field("start", life.start), field("why", why));
  }
}

// One that has ended by now hears nothing of it.
void GroupMember::refuse(NodeId from, const Life& life, const std::string& why) {
  if (is_news(from, life)) {
    log_error("a node is not heard: its data directory is an older copy of the one that is known", field("node", from),
              field("why", why));
  }
  links_->send(from, OlderCopy{.incarnation = life.incarnation, .why = why});
}

void GroupMember::hear_of_own_copy(NodeId from, const OlderCopy& told) {
  if (told.incarnation != life_.incarnation || std::exchange(older_copy_, true)) {
    return;
  }
  const std::string why = fmt::format(
      "the data directory is an older copy of itself, a backup perhaps, and may have forgotten what it voted and kept: "
      "node {} says that {}. Empty it, and replace the node in the cluster: remove it by force, and add it again",
      from, told.why);
  driver_scope_.spawn({"older-copy", 0}, [this, why] {
    static_cast<void>(mark_older_copy(store_, why, fiber::within(kMarkPatience, Expiry::kPeer)));
    process_.fatal(ExitStatus::kDataDirectory, why);
  });
}

void GroupMember::on_peer_message(NodeId from, const Life& life, PeerMessage message) {
  if (const auto* told = std::get_if<OlderCopy>(&message)) {
    return hear_of_own_copy(from, *told);
  }
  if (const auto* raft = std::get_if<Message>(&message)) {
    if (const std::string forgotten = lives_.note(life, *raft); !forgotten.empty()) {
      return refuse(from, life, forgotten);
    }
  }
  if (const auto* announcement = std::get_if<Announcement>(&message)) {
    if (announcement->self.node != from) {
      return;
    }
    if (formation_.has_value()) {
      if (formation_->hear(*announcement)) {
        heard_.notify_all();
      }
    } else if (started_ && announcement->formed) {
      hear_formed(*announcement);
    } else if (started_) {
      hear_lost(*announcement);
    }
    return;
  }
  if (started_) {
    driver_->receive(from, message);
  }
}

void GroupMember::on_stranger(NodeId from, const PeerMessage& message) {
  const auto* announcement = std::get_if<Announcement>(&message);
  const bool usable = announcement != nullptr && announcement->self.node == from && from != options_.self.node &&
                      !announcement->host.empty() && announcement->port != 0;
  if (!started_ || !usable) {
    return;
  }
  if (announcement->formed) {
    return hear_formed(*announcement);
  }
  if (strangers_.size() >= kStrangersMax && !strangers_.contains(from)) {
    const auto longest_silent =
        std::min_element(strangers_.begin(), strangers_.end(),
                         [](const auto& a, const auto& b) { return a.second.heard < b.second.heard; });
    strangers_.erase(longest_silent);
  }
  strangers_[from] = {.said = *announcement, .heard = fiber::Scheduler::current().now()};
  follow_members();
}

void GroupMember::hear_lost(const Announcement& announcement) {
  const NodeId node = announcement.self.node;
  if (!driver_->membership().contains(announcement.self) &&
      (strangers_.contains(node) || strangers_.size() < kStrangersMax)) {
    strangers_[node] = {.said = announcement, .heard = fiber::Scheduler::current().now()};
    follow_members();
  }
  links_->send(node, formed_announcement());
}

void GroupMember::hear_formed(const Announcement& announcement) {
  if (announcement.cluster != cluster_ || !is_sound(announcement.group)) {
    return;
  }
  if (is_lost() && (told_.empty() || announcement.index >= told_as_of_)) {
    told_.clear();
    told_as_of_ = announcement.index;
    for (const MemberAddress& at : announcement.group.addresses) {
      told_[at.node] = at;
    }
    follow_members();
  }
  const bool was_member = driver_->membership().contains(options_.self);
  const bool newer = announcement.index > driver_->raft().log().membership_index();
  if (!was_member || !newer || announcement.group.contains(options_.self) || std::exchange(removed_, true)) {
    return;
  }
  log_error("this node has been removed from the cluster: it neither votes nor serves",
            field("node", options_.self.node), field("told_by", announcement.self.node));
  if (owner_ != nullptr) {
    owner_->on_removed();
  }
}

// ---- links ----

// Who leads may be one of those who came while this node was away: until its log says so, only what it was told does.
void GroupMember::on_group_change() {
  const Membership& members = driver_->membership();
  if (members.contains(options_.self) && members.find(driver_->leadership().leader) != nullptr) {
    removed_ = false;
    told_.clear();
  }
  follow_members();
  group_changed_.notify_all();
}

// What this node's own configuration says of an address goes before what others say.
void GroupMember::follow_members() {
  if (alone()) {
    return;
  }
  std::map<NodeId, MemberAddress> wanted;
  const auto add = [&](const MemberAddress& at) {
    if (at.node != options_.self.node && !at.host.empty()) {
      wanted.try_emplace(at.node, at);
    }
  };
  std::for_each(options_.links.peers.begin(), options_.links.peers.end(), add);
  const Membership& members = driver_->membership();
  std::for_each(members.addresses.begin(), members.addresses.end(), add);
  for (const auto& [node, at] : told_) {
    add(at);
  }
  std::erase_if(strangers_, [&](const auto& stranger) { return members.contains(stranger.second.said.self); });
  for (const auto& [node, stranger] : strangers_) {
    add({.node = node, .host = stranger.said.host, .port = stranger.said.port});
  }
  if (sought_.has_value()) {
    add(*sought_);
  }
  for (const NodeId node : links_->peers()) {
    if (!wanted.contains(node)) {
      links_->drop(node);
    }
  }
  for (const auto& [node, at] : wanted) {
    if (const PeerAddress* now = links_->find(node); now == nullptr || *now != at) {
      links_->put(at);
    }
  }
}

const MemberAddress* GroupMember::configured_address_of(NodeId node) const {
  if (node == options_.self.node) {
    return options_.address.host.empty() ? nullptr : &options_.address;
  }
  const std::vector<PeerAddress>& peers = options_.links.peers;
  const auto found = std::find_if(peers.begin(), peers.end(), [node](const auto& peer) { return peer.node == node; });
  return found == peers.end() ? nullptr : &*found;
}

// A node of another cluster has an id for it that is not this one's.
std::optional<Member> GroupMember::find_stranger(NodeId node) const {
  const auto found = strangers_.find(node);
  const bool there = found != strangers_.end() && found->second.said.cluster == cluster_ &&
                     fiber::Scheduler::current().now() - found->second.heard < kStrangerIsThere;
  return there ? std::optional<Member>(found->second.said.self) : std::nullopt;
}

void GroupMember::seek(const MemberAddress& at) {
  sought_ = at;
  follow_members();
  links_->send(at.node, formed_announcement());
}

}  // namespace chronik::raft
