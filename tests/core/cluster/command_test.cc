#include "core/cluster/command.h"

#include <gtest/gtest.h>

#include "tests/core/cluster/image_world.h"

namespace chronik::cluster {
namespace {

ProposalId some_proposal() { return {NodeId(7), uuid_of(1), 42}; }

std::vector<Command> one_of_each() {
  return {
      {some_proposal(),
       RegisterBroker{uuid_of(2), 3, {{"PLAINTEXT", "localhost", 9092}, {"SSL", "::1", 9093}}, "rack-1"}},
      {some_proposal(), CreateTopics{{ImageWorld::topic("orders", {{1, 2}, {2, 1}}), ImageWorld::topic("empty", {})}}},
      {some_proposal(), DeleteTopics{{uuid_of(3), uuid_of(4)}}},
      {some_proposal(), CreatePartitions{{{.id = uuid_of(5), .existing = 2, .added = {{NodeId(1)}, {NodeId(2)}}}}}},
      {some_proposal(),
       AlterConfigs{{{.of = uuid_of(6), .changes = {{"retention.ms", "1"}, {"segment.ms", std::nullopt}}},
                     {.of = NodeId::none(), .changes = {}}}}},
      {some_proposal(), AllocateProducerIds{1000}},
      {some_proposal(), ChangeBrokers{{{.node = NodeId(2), .epoch = BrokerEpoch(7), .live = true}}}},
      {some_proposal(), AlterPartitions{{{.topic = uuid_of(8),
                                          .partition = PartitionId(1),
                                          .leader_epoch = LeaderEpoch(2),
                                          .epoch = PartitionEpoch(3),
                                          .isr = {{NodeId(1), BrokerEpoch(4)}, {NodeId(2), BrokerEpoch(5)}}}}}},
      {some_proposal(),
       ElectLeaders{.unclean = true, .partitions = {{.topic = uuid_of(9), .partition = PartitionId(1)}}}},
      {some_proposal(),
       AlterReassignments{
           .may_change_factor = false,
           .partitions = {{.topic = uuid_of(10), .partition = PartitionId(2), .target = {{NodeId(1), NodeId(3)}}},
                          {.topic = uuid_of(10), .partition = PartitionId(3), .target = std::nullopt}}}},
      {some_proposal(), ReportDamage{.epoch = BrokerEpoch(6),
                                     .replicas = {{.topic = uuid_of(11), .partition = PartitionId(4), .lost = true}}}},
      {some_proposal(), AddNode{.node = NodeId(4), .host = "host-4", .port = 9093, .as_of = LogIndex(7)}},
      {some_proposal(), RemoveNode{.node = NodeId(4), .epoch = BrokerEpoch(9), .force = true}},
      {some_proposal(), ForgetNode{NodeId(4)}},
      {some_proposal(), Rebalance{.begin = true}},
  };
}

TEST(Command, EveryKindRoundTrips) {
  const std::vector<Command> commands = one_of_each();
  EXPECT_EQ(commands.size(), std::variant_size_v<CommandBody>);
  for (const Command& command : commands) {
    const auto back = decode_command(as_bytes(encode_command(command)));
    ASSERT_TRUE(back.ok()) << command_name(command.body) << ": " << back.status();
    EXPECT_EQ(*back, command) << command_name(command.body);
  }
}

TEST(Command, EveryTruncationIsRefused) {
  for (const Command& command : one_of_each()) {
    const std::string bytes = encode_command(command);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(decode_command(as_bytes(bytes).first(size)).status().code(), absl::StatusCode::kDataLoss)
          << command_name(command.body) << " cut at " << size;
    }
    EXPECT_EQ(decode_command(as_bytes(bytes + "x")).status().code(), absl::StatusCode::kDataLoss);
  }
}

// No checksum here: the log has its own. But whatever is accepted must be the one encoding of what it means. The first
// byte apart: of an earlier version most commands have the same bytes.
TEST(Command, EveryChangedByteIsRefusedOrIsAnotherCommand) {
  for (const Command& command : one_of_each()) {
    const std::string bytes = encode_command(command);
    for (std::size_t at = 1; at < bytes.size(); ++at) {
      for (const unsigned flip : {0x01u, 0x80u, 0xffu}) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ flip);
        const auto back = decode_command(as_bytes(changed));
        if (back.ok()) {
          EXPECT_EQ(encode_command(*back), changed);
          EXPECT_NE(*back, command);
        }
      }
    }
  }
}

TEST(Command, OneOfANewerVersionIsToldFromADamagedOne) {
  std::string bytes = encode_command(one_of_each().front());
  bytes[0] = 5;
  EXPECT_EQ(decode_command(as_bytes(bytes)).status().code(), absl::StatusCode::kFailedPrecondition);
}

// A registration of the first version lacks the last two fields.
TEST(Command, OneOfAnOlderVersionIsRead) {
  const Command command{{NodeId(1), uuid_of(2), 0},
                        RegisterBroker{.directory = uuid_of(3), .start_counter = 4, .endpoints = {}, .rack = "r"}};
  std::string bytes = encode_command(command);
  bytes.resize(bytes.size() - sizeof(std::int32_t) - sizeof(bool));
  bytes[0] = 1;
  const auto back = decode_command(as_bytes(bytes));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, command);
}

TEST(Command, AChangeOfBrokersOfBeforeSaysNothingOfDisks) {
  const Command command{{NodeId(1), uuid_of(2), 0},
                        ChangeBrokers{{{.node = NodeId(2), .epoch = BrokerEpoch(7), .live = true}}}};
  std::string bytes = encode_command(command);
  bytes.resize(bytes.size() - sizeof(bool));
  bytes[0] = 2;
  const auto back = decode_command(as_bytes(bytes));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, command);
}

TEST(Command, AnAdditionOfBeforeDoesNotSayAsOfWhen) {
  const Command command{{NodeId(1), uuid_of(2), 0}, AddNode{.node = NodeId(4), .host = "host-4", .port = 9093}};
  std::string bytes = encode_command(command);
  bytes.resize(bytes.size() - sizeof(std::int64_t));
  bytes[0] = 3;
  const auto back = decode_command(as_bytes(bytes));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, command);
  EXPECT_EQ(std::get<AddNode>(back->body).as_of, LogIndex(-1));
}

// The format is kept on disk: these bytes must be readable for ever. docs/formats/metadata.md explains them.
TEST(Command, TheBytesOfAnAllocationAreTheDocumentedOnes) {
  const Command command{{NodeId(1), Uuid{}, 2}, AllocateProducerIds{1000}};
  const std::string expected = std::string("\x04", 1) + std::string("\x01\0\0\0", 4) + std::string(16, '\0') +
                               std::string("\x02\0\0\0\0\0\0\0", 8) + std::string("\x05", 1) +
                               std::string("\xe8\x03\0\0", 4);
  EXPECT_EQ(encode_command(command), expected);
}

}  // namespace
}  // namespace chronik::cluster
