#include "core/cluster/command.h"

#include "core/base/codec.h"

namespace chronik::cluster {

namespace {
// 2: registrations say more of what their file sets. 3: brokers whose disks are stuck. 4: as of when a node is added.
constexpr std::uint8_t kCommandVersion = 4;
}  // namespace

const char* command_name(const CommandBody& body) {
  struct Name {
    const char* operator()(const RegisterBroker&) { return "register-broker"; }
    const char* operator()(const CreateTopics&) { return "create-topics"; }
    const char* operator()(const DeleteTopics&) { return "delete-topics"; }
    const char* operator()(const CreatePartitions&) { return "create-partitions"; }
    const char* operator()(const AlterConfigs&) { return "alter-configs"; }
    const char* operator()(const AllocateProducerIds&) { return "allocate-producer-ids"; }
    const char* operator()(const ChangeBrokers&) { return "change-brokers"; }
    const char* operator()(const AlterPartitions&) { return "alter-partitions"; }
    const char* operator()(const ElectLeaders&) { return "elect-leaders"; }
    const char* operator()(const AlterReassignments&) { return "alter-reassignments"; }
    const char* operator()(const ReportDamage&) { return "report-damage"; }
    const char* operator()(const AddNode&) { return "add-node"; }
    const char* operator()(const RemoveNode&) { return "remove-node"; }
    const char* operator()(const ForgetNode&) { return "forget-node"; }
    const char* operator()(const Rebalance&) { return "rebalance"; }
  };
  return std::visit(Name{}, body);
}

std::string encode_command(const Command& command) {
  Writer writer;
  writer(kCommandVersion);
  writer(command);
  return writer.take();
}

StatusOr<Command> decode_command(ByteSpan bytes) {
  Reader reader(bytes);
  std::uint8_t version = 0;
  reader(version);
  if (reader.ok() && version > kCommandVersion) {
    return absl::FailedPreconditionError(
        fmt::format("metadata command of version {}; this program knows versions up to {}", version, kCommandVersion));
  }
  Command command;
  reader.set_format(version);
  reader(command);
  if (!reader.complete() || version < 1) {
    return absl::DataLossError("a metadata command that cannot be decoded");
  }
  return command;
}

}  // namespace chronik::cluster
