// What files and names promise while a process lives; disk_death_clauses.cc has what they promise beyond it.
#include <algorithm>
#include <string>
#include <utility>

#include "tests/conformance/clause.h"
#include "tests/conformance/disk_support.h"

namespace chronik::conformance {

namespace {

// ---- bytes ----

bool a_batch_is_read_back_as_written(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto file = create(disk, "f");
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of("ab"), Slice(), Slice::copy_of("cdef")}});
    batch.writes.push_back({.offset = 4, .parts = {Slice::copy_of("EF"), Slice::copy_of("GH")}});
    batch.writes.push_back({.offset = 1, .parts = {Slice::copy_of("B")}});
    batch.sync = true;
    return file->run(std::move(batch), soon()).ok() && read(*file, 0, 100) == "aBcdEFGH" && size(*file) == 8;
  });
}

bool a_write_of_many_parts_is_whole(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto file = create(disk, "f");
    FileBatch batch;
    std::string expected;
    batch.writes.push_back({.offset = 3, .parts = {}});
    for (std::size_t i = 0; i < 2'500; ++i) {  // more than one system call takes
      const std::string part(1 + i % 7, static_cast<char>('a' + i % 26));
      batch.writes[0].parts.push_back(Slice::copy_of(part));
      expected += part;
    }
    return file->run(std::move(batch), soon()).ok() && read(*file, 3, 100'000) == expected;
  });
}

bool a_write_goes_on_after_a_short_count(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    const auto file = create(disk, "f");
    world.fail_next(DiskStep::kWrite, DiskFault::kShort);
    world.fail_next(DiskStep::kWrite, DiskFault::kShort);
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of("0123456789"), Slice::copy_of("abcdefghij")}});
    return file->run(std::move(batch), soon()).ok() && read(*file, 0, 100) == "0123456789abcdefghij";
  });
}

bool a_read_goes_on_after_a_short_count(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    const auto file = create(disk, "f");
    CHECK_OK(write(*file, 0, "0123456789"));
    world.fail_next(DiskStep::kRead, DiskFault::kShort);
    return read(*file, 0, 10) == "0123456789";
  });
}

bool a_read_is_short_where_the_file_ends(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto file = create(disk, "f");
    CHECK_OK(write(*file, 0, "0123456789"));
    return read(*file, 7, 10) == "789" && read(*file, 10, 10).empty() && read(*file, 1'000'000, 10).empty() &&
           read(*file, 2, 3) == "234";
  });
}

bool a_gap_reads_as_zeros(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto file = create(disk, "f");
    CHECK_OK(write(*file, 9'000, "end"));
    return read(*file, 0, 20'000) == std::string(9'000, '\0') + "end";
  });
}

bool overwriting_leaves_the_rest_alone(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto file = create(disk, "f");
    const std::string old(20'000, 'o');
    CHECK_OK(write(*file, 0, old));
    CHECK_OK(write(*file, 4'000, std::string(9'000, 'n')));
    return read(*file, 0, 30'000) == std::string(4'000, 'o') + std::string(9'000, 'n') + std::string(7'000, 'o');
  });
}

bool filling_writes_zeros_over_what_was_there(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto file = create(disk, "f");
    CHECK_OK(write(*file, 0, std::string(100, 'o')));
    CHECK_OK(file->fill(10, 1'500'000, soon()));
    CHECK_OK(write(*file, 1'000'000, "x"));
    return size(*file) == 1'500'010 && read(*file, 0, 20) == std::string(10, 'o') + std::string(10, '\0') &&
           read(*file, 999'999, 3) == std::string("\0x\0", 3);
  });
}

bool truncation_cuts_and_extends(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto file = create(disk, "f");
    CHECK_OK(write(*file, 0, std::string(10'000, 'x')));
    CHECK_OK(file->truncate(5'000, soon()));
    EXPECT_EQ(size(*file), 5'000u);
    CHECK_OK(file->truncate(8'000, soon()));
    return read(*file, 0, 10'000) == std::string(5'000, 'x') + std::string(3'000, '\0');
  });
}

bool two_handles_see_one_file(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto first = create(disk, "f");
    const auto second = open(disk, "f", OpenMode::kRead);
    CHECK_OK(write(*first, 0, "seen"));
    return read(*second, 0, 10) == "seen";
  });
}

bool a_file_opened_for_reading_is_written(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    CHECK_OK(write(*create(disk, "f"), 0, "old"));
    const auto file = open(disk, "f", OpenMode::kRead);
    const bool taken = write(*file, 0, "new").ok() || file->truncate(0, soon()).ok();
    return taken || read(*file, 0, 10) != "old";
  });
}

// ---- names ----

bool modes_of_opening_say_what_is_wrong(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    create(disk, "f").reset();
    const auto code = [&disk](std::string_view path, OpenMode mode) {
      return disk.open(path, mode, DiskLane::kBulk, soon()).status().code();
    };
    return code("g", OpenMode::kRead) == absl::StatusCode::kNotFound &&
           code("g", OpenMode::kReadWrite) == absl::StatusCode::kNotFound &&
           code("f", OpenMode::kCreate) == absl::StatusCode::kAlreadyExists &&
           code("d/f", OpenMode::kCreate) == absl::StatusCode::kNotFound &&
           code("f", OpenMode::kReadWrite) == absl::StatusCode::kOk;
  });
}

bool a_path_leaves_the_data_directory(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    for (const char* path : {"..", "../f", "d/../../f", "/tmp/f", "d//f", "./f", ".f", "d/"}) {
      EXPECT_TRUE(absl::IsInvalidArgument(disk.open(path, OpenMode::kCreate, DiskLane::kBulk, soon()).status()))
          << path;
      EXPECT_TRUE(absl::IsInvalidArgument(disk.create_directory(path, soon()))) << path;
      EXPECT_TRUE(absl::IsInvalidArgument(disk.rename("f", path, soon()))) << path;
      EXPECT_TRUE(absl::IsInvalidArgument(disk.unlink(path, soon()))) << path;
      EXPECT_TRUE(absl::IsInvalidArgument(disk.list_directory(path, soon()).status())) << path;
      EXPECT_TRUE(absl::IsInvalidArgument(disk.sync_directory(path, soon()))) << path;
    }
    return !names(disk, "").empty();
  });
}

bool listings_are_sorted_and_mark_directories(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    CHECK_OK(disk.create_directory("d", soon()));
    for (const char* path : {"d/b", "d/a", "d/e-f", "d/c"}) {
      create(disk, path).reset();
    }
    CHECK_OK(disk.create_directory("d/e", soon()));
    EXPECT_TRUE(absl::IsNotFound(disk.list_directory("no", soon()).status()));
    return names(disk, "") == "d/" && names(disk, "d") == "a b c e-f e/";
  });
}

bool directories_are_made_and_removed(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    create(disk, "f").reset();
    CHECK_OK(disk.create_directory("d", soon()));
    CHECK_OK(disk.create_directory("d", soon()));
    EXPECT_TRUE(absl::IsAlreadyExists(disk.create_directory("f", soon())));
    EXPECT_TRUE(absl::IsNotFound(disk.create_directory("no/d", soon())));
    create(disk, "d/f").reset();
    EXPECT_TRUE(absl::IsFailedPrecondition(disk.remove_directory("d", soon())));
    EXPECT_FALSE(disk.unlink("d", soon()).ok());
    EXPECT_FALSE(disk.remove_directory("f", soon()).ok());
    CHECK_OK(disk.unlink("d/f", soon()));
    EXPECT_TRUE(absl::IsNotFound(disk.unlink("d/f", soon())));
    CHECK_OK(disk.remove_directory("d", soon()));
    EXPECT_TRUE(absl::IsNotFound(disk.remove_directory("d", soon())));
    return names(disk, "") == "f";
  });
}

bool a_rename_replaces_its_target(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    CHECK_OK(disk.create_directory("d", soon()));
    CHECK_OK(write(*create(disk, "a"), 0, "new"));
    CHECK_OK(write(*create(disk, "d/b"), 0, "old"));
    EXPECT_TRUE(absl::IsNotFound(disk.rename("no", "d/b", soon())));
    EXPECT_TRUE(absl::IsNotFound(disk.rename("a", "no/b", soon())));
    EXPECT_FALSE(disk.rename("a", "d", soon()).ok());
    CHECK_OK(disk.rename("a", "d/b", soon()));
    return names(disk, "") == "d/" && contents(disk, "d/b") == "new";
  });
}

bool a_directory_is_renamed_with_what_is_in_it(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    CHECK_OK(disk.create_directory("d", soon()));
    CHECK_OK(write(*create(disk, "d/f"), 0, "x"));
    EXPECT_FALSE(disk.rename("d", "d/e", soon()).ok());
    CHECK_OK(disk.rename("d", "e", soon()));
    return names(disk, "") == "e/" && contents(disk, "e/f") == "x";
  });
}

bool an_open_file_outlives_its_name(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto file = create(disk, "f");
    CHECK_OK(write(*file, 0, "old"));
    CHECK_OK(disk.unlink("f", soon()));
    const auto second = create(disk, "f");
    CHECK_OK(write(*second, 0, "new"));
    CHECK_OK(write(*file, 3, "er"));
    return read(*file, 0, 10) == "older" && read(*second, 0, 10) == "new";
  });
}

bool there_is_free_space(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) { return disk.free_bytes(soon()).value() > 0; });
}

bool syncs_of_names_return(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    CHECK_OK(disk.create_directory("d", soon()));
    EXPECT_TRUE(absl::IsNotFound(disk.sync_directory("no", soon())));
    return disk.sync_directory("", soon()).ok() && disk.sync_directory("d", soon()).ok() && disk.sync_all(soon()).ok();
  });
}

// ---- errors ----

bool a_full_disk_is_said_so(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    const auto file = create(disk, "f");
    for (int i = 0; i < 2; ++i) {
      world.fail_next(DiskStep::kWrite, DiskFault::kNoSpace);
      const Status full = i == 0 ? write(*file, 0, "x") : file->fill(0, 10'000, soon());
      EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
    }
    return write(*file, 0, "y").ok() && read(*file, 0, 1) == "y";
  });
}

bool errors_of_the_disk_are_said_so(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    const auto file = create(disk, "f");
    CHECK_OK(write(*file, 0, "0123"));
    const auto fails = [&world](DiskStep step, auto call) {
      world.fail_next(step, DiskFault::kIoError);
      const Status status = call();
      EXPECT_TRUE(absl::IsInternal(status)) << static_cast<int>(step) << ": " << status;
      return absl::IsInternal(status);
    };
    FileBatch sync;
    sync.sync = true;
    return fails(DiskStep::kOpen, [&] { return disk.open("f", OpenMode::kRead, DiskLane::kBulk, soon()).status(); }) &&
           fails(DiskStep::kRead, [&] { return file->read(0, 4, soon()).status(); }) &&
           fails(DiskStep::kWrite, [&] { return write(*file, 0, "x"); }) &&
           fails(DiskStep::kSync, [&] { return file->run(sync, soon()); }) &&
           fails(DiskStep::kSync, [&] { return file->fill(0, 5'000, soon()); }) &&
           fails(DiskStep::kTruncate, [&] { return file->truncate(0, soon()); }) &&
           fails(DiskStep::kCreateDirectory, [&] { return disk.create_directory("d", soon()); }) &&
           fails(DiskStep::kRename, [&] { return disk.rename("f", "g", soon()); }) &&
           fails(DiskStep::kUnlink, [&] { return disk.unlink("f", soon()); }) &&
           fails(DiskStep::kSyncDirectory, [&] { return disk.sync_directory("", soon()); }) &&
           fails(DiskStep::kSyncAll, [&] { return disk.sync_all(soon()); });
  });
}

bool an_error_stops_its_batch(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    const auto file = create(disk, "f");
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of("first")}});
    batch.writes.push_back({.offset = 5, .parts = {Slice::copy_of("second")}});
    batch.sync = true;
    world.fail_next(DiskStep::kSync, DiskFault::kIoError);
    EXPECT_TRUE(absl::IsInternal(file->run(batch, soon())));
    const bool written = read(*file, 0, 20) == "firstsecond";  // writes come before the sync
    CHECK_OK(file->truncate(0, soon()));
    world.fail_next(DiskStep::kWrite, DiskFault::kNoSpace);
    EXPECT_TRUE(absl::IsResourceExhausted(file->run(batch, soon())));
    return written && read(*file, 0, 20).find("second") == std::string::npos;
  });
}

// ---- deadlines ----

bool an_overdue_change_poisons_its_file(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    const auto file = create(disk, "f");
    world.fail_next(DiskStep::kSync, DiskFault::kHang);
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of("late")}});
    batch.sync = true;
    EXPECT_TRUE(absl::IsUnknown(file->run(std::move(batch), shortly())));
    EXPECT_TRUE(absl::IsFailedPrecondition(write(*file, 0, "x")));
    EXPECT_TRUE(absl::IsFailedPrecondition(file->fill(0, 1, soon())));
    world.release_hung();
    CHECK_OK(fiber::sleep(Duration::milliseconds(50)));
    EXPECT_TRUE(absl::IsFailedPrecondition(file->truncate(0, soon())));  // for good
    return contents(disk, "f") == "late";
  });
}

bool a_change_called_off_poisons_its_file(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    const auto file = create(disk, "f");
    world.fail_next(DiskStep::kWrite, DiskFault::kHang);
    CancelSource source;
    fiber::FiberScope scope;
    scope.spawn({"canceller"}, [&source] {
      CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
      source.cancel();
    });
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of("late")}});
    const Deadline called_off(fiber::Scheduler::current().now() + Duration::seconds(5), Expiry::kPeer, source);
    const Status status = file->run(std::move(batch), called_off);
    CHECK_OK(scope.join(soon()));
    world.release_hung();
    return absl::IsUnknown(status) && absl::IsFailedPrecondition(write(*file, 0, "x"));
  });
}

bool an_operation_owns_its_bytes(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    world.fail_next(DiskStep::kWrite, DiskFault::kHang);
    const std::string bytes(30'000, 'k');
    auto file = create(disk, "f");
    EXPECT_TRUE(absl::IsUnknown(
        file->run(FileBatch{.writes = {{.offset = 0, .parts = {Slice::copy_of(bytes)}}}, .sync = true}, shortly())));
    file.reset();  // closed above, open underneath
    for (int i = 0; i < 20; ++i) {
      std::fill_n(Slice::allocate(30'000).mutable_data(), 30'000, std::uint8_t{'!'});
    }
    world.release_hung();
    CHECK_OK(fiber::sleep(Duration::milliseconds(50)));
    return contents(disk, "f") == bytes;
  });
}

bool an_overdue_read_leaves_its_file_alone(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    const auto file = create(disk, "f");
    CHECK_OK(write(*file, 0, "bytes"));
    world.fail_next(DiskStep::kRead, DiskFault::kHang);
    const Status late = file->read(0, 5, shortly()).status();
    world.release_hung();
    return absl::IsDeadlineExceeded(late) && read(*file, 0, 5) == "bytes";
  });
}

bool a_call_that_is_late_from_the_start_happens(ConformanceWorld& world) {
  return in_one_life(world, [](Disk& disk) {
    const auto file = create(disk, "f");
    const Deadline over = fiber::within(Duration::zero(), Expiry::kNormal);
    EXPECT_TRUE(absl::IsDeadlineExceeded(write(*file, 0, "x", over)));
    EXPECT_TRUE(absl::IsDeadlineExceeded(disk.create_directory("d", over)));
    CHECK_OK(write(*file, 1, "y"));  // nothing began: the file is sound
    return names(disk, "") != "f" || read(*file, 0, 2) != std::string("\0y", 2);
  });
}

bool the_log_waits_for_other_files(ConformanceWorld& world) {
  return in_one_life(world, [&world](Disk& disk) {
    const auto log = create(disk, "log");
    const auto bulk = disk.open("bulk", OpenMode::kCreate, DiskLane::kBulk, soon());
    world.fail_next(DiskStep::kWrite, DiskFault::kHang);
    fiber::FiberScope scope;
    scope.spawn({"bulk"}, [&bulk] { static_cast<void>(write(**bulk, 0, "x")); });
    CHECK_OK(fiber::sleep(Duration::milliseconds(20)));  // until it hangs
    const Status status = write(*log, 0, "y");
    world.release_hung();
    CHECK_OK(scope.join(soon()));
    return !status.ok();
  });
}

}  // namespace

std::vector<Clause> disk_life_clauses() {
  return {
      {"a_batch_is_read_back_as_written", Mark::kAlways, a_batch_is_read_back_as_written},
      {"a_write_of_many_parts_is_whole", Mark::kAlways, a_write_of_many_parts_is_whole},
      {"a_write_goes_on_after_a_short_count", Mark::kAlways, a_write_goes_on_after_a_short_count},
      {"a_read_goes_on_after_a_short_count", Mark::kAlways, a_read_goes_on_after_a_short_count},
      {"a_read_is_short_where_the_file_ends", Mark::kAlways, a_read_is_short_where_the_file_ends},
      {"a_gap_reads_as_zeros", Mark::kAlways, a_gap_reads_as_zeros},
      {"overwriting_leaves_the_rest_alone", Mark::kAlways, overwriting_leaves_the_rest_alone},
      {"filling_writes_zeros_over_what_was_there", Mark::kAlways, filling_writes_zeros_over_what_was_there},
      {"truncation_cuts_and_extends", Mark::kAlways, truncation_cuts_and_extends},
      {"two_handles_see_one_file", Mark::kAlways, two_handles_see_one_file},
      {"a_file_opened_for_reading_is_written", Mark::kNever, a_file_opened_for_reading_is_written},
      {"modes_of_opening_say_what_is_wrong", Mark::kAlways, modes_of_opening_say_what_is_wrong},
      {"a_path_leaves_the_data_directory", Mark::kNever, a_path_leaves_the_data_directory},
      {"listings_are_sorted_and_mark_directories", Mark::kAlways, listings_are_sorted_and_mark_directories},
      {"directories_are_made_and_removed", Mark::kAlways, directories_are_made_and_removed},
      {"a_rename_replaces_its_target", Mark::kAlways, a_rename_replaces_its_target},
      {"a_directory_is_renamed_with_what_is_in_it", Mark::kAlways, a_directory_is_renamed_with_what_is_in_it},
      {"an_open_file_outlives_its_name", Mark::kAlways, an_open_file_outlives_its_name},
      {"there_is_free_space", Mark::kAlways, there_is_free_space},
      {"syncs_of_names_return", Mark::kAlways, syncs_of_names_return},
      {"a_full_disk_is_said_so", Mark::kAlways, a_full_disk_is_said_so},
      {"errors_of_the_disk_are_said_so", Mark::kAlways, errors_of_the_disk_are_said_so},
      {"an_error_stops_its_batch", Mark::kAlways, an_error_stops_its_batch},
      {"an_overdue_change_poisons_its_file", Mark::kAlways, an_overdue_change_poisons_its_file},
      {"a_change_called_off_poisons_its_file", Mark::kAlways, a_change_called_off_poisons_its_file},
      {"an_operation_owns_its_bytes", Mark::kAlways, an_operation_owns_its_bytes},
      {"an_overdue_read_leaves_its_file_alone", Mark::kAlways, an_overdue_read_leaves_its_file_alone},
      {"a_call_that_is_late_from_the_start_happens", Mark::kNever, a_call_that_is_late_from_the_start_happens},
      {"the_log_waits_for_other_files", Mark::kNever, the_log_waits_for_other_files},
  };
}

std::vector<Clause> disk_clauses() {
  std::vector<Clause> clauses = disk_life_clauses();
  const std::vector<Clause> deaths = disk_death_clauses();
  clauses.insert(clauses.end(), deaths.begin(), deaths.end());
  return clauses;
}

}  // namespace chronik::conformance
