// What the simulated disk does with time: the operations behind DiskPort's and DiskFile's calls.
//
// An operation is a number of steps; at each a fault may strike. perform() does a step whole, perform_part() as much of
// it as a death in its middle leaves.
#pragma once

#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "sim/disk.h"

namespace chronik::sim {

// An open file as its operations share it; closed with the last of them.
struct OpenFile {
  OpenFile(SimulatedDisk& of, InodeId inode, std::string opened_path, bool may_write);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  SimulatedDisk& disk;
  InodeId id;
  std::string path;
  std::uint64_t path_hash;
  bool writable;
  Draws draws;
};

class DiskOperation : public LaneOperation {
 public:
  DiskOperation(SimulatedDisk& disk, Draws& draws) : disk_(disk), draws_(draws) {}
  const Status& status() const { return status_; }
  std::string describe_wait() const final;

 protected:
  virtual std::size_t steps() const { return 1; }
  virtual DiskStep kind(std::size_t step) const = 0;
  virtual std::string_view path() const = 0;
  virtual std::uint64_t bytes() const { return 0; }  // moved, for the time it takes
  virtual Status perform(std::size_t step, DiskEffect effect) = 0;
  virtual void perform_part(std::size_t step) = 0;
  virtual void let_go() {}  // of every Slice

  DiskModel& model() { return disk_.model_; }
  DeviceHost& host() { return *disk_.host_; }
  Draws& draws() { return draws_; }
  void fired(std::string_view kind) { host().fault_fired(kind); }
  void record(std::uint64_t what, std::uint64_t where, std::uint64_t crc);
  // How a sync that met `effect` ends, and what it answers.
  SyncOutcome sync_outcome(DiskEffect effect);
  static Status sync_status(SyncOutcome outcome);
  static Status error_of(DiskEffect effect);  // kIoError or kNoSpace

 private:
  Progress carry_out(Death& how) final;
  void die(Death how, bool begun) final;
  std::int64_t result() const final { return static_cast<std::int64_t>(status_.code()); }
  Duration duration() final;

  SimulatedDisk& disk_;
  Draws& draws_;
  Status status_;
  std::size_t at_ = 0;
  bool goes_on_ = false;  // a step that hung and was released
};

class FileOperation : public DiskOperation {
 public:
  explicit FileOperation(std::shared_ptr<OpenFile> file)
      : DiskOperation(file->disk, file->draws), file_(std::move(file)) {}

 protected:
  std::string_view path() const final { return file_->path; }
  const OpenFile& file() const { return *file_; }

 private:
  std::shared_ptr<OpenFile> file_;
};

class BatchOperation final : public FileOperation {
 public:
  BatchOperation(std::shared_ptr<OpenFile> file, FileBatch batch);

 private:
  std::size_t steps() const override { return checksums_.size() + (sync_ ? 1 : 0); }
  DiskStep kind(std::size_t step) const override {
    return step < checksums_.size() ? DiskStep::kWrite : DiskStep::kSync;
  }
  std::uint64_t bytes() const override { return bytes_; }
  Status perform(std::size_t step, DiskEffect effect) override;
  void perform_part(std::size_t step) override;
  void let_go() override;
  Status write(const FileWrite& write, std::uint32_t checksum, DiskEffect effect);
  Status end_sync(DiskEffect effect);

  FileBatch batch_;
  absl::InlinedVector<std::uint32_t, 1> checksums_;  // of each write when it was handed over
  std::uint64_t bytes_ = 0;
  bool sync_;
  bool sync_begun_ = false;  // and not ended
  SyncTicket ticket_;
  std::optional<BlockPlace> misplaced_;
  Content before_;  // of the misplaced block
};

class ReadOperation final : public FileOperation {
 public:
  ReadOperation(std::shared_ptr<OpenFile> file, std::uint64_t offset, std::size_t size)
      : FileOperation(std::move(file)), offset_(offset), size_(size) {}
  Slice take() { return std::move(read_); }
  // The same without an operation, for bytes that memory has.
  static StatusOr<Slice> read(const DiskModel& model, InodeId file, std::uint64_t offset, std::size_t size);

 private:
  DiskStep kind(std::size_t /*step*/) const override { return DiskStep::kRead; }
  std::uint64_t bytes() const override { return size_; }
  Status perform(std::size_t step, DiskEffect effect) override;
  void perform_part(std::size_t /*step*/) override {}
  void let_go() override { read_ = status().ok() ? std::move(read_) : Slice(); }

  std::uint64_t offset_;
  std::size_t size_;
  Slice read_;
};

class FillOperation final : public FileOperation {
 public:
  FillOperation(std::shared_ptr<OpenFile> file, std::uint64_t offset, std::uint64_t size);

 private:
  std::size_t steps() const override { return 2; }
  DiskStep kind(std::size_t step) const override { return step == 0 ? DiskStep::kWrite : DiskStep::kSync; }
  std::uint64_t bytes() const override { return size_; }
  Status perform(std::size_t step, DiskEffect effect) override;
  void perform_part(std::size_t step) override;
  void let_go() override;

  std::uint64_t offset_;
  std::uint64_t size_;
  SyncTicket ticket_;
  bool sync_begun_ = true;  // and not ended
};

class TruncateOperation final : public FileOperation {
 public:
  TruncateOperation(std::shared_ptr<OpenFile> file, std::uint64_t size) : FileOperation(std::move(file)), size_(size) {}

 private:
  DiskStep kind(std::size_t /*step*/) const override { return DiskStep::kTruncate; }
  Status perform(std::size_t step, DiskEffect effect) override;
  void perform_part(std::size_t step) override;

  std::uint64_t size_;
};

// Something about names: call() does it and returns its Status.
template <typename Call>
class NameOperation final : public DiskOperation {
 public:
  NameOperation(SimulatedDisk& disk, Draws& draws, DiskStep step, std::string_view path, Call call)
      : DiskOperation(disk, draws), step_(step), path_(path), call_(std::move(call)) {}

 private:
  DiskStep kind(std::size_t /*step*/) const override { return step_; }
  std::string_view path() const override { return path_; }
  Status perform(std::size_t /*step*/, DiskEffect effect) override {
    record(static_cast<std::uint64_t>(step_), mix_text(path_), 0);
    if (effect == DiskEffect::kIoError || effect == DiskEffect::kNoSpace) {
      fired(effect == DiskEffect::kIoError ? "name-failed" : "disk-full");
      return error_of(effect);
    }
    return call_();
  }
  void perform_part(std::size_t step) override {
    if (draws().below(2) == 0) {
      static_cast<void>(perform(step, DiskEffect::kNone));
    }
  }

  DiskStep step_;
  std::string path_;
  Call call_;
};

// A sync of a directory, or of everything.
class NameSyncOperation final : public DiskOperation {
 public:
  NameSyncOperation(SimulatedDisk& disk, Draws& draws, std::string_view directory);
  NameSyncOperation(SimulatedDisk& disk, Draws& draws);

 private:
  DiskStep kind(std::size_t /*step*/) const override { return all_ ? DiskStep::kSyncAll : DiskStep::kSyncDirectory; }
  std::string_view path() const override { return path_; }
  Status perform(std::size_t step, DiskEffect effect) override;
  void perform_part(std::size_t step) override;
  Status end(SyncOutcome outcome);

  bool all_;
  std::string path_;
  SyncTicket ticket_;
};

}  // namespace chronik::sim
