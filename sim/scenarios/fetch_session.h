// A consumer's side of a fetch session (KIP-227): its requests name what has changed since the broker heard of it last,
// and what an answer leaves out is as it was told before.
//
// Usage: begin() on a request for all partitions that are wanted, end() on its answer, which afterwards has an answer
// for each of them in that order, as without a session; lost() where none came. Judged (FETCH-SESSION): nothing is told
// of a partition that was forgotten or never asked for, and nothing that was told already is told again.
#pragma once

#include <absl/container/btree_map.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/protocol/messages/fetch.h"

namespace chronik::sim {

class FetchSessionClient {
 public:
  // fail: how a finding is made of a sentence.
  explicit FetchSessionClient(std::function<void(const std::string&)> fail) : fail_(std::move(fail)) {}

  void begin(protocol::FetchRequest& request);
  // False: the broker knows no such session, or is at another request of it; the next begin() makes a new one.
  bool end(protocol::FetchResponse& response);
  // No answer came. gives_up: the next begin() makes a new session in place of this one; else it asks the same again,
  // and finds out whether the broker has heard it.
  void lost(bool gives_up) { begins_anew_ |= gives_up; }

  std::int32_t id() const { return id_; }

 private:
  using Key = std::pair<std::pair<TopicId, std::string>, PartitionId>;
  struct Known {
    protocol::FetchPartition asked;
    protocol::FetchPartitionResponse told;  // without records
  };
  static Key key_of(const protocol::FetchTopic& topic, const protocol::FetchPartition& partition) {
    return {{topic.topic_id, topic.topic}, partition.partition};
  }
  void leave_out_known(protocol::FetchRequest& request) const;
  void take(const Key& key, protocol::FetchPartitionResponse& answer, bool first);

  std::function<void(const std::string&)> fail_;
  std::int32_t id_ = 0;
  std::int32_t epoch_ = 0;
  bool begins_anew_ = true;
  std::vector<protocol::FetchTopic> wanted_;  // of the request that is under way
  absl::btree_map<Key, Known> known_;         // to the broker
};

}  // namespace chronik::sim
