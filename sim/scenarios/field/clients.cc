#include "sim/scenarios/field/clients.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/fiber/wait.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "sim/store.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::int16_t kMetadataVersion = 9;
constexpr std::int16_t kMakingVersion = 5;
constexpr std::int32_t kMakingTimeoutMs = 10'000;
constexpr Duration kAsksOnFor = Duration::seconds(30);  // after all was healed

std::string nth_node(const GroupBench& bench, std::uint64_t nth) {
  return std::next(bench.state.configs.begin(), static_cast<std::ptrdiff_t>(nth % bench.state.nodes()))->first;
}

// ---- asking ----

void judge_metadata(GroupBench& bench, const std::string& node, const protocol::MetadataResponse& told) {
  for (const protocol::MetadataTopic& topic : told.topics) {
    for (const protocol::MetadataPartition& partition : topic.partitions) {
      const bool listed =
          std::any_of(told.brokers.begin(), told.brokers.end(),
                      [&](const protocol::MetadataBroker& broker) { return broker.node_id == partition.leader_id; });
      if (!listed && partition.leader_id != NodeId::none()) {
        return bench.world.fail("CONFORM",
                                fmt::format("{} names node {} the leader of {}-{}, and does not list it", node,
                                            partition.leader_id, topic.name.value_or("?"), partition.partition_index));
      }
    }
  }
}

void ask_node(ProcessContext& process, GroupBench& bench, Asked& asked, const std::string& node) {
  const NodeId number = bench.state.configs.at(node).node;
  StatusOr<std::unique_ptr<client::Client>> client = connect_to_group_node(process, number);
  if (!client.ok()) {
    return;
  }
  const Duration limit =
      node == asked.but_for && asked.answered_within != Duration::zero() ? kNodePatience * 2 : asked.answered_within;
  protocol::ApiVersionsRequest versions;
  {
    const Due due(bench.world, fmt::format("{} says what it knows", node), limit);
    if (!(*client)->call<protocol::ApiVersionsResponse>(versions, 0, node_patience()).ok()) {
      return;
    }
  }
  protocol::MetadataRequest all;
  all.allow_auto_topic_creation = false;
  const Due due(bench.world, fmt::format("{} says who leads", node), limit);
  const auto told = (*client)->call<protocol::MetadataResponse>(all, kMetadataVersion, node_patience());
  if (told.ok()) {
    ++asked.answers;
    asked.brokers[node] = told->brokers.size();
    judge_metadata(bench, node, *told);
  } else if (!(*client)->violation().ok()) {
    bench.world.fail("CONFORM", fmt::format("{}: {}", node, (*client)->violation().ToString()));
  }
}

// ---- making ----

class TopicRun {
 public:
  TopicRun(ProcessContext& process, GroupBench& bench, TopicsMade& made)
      : process_(process), bench_(bench), made_(made) {}

  void run() {
    while (!made_.done) {
      const std::vector<std::string> names = next();
      if (names.empty()) {
        made_.done = true;
        return;
      }
      const Due due(bench_.world, fmt::format("{} gets {} made", process_.machine.name(), names.front()),
                    bench_.all_serve() || served_ ? made_.made_within : Duration::zero());
      while (!ask_for(names)) {
        served_ |= bench_.all_serve();
        sleep_between(process_, 20, 100);
      }
      if (made_.on_made) {
        made_.on_made();
      }
      sleep_between(process_, 1, made_.pause_most_ms + 2);
    }
  }

 private:
  std::string name_of(std::int64_t number) const { return fmt::format("{}.{}", process_.machine.name(), number); }

  // Those to be made next, or to be deleted once all are there.
  std::vector<std::string> next() {
    std::vector<std::string> names;
    for (const bool deletes : {false, true}) {
      for (std::int64_t i = 0; i < made_.count && names.size() < static_cast<std::size_t>(made_.at_once); ++i) {
        const bool goes = made_.one_goes_in != 0 && i % made_.one_goes_in == 0;
        const bool there = made_.there.contains(name_of(i));
        if (deletes ? goes && there : !there && !made_.gone.contains(name_of(i))) {
          names.push_back(name_of(i));
        }
      }
      deletes_ = deletes;
      if (!names.empty()) {
        break;
      }
    }
    return names;
  }

  bool ask_for(const std::vector<std::string>& names) {
    if (client_ == nullptr || client_->broken() || made_.through_each_in_turn) {
      const std::uint64_t nth = made_.through_each_in_turn ? turn_++ : process_.ports.random.next();
      StatusOr<std::unique_ptr<client::Client>> client =
          connect_to_group_node(process_, bench_.state.configs.at(nth_node(bench_, nth)).node);
      if (!client.ok()) {
        return false;
      }
      client_ = std::move(*client);
    }
    const bool all = deletes_ ? remove(names) : create(names);
    if (!all) {
      client_.reset();
    }
    return all;
  }

  bool create(const std::vector<std::string>& names) {
    protocol::CreateTopicsRequest request;
    request.timeout_ms = kMakingTimeoutMs;
    for (const std::string& name : names) {
      request.topics.push_back({.name = name,
                                .num_partitions = made_.partitions,
                                .replication_factor = -1,
                                .assignments = {},
                                .configs = {}});
    }
    const auto got = client_->call<protocol::CreateTopicsResponse>(request, kMakingVersion, node_patience());
    bool all = got.ok() && got->topics.size() == names.size();
    for (std::size_t i = 0; all && i < names.size(); ++i) {
      const ErrorCode error = got->topics[i].error_code;
      judge(error);
      all = error == ErrorCode::kNone || error == ErrorCode::kTopicAlreadyExists;
      if (all) {
        made_.there.insert(got->topics[i].name);
      }
    }
    return all;
  }

  bool remove(const std::vector<std::string>& names) {
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = kMakingTimeoutMs;
    request.topic_names.assign(names.begin(), names.end());
    for (const std::string& name : names) {
      made_.there.erase(name);  // perhaps; what is not acknowledged is asked for again
    }
    const auto got = client_->call<protocol::DeleteTopicsResponse>(request, kMakingVersion, node_patience());
    bool all = got.ok() && got->responses.size() == names.size();
    for (std::size_t i = 0; i < names.size(); ++i) {
      const ErrorCode error = all ? got->responses[i].error_code : ErrorCode::kRequestTimedOut;
      judge(error);
      if (error == ErrorCode::kNone || error == ErrorCode::kUnknownTopicOrPartition) {
        made_.gone.insert(names[i]);
      } else {
        made_.there.insert(names[i]);
        all = false;
      }
    }
    return all;
  }

  // Whatever node was asked, in whatever role it was.
  void judge(ErrorCode error) {
    switch (error) {
      case ErrorCode::kNone:
      case ErrorCode::kTopicAlreadyExists:
      case ErrorCode::kUnknownTopicOrPartition:
      case ErrorCode::kRequestTimedOut:
      case ErrorCode::kNotController:
      case ErrorCode::kInvalidReplicationFactor: return;  // too few brokers are registered yet
      default:
        bench_.world.fail("CONFORM", fmt::format("topics of {}: {} is no answer to it", process_.machine.name(),
                                                 protocol::error_name(error)));
    }
  }

  ProcessContext& process_;
  GroupBench& bench_;
  TopicsMade& made_;
  std::unique_ptr<client::Client> client_;
  std::uint64_t turn_ = 0;
  bool deletes_ = false;
  bool served_ = false;
};

void judge_made_topic(const GroupBench& bench, const std::string& name, const node::Node& node,
                      const std::string& topic) {
  const cluster::Topic* found = node.metadata().image()->find_topic(topic);
  if (found == nullptr) {
    return bench.world.fail("META-DURABLE", fmt::format("on {} topic {} is not there, which was made", name, topic));
  }
  const broker::HostedTopic* hosted = node.table().find(found->id);
  found->partitions.for_each([&](const cluster::Partition& partition) {
    const auto at = static_cast<std::size_t>(partition.index.value());
    const bool here = hosted != nullptr && at < hosted->partitions.size() && hosted->partitions[at];
    const bool named = cluster::contains(partition.replicas, bench.state.configs.at(name).node);
    if (here != named || partition.leader == NodeId::none() || partition.isr.size() != partition.replicas.size()) {
      bench.world.fail("REPLICA-LIVE",
                       fmt::format("{}-{}: {}on {}, the image {}; {} of {} replicas are in sync, node {} leads", topic,
                                   partition.index, here ? "" : "not ", name, named ? "names it" : "does not name it",
                                   partition.isr.size(), partition.replicas.size(), partition.leader));
    }
  });
}

}  // namespace

void ask_every_node(ProcessContext& process, GroupBench& bench, Asked& asked) {
  for (std::uint64_t nth = 0; bench.world.now() < bench.healed + kAsksOnFor; ++nth) {
    ask_node(process, bench, asked, nth_node(bench, nth));
    sleep_between(process, 10, asked.pause_most_ms);
  }
}

void make_topics(ProcessContext& process, GroupBench& bench, TopicsMade& made) { TopicRun(process, bench, made).run(); }

void expect_topics(const GroupBench& bench, const TopicsMade& made) {
  if (!made.done) {
    return bench.world.fail("META-LIVE", fmt::format("{} of {} topics were made, and {} deleted\n{}", made.there.size(),
                                                     made.count, made.gone.size(), bench.world.describe_waits()));
  }
  for (const auto& [name, node] : bench.state.serving) {
    for (const std::string& topic : made.gone) {
      if (node->metadata().image()->find_topic(topic) != nullptr) {
        return bench.world.fail("META-DURABLE", fmt::format("on {} there is topic {}, which was deleted", name, topic));
      }
    }
    for (const std::string& topic : made.there) {
      judge_made_topic(bench, name, *node, topic);
    }
  }
}

void slow_down_stores(GroupBench& bench, Duration sync) {
  for (const auto& [name, config] : bench.state.configs) {
    StoreKnobs& knobs = dynamic_cast<SimulatedStore&>(*bench.world.machine(name).store()).knobs();
    knobs.sync = sync;
    knobs.most = Duration::milliseconds(300);
    bench.world.fault_fired("slow store", mix_text(name));
  }
}

void install_topic_maker(GroupBench& bench, const std::string& client, const TopicsMade& wanted) {
  const auto made = std::make_shared<TopicsMade>(wanted);
  bench.install(client, [&bench, made](ProcessContext& process) { make_topics(process, bench, *made); });
  bench.in_the_end([&bench, made] { expect_topics(bench, *made); });
}

void install_asker(GroupBench& bench, const std::string& client, const Asked& wanted) {
  const auto asked = std::make_shared<Asked>(wanted);
  bench.install(client, [&bench, asked](ProcessContext& process) { ask_every_node(process, bench, *asked); });
  bench.in_the_end([&bench, asked] {
    for (const auto& [node, config] : bench.state.configs) {
      if (const std::size_t listed = asked->brokers[node]; listed != bench.state.nodes()) {
        bench.world.fail("META-LIVE",
                         fmt::format("{} lists {} brokers, and {} are there", node, listed, bench.state.nodes()));
      }
    }
  });
}

}  // namespace chronik::sim
