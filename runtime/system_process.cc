#include "runtime/system_process.h"

#include <dirent.h>
#include <sys/socket.h>

#include <cstdlib>

#include "core/base/log_line.h"

namespace chronik::runtime {

namespace {

// Every socket of the process, whoever opened it: a thread that is stuck in the kernel keeps descriptors open beyond
// our exit, and peers would wait for a node that is gone (rule S2).
void shut_down_all_sockets() {
  DIR* descriptors = ::opendir("/proc/self/fd");
  if (descriptors == nullptr) {
    return;
  }
  while (const dirent* entry = ::readdir(descriptors)) {
    ::shutdown(std::atoi(entry->d_name), SHUT_RDWR);  // what is no socket refuses
  }
}

}  // namespace

void SystemProcess::fatal(ExitStatus status, std::string_view reason) {
  log_error("fatal", field("status", status), field("reason", reason));
  shut_down_all_sockets();
  calls_.exit(static_cast<int>(status));
  UNREACHABLE("the process went on after its exit");
}

}  // namespace chronik::runtime
