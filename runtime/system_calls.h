// The system calls that the real ports make, in one replaceable table (rule S16).
//
// Why: what a kernel does once in a year (a short write, EIO from a sync, a call that never returns) must happen in a
// test at will. Tests derive from this and override a call; production uses it as it is. Every call returns what the
// kernel does, but a failure as -errno. Calls of the disk and the name service are made by helper threads; overriders
// must be safe for that.
#pragma once

#include <netdb.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace chronik::runtime {

class SystemCalls {
 public:
  virtual ~SystemCalls() = default;

  // ---- sockets: made by the shard's own thread, never blocking ----
  virtual std::int64_t receive(int socket, void* into, std::size_t size);
  virtual std::int64_t send(int socket, const msghdr& message);
  virtual int connect(int socket, const sockaddr* to, socklen_t size);
  virtual int accept(int socket, sockaddr* peer, socklen_t* size);
  // Made by a helper thread, for as long as a name server takes. Returns getaddrinfo's error, 0 where there is none.
  virtual int look_up(const char* host, const addrinfo* hints, addrinfo** found);

  // ---- files: made by helper threads, but for read_cached ----
  virtual int open(int directory, const char* path, int flags, unsigned mode);
  virtual std::int64_t read(int file, const iovec* parts, int count, std::uint64_t offset);
  // Only what is in memory already; -EAGAIN where the disk would have to be asked, -EOPNOTSUPP where this cannot be
  // known.
  virtual std::int64_t read_cached(int file, const iovec* parts, int count, std::uint64_t offset);
  virtual std::int64_t write(int file, const iovec* parts, int count, std::uint64_t offset);
  // Has the kernel begin to write that part to the disk, and does not wait for it. Promises nothing.
  virtual int start_writeback(int file, std::uint64_t offset, std::uint64_t bytes);
  virtual int sync_file(int file);
  virtual int sync_directory(int directory);
  virtual int sync_file_system(int directory);
  virtual int truncate(int file, std::uint64_t size);
  virtual int make_directory(int directory, const char* path, unsigned mode);
  virtual int rename(int directory, const char* from, const char* to);
  virtual int unlink(int directory, const char* path, int flags);

  // ---- the store ----
  // Asked, on its helper's thread, before the key-value store is called, whose own system calls are out of our reach:
  // 0, or the error that the call shall meet.
  virtual int enter_store(bool commit);

  // ---- the end ----
  [[noreturn]] virtual void exit(int status);
};

}  // namespace chronik::runtime
