// Port: files.
//
// What survives. A write is visible to later reads at once and survives a killed process. It survives a loss of power
// only once a sync of the file, submitted after the write completed or standing behind it in the same FileBatch, has
// returned ok; before that any subset of its blocks may survive, each whole, old, or torn at any byte. A new name, a
// rename and an unlink survive only once their directory was synced; until then either outcome may be found. A failed
// or overdue sync says that some of the data is lost, and a later sync that succeeds says nothing about it (rule R2):
// the caller ends the process. Bytes that rot, or are written to the wrong place, are read back without an error. A
// disk may be full, slow, or never answer.
//
// Every call suspends and owns what it uses until its real completion (rule S2). When the deadline passes or the wait
// is cancelled first, the call returns kUnknown: the operation may still happen; its file is poisoned, and every later
// call on it returns kFailedPrecondition. Reads excepted: they change nothing. Errors everywhere: kResourceExhausted
// (no space, too many open files), kInternal (EIO and the like), kNotFound, kAlreadyExists, kUnknown, kAborted.
#pragma once

#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/deadline.h"
#include "core/base/slice.h"
#include "core/base/status.h"

namespace chronik {

struct FileWrite {
  std::uint64_t offset = 0;
  std::vector<Slice> parts;  // written one after another, starting at offset; beyond the end the file grows
};

// One hand-over to the disk and one back: all writes in order, then the sync. A sync covers what this batch wrote and
// what completed before the batch was submitted.
struct FileBatch {
  absl::InlinedVector<FileWrite, 1> writes;
  bool sync = false;  // data, and what of the metadata is needed to read it back (fdatasync)
};

// Closing is destroying: it does not suspend, and the file stays open underneath until its last operation has
// completed.
class File {
 public:
  virtual ~File() = default;
  // On an error an unknown part of the writes happened.
  virtual Status run(FileBatch batch, const Deadline& deadline) = 0;
  // Up to `size` bytes from `offset`; fewer only where the file ends. An expired read returns kDeadlineExceeded.
  virtual StatusOr<Slice> read(std::uint64_t offset, std::size_t size, const Deadline& deadline) = 0;
  // Writes zeros over [offset, offset + size) and syncs them, so that overwriting them later changes no file-system
  // metadata (rule R5). Long: give it a long deadline and a file that nobody waits for.
  virtual Status fill(std::uint64_t offset, std::uint64_t size, const Deadline& deadline) = 0;
  // Cuts or extends (with a hole) to `size` bytes. Durable after the next sync.
  virtual Status truncate(std::uint64_t size, const Deadline& deadline) = 0;
  virtual StatusOr<std::uint64_t> size(const Deadline& deadline) = 0;
};

// Which of the disk's helpers serves a file: the log's own never waits behind the others' work.
enum class DiskLane : std::uint8_t { kLog, kBulk };

enum class OpenMode : std::uint8_t {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // must not exist; read and write
};

// Paths are relative to the node's data directory, with '/' between names; "" is the data directory itself, ".." is
// refused.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenMode mode, DiskLane lane,
                                               const Deadline& deadline) = 0;
  // Creates the directory; its parent must exist. Ok where it exists already.
  virtual Status create_directory(std::string_view path, const Deadline& deadline) = 0;
  // Names in a directory, sorted; directories end in '/'.
  virtual StatusOr<std::vector<std::string>> list_directory(std::string_view path, const Deadline& deadline) = 0;
  // Replaces `to` if it exists. Both in directories that exist.
  virtual Status rename(std::string_view from, std::string_view to, const Deadline& deadline) = 0;
  virtual Status unlink(std::string_view path, const Deadline& deadline) = 0;            // a file; kNotFound
  virtual Status remove_directory(std::string_view path, const Deadline& deadline) = 0;  // empty
  virtual Status sync_directory(std::string_view path, const Deadline& deadline) = 0;
  // Syncs every file and directory of the data directory's file system (syncfs).
  virtual Status sync_all(const Deadline& deadline) = 0;
  // Bytes that a write may still use.
  virtual StatusOr<std::uint64_t> free_bytes(const Deadline& deadline) = 0;
};

}  // namespace chronik
