// The conformance clauses of disk and store on the simulated devices, without a world around them.
#include <gtest/gtest.h>

#include <memory>
#include <tuple>
#include <utility>

#include "sim/disk.h"
#include "sim/store.h"
#include "tests/conformance/clause.h"
#include "tests/sim/device_world.h"
#include "tests/support/model_disk.h"

namespace chronik::conformance::device_conformance_test {
namespace {

class FiberClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return fiber::Scheduler::current().now(); }
  WallTime wall() const override { return WallTime::from_milliseconds(1'700'000'000'000); }
};
class NoNetwork final : public Network {
 public:
  StatusOr<std::unique_ptr<Listener>> listen(const Address&) override { return refused(); }
  StatusOr<std::unique_ptr<Connection>> connect(const Address&, const Deadline&) override { return refused(); }
  StatusOr<std::vector<Address>> resolve(std::string_view, std::uint16_t, const Deadline&) override {
    return refused();
  }

 private:
  static Status refused() { return absl::UnavailableError("no network here"); }
};
class NoMailbox final : public Mailbox {
 public:
  bool try_send(ShardId, std::unique_ptr<MailboxMessage>&) override { return false; }
  StatusOr<std::unique_ptr<MailboxMessage>> receive(const Deadline&) override {
    return absl::UnavailableError("no mail here");
  }
};

sim::Death to_sim(Death death) {
  switch (death) {
    case Death::kExit: return sim::Death::kExit;
    case Death::kKill: return sim::Death::kProcessKill;
    case Death::kPowerLoss: return sim::Death::kPowerLoss;
  }
  UNREACHABLE("a death");
}

class DevicesWorld final : public ConformanceWorld {
 public:
  explicit DevicesWorld(std::uint64_t seed)
      : disk_(std::make_unique<sim::TestHost>(works_), sim::DiskKnobs{}, sim::Draws(seed, "disk", 0)),
        store_(std::make_unique<sim::TestHost>(works_), sim::StoreKnobs{}, sim::Draws(seed, "store", 0)) {}

  bool simulated() const override { return true; }
  bool can(Ability /*ability*/) const override { return true; }
  RunEnd run(Body body, Death death, Duration limit) override {
    RunEnd end;
    sim::live(works_, to_sim(death), limit, std::tie(disk_, store_),
              [&](chronik::Disk& disk, KeyValueStore& store, fiber::FiberScope& scope) {
                Ports ports{clock_, random_, network_, disk, store, mailbox_, process_};
                body(ports, scope);
                end.finished = true;
                if (death == Death::kExit) {
                  disk_.release_hung();
                  store_.release_hung();
                  scope.cancel_and_join();
                }
              });
    return end;
  }
  RunEnd run_to_fatal(Body /*body*/) override { UNREACHABLE("no clause of a device asks for it"); }

  Address here() const override { return {}; }
  Address nobody() const override { return {}; }
  Address hole() const override { return {}; }

  void fail_next(DiskStep step, DiskFault fault) override {
    static constexpr sim::DiskEffect kEffects[] = {sim::DiskEffect::kShort, sim::DiskEffect::kIoError,
                                                   sim::DiskEffect::kNoSpace, sim::DiskEffect::kHang};
    const sim::DiskEffect effect = kEffects[static_cast<std::size_t>(fault)];
    if (step == DiskStep::kStoreCommit || step == DiskStep::kStoreRead) {
      store_.strike(
          {.step = step == DiskStep::kStoreRead ? sim::StoreStep::kRead : sim::StoreStep::kCommit, .effect = effect});
      return;
    }
    static constexpr sim::DiskStep kSteps[] = {sim::DiskStep::kOpen,          sim::DiskStep::kRead,
                                               sim::DiskStep::kWrite,         sim::DiskStep::kSync,
                                               sim::DiskStep::kTruncate,      sim::DiskStep::kCreateDirectory,
                                               sim::DiskStep::kRename,        sim::DiskStep::kUnlink,
                                               sim::DiskStep::kSyncDirectory, sim::DiskStep::kSyncAll};
    disk_.strike({.step = kSteps[static_cast<std::size_t>(step)], .effect = effect});
  }
  void release_hung() override {
    disk_.release_hung();
    store_.release_hung();
  }
  void limit_transfers(std::size_t /*bytes*/) override {}

 private:
  sim::TestClockwork works_;
  sim::SimulatedDisk disk_;
  sim::SimulatedStore store_;
  FiberClock clock_;
  chronik::testing::FakeRandom random_{1};
  NoNetwork network_;
  NoMailbox mailbox_;
  chronik::testing::FakeProcess process_;
};

class DeviceConformance : public ::testing::TestWithParam<Clause> {};

TEST_P(DeviceConformance, Holds) {
  judge(
      GetParam(), [](std::uint64_t seed) { return std::make_unique<DevicesWorld>(seed); }, 60);
}

INSTANTIATE_TEST_SUITE_P(Disk, DeviceConformance, ::testing::ValuesIn(disk_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(Store, DeviceConformance, ::testing::ValuesIn(store_clauses()), clause_name);

}  // namespace
}  // namespace chronik::conformance::device_conformance_test
