"""The house, as a table: its folders with their floors, and who may use which library.

This is the architecture. A folder may include its own files and those of folders on lower floors: nothing above,
nothing beside. Changing this file is a decision about the house; docs/ARCHITECTURE.md draws it.
"""

FLOORS = {
    "core/base": 0,
    "core/ports": 1,
    "core/fiber": 2,
    "core/protocol": 3,
    "core/wal": 3,
    "core/client": 4,
    "core/log": 4,
    "core/raft": 5,
    "core/cluster": 6,
    "core/replication": 7,
    "core/group": 8,
    "core/transaction": 8,
    "core/broker": 9,
    "core/node": 10,
    "inspect": 11,
    "runtime": 12,
    "sim": 12,
    "server": 13,
}

# Down, and still forbidden.
FORBIDDEN_EDGES = {
    ("server", "sim"): "what people run in production holds no simulator",
}

# Rooms outside the house: they may look into every floor, and no floor looks into them.
OUTSIDE = ("tests", "fuzz")

# Third-party headers: (prefix of the include, files that may include it). The first prefix that fits decides. A file
# pattern ending in "/" means the folder.
LIBRARIES = [
    # Abseil's clocks, threads, entropy and logs would bring into core what the ports are for.
    ("absl/synchronization/", ["runtime/", "server/"]),
    ("absl/time/", ["runtime/", "server/"]),
    ("absl/random/", []),
    ("absl/log/", []),
    ("absl/flags/", []),
    ("absl/debugging/", ["inspect/"]),
    ("absl/", ["core/", "inspect/", "sim/", "runtime/", "server/"]),
    ("fmt/", ["core/", "inspect/", "sim/", "runtime/", "server/"]),
    ("boost/context/", ["core/fiber/"]),
    ("sanitizer/", ["core/fiber/", "sim/", "runtime/"]),
    ("isa-l/crc", ["core/base/crc32c.cc"]),
    ("isa-l/", ["core/protocol/"]),
    ("lz4", ["core/protocol/"]),
    ("zstd", ["core/protocol/"]),
    ("snappy", ["core/protocol/"]),
    ("zlib.h", ["core/protocol/"]),
    ("rocksdb/", ["runtime/rocksdb_store.cc"]),
    ("jemalloc/", ["server/allocator.cc"]),
    ("openssl/", ["runtime/"]),
    ("CLI/", ["sim/", "server/"]),
    ("nlohmann/", ["sim/", "server/"]),
    ("toml++/", ["server/"]),
    ("httplib.h", ["server/"]),
    ("prometheus/", ["server/"]),
    ("spdlog/", ["runtime/", "server/"]),
    ("gtest/", []),
    ("gmock/", []),
    ("rapidcheck", []),
]

# The operating system's own headers: never in core, where a port stands for each of them.
SYSTEM_PREFIXES = ("sys/", "arpa/", "net/", "netinet/", "linux/")
SYSTEM_HEADERS = {
    "dirent.h", "dlfcn.h", "execinfo.h", "fcntl.h", "ifaddrs.h", "netdb.h", "poll.h", "pthread.h", "pwd.h",
    "sched.h", "semaphore.h", "signal.h", "spawn.h", "syslog.h", "termios.h", "time.h", "ucontext.h", "unistd.h",
    "wait.h",
}
SYSTEM_FOLDERS = ["inspect/", "sim/", "runtime/", "server/"]

# Headers of the standard library that core may use. What is missing (threads, clocks, entropy, streams, hash tables,
# shared ownership) is missing on purpose.
CORE_STANDARD = {
    "algorithm", "array", "bit", "cerrno", "charconv", "climits", "compare", "concepts", "cstdarg", "cstddef",
    "cstdint", "cstdio", "cstdlib", "cstring", "deque", "exception", "functional", "initializer_list", "iterator",
    "limits", "list", "map", "memory", "new", "numeric", "optional", "queue", "ratio", "set", "span", "stdexcept",
    "string", "string_view", "tuple", "type_traits", "typeinfo", "utility", "variant", "vector", "version",
    "cmath", "bitset", "cxxabi.h", "x86intrin.h", "nmmintrin.h", "immintrin.h",
}
STANDARD = CORE_STANDARD | {
    "any", "atomic", "barrier", "cassert", "cctype", "chrono", "cinttypes", "clocale", "condition_variable",
    "csetjmp", "csignal", "ctime", "filesystem", "forward_list", "fstream", "future", "iomanip", "ios", "iosfwd",
    "iostream", "istream", "latch", "locale", "mutex", "numbers", "ostream", "random", "ranges", "regex",
    "scoped_allocator", "semaphore", "shared_mutex", "source_location", "sstream", "stack", "stop_token",
    "streambuf", "system_error", "thread", "typeindex", "unordered_map", "unordered_set", "valarray", "cfenv",
    "malloc.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "errno.h", "limits.h",
}
