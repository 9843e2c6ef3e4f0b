#include <utility>
#include <vector>

#include "runtime/logged_parts.h"

namespace chronik::runtime {

namespace {

using logged::give;
using logged::print;
using logged::value_of;

enum class NameChange : std::uint64_t { kCreate, kRename, kUnlink, kRemove, kSync, kSyncAll };
enum class FileChange : std::uint64_t { kFill, kTruncate };

std::string names_as_data(const std::vector<std::string>& names) {
  std::string data;
  for (const std::string& name : names) {
    logged::put_text(data, name);
  }
  return data;
}

class LoggedFile final : public File {
 public:
  LoggedFile(LogSession& session, std::unique_ptr<File> real)
      : session_(session), real_(std::move(real)), object_(session.next_object()) {}

  Status run(FileBatch batch, const Deadline& deadline) override {
    std::uint64_t arguments = mix(object_, batch.sync ? 1 : 0);
    for (const FileWrite& write : batch.writes) {
      arguments = mix(arguments, write.offset);
      for (const Slice& part : write.parts) {
        arguments = mix(arguments, print(part));
      }
    }
    return session_
        .call(PortCall::kFileRun, arguments, &deadline,
              [&] { return PortReturn{real_->run(std::move(batch), deadline)}; })
        .status;
  }

  StatusOr<Slice> read(std::uint64_t offset, std::size_t size, const Deadline& deadline) override {
    const PortReturn returned = session_.call(PortCall::kFileRead, mix(object_, offset, size), &deadline, [&] {
      const StatusOr<Slice> got = real_->read(offset, size, deadline);
      return got.ok() ? PortReturn{ok(), std::string(got->text())} : PortReturn{got.status()};
    });
    RETURN_IF_ERROR(returned.status);
    return Slice::copy_of(returned.data);
  }

  Status fill(std::uint64_t offset, std::uint64_t size, const Deadline& deadline) override {
    return change(FileChange::kFill, mix(offset, size), deadline, [&] { return real_->fill(offset, size, deadline); });
  }
  Status truncate(std::uint64_t size, const Deadline& deadline) override {
    return change(FileChange::kTruncate, size, deadline, [&] { return real_->truncate(size, deadline); });
  }

  StatusOr<std::uint64_t> size(const Deadline& deadline) override {
    const PortReturn returned = session_.call(PortCall::kFileSize, object_, &deadline, [&] {
      const StatusOr<std::uint64_t> got = real_->size(deadline);
      return got.ok() ? give(*got) : PortReturn{got.status()};
    });
    RETURN_IF_ERROR(returned.status);
    return value_of<std::uint64_t>(returned);
  }

 private:
  template <typename Real>
  Status change(FileChange which, std::uint64_t arguments, const Deadline& deadline, Real real) {
    const std::uint64_t all = mix(object_, static_cast<std::uint64_t>(which), arguments);
    return session_.call(PortCall::kFileChange, all, &deadline, [&] { return PortReturn{real()}; }).status;
  }

  LogSession& session_;
  std::unique_ptr<File> real_;
  std::uint64_t object_;
};

class LoggedDisk final : public Disk {
 public:
  LoggedDisk(LogSession& session, Disk* real) : session_(session), real_(real) {}

  StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenMode mode, DiskLane lane,
                                       const Deadline& deadline) override {
    const std::uint64_t arguments =
        mix(print(path), static_cast<std::uint64_t>(mode), static_cast<std::uint64_t>(lane));
    std::unique_ptr<File> file;
    const PortReturn returned = session_.call(PortCall::kDiskOpen, arguments, &deadline, [&] {
      StatusOr<std::unique_ptr<File>> opened = real_->open(path, mode, lane, deadline);
      if (opened.ok()) {
        file = *std::move(opened);
      }
      return PortReturn{opened.status()};
    });
    RETURN_IF_ERROR(returned.status);
    return std::make_unique<LoggedFile>(session_, std::move(file));
  }

  Status create_directory(std::string_view path, const Deadline& deadline) override {
    return change(NameChange::kCreate, print(path), deadline, [&] { return real_->create_directory(path, deadline); });
  }
  Status rename(std::string_view from, std::string_view to, const Deadline& deadline) override {
    return change(NameChange::kRename, mix(print(from), print(to)), deadline,
                  [&] { return real_->rename(from, to, deadline); });
  }
  Status unlink(std::string_view path, const Deadline& deadline) override {
    return change(NameChange::kUnlink, print(path), deadline, [&] { return real_->unlink(path, deadline); });
  }
  Status remove_directory(std::string_view path, const Deadline& deadline) override {
    return change(NameChange::kRemove, print(path), deadline, [&] { return real_->remove_directory(path, deadline); });
  }
  Status sync_directory(std::string_view path, const Deadline& deadline) override {
    return change(NameChange::kSync, print(path), deadline, [&] { return real_->sync_directory(path, deadline); });
  }
  Status sync_all(const Deadline& deadline) override {
    return change(NameChange::kSyncAll, 0, deadline, [&] { return real_->sync_all(deadline); });
  }

  StatusOr<std::vector<std::string>> list_directory(std::string_view path, const Deadline& deadline) override {
    const PortReturn returned = session_.call(PortCall::kDiskList, print(path), &deadline, [&] {
      const StatusOr<std::vector<std::string>> names = real_->list_directory(path, deadline);
      return names.ok() ? PortReturn{ok(), names_as_data(*names)} : PortReturn{names.status()};
    });
    RETURN_IF_ERROR(returned.status);
    std::vector<std::string> names;
    for (std::string_view data = returned.data; !data.empty();) {
      names.push_back(logged::take_text(data));
    }
    return names;
  }

  StatusOr<std::uint64_t> free_bytes(const Deadline& deadline) override {
    const PortReturn returned = session_.call(PortCall::kDiskFree, 0, &deadline, [&] {
      const StatusOr<std::uint64_t> got = real_->free_bytes(deadline);
      return got.ok() ? give(*got) : PortReturn{got.status()};
    });
    RETURN_IF_ERROR(returned.status);
    return value_of<std::uint64_t>(returned);
  }

 private:
  template <typename Real>
  Status change(NameChange which, std::uint64_t arguments, const Deadline& deadline, Real real) {
    const std::uint64_t all = mix(static_cast<std::uint64_t>(which), arguments);
    return session_.call(PortCall::kDiskChange, all, &deadline, [&] { return PortReturn{real()}; }).status;
  }

  LogSession& session_;
  Disk* real_;
};

}  // namespace

std::unique_ptr<Disk> make_logged_disk(LogSession& session, Disk* real) {
  return std::make_unique<LoggedDisk>(session, real);
}

}  // namespace chronik::runtime
