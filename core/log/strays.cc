// Of StoredLogs: directories of logs that nobody knows, or that this node has for no reason that the metadata know.
// They are set aside, and go only after a delay: whoever has made a mistake can still take them back (rule R12).
#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/log_line.h"
#include "core/log/stored_logs.h"

namespace chronik::log {

namespace {

constexpr const char* kStrays = "strays";
constexpr Duration kLookAgain = Duration::milliseconds(100);

// "EjRWeJq8TvCP7cuph2VDIQ-3.17/": 17; 0: it is none of ours, and stays.
std::uint64_t number_of_stray(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || !name.ends_with('/')) {
    return 0;
  }
  std::uint64_t number = 0;
  const char* end = name.data() + name.size() - 1;
  const auto [stopped, error] = std::from_chars(name.data() + dot + 1, end, number);
  return error == std::errc() && stopped == end ? number : 0;
}

std::string without_slash(const std::string& directory) { return directory.substr(0, directory.size() - 1); }

}  // namespace

Status StoredLogs::set_strays_aside(const Deadline& deadline) {
  const StatusOr<std::vector<std::string>> before = ports_.disk.list_directory(kStrays, deadline);
  if (!before.ok() && !absl::IsNotFound(before.status())) {
    return before.status();
  }
  for (const std::string& name : before.value_or(std::vector<std::string>())) {
    if (const std::uint64_t number = number_of_stray(name); number > 0) {
      strays_set_aside_ = std::max(strays_set_aside_, number);
      add_stray(fmt::format("{}/{}", kStrays, without_slash(name)));
    }
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ports_.disk.list_directory("logs", deadline));
  absl::btree_set<std::string> known;
  for (const auto& [key, log] : logs_) {
    known.insert(key.to_string() + "/");
  }
  for (const std::string& name : names) {
    if (known.contains(name)) {
      continue;
    }
    // At whichever start after it was lost: the first one leaves a log that knows nothing.
    if (!knew_logs_ && logs_.empty()) {
      return absl::FailedPreconditionError(
          "logs/ holds partitions but the write-ahead log knows of none: was wal/ removed? Bring it back; or empty the "
          "whole data directory, if other nodes hold the data");
    }
    // The WAL knows every log that was created and not deleted; this one's deletion was cut short.
    const std::string directory = "logs/" + without_slash(name);
    const StatusOr<std::string> aside = place_aside(without_slash(name), deadline);
    const Status moved = aside.ok() ? ports_.disk.rename(directory, *aside, deadline) : aside.status();
    if (absl::IsResourceExhausted(moved)) {
      log_warn("log whose deletion was cut short is deleted: there is no room to set it aside",
               field("directory", directory));
      RETURN_IF_ERROR(delete_directory(directory));
      continue;
    }
    RETURN_IF_ERROR(moved);
    add_stray(*aside);
  }
  return ok();
}

// Where a directory of this name is to be renamed to.
StatusOr<std::string> StoredLogs::place_aside(const std::string& name, const Deadline& deadline) {
  RETURN_IF_ERROR(ports_.disk.create_directory(kStrays, deadline));
  return fmt::format("{}/{}.{}", kStrays, name, ++strays_set_aside_);
}

void StoredLogs::add_stray(std::string directory) {
  const MonotonicTime due = strays_may_go_ ? scope_.scheduler().now() + options_.stray_delay : MonotonicTime::never();
  log_info("log that nobody knows is set aside", field("directory", directory),
           field("seconds", options_.stray_delay.seconds()));
  strays_.push_back({.directory = std::move(directory), .due = due});
}

void StoredLogs::let_strays_go() {
  strays_may_go_ = true;
  for (Stray& stray : strays_) {
    stray.due = scope_.scheduler().now() + options_.stray_delay;
  }
  keep_wanted_.notify_all();
}

MonotonicTime StoredLogs::next_stray() const { return strays_.empty() ? MonotonicTime::never() : strays_.front().due; }

Status StoredLogs::delete_directory(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> files, ports_.disk.list_directory(directory, file_deadline()));
  return remove_directory_of(*this, directory, files);
}

Status StoredLogs::delete_strays() {
  while (!strays_.empty() && strays_.front().due <= scope_.scheduler().now()) {
    const std::string directory = strays_.front().directory;
    const Status deleted = delete_directory(directory);
    if (absl::IsFailedPrecondition(deleted)) {  // somebody keeps something else in there
      log_warn("log that nobody knows stays where it is", field("directory", directory),
               field("why", deleted.ToString()));
    } else if (!absl::IsNotFound(deleted)) {
      RETURN_IF_ERROR(deleted);
      log_info("log that nobody knows is deleted", field("directory", directory));
    }
    strays_.erase(strays_.begin());
  }
  return ok();
}

// What is in no file yet goes there before: it would be missing to whoever wants the files back.
Status StoredLogs::remove_stray(const LogKey& key, const Deadline& deadline) {
  for (Ref<StoredLog> log = hold(key); log && !log->closed() && log->has_undrained();) {
    drain_all_ = true;
    drain_wanted_.notify_all();
    RETURN_IF_ERROR(fiber::sleep(kLookAgain));
    if (scope_.scheduler().now() >= deadline.at()) {
      return absl::DeadlineExceededError("its records are not in its files yet");
    }
  }
  return remove_log(key, /*stray=*/true, deadline);
}

}  // namespace chronik::log
