// Open files of all logs of a shard, at most so many: ten thousand partitions must not need ten thousand descriptors.
//
// Who uses a file holds it by reference count; the cache closes the longest unused ones.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/counted.h"
#include "core/base/status.h"
#include "core/ports/disk.h"

namespace chronik::log {

struct OpenFile : Counted {
  explicit OpenFile(std::unique_ptr<File> opened) : file(std::move(opened)) {}
  std::unique_ptr<File> file;
};
using FileRef = Ref<OpenFile>;

class FileCache {
 public:
  FileCache(Disk& disk, std::size_t files_max) : disk_(disk), files_max_(files_max) {}

  // Opens for reading and writing; kNotFound where it does not exist.
  StatusOr<FileRef> open(const std::string& path, const Deadline& deadline);
  // Creates the file or empties the one that is there: what a crash left behind under a name that is not in use.
  StatusOr<FileRef> create(const std::string& path, const Deadline& deadline);
  // Before the file is unlinked.
  void forget(const std::string& path);
  std::size_t size() const { return by_use_.size(); }

 private:
  struct Entry {
    std::string path;
    FileRef file;
  };
  FileRef keep(const std::string& path, std::unique_ptr<File> file);

  Disk& disk_;
  std::size_t files_max_;
  std::uint64_t changes_ = 0;  // of which file a name stands for
  std::list<Entry> by_use_;    // the last used first
  absl::btree_map<std::string_view, std::list<Entry>::iterator> by_path_;
};

}  // namespace chronik::log
