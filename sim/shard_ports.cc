#include "sim/shard_ports.h"

#include "sim/machine.h"
#include "sim/shard.h"

namespace chronik::sim {

MonotonicTime ClockPort::monotonic() const { return shard_.scheduler().now(); }

WallTime ClockPort::wall() const { return shard_.wall_at_turn(); }

void ProcessPort::fatal(ExitStatus status, std::string_view reason) {
  shard_.machine().note_fatal(status, reason);
  shard_.die(Death::kFatal);
}

namespace {

Status nothing() { return absl::NotFoundError("this machine has no disk"); }
Status no_room() { return absl::ResourceExhaustedError("this machine has no disk"); }

class AbsentDisk final : public Attached<chronik::Disk> {
 public:
  StatusOr<std::unique_ptr<File>> open(std::string_view, OpenMode mode, DiskLane, const Deadline&) override {
    return mode == OpenMode::kCreate ? no_room() : nothing();
  }
  Status create_directory(std::string_view, const Deadline&) override { return no_room(); }
  StatusOr<std::vector<std::string>> list_directory(std::string_view, const Deadline&) override { return nothing(); }
  Status rename(std::string_view, std::string_view, const Deadline&) override { return nothing(); }
  Status unlink(std::string_view, const Deadline&) override { return nothing(); }
  Status remove_directory(std::string_view, const Deadline&) override { return nothing(); }
  Status sync_directory(std::string_view, const Deadline&) override { return nothing(); }
  Status sync_all(const Deadline&) override { return ok(); }
  StatusOr<std::uint64_t> free_bytes(const Deadline&) override { return std::uint64_t{0}; }
  void detach(Death) override {}
  std::size_t handles() const override { return 0; }
};

class AbsentStore final : public Attached<chronik::KeyValueStore> {
 public:
  StatusOr<std::optional<std::string>> get(std::string_view, const Deadline&) override {
    return std::optional<std::string>();
  }
  Status commit(StoreBatch, bool, const Deadline&) override { return no_room(); }
  StatusOr<std::unique_ptr<StoreSnapshot>> snapshot(const Deadline&) override { return no_room(); }
  void detach(Death) override {}
  std::size_t handles() const override { return 0; }
};

template <typename Port, typename Absent>
class AbsentDevice final : public Device<Port> {
 public:
  std::unique_ptr<Attached<Port>> attach(Shard&) override { return std::make_unique<Absent>(); }
  void on_death(Death) override {}
};

}  // namespace

std::unique_ptr<DiskDevice> no_disk() { return std::make_unique<AbsentDevice<chronik::Disk, AbsentDisk>>(); }
std::unique_ptr<StoreDevice> no_store() {
  return std::make_unique<AbsentDevice<chronik::KeyValueStore, AbsentStore>>();
}

}  // namespace chronik::sim
