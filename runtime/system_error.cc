#include "runtime/system_error.h"

#include <fmt/core.h>

#include <cerrno>
#include <system_error>

namespace chronik::runtime {

std::string describe_error(std::string_view what, int error) {
  return fmt::format("{}: {}", what, std::generic_category().message(error));
}

Status disk_error(std::string_view what, std::string_view path, int error) {
  const std::string text = describe_error(fmt::format("{} {}", what, path.empty() ? "." : path), error);
  switch (error) {
    case ENOENT: return absl::NotFoundError(text);
    case EEXIST: return absl::AlreadyExistsError(text);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE: return absl::ResourceExhaustedError(text);
    case ENOTEMPTY:
    case ENOTDIR:
    case EISDIR: return absl::FailedPreconditionError(text);
    default: return absl::InternalError(text);
  }
}

}  // namespace chronik::runtime
