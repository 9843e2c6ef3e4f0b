// What is found on the disk after a process was killed, and after the power failed.
#include <string>
#include <utility>

#include "tests/conformance/clause.h"
#include "tests/conformance/disk_support.h"

namespace chronik::conformance {

namespace {

constexpr std::size_t kBlock = 4096;

template <typename Prepare>
void live(ConformanceWorld& world, Death death, Prepare prepare) {
  EXPECT_TRUE(in_one_life(
      world,
      [&prepare](Disk& disk) {
        prepare(disk);
        return true;
      },
      death));
}
std::string find(ConformanceWorld& world, std::string_view path) {
  std::string found;
  live(world, Death::kExit, [&](Disk& disk) { found = contents(disk, path); });
  return found;
}
// A file "f" of `bytes` that no death takes away.
std::unique_ptr<File> durable_file(Disk& disk, std::string_view bytes) {
  auto file = create(disk, "f");
  CHECK_OK(write_durably(*file, 0, bytes));
  CHECK_OK(disk.sync_directory("", soon()));
  return file;
}

// ---- a killed process ----

bool a_kill_loses_what_was_written(ConformanceWorld& world) {
  live(world, Death::kKill, [](Disk& disk) {
    const auto file = create(disk, "f");
    CHECK_OK(write(*file, 0, std::string(10'000, 'x')));
    CHECK_OK(disk.create_directory("d", soon()));
    create(disk, "d/a").reset();
    CHECK_OK(disk.rename("d/a", "d/b", soon()));
  });
  bool kept = true;
  live(world, Death::kExit,
       [&kept](Disk& disk) { kept = contents(disk, "f") == std::string(10'000, 'x') && names(disk, "d") == "b"; });
  return !kept;
}

// What a write that was under way at a kill has left of "o"s.
std::string after_a_kill_in_a_write(ConformanceWorld& world) {
  const RunEnd end = world.run(
      [&world](Ports& ports, fiber::FiberScope& scope) {
        durable_file(ports.disk, std::string(4 * kBlock, 'o')).reset();
        world.fail_next(DiskStep::kWrite, DiskFault::kHang);
        scope.spawn({"writer"}, [&disk = ports.disk] {
          const auto file = open(disk, "f", OpenMode::kReadWrite);
          static_cast<void>(write(*file, kBlock / 2, std::string(2 * kBlock, 'n')));
        });
        CHECK_OK(fiber::sleep(Duration::milliseconds(50)));  // until it hangs
      },
      Death::kKill, Duration::seconds(20));
  EXPECT_TRUE(end.finished);
  return find(world, "f");
}

bool a_write_under_way_at_a_kill_harms_other_bytes(ConformanceWorld& world) {
  const std::string found = after_a_kill_in_a_write(world);
  return found.size() != 4 * kBlock || found.find_first_not_of("on") != std::string::npos ||
         found.substr(0, kBlock / 2) != std::string(kBlock / 2, 'o') ||
         found.substr(5 * kBlock / 2) != std::string(3 * kBlock / 2, 'o');
}

bool a_write_under_way_at_a_kill_happens_in_part(ConformanceWorld& world) {
  const std::string found = after_a_kill_in_a_write(world);
  const std::string middle = found.substr(kBlock / 2, 2 * kBlock);
  return middle.find('o') != std::string::npos && middle.find('n') != std::string::npos;
}

bool a_write_under_way_at_a_kill_happens(ConformanceWorld& world) {
  return after_a_kill_in_a_write(world).substr(kBlock / 2, 2 * kBlock) == std::string(2 * kBlock, 'n');
}

bool a_write_under_way_at_a_kill_does_not_happen(ConformanceWorld& world) {
  return after_a_kill_in_a_write(world) == std::string(4 * kBlock, 'o');
}

// ---- power: what must hold ----

bool power_loss_takes_what_was_synced(ConformanceWorld& world) {
  live(world, Death::kPowerLoss, [](Disk& disk) {
    const auto file = durable_file(disk, "");
    CHECK_OK(file->fill(0, 300'000, soon()));
    CHECK_OK(write(*file, 1'000, "one"));
    CHECK_OK(write_durably(*file, 250'000, "two"));
    CHECK_OK(write_durably(*file, 300'000, "grown"));
    CHECK_OK(disk.create_directory("d", soon()));
    CHECK_OK(write_durably(*create(disk, "d/tmp"), 0, "in d"));
    CHECK_OK(disk.rename("d/tmp", "d/g", soon()));
    CHECK_OK(disk.sync_directory("d", soon()));
    CHECK_OK(disk.sync_directory("", soon()));
  });
  bool there = false;
  live(world, Death::kExit, [&there](Disk& disk) {
    const auto file = open(disk, "f", OpenMode::kRead);
    there = size(*file) == 300'005 && read(*file, 1'000, 3) == "one" && read(*file, 250'000, 3) == "two" &&
            read(*file, 300'000, 10) == "grown" && names(disk, "d") == "g" && contents(disk, "d/g") == "in d";
  });
  return !there;
}

bool sync_all_makes_everything_durable(ConformanceWorld& world) {
  live(world, Death::kPowerLoss, [](Disk& disk) {
    CHECK_OK(disk.create_directory("d", soon()));
    CHECK_OK(write(*create(disk, "d/f"), 0, "f"));
    CHECK_OK(write(*create(disk, "g"), 0, "g"));
    CHECK_OK(disk.sync_all(soon()));
  });
  return find(world, "d/f") == "f" && find(world, "g") == "g";
}

bool truncation_is_durable_with_a_sync(ConformanceWorld& world) {
  live(world, Death::kPowerLoss, [](Disk& disk) {
    const auto file = durable_file(disk, std::string(3 * kBlock, 'x'));
    CHECK_OK(file->truncate(kBlock + 1, soon()));
    CHECK_OK(sync(*file));
  });
  return find(world, "f") == std::string(kBlock + 1, 'x');
}

std::string after_a_rename(ConformanceWorld& world) {
  live(world, Death::kPowerLoss, [](Disk& disk) {
    CHECK_OK(write_durably(*create(disk, "tmp"), 0, "new"));
    durable_file(disk, "old").reset();
    CHECK_OK(disk.rename("tmp", "f", soon()));
  });
  return find(world, "f") + " " + find(world, "tmp");
}

bool a_rename_leaves_both_names_or_none(ConformanceWorld& world) {
  const std::string found = after_a_rename(world);
  return found != "new none" && found != "old new";
}

// ---- power: what may happen ----

bool a_rename_without_a_directory_sync_is_undone(ConformanceWorld& world) { return after_a_rename(world) == "old new"; }
bool a_rename_without_a_directory_sync_survives(ConformanceWorld& world) { return after_a_rename(world) == "new none"; }

std::string after_an_unsynced_overwrite(ConformanceWorld& world) {
  live(world, Death::kPowerLoss, [](Disk& disk) {
    CHECK_OK(write(*durable_file(disk, std::string(2 * kBlock, 'o')), 0, std::string(2 * kBlock, 'n')));
  });
  return find(world, "f");
}
bool an_unsynced_write_is_lost(ConformanceWorld& world) {
  return after_an_unsynced_overwrite(world) == std::string(2 * kBlock, 'o');
}
bool an_unsynced_write_survives(ConformanceWorld& world) {
  return after_an_unsynced_overwrite(world) == std::string(2 * kBlock, 'n');
}
bool the_later_block_survives_without_the_earlier(ConformanceWorld& world) {
  return after_an_unsynced_overwrite(world) == std::string(kBlock, 'o') + std::string(kBlock, 'n');
}
bool a_block_is_torn(ConformanceWorld& world) {
  const std::string block = after_an_unsynced_overwrite(world).substr(0, kBlock);
  return block.find('o') != std::string::npos && block.find('n') != std::string::npos;
}
bool an_unsynced_overwrite_leaves_other_bytes(ConformanceWorld& world) {
  const std::string found = after_an_unsynced_overwrite(world);
  return found.size() != 2 * kBlock || found.find_first_not_of("on") != std::string::npos;
}

bool a_length_survives_without_its_bytes(ConformanceWorld& world) {
  live(world, Death::kPowerLoss, [](Disk& disk) { CHECK_OK(write(*durable_file(disk, "old"), 3, "new")); });
  return find(world, "f") == std::string("old\0\0\0", 6);
}

bool a_file_without_a_directory_sync_is_gone(ConformanceWorld& world) {
  live(world, Death::kPowerLoss, [](Disk& disk) { CHECK_OK(write_durably(*create(disk, "f"), 0, "synced")); });
  return find(world, "f") == "none";
}

bool an_unlinked_file_comes_back(ConformanceWorld& world) {
  live(world, Death::kPowerLoss, [](Disk& disk) {
    durable_file(disk, "old").reset();
    CHECK_OK(disk.unlink("f", soon()));
  });
  return find(world, "f") == "old";
}

// A sync fails, a later one succeeds, a killed process leaves all to the next, then the power fails.
bool a_sync_after_a_failed_one_saves_nothing(ConformanceWorld& world) {
  live(world, Death::kKill, [&world](Disk& disk) {
    const auto file = durable_file(disk, std::string(kBlock, 'o'));
    CHECK_OK(write(*file, 0, std::string(kBlock, 'n')));
    world.fail_next(DiskStep::kSync, DiskFault::kIoError);
    EXPECT_TRUE(absl::IsInternal(sync(*file)));
    CHECK_OK(sync(*file));
  });
  live(world, Death::kPowerLoss, [](Disk& disk) {
    EXPECT_EQ(contents(disk, "f"), std::string(kBlock, 'n'));
    const auto file = open(disk, "f", OpenMode::kReadWrite);
    CHECK_OK(sync(*file));
  });
  return find(world, "f") == std::string(kBlock, 'o');
}

}  // namespace

std::vector<Clause> disk_death_clauses() {
  constexpr Ability kPower = Ability::kPowerLoss;
  return {
      {"a_kill_loses_what_was_written", Mark::kNever, a_kill_loses_what_was_written},
      {"a_write_under_way_at_a_kill_harms_other_bytes", Mark::kNever, a_write_under_way_at_a_kill_harms_other_bytes},
      {"a_write_under_way_at_a_kill_happens_in_part", Mark::kAllowed, a_write_under_way_at_a_kill_happens_in_part},
      {"a_write_under_way_at_a_kill_happens", Mark::kAllowed, a_write_under_way_at_a_kill_happens},
      {"a_write_under_way_at_a_kill_does_not_happen", Mark::kAllowed, a_write_under_way_at_a_kill_does_not_happen},
      {"power_loss_takes_what_was_synced", Mark::kNever, power_loss_takes_what_was_synced, kPower},
      {"sync_all_makes_everything_durable", Mark::kAlways, sync_all_makes_everything_durable, kPower},
      {"truncation_is_durable_with_a_sync", Mark::kAlways, truncation_is_durable_with_a_sync, kPower},
      {"a_rename_leaves_both_names_or_none", Mark::kNever, a_rename_leaves_both_names_or_none, kPower},
      {"an_unsynced_overwrite_leaves_other_bytes", Mark::kNever, an_unsynced_overwrite_leaves_other_bytes, kPower},
      {"a_rename_without_a_directory_sync_is_undone", Mark::kAllowed, a_rename_without_a_directory_sync_is_undone,
       kPower},
      {"a_rename_without_a_directory_sync_survives", Mark::kAllowed, a_rename_without_a_directory_sync_survives,
       kPower},
      {"an_unsynced_write_is_lost", Mark::kAllowed, an_unsynced_write_is_lost, kPower},
      {"an_unsynced_write_survives", Mark::kAllowed, an_unsynced_write_survives, kPower},
      {"the_later_block_survives_without_the_earlier", Mark::kAllowed, the_later_block_survives_without_the_earlier,
       kPower},
      {"a_block_is_torn", Mark::kAllowed, a_block_is_torn, kPower},
      {"a_length_survives_without_its_bytes", Mark::kAllowed, a_length_survives_without_its_bytes, kPower},
      {"a_file_without_a_directory_sync_is_gone", Mark::kAllowed, a_file_without_a_directory_sync_is_gone, kPower},
      {"an_unlinked_file_comes_back", Mark::kAllowed, an_unlinked_file_comes_back, kPower},
      {"a_sync_after_a_failed_one_saves_nothing", Mark::kAllowed, a_sync_after_a_failed_one_saves_nothing, kPower},
  };
}

}  // namespace chronik::conformance
