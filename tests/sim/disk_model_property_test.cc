// The model of a disk against a naive one, under random calls and at every step of a script.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/disk_model.h"
#include "tests/sim/disk_draws.h"

namespace chronik::sim::disk_model_property_test {
namespace {

std::string read_all(const DiskModel& disk, InodeId file) {
  std::vector<std::uint8_t> bytes(disk.size(file));
  const std::size_t got = disk.read(file, 0, bytes).value();
  return std::string(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(got));
}

// A set of the values that these tests write: 0 and letters.
std::uint32_t bit(char value) { return value == '\0' ? 1u << 31 : 1u << (value - 'a'); }

// One file, byte by byte: what is read, and what a loss of power may leave.
struct NaiveFile {
  std::string visible;
  std::vector<std::uint32_t> possible;  // per offset, up to the largest size there was
  std::set<std::size_t> sizes{0};
  std::set<std::size_t> stuck;  // blocks clean after a failed sync

  char at(std::size_t i) const { return i < visible.size() ? visible[i] : '\0'; }
  void write(std::size_t offset, const std::string& bytes) {
    for (std::size_t block = offset / kBlockBytes; !bytes.empty() && block <= (offset + bytes.size() - 1) / kBlockBytes;
         ++block) {
      stuck.erase(block);
    }
    resize(std::max(visible.size(), offset + bytes.size()));
    visible.replace(offset, bytes.size(), bytes);
  }
  void resize(std::size_t size) {
    visible.resize(size, '\0');
    sizes.insert(size);
    if (size > possible.size()) {
      possible.resize(size, bit('\0'));  // the length may survive without the bytes
    }
  }
  // Called after each change: everything visible may be what survives.
  void settle() {
    for (std::size_t i = 0; i < possible.size(); ++i) {
      possible[i] |= bit(at(i));
    }
  }
  void sync() {
    for (std::size_t i = 0; i < possible.size(); ++i) {
      if (!stuck.contains(i / kBlockBytes)) {
        possible[i] = bit(at(i));
      }
    }
  }
  void adopt(const std::string& survived) {
    *this = NaiveFile();
    visible = survived;
    sizes = {survived.size()};
    possible.resize(survived.size(), 0);
    settle();
  }
};

RC_GTEST_PROP(DiskModelProperty, EveryByteThatIsFoundIsOneThatWasWrittenAndEverySyncedOneIsFound, ()) {
  DiskModel disk(64 * kMiB);
  InodeId file = disk.open("f", OpenMode::kCreate).value();
  disk.end_sync(disk.begin_sync_directory("").value(), SyncOutcome::kDone, draws_of(1));
  NaiveFile naive;
  bool size_stuck = false;
  const int steps = *rc::gen::inRange(1, 60);
  for (int step = 0; step < steps; ++step) {
    const std::uint64_t seed = *rc::gen::arbitrary<std::uint64_t>();
    const int what = *rc::gen::weightedElement<int>({{6, 0}, {3, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}, {1, 6}});
    const std::size_t offset = *rc::gen::inRange<std::size_t>(0, 5 * kBlockBytes);
    const std::size_t size = *rc::gen::inRange<std::size_t>(0, 2 * kBlockBytes);
    if (what == 0) {
      const std::string bytes(size, static_cast<char>('a' + seed % 26));
      RC_ASSERT(disk.write(file, offset, bytes).ok());
      if (size != 0) {
        size_stuck &= offset + size <= naive.visible.size();
        naive.write(offset, bytes);
      }
    } else if (what == 1) {
      disk.end_sync(disk.begin_sync(file), SyncOutcome::kDone, draws_of(seed));
      naive.sync();
      if (!size_stuck) {
        naive.sizes = {naive.visible.size()};
      }
    } else if (what == 2) {
      disk.end_sync(disk.begin_sync(file), SyncOutcome::kFailed, draws_of(seed));
      for (std::size_t block = 0; block <= naive.possible.size() / kBlockBytes; ++block) {
        naive.stuck.insert(block);
      }
      size_stuck = true;
    } else if (what == 3) {
      disk.process_kill();
      file = disk.open("f", OpenMode::kReadWrite).value();
    } else if (what == 4) {
      RC_ASSERT(disk.truncate(file, offset).ok());
      size_stuck &= offset == naive.visible.size();
      if (offset < naive.visible.size()) {  // only what is cut away is written anew
        for (std::size_t block = offset / kBlockBytes; block <= (naive.visible.size() - 1) / kBlockBytes; ++block) {
          naive.stuck.erase(block);
        }
      }
      naive.resize(offset);
    } else if (what == 5) {
      const bool ends = disk.would_survive("f", offset, size);
      const std::string expected = disk.written_bytes("f", offset, size).value();
      DiskModel copy = disk.clone();
      copy.process_kill();
      copy.power_loss(draws_of(seed), kAnything);
      const std::string left = copy.written_bytes("f", offset, size).value();
      RC_ASSERT(!ends || left == expected);
    } else {
      disk.process_kill();
      disk.power_loss(draws_of(seed), kAnything);
      file = disk.open("f", OpenMode::kReadWrite).value();
      const std::string survived = read_all(disk, file);
      RC_ASSERT(naive.sizes.contains(survived.size()) || survived.size() % kBlockBytes == 0);
      RC_ASSERT(survived.size() <= naive.possible.size());
      RC_ASSERT(survived.size() >= *naive.sizes.begin());
      for (std::size_t i = 0; i < survived.size(); ++i) {
        RC_ASSERT((naive.possible[i] & bit(survived[i])) != 0);
      }
      naive.adopt(survived);
      size_stuck = false;
    }
    naive.settle();
    RC_ASSERT(read_all(disk, file) == naive.visible);
    RC_ASSERT(disk.size(file) == naive.visible.size());
  }
}

// Names: what is there, and what may be there after a loss of power. Every file says who it is.
RC_GTEST_PROP(DiskModelProperty, EveryNameLeadsWhereItLedOnceOrLeadsNowAndNoFileHasTwo, ()) {
  DiskModel disk(64 * kMiB);
  RC_ASSERT(disk.create_directory("d").ok());
  disk.end_sync(disk.begin_sync_directory("").value(), SyncOutcome::kDone, draws_of(1));
  const std::vector<std::string> names{"a", "b", "c", "d/a", "d/b"};
  std::map<std::string, std::string> visible;
  std::map<std::string, std::set<std::string>> possible;
  for (const std::string& name : names) {
    possible[name] = {"none"};
  }
  const auto content = [&](const DiskModel& model, const std::string& name) {
    const StatusOr<std::string> bytes = model.written_bytes(name, 0, 100);
    return bytes.ok() ? *bytes : std::string("none");
  };
  int created = 0;
  const int steps = *rc::gen::inRange(1, 50);
  for (int step = 0; step < steps; ++step) {
    const int what = *rc::gen::inRange(0, 6);
    const std::uint64_t seed = *rc::gen::arbitrary<std::uint64_t>();
    const std::string from = *rc::gen::elementOf(names);
    const std::string to = *rc::gen::elementOf(names);
    if (what == 0) {
      const StatusOr<InodeId> file = disk.open(from, OpenMode::kCreate);
      RC_ASSERT(file.ok() == !visible.contains(from));
      if (file.ok()) {
        visible[from] = "file " + std::to_string(created++);
        RC_ASSERT(disk.write(*file, 0, visible[from]).ok());
        disk.end_sync(disk.begin_sync(*file), SyncOutcome::kDone, draws_of(seed));
        disk.close(*file);
      }
    } else if (what == 1) {
      RC_ASSERT(disk.unlink(from).ok() == visible.contains(from));
      visible.erase(from);
    } else if (what == 2) {
      RC_ASSERT(disk.rename(from, to).ok() == visible.contains(from));
      if (visible.contains(from) && from != to) {
        visible[to] = visible[from];
        visible.erase(from);
      }
    } else if (what == 3) {
      const std::string directory = seed % 2 == 0 ? "" : "d";
      disk.end_sync(disk.begin_sync_directory(directory).value(), SyncOutcome::kDone, draws_of(seed));
    } else if (what == 4) {
      disk.end_sync(disk.begin_sync_all(), SyncOutcome::kDone, draws_of(seed));
      for (const std::string& name : names) {
        possible[name] = {visible.contains(name) ? visible[name] : "none"};
      }
      RC_ASSERT(disk.pending_name_changes() == 0);
    } else {
      DiskModel copy = disk.clone();
      copy.process_kill();
      copy.power_loss(draws_of(seed), kAnything);
      std::set<std::string> seen;
      for (const std::string& name : names) {
        const std::string found = content(copy, name);
        RC_ASSERT(possible[name].contains(found));
        RC_ASSERT(found == "none" || seen.insert(found).second);
        if (disk.would_survive(name, 0, 4)) {
          RC_ASSERT(found == visible[name]);
        }
      }
    }
    for (const std::string& name : names) {
      const std::string now = visible.contains(name) ? visible[name] : "none";
      possible[name].insert(now);
      RC_ASSERT(content(disk, name) == now);
    }
  }
}

// What a log does: a file is made and filled, records are written and synced, files are renamed into place. Each step
// returns what it has made durable.
struct Script {
  DiskModel& disk;
  std::map<std::string, std::string> promised;  // path: bytes from its beginning
  int step = 0;

  void run(int steps) {
    InodeId wal = DiskNames::kNone;
    for (step = 0; step < steps; ++step) {
      const std::string name = "wal-" + std::to_string(step / 12);
      switch (step % 12) {
        case 0: wal = disk.open(name + ".tmp", OpenMode::kCreate).value(); break;
        case 1: CHECK_OK(disk.fill(wal, 0, 300'000, SyncOutcome::kDone)); break;
        case 2: disk.end_sync(disk.begin_sync(wal), SyncOutcome::kDone, draws_of(1)); break;
        case 3: CHECK_OK(disk.rename(name + ".tmp", name)); break;
        case 4:
          disk.end_sync(disk.begin_sync_directory("").value(), SyncOutcome::kDone, draws_of(1));
          promised[name] = "";
          break;
        case 11: disk.close(wal); break;
        default: {
          const std::string record = std::string(3000, static_cast<char>('a' + step % 26));
          SyncTicket ticket = disk.begin_sync(wal);
          disk.begin_own_writes(ticket);
          CHECK_OK(disk.write(wal, promised[name].size(), record));
          disk.end_own_writes(ticket);
          if (step % 3 != 0) {
            disk.end_sync(ticket, SyncOutcome::kDone, draws_of(1));
            promised[name] += record;
          }
        }
      }
      after_step();
    }
  }
  void after_step();
};

void Script::after_step() {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const bool power = seed != 0;
    DiskModel first = disk.clone();
    DiskModel second = disk.clone();
    for (DiskModel* copy : {&first, &second}) {
      copy->process_kill();
      if (power) {
        copy->power_loss(draws_of(seed), kAnything);
      }
    }
    ASSERT_EQ(first.fingerprint(), second.fingerprint()) << "the same draws, other bytes";
    for (const auto& [path, bytes] : promised) {
      ASSERT_EQ(first.written_bytes(path, 0, bytes.size()).value_or("none"), bytes) << path << " after step " << step;
      ASSERT_EQ(disk.durable_bytes(path, 0, bytes.size()).value_or("none"), bytes);
      ASSERT_TRUE(disk.would_survive(path, 0, bytes.size()));
    }
    // Twice the same death changes nothing more.
    const std::uint64_t print = first.fingerprint();
    first.power_loss(draws_of(seed + 100), kAnything);
    ASSERT_TRUE(!power || first.fingerprint() == print);
  }
}

TEST(DiskModelScript, WhatWasPromisedIsThereAfterADeathAtAnyStep) {
  DiskModel disk(64 * kMiB);
  Script script{.disk = disk};
  script.run(60);
  EXPECT_EQ(script.promised.size(), 5u);
}

}  // namespace
}  // namespace chronik::sim::disk_model_property_test
