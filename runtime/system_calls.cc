#include "runtime/system_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace chronik::runtime {

namespace {

template <typename T>
T or_error(T result) {
  return result < 0 ? static_cast<T>(-errno) : result;
}

}  // namespace

std::int64_t SystemCalls::receive(int socket, void* into, std::size_t size) {
  return or_error(::recv(socket, into, size, 0));
}

std::int64_t SystemCalls::send(int socket, const msghdr& message) {
  // Most answers are one part, and the kernel copies less for send() than for sendmsg().
  return message.msg_iovlen == 1
             ? or_error(::send(socket, message.msg_iov->iov_base, message.msg_iov->iov_len, MSG_NOSIGNAL))
             : or_error(::sendmsg(socket, &message, MSG_NOSIGNAL));
}

int SystemCalls::connect(int socket, const sockaddr* to, socklen_t size) {
  return or_error(::connect(socket, to, size));
}

int SystemCalls::accept(int socket, sockaddr* peer, socklen_t* size) {
  return or_error(::accept4(socket, peer, size, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int SystemCalls::look_up(const char* host, const addrinfo* hints, addrinfo** found) {
  return ::getaddrinfo(host, nullptr, hints, found);
}

int SystemCalls::open(int directory, const char* path, int flags, unsigned mode) {
  return or_error(::openat(directory, path, flags | O_CLOEXEC, mode));
}

std::int64_t SystemCalls::read(int file, const iovec* parts, int count, std::uint64_t offset) {
  return or_error(::preadv(file, parts, count, static_cast<off_t>(offset)));
}

std::int64_t SystemCalls::read_cached(int file, const iovec* parts, int count, std::uint64_t offset) {
  return or_error(::preadv2(file, parts, count, static_cast<off_t>(offset), RWF_NOWAIT));
}

std::int64_t SystemCalls::write(int file, const iovec* parts, int count, std::uint64_t offset) {
  return or_error(::pwritev(file, parts, count, static_cast<off_t>(offset)));
}

int SystemCalls::start_writeback(int file, std::uint64_t offset, std::uint64_t bytes) {
  return or_error(
      ::sync_file_range(file, static_cast<off_t>(offset), static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE));
}

int SystemCalls::sync_file(int file) { return or_error(::fdatasync(file)); }

int SystemCalls::sync_directory(int directory) { return or_error(::fsync(directory)); }

int SystemCalls::sync_file_system(int directory) { return or_error(::syncfs(directory)); }

int SystemCalls::truncate(int file, std::uint64_t size) {
  return or_error(::ftruncate(file, static_cast<off_t>(size)));
}

int SystemCalls::make_directory(int directory, const char* path, unsigned mode) {
  return or_error(::mkdirat(directory, path, mode));
}

int SystemCalls::rename(int directory, const char* from, const char* to) {
  return or_error(::renameat(directory, from, directory, to));
}

int SystemCalls::unlink(int directory, const char* path, int flags) {
  return or_error(::unlinkat(directory, path, flags));
}

int SystemCalls::enter_store(bool /*commit*/) { return 0; }

void SystemCalls::exit(int status) { ::_exit(status); }

}  // namespace chronik::runtime
