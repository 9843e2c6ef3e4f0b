#include "core/cluster/controller.h"

#include <gtest/gtest.h>

#include "core/cluster/config_values.h"
#include "tests/core/cluster/image_world.h"

namespace chronik::cluster {
namespace {

template <typename Body>
std::vector<ErrorCode> errors_of(const Plan<Body>& plan) {
  std::vector<ErrorCode> errors;
  for (const ItemResult& item : plan.items) {
    EXPECT_EQ(item.ok(), item.message.empty()) << "an error says why";
    errors.push_back(item.error);
  }
  return errors;
}

class Controller : public testing::Test {
 protected:
  Controller() {
    world_.start(1);
    world_.start(2);
    world_.create("taken", {{1, 2}, {2, 1}});
    world_.create("dotted.name", {{1}});
  }
  Plan<CreateTopics> create(std::vector<TopicRequest> topics) {
    return plan_create_topics(*world_.image(), settings_, topics, random_);
  }
  Plan<AlterConfigs> alter(std::vector<ConfigRequest> resources) {
    return plan_alter_configs(*world_.image(), resources);
  }
  // Proposes the plan's command and settles the plan.
  template <typename Body>
  void carry_out(Plan<Body>& plan) {
    plan.settle(world_.propose(1, plan.command));
  }

  ImageWorld world_;
  CountingRandom random_{1};
  BrokerSettings settings_ = broker_settings({});
};

TopicRequest named(std::string name) { return {.name = std::move(name), .assignments = {}, .configs = {}}; }
TopicRequest sized(std::string name, std::int32_t partitions, std::int16_t factor) {
  return {.name = std::move(name),
          .partitions = partitions,
          .replication_factor = factor,
          .assignments = {},
          .configs = {}};
}
TopicRequest assigned(std::string name, std::vector<TopicRequest::Assignment> assignments) {
  return {.name = std::move(name), .assignments = std::move(assignments), .configs = {}};
}
TopicRequest configured(std::string name, std::vector<TopicRequest::Config> configs) {
  return {.name = std::move(name), .assignments = {}, .configs = std::move(configs)};
}

TEST_F(Controller, TenTopicsAreOneCommand) {
  std::vector<TopicRequest> topics;
  for (int i = 0; i < 10; ++i) {
    topics.push_back(named("t" + std::to_string(i)));
  }
  Plan<CreateTopics> plan = create(topics);
  EXPECT_EQ(plan.command.topics.size(), 10u);
  carry_out(plan);
  EXPECT_EQ(errors_of(plan), std::vector<ErrorCode>(10, ErrorCode::kNone));
  EXPECT_EQ(world_.image()->find_topic("t9")->partitions.size(), 3u) << "num.partitions";
}

TEST_F(Controller, EachBadTopicIsRefusedForItself) {
  Plan<CreateTopics> plan = create({
      named("good"),
      named("taken"),
      named("dotted_name"),
      named("a/b"),
      named(""),
      named("twice"),
      named("twice"),
      sized("zero", 0, 1),
      sized("minus", -2, 1),
      sized("huge", 2'000'000'000, 1),
      sized("factor0", 1, 0),
      sized("factor3", 1, 3),
      named("x.y"),
      named("x_y"),
      configured("config", {{"segment.bytes", "x"}}),
      configured("null", {{"segment.bytes", std::nullopt}}),
      configured("same", {{"segment.ms", "1"}, {"segment.ms", "1"}}),
  });
  EXPECT_EQ(errors_of(plan),
            (std::vector<ErrorCode>{
                ErrorCode::kNone, ErrorCode::kTopicAlreadyExists, ErrorCode::kInvalidTopicException,
                ErrorCode::kInvalidTopicException, ErrorCode::kInvalidTopicException, ErrorCode::kInvalidRequest,
                ErrorCode::kInvalidRequest, ErrorCode::kInvalidPartitions, ErrorCode::kInvalidPartitions,
                ErrorCode::kPolicyViolation, ErrorCode::kInvalidReplicationFactor, ErrorCode::kInvalidReplicationFactor,
                ErrorCode::kNone, ErrorCode::kInvalidTopicException, ErrorCode::kInvalidConfig,
                ErrorCode::kInvalidConfig, ErrorCode::kInvalidRequest}));
  EXPECT_EQ(plan.origin, (std::vector<std::size_t>{0, 12}));
}

TEST_F(Controller, AssignedReplicasAreTakenAsTheyAre) {
  Plan<CreateTopics> plan = create({assigned("t", {{1, {NodeId(2), NodeId(1)}}, {0, {NodeId(1), NodeId(2)}}})});
  carry_out(plan);
  EXPECT_EQ(errors_of(plan), std::vector<ErrorCode>{ErrorCode::kNone});
  EXPECT_EQ(world_.partition("t", 0).replicas, (ReplicaList{NodeId(1), NodeId(2)}));
  EXPECT_EQ(world_.partition("t", 1).leader, NodeId(2));
}

TEST_F(Controller, BadAssignmentsAreRefused) {
  TopicRequest both = assigned("both", {{0, {NodeId(1)}}});
  both.partitions = 1;
  const Plan<CreateTopics> plan = create({
      both,
      assigned("gap", {{0, {NodeId(1)}}, {2, {NodeId(1)}}}),
      assigned("negative", {{-1, {NodeId(1)}}}),
      assigned("again", {{0, {NodeId(1)}}, {0, {NodeId(2)}}}),
      assigned("empty", {{0, {}}}),
      assigned("uneven", {{0, {NodeId(1), NodeId(2)}}, {1, {NodeId(1)}}}),
      assigned("unknown", {{0, {NodeId(7)}}}),
      assigned("double", {{0, {NodeId(1), NodeId(1)}}}),
  });
  std::vector<ErrorCode> expected(8, ErrorCode::kInvalidReplicaAssignment);
  expected[0] = ErrorCode::kInvalidRequest;
  EXPECT_EQ(errors_of(plan), expected);
  EXPECT_TRUE(plan.empty());
}

TEST_F(Controller, OneRequestCreatesABoundedNumberOfPartitions) {
  const Plan<CreateTopics> plan = create({sized("a", kPartitionsMax, 1), sized("b", 1, 1)});
  EXPECT_EQ(errors_of(plan), (std::vector<ErrorCode>{ErrorCode::kNone, ErrorCode::kPolicyViolation}));
}

TEST_F(Controller, WhatWasOvertakenIsReportedAsItEnded) {
  Plan<CreateTopics> plan = create({named("taken"), named("race"), named("fine")});
  world_.create("race", {{1}});
  carry_out(plan);
  EXPECT_EQ(errors_of(plan),
            (std::vector<ErrorCode>{ErrorCode::kTopicAlreadyExists, ErrorCode::kTopicAlreadyExists, ErrorCode::kNone}));
}

TEST_F(Controller, DeletionByNameAndById) {
  const TopicId id = world_.image()->find_topic("taken")->id;
  Plan<DeleteTopics> plan = plan_delete_topics(*world_.image(), settings_,
                                               {{.name = "dotted.name", .id = {}},
                                                {.name = "none", .id = {}},
                                                {.name = std::nullopt, .id = uuid_of(77)},
                                                {.name = std::nullopt, .id = {}},
                                                {.name = "taken", .id = id},
                                                {.name = std::nullopt, .id = id}});
  EXPECT_EQ(errors_of(plan), (std::vector<ErrorCode>{ErrorCode::kNone, ErrorCode::kUnknownTopicOrPartition,
                                                     ErrorCode::kUnknownTopicId, ErrorCode::kInvalidRequest,
                                                     ErrorCode::kInvalidRequest, ErrorCode::kInvalidRequest}));
  carry_out(plan);
  EXPECT_EQ(world_.image()->find_topic("dotted.name"), nullptr);
  EXPECT_NE(world_.image()->find_topic("taken"), nullptr);
  settings_.delete_topics = false;
  EXPECT_EQ(errors_of(plan_delete_topics(*world_.image(), settings_, {{.name = "taken", .id = {}}})),
            std::vector<ErrorCode>{ErrorCode::kTopicDeletionDisabled});
}

TEST_F(Controller, PartitionsAreAddedWithTheTopicsReplicationFactor) {
  Plan<CreatePartitions> plan =
      plan_create_partitions(*world_.image(),
                             {{.name = "taken", .count = 4, .assignments = std::nullopt},
                              {.name = "none", .count = 4, .assignments = std::nullopt},
                              {.name = "dotted.name", .count = 1, .assignments = std::nullopt}},
                             random_);
  EXPECT_EQ(errors_of(plan), (std::vector<ErrorCode>{ErrorCode::kNone, ErrorCode::kUnknownTopicOrPartition,
                                                     ErrorCode::kInvalidPartitions}));
  carry_out(plan);
  EXPECT_EQ(world_.image()->find_topic("taken")->partitions.size(), 4u);
  EXPECT_EQ(world_.partition("taken", 3).replicas.size(), 2u);
}

TEST_F(Controller, AssignmentsOfAddedPartitionsMustFit) {
  using Assignments = std::vector<std::vector<NodeId>>;
  const auto result = [&](std::int32_t count, Assignments assignments) {
    return errors_of(plan_create_partitions(*world_.image(),
                                            {{.name = "taken", .count = count, .assignments = std::move(assignments)}},
                                            random_))
        .at(0);
  };
  EXPECT_EQ(result(3, {{NodeId(2), NodeId(1)}}), ErrorCode::kNone);
  EXPECT_EQ(result(4, {{NodeId(2), NodeId(1)}}), ErrorCode::kInvalidReplicaAssignment) << "one too few";
  EXPECT_EQ(result(3, {{NodeId(2)}}), ErrorCode::kInvalidReplicaAssignment) << "another replication factor";
  EXPECT_EQ(result(3, {{NodeId(2), NodeId(9)}}), ErrorCode::kInvalidReplicaAssignment) << "an unknown broker";
  EXPECT_EQ(result(4, {{NodeId(2), NodeId(1)}, {}}), ErrorCode::kInvalidReplicaAssignment) << "an empty list";
  EXPECT_EQ(result(2'000'000'000, {}), ErrorCode::kPolicyViolation);
}

ConfigRequest of_topic(std::string name, std::vector<ConfigRequest::Change> changes) {
  return {.type = ResourceType::kTopic, .name = std::move(name), .changes = std::move(changes)};
}
ConfigRequest of_broker(std::string name, std::vector<ConfigRequest::Change> changes) {
  return {.type = ResourceType::kBroker, .name = std::move(name), .changes = std::move(changes)};
}

TEST_F(Controller, AResourcesChangesAreDoneTogetherOrNotAtAll) {
  Plan<AlterConfigs> plan = alter(
      {of_topic("taken", {{"segment.ms", ConfigOperation::kSet, "5"}, {"retention.ms", ConfigOperation::kSet, "bad"}}),
       of_topic("dotted.name", {{"segment.ms", ConfigOperation::kSet, "6"}}),
       of_broker("", {{"log.retention.ms", ConfigOperation::kSet, "7"}}),
       of_broker("2", {{"log.retention.ms", ConfigOperation::kSet, "8"}})});
  carry_out(plan);
  EXPECT_EQ(errors_of(plan),
            (std::vector<ErrorCode>{ErrorCode::kInvalidConfig, ErrorCode::kNone, ErrorCode::kNone, ErrorCode::kNone}));
  EXPECT_TRUE(world_.image()->find_topic("taken")->configs.empty());
  EXPECT_EQ(world_.image()->find_topic("dotted.name")->configs, (ConfigMap{{"segment.ms", "6"}}));
  EXPECT_EQ(*world_.image()->configs_of_all_brokers(), (ConfigMap{{"log.retention.ms", "7"}}));
  EXPECT_EQ(*world_.image()->configs_of_broker(NodeId(2)), (ConfigMap{{"log.retention.ms", "8"}}));
}

TEST_F(Controller, BadChangesOfConfigurationAreRefused) {
  const auto error = [&](ConfigRequest request) { return errors_of(alter({std::move(request)})).at(0); };
  const auto set = [](std::string name, std::optional<std::string> value) {
    return std::vector<ConfigRequest::Change>{{std::move(name), ConfigOperation::kSet, std::move(value)}};
  };
  EXPECT_EQ(error(of_topic("none", {})), ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(error(of_broker("9", {})), ErrorCode::kInvalidRequest);
  EXPECT_EQ(error(of_broker("one", {})), ErrorCode::kInvalidRequest);
  EXPECT_EQ(error({.type = ResourceType{8}, .name = "1", .changes = {}}), ErrorCode::kInvalidRequest);
  EXPECT_EQ(error(of_topic("taken", set("what", "1"))), ErrorCode::kInvalidConfig);
  EXPECT_EQ(error(of_topic("taken", set("segment.ms", std::nullopt))), ErrorCode::kInvalidRequest);
  EXPECT_EQ(error(of_broker("1", set("num.partitions", "1"))), ErrorCode::kInvalidRequest) << "read-only";
  EXPECT_EQ(error(of_topic("taken", {{"segment.ms", ConfigOperation::kAppend, "1"}})), ErrorCode::kInvalidConfig);
  EXPECT_EQ(error(of_topic("taken", {{"segment.ms", ConfigOperation{9}, "1"}})), ErrorCode::kInvalidRequest);
  EXPECT_EQ(error(of_topic("taken", {{"cleanup.policy", ConfigOperation::kSubtract, "delete"}})),
            ErrorCode::kInvalidConfig)
      << "nothing would be left";
  EXPECT_EQ(error(of_topic("taken",
                           {{"segment.ms", ConfigOperation::kSet, "1"}, {"segment.ms", ConfigOperation::kDelete, {}}})),
            ErrorCode::kInvalidRequest);
  EXPECT_EQ(errors_of(alter({of_topic("taken", {}), of_topic("taken", {})})),
            std::vector<ErrorCode>(2, ErrorCode::kInvalidRequest));
}

TEST_F(Controller, ListsGrowAndShrinkByElements) {
  const Plan<AlterConfigs> plan = alter({of_topic("taken", {{"cleanup.policy", ConfigOperation::kAppend, "delete"}})});
  ASSERT_EQ(errors_of(plan), std::vector<ErrorCode>{ErrorCode::kNone});
  EXPECT_EQ(plan.command.resources.at(0).changes.at(0).value, "delete") << "the default had it already";
}

TEST_F(Controller, TheOldFormReplacesAllOverrides) {
  Plan<AlterConfigs> first = alter(
      {of_topic("taken", {{"segment.ms", ConfigOperation::kSet, "5"}, {"retention.ms", ConfigOperation::kSet, "6"}})});
  carry_out(first);
  ConfigRequest replacement = of_topic("taken", {{"segment.ms", ConfigOperation::kSet, "7"}});
  replacement.replace = true;
  Plan<AlterConfigs> second = alter({replacement});
  carry_out(second);
  EXPECT_EQ(world_.image()->find_topic("taken")->configs, (ConfigMap{{"segment.ms", "7"}}));
}

}  // namespace
}  // namespace chronik::cluster
