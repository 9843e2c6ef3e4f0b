#include "sim/store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/check.h"
#include "sim/shard.h"

namespace chronik::sim {

StoreKnobs draw_store_knobs(Draws& draws) {
  StoreKnobs knobs;
  knobs.read = Duration::microseconds(draws.magnitude(2, 1'000));
  knobs.commit = Duration::microseconds(draws.magnitude(5, 1'000));
  knobs.sync = Duration::microseconds(draws.magnitude(20, 10'000));
  knobs.most = (knobs.commit + knobs.sync) * draws.magnitude(4, 100);
  return knobs;
}

// ---- operations ----

class StoreOperation : public LaneOperation {
 public:
  StoreOperation(SimulatedStore& store, StoreStep step) : store_(store), step_(step) {}
  const Status& status() const { return status_; }
  std::string describe_wait() const final {
    return step_ == StoreStep::kRead ? "read" : syncs() ? "commit, sync" : "commit";
  }

 protected:
  virtual Status perform() = 0;
  virtual Status fail() { return absl::InternalError("an error of the store"); }
  virtual bool syncs() const { return false; }
  SimulatedStore& store() { return store_; }
  Draws& draws() { return store_.draws_; }
  StoreModel& model() { return store_.model_; }
  bool& broken() { return store_.broken_; }
  void record(std::uint64_t what, std::uint64_t crc) {
    store_.host_->record(Record::kStore, static_cast<std::uint64_t>(step_), what, crc);
  }

 private:
  Progress carry_out(Death& how) final;
  void die(Death how, bool begun) final {
    // Atomic: it happened or it did not.
    if (step_ == StoreStep::kCommit && (how == Death::kExit || (begun && draws().below(2) == 0))) {
      status_ = perform();
    }
  }
  std::int64_t result() const final { return static_cast<std::int64_t>(status_.code()); }
  Duration duration() final {
    const StoreKnobs& knobs = store_.knobs_;
    const Duration time = draws().heavy_tailed(step_ == StoreStep::kRead ? knobs.read : knobs.commit, knobs.most);
    return syncs() ? time + draws().heavy_tailed(knobs.sync, knobs.most) : time;
  }

  SimulatedStore& store_;
  StoreStep step_;
  Status status_;
  bool goes_on_ = false;  // it hung and was released
};

LaneOperation::Progress StoreOperation::carry_out(Death& how) {
  const DiskEffect effect = std::exchange(goes_on_, false) ? DiskEffect::kNone : store_.meet(step_);
  const auto kills = [&](Death death, bool happens) {
    store_.host_->fault_fired(death == Death::kPowerLoss ? "power-loss-at-store-step" : "process-kill-at-store-step");
    if (happens) {
      status_ = perform();
    }
    how = death;
    return Progress::kKills;
  };
  switch (effect) {
    case DiskEffect::kKillBefore: return kills(Death::kProcessKill, false);
    case DiskEffect::kPowerLossBefore: return kills(Death::kPowerLoss, false);
    case DiskEffect::kKillDuring: return kills(Death::kProcessKill, draws().below(2) == 0);
    case DiskEffect::kPowerLossDuring: return kills(Death::kPowerLoss, draws().below(2) == 0);
    case DiskEffect::kKillAfter: return kills(Death::kProcessKill, true);
    case DiskEffect::kPowerLossAfter: return kills(Death::kPowerLoss, true);
    case DiskEffect::kHang:
      store_.host_->fault_fired("store-hang");
      goes_on_ = true;
      return Progress::kHangs;
    case DiskEffect::kIoError:
    case DiskEffect::kNoSpace:
      store_.host_->fault_fired(step_ == StoreStep::kCommit ? "store-commit-failed" : "store-read-failed");
      status_ = fail();
      break;
    default: status_ = perform(); break;
  }
  return Progress::kEnded;
}

namespace {

class CommitOperation final : public StoreOperation {
 public:
  CommitOperation(SimulatedStore& store, StoreBatch batch, bool durable)
      : StoreOperation(store, StoreStep::kCommit), batch_(std::move(batch)), durable_(durable) {}

 private:
  Status perform() override {
    if (broken()) {
      return absl::InternalError("a commit before this one has failed");
    }
    const BatchNumber number = model().commit(batch_);
    if (durable_) {
      model().make_durable(number);
    }
    record(number, durable_ ? 1 : 0);
    return ok();
  }
  Status fail() override {
    if (!broken() && draws().below(2) == 0) {
      record(model().commit(batch_), 2);
      broken() = true;
    }
    return StoreOperation::fail();
  }
  bool syncs() const override { return durable_; }

  StoreBatch batch_;
  bool durable_;
};

// Asks the model something; the answer is kept by the call.
template <typename Call>
class AskOperation final : public StoreOperation {
 public:
  AskOperation(SimulatedStore& store, Call call) : StoreOperation(store, StoreStep::kRead), call_(std::move(call)) {}

 private:
  Status perform() override {
    call_(model());
    record(0, 0);
    return ok();
  }
  Call call_;
};

}  // namespace

// ---- the port ----

class StorePort final : public Attached<KeyValueStore> {
 public:
  StorePort(SimulatedStore& device, ShardContext& context) : device_(device), lane_(*device.host_, context, 1) {
    device_.ports_.push_back(this);
  }
  ~StorePort() override { std::erase(device_.ports_, this); }

  StatusOr<std::optional<std::string>> get(std::string_view key, const Deadline& deadline) override {
    const auto value = std::make_shared<std::optional<std::string>>();
    RETURN_IF_ERROR(
        ask([value, name = std::string(key)](StoreModel& model) { *value = model.get(name, model.head()); }, deadline));
    return std::move(*value);
  }

  Status commit(StoreBatch batch, bool durable, const Deadline& deadline) override {
    RETURN_IF_ERROR(cannot_begin(deadline));
    auto operation = std::make_unique<CommitOperation>(device_, std::move(batch), durable);
    const Status status = lane_.run(operation, WaitKind::kStore, deadline);
    if (status.ok()) {
      return operation->status();
    }
    return absl::IsAborted(status) ? status : absl::UnknownError("a commit did not end in time");
  }

  StatusOr<std::unique_ptr<StoreSnapshot>> snapshot(const Deadline& deadline) override;

  void detach(Death how) override { lane_.detach(how); }
  std::size_t handles() const override { return snapshots_; }

 private:
  friend class SimulatedStore;
  class Snapshot;
  // A snapshot of the model, held for as long as anybody refers to it.
  struct Held {
    Held(StoreModel& of, BatchNumber number) : model(of), at(number) { model.hold(at); }
    ~Held() { model.release(at); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    StoreModel& model;
    BatchNumber at;
  };

  template <typename Call>
  Status ask(Call call, const Deadline& deadline) {
    RETURN_IF_ERROR(cannot_begin(deadline));
    auto operation = std::make_unique<AskOperation<Call>>(device_, std::move(call));
    RETURN_IF_ERROR(lane_.run(operation, WaitKind::kStore, deadline));
    return operation->status();
  }

  SimulatedStore& device_;
  Lane lane_;
  std::size_t snapshots_ = 0;
};

class StorePort::Snapshot final : public StoreSnapshot {
 public:
  Snapshot(StorePort& port, std::shared_ptr<Held> held) : port_(port), held_(std::move(held)) { ++port_.snapshots_; }
  ~Snapshot() override { --port_.snapshots_; }

  StatusOr<std::vector<StoreEntry>> scan(std::string_view from, std::string_view to, std::size_t limit,
                                         const Deadline& deadline) override {
    const auto entries = std::make_shared<std::vector<StoreEntry>>();
    RETURN_IF_ERROR(port_.ask([entries, held = held_, begin = std::string(from), end = std::string(to),
                               limit](StoreModel& model) { *entries = model.scan(begin, end, limit, held->at); },
                              deadline));
    return std::move(*entries);
  }

 private:
  StorePort& port_;
  std::shared_ptr<Held> held_;
};

StatusOr<std::unique_ptr<StoreSnapshot>> StorePort::snapshot(const Deadline& deadline) {
  const auto held = std::make_shared<std::shared_ptr<Held>>();
  RETURN_IF_ERROR(ask([held](StoreModel& model) { *held = std::make_shared<Held>(model, model.head()); }, deadline));
  return std::make_unique<Snapshot>(*this, std::move(*held));
}

// ---- the device ----

SimulatedStore::SimulatedStore(std::unique_ptr<DeviceHost> host, const StoreKnobs& knobs, const Draws& draws)
    : host_(std::move(host)), knobs_(knobs), draws_(draws) {}

SimulatedStore::~SimulatedStore() { CHECK(ports_.empty()); }

std::unique_ptr<Attached<KeyValueStore>> SimulatedStore::attach(Shard& shard) { return attach(shard.context()); }

std::unique_ptr<Attached<KeyValueStore>> SimulatedStore::attach(ShardContext& context) {
  return std::make_unique<StorePort>(*this, context);
}

void SimulatedStore::on_death(Death how) {
  CHECK(ports_.empty());
  broken_ = false;
  model_.process_kill();
  ++deaths_;
  if (how == Death::kPowerLoss) {
    model_.power_loss(draws_.child("power loss", deaths_));
  }
}

void SimulatedStore::strike(const StoreStrike& strike) {
  CHECK_GT(strike.nth, std::uint64_t{0});
  strikes_.push_back(strike);
}

void SimulatedStore::release_hung() {
  for (StorePort* port : ports_) {
    port->lane_.release_hung();
  }
}

DiskEffect SimulatedStore::meet(StoreStep step) {
  DiskEffect met = DiskEffect::kNone;
  for (auto strike = strikes_.begin(); strike != strikes_.end();) {
    if (strike->step == step && (strike->nth > 1 || met == DiskEffect::kNone) && --strike->nth == 0) {
      met = strike->effect;
      strike = strikes_.erase(strike);
    } else {
      ++strike;
    }
  }
  const auto drawn = [this](PerMillion odds) { return odds.value != 0 && draws_.chance(odds); };
  if (met != DiskEffect::kNone) {
    return met;
  }
  if (step == StoreStep::kRead) {
    return drawn(knobs_.read_fails) ? DiskEffect::kIoError : DiskEffect::kNone;
  }
  if (drawn(knobs_.commit_hangs)) {
    return DiskEffect::kHang;
  }
  return drawn(knobs_.commit_fails) ? DiskEffect::kIoError : DiskEffect::kNone;
}

}  // namespace chronik::sim
